# SPDX-License-Identifier: Apache-2.0
"""Objects of a message go when nobody holds them: the daemon looks for garbage that holds
on to itself once a minute only (tidy_by_the_clock)."""

from __future__ import annotations

import gc
from pathlib import Path

from algwatch.base.native.rows import Counts
from algwatch.base.packet import LAN, WAN, Tap
from algwatch.capture.merged import merged
from algwatch.pipeline import Pipeline
from algwatch.report.console import Console
from sample import some

GOLDEN = Path(__file__).parents[1] / "golden"
# Live interfaces have one clock and are two sides: what says otherwise says nothing here.
TWO_SIDED = some(
    sorted(p.parent.name for p in GOLDEN.glob("*/wan.pcap") if p.parent.name[:5] != "cap00"), 4
)


def verdicts(name: str, console: Console) -> Pipeline:
    """A live pipeline that has told everything that it says about a golden capture."""
    files = [(str(GOLDEN / name / f"{side}.pcap"), tap) for tap, side in enumerate(("lan", "wan"))]
    pipeline = Pipeline([Tap("lan", LAN), Tap("wan", WAN)], live=True)
    for batch in merged(files, (5060,), Counts()):
        for report in pipeline.feed(batch):
            console.report(report)
    for report in pipeline.finish():
        console.report(report)
    return pipeline


def test_neither_a_message_nor_a_verdict_is_garbage_that_holds_on_to_itself() -> None:
    told: list[str] = []
    console = Console(told.append, told.append, True)
    gc.collect()
    gc.disable()
    try:
        # Held until the garbage was counted: the pipeline itself is such a thing, once a run.
        pipelines = [verdicts(name, console) for name in TWO_SIDED]
        garbage = gc.collect()
    finally:
        gc.enable()
    assert (len(pipelines), garbage) == (len(TWO_SIDED), 0)
    assert len(told) > 100  # the console has a rate
