# SPDX-License-Identifier: Apache-2.0
"""`algwatch rules`: every rule in one table."""

from __future__ import annotations

import json
import os
import shutil
import sys
from textwrap import wrap
from types import ModuleType
from typing import Any

from algwatch.cli.explain import example
from algwatch.diagnose.rules import RULES
from algwatch.report.render.explained import parts

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from algwatch.cli import Subparsers

WRITTEN = "<!-- Written by `make docs`; a test compares it with the rules. Do not edit. -->"


def add(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "rules",
        help="list all rules",
        description="Lists all rules: id, slug, severity, summary. A rule in full: "
        "algwatch explain RULE.",
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="print one JSON object")
    how.add_argument(
        "--markdown", metavar="DIR", help="write rules.md and rules/ID.md into this folder"
    )


def main(args: argparse.Namespace) -> int:
    if args.json:
        print(json.dumps({"schema": 1, "rules": [described(rule) for rule in RULES]}, indent=2))
    elif args.markdown:
        for name, text in pages().items():
            path = os.path.join(args.markdown, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
    else:
        columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else 100
        sys.stdout.write(table(max(80, columns - 1)))
    return 0


def described(rule: ModuleType) -> dict[str, Any]:
    r = rule.RULE
    return {
        "id": r.id,
        "slug": r.slug,
        "severity": r.severity,
        "subject": r.subject,
        "two_sided": r.two_sided,
        "rfc": list(r.rfc),
        "summary": r.summary,
    }


def table(width: int) -> str:
    """A line a rule; longer summaries wrap in their column."""
    head = ("id", "slug", "severity", "summary")
    rows = [(r.RULE.id, r.RULE.slug, r.RULE.severity, r.RULE.summary) for r in RULES]
    sizes = [max(len(row[i]) for row in (head, *rows)) for i in range(3)]
    lines = []
    for row in (head, *rows):
        start = "  ".join(cell.ljust(size) for cell, size in zip(row[:3], sizes, strict=True))
        for i, line in enumerate(wrap(row[3], width - len(start) - 2)):
            lines.append(f"{start if i == 0 else ' ' * len(start)}  {line}")
    return "\n".join(lines) + "\n"


def pages() -> dict[str, str]:
    """The documents about the rules by file name: a table of all, and a page of each."""
    lines = [
        "# The rules",
        "",
        WRITTEN,
        "",
        "Severity is that of a finding that hurts nobody: one that may hurt is a warning, one that",
        "does is an error. Two-sided rules are silent where only one side of the router was seen.",
        "",
        "| id | slug | severity | subject | two-sided | summary |",
        "|---|---|---|---|---|---|",
    ]
    made = {}
    for rule in RULES:
        r = rule.RULE
        two = "yes" if r.two_sided else "no"
        page = f"rules/{r.id}.md"
        lines.append(
            f"| [{r.id}]({page}) | {r.slug} | {r.severity} | {r.subject} | {two} | {r.summary} |"
        )
        made[page] = _page(rule)
    return {"rules.md": "\n".join(lines) + "\n", **made}


def _page(rule: ModuleType) -> str:
    title, sections = parts(rule)
    needs = "Both sides of the router are needed" if rule.RULE.two_sided else "One side is enough"
    lines = [
        f"# {rule.RULE.id} {rule.RULE.slug}",
        "",
        WRITTEN,
        "",
        f"{title[:1].upper()}{title[1:]}",
        "",
        f"Severity {rule.RULE.severity}; looks at a {rule.RULE.subject}. {needs}.",
    ]
    for heading, text in sections:
        lines += ["", f"## {heading}", "", text]
    if drawn := example(rule):
        lines += ["", "## Example", "", "```", drawn, "```"]
    return "\n".join(lines) + "\n"
