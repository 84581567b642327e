# SPDX-License-Identifier: Apache-2.0
"""Can two captures be trusted to be both sides of one router (compare/survey.py)?"""

from __future__ import annotations

import io
import json
import random
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from ipaddress import ip_address
from pathlib import Path

import pytest
from algwatch.__main__ import main
from algwatch.base.native.layout import METHOD_NAMES, ROW
from algwatch.base.packet import LAN, WAN, Tap
from algwatch.capture.shift import shifted
from algwatch.cli.source import Source
from algwatch.compare.quality import Quality
from algwatch.compare.sides_check import STRONG, WEAK, SidesCheck, Votes, header, weigh
from algwatch.compare.survey import IDENTITIES, Survey
from algwatch.pipeline import Pipeline
from craft import (
    LADDER_INVITE,
    NS,
    House,
    Incoming,
    Outgoing,
    Packet,
    batch,
    frame,
    incoming_call,
    outgoing,
    outgoing_call,
    pcap,
    register,
    request,
)

MS = NS // 1000


def surveyed(lan: list[Packet], wan: list[Packet], size: int = 50) -> Quality:
    survey = Survey()
    for side, packets in ((LAN, lan), (WAN, wan)):
        for i in range(0, len(packets), size):
            survey.feed(side, batch(packets[i : i + size], side))
    return survey.finish()


def clock(packets: list[Packet], ahead: float, ppm: float = 0) -> list[Packet]:
    """The packets as a clock stamps them that is so many seconds ahead at the first packet."""
    first = min(at for at, _ in packets)
    return [
        (at + round((ahead + (at - first) / NS * ppm / 1e6) * 1e6) * 1000, data)
        for at, data in sorted(packets)
    ]


