# SPDX-License-Identifier: Apache-2.0
"""The wall clock is set in mid-call: nothing is found that was not there, and nothing is lost.

The daemon's own loop, with clocks that the test moves and taps that stamp what comes with the wall
clock of that moment, as the kernel does, and keep it for as long as a block may wait in the ring.
"""

from __future__ import annotations

from collections import deque
from functools import cache
from typing import cast

import pytest
from algwatch.advise.advice import Advice
from algwatch.base.clock import PacketClock
from algwatch.base.native.layout import REPLAY_KEY
from algwatch.base.native.rows import Counts
from algwatch.base.packet import LAN, WAN, Batch, Tap
from algwatch.capture.reassembly import Reassembler
from algwatch.capture.ring import BLOCK_TIMEOUT_MS, DISORDER, LiveTap
from algwatch.compare.summary import CallSummary, RegistrationSummary
from algwatch.daemon import Daemon, Source
from algwatch.diagnose.finding import Finding
from algwatch.pipeline import Pipeline, Report
from algwatch.report.console import Console
from craft import NS, PORTS, START, House, Incoming, Packet, batch, outgoing_call, register

HOUR = 3600.0


class Clocks:
    """now: ns since 1970 that truly passed. steps: (seconds after START, what the wall clock is
    set forward by then)."""

    def __init__(self, steps: list[tuple[float, float]]) -> None:
        self.now = START * NS
        self._steps = [(START * NS + round(at * NS), round(by * NS)) for at, by in steps]

    def monotonic(self) -> int:
        return self.now - START * NS + 77 * NS

    def shift(self, at: int) -> int:
        return sum(by for when, by in self._steps if when <= at)

    def wall(self) -> int:
        return self.now + self.shift(self.now)


class TapOnPaper:
    """A LiveTap as the daemon sees it. Packets wait until their block is handed over: at once
    when it is full, else every 200 ms, found at the second time, so after 200 to 400 ms."""

    def __init__(
        self, tap: int, packets: list[Packet], clocks: Clocks, late: float, full: bool,
        drops_at: int = 0,
    ) -> None:  # fmt: skip
        self.name = f"tap{tap}"
        self.reopened = self.drops = 0
        self._drops_at = drops_at
        self.waiting = self.emptied = False
        self._tap = tap
        self._clocks = clocks
        self._packets = deque(packets)
        self._late = round(late * NS)
        self._full = full
        self._taken: list[Packet] = []

    def fileno(self) -> int:
        return 0

    def drain(self) -> bool:
        tick = BLOCK_TIMEOUT_MS * NS // 1000
        now = self._clocks.now
        handed_over = now if self._full else (now - self._late) // tick * tick - tick
        while self._packets and self._packets[0][0] <= handed_over:
            at, data = self._packets.popleft()
            self._taken.append((at + self._clocks.shift(at), data))
        return True

    def read(self) -> Batch | None:
        if self._full:
            self._clocks.now += NS // 20  # who fills blocks keeps us busy: steps come between reads
        self.drain()
        self.drops = int(0 < self._drops_at <= self._clocks.now)
        if not self._taken:
            return None
        made = batch(self._taken[:4], self._tap, self._taken[:4][-1][0] - DISORDER)
        del self._taken[:4]
        self.emptied = not self._taken
        return made


class Ear(Console):
    def __init__(self) -> None:
        super().__init__(print, print, False)
        self.heard: list[Report] = []

    def report(self, report: Report) -> None:
        self.heard.append(report)


