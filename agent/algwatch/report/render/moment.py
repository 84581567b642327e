# SPDX-License-Identifier: Apache-2.0
"""A moment for people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(at: float) -> datetime:
    """at: seconds since 1970. Not fromtimestamp(), which ends in 2038 where the C library's time_t
    has 32 bits. OverflowError past the year 9999."""
    return _EPOCH + timedelta(seconds=at)
