# SPDX-License-Identifier: Apache-2.0
"""Allowance: the bytes a day this router sends at most, in any situation.

A day's bytes may go at once. Health reports stop with half of them used, harmless findings with
three quarters used, and findings of harm with all used. The state of the router and its advice
always go: they are few, and they are the verdict. They are counted only down to the last quarter of
a day's bytes, so a connection that breaks all day takes no more from findings.

No phone takes the others' share: reports about a phone go only while it has used no more bytes than
are left. So one flooding phone reaches half of a day's bytes, four together reach four fifths.
"""

from __future__ import annotations

from threading import Lock
from time import monotonic

from algwatch.base.table import Table
from algwatch.report.rate import Bucket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

DAY = 86400  # seconds
HEALTH, HARMLESS, HARM = 0.5, 0.25, 0.0  # the part of a day's bytes to be left
ALWAYS = 0.25  # reports that always go leave this part
PHONES = 256  # with remembered use
LEAST_UNIT = 1e-9


class Allowance:
    """daily: bytes. clock: seconds. withheld: reports not sent, by kind. Any thread may call."""

    def __init__(self, daily: int, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._daily = daily
        self._lock = Lock()
        self._bucket = Bucket((daily, daily / DAY), clock())
        # Bytes used by each phone, in multiples of `_unit`: the refill forgives all phones alike.
        self._phones: Table[str, float] = Table(PHONES)
        self._unit = 1.0
        self.withheld: dict[str, int] = {}

    def allows(self, kind: str, left: float, phone: str = "") -> bool:
        """True if one more report of this kind may be sent; otherwise count it as withheld. left:
        the part of a day's bytes to be left, a constant above. phone: the subject of the report."""
        with self._lock:
            there = self._there()
            used = (self._phones.get(phone) or 0.0) * self._unit
            if there > left * self._daily and used <= there:
                return True
            self.withheld[kind] = self.withheld.get(kind, 0) + 1
            return False

    def room(self, left: float) -> float:
        """Bytes to send until this part of a day's bytes is left."""
        with self._lock:
            return self._there() - left * self._daily

    def spend(self, size: int, phone: str = "") -> None:
        """size: bytes sent. phone: their subject."""
        with self._lock:
            self._bucket.tokens = self._there() - size
            if phone:
                used = self._phones.pop(phone, 0.0) + size / self._unit
                self._phones.add(phone, used)

    def spend_always(self, size: int) -> None:
        """size: bytes of a report that always goes."""
        with self._lock:
            there = self._there()
            self._bucket.tokens = max(there - size, min(there, ALWAYS * self._daily))

    def _there(self) -> float:
        """Bytes left now."""
        before = self._daily - self._bucket.tokens
        there = self._bucket.fill(self._clock())
        if there >= self._daily:
            self._phones.clear()
            self._unit = 1.0
        elif self._phones:
            self._unit *= (self._daily - there) / before
            if self._unit < LEAST_UNIT:
                for phone in self._phones:
                    self._phones[phone] *= self._unit
                self._unit = 1.0
        return there
