# SPDX-License-Identifier: Apache-2.0
"""A verdict that turns the ALG off stands on its evidence, whatever happened to the capture.

The invariant of every test here: nothing raises (rules that fail raise, too), every finding has
evidence, and "disable the SIP ALG: recommended" is said only where the packets that are left
hold the whole proof (evidence.py reads it by other means).
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from algwatch.__main__ import main
from algwatch.advise.advice import Advice
from algwatch.base.packet import WAN
from algwatch.diagnose.finding import Finding
from algwatch.pipeline import Report
from cases import CASES
from craft import Packet, analyzed, is_ethernet, one_sided, packets_of, pcap
from evidence import forced_port, may_recommend_disabling
from sample import chosen, some

LAB = Path(__file__).resolve().parent / "lab"
Pair = tuple[list[Packet], list[Packet]]

MOST = 60  # cuts or losses of one capture in one run
BLAMED = sorted(n for n in CASES if n.startswith(("alg011", "dlg00", "alg015", "pairing")))


def recorded() -> list[str]:
    """The lab's recordings: a real kernel's ALG."""
    found = []
    for file in sorted(LAB.glob("*/lan.pcap")):
        with file.open("rb") as head:
            if is_ethernet(head.read(24)):
                found.append(f"lab/{file.parent.name}")
    return found


RECORDED = recorded()


def pair_of(name: str) -> Pair:
    """Of a case, or of a recording."""
    if name in CASES:
        return CASES[name].make().sorted()
    lan, wan = ((LAB.parent / name / f"{side}.pcap").read_bytes() for side in ("lan", "wan"))
    return packets_of(lan), packets_of(wan)


def disabled(reports: Sequence[Report]) -> bool:
    """True if the last word is to turn the ALG off."""
    for report in reports:
        if isinstance(report, Finding):
            assert report.evidence
            # What is said of the capture as a whole may have no bytes: no SIP was in it.
            assert report.cause == "capture" or all(e.payload for e in report.evidence)
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


def parted(packets: list[Packet], at: int) -> Pair:
    """Those before a moment (ns), and those from it on."""
    return [p for p in packets if p[0] < at], [p for p in packets if p[0] >= at]


def cuts(lan: list[Packet], wan: list[Packet]) -> Iterator[tuple[str, Pair]]:
    """The capture ends at every packet, on both taps or on one; or begins there."""
    for at in sorted({p[0] for p in lan + wan}):
        (lan_early, lan_late), (wan_early, wan_late) = parted(lan, at), parted(wan, at)
        yield f"both end at {at}", (lan_early, wan_early)
        yield f"LAN ends at {at}", (lan_early, wan)
        yield f"WAN ends at {at}", (lan, wan_early)
        yield f"begins at {at}", (lan_late, wan_late)


def shorter_files(lan: list[Packet], wan: list[Packet],
                  count: int) -> Iterator[tuple[str, Pair]]:  # fmt: skip
    """One of two files begins later or ends earlier; at `count` packets or some more."""
    moments = sorted({p[0] for p in lan + wan})
    for at in moments[1 :: max(1, len(moments) // count)]:
        for side, packets in ("LAN", lan), ("WAN", wan):
            for what, rest in zip(("ends", "begins"), parted(packets, at), strict=True):
                pair = (rest, wan) if side == "LAN" else (lan, rest)
                if all(pair):
                    yield f"{side} {what} at {at}", pair


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


# The WAN alone holds what that needs: a 2xx that came again and again, changed by this router.
WAN_IS_ENOUGH = "dlg005-router-changes-the-record-route"


@pytest.mark.parametrize("name", some([one for one in BLAMED if one != WAN_IS_ENOUGH], 18))
def test_no_cut_of_a_capture_makes_a_false_disable(name: str) -> None:
    for what, (lan, wan) in chosen(cuts(*pair_of(name)), MOST):
        judged(lan, wan, f"{name}: {what}")


@pytest.mark.parametrize("name", some(BLAMED, 18))
def test_no_lost_packet_makes_a_false_disable(name: str) -> None:
    for what, (lan, wan) in chosen(drops(*pair_of(name)), MOST):
        judged(lan, wan, f"{name}: {what}")


def test_the_loss_of_one_packet_seldom_hides_what_an_alg_did() -> None:
    every = list(drops(*pair_of("alg011-forced-port")))
    told = sum(judged(lan, wan, what) for what, (lan, wan) in every)
    assert told >= 0.8 * len(every)


@pytest.mark.parametrize("name", some(RECORDED, 36))
def test_no_cut_or_lost_packet_of_a_real_router_makes_a_false_disable(name: str) -> None:
    pair = pair_of(name)
    for what, (lan, wan) in chosen([*cuts(*pair), *drops(*pair)], MOST):
        judged(lan, wan, f"{name}: {what}")


@pytest.mark.parametrize("name", some([*CASES, *RECORDED], 6))
def test_swapped_sides_are_no_reason_to_turn_anything_off(name: str) -> None:
    lan, wan = pair_of(name)
    _, reports = analyzed(wan, lan)
    assert not disabled(reports)


@pytest.mark.parametrize("name", some([*CASES, *RECORDED], 6))
def test_one_side_is_no_reason_to_turn_anything_off(name: str) -> None:
    lan, wan = pair_of(name)
    assert not disabled(analyzed(lan, [])[1])
    assert not disabled(analyzed([], wan)[1])
    assert not disabled(one_sided(lan)[1])
    assert not disabled(one_sided(wan, WAN)[1])
    # The same tap named twice: nothing was rewritten, nothing is the router's.
    assert not disabled(analyzed(lan, lan)[1])


@pytest.mark.parametrize("name", some([*CASES, *RECORDED], 24))
@pytest.mark.parametrize("size", [60, 96, 200, 320, 450])
def test_truncated_payloads_make_no_false_disable(name: str, size: int) -> None:
    lan, wan = pair_of(name)
    short = [(at, data[:size]) for at, data in lan]
    judged(short, [(at, data[:size]) for at, data in wan], f"{name} at {size}")
    judged(short, wan, f"{name}: LAN at {size}")


@pytest.mark.parametrize("name", some(BLAMED, 18))
def test_a_shuffled_capture_makes_no_false_disable(name: str) -> None:
    lan, wan = pair_of(name)
    chance = random.Random(name)
    for n in range(10):
        one, two = lan[:], wan[:]
        chance.shuffle(one)
        chance.shuffle(two)
        # A proof may be read in any order of packets; their times still tell the order.
        judged(one, two, f"{name}: shuffle {n}")


# The one named was blamed once for a Via that nobody could read.
@pytest.mark.parametrize("name", sorted({*some(BLAMED, 18), "dlg001-not-sent"}))
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


CUTS = 4  # a capture and kind of cut
EACH = {"txn008-branch-of-the-invite", "alg011-near-miss-ack-from-another-port"}  # at each packet
# The observation that speaks against the advice lies beyond the cut: an earlier call whose ACK came
# to the Contact that the router writes, a later one that goes without Route, or a like REGISTER
# that crossed. The rest shows harm, and the advice is a trial.
COUNTER_EVIDENCE_IS_CUT = {
    "alg008-near-miss-register-like-let-through",
    "alg011-contact-port-reached-before",
    "alg012-near-miss-foreign-request-uri-taken-before",
    "alg018-taken-back",
}


def disable_state(folder: Path, pair: Pair, capsys: pytest.CaptureFixture[str]) -> str:
    """The state of the advice to turn the ALG off that analyze gives on two files, "" without."""
    paths = [folder / "lan.pcap", folder / "wan.pcap"]
    for path, packets in zip(paths, pair, strict=True):
        path.write_bytes(pcap(packets))
    main(["analyze", "--json", "--lan", str(paths[0]), "--wan", str(paths[1])])
    said = json.loads(capsys.readouterr().out)["advice"]
    states = [a["state"] for a in said if a["action"] == "disable-sip-alg"]
    return "".join(state for state in states if state != "none")


@pytest.mark.parametrize("name", some(CASES, 24))
def test_a_shorter_file_of_two_advises_no_more_than_the_whole(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pair = pair_of(name)
    if not all(pair) or name in COUNTER_EVIDENCE_IS_CUT or disable_state(tmp_path, pair, capsys):
        return
    count = sum(map(len, pair)) if name in EACH else CUTS
    for what, cut in shorter_files(*pair, count):
        assert not disable_state(tmp_path, cut, capsys), what
