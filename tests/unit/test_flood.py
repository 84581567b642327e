# SPDX-License-Identifier: Apache-2.0
"""A flood at port 5060 neither blinds the agent nor makes it grow."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Iterable
from random import Random

import pytest
from algwatch.base.deadlines import Deadlines
from algwatch.base.packet import LAN, WAN, Tap
from algwatch.base.table import ANSWERED, CROSSED, FRESH, STRANGE, Table
from algwatch.compare.summary import CallSummary, RegistrationSummary
from algwatch.diagnose.finding import Finding
from algwatch.pipeline import Pipeline, Report
from craft import House, Incoming, Outgoing, Packet, batch, frame, outgoing, register, request


def scans(rng: Random, start: int, end: int, count: int, wan: str) -> list[Packet]:
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
    """A call whose ACK never comes, live, with so many unsolicited a second during all of it.
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
                part += scans(rng, begin, end, flood, house.wan_ip)
                part.sort(key=lambda p: p[0])
            for j in range(0, len(part), 200):
                reports += pipeline.feed(batch(part[j : j + 200], tap))
        reports += pipeline.advance(LAN, end) + pipeline.advance(WAN, end)
    del part, packets
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return reports + pipeline.finish(), pipeline, held


def test_an_unsolicited_flood_does_not_hide_a_call_that_dies() -> None:
    quiet, _, _ = run(0)
    loud, pipeline, _ = run(500)
    wanted = [(f.rule, f.harm, f.where) for f in quiet if isinstance(f, Finding)]
    assert ("DLG001", "observed", "network") in wanted
    found = [(f.rule, f.harm, f.where) for f in loud if isinstance(f, Finding)]
    assert [f for f in found if f[0] != "CAP005"] == [f for f in wanted if f[0] != "CAP005"]
    assert pipeline.counts()["capture"]["wan"] > 18_000
    evicted = pipeline.counts()["evicted"]
    assert evicted["unsolicited"] > 10_000
    assert not evicted.keys() & {"transactions", "dialogs", "calls", "phones"}


def test_what_had_to_go_for_want_of_room_is_counted_by_kind() -> None:
    house = House()
    for i in range(300):
        Outgoing(house, f"c{i}").invite(1 + i / 100)
    pipeline = Pipeline([Tap("lan", LAN)], live=True, strict=True)
    copies = house.sorted()[0]
    pipeline.feed(batch(copies[:256], LAN))
    assert "evicted" not in pipeline.counts()
    pipeline.feed(batch(copies[256:], LAN))
    assert pipeline.counts()["evicted"] == {"dialogs": 44, "calls": 44}


def test_the_end_of_an_evicted_call_is_not_known() -> None:
    house = House()
    for i in range(300):
        call = Outgoing(house, f"c{i}")
        call.invite(1 + i / 20)
        call.ok(1.01 + i / 20)
        call.ack(1.02 + i / 20)
    pipeline = Pipeline([Tap("lan", LAN), Tap("wan", WAN)], live=True, strict=True)
    reports, copies = [], house.sorted()
    for n in range(0, len(copies[LAN]), 60):
        for tap in (LAN, WAN):
            reports += pipeline.feed(batch(copies[tap][n : n + 60], tap))
        for tap in (LAN, WAN):
            reports += pipeline.advance(tap, copies[LAN][min(n + 59, len(copies[LAN]) - 1)][0])
    said = [one.outcome for one in reports if isinstance(one, CallSummary)]
    assert len(said) == pipeline.counts()["evicted"]["calls"] == 44
    assert set(said) == {"unknown"}


def test_memory_in_a_flood_is_bounded() -> None:
    # 36,000 unsolicited; each of them would be more than a kilobyte.
    _, _, held = run(1000)
    assert held < 1_300_000


def test_the_oldest_entry_of_a_full_table_goes_also_when_others_went_and_came_again() -> None:
    gone: list[list[int]] = []
    table: Table[int, list[int]] = Table(40, gone=gone.append)
    for key in range(40):
        table.add(key, [key])
    table.add(40, [40])
    assert gone == [[0]]
    del table[1], table[3]
    table.add(3, [3])  # the same key, the youngest now
    table.add(41, [41])
    assert table.evicted == 1
    assert table.unsolicited == 0
    for key in range(100, 140):
        table.add(key, [key])
    assert gone[1:] == [[key] for key in (2, *range(4, 41), 3, 41)]


def test_unsolicited_entries_have_a_quarter_of_a_table_and_go_first() -> None:
    table: Table[int, str] = Table(8)
    for key in range(6):
        table.add(key, "solicited")
    for key in range(10, 20):
        table.add(key, "unsolicited", strange=True)
    assert [key for key in table if key < 10] == list(range(6))
    assert [key for key in table if key >= 10] == [18, 19]
    assert (table.evicted, table.unsolicited) == (0, 8)
    table.add(6, "solicited")
    table.add(7, "solicited")
    assert sorted(table) == list(range(8))
    table.add(8, "solicited")
    assert 0 not in table
    assert len(table) == 8


def test_one_who_became_known_is_evicted_like_anybody_else() -> None:
    known: set[int] = set()
    table: Table[int, str] = Table(8, lambda key, _: (FRESH if key in known else STRANGE, ""))
    table.add(1, "unsolicited", strange=True)
    known.add(1)
    for key in range(10, 20):
        table.add(key, "unsolicited", strange=True)
    assert 1 in table


Entry = tuple[int, str]  # grade and host


def left(limit: int, entries: Iterable[Entry]) -> Counter[Entry]:
    """Entries by grade and host in a table into which these were put."""
    table: Table[int, Entry] = Table(limit, lambda _, value: value)
    for key, value in enumerate(entries):
        table.add(key, value, value[0] == STRANGE)
    return Counter(table.values())


