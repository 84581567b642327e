# SPDX-License-Identifier: Apache-2.0
"""The daemon's lines on the router itself, for the log or for a program."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import IO

from algwatch.base.report import Report
from algwatch.base.table import Table
from algwatch.report.render.log_line import log_line, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from algwatch.compare.summary import RegistrationSummary

REGISTRATIONS = 256  # addresses of record of which the latest word is remembered
ACCEPTED = ("accepted", 0)


class Console:
    """Standard output: sentences, or JSON lines. A reader that went away does not stop us.

    anonymous: makes of a report one that names nobody, for sentences, which may go into a log;
    None: names as they are. JSON lines are for a program, hold whole messages, and are as they are.
    """

    def __init__(self, out: IO[str], as_json: bool) -> None:
        self._out: IO[str] | None = out
        self._json = as_json
        self.anonymous: Callable[[Report], Report] | None = None
        self._registered: Table[str, tuple[str, int]] = Table(REGISTRATIONS)

    def say(self, text: str) -> None:
        """A line about the agent itself; any thread. With JSON it goes to standard error."""
        if self._json:
            print(f"algwatch: {printable(text)}", file=sys.stderr, flush=True)
        else:
            self._write(printable(text))

    def report(self, report: Report) -> None:
        """A kind that is not always told has a method of its own here, which says whether."""
        is_told = getattr(self, f"_is_told_{report.kind}", None)
        if is_told is None or is_told(report):
            self._write(self._as_json(report) if self._json else self._as_line(report))

    def _is_told_registration(self, registration: RegistrationSummary) -> bool:
        """Phones refresh every few minutes: only one that fails, or ends otherwise than the one
        before it, is news."""
        if registration.unsolicited or registration.outcome == "unknown":
            return False
        now = registration.outcome, registration.status
        if registration.outcome == "accepted":
            now = ACCEPTED
        before = self._registered.get(registration.aor, ACCEPTED)
        self._registered.add(registration.aor, now)
        return now != before

    def _as_line(self, report: Report) -> str:
        return log_line(report if self.anonymous is None else self.anonymous(report))

    def _as_json(self, report: Report) -> str:
        # Here, because not everybody wants it.
        from algwatch.report.render.json import report_json

        return report_json(report)

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