def calls(house: House, seconds: int = 30, gap: int = 15) -> House:
    for n, at in enumerate(range(1, seconds, gap)):
        incoming_call(house, at, f"in{n}@provider")
        outgoing_call(house, at + gap // 2, f"out{n}@phone")
    return house


# ---- clocks ----


@pytest.mark.parametrize("alg", ["", "linux"])
@pytest.mark.parametrize("idents", [True, False])
@pytest.mark.parametrize("ahead", [0, 0.021, -0.3, 0.5, 1.5, -3, 60, -3600, 86400, -86400.25])
def test_the_offset_is_measured_to_the_microsecond(alg: str, idents: bool, ahead: float) -> None:
    house = calls(House(alg, idents=idents))
    quality = surveyed(clock(house.lan, ahead), clock(house.wan, 0))
    offset = quality.offset
    assert offset is not None
    assert abs(offset.ns - ahead * NS) <= 1000
    assert offset.drift == 0.0
    assert offset.matters == (abs(ahead) >= 0.02)
    assert offset.pairs == quality.pairs == len(house.lan)
    assert not (quality.exchanged or quality.same or quality.unrelated or quality.unsteady)


@pytest.mark.parametrize("ppm", [10, 50, -100, 200, -200])
@pytest.mark.parametrize("ahead", [0, 0.3, -3600])
def test_drift_is_measured_and_taken_out_from_end_to_end(ahead: float, ppm: float) -> None:
    house = calls(House(), 1800, 120)
    lan, wan = clock(house.lan, 0), clock(house.wan, ahead, ppm)
    offset = surveyed(lan, wan).offset
    assert offset is not None
    assert abs(offset.drift * 1e6 + ppm) < 1
    for true, seen in ((sorted(house.wan)[i][0], wan[i][0]) for i in (0, len(wan) // 2, -1)):
        assert abs(offset.lan(seen) - true) <= MS
        assert abs(offset.turned().lan(true) - seen) <= MS


def test_one_direction_alone_is_told_in_its_order() -> None:
    """Nothing but an INVITE: the LAN copy is the earlier one after the correction, too."""
    house = House()
    call = Outgoing(house, "silent@phone")
    for after in (0, *LADDER_INVITE):
        call.invite(1 + after)
    wan = clock(house.wan, 7)
    offset = surveyed(house.lan, wan).offset
    assert offset is not None
    assert all(0 < offset.lan(w[0]) - at[0] < MS for at, w in zip(house.lan, wan, strict=True))


def _renamed(old: str, new: str) -> Callable[[bytes], bytes]:
    return lambda message: re.sub(old.encode(), new.encode(), message)


@pytest.mark.parametrize(
    ("out", "into"),
    [
        (("@phone", "@198.51.100.2"), ("@198.51.100.2", "@phone")),
        (("branch=z9hG4bK", "branch=z9hG4bKalg"), ("branch=z9hG4bKalg", "branch=z9hG4bK")),
    ],
    ids=["call-id", "branch"],
)
def test_what_an_alg_leaves_of_the_identity_is_enough(
    out: tuple[str, str], into: tuple[str, str]
) -> None:
    house = House()
    house.out_alg, house.in_alg = _renamed(*out), _renamed(*into)
    for n in range(3):
        outgoing_call(house, 1 + 10 * n, f"{n}@phone")
    quality = surveyed(house.lan, clock(house.wan, 40))
    assert quality.offset is not None and not quality.unrelated
    assert abs(quality.offset.ns + 40 * NS) <= 1000
    assert quality.offset.pairs == len(house.lan)


def _busy(chance: random.Random) -> House:
    """Calls, some of them with many retransmissions, of which some copies are lost."""
    house = House(idents=chance.random() < 0.5)
    for n in range(chance.randrange(2, 8)):
        at = 40.0 * n
        kind = chance.randrange(4)
        if kind == 0:
            incoming_call(house, at, f"in{n}@provider")
        elif kind == 1:
            outgoing_call(house, at, f"out{n}@phone")
        elif kind == 2:
            call = Incoming(house, f"drop{n}@provider")
            call.invite(at)
            call.ok(at + 2)
            call.dropped(at + 2)
        else:
            silent = Outgoing(house, f"silent{n}@phone")
            for after in (0, *LADDER_INVITE):
                silent.invite(at + after)
    lost = chance.choice((0, 0, 0.05, 0.3))
    house.lan = [p for p in house.lan if chance.random() >= lost]
    house.wan = [p for p in house.wan if chance.random() >= lost]
    return house


@pytest.mark.parametrize("seed", range(150))
def test_no_lost_copy_makes_a_wrong_offset(seed: int) -> None:
    chance = random.Random(seed)
    house = _busy(chance)
    ahead = chance.choice((0, 0, 0.5, 1, -2, 4, chance.uniform(-90, 90), 3600))
    ppm = chance.choice((0, 0, 100, -200))
    lan, wan = clock(house.lan, ahead, ppm), clock(house.wan, 0)
    quality = surveyed(lan, wan)
    if quality.offset is None:
        assert quality.unsteady
        return
    for (at, _), (true, _) in zip(lan, sorted(house.lan), strict=True):
        assert abs(quality.offset.turned().lan(at) - true) <= 40 * MS


@pytest.mark.parametrize("idents", [True, False])
def test_a_message_that_is_sent_without_end_makes_no_offset(idents: bool) -> None:
    """A keep-alive with the same branch each time; the WAN capture began later, and ended later."""
    for count in (6, 100):
        house = House(idents=idents)
        ping = request("OPTIONS", "sip:example.net", via="192.168.1.10:5060", branch="z9hG4bKping",
                       call_id="ping@phone", cseq=1)  # fmt: skip
        for n in range(count):
            house.out(30 * n, ping, wan=n >= 2, lan=n < count - 2)
        quality = surveyed(house.lan, house.wan)
        assert not quality.unsteady and not quality.unrelated
        assert quality.offset is None or not quality.offset.matters


@pytest.mark.parametrize("ahead", [0, 40])
def test_a_short_capture_beside_a_long_one_is_found_in_it(ahead: float, tmp_path: Path) -> None:
    house = calls(House(), 3600, 4)
    seen = [p for p in house.wan if 1800 <= (p[0] - house.wan[0][0]) / NS < 1860]
    assert len(house.lan) > 2 * IDENTITIES
    (tmp_path / "lan.pcap").write_bytes(pcap(sorted(house.lan)))
    (tmp_path / "wan.pcap").write_bytes(pcap(clock(seen, ahead)))
    source = Source([], [str(tmp_path / "lan.pcap")], [str(tmp_path / "wan.pcap")], [5060])
    source.check()
    assert source.quality is not None and source.quality.offset is not None
    assert abs(source.quality.offset.ns + ahead * NS) <= 1000
    assert not source.quality.unrelated


def test_a_clock_that_was_set_has_no_offset() -> None:
    house = calls(House())
    half = len(house.wan) // 2
    wan = sorted(house.wan)
    wan = wan[:half] + clock(wan[half:], 5)
    quality = surveyed(house.lan, wan)
    assert quality.offset is None and quality.unsteady


def test_a_survey_is_bounded_and_sees_the_whole_capture() -> None:
    house = House()
    survey = Survey()
    for n in range(3 * IDENTITIES):
        house.out(0.5 * n, request(
            "OPTIONS", "sip:example.net", via="192.168.1.10:5060", branch=f"z9hG4bKo{n}",
            call_id=f"ping{n}@phone", cseq=1,
        ))  # fmt: skip
    lan, wan = clock(house.lan, 0), clock(house.wan, 100, 150)
    for i in range(0, len(lan), 256):
        survey.feed(LAN, batch(lan[i : i + 256], LAN))
        survey.feed(WAN, batch(wan[i : i + 256], WAN))
        assert max(map(len, survey._copies)) <= IDENTITIES
        assert survey.settled is None
    offset = survey.finish().offset
    assert offset is not None
    assert offset.span > 0.95 * (lan[-1][0] - lan[0][0])
    assert abs(offset.drift * 1e6 + 150) < 1
    assert abs(offset.lan(wan[-1][0]) - lan[-1][0]) <= MS


def test_a_survey_of_one_clock_is_soon_over() -> None:
    house = House()
    survey = Survey()
    for n in range(5000):
        house.out(0.05 * n, request(
            "OPTIONS", "sip:example.net", via="192.168.1.10:5060", branch=f"z9hG4bKo{n}",
            call_id=f"ping{n}@phone", cseq=1,
        ))  # fmt: skip
    for i in range(0, len(house.lan), 100):
        survey.feed(LAN, batch(house.lan[i : i + 100], LAN))
        survey.feed(WAN, batch(house.wan[i : i + 100], WAN))
        if survey.settled is not None:
            break
    assert survey.settled is not None
    assert 60 < house.lan[i][0] / NS - house.lan[0][0] / NS < 180


def test_a_shifted_batch_has_every_time_on_the_other_clock() -> None:
    house = calls(House())
    made = batch(house.lan)
    before = bytes(made.rows)
    moved = shifted(made, lambda at: at + 5)
    rows, was = list(ROW.iter_unpack(moved.rows)), list(ROW.iter_unpack(before))
    assert [row[0] for row in rows] == [row[0] + 5 for row in was]
    assert [row[1:] for row in rows] == [row[1:] for row in was]
    assert moved.watermark == made.watermark + 5
    assert bytes(made.rows) == before


# ---- sides ----


@pytest.mark.parametrize("alg", ["", "linux"])
def test_exchanged_sides_are_noticed_and_named_as_they_are(alg: str) -> None:
    house = calls(House(alg))
    quality = surveyed(house.wan, clock(house.lan, 9))
    assert quality.exchanged and quality.offset is not None
    assert abs(quality.offset.ns - 9 * NS) <= 1000  # the true LAN clock is ahead
    assert quality.lan is not None and quality.wan is not None
    assert (quality.lan.side, quality.wan.side) == (LAN, WAN)
    assert "192.168.1.10" in (quality.lan.ends.src, quality.lan.ends.dst)
    assert not surveyed(house.lan, house.wan).exchanged


def test_one_message_is_enough_and_a_doubtful_majority_is_not() -> None:
    house = House()
    Outgoing(house, "one@phone").invite(1)
    assert surveyed(house.wan, house.lan).exchanged
    house = calls(House())
    half = len(house.lan) // 2
    lan, wan = sorted(house.lan), sorted(house.wan)
    assert not surveyed(lan[:half] + wan[half:], wan[:half] + lan[half:]).exchanged


INSIDE, OUTSIDE, FAR = "192.168.1.10", "198.51.100.2", "203.0.113.5"


def _seen(side: int, src: str, dst: str, ttl: int) -> list[Packet]:
    made = request("OPTIONS", "sip:x", via="h", branch="z9hG4bK1", call_id="c", cseq=1)
    return [(NS + side, frame(made, src, 5060, dst, 5060, ttl))]


@pytest.mark.parametrize(
    ("lan", "wan", "says"),
    [
        ((INSIDE, FAR, 64), (OUTSIDE, FAR, 63), STRONG),
        ((OUTSIDE, FAR, 63), (INSIDE, FAR, 64), -STRONG),
        ((FAR, INSIDE, 59), (FAR, OUTSIDE, 60), STRONG),
        ((FAR, OUTSIDE, 60), (FAR, INSIDE, 59), -STRONG),
        ((INSIDE, FAR, 64), (OUTSIDE, FAR, 64), WEAK),  # the TTL is set again
        ((OUTSIDE, FAR, 64), (INSIDE, FAR, 128), -WEAK),
        ((INSIDE, FAR, 64), (INSIDE, FAR, 63), WEAK),  # no NAT
        ((FAR, INSIDE, 60), (FAR, INSIDE, 59), -WEAK),
        ((OUTSIDE, FAR, 63), (OUTSIDE, FAR, 64), 0),
        ((OUTSIDE, FAR, 64), ("198.51.100.9", FAR, 63), 0),  # NAT of public addresses
        ((INSIDE, "192.168.1.1", 64), (OUTSIDE, FAR, 63), 0),
    ],
)
def test_what_two_copies_say_of_the_sides(
    lan: tuple[str, str, int], wan: tuple[str, str, int], says: int
) -> None:
    survey = Survey()
    for side, seen in ((LAN, lan), (WAN, wan)):
        survey.feed(side, batch(_seen(side, *seen), side))
    inside, outside = (survey._examples[side].popitem()[1] for side in (LAN, WAN))
    assert weigh(header(inside), header(outside)) == says


def live(house: House, exchanged: bool, marked: bool) -> list[str]:
    """Warnings of a live pipeline about its sides; marked: as a ring marks what the kernel sent."""
    check = SidesCheck("br-lan", "wan")
    said: list[str] = []
    taps = [Tap("br-lan", WAN if exchanged else LAN), Tap("wan", LAN if exchanged else WAN)]
    pipeline = Pipeline(
        taps, live=True, strict=True, watch=lambda c: said.extend(filter(None, [check.feed(c)]))
    )
    near = bytes([198, 51, 100, 2])
    parts = [(p[0], tap, p) for tap, side in enumerate(house.sorted()) for p in side]
    for _, tap, packet in sorted(parts):
        made = batch([packet], tap)
        source = packet[1][26:30]
        if marked and (source == near if tap else packet[1][30:34] == bytes([192, 168, 1, 10])):
            made = outgoing(made)
        pipeline.feed(made)
    pipeline.finish()
    return said


@pytest.mark.parametrize("marked", [False, True])
def test_live_interfaces_that_are_exchanged_are_told_once(marked: bool) -> None:
    house = calls(House("linux"), 200)
    assert live(house, exchanged=False, marked=marked) == []
    (line,) = live(house, exchanged=True, marked=marked)
    assert line.startswith("the interfaces look exchanged: br-lan")
    assert "\n" not in line


def test_a_live_router_without_nat_tells_its_sides_by_the_distance_of_the_senders() -> None:
    house = calls(House(phone="198.51.100.20", wan="198.51.100.20"), 200)
    assert live(house, exchanged=False, marked=False) == []
    (line,) = live(house, exchanged=True, marked=False)
    assert line.startswith("the interfaces look exchanged: br-lan")


PHONE, PROXY = "2001:db8:1::10", "2001:db8:ffff::5"
OUT, IN = (PHONE, PROXY), (PROXY, PHONE)


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        ([(OUT, 64, "INVITE", 0)] * 4, 1),
        ([(OUT, 64, "INVITE", 0)] * 3, 0),  # too few
        ([(OUT, 64, "INVITE", 0)] * 2 + [(IN, 57, "INVITE", 200)] * 2, 1),
        ([(IN, 57, "INVITE", 0)] * 4, 1),
        ([(OUT, 63, "INVITE", 0), (OUT, 62, "INVITE", 0)] * 4, 0),  # a router inside the LAN
        ([(OUT, 61, "INVITE", 0)] * 4, -1),
        # A PBX behind a router inside the LAN, and a provider next to this one.
        ([(OUT, 63, "INVITE", 0), (IN, 64, "INVITE", 200)] * 4, 0),
        # Both ends are next to the router: who registers decides.
        ([(OUT, 128, "INVITE", 0), (IN, 64, "INVITE", 200)] * 4, 0),
        ([(OUT, 64, "REGISTER", 0), (IN, 64, "REGISTER", 200)], 1),
        ([(IN, 64, "REGISTER", 0), (OUT, 64, "REGISTER", 200)], -1),
        ([(OUT, 64, "REGISTER", 0)], 0),
        # A phone outside registers at the PBX in the LAN.
        ([(IN, 57, "REGISTER", 0), (OUT, 64, "REGISTER", 200)] * 4, 0),
    ],
)
def test_untranslated_messages_tell_the_sides_by_distance_and_by_who_registers(
    seen: list[tuple[tuple[str, str], int, str, int]], verdict: int
) -> None:
    votes, exchanged = Votes(), Votes()
    for (src, dst), ttl, name, status in seen:
        ends = ip_address(src).packed + ip_address(dst).packed + bytes(16)
        entered, left = (ttl, 0, ends), (ttl - 1, 0, ends)
        inside, outside = (entered, left) if src == PHONE else (left, entered)
        method = METHOD_NAMES.index(name)
        votes.add(inside, outside, method, status)
        exchanged.add(outside, inside, method, status)
    assert (votes.verdict, exchanged.verdict) == (verdict, -verdict)


# ---- captures that are no two sides ----


def test_one_capture_given_twice_is_noticed_whatever_its_clock() -> None:
    house = calls(House("linux"))
    for packets in (house.lan, house.wan, sorted(house.lan + house.wan)):
        for ahead in (0, 0.001, -5000):
            quality = surveyed(packets, clock(packets, ahead))
            assert quality.same and not quality.exchanged
    part = surveyed(house.wan, sorted(house.lan + house.wan))
    assert part.same and part.wan_kept


def test_a_router_that_changes_nothing_but_ttl_or_address_is_two_sides() -> None:
    for house in (calls(House()), calls(House(wan="192.168.1.10"))):
        assert not surveyed(house.lan, house.wan).same


def _elsewhere(provider: str = "203.0.113.77") -> House:
    return House(phone="192.168.9.9", wan="198.51.100.99", provider=provider)


@pytest.mark.parametrize("provider", ["203.0.113.5", "203.0.113.77"])
@pytest.mark.parametrize("ahead", [0, 86400])
def test_the_sides_of_two_routers_are_unrelated(provider: str, ahead: float) -> None:
    house, other = calls(House()), _elsewhere(provider)
    register(other, 0, n=77)
    incoming_call(other, 3, "other@provider")
    quality = surveyed(house.lan, clock(other.wan, ahead))
    assert quality.unrelated and not quality.pairs
    assert quality.together == (ahead == 0)
    assert quality.lan is not None and quality.wan is not None
    assert min(quality.asked) >= 2


def test_a_call_from_one_router_to_the_other_makes_them_no_two_sides() -> None:
    """Its Call-ID, From tag and CSeq are on both, between other hosts and with another branch."""
    house, other = House(), _elsewhere("203.0.113.5")
    call = outgoing_call(house, 1, "between@phone")
    asked = call.seen.replace(b"branch=z9hG4bK", b"branch=z9hG4bKproxy")
    passed = Incoming(other, "between@phone")
    passed.invited = asked
    passed.invite(1.02)
    passed.ok(2)
    passed.bye(6)
    assert surveyed(house.lan, other.wan).unrelated


def test_a_pair_that_crossed_relates_two_captures() -> None:
    house, other = House(), _elsewhere()
    outgoing_call(other, 1, "other@phone")
    register(house, 2)
    register(other, 2.5, n=44)
    assert surveyed(house.lan, other.wan).unrelated
    assert not surveyed(house.lan, sorted(other.wan + house.wan[:1])).unrelated


def test_one_side_without_messages_is_no_matter_of_quality() -> None:
    house = calls(House())
    for lan, wan in ((house.lan, []), ([], house.wan)):
        quality = surveyed(lan, wan)
        assert not (quality.unrelated or quality.unsteady or quality.same or quality.exchanged)


# ---- what cannot be read twice ----


ONCE = """
import sys
from algwatch.__main__ import main
from algwatch.cli import source
source.LIMIT = 1000
sys.exit(main(sys.argv[1:]))
"""


def typed(lan: list[Packet], wan: list[Packet], folder: Path) -> dict[str, list[str]]:
    """The findings (rule and place) of `analyze` with the LAN capture on standard input, which is
    longer than what is kept of a pipe."""
    (folder / "wan.pcap").write_bytes(pcap(wan))
    done = subprocess.run(
        [sys.executable, "-c", ONCE, "analyze", "--json", "--lan", "-", "--wan",
         str(folder / "wan.pcap")],
        input=pcap(lan), capture_output=True, check=False,
    )  # fmt: skip
    assert done.stderr.count(b"\n") == 1, done.stderr
    verdict = json.loads(done.stdout)
    said: dict[str, list[str]] = {}
    for finding in verdict["findings"]:
        said.setdefault(finding["rule"], []).append(finding["where"])
    return said


def test_a_pipe_is_surveyed_while_it_is_judged_and_nothing_is_blamed_in_vain(
    tmp_path: Path,
) -> None:
    house = House("linux")
    outgoing_call(house, 1, "fine@phone")
    call = Outgoing(house, "silent@phone")
    for after in (0, *LADDER_INVITE):
        call.invite(10 + after)
    outgoing_call(house, 60, "late@phone")
    lan, wan = house.sorted()
    assert typed(lan, wan, tmp_path)["TXN001"] == ["network"]
    assert typed(lan, clock(wan, 30), tmp_path) == {"CAP008": ["unknown"]}
    assert typed(wan, lan, tmp_path) == {"CAP009": ["unknown"]}
    assert typed(lan, lan, tmp_path) == {"CAP010": ["unknown"]}
    other = calls(_elsewhere())
    assert "CAP010" in typed(lan, sorted(other.wan), tmp_path)


def test_files_of_a_damaged_end_are_surveyed_as_far_as_they_go(tmp_path: Path) -> None:
    house = calls(House("linux"))
    lan, wan = house.sorted()
    (tmp_path / "lan.pcap").write_bytes(pcap(lan)[:-7])
    (tmp_path / "wan.pcap").write_bytes(pcap(clock(wan, 8)))
    out = io.StringIO()
    with redirect_stdout(out):
        main(["analyze", "--json", "--lan", str(tmp_path / "lan.pcap"), "--wan",
              str(tmp_path / "wan.pcap")])  # fmt: skip
    verdict = json.loads(out.getvalue())
    assert "CAP008" in {f["rule"] for f in verdict["findings"]}
    assert verdict["crossings"]["paired"] == len(lan) - 1
