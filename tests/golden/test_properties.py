# SPDX-License-Identifier: Apache-2.0
"""Properties that hold for every capture there is: golden captures, recordings of the lab, and the
public captures where they are.

A call or registration that failed is spoken of; one side alone names no place and touches no ALG;
what happens to a capture and not on the wire may make a verdict say less, and never another thing.
A variant costs some 8 ms, so each capture gets two of them and a few lost packets, and
ALGWATCH_PROPERTIES=all gives each all of them.
"""

from __future__ import annotations

import json
import os
import random
import re
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cases import CASES
from sample import some
from test_golden import analyze
from variants import (
    HURTS,
    ONE_SIDED,
    VARIANTS,
    Said,
    advised,
    all_pairs,
    hurting,
    is_dead,
    judged,
    without_one,
)

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))

from captures import all_captures

ALL = os.environ.get("ALGWATCH_PROPERTIES") == "all"
DROPS = 4  # lost packets of each healthy capture
MOST = 150  # packets of a capture of which some are lost

PAIRS = all_pairs()
# One side alone of a pair is tried as such.
CAPTURES = {name: arguments for name, arguments in all_captures().items()
            if "{lan,wan}" in name or not re.search(r"\b(lan|wan)\.pcap", name)}  # fmt: skip
EACH = pytest.mark.parametrize("name", some(PAIRS, 12))
ALG = ("disable-sip-alg", "keep-sip-alg")

# What one side alone shows is the same where nothing hurts, and no one can tell.
ALIKE_ON_ONE_SIDE = {
    # The phone's RTP goes to another one in the LAN, of which the WAN side has nothing.
    "sdp003-near-miss-media-inside-the-lan": {"SDP003"},
    # The 481 of a host beside the phone, which the router stops: here it looks like the phone's.
    "dlg008-near-miss-bye-refused-by-a-neighbour": {"DLG008"},
}
# What is left without that packet is what a real loss leaves: the capture shows no other thing.
# By capture, the rules that may say so.
ALIKE_WITHOUT_A_PACKET = {
    # A callee that ends its call 32 s after its answer, and no ACK.
    "dlg001-near-miss-once-and-acknowledged": {"DLG001", "DLG007"},
    "dlg001-near-miss-private-route-and-acknowledged": {"DLG001", "DLG005", "DLG007"},
    "dlg007-near-miss-32-seconds-and-acknowledged": {"DLG001", "DLG007"},
    "dlg005-near-miss-right-ack-over-tcp": {"DLG001", "DLG007"},
    # A 2xx that was repeated, and no ACK.
    "txn008-branch-and-late": {"DLG001", "DLG002"},
    # A request that was repeated, and no response.
    "txn003-near-miss-late-answer": {"TXN003"},
    "txn005-near-miss-slow-end": {"TXN003"},
    "txn005-near-miss-now-and-then-slow": {"TXN003"},
    # A BYE when a session ends that was not refreshed.
    "dlg007-near-miss-refreshed-late": {"DLG007"},
    "dlg007-near-miss-refresh-not-captured": {"DLG007"},
    # A NOTIFY that is refused, of a subscription that nothing ended.
    "dlg012-near-miss-unsubscribed": {"DLG012"},
    # One of two ACKs is lost indeed: with the next one gone as well, the call seems to drop.
    "dlg001-near-miss-one-of-two-acks-lost": {"DLG001"},
    # The router does change the time; a REGISTER less, and it seems to have done harm.
    "reg003-longer-than-granted": {"REG003"},
    # The REGISTER got no response, and the one that was accepted instead is gone.
    "reg001-given-up-and-accepted-anew": {"REG001"},
    # The registrar did grant nothing, and the REGISTER that put it right is gone.
    "reg002-nothing-granted-and-put-right": {"REG002"},
}  # fmt: skip


@cache
def whole(name: str, folder: Path) -> Said:
    return judged(PAIRS[name], folder)


@cache
def drawn(name: str) -> list[str]:
    """The variants that a capture gets: one side alone, and two of the others."""
    others = [what for what in VARIANTS if what not in ONE_SIDED]
    chosen = others if ALL else random.Random(name).sample(others, 2)
    return [*ONE_SIDED, *chosen]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("variants")


