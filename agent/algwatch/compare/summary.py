"""CallSummary: what is said of a call when it is over."""

from __future__ import annotations

from algwatch.compare.call import Call


class CallSummary:
    """One finished (or, at the end, unfinished) call; the row of `analyze --json`'s "calls".

    outcome: completed, dropped, cancelled, rejected, unanswered, ongoing, unknown.
    ack: seen, missing, unknown. start, end: seconds since 1970.
    """

    __slots__ = ("ack", "call_id", "end", "final_retransmissions", "from_",
                 "invite_retransmissions", "outcome", "start", "to")  # fmt: skip

    def __init__(self, call: Call, now: int) -> None:
        seen = call.seen
        self.call_id = call.call_id
        self.from_ = call.from_
        self.to = call.to
        self.start = call.start
        self.end = call.end
        self.outcome = call.outcome(now)
        self.ack = call.ack(now)
        self.invite_retransmissions = max(d.invite_retransmissions for d in seen)
        self.final_retransmissions = max(d.final_retransmissions for d in seen)
