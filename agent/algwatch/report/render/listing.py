# SPDX-License-Identifier: Apache-2.0
"""Listing: every call of a capture as a row, sorted, for people or as CSV (RFC 4180).

The rows wait in a temporary file; sort keys and findings stay in memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from tempfile import TemporaryFile
from typing import IO, Any

from algwatch.base.quote import visible
from algwatch.base.report import Report, by_kind
from algwatch.base.table import Table
from algwatch.compare.summary import CallSummary
from algwatch.diagnose.finding import HURTS, Finding
from algwatch.report.render.moment import moment
from algwatch.report.render.of_lines import key_of
from algwatch.report.render.terminal import Terminal
from algwatch.report.render.verdict import Verdict

FOUND = 100_000  # calls with remembered findings
CHOSEN = 200  # calls a pattern may choose: as many as a ladder keeps

SORTS = ("start", "end", "length", "outcome", "from", "to", "line", "found")
COLUMNS = ("number", "start", "end", "outcome", "status", "ack", "inbound", "from", "to", "line",
           "call_id", "invite_retransmissions", "final_retransmissions", "unsolicited", "hurts",
           "may_hurt")  # fmt: skip
Row = dict[str, Any]


class Listing:
    """Fed with every report. verdict: settled by the caller."""

    def __init__(self) -> None:
        self.verdict = Verdict()
        self._by_kind = by_kind(self)
        self._rows = TemporaryFile()  # noqa: SIM115
        self._keys: list[tuple[int, int]] = []  # key_of a call, offset of its row
        self._found: Table[str, dict[str, str]] = Table(FOUND)

    def feed(self, report: Report) -> None:
        self.verdict.feed(report)
        self._by_kind[report.kind](report)

    def _on_advice(self, _: Report) -> None:
        pass

    _on_registration = _on_advice

    def _on_finding(self, finding: Finding) -> None:
        if not finding.call_id or finding.harm == "none":
            return
        found = self._found.get(finding.call_id)
        if found is None:
            found = {}
            self._found.add(finding.call_id, found)
        found[finding.rule] = finding.harm

    def _on_call(self, call: CallSummary) -> None:
        row = [call.start, call.end, call.outcome, call.status, call.ack, call.inbound, call.from_,
               call.to, call.line, call.call_id, call.invite_retransmissions,
               call.final_retransmissions, call.unsolicited]  # fmt: skip
        self._keys.append((key_of(call), self._rows.tell()))
        self._rows.write(json.dumps(row).encode() + b"\n")

    def rows(self, sort: str = "start") -> Iterator[Row]:
        """The calls, each with its number, sorted by a word of SORTS. start and end are seconds
        since 1970; hurts and may_hurt are rules."""
        self._keys.sort()
        places = [(number, offset) for number, (_, offset) in enumerate(self._keys, 1)]
        if sort != "start":
            by = [(_sorted_by(self._row(*place), sort), place) for place in places]
            places = [place for _, place in sorted(by, key=lambda pair: pair[0])]
        for place in places:
            yield self._row(*place)

    def _row(self, number: int, offset: int) -> Row:
        self._rows.seek(offset)
        row = dict(zip(COLUMNS, [number, *json.loads(self._rows.readline())], strict=False))
        found = self._found.get(row["call_id"], {})
        row["hurts"] = [rule for rule, harm in found.items() if harm in HURTS]
        row["may_hurt"] = [rule for rule, harm in found.items() if harm not in HURTS]
        return row

    @property
    def calls(self) -> int:
        return len(self._keys)

    @property
    def of_one_day(self) -> bool:
        """All calls began on one day (UTC)."""
        starts = [self._row(0, offset)["start"] for _, offset in (min(self._keys), max(self._keys))
                  ] if self._keys else []  # fmt: skip
        return len({int(start) // 86400 for start in starts}) < 2

    def chosen(self, patterns: Iterable[str], rules: frozenset[str]) -> frozenset[str]:
        """The Call-IDs of chosen calls. A call is chosen by its number, its Call-ID, or a pattern
        (of a shell; or a part) of its Call-ID, From or To. If rules are given, one of them must
        have found something in it."""
        patterns = [*patterns]
        found: list[str] = []
        for row in self.rows():
            if len(found) >= CHOSEN:
                break
            if rules and not rules & {*row["hurts"], *row["may_hurt"]}:
                continue
            if not patterns or any(_matches(row, pattern) for pattern in patterns):
                found.append(row["call_id"])
        return frozenset(found)


def gathered(reports: Iterable[Report], counts: Callable[[], dict[str, dict[str, int]]]) -> Listing:
    listing = Listing()
    for report in reports:
        listing.feed(report)
    listing.verdict.settle(counts())
    return listing


def write_list(listing: Listing, out: IO[str], terminal: Terminal, width: int, sort: str) -> int:
    """A call a line. Returns the exit status of the verdict."""
    if not listing.calls:
        out.write("No call was seen.\n")
        return listing.verdict.status
    form = "%H:%M:%S" if listing.of_one_day else "%m-%d %H:%M:%S"
    sizes = _sizes(width, len(str(listing.calls)), 8 if listing.of_one_day else 14)
    head = ["#", "UTC", "length", "who", "outcome", "hurts"]
    out.write(terminal.paint(_line(head, sizes, terminal), "dim") + "\n")
    for row in listing.rows(sort):
        outcome = f"{row['outcome']} {row['status'] or ''}".rstrip()
        what = ", ".join(row["hurts"]) or (f"may: {', '.join(row['may_hurt'])}" if row["may_hurt"]
                                           else "")  # fmt: skip
        arrow = {True: "<-", False: "->", None: ".."}[row["inbound"]]
        who = f"{_short(row['from'])} to {_short(row['to'])}"
        cells = [str(row["number"]), moment(max(row["start"], 0.0)).strftime(form),
                 f"{row['end'] - row['start']:.1f} s", f"{arrow} {who}", outcome, what]  # fmt: skip
        style = "red" if row["hurts"] else ""
        out.write(terminal.paint(_line(cells, sizes, terminal), style) + "\n")
    return listing.verdict.status


def _sizes(width: int, number: int, time: int) -> tuple[int, ...]:
    """Columns of the cells. The names get the most: nothing else tells the calls apart."""
    length, outcome = 8, 12
    rest = width - number - time - length - outcome - 5
    hurts = max(14, rest * 30 // 100)
    return number, time, length, rest - hurts, outcome, hurts


def _line(cells: list[str], sizes: tuple[int, ...], terminal: Terminal) -> str:
    cut = [terminal.cut(terminal.clean(cell), size)
           for cell, size in zip(cells, sizes, strict=True)]  # fmt: skip
    shown = [f"{cell:>{size}}" if i in (0, 2) else f"{cell:{size}}"
             for i, (cell, size) in enumerate(zip(cut, sizes, strict=True))]  # fmt: skip
    return " ".join(shown).rstrip()


def write_csv(listing: Listing, out: IO[str], sort: str) -> int:
    """The columns of COLUMNS. Returns the exit status of the verdict."""
    out.write(",".join(COLUMNS) + "\r\n")
    for row in listing.rows(sort):
        out.write(",".join(_cell(row[name]) for name in COLUMNS) + "\r\n")
    return listing.verdict.status


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6f}"
    text = visible(" ".join(value) if isinstance(value, list) else str(value))
    if text[:1] in ("=", "+", "-", "@"):  # a spreadsheet would compute it
        text = f"'{text}"
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\r\n') else text


def _short(uri: str) -> str:
    """The user of a URI, or its host."""
    bare = uri.split(":", 1)[-1]
    return bare.split("@", 1)[0] or bare


def _sorted_by(row: Row, sort: str) -> tuple[Any, ...]:
    if sort == "length":
        return (row["start"] - row["end"], row["number"])
    if sort == "found":
        return (-len(row["hurts"]), -len(row["may_hurt"]), row["number"])
    return (row[sort], row["number"])


def _matches(row: Row, pattern: str) -> bool:
    if pattern.isascii() and pattern.isdigit() and int(pattern) == row["number"]:
        return True
    texts = row["call_id"], row["from"], row["to"]
    return pattern in texts or any(
        fnmatchcase(text.lower(), pattern.lower()) or (
            len(pattern) > 2 and pattern.lower() in text.lower()
        )
        for text in texts
    )  # fmt: skip
