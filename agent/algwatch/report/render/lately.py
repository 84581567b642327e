# SPDX-License-Identifier: Apache-2.0
"""The verdict of a running daemon: as for a capture, over the last day, in its words."""

from __future__ import annotations

import re

from algwatch.report.render.grades import Reason
from algwatch.report.render.sentences import listed, several
from algwatch.report.render.verdict import AGAIN, BOTH, CROSSES, UNTIL, WAIT, Verdict

_TIMES = re.compile(r" times\)\.$")

NOTHING_SEEN = (
    "No SIP message was seen yet.",
    "Make a call, or restart a phone so that it registers; if nothing comes then, check that lan "
    "and wan name the interfaces of this router.",
)
NOT_OVER = (
    "No call has ended and no registration was answered yet, so nothing shows whether they work.",
    "Make a call, or restart a phone so that it registers.",
)
TRY = "Make a call, then look here again."
# Steps of a verdict about capturing: the daemon captures already.
STEPS = {
    AGAIN: TRY,
    BOTH: "Check that lan and wan name the interfaces on both sides of this router.",
    CROSSES: "Make a call: if one side never sees its messages, lan or wan names the wrong "
    "interface, or flow offload hides them.",
    UNTIL: "Restart the phone so that it registers, then look here again.",
    WAIT: TRY,
    WAIT.replace("call", "registration"): TRY,
}


class Lately(Verdict):
    """ended: calls that ended well in the last day, including those not fed. full: more bad things
    may exist than were fed."""

    def __init__(self, ended: int, full: bool = False) -> None:
        super().__init__()
        self._ended = ended
        self._full = full

    def settle(self, counts: dict[str, dict[str, int]]) -> None:
        super().settle(counts)
        self.next = STEPS.get(self.next, self.next)
        if self._full:
            self.why = [_TIMES.sub(" times or more).", why) for why in self.why]

    def _doubts(self, counts: dict[str, dict[str, int]]) -> list[Reason]:
        if not counts["capture"].get("sip_messages"):
            return [NOTHING_SEEN]
        doubts = super()._doubts(counts)
        if self.calls.total or self.registrations.total or len(doubts) != 1:
            return doubts
        return [NOT_OVER] if doubts[0][1].startswith("Capture while") else doubts

    def _fine(self, counts: dict[str, dict[str, int]]) -> list[Reason]:
        calls, phones = max(self._ended, self.calls.total), self.registrations.total
        seen = [several(calls, "call") + " ended well"] if calls else []
        seen += [f"{several(phones, 'account')} registered"] if phones else []
        return [(f"In the last day {listed(seen)}, and nothing hurt.", "")]
