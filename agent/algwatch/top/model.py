# SPDX-License-Identifier: Apache-2.0
"""Model: the calls, lines and findings to browse, from reports or from their JSON. Bounded."""

from __future__ import annotations

from binascii import Error, a2b_base64
from datetime import UTC, datetime
from typing import Any

from algwatch.base.native.layout import ACK
from algwatch.base.quote import visible
from algwatch.base.report import Report
from algwatch.base.table import Table
from algwatch.compare.line import ends_of
from algwatch.compare.summary import CallSummary, RegistrationSummary
from algwatch.diagnose.finding import HURTS, Finding
from algwatch.report.render.grades import DEAD, graded
from algwatch.report.render.ladder import DELIVERED, Ladder

CALLS = 2000
FINDINGS = 2000
LINES = 500
ROOM = 64 << 20  # bytes of messages beside the ladders

Row = dict[str, Any]  # of docs/wire.md: a call, a registration, a finding


class Call:
    """row: as in `analyze --json`; lan, wan: the ACK to its 2xx was seen there, None if not
    known."""

    __slots__ = ("lan", "row", "wan")

    def __init__(self, row: Row) -> None:
        self.row = row
        self.lan: bool | None = None
        self.wan: bool | None = None

    @property
    def call_id(self) -> str:
        return str(self.row.get("call_id", ""))

    @property
    def line(self) -> str:
        return str(self.row.get("line", ""))

    @property
    def started(self) -> str:
        at = self.row.get("start")
        if not isinstance(at, int | float) or not 0 <= at < 1 << 32:
            return ""
        return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}"

    @property
    def ack(self) -> str:
        if self.lan is None and self.wan is None:
            return str(self.row.get("ack", ""))
        return "/".join(
            {True: "yes", False: "no", None: "?"}[side] for side in (self.lan, self.wan)
        )


