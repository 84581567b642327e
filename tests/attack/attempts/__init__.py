# SPDX-License-Identifier: Apache-2.0
"""All attempts, by what the attacker is after."""

from __future__ import annotations

from . import blindness, decoys, growth, leaks, leftovers, lies, quiet

ATTEMPTS = [
    attempt
    for group in (quiet, lies, decoys, blindness, growth, leaks, leftovers)
    for attempt in group.ATTEMPTS
]
