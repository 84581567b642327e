# SPDX-License-Identifier: Apache-2.0
"""`algwatch doctor`: this router's system, its SIP ALG, and obstacles to watching it."""

from __future__ import annotations

import json
import os
import shutil
import sys
from textwrap import fill

from algwatch.advise.platforms.examine import CANNOT_TELL, NONE, ON, Conclusion, Line, examined
from algwatch.advise.platforms.others import HEARSAY, OTHERS, Other
from algwatch.base.quote import visible
from algwatch.capture.examined import Facts, examine
from algwatch.cli import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from algwatch.cli import Subparsers

SCHEMA = 1
STATUS = {NONE: 0, ON: 1, CANNOT_TELL: 3}


def add(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "doctor",
        help="say what this router is, which SIP ALG it has and how it got there",
        description="Reads, and changes nothing. Exit status: 0 no SIP ALG, 1 it is on, 2 bad "
        "usage, 3 that cannot be told (then: algwatch probe).",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--root", default="/", metavar="DIR",
                        help="read files and programs of this folder, not the kernel")  # fmt: skip
    parser.add_argument("--platform", metavar="NAME",
                        help="print how another system turns it off; list: all names")  # fmt: skip


def main(args: argparse.Namespace) -> int:
    if args.platform:
        return _platform(args.platform, args.json)
    if not os.path.isdir(args.root):
        raise Usage(f"--root {args.root}: there is no such folder")
    facts = examine(args.root)
    lines, conclusion = examined(facts)
    if args.json:
        print(json.dumps(as_json(facts, lines, conclusion), indent=2))
    else:
        sys.stdout.write(as_text(lines, conclusion, min(shutil.get_terminal_size().columns, 100)))
    return STATUS[conclusion.state]


def as_json(facts: Facts, lines: list[Line], conclusion: Conclusion) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "conclusion": conclusion._asdict(),
        "lan": list(facts.lan),
        "wan": list(facts.wan),
        "lines": [line._asdict() for line in lines],
    }


def as_text(lines: list[Line], conclusion: Conclusion, columns: int) -> str:
    """Names of packages, models and rules come from the router, so nothing is printed raw."""
    text = ""
    for line in lines:
        said = visible(line.text) + (f" ({visible(line.do)})" if line.do else "")
        begin = f"{line.state:8}{line.topic:15}"
        text += fill(said, columns, initial_indent=begin, subsequent_indent=" " * 23,
                     break_on_hyphens=False) + "\n"  # fmt: skip
    text += "\n" + fill(visible(conclusion.text), columns) + "\n"
    return text + fill(f"Next: {visible(conclusion.next)}", columns) + "\n"


def _platform(name: str, as_object: bool) -> int:
    if name == "list":
        if as_object:
            print(json.dumps({"schema": SCHEMA, "platforms": [one.name for one in OTHERS]}))
        else:
            print("\n".join(f"{one.name:14}{one.title}" for one in OTHERS))
        return 0
    for one in OTHERS:
        if one.name == name.lower():
            print(json.dumps({"schema": SCHEMA, **one._asdict()}, indent=2) if as_object
                  else told(one))  # fmt: skip
            return 0
    raise Usage(f"--platform {name}: not known; algwatch doctor --platform list names them")


def told(one: Other) -> str:
    text = f"{one.title}: how to turn its SIP ALG off. algwatch does not run these lines."
    for heading, lines in ("off", one.off), ("check", one.check), ("back on", one.back):
        if lines:
            text += f"\n\n{heading}:\n" + "\n".join(f"  {line}" for line in lines)
    note = one.note
    if one.seen == HEARSAY:
        note += " These lines are hearsay: try them only where they can be taken back."
    return text + ("\n\n" + fill(note.strip(), 79) if note else "")
