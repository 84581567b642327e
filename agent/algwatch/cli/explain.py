# SPDX-License-Identifier: Apache-2.0
"""`algwatch explain RULE`: a rule's symptom, its harm, and the remedy."""

from __future__ import annotations

import os
import shutil
import sys
from difflib import get_close_matches
from textwrap import fill
from types import ModuleType

from algwatch.cli import Usage
from algwatch.diagnose.rules import RULES
from algwatch.report.render.explained import parts
from algwatch.report.render.terminal import in_ascii, speaks_unicode

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from algwatch.cli import Subparsers

WIDEST = 100  # columns: longer lines are hard to read
EXAMPLES = os.path.join(os.path.dirname(__file__), "examples.txt")


def add(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "explain",
        help="print what a rule looks for",
        description="Prints what a rule sees, why it breaks calls, what else looks the same, "
        "what to do, and where it is written. `algwatch rules` lists all of them.",
    )
    parser.add_argument("rule", metavar="RULE", help="id or slug: ALG011, mapping-mismatch")


def main(args: argparse.Namespace) -> int:
    rule = find(args.rule)
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else 80
    sys.stdout.write(explained(rule, min(WIDEST, max(40, columns - 1))))
    return 0


def find(word: str) -> ModuleType:
    """The rule of an id or a slug, in any case. Raises Usage with near names."""
    names = {name.lower(): rule for rule in RULES for name in (rule.RULE.id, rule.RULE.slug)}
    wanted = word.strip().lower()
    if wanted in names:
        return names[wanted]
    family = wanted.rstrip("0123456789")
    padded = family + wanted[len(family) :].lstrip("0").zfill(3)  # alg1 means ALG001
    near = [padded] if padded in names else []
    near += get_close_matches(wanted, names, n=5 - len(near), cutoff=0.6)
    if not near:
        near = [name for name in names if wanted and (wanted in name or name[:3] == wanted[:3])]
    ids = list(dict.fromkeys(f"{names[n].RULE.id} ({names[n].RULE.slug})" for n in near))
    hint = f"near ones: {', '.join(ids)}" if ids else "algwatch rules lists all of them"
    raise Usage(f"explain: there is no rule {word!r}; {hint}")


def example(rule: ModuleType) -> str:
    """The output of `analyze` for a capture with a finding of the rule; "" if no file can show one,
    or if the package was built without examples."""
    try:
        with open(EXAMPLES, encoding="utf-8") as file:
            drawn = file.read()
    except OSError:
        return ""
    return f"\n{drawn}".partition(f"\n== {rule.RULE.id}\n")[2].partition("\n== ")[0].rstrip()


def explained(rule: ModuleType, width: int) -> str:
    """The printed page."""
    title, sections = parts(rule)
    needs = "both sides of the router" if rule.RULE.two_sided else "one side is enough"
    page = [
        fill(f"{rule.RULE.id} {rule.RULE.slug}: {title}", width),
        fill(f"severity {rule.RULE.severity}, looks at a {rule.RULE.subject}, {needs}", width),
    ]
    for heading, text in sections:
        indented = fill(text, width, initial_indent="  ", subsequent_indent="  ",
                        break_long_words=False, break_on_hyphens=False)  # fmt: skip
        page += ["", heading, indented]
    drawn = example(rule)
    if drawn:
        page += ["", "Example", "", drawn if speaks_unicode(sys.stdout) else in_ascii(drawn)]
    return "\n".join(page) + "\n"
