# SPDX-License-Identifier: Apache-2.0
"""One line a report, for the log of a router (logread adds the time) and for a terminal."""

from __future__ import annotations

from algwatch.advise.advice import Advice
from algwatch.base.report import Report
from algwatch.compare.summary import CallSummary, RegistrationSummary
from algwatch.diagnose.finding import Finding
from algwatch.report.render import status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

MAX_LINE = 1000  # characters; syslog cuts at 1024 bytes

_PLACES = {
    "phone": "on the phone",
    "router": "in this router",
    "provider": "at the provider",
    "network": "in the network beyond",
    "unknown": "place unknown",
}
_HARMS = {
    "none": "harmless",
    "latent": "may hurt later",
    "observed": "it hurt",
    "certain": "certain to hurt",
}


def log_line(report: Report) -> str:
    """A sentence or two. Bytes from the wire cannot control the terminal."""
    return printable(_SENTENCES[report.kind](report))


def printable(text: str) -> str:
    if len(text) > MAX_LINE:
        text = text[: MAX_LINE - 1] + "…"
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def _finding(finding: Finding) -> str:
    about = f" (call {finding.call_id})" if finding.call_id else ""
    place, harm = _PLACES[finding.where], _HARMS[finding.harm]
    return f"{finding.severity}: {finding.rule} {place}, {harm}: {finding.summary}{about}"


def _advice(advice: Advice) -> str:
    subject = f" for {advice.subject}" if advice.subject else ""
    if advice.state == "none":
        return f"advice: {advice.action} withdrawn{subject}: {'; '.join(advice.against)}"
    reason = f": {advice.for_[0]}" if advice.for_ else ""
    commands = f" To do so: {'; '.join(advice.commands)}" if advice.commands else ""
    sure = f"{advice.confidence:.0%} sure"
    return f"advice: {advice.action} {advice.state}{subject}, {sure}{reason}{commands}"


def _call(call: CallSummary) -> str:
    seconds = max(0.0, call.end - call.start)
    ack = ", ACK missing" if call.ack == "missing" else ""
    refused = f" with {status.in_words(call.status)}" if call.outcome == "rejected" else ""
    return f"call {call.call_id} {call.outcome}{refused} after {seconds:.1f} s{ack}"


def _registration(registration: RegistrationSummary) -> str:
    code = f" with {status.in_words(registration.status)}" if registration.status else ""
    return f"registration of {registration.aor} {registration.outcome}{code}"


_SENTENCES: dict[str, Callable[[Any], str]] = {
    "finding": _finding, "advice": _advice, "call": _call, "registration": _registration,
}  # fmt: skip
