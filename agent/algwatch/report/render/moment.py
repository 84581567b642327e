# SPDX-License-Identifier: Apache-2.0
"""A moment for people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(at: float) -> datetime:
    """at: seconds since 1970. Not fromtimestamp(): it ends in 2038 with a 32-bit time_t in the C
    library. OverflowError past the year 9999."""
    return _EPOCH + timedelta(seconds=at)