class Model:
    """state, doubtful, why, next: of the verdict; state is "" before one. changed: something is
    new."""

    def __init__(self) -> None:
        self.calls: Table[str, Call] = Table(CALLS)
        self.findings: Table[str, Row] = Table(FINDINGS)
        self.registrations: Table[str, Row] = Table(LINES)
        self.advice: Table[str, Row] = Table(LINES)
        self.state = self.next = ""
        self.doubtful = False
        self.why: list[str] = []
        self.ladder: Ladder | None = None
        self.changed = True

    def hurts(self, call: Call) -> bool:
        """A finding of harm names the call, or it died."""
        if str(call.row.get("outcome")) in ("dropped", "unanswered"):
            return True
        return call.row.get("dead") is True or any(
            f.get("harm") in HURTS for f in self.of(call.call_id)
        )

    def of(self, call_id: str) -> list[Row]:
        return [f for f in self.findings.values() if f.get("call_id") == call_id]

    def verdict(self, call: Call) -> str:
        """The worst finding of a call, in a few words."""
        found = sorted(self.of(call.call_id), key=_badness, reverse=True)
        if found and found[0].get("harm") != "none":
            return f"{found[0].get('rule', '')} {found[0].get('slug', '')}"
        return ""

    def lines(self) -> list[tuple[Any, ...]]:
        """(name, phone, provider, calls, hurt calls, registered), the worst first."""
        numbers: dict[str, list[int]] = {}
        for call in self.calls.values():
            of = numbers.setdefault(call.line, [0, 0, 0])
            of[0] += 1
            of[1] += self.hurts(call)
        for one in self.registrations.values():
            of = numbers.setdefault(str(one.get("line", "")), [0, 0, 0])
            of[2] += one.get("outcome") == "accepted"
        named = sorted(
            ((name, of) for name, of in numbers.items() if name),
            key=lambda one: (-one[1][1], -one[1][0]),
        )
        return [(name, *ends_of(name), *of) for name, of in named[:LINES]]

    def shown(self, line: str, only_bad: bool, word: str) -> list[Call]:
        """Calls, the newest first. line: "" for all; word: a part of any of its texts."""
        word = word.lower()
        return [
            call
            for call in reversed(self.calls.values())
            if (not line or call.line == line)
            and (not only_bad or self.hurts(call))
            and (not word or word in self._text(call))
        ]

    def _text(self, call: Call) -> str:
        said = [str(value) for value in call.row.values()]
        said += [
            f"{f.get('rule')} {f.get('slug')} {f.get('summary')}" for f in self.of(call.call_id)
        ]
        return " ".join(said).lower()

    def report(self, report: Report) -> None:
        """A report of a pipeline."""
        self.changed = True
        if isinstance(report, CallSummary):
            if not report.unsolicited:
                self._call(_call_row(report))
        elif isinstance(report, RegistrationSummary):
            row = {name: getattr(report, name) for name in RegistrationSummary.__slots__}
            self.registrations.add(report.aor, row)
        elif isinstance(report, Finding):
            row = {name: getattr(report, name) for name in Finding.__slots__}
            row["looks"] = [(e.side, e.payload) for e in report.evidence[:4]]
            self._finding(report.key, row)

    def said(self, line: Row) -> None:
        """An object of `run --json`: {"finding": ...} and the like."""
        for kind, row in line.items():
            if not isinstance(row, dict):
                continue
            self.changed = True
            if kind == "call" and not row.get("unsolicited"):
                self._call(row)
            elif kind == "registration":
                self.registrations.add(str(row.get("aor", "")), row)
            elif kind == "advice":
                self.advice.add(f"{row.get('action')} {row.get('subject')}", row)
            elif kind == "finding":
                row["looks"] = [look for e in row.get("evidence", [])[:4] for look in _look(e)]
                key = f"{row.get('rule')} {row.get('call_id')} {row.get('line')} {row.get('side')}"
                self._finding(key, row)

    def status(self, page: Row) -> None:
        """The status file of an agent (docs/status.md)."""
        fresh = Model()
        for name, kind in (("calls", "call"), ("registrations", "registration"),
                           ("findings", "finding"), ("advice", "advice")):  # fmt: skip
            for row in reversed(page.get(name) or []):
                fresh.said({kind: row})
        verdict = page.get("verdict") or {}
        self.calls, self.findings = fresh.calls, fresh.findings
        self.registrations, self.advice = fresh.registrations, fresh.advice
        self.state, self.next = str(verdict.get("state", "")), str(verdict.get("next", ""))
        self.why = [str(text) for text in verdict.get("why") or []]
        self.doubtful = verdict.get("doubtful") is True
        self.changed = True

    def settle(self) -> None:
        """After the end of a file: take the state of each ACK from the ladders."""
        if self.ladder is None:
            return
        for call in self.calls.values():
            drawn = self.ladder.of(call.call_id)
            if drawn is None or not drawn.ack:
                continue
            acks = [step for step in drawn.steps if step.method == ACK]
            call.lan, call.wan = (any(getattr(s, side) for s in acks) for side in ("lan", "wan"))
            if not self.ladder.two_sided:
                call.lan = call.wan = None
            elif drawn.ack != DELIVERED and call.lan and call.wan:
                call.lan = False  # it came to another port
        self.changed = True

    def _call(self, row: Row) -> None:
        call = Call(row)
        self.calls.pop(call.call_id, None)
        self.calls.add(call.call_id, call)

    def _finding(self, key: str, row: Row) -> None:
        self.findings.pop(key, None)
        self.findings.add(key, row)


def _badness(finding: Row) -> int:
    harms = ("none", "latent", "observed", "certain")
    harm = finding.get("harm")
    return 2 * harms.index(harm) - bool(finding.get("symptom")) if harm in harms else 0


def _call_row(call: CallSummary) -> Row:
    row = {name: getattr(call, name) for name in CallSummary.__slots__}
    row["from"] = row.pop("from_")
    row["dead"] = graded(call) == DEAD
    return row


def _look(look: Any) -> list[tuple[str, bytes]]:
    """The message of an evidence: bytes of `run --json`, lines of a status file."""
    if not isinstance(look, dict):
        return []
    side = str(look.get("side", ""))
    if isinstance(look.get("message"), list):
        return [(side, "\r\n".join(map(str, look["message"])).encode("utf-8", "replace"))]
    try:
        return [(side, a2b_base64(str(look.get("bytes", ""))))]
    except (Error, ValueError):
        return []


def clean(text: object, most: int = 200) -> str:
    """Text from anywhere, for a terminal."""
    said = visible(str(text))
    return said if len(said) <= most else said[: most - 1] + "…"
