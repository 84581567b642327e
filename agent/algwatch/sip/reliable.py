# SPDX-License-Identifier: Apache-2.0
"""Reliable provisional responses (RFC 3262): a 1xx with RSeq is repeated until a PRACK comes."""

from __future__ import annotations

from algwatch.base.sighting import AT, FLOW, TO_TAG, Sighting
from algwatch.sip.message import Message
from algwatch.sip.timers import SECOND

# After this time of repetition no PRACK is on its way any more: T1 + 2*T1 + 4*T1 and more.
LONG = 6 * SECOND
MOST = 10  # digits of an RSeq


class Reliable:
    """A repeated reliable provisional response. first: its first sighting told by transactions; at,
    last_at: ns, of the first and the latest; times: their number; rseq: its number."""

    __slots__ = ("at", "first", "last_at", "rseq", "times")

    def __init__(self, first: Sighting, rseq: bytes) -> None:
        self.first = first
        self.rseq = rseq
        self.at = self.last_at = first.row[AT]
        self.times = 1

    @property
    def waits(self) -> bool:
        """It was repeated for so long: no PRACK reached its sender."""
        return self.times > 1 and self.last_at - self.at > LONG

    def is_again(self, other: Sighting, rseq: bytes) -> bool:
        row = self.first.row
        same = row[TO_TAG] == other.row[TO_TAG] and row[FLOW] == other.row[FLOW]
        return same and self.rseq == rseq


def noted(before: Reliable | None, response: Sighting) -> Reliable | None:
    """The state after one more provisional response; before: the state until then. The sender's
    next one (another RSeq) proves a PRACK of the one before."""
    if b"\nrseq" not in response.payload.lower():
        return before
    values = Message(response.payload).header("RSeq")
    if not values:
        return before
    rseq = bytes(values[0][:MOST])
    if before is not None and before.is_again(response, rseq):
        before.times += 1
        before.last_at = response.row[AT]
        return before
    if before is not None and before.waits:
        return before
    return Reliable(response, rseq)


def acknowledged(prack: Sighting) -> bytes:
    """The RSeq in a PRACK (RFC 3262 section 7.2), b"" without one."""
    values = Message(prack.payload).header("RAck")
    return bytes(values[0].split()[0][:MOST]) if values and values[0].split() else b""
