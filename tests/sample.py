# SPDX-License-Identifier: Apache-2.0
"""Which captures or texts a long test looks at: a part of them, another one each day; all with
ALGWATCH_ALL=1 (`make test-all`). ALGWATCH_DAY=N looks at those of another day again."""

from __future__ import annotations

import os
import random
import zlib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

# The processes that share the tests of one run must agree on the day.
DAY = int(os.environ.setdefault("ALGWATCH_DAY", str(datetime.now(UTC).toordinal())))
ALL = os.environ.get("ALGWATCH_ALL") == "1"


T = TypeVar("T")


def some(these: Iterable[T], parts: int) -> list[T]:
    """One of so many parts of them, the same each time on one day. The parts are of one size, and
    each has one of them at least: pytest skips a test without parameters."""
    every = list(these)
    if ALL or not every:
        return every
    mixed = sorted(range(len(every)), key=lambda place: zlib.crc32(_name(every[place]).encode()))
    parts = min(parts, len(every))
    return [every[place] for place in sorted(mixed[DAY % parts :: parts])]


def chosen(these: Iterable[T], most: int) -> list[T]:
    """At most so many of them, in order: the same each time on one day, others on the next."""
    every = list(these)
    if ALL or len(every) <= most:
        return every
    return [every[place] for place in sorted(random.Random(DAY).sample(range(len(every)), most))]


def _name(one: object) -> str:
    """Of a case, or of the file or pair of files that shows it, or of a function: the same on
    every machine."""
    path = one[0] if isinstance(one, tuple) else one
    if isinstance(path, Path):
        return f"{path.parent.name}/{path.name}"
    return str(getattr(path, "__name__", path))
