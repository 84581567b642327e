# SPDX-License-Identifier: Apache-2.0
"""`make lab-table RESULTS=FILE`: docs/lab-scenarios.md of what `make lab RESULTS=FILE` has noted.

A run that was played again with the same seed, since lab, truth or agent had a fault, counts once,
as it went last; what went wrong the first time is told below.
"""

from __future__ import annotations

import json
import os
import re
import sys
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
if not __package__:  # started as a file: python tests/lab/table.py
    sys.path[:0] = [str(HERE.parent), str(ROOT / "agent")]
    __package__ = "lab"
    import_module("lab")

from .campaign import said_in_short  # noqa: E402
from .scenarios import AWAITED, SCENARIOS, awaits  # noqa: E402
from .scenarios.scenario import Scenario  # noqa: E402
from .truth import Score  # noqa: E402

TABLE = ROOT / "docs" / "lab-scenarios.md"
HEAD = """# The scenarios of the lab, played

Written by `make lab-table`. Each run is judged twice, by what came over MQTT and by `algwatch
analyze` on its recording: twice as many verdicts as draws. *Right* are verdicts without any fault;
*false* and *missed* count findings, advice, calls and the state of the capture. Seconds: median and
longest, of many runs at the same time on two CPUs that others used, too.

| number | what is played | ALG | truth | draws | right | false | missed | seconds |
|---|---|---|---|---|---|---|---|---|
"""
ALGS = {"linux": "off", "vendor": "vendor's, played", "upstream": "the carrier's, played"}

Row = dict[str, Any]


def read(path: Path) -> tuple[list[Row], list[Row]]:
    """The first and the latest run of each scenario and seed."""
    first: dict[tuple[str, int], Row] = {}
    last: dict[tuple[str, int], Row] = {}
    for line in path.read_text().splitlines():
        row = json.loads(line)
        if row["number"] in SCENARIOS:
            first.setdefault((row["number"], row["seed"]), row)
            last[row["number"], row["seed"]] = row
    return list(first.values()), list(last.values())


def _line(number: str, scenario: Scenario, runs: list[Row]) -> str:
    alg = "the kernel's" if scenario.helper else ALGS[scenario.truth.alg]
    words = [number, scenario.title, alg, said_in_short(scenario.truth).replace("|", " or ")]
    right = sum(
        not any(f.startswith(f"{way}: ") for f in r["faults"]) and not _broken(r)
        for r in runs
        for way in ("mqtt", "file")
    )
    words += [str(len(runs)), str(right)]
    words += [str(sum(r[key] for r in runs)) for key in ("false", "missed")]
    seconds = [r["seconds"] for r in runs if not _broken(r)]
    words.append(f"{median(seconds):.0f}, {max(seconds):.0f}" if seconds else "")
    mark = " (not counted)" if awaits(number) else ""
    return f"| {' | '.join(words)}{mark} |\n"


def _broken(row: Row) -> bool:
    return any(f.startswith("broken: ") for f in row["faults"])


def score_of(rows: list[Row]) -> Score:
    """Of those that count."""
    total = Score()
    for row in rows:
        one = Score()
        one.true, one.false, one.missed = row["true"], row["false"], row["missed"]
        one.false_disable, one.rules = row["false_disable"], row["rules"]
        total.add(one)
    return total


def _the_first_time(rows: list[Row]) -> str:
    """What went wrong, by scenario."""
    counted = [r for r in rows if not awaits(r["number"])]
    score, wrong = score_of(counted), [r for r in counted if r["faults"]]
    said = {f"{r['number']}:{r['seed']}": _kinds(r["faults"]) for r in wrong}
    out = (
        f"\nThe first time each was played: {score.true} true, {score.false} false, "
        f"{score.missed} missed; precision {score.precision:.4f}, recall {score.recall:.4f}; "
        f"{len(wrong)} runs had a fault:\n\n"
    )
    return out + "".join(f"- {run}: {kinds}\n" for run, kinds in said.items()) if wrong else ""


def _kinds(faults: list[str]) -> str:
    """What is wrong, without names."""
    short = [re.sub(r"^(mqtt|file): |\(.*|where .*|'.*", "", f).strip() for f in faults]
    return ", ".join(dict.fromkeys(re.sub(r"^call .*", "outcome of a call", f) for f in short))


def text_of(first: list[Row], rows: list[Row]) -> str:
    out = [HEAD]
    for number, scenario in SCENARIOS.items():
        out.append(_line(number, scenario, [r for r in rows if r["number"] == number]))
    counted = [r for r in rows if not awaits(r["number"])]
    score = score_of(counted)
    disabled = sum(r["false_disable"] for r in rows)
    broken, played = sum(map(_broken, rows)), len({r["number"] for r in rows})
    out.append(
        f"\n{len(rows)} runs of {played} scenarios; {len(counted)} count: "
        f"{score.true} true, {score.false} false, {score.missed} missed; precision "
        f'{score.precision:.4f}, recall {score.recall:.4f}. False "disable", those that do not '
        f"count among them: {disabled}. Runs that broke off before there was a verdict: {broken}.\n"
    )
    out.append(_the_first_time(first))
    out += [f"\nNot counted: {number}, {why}.\n" for number, why in AWAITED.items()]
    out.append("\n## By rule\n\nFindings; one that may be there and is counts as true.\n")
    out.append(
        "\n| rule | true | false | missed | precision | recall |\n|---|---|---|---|---|---|\n"
    )
    for rule, (true, false, missed) in sorted(score.rules.items()):
        precision = true / (true + false) if true + false else 1.0
        recall = true / (true + missed) if true + missed else 1.0
        out.append(f"| {rule} | {true} | {false} | {missed} | {precision:.4f} | {recall:.4f} |\n")
    return "".join(out)


def main() -> int:
    results = os.environ.get("RESULTS", "")
    if not results:
        print("make lab-table RESULTS=FILE, as make lab RESULTS=FILE wrote it", file=sys.stderr)
        return 2
    TABLE.write_text(text_of(*read(Path(results))))
    print(TABLE.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
