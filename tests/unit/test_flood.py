"""A flood at port 5060 neither blinds the agent nor makes it grow."""

from __future__ import annotations

import tracemalloc
from random import Random

from algwatch.base.deadlines import Deadlines
from algwatch.base.packet import LAN, WAN, Tap
from algwatch.base.table import Table
from algwatch.diagnose.finding import Finding
from algwatch.pipeline import Pipeline, Report
from craft import House, Incoming, Packet, batch, frame, register, request


def knocks(rng: Random, start: int, end: int, count: int, wan: str) -> list[Packet]:
    """INVITEs that nobody asked for, each of another address, Call-ID and branch."""
    found = []
    for i in range(count):
        source = f"185.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(1, 255)}"
        name = f"{rng.getrandbits(64):016x}"
        made = request(
            "INVITE", f"sip:{i}@{wan}", via=f"{source}:5060", branch=f"z9hG4bK{name}",
            call_id=name, cseq=1, caller=f"<sip:s@{source}>;tag={name[:8]}",
            callee=f"<sip:{i}@{wan}>",
        )  # fmt: skip
        at = start + (end - start) * i // count
        found.append((at, frame(made, source, 5060, wan, 5060, 50, rng.randrange(1, 65536))))
    return found


def run(flood: int) -> tuple[list[Report], Pipeline, int]:
    """A call whose ACK never comes, live, with so many strangers a second during all of it.
    Returns the reports, the pipeline and what was allocated in it, in bytes."""
    house = House()
    register(house, 0)
    call = Incoming(house, "followed")
    call.invite(1)
    call.ringing(1.1)
    call.ok(2)
    call.dropped(2)
    lan, wan = house.sorted()
    rng = Random(5060)
    pipeline = Pipeline([Tap("lan", LAN), Tap("wan", WAN)], live=True, strict=True)
    reports: list[Report] = []
    first = min(lan[0][0], wan[0][0])
    second = 1_000_000_000
    tracemalloc.start()
    for i in range(36):
        begin, end = first + i * second, first + (i + 1) * second
        for tap, packets in ((LAN, lan), (WAN, wan)):
            part = [p for p in packets if begin <= p[0] < end]
            if tap == WAN:
                part += knocks(rng, begin, end, flood, house.wan_ip)
                part.sort(key=lambda p: p[0])
            for j in range(0, len(part), 200):
                reports += pipeline.feed(batch(part[j : j + 200], tap))
        reports += pipeline.advance(LAN, end) + pipeline.advance(WAN, end)
    del part, packets
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return reports + pipeline.finish(), pipeline, held


def test_a_flood_of_strangers_does_not_hide_a_call_that_dies() -> None:
    quiet, _, _ = run(0)
    loud, pipeline, _ = run(500)
    wanted = [(f.rule, f.harm, f.where) for f in quiet if isinstance(f, Finding)]
    assert ("DLG001", "observed", "network") in wanted
    found = [(f.rule, f.harm, f.where) for f in loud if isinstance(f, Finding)]
    assert [f for f in found if f[0] != "CAP005"] == [f for f in wanted if f[0] != "CAP005"]
    assert pipeline.counts()["capture"]["wan"] > 18_000


def test_memory_in_a_flood_is_bounded() -> None:
    # 36,000 strangers; each of them would be more than a kilobyte.
    _, _, held = run(1000)
    assert held < 1_000_000


def test_strangers_have_a_quarter_of_a_table_and_go_first() -> None:
    table: Table[int, str] = Table(8)
    for key in range(6):
        table.add(key, "friend")
    for key in range(10, 20):
        table.add(key, "stranger", stranger=True)
    assert [key for key in table if key < 10] == list(range(6))
    assert [key for key in table if key >= 10] == [18, 19]
    table.add(6, "friend")
    table.add(7, "friend")
    assert sorted(table) == list(range(8))
    table.add(8, "friend")
    assert 0 not in table
    assert len(table) == 8


def test_one_who_became_known_is_evicted_like_anybody_else() -> None:
    table: Table[int, str] = Table(8)
    table.add(1, "stranger", stranger=True)
    table.befriend(1)
    for key in range(10, 20):
        table.add(key, "stranger", stranger=True)
    assert 1 in table


def test_deadlines_of_what_was_forgotten_do_not_pile_up() -> None:
    alive = {0}
    deadlines: Deadlines[int] = Deadlines(32, 100, lambda item: item in alive)
    for item in range(10_000):
        deadlines.add(item, item)
    assert len(deadlines) <= 100
    assert 0 in list(deadlines.due(20_000))
