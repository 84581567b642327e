# SPDX-License-Identifier: Apache-2.0
"""SessionTimer: the lifetime of a call without a refresh (RFC 4028)."""

from __future__ import annotations

from algwatch.base.native.layout import ROW_TIMER
from algwatch.base.sighting import AT, BITS, Sighting
from algwatch.sip.message import Message
from algwatch.sip.reason import names_timeout
from algwatch.sip.timers import SECOND, TIMER_B

NEAR = 2 * SECOND  # the largest distance of a BYE from its timer
LONGEST = 7 * 24 * 3600  # seconds; a longer interval ends no call
UAC, UAS = b"uac", b"uas"

GONE = (408, 481)  # such a refusal of a refresh ends the call (section 10, RFC 3261 12.2.1.2)


class SessionTimer:
    """answer: the 2xx with the agreement, on this side. at: ns, its time. interval: ns, its
    Session-Expires. by_caller: its request, a re-INVITE or UPDATE, was the caller's. refresher:
    "uac" (the sender of this request), "uas" or b"" if the 2xx does not name one.

    Requests that may refresh it: tried: the latest one since, None if only its refusal was
    captured; tried_at: ns, 0 = none;
    tried_by_caller; refused: the status of its refusal, refused_at: ns, of this refusal.
    """

    __slots__ = ("answer", "at", "by_caller", "interval", "refresher", "refused",
                 "refused_at", "tried", "tried_at", "tried_by_caller")  # fmt: skip

    def __init__(self, answer: Sighting, by_caller: bool, interval: int, refresher: bytes) -> None:
        self.answer = answer
        self.at = answer.row[AT]
        self.by_caller = by_caller
        self.interval = interval
        self.refresher = refresher
        self.tried: Sighting | None = None
        self.tried_at = self.refused = self.refused_at = 0
        self.tried_by_caller = False

    @property
    def refreshed_by_caller(self) -> bool | None:
        """True if the caller has to refresh it; None if the 2xx names nobody."""
        if self.refresher == UAC:
            return self.by_caller
        return not self.by_caller if self.refresher == UAS else None

    @property
    def bye_at(self) -> int:
        """ns; without a refresh the other end sends BYE then (section 10)."""
        return self.at + self.interval - min(TIMER_B, self.interval // 3)

    @property
    def overdue_at(self) -> int:
        """ns; a refresh comes after half of the interval (section 7.2). Some come later, so half of
        the rest is waited for."""
        half = self.at + self.interval // 2
        return half + (self.bye_at - half) // 2

    def try_(self, copy: Sighting, by_caller: bool) -> None:
        """A request that may refresh it."""
        self.tried = copy
        self.tried_at = copy.row[AT]
        self.tried_by_caller = by_caller
        self.refused = 0

    def refuse(self, status: int, at: int) -> None:
        """This request was refused. at: ns."""
        self.refused, self.refused_at = status, at

    def ends(self, at: int, by_caller: bool, reason: str) -> bool:
        """True if a BYE at this time (ns) is the timer's. reason: see sip/reason.py."""
        lasted = at - self.at
        if abs(at - self.bye_at) <= NEAR or abs(lasted - self.interval) <= NEAR:
            return True
        # The end that waits for the refresh takes any time between these two.
        waits = not self.tried_at and self.refreshed_by_caller == (not by_caller)
        if waits and self.bye_at <= at <= self.at + self.interval:
            return True
        if lasted < self.interval // 2 - NEAR:
            return False
        if reason and names_timeout(reason):
            return True
        if not self.tried_at:
            return False
        if self.refused:
            if self.refused in GONE:
                return at - self.tried_at <= TIMER_B
            # Another refusal leaves the session as it was, but some ends give it up all the same.
            return by_caller == self.tried_by_caller and at - self.refused_at <= NEAR
        # By the end that sent it in vain until Timer B or F.
        waited = at - self.tried_at - TIMER_B
        return by_caller == self.tried_by_caller and abs(waited) <= NEAR


def session_timer(answer: Sighting, by_caller: bool) -> SessionTimer | None:
    """The timer agreed on in a 2xx to an INVITE or UPDATE; None without one."""
    if not answer.row[BITS] & ROW_TIMER:
        return None
    interval, *params = Message(answer.payload).session_expires.split(b";")
    interval = interval.strip()
    if not interval.isdigit() or len(interval) > 9 or not 0 < int(interval) <= LONGEST:
        return None
    refresher = b""
    for param in params:
        name, _, word = param.partition(b"=")
        if name.strip().lower() == b"refresher":
            word = word.strip().lower()
            refresher = word if word in (UAC, UAS) else b""
    return SessionTimer(answer, by_caller, int(interval) * SECOND, refresher)
