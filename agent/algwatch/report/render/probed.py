# SPDX-License-Identifier: Apache-2.0
"""Probed: the result of a probe as text for people and as an object for programs."""

from __future__ import annotations

from textwrap import fill

from algwatch.base.quote import visible
from algwatch.probe.result import REWRITTEN, SCOPE, UNKNOWN, UNTOUCHED, Result
from algwatch.probe.verdict import ADDED, MAPPED, MISSING, SAME, WRONG, Sent

WIDTH = 80
_CELLS = {SAME: "same", MAPPED: "mapping", WRONG: "WRONG", MISSING: "MISSING", ADDED: "ADDED"}
_ORDER = (
    "Request-URI", "Status-Line", "Via", "Max-Forwards", "Route", "Record-Route", "From", "To",
    "Call-ID", "CSeq", "Contact", "Expires", "Content-Type", "Content-Length", "SDP v=", "SDP o=",
    "SDP s=", "SDP c=", "SDP t=", "SDP m=", "SDP a=",
)  # fmt: skip
_NAME, _CELL = 15, 9  # columns
_LEGEND = (
    "same: both copies have it byte for byte; mapping: rewritten to the address and port that the "
    "NAT gives; WRONG: rewritten to something else; MISSING: not in the WAN copy; ADDED: only "
    "there; ?: no copy left; -: not in this message"
)
_NEXT = {
    REWRITTEN: "A rewrite alone is no fault: algwatch run tells whether it hurts a phone, and "
    "where it helps.",
    UNTOUCHED: f"The probe shows what happens {SCOPE}: flows that live already may still have a "
    "helper, and messages that come in are not probed.",
    UNKNOWN: "",
}


def text(result: Result) -> str:
    lines = []
    for host in result.cleaned:
        lines.append(f"cleaned up after a probe that was killed ({host})")
    if result.address:
        count = f"{len(result.sent)} message{'s' * (len(result.sent) != 1)}"
        lines.append(f"{result.address} in {result.lan} sent {count} to {result.far} by "
                     f"{result.wan}, with TTL 2")  # fmt: skip
    groups: dict[tuple[bool, int], list[Sent]] = {}
    for sent in result.sent:
        groups.setdefault((sent.message.tcp, sent.message.far_port), []).append(sent)
    shown = False
    for group in groups.values():
        if not any(sent.fields for sent in group):
            lines += ["", f"{_title(group)}: no copy of any message was seen to leave"]
            continue
        plain = all(sent.state == UNTOUCHED for sent in group)
        if plain and shown:
            lines += ["", f"{_title(group)}: all {len(group)} messages the same, byte for byte"]
            continue
        lines += ["", *_table(group)]
        shown = True
    lines += ["", fill(_LEGEND, WIDTH)] if shown else []
    lines += _changes(result)
    lines += [""] if lines else []
    early = [f"it ended early: {why}" for why in result.reasons if result.state == REWRITTEN]
    lines += [fill(f"Note: {visible(note)}.", WIDTH) for note in [*result.notes, *early]]
    lines.append(fill(visible(result.conclusion), WIDTH))
    if _NEXT[result.state]:
        lines.append(fill(_NEXT[result.state], WIDTH))
    return "\n".join(lines) + "\n"


def _title(group: list[Sent]) -> str:
    one = group[0].message
    return f"{'TCP' if one.tcp else 'UDP'} to port {one.far_port}"


def _column(sent: Sent) -> str:
    return f"{sent.message.kind}*" if sent.message.port == 5060 else sent.message.kind


def _table(group: list[Sent]) -> list[str]:
    """One column a message, one row a header field; the one from port 5060 has a star."""
    names = {name for sent in group for name, _ in sent.lines}
    names |= {field.name for sent in group for field in sent.fields}
    order = [name for name in _ORDER if name in names] + sorted(names.difference(_ORDER))
    head = _title(group).ljust(_NAME + 2)
    rows = [(head + "".join(_column(sent).ljust(_CELL) for sent in group)).rstrip()]
    for name in order:
        cells = [_cell(sent, name).ljust(_CELL) for sent in group]
        rows.append((f"  {visible(name)[:_NAME]:{_NAME}}" + "".join(cells)).rstrip())
    if any(sent.message.port == 5060 for sent in group):
        rows.append("  * from port 5060 of the phone")
    return rows


def _cell(sent: Sent, name: str) -> str:
    if not sent.fields:
        return "?" if any(other == name for other, _ in sent.lines) else "-"
    verdicts = [field.verdict for field in sent.fields if field.name == name]
    worst = next((v for v in (WRONG, MISSING, ADDED, MAPPED, SAME) if v in verdicts), "")
    return _CELLS.get(worst, "-")


def _changes(result: Result) -> list[str]:
    """The first change of each kind for each header field, both copies."""
    lines: list[str] = []
    seen = set()
    for sent in result.sent:
        for field in sent.fields:
            key = field.name, field.verdict, sent.message.tcp, sent.message.far_port
            if field.verdict == SAME or key in seen:
                continue
            seen.add(key)
            lines.append(
                f"{visible(field.name)} of {sent.message.name}: {field.verdict}"
                + (f" (the mapping: {visible(field.wanted)})" if field.wanted else "")
            )
            lines += [f"  {sign} {visible(value)}" for sign, value in
                      (("-", field.before), ("+", field.after)) if value]  # fmt: skip
    return ["", *lines] if lines else []


def as_object(result: Result) -> dict[str, object]:
    """For --json; keys are never renamed."""
    return {
        "state": result.state,
        "conclusion": result.conclusion,
        "scope": "new flows from the LAN to the WAN",
        "lan": result.lan, "wan": result.wan, "address": result.address, "far": result.far,
        "seconds": round(result.seconds, 3),
        "reasons": result.reasons, "notes": result.notes, "cleaned": result.cleaned,
        "messages": [
            {
                "message": sent.message.kind,
                "transport": "tcp" if sent.message.tcp else "udp",
                "port": sent.message.far_port,
                "source": sent.source, "mapped": sent.mapped,
                "state": sent.state,
                "helper": sent.helper, "like": sent.like, "why": sent.why,
                "fields": [
                    {"name": f.name, "verdict": f.verdict, "lan": f.before, "wan": f.after,
                     "mapping": f.wanted}
                    for f in sent.fields
                ],
            }
            for sent in result.sent
        ],
    }  # fmt: skip
