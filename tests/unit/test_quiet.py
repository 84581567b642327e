# SPDX-License-Identifier: Apache-2.0
"""A live run looks at its tables when rows came or something is due, and at no other time."""

from __future__ import annotations

from pathlib import Path

import pytest
from algwatch.base.native.rows import Counts
from algwatch.base.packet import LAN, WAN, Tap
from algwatch.base.report import Report
from algwatch.capture.merged import merged
from algwatch.capture.order import SLOT, Timeline
from algwatch.compare.comparison import Comparison
from algwatch.compare.news import News
from algwatch.pipeline import Pipeline
from algwatch.report.render.json import line_json
from sample import some

GOLDEN = Path(__file__).parents[1] / "golden"
TWO_SIDED = sorted(p.parent for p in GOLDEN.glob("*/wan.pcap") if p.parent.name[:5] != "cap00")
AFTER = 200  # seconds without a packet, longer than any timer of a call
plain = Comparison.advance


def told(folder: Path) -> list[tuple[int, str]]:
    """What a live run says of a golden capture, each with its second of packet time."""
    files = [(str(folder / f"{side}.pcap"), tap) for tap, side in enumerate(("lan", "wan"))]
    pipeline = Pipeline([Tap("lan", LAN), Tap("wan", WAN)], live=True, strict=True)
    timeline = Timeline(pipeline, 2)
    said: list[tuple[int, str]] = []

    def note(reports: list[Report]) -> None:
        said.extend((pipeline.known.now // SLOT, line_json(one)) for one in reports)

    for batch in merged(files, (5060,), Counts()):
        now = pipeline.known.now
        for second in range(now // SLOT + 1 if now else batch.watermark // SLOT,
                            batch.watermark // SLOT):  # fmt: skip
            note(timeline.advance(second * SLOT))
        note(timeline.feed(batch))
    now = pipeline.known.now
    for second in range(1, AFTER):
        note(timeline.advance(now + second * SLOT))
    return said


@pytest.mark.parametrize("folder", some(TWO_SIDED, 8), ids=lambda folder: folder.name)
def test_what_is_said_and_when_is_the_same_as_if_it_looked_every_second(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[bool] = []

    def noting(self: Comparison, now: int) -> News | None:
        news = plain(self, now)
        looked.append(news is not None)
        return news

    def always(self: Comparison, now: int) -> News | None:
        self._stirred = True
        return plain(self, now)

    monkeypatch.setattr(Comparison, "advance", noting)
    said = told(folder)
    monkeypatch.setattr(Comparison, "advance", always)
    assert said == told(folder)
    # 15 s between two searches for phones that fell silent.
    assert looked.count(False) > AFTER // 2
