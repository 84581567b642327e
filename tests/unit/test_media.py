# SPDX-License-Identifier: Apache-2.0
"""RTP counted by call and side, from the scanner's table to the direction that is dead."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from algwatch.base.native import layout
from algwatch.base.native.rows import Counts
from algwatch.base.native.rtp import Rtp
from algwatch.base.native.scan import hash_bytes
from algwatch.base.packet import LAN, UNKNOWN, WAN, Tap
from algwatch.base.report import Report
from algwatch.base.rtp import Announced, Stream
from algwatch.capture.pcap import CaptureFile
from algwatch.cli.source import Source
from algwatch.compare.media import ALIVE, Counted
from algwatch.diagnose.finding import Finding
from algwatch.pipeline import Pipeline
from craft import PORTS, START, House, batch, outgoing_call, pcap, sdp

sys.path.insert(0, str(Path(__file__).parents[1] / "golden"))

from cases.sdp import FAR, PORT, Audio, called, re_invited, ways

NS = 1_000_000_000


def counted(path: Path, house: House, side: int = LAN) -> Rtp:
    """The table after a file with that side was read."""
    path.write_bytes(pcap(house.sorted()[side]))
    table = Rtp()
    for _ in CaptureFile(str(path), 0, PORTS, Counts(), rtp=table):
        pass
    return table


def of(table: Rtp, call_id: str) -> list[Announced]:
    said = table.of(hash_bytes(layout.REPLAY_KEY, call_id.encode()))
    return [one for one in said if not one.learned]


def test_packets_are_counted_for_both_announced_ends(tmp_path: Path) -> None:
    house = House()
    called(house, 8, "a@b")
    audio = Audio(house)
    audio.out(3.1, 4.1)
    audio.into(3.1, 5.1)
    offer, answer = of(counted(tmp_path / "file", house, WAN), "a@b")
    assert (offer.host, offer.port, offer.request) == (house.wan_ip, PORT, True)
    assert (answer.host, answer.port, answer.request) == (house.provider, FAR, False)
    assert {(s.inwards, s.host, s.port, s.packets) for s in offer.streams} == {
        (False, house.provider, FAR, 10), (True, house.provider, FAR, 20),
    }  # fmt: skip
    assert {(s.inwards, s.packets, s.octets) for s in answer.streams} == {
        (True, 10, 200), (False, 20, 400),
    }  # fmt: skip
    out = next(s for s in answer.streams if s.inwards)
    assert out.first == START * NS + 3_100_000_000 + 200_000
    assert out.last == START * NS + 4_000_000_000 + 200_000


def test_rtp_after_the_bye_is_of_no_call(tmp_path: Path) -> None:
    house = House()
    called(house, 5, "a@b")
    Audio(house).out(3.1, 9)
    _, answer = of(counted(tmp_path / "file", house), "a@b")
    assert max(s.last for s in answer.streams) <= START * NS + 5 * NS


def test_the_next_call_on_the_same_ports_counts_alone(tmp_path: Path) -> None:
    house = House()
    for at, call_id in ((1, "one@phone"), (20, "two@phone")):
        outgoing_call(house, at, call_id)
        Audio(house).out(at + 2.1, at + 5)
    table = counted(tmp_path / "file", house)
    for call_id in ("one@phone", "two@phone"):
        assert [s.packets for a in of(table, call_id) for s in a.streams] == [29, 29]


def test_a_change_of_direction_is_another_announcement(tmp_path: Path) -> None:
    house = House()
    call = called(house, 0, "a@b")
    body, answer = sdp(house.wan_ip, PORT), sdp(house.provider, FAR)
    Audio(house).out(3.1, 6)
    re_invited(call, 6, body, answer)  # a session refresh
    re_invited(call, 7, ways(body, "sendonly"), ways(answer, "recvonly"))
    Audio(house).out(7.5, 9)
    said = of(counted(tmp_path / "file", house), "a@b")
    assert [(a.request, a.held) for a in said] == [
        (True, False), (False, False), (True, True), (False, True),
    ]  # fmt: skip
    assert [sum(s.packets for s in a.streams if s.inwards) for a in said] == [0, 29, 0, 15]


def test_what_no_call_announced_is_not_counted(tmp_path: Path) -> None:
    house = House()
    called(house, 8, "a@b")
    Audio(house, port=9000, wan_port=9000, far="192.0.2.9", far_port=9002).both(3.1, 6)
    table = counted(tmp_path / "file", house)
    assert table.first(0) == 0
    assert not any(a.streams for a in of(table, "a@b"))


class Told:
    """A table that is filled by somebody else, as from the accounting of conntrack."""

    def __init__(self, call_id: str, first: int, said: list[Announced]) -> None:
        self._call = hash_bytes(layout.REPLAY_KEY, call_id.encode())
        self._first = first
        self._said = said

    def first(self, tap: int) -> int:
        return self._first

    def of(self, call: int) -> list[Announced]:
        return self._said if call == self._call else []


def test_a_table_of_another_kind_can_be_fed(tmp_path: Path) -> None:
    house = House()
    called(house, 12, "a@b")
    table = counted(tmp_path / "file", house)  # only what was announced
    said = of(table, "a@b")
    at = START * NS
    said[0].streams = [Stream(house.provider, FAR, False, 200, 4000, at + 3 * NS, at + 11 * NS)]
    told = Told("a@b", at + 3 * NS, said)
    pipeline = Pipeline([Tap("lan", LAN)], strict=True, media=Counted(told, [LAN]))
    reports = pipeline.feed(batch(house.sorted()[0])) + pipeline.finish()
    assert [f.rule for f in findings(reports)] == ["SDP003"]


def findings(reports: list[Report]) -> Iterator[Finding]:
    return (r for r in reports if isinstance(r, Finding) and r.rule.startswith("SDP"))


@pytest.mark.parametrize("more", [0, 1])
def test_a_direction_is_alive_from_a_second_of_packets_on(tmp_path: Path, more: int) -> None:
    house = House()
    called(house, 12, "a@b")
    Audio(house).out(3.1, 11, step=7.9 / (ALIVE - 1 + more))
    path = tmp_path / "file"
    path.write_bytes(pcap(house.sorted()[0]))
    table = Rtp()
    pipeline = Pipeline([Tap("one", UNKNOWN)], strict=True, media=Counted(table, [UNKNOWN]))
    reports: list[Report] = []
    for made in CaptureFile(str(path), 0, PORTS, Counts(), rtp=table):
        reports += pipeline.feed(made)
    reports += pipeline.finish()
    assert len(list(findings(reports))) == more


def test_a_wan_side_with_another_clock_is_counted_on_that_of_the_lan(tmp_path: Path) -> None:
    """Which side is an hour ahead changes nothing of what is said."""
    told = []
    for ahead in (0, 3600 * NS):
        house = House()
        for n in range(3):  # enough messages to tell the clocks by
            called(house, 12, f"call{n}@phone") if not n else outgoing_call(
                house, 20 + 10 * n, f"call{n}@phone"
            )
        audio = Audio(house)
        audio.out(3.1, 11.9)
        audio.into(3.1, 11.9, lan=False)
        lan, wan = house.sorted()
        names = tmp_path / f"lan{ahead}", tmp_path / f"wan{ahead}"
        names[0].write_bytes(pcap(lan))
        names[1].write_bytes(pcap([(at + ahead, data) for at, data in wan]))
        source = Source([], [str(names[0])], [str(names[1])], PORTS)
        source.check()
        told.append([(f.rule, f.where, f.summary) for f in findings(list(source.reports()))])
    assert told[0] == told[1]
    assert [(rule, where) for rule, where, _ in told[0]] == [("SDP003", "router")]