def watched(
    house: House, steps: list[tuple[float, float]], pause: float, full: bool = False,
    drops: dict[int, int] | None = None,
) -> list[Report]:  # fmt: skip
    """The daemon's reports on this traffic, looking at its taps once in `pause` seconds. drops:
    ns since 1970, by tap, when it had no room for a packet."""
    clocks = Clocks(steps)
    lan, wan = house.sorted()
    end = max(lan[-1][0], wan[-1][0]) + 60 * NS
    lost = drops or {}
    taps = [TapOnPaper(0, lan, clocks, 0.03, full, lost.get(0, 0)),
            TapOnPaper(1, wan, clocks, 0.0, full, lost.get(1, 0))]  # fmt: skip
    sources = [
        Source(cast(LiveTap, tap), side, Reassembler(side, PORTS, REPLAY_KEY))
        for side, tap in enumerate(taps)
    ]
    pipeline = Pipeline([Tap("lan", LAN), Tap("wan", WAN)], live=True, strict=True)
    clock = PacketClock(clocks.monotonic, clocks.wall)
    ear = Ear()
    daemon = Daemon(sources, pipeline, clock, ear, Counts(), None, 60)
    while clocks.now < end:
        clocks.now += round(pause * NS)
        daemon.turn()
    daemon.finish()
    return ear.heard


def traffic() -> House:
    """A phone behind an ALG; a call that completes, and one whose ACK never comes."""
    house = House("linux", wan_port=1024)
    register(house, 0)
    outgoing_call(house, 2, "completes")
    call = Incoming(house, "drops")
    call.invite(11)
    call.ringing(11.1)
    call.ok(12)
    call.dropped(12)
    for n in range(2, 40):
        register(house, 15 + n, n=n)
    return house


def key(report: Report) -> tuple[object, ...]:
    if isinstance(report, Finding):
        evidence = tuple((e.side, e.observed, e.expected, e.payload) for e in report.evidence)
        return (report.rule, report.harm, report.where, report.call_id, report.summary, evidence)
    if isinstance(report, CallSummary):
        return ("call", report.call_id, report.outcome, report.ack)
    if isinstance(report, RegistrationSummary):
        return ("registration", report.call_id, report.outcome)
    assert isinstance(report, Advice)
    return (report.action, report.state, report.subject)


@cache
def unset(pause: float, full: bool = False) -> list[tuple[object, ...]]:
    """What is told where nobody sets the clock."""
    return [key(one) for one in watched(traffic(), [], pause, full)]


STEPS = [
    [(14.0, HOUR)],
    [(14.0, -HOUR)],
    [(2.01, HOUR)],
    [(4.011, -HOUR)],
    [(12.4999, HOUR), (12.8, -HOUR)],
    [(12.4999, -HOUR), (12.8, -HOUR), (20.0, 2 * HOUR)],
    [(12.51, 53 * 365 * 24 * HOUR)],  # a router without a clock
    [(13.0, 0.128)],  # ntpd steps from here on
    [(13.0, 0.3)],
    [(13.0, -0.3)],
    [(13.0, 0.45)],
    [(13.0, -0.45)],
]


@pytest.mark.parametrize("pause", [0.005, 0.25])
@pytest.mark.parametrize("steps", STEPS, ids=str)
def test_a_step_of_the_wall_clock_changes_no_report(
    steps: list[tuple[float, float]], pause: float
) -> None:
    expected = unset(pause)
    assert ("call", "completes", "completed", "seen") in expected
    assert ("call", "drops", "dropped", "missing") in expected
    assert "DLG001" in [one[0] for one in expected]
    assert [key(one) for one in watched(traffic(), steps, pause)] == expected


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("by", [HOUR, -HOUR])
def test_it_does_not_matter_when_a_step_comes(by: float, full: bool) -> None:
    house, expected = traffic(), unset(0.1, full)
    for n in range(20):  # around the first 2xx that comes again, on either side of its reading
        at = 12.4 + n * 0.0153
        assert [key(one) for one in watched(house, [(at, by)], 0.1, full)] == expected, at


@pytest.mark.parametrize("by", [HOUR, -HOUR, 0.3])
def test_a_report_tells_the_time_that_the_wall_clock_shows_now(by: float) -> None:
    house = traffic()
    before = {key(one): one for one in watched(house, [], 0.25) if isinstance(one, CallSummary)}
    for one in watched(house, [(14.0, by)], 0.25):
        if isinstance(one, CallSummary) and one.call_id == "drops":
            assert one.start == pytest.approx(before[key(one)].start + by, abs=0.001)
