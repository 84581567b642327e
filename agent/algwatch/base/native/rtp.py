# SPDX-License-Identifier: Apache-2.0
"""The scanner's table of counted RTP (native/rtp.c)."""

from __future__ import annotations

from collections.abc import Iterator
from mmap import mmap

from algwatch._native import ffi, lib
from algwatch.base import address
from algwatch.base.rtp import Announced, Stream
from algwatch.base.typed import Any

_LISTS: int = lib.AW_OF_A_CALL - 1
_NAME: int = lib.AW_ANNOUNCED_NAME
_ICE: int = lib.AW_ANNOUNCED_ICE
_REQUEST: int = lib.AW_ANNOUNCED_REQUEST
_LEARNED: int = lib.AW_ANNOUNCED_LEARNED
WALK = 64  # announcements of one call examined, the latest first


class Rtp:
    """RTP of the calls of one run, by announcement. A scanner fills it (rows.Settings). room:
    announcements kept for taps without RTP; 0: RTP comes."""

    __slots__ = ("_memory", "struct")

    def __init__(self, room: int = 0) -> None:
        # Pages of the kernel are zero, and use RAM only after a write.
        self._memory = mmap(-1, int(ffi.sizeof("aw_rtp")))
        self.struct = ffi.from_buffer("aw_rtp *", self._memory, require_writable=True)
        self.struct.room = room

    def first(self, tap: int) -> int:
        """ns, the first packet counted on this tap; 0 = none yet."""
        return int(self.struct.first[tap])

    def of(self, call: int) -> list[Announced]:
        """The media announced by the messages of a call, in the order of reading. call: hash of its
        Call-ID."""
        table = self.struct
        if table.waiting:
            lib.aw_rtp_settle(table)
        found = []
        at = table.by_call[call & _LISTS]
        for _ in range(WALK):
            if not at:
                break
            one = table.announced[at - 1]
            if one.call == call:
                found.append(_announced(one))
            at = one.earlier
        found.reverse()
        return found


def _announced(one: Any) -> Announced:
    host = "" if one.bits & _NAME else _text(one.address, one.version)
    # Addresses of IPv4 fill the first four bytes, the rest is 0.
    source = bytes(ffi.buffer(one.source))
    version = 6 if any(source[4:]) else 4
    return Announced(
        int(one.tap), int(one.at), int(one.sender), address.text(source, version), host,
        int(one.port), int(one.ways), bool(one.bits & _ICE), bool(one.bits & _REQUEST),
        int(one.index), list(_streams(one)), int(one.more), bool(one.bits & _LEARNED),
    )  # fmt: skip


def _streams(one: Any) -> Iterator[Stream]:
    for s in one.streams:
        if s.packets:
            yield Stream(
                _text(s.address, one.version), int(s.port), bool(s.inwards), int(s.packets),
                int(s.bytes), int(s.first), int(s.last),
            )  # fmt: skip


def _text(packed: Any, version: int) -> str:
    return address.text(bytes(ffi.buffer(packed)), version)
