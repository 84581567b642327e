"""CallSummary: what is said of a call when it is over."""

from __future__ import annotations

from algwatch.compare.call import Call


class CallSummary:
    """One finished (or, at the end, unfinished) call; the row of `analyze --json`'s "calls".

    outcome: completed, dropped, cancelled, rejected, unanswered, ongoing, unknown.
    ack: seen, missing, unknown. start, end: seconds since 1970. lossy: packets were lost in the
    capture meanwhile, so what was not seen is missing only where somebody waited for it to the end.
    """

    __slots__ = ("ack", "call_id", "end", "final_retransmissions", "from_",
                 "invite_retransmissions", "outcome", "start", "to")  # fmt: skip

    def __init__(self, call: Call, now: int, lossy: bool = False) -> None:
        self.call_id = call.call_id
        self.from_ = call.from_
        self.to = call.to
        self.ack = call.ack(now)
        self.outcome = call.outcome(now, self.ack)
        if lossy:
            self._doubt(call)
        seen = call.seen
        d = seen[0]
        start, end = d.started_at, d.last_at
        self.invite_retransmissions = d.invite_retransmissions
        self.final_retransmissions = d.final_retransmissions
        for d in seen[1:]:
            start, end = min(start, d.started_at), max(end, d.last_at)
            self.invite_retransmissions = max(self.invite_retransmissions, d.invite_retransmissions)
            self.final_retransmissions = max(self.final_retransmissions, d.final_retransmissions)
        self.start = start / 1e9
        self.end = end / 1e9

    def _doubt(self, call: Call) -> None:
        d = call.near_callee
        if self.ack == "missing" and d is not None and not call.waited_out(d):
            self.ack = "unknown"
            if self.outcome == "dropped":
                self.outcome = "unknown"
        unanswered = [d.invite for d in call.seen if d.invite is not None]
        if self.outcome == "unanswered" and not any(t.waited_out for t in unanswered):
            self.outcome = "unknown"
