# SPDX-License-Identifier: Apache-2.0
"""Jitter: routers whose power comes back together must not act together."""

from __future__ import annotations

import os


def uniform(least: float, most: float) -> float:
    """A random number between two; the random module would cost 0.3 MB."""
    return least + (most - least) * int.from_bytes(os.urandom(4), "big") / 0xFFFFFFFF
