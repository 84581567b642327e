# SPDX-License-Identifier: Apache-2.0
"""Anew: refused requests that their senders are to send again, otherwise."""

from __future__ import annotations

from algwatch.base.native.layout import BYE, CANCEL, OPTIONS, REGISTER
from algwatch.base.table import Table
from algwatch.sip.status_codes import ANEW
from algwatch.sip.timers import T4
from algwatch.sip.transaction import Transaction

LIMIT = 64
MOST = 64 * 1024  # bytes of their messages
# Each hop answers a CANCEL itself, and cannot challenge it (RFC 3261 sections 9.2, 22.1). BYE and
# REGISTER are followed for longer, and OPTIONS ask for any answer.
_OTHERWISE = (BYE, CANCEL, OPTIONS, REGISTER)


def is_awaited(t: Transaction) -> bool:
    """The sender of this refused request is to send it anew."""
    return t.status in ANEW and t.method not in _OTHERWISE


class Anew:
    """One side's refused requests, the latest of each Call-ID and method. Bounded: the oldest
    counts as sent anew, so that nobody complains about it."""

    def __init__(self) -> None:
        self._refused: Table[int, tuple[Transaction, int]] = Table(LIMIT)  # with its bytes
        self._size = 0

    def refuse(self, t: Transaction) -> None:
        """It was refused, and is_awaited."""
        refused = self._refused
        size = sum(len(copy.payload) for copy in (t.request, t.response) if copy is not None)
        while refused and (self._size + size > MOST or len(refused) >= LIMIT):
            oldest, _ = next(iter(refused.values()))
            self._out(oldest)
            _sent_anew(oldest)
        self._out(t)
        refused[t.call ^ t.method] = t, size
        self._size += size

    def come(self, t: Transaction) -> None:
        """A new request. Some phones send theirs anew with another Call-ID."""
        if self._refused:
            before = self._out(t) or self._alike(t)
            if before is not None and t.at - before.final_at < T4:
                _sent_anew(before)

    def _alike(self, t: Transaction) -> Transaction | None:
        """Take out the one of the same sender with the Request-URI and the body of t."""
        for one, _ in self._refused.values():
            if one.method == t.method and one.flow == t.flow and _asks(one) == _asks(t):
                return self._out(one)
        return None

    def take(self, t: Transaction) -> bool:
        """T4 has passed since its refusal. True if nothing came after it."""
        before = self._refused.get(t.call ^ t.method)
        if before is not None and before[0] is t:
            self._out(t)
        return not t.acked_at

    def _out(self, t: Transaction) -> Transaction | None:
        """Take out the one with the Call-ID and method of t."""
        before, size = self._refused.pop(t.call ^ t.method, (None, 0))
        self._size -= size
        return before


def _asks(t: Transaction) -> tuple[bytes, bytes]:
    """Start line and body of its request."""
    payload = t.request.payload if t.request is not None else b""
    return payload.partition(b"\r\n")[0], payload.partition(b"\r\n\r\n")[2]


def _sent_anew(t: Transaction) -> None:
    """It waits no more, so its messages can go."""
    t.acked_at = t.final_at
    t.request = t.response = None
