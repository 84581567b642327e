"""The order of the stages, and the only file that knows it."""

from __future__ import annotations

from algwatch.advise.advice import Advice
from algwatch.base.packet import Batch, Tap
from algwatch.diagnose.finding import Finding


class CallSummary:
    """One finished (or, at the end, unfinished) call; the row of `analyze --json`'s "calls".

    outcome: completed, dropped, cancelled, rejected, unanswered, ongoing, unknown.
    ack: seen, missing, unknown. start, end: seconds since 1970.
    """

    __slots__ = ("ack", "call_id", "end", "final_retransmissions", "from_", "invite_retransmissions",
                 "outcome", "start", "to")  # fmt: skip


class Pipeline:
    """Batches in, reports out. Sans-IO: packet time drives every timer.

    taps: list of Tap, indexed by Batch.tap. Each of the three methods returns a list of
    reports: Finding, Advice (said again whenever it changed) or CallSummary, in order.
    """

    def __init__(self, taps: list[Tap], live: bool = False) -> None: ...

    def feed(self, batch: Batch) -> list[Finding | Advice | CallSummary]: ...

    def advance(self, tap: int, now: int) -> list[Finding | Advice | CallSummary]:
        """Nothing earlier than `now` (ns since 1970) will come from this tap any more."""

    def finish(self) -> list[Finding | Advice | CallSummary]:
        """The capture is over: what is pending becomes unknown; the last reports."""

    def counts(self) -> dict[str, dict[str, int]]:
        """{"capture": {...}, "crossings": {...}} as in `analyze --json`."""
