# SPDX-License-Identifier: Apache-2.0
"""Allowance: how many bytes a day this router sends, whatever happens to it.

A day's bytes may go at once. Health reports stop where half of them are used, findings that tell
of no harm where three quarters are, and those of harm where all are. The state of the router and
its advice always go, and are counted: there are few of them, and they are the verdict.
"""

from __future__ import annotations

from time import monotonic

from algwatch.report.rate import Bucket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

DAY = 86400  # seconds
HEALTH, HARMLESS, HARM = 0.5, 0.25, 0.0  # the part of a day's bytes that has to be left


class Allowance:
    """daily: bytes. clock: seconds. withheld: reports that were not sent, by kind."""

    def __init__(self, daily: int, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._daily = daily
        self._bucket = Bucket((daily, daily / DAY), clock())
        self.withheld: dict[str, int] = {}

    def allows(self, kind: str, left: float) -> bool:
        """Whether one more of this kind may be sent while so much of a day's bytes is left; if
        not, it is counted. left: a word above."""
        if self._bucket.fill(self._clock()) > left * self._daily:
            return True
        self.withheld[kind] = self.withheld.get(kind, 0) + 1
        return False

    def spend(self, size: int) -> None:
        """size: bytes that are sent."""
        self._bucket.tokens -= size
