# SPDX-License-Identifier: Apache-2.0
"""Every case is played once more by two hosts that nobody asked, beside a phone that works.

One host is in the LAN and one beyond, or only one of them is there. They send what the case has on
their side, twice, with names of their own. A ring marks all of that as come in, so this router has
sent none of it, and no advice about the line of the phone may come of it.
"""

from __future__ import annotations

import re
from socket import inet_ntoa

import pytest
from algwatch.advise.advice import Advice
from algwatch.base.packet import LAN, WAN
from algwatch.diagnose.finding import Finding
from algwatch.pipeline import Report
from cases import CASES
from craft import NS, House, Packet, frame, incoming_call, outgoing_call, register, works_beside
from forger import Attacked
from sample import some

BEGIN, AGAIN = 200, 65  # seconds; two harmful calls this far apart are independent
LONGEST = 400  # packets of a case
# A spoofed INVITE of the provider cannot be told from a true one. The silence that it ends is true.
TRUE_ANYWAY = {"shorter-refresh-on-phone"}
SIDES = pytest.mark.parametrize("sides", [(LAN, WAN), (LAN,), (WAN,)], ids=["both", "lan", "wan"])


def works() -> House:
    """A phone whose calls of both directions complete with nothing rewritten."""
    house = House()
    for n in range(11):
        register(house, 60 * n, n=2 * n + 1)
    works_beside(house, 0.5, "one@works")
    works_beside(house, 70, "two@works")
    outgoing_call(house, 90, "three@works")
    incoming_call(house, 140, "four@works")
    return house


def renamed(packet: Packet, play: int) -> Packet:
    """The same at the time of that play, with another Call-ID and branch."""
    at, data = packet
    at += (BEGIN + play * AGAIN) * NS
    if data[12:14] != b"\x08\x00" or len(data) < 60 or data[23] != 17:
        return at, data
    payload = re.sub(rb"(?m)^(Call-ID: |i: )", rb"\1forged%d" % play, data[42:])
    payload = payload.replace(b"branch=z9hG4bK", b"branch=z9hG4bKforged%d" % play)
    ports = int.from_bytes(data[34:36], "big"), int.from_bytes(data[36:38], "big")
    made = frame(payload, inet_ntoa(data[26:30]), ports[0], inet_ntoa(data[30:34]), ports[1],
                 data[22], int.from_bytes(data[18:20], "big"))  # fmt: skip
    return at, made


def played(name: str, sides: tuple[int, ...]) -> list[Report]:
    attacked = Attacked(works())
    for side in sides:
        packets = CASES[name].make().sorted()[side]
        attacked.forged[side].extend(renamed(p, play) for play in (0, 1) for p in packets)
    return attacked.judged(True)[1]


def recommended(reports: list[Report]) -> set[tuple[str, str]]:
    """Actions and lines, in the end."""
    last = {(r.action, r.subject): r.state for r in reports if isinstance(r, Advice)}
    return {key for key, state in last.items()
            if state == "recommended" and key[0] not in TRUE_ANYWAY}  # fmt: skip


@SIDES
def test_no_case_that_others_play_gives_advice_about_a_phone(sides: tuple[int, ...]) -> None:
    for name in some(sorted(CASES), 9):
        if sum(map(len, CASES[name].make().sorted())) <= LONGEST:
            assert not recommended(played(name, sides)), name


@SIDES
def test_a_refusal_in_the_name_of_the_provider_is_not_this_routers(sides: tuple[int, ...]) -> None:
    """Two of them from a neighbour were harm that its ALG had done to two calls of the phone."""
    reports = played("alg009-busy", sides)
    assert not any(isinstance(r, Finding) and r.rule == "ALG009" for r in reports)
    assert not any(isinstance(r, Advice) and r.action == "disable-sip-alg" for r in reports)