def test_the_host_with_the_most_entries_pays() -> None:
    kept = left(64, [(FRESH, "a")] * 10 + [(FRESH, "b")] * 10 + [(FRESH, "flood")] * 1000)
    assert kept == {(FRESH, "a"): 10, (FRESH, "b"): 10, (FRESH, "flood"): 44}


def test_two_hosts_that_want_all_of_it_get_half_each() -> None:
    kept = left(64, [(FRESH, "ab"[i % 3 // 2]) for i in range(3000)])
    assert abs(kept[FRESH, "a"] - kept[FRESH, "b"]) <= 64 // 4


@pytest.mark.parametrize("low, high", [(STRANGE, FRESH), (FRESH, CROSSED), (CROSSED, ANSWERED)])
def test_many_hosts_with_an_entry_each_do_not_reach_what_has_shown_more(
    low: int, high: int
) -> None:
    kept = left(64, [(high, "call")] * 5 + [(low, f"made up {i}") for i in range(1000)])
    assert kept[high, "call"] == 5


@pytest.mark.parametrize("grade", [FRESH, CROSSED])
def test_a_table_full_of_what_was_answered_still_lets_others_in(grade: int) -> None:
    full = [(ANSWERED, "intruder")] * 64
    calls = [(grade, "phone")] * 5
    kept = left(64, full + calls + [(ANSWERED, "intruder")] * 64)
    assert kept[grade, "phone"] == 5


def test_what_rose_after_it_was_chosen_to_go_stays() -> None:
    grades = dict.fromkeys(range(1000), FRESH)
    table: Table[int, int] = Table(16, lambda key, _: (grades[key], ""))
    for key in range(17):
        table.add(key, key)
    assert 0 not in table
    grades[1] = ANSWERED  # the next to go, chosen with 0
    for key in range(17, 200):
        table.add(key, key)
    assert 1 in table
    assert table.evicted == 184


def test_a_choice_costs_a_few_looks_at_an_entry() -> None:
    looks = 0

    def weigh(key: int, value: None) -> tuple[int, int]:
        nonlocal looks
        looks += 1
        return FRESH, key % 7

    table: Table[int, None] = Table(512, weigh)
    for key in range(10_000):
        table.add(key, None)
    assert looks < 6 * 10_000


def test_deadlines_of_what_was_forgotten_do_not_pile_up() -> None:
    alive = {0}
    deadlines: Deadlines[int] = Deadlines(
        32, 100, lambda waiting: [item for item in waiting if item[1] in alive]
    )
    for item in range(10_000):
        deadlines.add(item, item)
    assert len(deadlines) <= 100
    assert 0 in list(deadlines.due(20_000))


def crossing_beside(flood: int, remote: str) -> Pipeline:
    """A REGISTER of the phone, whose LAN copy is read 190 ms after the flood of its moment, as a
    quiet tap's block is; so many messages of `remote` on the WAN in those 190 ms."""
    house = House()
    register(house, 0)
    lan, wan = house.sorted()
    start = wan[0][0]
    taps = [Tap("lan", LAN), Tap("wan", WAN)]
    pipeline = Pipeline(taps, live=True, strict=True)
    pipeline.feed(outgoing(batch(wan[:1], WAN)))
    answers = [(start + 1000 * i, frame(b"SIP/2.0 200 OK\r\nCall-ID: %d\r\nCSeq: 1 OPTIONS\r\n"
                                        b"Via: SIP/2.0/UDP a;branch=z9hG4bK%d\r\n\r\n" % (i, i),
                                        remote, 5060, house.wan_ip, 5060, 50, 1 + i))
               for i in range(flood)]  # fmt: skip
    pipeline.feed(batch(answers, WAN))
    pipeline.feed(batch(wan[1:], WAN))
    pipeline.feed(batch(lan, LAN))
    later = start + 2_000_000_000
    said = pipeline.advance(LAN, later) + pipeline.advance(WAN, later)
    # The registration is told when both copies of its response had their time, and nothing else.
    (told,) = said
    assert isinstance(told, RegistrationSummary) and told.outcome == "accepted"
    return pipeline


def test_unsolicited_messages_leave_room_for_a_message_whose_other_copy_is_read_later() -> None:
    crossings = crossing_beside(300, "185.1.2.3").counts()["crossings"]
    assert (crossings["paired"], crossings["lan_only"]) == (2, 0)
    assert 60 <= crossings["unsolicited"] <= 64  # a quarter of 256


def test_what_found_no_room_makes_nobody_say_that_its_other_copy_is_missing() -> None:
    # It is the provider's own, so it is solicited.
    crossings = crossing_beside(300, "203.0.113.5").counts()["crossings"]
    assert crossings["paired"] in (1, 2)
    assert crossings["lan_only"] == 0
    assert crossings["wan_only"] <= 256


def test_a_call_with_only_unsolicited_requests_makes_no_host_known() -> None:
    house = House()
    pipeline = Pipeline([Tap("lan", LAN), Tap("wan", WAN)], live=True, strict=True)
    scanned = [  # a scanner that makes up branches, and one Call-ID for all
        (1_700_000_000_000_000_000 + n,
         frame(request("INVITE", f"sip:{n}@{house.wan_ip}", via="185.1.2.3:5060",
                       branch=f"z9hG4bK{n}", call_id="same", cseq=1),
               "185.1.2.3", 5060, house.wan_ip, 5060, 50, 1 + n))
        for n in range(200)
    ]  # fmt: skip
    for n in range(0, 200, 10):
        pipeline.feed(batch(scanned[n : n + 10], WAN))
    assert 64 <= len(pipeline._comparison.sides[WAN].transactions.table) <= 128  # of 512
