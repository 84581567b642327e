# SPDX-License-Identifier: Apache-2.0
"""Glance: does a file without a named side hold both sides of a router?"""

from __future__ import annotations

from algwatch.base.packet import Batch
from algwatch.compare.sides import Sides

FIRST_LOOKS, LOOK_EVERY = 32, 8  # batches of an unnamed file searched for both sides


class TwoSided(Exception):
    """A file without a named side holds both copies after all."""


class Glance:
    """Looks for both sides in a file without a named side. A file readable only once is skipped:
    it could not be surveyed."""

    def __init__(self) -> None:
        self._sides = Sides()
        self._looks = 0

    def look(self, batch: Batch) -> None:
        """Raises TwoSided. Both copies of a message are in one batch: after the first batches, a
        sample is enough."""
        self._looks += 1
        if self._looks < FIRST_LOOKS or not self._looks % LOOK_EVERY:
            self._sides.survey(batch)
            if self._sides.found:
                raise TwoSided
