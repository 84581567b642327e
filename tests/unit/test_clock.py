# SPDX-License-Identifier: Apache-2.0
"""The packet clock goes on evenly, whatever NTP does to the wall clock."""

from __future__ import annotations

import struct

from algwatch.base.clock import ROW_SIZE, PacketClock

SECOND = 1_000_000_000


class Clocks:
    """Two clocks that a test moves."""

    def __init__(self, wall: int) -> None:
        self.mono = 77 * SECOND
        self.wall = wall

    def go(self, ns: int) -> None:
        self.mono += ns
        self.wall += ns

    def clock(self) -> PacketClock:
        return PacketClock(lambda: self.mono, lambda: self.wall)


def test_without_a_step_time_stamps_are_what_the_kernel_said() -> None:
    clocks = Clocks(10 * SECOND)
    clock = clocks.clock()
    clocks.go(3 * SECOND)
    assert clock.look() == 0
    assert clock.now() == clock.packet(13 * SECOND) == 13 * SECOND
    rows = memoryview(bytearray(ROW_SIZE))
    assert clock.rows(rows, 1) is rows


def test_a_step_of_half_a_century_does_not_move_the_packet_clock() -> None:
    clocks = Clocks(5 * SECOND)
    clock = clocks.clock()
    clocks.go(SECOND)
    clocks.wall += 1_700_000_000 * SECOND
    assert clock.look() == 1_700_000_000 * SECOND
    assert clock.now() == 6 * SECOND
    clocks.go(SECOND)
    assert clock.packet(clocks.wall) == clock.now() == 7 * SECOND
    assert clock.wall(7.0) == clocks.wall / 1e9


def test_a_packet_that_waited_in_the_ring_during_the_step_keeps_its_place() -> None:
    clocks = Clocks(1000 * SECOND)
    clock = clocks.clock()
    clocks.go(SECOND)
    stamp_before = clocks.wall
    clocks.wall -= 3600 * SECOND
    clocks.go(SECOND // 10)
    assert clock.look() == -3600 * SECOND
    stamp_after = clocks.wall
    assert clock.packet(stamp_before) == 1001 * SECOND
    assert clock.packet(stamp_after) == 1001 * SECOND + SECOND // 10


def test_rows_are_moved_one_by_one_and_nothing_else_in_them() -> None:
    clocks = Clocks(1000 * SECOND)
    clock = clocks.clock()
    old = clocks.wall
    clocks.wall += 500 * SECOND
    clocks.go(SECOND)
    clock.look()
    tail = bytes(range(ROW_SIZE - 8))
    raw = struct.pack("=Q", old) + tail + struct.pack("=Q", clocks.wall) + tail
    moved = bytes(clock.rows(raw, 2))
    assert struct.unpack_from("=Q", moved, 0)[0] == 1000 * SECOND
    assert struct.unpack_from("=Q", moved, ROW_SIZE)[0] == 1001 * SECOND
    assert moved[8:ROW_SIZE] == moved[ROW_SIZE + 8 :] == tail


def test_a_step_there_and_back_leaves_the_clock_where_it_was() -> None:
    clocks = Clocks(1000 * SECOND)
    clock = clocks.clock()
    for step in (90 * SECOND, -90 * SECOND):
        clocks.go(SECOND)
        clocks.wall += step
        clock.look()
    assert clock.shift == 0
    clocks.go(60 * SECOND)
    assert clock.packet(clocks.wall) == clock.now()


def test_a_pause_between_two_reads_of_the_clocks_is_not_a_step() -> None:
    now = [0]
    reads = [0]

    def monotonic() -> int:
        reads[0] += 1
        now[0] += SECOND if reads[0] % 6 == 2 else 10  # every second measurement pauses
        return now[0]

    clock = PacketClock(monotonic, lambda: now[0])
    assert [clock.look() for _ in range(5)] == [0] * 5