def spoken_of(said: Said, failed: dict[str, Any]) -> bool:
    """A finding is about it, the verdict names it as a reason, or it says that nobody can tell;
    and there is a next step."""
    verdict = said["verdict"]
    if any(f["call_id"] == failed["call_id"] for f in said["findings"] if f["call_id"]):
        return True
    if verdict["state"] == "fine" or not verdict["next"]:
        return False
    names = [failed[key] for key in ("aor", "from", "to") if failed.get(key)]
    named = any(all(one in why for one in names) for why in verdict["why"])
    more = any("more reasons like these" in why for why in verdict["why"])
    return named or more or failed["outcome"] == "unknown"


@pytest.mark.parametrize("name", some(CAPTURES, 24))
def test_whatever_failed_is_spoken_of(name: str) -> None:
    said: Said = json.loads(analyze(*CAPTURES[name])[1])
    latest: dict[str, dict[str, Any]] = {}
    for call in said["calls"]:
        if call["call_id"] not in latest or call["outcome"] != "unknown":
            latest[call["call_id"]] = call
    registrations = {one["aor"]: one for one in said["registrations"]}
    failed = [one for one in (*latest.values(), *registrations.values())
              if is_dead(one) and not one.get("unsolicited")]  # fmt: skip
    assert not [one for one in failed if not spoken_of(said, one)], said["verdict"]
    if not (said["capture"]["lan"] and said["capture"]["wan"]):
        assert not [f for f in said["findings"] if f["where"] == "router"]
        assert not [action for action, _ in advised(said) if action in ALG]


@EACH
def test_one_side_alone_blames_no_router_and_touches_no_alg(name: str, folder: Path) -> None:
    for what in ONE_SIDED:
        pair = VARIANTS[what](*PAIRS[name])
        if not any(pair):
            continue
        said = judged(pair, folder)
        assert not [f for f in said["findings"] if f["where"] == "router"], what
        assert not [action for action, _ in advised(said) if action in ALG], what
        assert not more_than(whole(name, folder), said, ALIKE_ON_ONE_SIDE.get(name, set())), what


def more_than(before: Said, after: Said, alike: set[str]) -> list[object]:
    """Harm or advice that the verdict on a variant has and that on the whole has not. Where
    something may hurt it may be told without its place, or with the advice only suspected."""
    hurts = before["verdict"]["state"] != "fine"
    known, given = hurting(before), advised(before)
    harm = [(rule, where) for rule, where in hurting(after) - known
            if rule not in alike and not (hurts and where == "unknown")]  # fmt: skip
    one_sided = not (after["capture"]["lan"] and after["capture"]["wan"])
    advice = []
    for action, state in advised(after) - given:
        less = state == "suspected" and (action, "recommended") in given
        guess = state == "suspected" and one_sided and hurts and action not in ALG
        if not less and not guess:
            advice.append((action, state))
    return [*harm, *advice]


@EACH
def test_what_happens_to_a_capture_makes_no_other_verdict(name: str, folder: Path) -> None:
    lan, wan = PAIRS[name]
    for what in drawn(name):
        pair = VARIANTS[what](lan, wan)
        if what in ONE_SIDED or not all(pair):
            continue
        said = judged(pair, folder, (lan, wan) if what.startswith("cut") else None)
        assert not more_than(whole(name, folder), said, set()), what


@EACH
def test_no_lost_packet_of_a_healthy_capture_blames_anybody(name: str, folder: Path) -> None:
    lan, wan = PAIRS[name]
    if len(lan) + len(wan) > MOST or whole(name, folder)["verdict"]["state"] != "fine":
        return
    every = list(without_one(lan, wan))
    if not ALL:
        every = random.Random(name).sample(every, min(DROPS, len(every)))
    alike = ALIKE_WITHOUT_A_PACKET.get(name, set())
    for what, pair in every:
        said = judged(pair, folder)
        assert ("disable-sip-alg", "recommended") not in advised(said), what
        blamed = [(rule, where) for rule, where in hurting(said)
                  if where != "unknown" and rule not in alike]  # fmt: skip
        assert not blamed, (what, said["verdict"])


