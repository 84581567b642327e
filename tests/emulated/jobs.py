# SPDX-License-Identifier: Apache-2.0
"""The captures that another Python analyzes (verdicts.py), which has to say what this one says."""

from __future__ import annotations

import sys
from pathlib import Path

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
sys.path[:0] = [str(GOLDEN.parent), str(GOLDEN)]
from cases import CASES  # noqa: E402

FEW = 60  # of the captures, in the short form: every so manieth

Job = tuple[str, list[str]]  # name, arguments of `algwatch analyze`


def jobs(everything: bool) -> list[Job]:
    names = list(CASES) if everything else list(CASES)[::FEW]
    made = [(name, ["--json", *CASES[name].arguments(str(GOLDEN / name))]) for name in names]
    labs = sorted(path.parent.name for path in (GOLDEN / "lab").glob("*/facts.json"))
    for name in labs if everything else ["9-on"]:
        sides = [f"{GOLDEN}/lab/{name}/{side}.pcap" for side in ("lan", "wan")]
        made.append((f"lab/{name}", ["--json", "--lan", sides[0], "--wan", sides[1]]))
    # Text has times of day, widths and the bytes of both copies.
    made += [(f"{name}, text", words[1:]) for name, words in made[-3:]]
    return made
