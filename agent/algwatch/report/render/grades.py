# SPDX-License-Identifier: Apache-2.0
"""How calls and registrations ended, in one word each for the verdict, and the tally of them."""

from __future__ import annotations

from algwatch.base.quote import somebody
from algwatch.base.table import Table
from algwatch.compare.line import ends_of
from algwatch.compare.summary import CallSummary
from algwatch.report.render import status

KEPT = 256  # findings, calls and registrations remembered, of each kind
HOSTS = 4096  # far hosts remembered, and unsolicited calls

# The end of a call or a registration, for the verdict.
WELL = "well"
DECLINED = "declined"  # refused for a harmless reason
REDIRECTED = "redirected"
GOES_ON = "goes on"  # and was acknowledged
DEAD = "dead"
OPEN = "open"  # not known

Reason = tuple[str, str]  # why, and the next step ("" if the advice or nothing says it)
NOTHING: Reason = ("", "")


def graded(call: CallSummary) -> str:
    """The end of a call, one of the words above."""
    if call.outcome == "completed":
        return OPEN if call.failure or call.unacknowledged else WELL
    if call.outcome in ("dropped", "unanswered"):
        return DEAD
    if call.outcome == "rejected":
        if status.kind(call.status) == "redirected":
            return OPEN if call.unfollowed else REDIRECTED
        if not status.is_fault(call.status, call.rang):
            return DECLINED
        return OPEN if call.stranger else DEAD
    if call.failure:
        return OPEN
    if call.outcome == "ongoing":
        return GOES_ON if call.ack == "seen" else OPEN
    return OPEN if call.outcome == "unknown" else WELL


class Tally:
    """Calls or registrations: the latest report on each, and the number of each kind. Bounded: the
    oldest of a kind is forgotten, and counts once more after a new report."""

    def __init__(self) -> None:
        self.counts = {WELL: 0, DECLINED: 0, REDIRECTED: 0, GOES_ON: 0, DEAD: 0, OPEN: 0}
        self._latest: dict[str, Table[str, tuple[str, Reason]]] = {
            grade: Table(KEPT) for grade in self.counts
        }
        self._failed = False  # until then nothing can be taken back

    def add(self, key: str, grade: str, call_id: str, reason: Reason, knows: bool) -> None:
        """knows: False if the report has no news; it never replaces an earlier one then."""
        if grade == WELL and not self._failed and key not in self._latest[WELL]:
            self.counts[WELL] += 1
            if len(self._latest[WELL]) < KEPT:
                self._latest[WELL][key] = (call_id, reason)
            return
        self._failed = self._failed or grade != WELL
        for before, table in self._latest.items():
            if key in table:
                if not knows:
                    return
                del table[key]
                self.counts[before] -= 1
        self.counts[grade] += 1
        latest = self._latest[grade]
        if grade != WELL or len(latest) < KEPT:  # a good call need not push out another
            latest.add(key, (call_id, reason))

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    def reasons(self, grade: str, told: frozenset[str] = frozenset()) -> list[Reason]:
        """told: Call-IDs with findings."""
        return [reason for call_id, reason in self._latest[grade].values() if call_id not in told]


EARLIER = (
    "Capture both sides on the router itself from before the phone registers. A trunk that never "
    "registers needs a port forward: look at it on the router."
)


class Strangers:
    """Unsolicited calls that reached no phone. If their sender is the provider of a phone here,
    the capture began too late to know that, or it is a trunk that never registers: nothing tells
    why the call died. Bounded: the oldest is forgotten."""

    def __init__(self) -> None:
        self._calls: Table[str, tuple[str, Reason]] = Table(HOSTS)
        self._providers: Table[str, bool] = Table(HOSTS)

    def add(self, call: CallSummary, grade: str) -> None:
        """grade: of the end of the call."""
        if grade == GOES_ON or call.outcome == "completed":
            return
        who = f"The call from {somebody(call.from_)} to {somebody(call.to)}"
        why = (f"{who} reached no phone. It came from the provider of a phone here, and this phone "
               "was not seen to open the way before.")  # fmt: skip
        self._calls.add(call.call_id, (call.sender, (why, EARLIER)))

    def meet(self, line: str) -> None:
        """line: of a phone here, which is no stranger to its far host; "" for none."""
        if line:
            self._providers.add(ends_of(line)[1], True)

    def reasons(self) -> list[Reason]:
        return [reason for sender, reason in self._calls.values() if sender in self._providers]
