# SPDX-License-Identifier: Apache-2.0
"""A wrong clock or exchanged names change nothing in a verdict but its times and CAP008, CAP009."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from algwatch.report.render.verdict import WHY
from cases import CASES
from craft import Packet, pcap
from sample import some
from test_golden import analyze
from test_hostility import RECORDED, pair_of

# In these nothing crosses, or not in a way that tells the sides; or nothing can be compared; or
# one side has no SIP at all.
NO_SIP = (
    "cap001-silent-",
    "cap001-near-miss-silent-",
    "cap003-no-sip",
    "cap004-tls-alone",
    "cap009-near-miss-no-sip-in-the-lan",
    "lab/10d-on",
    "lab/38-",
)
UNTOLD = ("cap008-clock-set", "cap009-near-miss-no-nat", "cap010-", "cap011-snap-length-96",
          "alg009-b2bua", "alg009-near-miss-two-calls", "lab/28-pbx-", "reg006-near-miss-no-nat",
          "reg005-firewall-entry", "reg005-near-miss-firewall-entry", "cap002-one-way-wan-inbound",
          "cap002-one-way-opposite", "cap002-near-miss-nothing-leaves", "cap009-near-miss-",
          "cap009-exchanged-nothing-on-both", *NO_SIP)  # fmt: skip
PAIRS = [*(name for name, case in CASES.items() if not case.one_file), *RECORDED]
# Whose verdict hangs on the time at which one side shows something: the INVITE that a proxy or PBX
# on the router sends is unsolicited until its host is known, one of two NOTIFY is shown, and losses
# are counted up to a moment. Without NAT (IPv6) nothing tells which side is which.
ON_TIME = ("alg009-proxy", "lab/17-both", "lab/28-real-", "lab/35-replaces", "lab/36-",
           "dlg002-contact-of-other-ip-version", "dlg002-unique-local-contact",
           "dlg005-link-local-record-route",
           "near-miss-six-464xlat", "near-miss-six-nat64")  # fmt: skip
SHIFTED = [name for name in PAIRS if not name.startswith((*UNTOLD, *ON_TIME))]
WRONG = ("CAP008", "CAP009")


def verdict(lan: list[Packet], wan: list[Packet], folder: Path) -> tuple[Any, set[str]]:
    """All but times, what is said of clocks and sides, and the order of what is said (a timer of
    ours may come between two messages, or not); and which of those rules spoke."""
    paths = [folder / "lan.pcap", folder / "wan.pcap"]
    for path, packets in zip(paths, (lan, wan), strict=True):
        path.write_bytes(pcap(packets))
    status, text, errors = analyze("--lan", str(paths[0]), "--wan", str(paths[1]))
    assert errors == ""
    said = json.loads(text)
    spoke = {f["rule"] for f in said["findings"]} & {*WRONG, "CAP010"}
    said["findings"] = [f for f in said["findings"] if f["rule"] not in WRONG]
    return (status, orderless(timeless(said))), spoke


def orderless(said: Any) -> Any:
    for part in ("calls", "findings", "advice", "registrations"):
        said[part] = sorted(said[part], key=json.dumps)
    said["verdict"]["why"] = sorted(said["verdict"]["why"])
    return said


def timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: timeless(v) for k, v in value.items() if k not in ("at", "start", "end")}
    return [timeless(v) for v in value] if isinstance(value, list) else value


def late(packets: list[Packet], seconds: float) -> list[Packet]:
    by = round(seconds * 1e6) * 1000
    return [(at + by, data) for at, data in packets]


@pytest.mark.parametrize("name", some(SHIFTED, 18))
def test_a_shifted_side_gives_the_same_verdict(name: str, tmp_path: Path) -> None:
    lan, wan = pair_of(name)
    same, _ = verdict(lan, wan, tmp_path)
    chance = random.Random(name)
    by = [0.251, -0.5, 60, -3600, 86400, chance.uniform(0.3, 10), -chance.uniform(0.3, 86400)]
    for seconds in by:
        for pair in ((late(lan, seconds), wan), (lan, late(wan, seconds))):
            said, spoke = verdict(*pair, tmp_path)
            assert said == same, (seconds, "WAN" if pair[0] is lan else "LAN")
            # One of these is right for a case whose own clocks differ.
            assert "CAP008" in spoke or name.startswith(("cap008", "cap009"))


@pytest.mark.parametrize("name", some(SHIFTED, 18))
def test_exchanged_sides_give_the_same_verdict(name: str, tmp_path: Path) -> None:
    lan, wan = pair_of(name)
    same, before = verdict(lan, wan, tmp_path)
    for pair in ((wan, lan), (wan, late(lan, 500)), (late(wan, 0.4), lan)):
        said, spoke = verdict(*pair, tmp_path)
        assert said == same
        assert ("CAP009" in spoke) != ("CAP009" in before)


@pytest.mark.parametrize(
    "name", some([n for n in PAIRS if not n.startswith(("cap01", *NO_SIP))], 12)
)
def test_one_capture_given_twice_is_judged_as_the_one_that_it_is(name: str, tmp_path: Path) -> None:
    lan, wan = pair_of(name)
    for packets in (lan, wan):
        said, spoke = verdict(packets, packets, tmp_path)
        assert spoke == {"CAP010"}
        status, text, _ = analyze(str(tmp_path / "lan.pcap"))
        alone = orderless(timeless(json.loads(text)))
        (twice,) = (f for f in said[1]["findings"] if f["rule"] == "CAP010")
        said[1]["findings"].remove(twice)
        # Two sides were asked for: where nothing hurts on the one it cannot be told, for this
        # reason before others.
        if alone["verdict"]["state"] != "hurts":
            status, alone["verdict"] = 3, said[1]["verdict"]
            assert said[1]["verdict"]["state"] == "cannot-tell"
        elif len(alone["verdict"]["why"]) < WHY:
            said[1]["verdict"]["why"].remove(twice["summary"])
            if said[1]["verdict"]["next"] == twice["next"]:
                said[1]["verdict"]["next"] = alone["verdict"]["next"]
        else:  # there is no room to say so
            alone["verdict"] = said[1]["verdict"]
        assert said == (status, alone)


def test_two_routers_are_judged_each_alone(tmp_path: Path) -> None:
    """Each recording of the lab beside one of another router."""
    # Plain calls: in others little crosses, or hosts are told of that both captures share.
    plain = ("1", "2", "3", "4", "14-off", "16", "18", "19-near", "39", "42", "5b-off", "6b-off")
    names = sorted(f"lab/{number}" for number in plain)
    for one, two in zip(names, names[1:] + names[:1], strict=True):
        (_, both), spoke = verdict(pair_of(one)[0], pair_of(two)[1], tmp_path)
        assert spoke == {"CAP010"}, (one, two)
        each = []
        for side in ("lan", "wan"):
            _, text, _ = analyze(f"--{side}", str(tmp_path / f"{side}.pcap"))
            each.append(timeless(json.loads(text)))
        for part in ("calls", "findings", "advice"):
            alone = [x for verdict in each for x in verdict[part] if not about_the_capture(x)]
            if part == "advice":  # about no line: one for both routers
                assert {a["action"] for a in both[part]} == {a["action"] for a in alone}
                continue
            assert by_text(both[part]) == by_text(alone), (one, two)


def about_the_capture(value: dict[str, Any]) -> bool:
    """Also of losses and of peers that went, whose numbers hang on which sides are looked for."""
    return str(value.get("rule", "")).startswith(("CAP", "TXN004", "TXN005"))


def by_text(values: list[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps(value) for value in values if not about_the_capture(value))
