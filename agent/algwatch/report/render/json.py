# SPDX-License-Identifier: Apache-2.0
"""The one JSON object of `analyze --json`, written with bounded memory.

Findings, calls and registrations go to temporary files as they come, because a capture may hold
more of them than fit in memory. A later version of a finding replaces the earlier one.
"""

from __future__ import annotations

import os
from binascii import b2a_base64
from collections.abc import Callable, Iterable, Sequence

from algwatch.advise.advice import Advice, InForce
from algwatch.base.quote import cut_sentence
from algwatch.base.report import Report, by_kind
from algwatch.compare.summary import CallSummary, RegistrationSummary
from algwatch.diagnose.finding import Finding
from algwatch.report.render.verdict import Verdict

try:
    # Not the package json: its decoder costs the daemon 200 kB.
    from _json import encode_basestring_ascii
except ImportError:
    from json.encoder import encode_basestring_ascii

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO

SCHEMA = 1
ADVICE = 4096  # pieces of advice kept
# Bounds of a line of the daemon:
LINE_TEXT = 1000  # characters of a text
LINE_LOOKS = 8  # looks at the wire in a finding
LINE_PAYLOAD = 2048  # bytes of a message

Shown = Callable[[str], str]
quoted: Shown = encode_basestring_ascii
"""A text as JSON, in ASCII."""


def write_json(
    reports: Iterable[Report],
    counts: Callable[[], dict[str, dict[str, int]]],
    out: IO[str],
    notes: Callable[[], Sequence[str]] = tuple,
) -> int:
    """Print the object of all reports. counts is called after the last one ("capture", "crossings"
    and, if anything was evicted, "evicted"). notes: sentences about the texts read. Returns the
    exit status of the verdict."""
    with _scratch() as calls, _scratch() as registrations, _scratch() as found:
        spool = _Spool(_Rows(calls), _Rows(registrations), found)
        verdict = Verdict()
        for report in reports:
            verdict.feed(report)
            spool.feed(report)
        numbers = counts()
        verdict.settle(numbers)
        out.write(f'{{"schema":{SCHEMA},"verdict":{verdict_json(verdict)}')
        for name, values in numbers.items():
            out.write(f',"{name}":{_flat(values)}')
        if said := notes():
            out.write(f',"notes":{texts_json([*said])}')
        for name, rows in (("calls", spool.calls), ("registrations", spool.registrations)):
            out.write(f',"{name}":[')
            rows.copy(out)
            out.write("]")
        out.write(',"findings":[')
        spool.copy_findings(out)
        out.write('],"advice":[')
        out.write(",".join(advice_json(a) for a in spool.advice.all()))
        out.write("]}\n")
        return verdict.status


def write_ndjson(
    reports: Iterable[Report],
    counts: Callable[[], dict[str, dict[str, int]]],
    out: IO[str],
    notes: Callable[[], Sequence[str]] = tuple,
) -> int:
    """The same as lines, each an object with one member, named by its kind: {"call": ...}. First
    calls, as they end, then registrations, findings, advice, numbers, and the verdict."""
    with _scratch() as calls, _scratch() as registrations, _scratch() as found:
        spool = _Spool(_Rows(calls, "call"), _Rows(registrations, "registration"), found)
        verdict = Verdict()
        for report in reports:
            verdict.feed(report)
            spool.feed(report)
        numbers = counts()
        verdict.settle(numbers)
        spool.calls.copy(out)
        spool.registrations.copy(out)
        spool.copy_findings(out, '{"finding":', "}\n")
        for advice in spool.advice.all():
            out.write(f'{{"advice":{advice_json(advice)}}}\n')
        for note in notes():
            out.write(f'{{"note":{quoted(note)}}}\n')
        for name, values in numbers.items():
            out.write(f'{{"{name}":{_flat(values)}}}\n')
        out.write(f'{{"verdict":{verdict_json(verdict)}}}\n')
        return verdict.status


def _scratch() -> IO[str]:
    """A file without a name, in $TMPDIR or /tmp."""
    try:
        flags = os.O_TMPFILE | os.O_RDWR | os.O_EXCL
        return open(os.open(os.environ.get("TMPDIR", "/tmp"), flags, 0o600), "w+")
    except OSError:
        # Some file systems lack O_TMPFILE. Imported only here: it costs more than a megabyte.
        import tempfile

        return tempfile.TemporaryFile("w+")


class _Rows:
    """Rows of an array in a file, with commas between them, or each on a line under a name."""

    def __init__(self, file: IO[str], name: str = "") -> None:
        self._file = file
        self._comma = ""
        self._name = name

    def add(self, row: str) -> None:
        if self._name:
            self._file.write(f'{{"{self._name}":{row}}}\n')
            return
        self._file.write(self._comma + row)
        self._comma = ","

    def copy(self, out: IO[str]) -> None:
        self._file.seek(0)
        while chunk := self._file.read(65536):
            out.write(chunk)


