# SPDX-License-Identifier: Apache-2.0
"""Draws an example of every rule from its golden captures: `make docs` writes what
`algwatch explain` and docs/rules/ show."""

from __future__ import annotations

import contextlib
import io
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from algwatch.__main__ import main  # noqa: E402
from algwatch.cli.explain import EXAMPLES, find  # noqa: E402
from algwatch.diagnose.rules import RULES  # noqa: E402
from cases import CASES  # noqa: E402

LINES = 45  # of an example: what is longer is shown where nothing shorter is there
SECTION = re.compile(r"^── (.*?) ─*$", re.M)
CALL = "Call "


def written() -> str:
    """The file that EXAMPLES names."""
    drawn = []
    for rule in RULES:
        text = example(rule.RULE.id)
        if text:
            drawn.append(f"== {rule.RULE.id}\n{text}\n")
    return "".join(drawn)


def example(rule: str) -> str:
    """The ladder of a call, or the part about what is no call, in which a rule found something,
    with what was found of others left out; "" where no capture shows it."""
    mine = [
        name for name, case in CASES.items()
        if name.startswith(f"{rule.lower()}-") and any(rule == found for found, _, _ in case.must)
    ]  # fmt: skip
    drawn = [text for name in mine if (text := _drawn(name, rule))]
    if not drawn:
        return ""
    ladders = [text for text in drawn if text.startswith(" " * 8)] or drawn
    short = [text for text in ladders if text.count("\n") < LINES]
    return short[0] if short else min(ladders, key=lambda text: text.count("\n"))


def _drawn(name: str, rule: str) -> str:
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        main(["analyze", "--all", *CASES[name].arguments(str(HERE / name))])
    out.seek(0)
    parts = SECTION.split(out.read())[1:]
    slug = find(rule).RULE.slug
    for heading, body in zip(parts[::2], parts[1::2], strict=True):
        found = re.search(rf"^  {rule} {slug}, .*\n(?:         .*\n)+", body, re.M)
        if found is None:
            continue
        if not heading.startswith(CALL):
            return found[0].rstrip()
        ladder, _, _ = body.partition("Verdict: ")
        rungs = ladder.strip("\n").split("\n")[2:]  # behind the date
        return "\n".join([*rungs, "", found[0].rstrip()])
    return ""


if __name__ == "__main__":
    Path(EXAMPLES).write_text(written(), encoding="utf-8")