def test_the_answers_of_two_phones_are_no_copies_of_each_other(folder: Path) -> None:
    """Of each a copy is lost, on the other side, at the same time; both had passed one proxy."""
    lan, wan = ([(at, other_ident(data)) for at, data in side]
                for side in PAIRS["dlg011-both-unacknowledged"])  # fmt: skip
    lost = dict(without_one(lan, wan))["without both 20, 19"]
    said = judged(lost, folder)
    assert not more_than(judged((lan, wan), folder), said, set())
    assert not [f for f in said["findings"] if f["where"] == "router"]


def other_ident(data: bytes) -> bytes:
    """That of the second phone's answers as of another host."""
    return data[:18] + b"\x77" + data[19:] if b"tag=second" in data else data


def test_a_call_has_its_direction_from_a_pair_and_not_from_a_lost_copy(folder: Path) -> None:
    """Without the LAN copy of its INVITE a call of the phone is no call to it."""
    lan, wan = PAIRS["dlg002-of-the-far-end"]
    before = judged((lan, wan), folder)
    without = [packet for packet in lan if b"INVITE sip:" not in packet[1]]
    assert len(without) < len(lan)
    assert hurting(judged((without, wan), folder)) == hurting(before)


# ---- by rule ----


def counted() -> dict[str, list[int]]:
    """By rule: findings that are true, false, and missing, of the golden captures by their must and
    must_not, and of the lab by the truth of its scenarios."""
    counts: dict[str, list[int]] = {}

    def count(rule: str, column: int) -> None:
        counts.setdefault(rule, [0, 0, 0])[column] += 1

    for name, case in CASES.items():
        said = json.loads((Path(__file__).parent / name / "expected.json").read_text())["findings"]
        found = {(f["rule"], f["where"], f["harm"]) for f in said}
        for must in case.must:
            if must not in found:
                count(must[0], 2)
        for finding in said:
            count(finding["rule"], 1 if finding["rule"] in case.must_not else 0)
    return counts


def lab(counts: dict[str, list[int]]) -> list[str]:
    """Adds those of the lab; returns the scenarios that are not judged rightly yet."""
    from lab.run import analyze_here
    from lab.scenarios import SCENARIOS, awaits
    from lab.truth import judge

    waits = []
    for number, scenario in SCENARIOS.items():
        facts = Path(__file__).parent / "lab" / number / "facts.json"
        if awaits(number):
            waits.append(number)
            continue
        said = analyze_here(facts.with_name("lan.pcap"), facts.with_name("wan.pcap"))
        score = judge(scenario.truth, json.loads(facts.read_text()), said)
        for rule, more in score.rules.items():
            mine = counts.setdefault(rule, [0, 0, 0])
            mine[:] = [a + b for a, b in zip(mine, more, strict=True)]
    return waits


def test_precision_and_recall_of_every_rule_are_one(
    record_property: Callable[[str, object], None],
) -> None:
    """expected.json holds what the program says: test_golden.py sees to it."""
    counts = counted()
    waits = lab(counts)
    lines = ["rule        true false missed precision recall"]
    for rule, (true, false, missed) in sorted(counts.items()):
        precision = true / (true + false) if true + false else 1.0
        recall = true / (true + missed) if true + missed else 1.0
        lines.append(f"{rule:10} {true:5} {false:5} {missed:6} {precision:9.2f} {recall:6.2f}")
    lines.append(f"not counted, scenarios of the lab that wait: {', '.join(waits) or 'none'}")
    record_property("said", "\n".join(lines))
    assert not {rule: some for rule, some in counts.items() if some[1] or some[2]}, lines


def test_the_captures_show_harm_that_the_variants_can_lose() -> None:
    """The tests above do not pass because nothing is ever said."""
    hurt = [name for name in CASES if CASES[name].state == "hurts"]
    assert len(hurt) > 50
    assert set(HURTS) == {"observed", "certain"}