class _Spool:
    def __init__(self, calls: _Rows, registrations: _Rows, found: IO[str]) -> None:
        self.calls = calls
        self.registrations = registrations
        self.advice = InForce(ADVICE)
        self._found = found
        self._by_kind = by_kind(self)
        self._latest: dict[str, tuple[int, int]] = {}
        self._size = 0

    def feed(self, report: Report) -> None:
        self._by_kind[report.kind](report)

    def _on_call(self, call: CallSummary) -> None:
        self.calls.add(call_json(call))

    def _on_registration(self, registration: RegistrationSummary) -> None:
        self.registrations.add(registration_json(registration))

    def _on_finding(self, finding: Finding) -> None:
        text = finding_json(finding)
        self._found.write(text)
        self._latest[finding.key] = self._size, len(text)
        self._size += len(text)

    def _on_advice(self, advice: Advice) -> None:
        self.advice.feed(advice)

    def copy_findings(self, out: IO[str], before: str = "", behind: str = "") -> None:
        """before, behind: text around each finding; a comma between findings if before is ""."""
        comma = before
        for start, length in self._latest.values():
            self._found.seek(start)  # all of it is ASCII: characters are bytes
            out.write(comma + self._found.read(length) + behind)
            comma = before or ","


def _flat(numbers: dict[str, int]) -> str:
    return "{" + ",".join(f'"{name}":{value}' for name, value in numbers.items()) + "}"


def texts_json(texts: list[str], shown: Shown = quoted) -> str:
    return "[" + ",".join(shown(text) for text in texts) + "]"


def _short(text: str) -> str:
    return quoted(cut_sentence(text, LINE_TEXT))


def _base64(data: bytes) -> str:
    return b2a_base64(data, newline=False).decode("ascii")


def _seconds(at: float) -> str:
    """f"{at:.6f}" for a third of the instructions. Until 2038 the product and the times are each
    good to 1/8, so a value close to a whole number of microseconds is this number."""
    micros = at * 1e6
    whole = int(micros + 0.5)
    if not (1.0 <= at < 2147483648.0 and -0.3 < micros - whole < 0.3):
        return f"{at:.6f}"
    digits = str(whole)
    return f"{digits[:-6]}.{digits[-6:]}"


def _bool(value: bool) -> str:
    return "true" if value else "false"


def line_json(report: Report) -> str:
    """Any report under its kind, as told by the daemon: {"finding": ...}. Bounded: texts have at
    most LINE_TEXT characters, and evidence LINE_LOOKS looks with LINE_PAYLOAD bytes each."""
    if isinstance(report, Finding):
        return f'{{"finding":{finding_json(report, _short, LINE_LOOKS, LINE_PAYLOAD)}}}'
    return f'{{"{report.kind}":{_ROWS[report.kind](report, _short)}}}'


def verdict_json(verdict: Verdict) -> str:
    why = texts_json(verdict.why)
    return f'{{"state":"{verdict.state}","why":{why},"next":{quoted(verdict.next)}}}'


def call_json(call: CallSummary, shown: Shown = quoted) -> str:
    """Times in seconds since 1970 with microseconds. "unsolicited" is present only if true."""
    unsolicited = ',"unsolicited":true' if call.unsolicited else ""
    return (
        f'{{"call_id":{shown(call.call_id)},"from":{shown(call.from_)},"to":{shown(call.to)},'
        f'"start":{_seconds(call.start)},"end":{_seconds(call.end)},"outcome":"{call.outcome}",'
        f'"status":{call.status},"ack":"{call.ack}","line":{shown(call.line)},'
        f'"invite_retransmissions":{call.invite_retransmissions},'
        f'"final_retransmissions":{call.final_retransmissions}{unsolicited}}}'
    )


def registration_json(one: RegistrationSummary, shown: Shown = quoted) -> str:
    """As call_json."""
    unsolicited = ',"unsolicited":true' if one.unsolicited else ""
    return (
        f'{{"aor":{shown(one.aor)},"call_id":{shown(one.call_id)},"start":{_seconds(one.start)},'
        f'"end":{_seconds(one.end)},"outcome":"{one.outcome}","status":{one.status},'
        f'"line":{shown(one.line)}{unsolicited}}}'
    )


def finding_json(finding: Finding, shown: Shown = quoted, looks: int | None = None,
                 most: int | None = None) -> str:  # fmt: skip
    """looks, most: limits on the looks at the wire, and on the bytes of each; None: all."""
    proof = ",".join(
        f'{{"side":"{e.side}","at":{_seconds(e.at)},"observed":{shown(e.observed)},'
        f'"expected":{shown(e.expected)},"bytes":"{_base64(e.payload[:most])}"}}'
        for e in finding.evidence[:looks]
    )
    more = f'"fingerprint":{shown(finding.fingerprint)},' if finding.fingerprint else ""
    if finding.next_step:
        more += f'"next":{shown(finding.next_step)},'
    return (
        f'{{"rule":"{finding.rule}","slug":"{finding.slug}","severity":"{finding.severity}",'
        f'"where":"{finding.where}","harm":"{finding.harm}","cause":"{finding.cause}",'
        f'"certain":{_bool(finding.certain)},"symptom":{_bool(finding.symptom)},'
        f'"line":{shown(finding.line)},"call_id":{shown(finding.call_id)},'
        f'"side":"{finding.side}","at":{_seconds(finding.at)},"summary":{shown(finding.summary)},'
        f'{more}"evidence":[{proof}]}}'
    )


def advice_json(advice: Advice, shown: Shown = quoted) -> str:
    return (
        f'{{"action":"{advice.action}","state":"{advice.state}","confidence":{advice.confidence},'
        f'"for":{texts_json(advice.for_, shown)},"against":{texts_json(advice.against, shown)},'
        f'"commands":{texts_json(advice.commands)},"subject":{shown(advice.subject)}}}'
    )


_ROWS: dict[str, Callable[..., str]] = {
    "finding": finding_json, "advice": advice_json, "call": call_json,
    "registration": registration_json,
}  # fmt: skip
