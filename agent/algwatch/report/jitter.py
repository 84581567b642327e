# SPDX-License-Identifier: Apache-2.0
"""Jitter: routers must not act together when the power comes back."""

from __future__ import annotations

import os


def uniform(least: float, most: float) -> float:
    """A random number between two; the random module would cost 0.3 MB."""
    return least + (most - least) * int.from_bytes(os.urandom(4), "big") / 0xFFFFFFFF
