# SPDX-License-Identifier: Apache-2.0
"""Rows leave in order of time and in the same batches, however they came."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from algwatch.__main__ import main
from algwatch.base.native import layout
from algwatch.base.packet import Batch
from algwatch.capture.order import DISORDER, FOREVER, MOST_ROWS, SLOT, Order, Timeline
from craft import House, Outgoing, outgoing_call, pcap

START = 1_700_000_000 * 1_000_000_000
SECOND = 1_000_000_000

Row = tuple[int, bytes]  # time, message


def made(rows: list[Row], live: bool = False) -> Batch:
    """A batch of such rows; live: in memory that is used again."""
    buffer = b"".join(b"----" + text for _, text in rows)
    packed, ends, at = [], [], 0
    for moment, text in rows:
        start = at + 4
        packed.append(layout.ROW.pack(moment, 0, 0, 0, 0, 0, 0, 0, start, len(text), *[0] * 7))
        ends.append(layout.ENDS.pack(text.ljust(16)[:16], b"", at, len(text) + 4, *[0] * 5))
        at = start + len(text)
    whole = memoryview(bytearray(buffer)) if live else buffer
    return Batch(whole, memoryview(bytearray(b"".join(packed))), b"".join(ends), len(rows), 0, 0)


def rows_of(batch: Batch) -> list[Row]:
    found = []
    for index, row in enumerate(layout.ROW.iter_unpack(batch.rows)):
        text = bytes(batch.buffer[row[8] : row[8] + row[9]])
        assert batch.ends[48 * index : 48 * index + 16] == text.ljust(16)[:16]
        found.append((row[0], text))
    return found


def scrub(batch: Batch) -> None:
    """Overwrite a batch, as a reader does with the memory of its last one."""
    for memory in (batch.rows, batch.buffer):
        if isinstance(memory, memoryview):
            memory[:] = bytes(len(memory))


def through(taps: list[list[Row]], sizes: random.Random | int, live: bool = False,
            limit: int = 0) -> list[tuple[int, list[Row]]]:  # fmt: skip
    """Watermark and rows of each batch that comes out of files; live: of taps that are read in
    step by time."""
    order = Order(len(taps), limit)
    rest = [list(rows) for rows in taps]
    found: list[tuple[int, list[Row]]] = []

    def take(batches: list[Batch]) -> None:
        found.extend((batch.watermark, rows_of(batch)) for batch in batches)

    last: dict[int, Batch] = {}
    while (tap := order.wait_for() if not live else _next(rest)) is not None:
        if tap in last:
            scrub(last.pop(tap))
        if not rest[tap]:
            take(order.end(tap))
            continue
        size = sizes if isinstance(sizes, int) else sizes.randint(1, 300)
        batch = last[tap] = made(rest[tap][:size], live)
        del rest[tap][:size]
        take(order.feed(tap, batch))
    if live:
        for tap in range(len(taps)):
            take(order.end(tap))
    assert not order.pending
    return found


def _next(rest: list[list[Row]]) -> int | None:
    there = [(rows[0][0], tap) for tap, rows in enumerate(rest) if rows]
    return min(there)[1] if there else None


def by_row(found: list[tuple[int, list[Row]]]) -> list[tuple[int, Row]]:
    """Each row with the watermark of its batch."""
    return sorted((mark, row) for mark, rows in found for row in rows)


def traffic(rng: random.Random, count: int, disorder: int, rate: float = 100) -> list[Row]:
    """Messages in the order of their times, but for so many ns."""
    at, rows = START, []
    for number in range(count):
        at += round(rng.expovariate(rate) * SECOND)
        rows.append((at, b"%d" % number))
    return sorted(rows, key=lambda row: row[0] + rng.randint(0, disorder))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(
    ("disorder", "rate"),
    [(0, 100), (100_000, 100), (DISORDER - 1, 100), (DISORDER - 1, 5000), (4 * SECOND, 300)],
    ids=["none", "a little", "as much as is sorted", "in a flood", "more than is sorted"],
)
def test_batches_depend_on_rows_and_not_on_how_they_were_read(
    disorder: int, rate: float, seed: int
) -> None:
    rng = random.Random(seed)
    taps = [traffic(rng, 1500, disorder, rate) for _ in range(rng.randint(1, 3))]
    whole = through(taps, 1)
    for sizes in (7, 300, 960, rng):
        assert through(taps, sizes) == whole
    # Live they are cut smaller, so that in a flood both copies of a message come soon.
    assert by_row(through(taps, 32, live=True, limit=1 << 30)) == by_row(whole)
    marks = [mark for mark, _ in whole]
    assert marks == sorted(marks)
    assert sorted(row for _, rows in whole for row in rows) == sorted(
        row for rows in taps for row in rows
    )
    for mark, rows in whole:
        assert rows == sorted(rows, key=lambda row: row[0])
        assert len(rows) <= MOST_ROWS and rows[-1][0] < mark + SLOT
        if disorder < DISORDER and rate < MOST_ROWS:
            assert mark <= rows[0][0]  # nothing came too late
    if len(taps) == 1 and disorder < DISORDER and rate < MOST_ROWS:
        at = [row[0] for _, rows in whole for row in rows]
        assert at == sorted(at)


def test_rows_of_one_moment_stay_as_they_were() -> None:
    rows = [(START + 5, b"a"), (START + 5, b"b"), (START + 3, b"c"), (START + 5, b"d")]
    ((_, found),) = through([rows], 4)
    assert found == [rows[2], rows[0], rows[1], rows[3]]


def test_one_wrong_time_far_ahead_holds_nothing_back() -> None:
    later = [(START + number * SECOND // 10, b"%d" % number) for number in range(600)]
    rows = [*later[:10], (START + 10**9 * SECOND, b"wrong"), *later[10:]]
    for sizes in (1, 64, 1000):
        found = through([rows], sizes)
        assert sum(len(some) for _, some in found) == 601
        assert [mark for mark, _ in found] == sorted(mark for mark, _ in found)


def test_a_live_tap_that_floods_does_not_wait_for_a_silent_one() -> None:
    order, limit = Order(2, 100_000), 100_000
    order.advance(1, START)
    for number in range(200):
        rows = [(START + number * 1000 + n, b"x" * 500) for n in range(32)]
        batch = made(rows, live=True)
        for one in order.feed(0, batch):
            assert one.watermark <= START  # the other tap has not passed any later moment
        scrub(batch)
        assert sum(tap.held for tap in order._taps) <= limit


class Counting:
    """Stages with one timer: they are due at some times, and note when they are advanced."""

    def __init__(self, due: list[int]) -> None:
        self._due = due
        self.log: list[tuple[str, int]] = []

    @property
    def due(self) -> int:
        return self._due[0] if self._due else FOREVER

    def feed(self, batch: Batch) -> list[str]:
        self.log.append(("rows", batch.watermark))
        return []

    def advance(self, tap: int, now: int) -> list[str]:
        if tap == 0:
            self.log.append(("time", now))
        while self._due and self._due[0] <= now:
            self._due.pop(0)
        return [f"due at {now}"]


def slot_at(at: int) -> Batch:
    batch = made([(at, b"x")])
    batch.watermark = at // SLOT * SLOT
    return batch


def test_time_stops_where_something_is_due_however_long_the_silence() -> None:
    year = 365 * 86400 * SECOND
    stages = Counting([START + 3 * SECOND + 1, START + 3 * SECOND + 2, START + 40 * SECOND])
    timeline = Timeline(stages, 2)
    timeline.feed(slot_at(START))
    timeline.feed(slot_at(START + year))
    assert stages.log == [
        ("time", START), ("rows", START), ("time", START + 4 * SECOND),
        ("time", START + 40 * SECOND), ("time", START + year), ("rows", START + year),
    ]  # fmt: skip


class Stubborn(Counting):
    @property
    def due(self) -> int:
        return 0


def test_what_stays_due_does_not_stop_time() -> None:
    stages = Stubborn([])
    timeline = Timeline(stages, 1)
    timeline.feed(slot_at(START))
    assert stages.log[-2:] == [("time", START), ("rows", START)]
    assert len(stages.log) < 5


def test_time_does_not_pass_the_end_of_a_tap() -> None:
    stages = Counting([])
    timeline = Timeline(stages, 2)
    timeline.feed(slot_at(START))
    timeline.end(1, START + SECOND // 2)
    timeline.feed(slot_at(START + 9 * SECOND))
    timeline.feed(slot_at(START + 10 * SECOND))
    timeline.finish()
    assert [at for what, at in stages.log if what == "time"] == [START, START + SECOND // 2]


def test_a_call_that_rang_years_ago_is_not_looked_at_ever_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, house = House(), House()
    ringing = Outgoing(before, "old@phone")
    ringing.invite(0)
    ringing.respond(0.2, 180)
    old = [(at - 10**18, data) for at, data in before.lan]
    outgoing_call(house, 100, "new@phone")
    path = tmp_path / "lan.pcap"
    path.write_bytes(pcap([*old, *house.sorted()[0]]))
    steps: list[int] = []
    step = Timeline._step

    def counted(timeline: Timeline[Any], now: int) -> list[Any]:
        steps.append(now)
        return step(timeline, now)

    monkeypatch.setattr(Timeline, "_step", counted)
    assert main(["analyze", "--json", str(path)]) in (0, 1, 3)
    assert len(steps) < 1000
