# SPDX-License-Identifier: Apache-2.0
"""Common command-line code of apply, verify and rollback."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from algwatch.act import lasting, steps
from algwatch.act.changes import FOLDER, Changes, ChangesError
from algwatch.act.journal import Journal, JournalError
from algwatch.act.router import Router
from algwatch.act.undo import PATIENCE
from algwatch.advise.platforms.plan import Plan
from algwatch.base.quote import visible
from algwatch.cli import Usage, drop_output

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from types import FrameType

MOST_SECONDS = 86400.0


def add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--changes", default=f"/{FOLDER}", metavar="FOLDER",
                        help="of journals and saved files, default: %(default)s")  # fmt: skip
    parser.add_argument("--status", default="", metavar="FILE",
                        help="status file of the running daemon, default: "
                        "/var/run/algwatch/status.json")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= MOST_SECONDS:
        from argparse import ArgumentTypeError  # names the option, too

        raise ArgumentTypeError(f"{text!r} is not a number of seconds, 0 to {MOST_SECONDS:.0f}")
    return value


def need_root() -> None:
    if os.geteuid() != 0:
        raise Usage("only root may change this router; nothing was changed")


_asked = False  # to end, by a signal


def interruptible() -> None:
    """SIGTERM and SIGHUP end the verb like Ctrl-C, so its change is taken back."""
    for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
        signal.signal(number, _interrupt)


def is_interrupted() -> bool:
    """A signal has asked to end. Waiting code polls this: an exception raised in a destructor or a
    callback is lost."""
    return _asked


def _interrupt(number: int, frame: FrameType | None) -> None:
    global _asked
    _asked = True
    raise KeyboardInterrupt


def only(journal: Journal) -> str:
    """The phone's address in a trial, "" in a change of the whole router."""
    return str(journal.fact(steps.BEGIN, "only", ""))


class Teller:
    """Lines as they come, or one object at the end."""

    def __init__(self, as_json: bool) -> None:
        self._json = as_json
        self.lines: list[str] = []

    def say(self, text: str, always: bool = False) -> None:
        self.lines.append(text)
        if not self._json:
            self._print(visible(text))

    @staticmethod
    def _print(text: str) -> None:
        """A lost reader or a full disk neither stops the change half way nor alters the exit
        status: the status tells the router's state."""
        try:
            print(text, flush=True)
        except OSError:
            drop_output()

    def end(self, journal: Journal | None, status: int) -> None:
        if self._json:
            told: dict[str, object] = {"status": status, "lines": self.lines}
            if journal is not None:
                told |= {"change": journal.number, "state": journal.state,
                         "only": only(journal), "steps": journal.steps}  # fmt: skip
            self._print(json.dumps(told))

    def commands(self, why: str, commands: list[str]) -> None:
        """Nothing is run on this platform: print the lines for a person to type."""
        if self._json:
            print(json.dumps({"status": 2, "lines": [why], "commands": commands}))
            return
        print(f"{visible(why)}: nothing is changed here")
        for line in commands:
            print(f"  {line}")

    def plan(self, made: Plan, phone: str) -> None:
        """phone: of a trial, "" for a change for all phones."""
        if self._json:
            print(json.dumps(made._asdict() | {"only": phone}))
            return
        for line in made.refusals:
            print(f"refused: {visible(line)}")
        if phone and not made.refusals:
            print(f"a rule that leaves {phone} out is put before each rule that sets the SIP "
                  "helper; no setting and no other rule is changed")  # fmt: skip
            return
        for edit in made.edits:
            print(f"uci {edit.verb} firewall.{edit.section}.{edit.option}"
                  + (f"='{edit.value}'" if edit.value else ""))  # fmt: skip
        for rule in made.rules:
            print(visible(f"goes: {rule.family} {rule.table} {rule.chain}: {rule.text}"))
        for note in made.notes:
            print(visible(note))


@contextmanager
def locked(changes: Changes, wait: float = 2.0) -> Iterator[None]:
    """Usage: another process changes something."""
    try:
        if not changes.lock(wait):
            raise Usage("another apply, verify or rollback is at work; nothing was changed")
    except ChangesError as why:
        raise Usage(str(why)) from None
    try:
        yield
    finally:
        changes.unlock()


def try_taps(lan: list[str], wan: list[str]) -> None:
    """Usage if the phones could not be watched afterwards."""
    from algwatch.cli.watching import CannotWatch, Watching

    try:
        Watching(lan, wan, print).close()
    except CannotWatch as why:
        raise Usage(f"nothing can be watched: {why}; --watch 0 does without; nothing was "
                    "changed") from None  # fmt: skip


def settle(router: Router, changes: Changes, teller: Teller) -> None:
    """Usage after an undo of an earlier change: the user looks at the router first."""
    try:
        undone, problems = lasting.settle(router, changes, teller.say, PATIENCE)
    except JournalError as why:
        raise Usage(f"{why}; nothing was changed") from None
    if problems:
        raise Usage(f"an earlier change is not wholly back: {'; '.join(problems)}")
    if undone:
        raise Usage("an earlier change had stopped half way and is undone now; look at it, and "
                    "type this again")  # fmt: skip
