# SPDX-License-Identifier: Apache-2.0
"""Allowance: how many bytes a day this router sends, whatever happens to it.

A day's bytes may go at once. Health reports stop where half of them are used, findings that tell
of no harm where three quarters are, and those of harm where all are. The state of the router and
its advice always go: there are few of them, and they are the verdict. They are counted as far as a
quarter of a day's bytes is left: a connection that breaks all day takes no more from findings.

No phone takes the others' part: what is told of one goes only while it has used no more than is
left. So one that floods reaches half of a day's bytes, four of them together four fifths.
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
HEALTH, HARMLESS, HARM = 0.5, 0.25, 0.0  # the part of a day's bytes that has to be left
ALWAYS = 0.25  # the part that is left by what always goes
PHONES = 256  # whose use is remembered
LEAST_UNIT = 1e-9


class Allowance:
    """daily: bytes. clock: seconds. withheld: reports that were not sent, by kind. Any thread may
    call."""

    def __init__(self, daily: int, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._daily = daily
        self._lock = Lock()
        self._bucket = Bucket((daily, daily / DAY), clock())
        # Bytes that each has used, as parts of `_unit`: what is forgiven is forgiven to all alike.
        self._phones: Table[str, float] = Table(PHONES)
        self._unit = 1.0
        self.withheld: dict[str, int] = {}

    def allows(self, kind: str, left: float, phone: str = "") -> bool:
        """Whether one more of this kind may be sent while so much of a day's bytes is left; if
        not, it is counted. left: a word above. phone: that it is about."""
        with self._lock:
            there = self._there()
            used = (self._phones.get(phone) or 0.0) * self._unit
            if there > left * self._daily and used <= there:
                return True
            self.withheld[kind] = self.withheld.get(kind, 0) + 1
            return False

    def room(self, left: float) -> float:
        """Bytes that may be sent until no more than so much of a day's bytes is left."""
        with self._lock:
            return self._there() - left * self._daily

    def spend(self, size: int, phone: str = "") -> None:
        """size: bytes that are sent. phone: that they are about."""
        with self._lock:
            self._bucket.tokens = self._there() - size
            if phone:
                used = self._phones.pop(phone, 0.0) + size / self._unit
                self._phones.add(phone, used)

    def spend_always(self, size: int) -> None:
        """Bytes of what is sent whatever is left."""
        with self._lock:
            there = self._there()
            self._bucket.tokens = max(there - size, min(there, ALWAYS * self._daily))

    def _there(self) -> float:
        """Bytes that are left now."""
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
