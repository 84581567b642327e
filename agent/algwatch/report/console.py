# SPDX-License-Identifier: Apache-2.0
"""The daemon's lines on the router itself, for the log or for a program."""

from __future__ import annotations

from time import monotonic

from algwatch.base.report import Report
from algwatch.base.table import Table
from algwatch.report.rate import Rate, Untold
from algwatch.report.render.log_line import agent_line, fields_line, log_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from algwatch.advise.advice import Advice
    from algwatch.compare.summary import RegistrationSummary

REGISTRATIONS = 256  # addresses of record with a remembered outcome
HELD = 64  # pieces of advice held back
ACCEPTED = ("accepted", 0)
TELL_UNTOLD = 60.0  # seconds between lines about left-out lines
TELL_HELD = 5.0  # seconds between attempts to tell held-back advice


class Console:
    """out: takes a line of standard output; err: of standard error, for lines about the agent
    itself if standard output has JSON. Both return at once. Lines are bounded in number: left-out
    lines are counted, and their number is told. Advice is told later, in its latest state.

    anonymous: makes an anonymous copy of a report, for sentences, which may go into a log; None:
    names as they are. JSON lines are for a program: they hold whole messages and are never
    anonymous.
    """

    def __init__(self, out: Callable[[str], None], err: Callable[[str], None], as_json: bool,
                 clock: Callable[[], float] = monotonic) -> None:  # fmt: skip
        self._out = out
        self._err = err if as_json else out
        self._json = as_json
        self._clock = clock
        self._rate = Rate(clock)
        self.anonymous: Callable[[Report], Report] | None = None
        self._registered: Table[str, tuple[str, int]] = Table(REGISTRATIONS)
        self._held: Table[tuple[str, str], Advice] = Table(HELD, gone=self._is_too_much)
        self._held_at = self._untold_at = clock()

    def say(self, text: str, always: bool = False) -> None:
        """A line about the agent itself; any thread, but no signal handler. always: even after too
        many."""
        if always or self._rate.passes("agent"):
            self._err(agent_line(text))

    def report(self, report: Report) -> None:
        """A method of this class decides for a kind that is not always told."""
        is_told = getattr(self, f"_is_told_{report.kind}", self._is_told)
        if is_told(report):
            self._tell(report)

    def tick(self) -> None:
        """Now and then: tell held-back advice, and the number of left-out lines."""
        now = self._clock()
        if now - self._held_at >= TELL_HELD:
            self._held_at = now
            self._tell_held(False)
        if now - self._untold_at >= TELL_UNTOLD:
            self._untold_at = now
            self._tell_untold()

    def finish(self) -> None:
        """Nothing more will be reported."""
        self._tell_held(True)
        self._tell_untold()

    def _tell(self, report: Report) -> None:
        self._out(self._as_json(report) if self._json else self._as_line(report))

    def _is_told(self, report: Report) -> bool:
        kind = getattr(report, "rule", report.kind)
        hurts = getattr(report, "hurts", False)
        return self._rate.passes(kind, getattr(report, "line", ""), hurts)

    def _is_told_advice(self, advice: Advice) -> bool:
        key, subject = (advice.action, advice.subject), f"{advice.action} for {advice.subject}"
        self._held.pop(key, None)
        if self._rate.passes("advice", subject, True, count=False):
            return True
        self._held.add(key, advice)
        return False

    def _is_too_much(self, advice: Advice) -> None:
        """Held-back advice is evicted for want of room."""
        self._rate.miss("advice", f"{advice.action} for {advice.subject}")

    def _is_told_registration(self, registration: RegistrationSummary) -> bool:
        """Phones refresh every few minutes: only a failure, or another outcome than before, is
        news."""
        if registration.unsolicited or registration.outcome == "unknown":
            return False
        now = registration.outcome, registration.status
        if registration.outcome == "accepted":
            now = ACCEPTED
        before = self._registered.get(registration.aor, ACCEPTED)
        self._registered.add(registration.aor, now)
        return now != before and self._is_told(registration)

    def _tell_held(self, all_of_it: bool) -> None:
        for key, advice in list(self._held.items()):
            subject = f"{advice.action} for {advice.subject}"
            if all_of_it or self._rate.passes("advice", subject, True, count=False):
                del self._held[key]
                self._tell(advice)

    def _tell_untold(self) -> None:
        for kind, untold in self._rate.untold():
            self._out(untold_json(kind, untold) if self._json else untold_line(kind, untold))

    def _as_line(self, report: Report) -> str:
        return log_line(report if self.anonymous is None else self.anonymous(report))

    def _as_json(self, report: Report) -> str:
        # Imported here: only some routers need it.
        from algwatch.report.render.json import line_json

        return line_json(report)


def untold_line(kind: str, untold: Untold) -> str:
    lines = ", ".join(untold.subjects)
    about = f" about {lines}{' and others' if untold.more else ''}" if lines else ""
    return fields_line("untold", [
        ("kind", kind), ("count", str(untold.count)),
        ("msg", f"{untold.count} more of {kind} came too fast and were not told{about}"),
    ])  # fmt: skip


def untold_json(kind: str, untold: Untold) -> str:
    from algwatch.report.render.json import texts_json

    about, more = texts_json(list(untold.subjects)), "true" if untold.more else "false"
    return f'{{"untold":{{"kind":"{kind}","count":{untold.count},"about":{about},"more":{more}}}}}'


def gap(as_json: bool) -> Callable[[int, str], str]:
    """Makes the line for lines that could not be written (report/output.py)."""

    def told(lines: int, why: str) -> str:
        why = why or "they were not read"
        if as_json:
            from algwatch.report.render.json import texts_json

            return f'{{"unwritten":{{"lines":{lines},"why":{texts_json([why])[1:-1]}}}}}'
        text = f"{lines} lines could not be written here: {why}"
        return fields_line("unwritten", [("lines", str(lines)), ("msg", text)])

    return told
