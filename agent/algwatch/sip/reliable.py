# SPDX-License-Identifier: Apache-2.0
"""Reliable provisional responses (RFC 3262): a 1xx with RSeq comes again until a PRACK comes."""

from __future__ import annotations

from algwatch.base.sighting import AT, FLOW, TO_TAG, Sighting
from algwatch.sip.message import Message
from algwatch.sip.timers import SECOND

# Seconds of repetition after which no PRACK is on its way any more: T1 + 2*T1 + 4*T1 and more.
LONG = 6 * SECOND
MOST = 10  # digits of an RSeq


class Reliable:
    """A reliable provisional response that comes again and again. first: its first sighting of
    those that transactions tell; at, last_at: ns, of the first and the latest; times: how many
    there were; rseq: its number."""

    __slots__ = ("at", "first", "last_at", "rseq", "times")

    def __init__(self, first: Sighting, rseq: bytes) -> None:
        self.first = first
        self.rseq = rseq
        self.at = self.last_at = first.row[AT]
        self.times = 1

    @property
    def waits(self) -> bool:
        """It came again for so long that no PRACK reached its sender."""
        return self.times > 1 and self.last_at - self.at > LONG

    def is_again(self, other: Sighting, rseq: bytes) -> bool:
        row = self.first.row
        same = row[TO_TAG] == other.row[TO_TAG] and row[FLOW] == other.row[FLOW]
        return same and self.rseq == rseq


def noted(before: Reliable | None, response: Sighting) -> Reliable | None:
    """The state after a provisional response more; before: the state until then. The next one of
    its sender (another RSeq) shows that the one before had its PRACK."""
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
    """The RSeq that a PRACK names (RFC 3262 section 7.2), b"" of none."""
    values = Message(prack.payload).header("RAck")
    return bytes(values[0].split()[0][:MOST]) if values and values[0].split() else b""
