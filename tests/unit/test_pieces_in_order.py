# SPDX-License-Identifier: Apache-2.0
"""Calls whose long messages come in fragments or segments read like any other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from craft import (
    NS,
    START,
    House,
    Outgoing,
    Packet,
    answer,
    fragmented,
    pcap,
    request,
    sdp,
    tcp_frame,
)
from test_same_report import report

BIG = b"".join(b"a=x-candidate:%d 198.51.100.2 typ host\r\n" % n for n in range(40))


def verdict(folder: Path, **files: list[Packet]) -> dict[str, Any]:
    """The report on the files, whatever the number of packets that are read at once."""
    paths = {}
    for side, packets in files.items():
        path = folder / f"{side}.pcap"
        path.write_bytes(pcap(sorted(packets)))
        paths[side] = [path]
    said = {report(**paths, most=most) for most in (1, 2, 3, 7, 64, 512)}
    assert len(said) == 1
    found: dict[str, Any] = json.loads(said.pop())
    return found


def both(folder: Path, house: House) -> dict[str, Any]:
    lan, wan = (fragmented(packets) for packets in house.sorted())
    return verdict(folder, lan=lan, wan=wan)


def outcomes(said: dict[str, Any]) -> list[tuple[str, str, int, int]]:
    return [
        (c["outcome"], c["ack"], c["invite_retransmissions"], c["final_retransmissions"])
        for c in said["calls"]
    ]


def hurt(said: dict[str, Any]) -> list[str]:
    return [f["rule"] for f in said["findings"] if f["harm"] != "none"]


@pytest.mark.parametrize("alg", ["", "linux"])
def test_an_invite_in_two_fragments_that_is_sent_twice_is_one_call(
    alg: str, tmp_path: Path
) -> None:
    house = House(alg)
    for number in range(5):
        at = 40.0 * number
        call = Outgoing(house, f"big-{number}@phone", body=sdp(house.phone) + BIG)
        call.invite(at)
        call.invite(at + 0.5)
        call.respond(at + 0.7, 100)
        call.respond(at + 1.2, 180)
        call.ok(at + 3)
        call.ack(at + 3.02)
        call.far_bye(at + 20)
    said = both(tmp_path, house)
    assert outcomes(said) == [("completed", "seen", 1, 0)] * 5
    assert hurt(said) == [] and said["advice"] == []
    assert said["crossings"]["paired"] == 40


@pytest.mark.parametrize("alg", ["", "linux"])
def test_a_2xx_in_fragments_that_comes_three_times_is_acknowledged(
    alg: str, tmp_path: Path
) -> None:
    house = House(alg)
    for number in range(3):
        at = 50.0 * number
        call = Outgoing(house, f"slow-{number}@phone", body=sdp(house.phone) + BIG)
        call.invite(at)
        call.respond(at + 0.05, 100)
        call.respond(at + 0.2, 180)
        for after in (2, 2.5, 3.5):
            call.respond(at + after, 200, sdp(house.provider, 20000) + BIG)
        call.ack(at + 3.6)
        made = request(
            "BYE", f"sip:100@{house.public}", via=f"{house.provider}:5060", more=[_LONG_HEADER],
            branch=f"z9hG4bKbye{number}", call_id=call.call_id, cseq=1,
            caller=f"<sip:300@example.net>;tag={call._tag}",
            callee=f"<sip:100@example.net>;tag=p-slow-{number}-phone",
        )  # fmt: skip
        seen = house.into(at + 33.5, made)
        house.out(at + 33.52, answer(200, seen))
    said = both(tmp_path, house)
    assert outcomes(said) == [("completed", "seen", 0, 2)] * 3
    assert hurt(said) == [] and said["advice"] == []


_LONG_HEADER = "Reason: " + ", ".join(f'Q.850;cause={n};text="normal"' for n in range(16, 90))


def test_the_200_of_a_bye_in_two_segments_ends_the_call(tmp_path: Path) -> None:
    phone, far = "192.168.1.10", "203.0.113.5"
    ids: dict[str, Any] = {
        "caller": "<sip:100@example.net>;tag=p",
        "callee": "<sip:300@example.net>;tag=f",
    }
    named: dict[str, Any] = {"via": f"{phone}:5060", "call_id": "tcp@phone"}
    invite = request("INVITE", "sip:300@example.net", branch="z9hG4bKi", cseq=1,
                     contact=f"<sip:100@{phone}>", body=sdp(phone), caller=ids["caller"],
                     **named)  # fmt: skip
    ok = answer(200, invite, to_tag="f", contact=f"<sip:300@{far}>", body=sdp(far))
    ack = request("ACK", f"sip:300@{far}", branch="z9hG4bKa", cseq=1, **ids, **named)
    bye = request("BYE", f"sip:300@{far}", branch="z9hG4bKb", cseq=2, **ids, **named)
    over = answer(200, bye)
    sent = [(0.0, True, invite), (0.1, False, answer(180, invite, to_tag="f")), (2.0, False, ok),
            (2.05, True, ack), (20.0, True, bye), (20.03, False, over[:150]),
            (20.0301, False, over[150:])]  # fmt: skip
    packets, seqs = [], {True: 1000, False: 5000}
    for at, outward, data in sent:
        src, dst = (phone, far) if outward else (far, phone)
        made = tcp_frame(data.replace(b"/UDP", b"/TCP"), src, 5060, dst, 5060, seqs[outward])
        seqs[outward] += len(data)
        packets.append((START * NS + round(at * 1e6) * 1000, made))
    said = verdict(tmp_path, lan=packets)
    assert outcomes(said) == [("completed", "seen", 0, 0)]
    assert said["capture"]["sip_messages"] == 6
