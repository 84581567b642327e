# SPDX-License-Identifier: Apache-2.0
"""Which captures a long test looks at: a part of them, another one each day; all with
ALGWATCH_ALL=1 (`make test-all`). ALGWATCH_DAY=N looks at those of another day again."""

from __future__ import annotations

import os
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
    """One of so many parts of them, the same each time on one day."""
    return [one for one in these if ALL or (zlib.crc32(_name(one).encode()) + DAY) % parts == 0]


def _name(one: object) -> str:
    """Of a case, or of the file or pair of files that shows it: the same on every machine."""
    path = one[0] if isinstance(one, tuple) else one
    return f"{path.parent.name}/{path.name}" if isinstance(path, Path) else str(path)
