# SPDX-License-Identifier: Apache-2.0
"""One line a report, for the log of a router (logread adds the time) and for a terminal.

A line is a word for its kind, then fields, key=value (logfmt). A value other than one plain word
stands in double quotes, with a backslash before quotes and backslashes, and escapes for unprintable
characters: so no value can look like another field or another line. The last field is the sentence.
"""

from __future__ import annotations

import re

from algwatch.advise.advice import Advice
from algwatch.base.quote import cut, cut_sentence, somebody, visible
from algwatch.base.report import Report
from algwatch.compare.summary import CallSummary, RegistrationSummary
from algwatch.diagnose import cause
from algwatch.diagnose.finding import Finding
from algwatch.report.render import status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Fields = list[tuple[str, str]]

MAX_LINE = 1000  # bytes; syslog cuts at 1024
MAX_FIELD = 160  # bytes of a value
AGENT = "agent"  # the kind of lines about the agent itself

# A value that needs no quotes.
_PLAIN = re.compile(r"[A-Za-z0-9_.:@/+%-]+")
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
    """The line of any report, at most MAX_LINE bytes."""
    return fields_line(report.kind, _FIELDS[report.kind](report))


def agent_line(text: str) -> str:
    """A line about the agent itself."""
    return fields_line(AGENT, [("msg", text)])


def fields_line(kind: str, fields: Fields) -> str:
    """kind key=value ...; a field without a value is left out. The last one is cut to the room left
    by the others."""
    *first, (key, text) = [(key, value) for key, value in fields if value]
    line = kind + "".join(f" {k}={_fitted(v, MAX_FIELD)}" for k, v in first)
    room = MAX_LINE - len(line.encode()) - len(key) - 2
    return f"{line} {key}={_fitted(cut_sentence(text, room), room)}"


def _fitted(text: str, room: int) -> str:
    """As _value, in so many bytes."""
    text = cut(text, room)
    shown = _value(text)
    if len(shown) <= room and shown.isascii():
        return shown
    while (over := len(shown.encode()) - room) > 0 and text:
        # A character takes at most ten bytes, and no escape is cut in two.
        text = text[: -max(4, over // 10)]
        shown = _value(text + "..." if text else "")
    return shown


def _value(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return text
    return '"' + visible(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'


def _finding(finding: Finding) -> Fields:
    return [
        ("severity", finding.severity), ("rule", finding.rule), ("slug", finding.slug),
        ("where", finding.where), ("harm", finding.harm), ("line", finding.line),
        ("call", finding.call_id),
        ("msg", f"{_about(finding)}: {finding.summary} {finding.next_step}".rstrip()),
    ]  # fmt: skip


def _about(finding: Finding) -> str:
    """The place, and the harm; a capture hurts nobody."""
    if finding.cause == cause.CAPTURE:
        return "about the capture"
    return f"{_PLACES[finding.where]}, {_HARMS[finding.harm]}"


def _advice(advice: Advice) -> Fields:
    fields = [("action", advice.action), ("state", advice.state), ("line", advice.subject)]
    if advice.state == "none":
        return [*fields, ("msg", f"withdrawn: {'; '.join(advice.against)}")]
    # The commands have a field of their own, never shared with a sentence.
    fields += [("sure", f"{advice.confidence:.0%}")]
    lines = advice.short or advice.commands
    fields += [(f"type{n}", text) for n, text in enumerate(lines, 1)]
    return [*fields, ("msg", advice.for_[0] if advice.for_ else advice.state)]


def _call(call: CallSummary) -> Fields:
    seconds = max(0.0, call.end - call.start)
    refused = f" with {status.in_words(call.status)}" if call.outcome == "rejected" else ""
    ack = ", ACK missing" if call.ack == "missing" else ""
    return [
        ("call", call.call_id), ("outcome", call.outcome),
        ("status", str(call.status or "")), ("ack", call.ack), ("seconds", f"{seconds:.1f}"),
        ("line", call.line), ("msg", f"{call.outcome}{refused} after {seconds:.1f} s{ack}"),
    ]  # fmt: skip


def _registration(registration: RegistrationSummary) -> Fields:
    code = f" with {status.in_words(registration.status)}" if registration.status else ""
    outcome = registration.outcome
    return [
        ("aor", registration.aor), ("outcome", outcome), ("status", str(registration.status or "")),
        ("line", registration.line),
        ("msg", f"registration of {somebody(registration.aor)} {outcome}{code}"),
    ]  # fmt: skip


_FIELDS: dict[str, Callable[[Any], Fields]] = {
    "finding": _finding, "advice": _advice, "call": _call, "registration": _registration,
}  # fmt: skip
