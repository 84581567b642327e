# SPDX-License-Identifier: Apache-2.0
"""`algwatch status`: the last day as seen by the daemon on this router."""

from __future__ import annotations

import json
import shutil
import sys
import time
from textwrap import fill
from typing import Any

from algwatch import files
from algwatch.cli import Usage
from algwatch.report.render.headline import headline, style
from algwatch.report.render.moment import moment
from algwatch.report.render.terminal import Terminal, speaks_unicode

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from algwatch.cli import Subparsers

FILE = "/var/run/algwatch/status.json"
MOST = 1 << 20  # bytes of a status file, at most
FARTHEST = 1e12  # seconds
LATE = 3  # times `every`: an older file is stale
WIDEST = 100  # columns
EXIT = {"fine": 0, "hurts": 1, "cannot-tell": 3}
NOT_THERE = 3  # the exit status without a daemon

START = "start it (OpenWrt: service algwatch start), with status_file set to this file"


def add(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "status",
        help="print what the daemon on this router sees",
        description="Prints the status file of `algwatch run` (its setting status_file): the "
        "verdict of the last day, interfaces, phones, calls, findings and advice. Exit status as "
        "of analyze: 0 nothing hurts, 1 something hurts, 2 bad usage or no status file, 3 "
        "cannot tell, or no daemon runs.",
    )
    parser.add_argument("--json", action="store_true", help="print the JSON object of the file")
    parser.add_argument("--file", metavar="F", default=FILE, help=f"the file; default: {FILE}")


def main(args: argparse.Namespace) -> int:
    state = read(args.file)
    trouble = stale(state, args.file) if state is not None else absent(args.file)
    if args.json:
        told = {"schema": 1} if state is None else state
        print(json.dumps({**told, "fresh": not trouble, "trouble": trouble}))
    else:
        terminal = Terminal(sys.stdout.isatty(), speaks_unicode(sys.stdout))
        for line in ([] if state is None else Page(terminal).lines(state)) or [trouble]:
            print(line)
        if state is not None and trouble:
            print(f"\n{terminal.clean(trouble)}")
    if state is None or trouble:
        return NOT_THERE
    return EXIT[state["verdict"]["state"]]


def read(path: str) -> dict[str, Any] | None:
    """The object of the file, None without a file. Usage: it is not a status file."""
    try:
        data = files.read(path, MOST)
    except files.FileError as problem:
        raise Usage(str(problem)) from None
    if data is None:
        return None
    try:
        state: dict[str, Any] = json.loads(data)
    except (ValueError, RecursionError):
        raise Usage(f"{path}: this is no JSON, so no status file of algwatch") from None
    if not _is_status(state):
        raise Usage(f"{path}: this is no status file of this version of algwatch")
    return state


def _is_status(state: object) -> bool:
    """True if the verdict and the fields for its freshness are present."""
    if not isinstance(state, dict) or state.get("schema") != 1:
        return False
    verdict = state.get("verdict")
    # NaN would be neither fresh nor stale.
    numbers: list[Any] = [state.get("clock"), state.get("every")]
    return (
        all(type(n) in (int, float) and 0 <= n < FARTHEST for n in numbers)
        and isinstance(state.get("running"), bool)
        and isinstance(verdict, dict)
        and isinstance(verdict.get("state"), str)
        and verdict["state"] in EXIT
    )


def absent(path: str) -> str:
    return f"No daemon: {path} is not there; {START}."


def stale(state: dict[str, Any], path: str) -> str:
    """A sentence, "" for a file written lately. Its age is measured on the monotonic clock, because
    routers set the wall clock."""
    if not state["running"]:
        return f"The daemon was stopped; {START}."
    age = time.monotonic() - state["clock"]
    if age < 0:
        return f"{path} was written before this router started, or on another machine."
    if age > LATE * state["every"]:
        return (f"{path} was written {_ago(age)} ago, and is written every {state['every']:.0f} s: "
                f"the daemon is gone or cannot write; {START}.")  # fmt: skip
    return ""


class Page:
    """The lines for people."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDEST
        self._width = min(WIDEST, max(40, columns - 1))

    def lines(self, state: dict[str, Any]) -> list[str]:
        """Raises Usage if a field is missing: the file is of another version."""
        try:
            return self._lines(state)
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError, OSError):
            raise Usage("the status file lacks a field that this version of algwatch needs: "
                        "restart the daemon") from None  # fmt: skip

    def _lines(self, state: dict[str, Any]) -> list[str]:
        verdict = state["verdict"]
        said = verdict["state"], verdict.get("doubtful") is True
        word = self._terminal.paint(f"{headline(*said)}.", style(*said))
        shown = [f"{word} {self._terminal.clean(since(state))}"]
        shown += [line for why in verdict["why"] for line in self._item(why)]
        if verdict["next"]:
            shown += self._text(f"Next: {verdict['next']}")
        if verdict["alg"]:
            shown += self._text(f"The router's SIP ALG: {verdict['alg']}")
        for title, rows in (
            ("Interfaces", [_tap(name, tap) for name, tap in state["health"]["taps"].items()]),
            ("Accounts", [_registration(one) for one in state["registrations"]]),
            ("Calls", [_call(one) for one in state["calls"]]),
            ("Findings", [_finding(one) for one in state["findings"]]),
            ("Advice", [_advice(one) for one in state["advice"]]),
        ):
            shown += ["", self._terminal.paint(title, "bold")]
            shown += [line for row in rows for line in self._item(row)] or ["  none"]
        return shown

    def _text(self, text: str) -> list[str]:
        return fill(self._terminal.clean(text), self._width).split("\n")

    def _item(self, text: str) -> list[str]:
        wrapped = fill(self._terminal.clean(text), self._width, initial_indent="  ",
                       subsequent_indent="    ")  # fmt: skip
        return wrapped.split("\n")


def since(state: dict[str, Any]) -> str:
    return f"Seen since {_when(state['since'])}, algwatch {state['version']}."


def _when(at: float) -> str:
    return f"{moment(at):%Y-%m-%d %H:%M} UTC"


def _ago(seconds: float) -> str:
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _tap(name: str, tap: dict[str, Any]) -> str:
    drops = f", {tap['drops']} packets lost for want of room" if tap["drops"] else ""
    return f"{name} ({tap['side']}): {'down' if tap['away'] else 'watched'}{drops}"


def _registration(one: dict[str, Any]) -> str:
    status = f" with {one['status']}" if one["status"] and one["outcome"] != "accepted" else ""
    line = f" ({one['line']})" if one["line"] else ""
    return f"{one['aor']}: {one['outcome']}{status} {_when(one['end'])}{line}"


def _call(call: dict[str, Any]) -> str:
    status = f" with {call['status']}" if call["status"] else ""
    seconds = max(0.0, call["end"] - call["start"])
    who = f"{call['from'] or 'somebody'} to {call['to'] or 'somebody'}"
    return f"{_when(call['start'])} {who}: {call['outcome']}{status} after {seconds:.1f} s"


def _finding(finding: dict[str, Any]) -> str:
    return f"{finding['rule']} {finding['slug']}, harm {finding['harm']}: {finding['summary']}"


def _advice(advice: dict[str, Any]) -> str:
    sure = f"{advice['state']}, {advice['confidence']:.0%} sure"
    return f"{advice['title']} ({sure}): {'; '.join(advice['for'][:2])}"
