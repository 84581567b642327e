"""The one JSON object of `analyze --json`, written with bounded memory.

Findings and calls go to temporary files as they come, because a capture may hold more of them
than fit in memory; a finding that is said again with more knowledge replaces the earlier one.
"""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Callable, Iterable
from json.encoder import encode_basestring_ascii as quoted
from typing import IO

from algwatch.advise.advice import Advice
from algwatch.compare.summary import CallSummary
from algwatch.diagnose.finding import Finding

SCHEMA = 1


def write_json(
    reports: Iterable[Finding | Advice | CallSummary],
    counts: Callable[[], dict[str, dict[str, int]]],
    out: IO[str],
) -> int:
    """Print the object of all reports; counts is asked when they are all there ("capture",
    "crossings" and, where anything was, "evicted"). Returns the exit status: 1 when
    something is observed or certain to hurt."""
    with _scratch() as calls, _scratch() as found:
        spool = _Spool(calls, found)
        for report in reports:
            spool.add(report)
        numbers = counts()
        out.write(f'{{"schema":{SCHEMA}')
        for name, values in numbers.items():
            out.write(f',"{name}":{_flat(values)}')
        out.write(',"calls":[')
        spool.copy_calls(out)
        out.write('],"findings":[')
        spool.copy_findings(out)
        out.write('],"advice":[')
        out.write(",".join(advice_json(a) for a in spool.advice.values()))
        out.write("]}\n")
        return spool.status


def _scratch() -> IO[str]:
    """A file without a name, in $TMPDIR or /tmp."""
    try:
        flags = os.O_TMPFILE | os.O_RDWR | os.O_EXCL
        return open(os.open(os.environ.get("TMPDIR", "/tmp"), flags, 0o600), "w+")
    except OSError:
        # Not every file system can do that. Imported only here: it costs more than a megabyte.
        import tempfile

        return tempfile.TemporaryFile("w+")


class _Spool:
    def __init__(self, calls: IO[str], found: IO[str]) -> None:
        self._calls = calls
        self._found = found
        self._any_call = False
        self._latest: dict[str, tuple[int, int, bool]] = {}
        self._size = 0
        self.advice: dict[tuple[str, str], Advice] = {}

    def add(self, report: Finding | Advice | CallSummary) -> None:
        if isinstance(report, CallSummary):
            if self._any_call:
                self._calls.write(",")
            self._any_call = True
            self._calls.write(call_json(report))
        elif isinstance(report, Finding):
            text = finding_json(report)
            self._found.write(text)
            hurts = report.harm in ("observed", "certain")
            self._latest[report.key] = (self._size, len(text), hurts)
            self._size += len(text)
        elif report.state == "none":
            self.advice.pop((report.action, report.subject), None)
        else:
            self.advice[(report.action, report.subject)] = report

    def copy_calls(self, out: IO[str]) -> None:
        self._calls.seek(0)
        while chunk := self._calls.read(65536):
            out.write(chunk)

    def copy_findings(self, out: IO[str]) -> None:
        comma = ""
        for start, length, _ in self._latest.values():
            self._found.seek(start)  # all of it is ASCII: characters are bytes
            out.write(comma + self._found.read(length))
            comma = ","

    @property
    def status(self) -> int:
        return int(any(hurts for _, _, hurts in self._latest.values()))


def _flat(numbers: dict[str, int]) -> str:
    return "{" + ",".join(f'"{name}":{value}' for name, value in numbers.items()) + "}"


def _list(texts: list[str]) -> str:
    return "[" + ",".join(quoted(text) for text in texts) + "]"


def call_json(call: CallSummary) -> str:
    """Times in seconds since 1970 with microseconds."""
    return (
        f'{{"call_id":{quoted(call.call_id)},"from":{quoted(call.from_)},"to":{quoted(call.to)},'
        f'"start":{call.start:.6f},"end":{call.end:.6f},"outcome":"{call.outcome}",'
        f'"ack":"{call.ack}","invite_retransmissions":{call.invite_retransmissions},'
        f'"final_retransmissions":{call.final_retransmissions}}}'
    )


def finding_json(finding: Finding) -> str:
    proof = ",".join(
        f'{{"side":"{e.side}","at":{e.at:.6f},"observed":{quoted(e.observed)},'
        f'"expected":{quoted(e.expected)},"bytes":"{b64encode(e.payload).decode()}"}}'
        for e in finding.evidence
    )
    print_ = f'"fingerprint":{quoted(finding.fingerprint)},' if finding.fingerprint else ""
    return (
        f'{{"rule":"{finding.rule}","slug":"{finding.slug}","severity":"{finding.severity}",'
        f'"where":"{finding.where}","harm":"{finding.harm}","call_id":{quoted(finding.call_id)},'
        f'"side":"{finding.side}","at":{finding.at:.6f},"summary":{quoted(finding.summary)},'
        f'{print_}"evidence":[{proof}]}}'
    )


def advice_json(advice: Advice) -> str:
    return (
        f'{{"action":"{advice.action}","state":"{advice.state}","confidence":{advice.confidence},'
        f'"for":{_list(advice.for_)},"against":{_list(advice.against)},'
        f'"commands":{_list(advice.commands)},"subject":{quoted(advice.subject)}}}'
    )
