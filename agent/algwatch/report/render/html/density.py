# SPDX-License-Identifier: Apache-2.0
"""Density: the number of calls begun over time, bounded."""

from __future__ import annotations

BUCKETS = 240


class Density:
    """At most BUCKETS buckets that grow with the capture. width: seconds of a bucket; good, bad:
    numbers by bucket."""

    def __init__(self) -> None:
        self.width = 1.0
        self.good: dict[int, int] = {}
        self.bad: dict[int, int] = {}

    def add(self, at: float, bad: bool) -> None:
        """at: seconds since 1970."""
        numbers = self.bad if bad else self.good
        bucket = int(at // self.width)
        numbers[bucket] = numbers.get(bucket, 0) + 1
        while len(self.good) + len(self.bad) > BUCKETS:
            self.width *= 2
            self.good, self.bad = _halved(self.good), _halved(self.bad)


def _halved(numbers: dict[int, int]) -> dict[int, int]:
    made: dict[int, int] = {}
    for bucket, number in numbers.items():
        made[bucket // 2] = made.get(bucket // 2, 0) + number
    return made
