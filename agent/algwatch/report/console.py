"""What the daemon says on the router itself, for the log or for a program."""

from __future__ import annotations

import os
import sys
from typing import IO

from algwatch.advise.advice import Advice
from algwatch.compare.summary import CallSummary
from algwatch.diagnose.finding import Finding
from algwatch.report.render.log_line import log_line, printable


class Console:
    """Standard output: sentences, or JSON lines. A reader that went away does not stop us."""

    def __init__(self, out: IO[str], as_json: bool) -> None:
        self._out: IO[str] | None = out
        self._json = as_json

    def say(self, text: str) -> None:
        """A line about the agent itself; any thread. With JSON it goes to standard error."""
        if self._json:
            print(f"algwatch: {printable(text)}", file=sys.stderr, flush=True)
        else:
            self._write(printable(text))

    def report(self, report: Finding | Advice | CallSummary) -> None:
        self._write(self._as_json(report) if self._json else log_line(report))

    def _as_json(self, report: Finding | Advice | CallSummary) -> str:
        from algwatch.report.render import json

        if isinstance(report, Finding):
            return f'{{"finding":{json.finding_json(report)}}}'
        if isinstance(report, Advice):
            return f'{{"advice":{json.advice_json(report)}}}'
        return f'{{"call":{json.call_json(report)}}}'

    def _write(self, line: str) -> None:
        if self._out is None:
            return
        try:
            self._out.write(line + "\n")
            self._out.flush()
        except OSError:
            self._out = None
            # Python flushes once more when it exits, and would complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
