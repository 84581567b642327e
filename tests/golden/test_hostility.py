# SPDX-License-Identifier: Apache-2.0
"""A verdict that turns the ALG off stands on its evidence, whatever happened to the capture.

The invariant of every test here: nothing raises (rules that fail raise, too), every finding has
evidence, and "disable the SIP ALG: recommended" is said only where the packets that are left
hold the whole proof (evidence.py reads it by other means).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from algwatch.advise.advice import Advice
from algwatch.base.packet import WAN
from algwatch.diagnose.finding import Finding
from algwatch.pipeline import Report
from cases import CASES
from craft import Packet, analyzed, one_sided, packets_of
from evidence import forced_port, may_recommend_disabling

LAB = Path(__file__).resolve().parent / "lab"
Pair = tuple[list[Packet], list[Packet]]

BLAMED = sorted(n for n in CASES if n.startswith(("alg011", "dlg00", "alg015", "pairing")))


def pair_of(name: str) -> Pair:
    return CASES[name].make().sorted()


def recorded() -> dict[str, Pair]:
    """The lab's recordings: a real kernel's ALG."""
    return {
        f"lab/{p.name}": (
            packets_of((p / "lan.pcap").read_bytes()),
            packets_of((p / "wan.pcap").read_bytes()),
        )
        for p in sorted(LAB.iterdir())
        if (p / "lan.pcap").exists()
    }


RECORDED = recorded()


def disabled(reports: Sequence[Report]) -> bool:
    """True if the last word is to turn the ALG off."""
    for report in reports:
        if isinstance(report, Finding):
            assert report.evidence
            assert all(e.payload for e in report.evidence)
    return any(
        isinstance(r, Advice) and r.action == "disable-sip-alg" and r.state == "recommended"
        for r in reports
    )


def judged(lan: list[Packet], wan: list[Packet], what: str) -> bool:
    said = False
    # As files, and as taps that were open all the time and lost these packets.
    for to_the_end in (False, True):
        _, reports = analyzed(lan, wan, to_the_end=to_the_end)
        if disabled(reports):
            said = True
            assert may_recommend_disabling(lan, wan), f"false disable: {what}"
    return said


def cuts(lan: list[Packet], wan: list[Packet]) -> Iterator[tuple[str, Pair]]:
    """The capture ends at every packet, on both taps or on one; or begins there."""
    for at in sorted({p[0] for p in lan + wan}):
        early = [p for p in lan if p[0] < at], [p for p in wan if p[0] < at]
        yield f"both end at {at}", early
        yield f"LAN ends at {at}", (early[0], wan)
        yield f"WAN ends at {at}", (lan, early[1])
        yield f"begins at {at}", ([p for p in lan if p[0] >= at], [p for p in wan if p[0] >= at])


def drops(lan: list[Packet], wan: list[Packet]) -> Iterator[tuple[str, Pair]]:
    for i in range(len(lan)):
        yield f"LAN without {i}", (lan[:i] + lan[i + 1 :], wan)
    for i in range(len(wan)):
        yield f"WAN without {i}", (lan, wan[:i] + wan[i + 1 :])


def test_the_whole_proof_makes_the_recommendation_and_its_half_does_not() -> None:
    lan, wan = pair_of("alg011-forced-port")
    assert judged(lan, wan, "whole")
    assert forced_port(lan, wan)
    acks = [p for p in lan if b"ACK sip" in p[1]]
    assert not judged([p for p in lan if p not in acks], wan, "no ACK on the LAN")
    assert not judged(lan, [p for p in wan if b"ACK sip" not in p[1]], "no ACK on the WAN")
    once = [p for p in lan if b"200 OK" in p[1] and b"INVITE" in p[1]][1:]
    assert not judged([p for p in lan if p not in once], wan, "one 2xx")


@pytest.mark.parametrize("name", BLAMED)
def test_no_cut_of_a_capture_makes_a_false_disable(name: str) -> None:
    for what, (lan, wan) in cuts(*pair_of(name)):
        judged(lan, wan, f"{name}: {what}")


@pytest.mark.parametrize("name", BLAMED)
def test_no_lost_packet_makes_a_false_disable(name: str) -> None:
    for what, (lan, wan) in drops(*pair_of(name)):
        judged(lan, wan, f"{name}: {what}")


def test_the_loss_of_one_packet_seldom_hides_what_an_alg_did() -> None:
    every = list(drops(*pair_of("alg011-forced-port")))
    told = sum(judged(lan, wan, what) for what, (lan, wan) in every)
    assert told >= 0.8 * len(every)


@pytest.mark.parametrize("name", RECORDED)
def test_no_cut_or_lost_packet_of_a_real_router_makes_a_false_disable(name: str) -> None:
    pair = RECORDED[name]
    every = [*cuts(*pair), *drops(*pair)]
    for what, (lan, wan) in every[:: max(1, len(every) // 200)]:
        judged(lan, wan, f"{name}: {what}")


@pytest.mark.parametrize("name", [*CASES, *RECORDED])
def test_swapped_sides_are_no_reason_to_turn_anything_off(name: str) -> None:
    lan, wan = RECORDED[name] if name in RECORDED else pair_of(name)
    _, reports = analyzed(wan, lan)
    assert not disabled(reports)


@pytest.mark.parametrize("name", [*CASES, *RECORDED])
def test_one_side_is_no_reason_to_turn_anything_off(name: str) -> None:
    lan, wan = RECORDED[name] if name in RECORDED else pair_of(name)
    assert not disabled(analyzed(lan, [])[1])
    assert not disabled(analyzed([], wan)[1])
    assert not disabled(one_sided(lan)[1])
    assert not disabled(one_sided(wan, WAN)[1])
    # The same tap named twice: nothing was rewritten, nothing is the router's.
    assert not disabled(analyzed(lan, lan)[1])


@pytest.mark.parametrize("name", [*CASES, *RECORDED])
@pytest.mark.parametrize("size", [60, 96, 200, 320, 450])
def test_truncated_payloads_make_no_false_disable(name: str, size: int) -> None:
    lan, wan = RECORDED[name] if name in RECORDED else pair_of(name)
    short = [(at, data[:size]) for at, data in lan]
    judged(short, [(at, data[:size]) for at, data in wan], f"{name} at {size}")
    judged(short, wan, f"{name}: LAN at {size}")


@pytest.mark.parametrize("name", BLAMED)
def test_a_shuffled_capture_makes_no_false_disable(name: str) -> None:
    lan, wan = pair_of(name)
    chance = random.Random(name)
    for n in range(10):
        one, two = lan[:], wan[:]
        chance.shuffle(one)
        chance.shuffle(two)
        # A proof may be read in any order of packets; their times still tell the order.
        judged(one, two, f"{name}: shuffle {n}")


@pytest.mark.parametrize("name", BLAMED)
def test_flipped_bytes_make_no_false_disable(name: str) -> None:
    lan, wan = pair_of(name)
    chance = random.Random(name)

    def damaged(packets: list[Packet]) -> list[Packet]:
        made = []
        for at, data in packets:
            if len(data) > 60 and chance.random() < 0.3:
                changed = bytearray(data)
                for _ in range(chance.randrange(1, 6)):
                    changed[chance.randrange(42, len(data))] = chance.choice(b'\0\r\n;:<>,"@9 \xff')
                data = bytes(changed)
            made.append((at, data))
        return made

    for n in range(12):
        judged(damaged(lan), damaged(wan), f"{name}: damage {n}")
