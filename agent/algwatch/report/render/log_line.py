"""One line an event, for the log of a router (logread adds the time) and for a terminal."""

from __future__ import annotations

from algwatch.advise.advice import Advice
from algwatch.compare.summary import CallSummary
from algwatch.diagnose.finding import Finding

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


def log_line(report: Finding | Advice | CallSummary) -> str:
    """A sentence or two. What came from the wire cannot drive the terminal."""
    if isinstance(report, Finding):
        text = _finding(report)
    elif isinstance(report, Advice):
        text = _advice(report)
    else:
        text = _call(report)
    return printable(text)


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
    return f"call {call.call_id} {call.outcome} after {seconds:.1f} s{ack}"
