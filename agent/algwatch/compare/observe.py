# SPDX-License-Identifier: Apache-2.0
"""The outcome of a call speaks for or against turning the ALG off."""

from __future__ import annotations

from algwatch.base import address
from algwatch.base.packet import LAN, WAN
from algwatch.base.sighting import Sighting
from algwatch.compare.call import Call
from algwatch.compare.captured import Captured
from algwatch.compare.flow_pair import FlowPair
from algwatch.compare.foreign import foreign_ack, foreign_bye
from algwatch.compare.line import (
    DROPS_UNTOUCHED,
    REACHED_AT_PROXY,
    REACHED_REWRITTEN,
    URI_REFUSED,
    WORKS_REWRITTEN,
    WORKS_UNTOUCHED,
    Line,
)
from algwatch.compare.lines import Lines
from algwatch.compare.summary import CallSummary


def closed(call: Call, captured: Captured, lines: Lines) -> tuple[CallSummary, Line | None]:
    """The summary of a finished call, and its line: None if no message crossed. Notes the outcome
    for CAP005 and as observations of the line."""
    pair = call.flow_pair
    line = lines.of(pair) if pair is not None else None
    lossy = captured.lossy(call)
    summary = CallSummary(call, captured.now, line.name if line is not None else "", lossy)
    if summary.outcome != "completed" or call.partial_anywhere:
        captured.note_end(call, summary.outcome)
    if pair is not None and line is not None and _both_showed(call):
        bye = _taken_bye(call, pair)
        if bye is not None:
            lines.found(pair, call, bye)
        if _taken_rewritten(call, summary):
            line.observe(REACHED_REWRITTEN, None, captured.now)
        # Packets of a lossy call may not have been captured, so it speaks for nothing. Gaps can be
        # forged, so they take nothing away that speaks against a harm.
        if not lossy:
            _observe(call, summary, line, captured.now)
    return summary, line


def _taken_bye(call: Call, pair: FlowPair) -> Sighting | None:
    """The BYE of the far end which the phone accepted. One that it refuses may be anybody's."""
    d = call.dialog(WAN)
    if d is None or d.bye_by_caller != call.inbound or not 200 <= d.bye_status < 300:
        return None
    bye = d.bye_of.request if d.bye_of is not None else None
    if bye is None or "BYE" in call.misdelivered or bye.packed_ends[:16] != pair.line[16:]:
        return None
    return bye


def _both_showed(call: Call) -> bool:
    """True if both sides saw the 2xx: a dialog on one side alone may be anyone's."""
    lan, wan = call.dialog(LAN), call.dialog(WAN)
    return lan is not None and wan is not None and bool(lan.answered_at and wan.answered_at)


def _taken_rewritten(call: Call, summary: CallSummary) -> bool:
    """True if a phone that was called through the ALG took the ACK."""
    taken = summary.outcome == "completed" and summary.ack == "seen"
    return taken and call.inbound is True and bool(call.changed)


def _observe(call: Call, summary: CallSummary, line: Line, now: int) -> None:
    if call.at_proxy and summary.outcome == "completed" and summary.ack == "seen":
        line.observe(REACHED_AT_PROXY, None, now)
    ignored = summary.outcome == "dropped" and foreign_ack(call) is not None
    if ignored or foreign_bye(call) is not None:
        line.observe(URI_REFUSED, None, now)
    if call.changed:
        if summary.outcome == "completed":
            line.observe(WORKS_REWRITTEN, None, now)
    elif call.inbound and address.is_unreachable(call.wan_contact):
        # In an outgoing call the phone itself sends ACK and BYE: it does not show the target the
        # provider would have used.
        if summary.outcome == "completed" and summary.ack == "seen":
            line.observe(WORKS_UNTOUCHED, line.shown, now)
        elif summary.outcome == "dropped" and summary.ack == "missing":
            line.observe(DROPS_UNTOUCHED, line.shown, now)
