# SPDX-License-Identifier: Apache-2.0
"""Unrelated captures: a pipeline for each, fed like one."""

from __future__ import annotations

from collections.abc import Callable

from algwatch.base.packet import LAN, SIDE_NAMES, Batch, Tap
from algwatch.base.report import Report
from algwatch.compare.crossing import Crossing
from algwatch.compare.media import Counted
from algwatch.compare.quality import Quality
from algwatch.pipeline import Pipeline


class EachAlone:
    """taps: the first `named` of them name a side, and each side is judged alone; the others are
    judged together. It offers Pipeline's methods for files."""

    def __init__(self, taps: list[Tap], named: int, watch: Callable[[Crossing], None] | None,
                 quality: Quality, media: Counted) -> None:  # fmt: skip
        sides = range(LAN, len(SIDE_NAMES))
        groups = [[i for i in range(named) if taps[i].side == side] for side in sides]
        groups.append(list(range(named, len(taps))))
        self._pipelines: list[Pipeline] = []
        self._where: dict[int, tuple[Pipeline, int]] = {}
        for group in groups:
            if group:
                one = Pipeline([taps[i] for i in group], watch=watch, quality=quality,
                               media=media.part(group))  # fmt: skip
                self._pipelines.append(one)
                self._where.update((tap, (one, n)) for n, tap in enumerate(group))

    @property
    def due(self) -> int:
        """ns; advance() finds nothing to do before it."""
        return min(pipeline.due for pipeline in self._pipelines)

    def feed(self, batch: Batch) -> list[Report]:
        pipeline, batch.tap = self._where[batch.tap]
        return pipeline.feed(batch)

    def advance(self, tap: int, now: int) -> list[Report]:
        pipeline, own = self._where[tap]
        return pipeline.advance(own, now)

    def finish(self) -> list[Report]:
        return [report for pipeline in self._pipelines for report in pipeline.finish()]

    def judge(self, quality: Quality) -> None:
        for pipeline in self._pipelines:
            pipeline.judge(quality)

    def counts(self) -> dict[str, dict[str, int]]:
        total: dict[str, dict[str, int]] = {}
        for pipeline in self._pipelines:
            for part, numbers in pipeline.counts().items():
                mine = total.setdefault(part, {})
                for name, number in numbers.items():
                    mine[name] = mine.get(name, 0) + number
        return total

    @property
    def failures(self) -> dict[str, int]:
        total: dict[str, int] = {}
        for pipeline in self._pipelines:
            for rule, count in pipeline.failures.items():
                total[rule] = total.get(rule, 0) + count
        return total
