# SPDX-License-Identifier: Apache-2.0
"""Anonymous: reports without people, for the log of a router. Syslog servers, support bundles and
everybody with the router's password read it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from algwatch.advise.advice import Advice
from algwatch.base.report import Report
from algwatch.base.typed import Any, TypeVar
from algwatch.compare.summary import CallSummary, RegistrationSummary
from algwatch.diagnose.finding import Finding
from algwatch.report.privacy import Privacy

R = TypeVar("R", bound=Report)


def anonymous(report: R, privacy: Privacy) -> R:
    """A copy of a report with pseudonyms for people, as in the reports sent by MQTT, and without
    its evidence."""
    made: R = _BY_KIND[report.kind](report, privacy)
    return made


def for_log(report: Report, privacy: Privacy) -> Report:
    """The same for a line of the log, which names no end of a call."""
    if isinstance(report, CallSummary):
        return _logged(report, privacy)
    return anonymous(report, privacy)


def _copy(report: R) -> R:
    made = type(report).__new__(type(report))
    slots: Iterable[str] = report.__slots__
    for name in slots:
        setattr(made, name, getattr(report, name))
    return made


def _finding(finding: Finding, privacy: Privacy) -> Finding:
    made = _copy(finding)
    made.summary = privacy.text(finding.summary)
    made.next_step = privacy.text(finding.next_step)
    made.line = privacy.text(finding.line)
    made.call_id = privacy.call_id(finding.call_id)
    made.evidence = []
    return made


def _advice(advice: Advice, privacy: Privacy) -> Advice:
    made = _copy(advice)
    made.for_ = [privacy.text(line) for line in advice.for_]
    made.against = [privacy.text(line) for line in advice.against]
    made.subject = privacy.text(advice.subject)
    return made


def _call(call: CallSummary, privacy: Privacy) -> CallSummary:
    made = _logged(call, privacy)
    made.from_ = privacy.value(call.from_)
    made.to = privacy.value(call.to)
    made.failure = privacy.value(call.failure)
    return made


def _logged(call: CallSummary, privacy: Privacy) -> CallSummary:
    made = _copy(call)
    made.call_id = privacy.call_id(call.call_id)
    made.line = privacy.text(call.line)
    made.from_ = made.to = made.failure = ""
    return made


def _registration(one: RegistrationSummary, privacy: Privacy) -> RegistrationSummary:
    made = _copy(one)
    made.call_id = privacy.call_id(one.call_id)
    made.aor = privacy.value(one.aor)
    made.line = privacy.text(one.line)
    return made


_BY_KIND: dict[str, Callable[[Any, Privacy], Any]] = {
    "finding": _finding, "advice": _advice, "call": _call, "registration": _registration,
}  # fmt: skip
