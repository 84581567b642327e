# SPDX-License-Identifier: Apache-2.0
"""Writes agent/algwatch/cli/shell/: completions for shells (shtab) and the manual page, from the
parser of the command line."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "agent"))

import shtab  # noqa: E402
from algwatch import __main__ as program  # noqa: E402
from algwatch.cli import VERBS  # noqa: E402
from algwatch.cli.completion import FORMS  # noqa: E402
from algwatch.diagnose.rules import RULES  # noqa: E402

FOLDER = ROOT / "agent" / "algwatch" / "cli" / "shell"
FILES = ("FILE", "BEFORE", "AFTER", "IN", "OUT", "DIR", "PATH")  # metavars of names of files
EXAMPLES = """\
tcpdump -i any -U -s 0 -w - 'port 5060' | algwatch analyze -
algwatch analyze --lan lan.pcap --wan wan.pcap
algwatch analyze --list any.pcapng
algwatch analyze --call 3 -v any.pcapng
algwatch analyze /var/log/asterisk/full.1.gz
algwatch diff before.pcap after.pcap
algwatch explain DLG001"""


def parser() -> argparse.ArgumentParser:
    """With all verbs; what is the name of a file or of a rule is completed as one."""
    made = program.parser_of(VERBS)
    for one in verbs_of(made).values():
        for action in one._actions:
            if action.metavar in FILES:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
            elif action.metavar == "RULE":
                action.choices = [rule.RULE.id for rule in RULES]
    return made


def verbs_of(made: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    subparsers = next(action for action in made._actions if action.dest == "verb")
    assert isinstance(subparsers.choices, dict)
    return subparsers.choices


def written() -> dict[str, str]:
    """Texts by name of the file."""
    os.environ["COLUMNS"] = "100"
    shells = ("bash", "zsh", "fish")
    texts = {FORMS[shell]: shtab.complete(parser(), shell) for shell in shells}
    texts[FORMS["man"]] = manual(parser())
    return {name: text.rstrip() + "\n" for name, text in texts.items()}


def manual(made: argparse.ArgumentParser) -> str:
    about = {action.dest: action.help or "" for action in next(
        action for action in made._actions if action.dest == "verb")._choices_actions}  # type: ignore[attr-defined] # fmt: skip
    out = ['.TH ALGWATCH 1 "" "algwatch" "User Commands"', ".SH NAME",
           "algwatch \\- find out whether a router's SIP ALG breaks phone calls",
           ".SH SYNOPSIS", ".B algwatch", "VERB [OPTION]... [ARGUMENT]...",
           ".SH DESCRIPTION", escaped(program.ABOUT), ".SH VERBS"]  # fmt: skip
    for verb, one in verbs_of(made).items():
        out += [f".SS {verb}", escaped(one.description or about.get(verb, ""))]
        for action in one._actions:
            if action.dest == "help" or action.help == argparse.SUPPRESS:
                continue
            out += [".TP", f".B {escaped(_typed(action))}", escaped(_help(one, action))]
        if one.epilog:
            out += [".PP", escaped(one.epilog)]
    out += [".SH EXAMPLES", ".nf", escaped(EXAMPLES), ".fi",
            ".SH ENVIRONMENT", "NO_COLOR, COLUMNS, PAGER and TERM are respected."]  # fmt: skip
    return "\n".join(out)


def _typed(action: argparse.Action) -> str:
    value = action.metavar or ("|".join(map(str, action.choices)) if action.choices else "")
    value = value if isinstance(value, str) else " ".join(value)
    names = ", ".join(action.option_strings) or value or action.dest
    takes = action.nargs != 0 and action.option_strings
    return f"{names} {value or action.dest.upper()}" if takes else names


def _help(one: argparse.ArgumentParser, action: argparse.Action) -> str:
    return one._get_formatter()._expand_help(action) if action.help else ""


def escaped(text: str) -> str:
    """For troff: backslashes, hyphens that are typed, and lines that begin like a request."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join("\\&" + line if line[:1] in (".", "'") else line for line in text.split("\n"))


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in written().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
