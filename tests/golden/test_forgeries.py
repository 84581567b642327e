# SPDX-License-Identifier: Apache-2.0
"""The matrix of forgeries: one message of a call, changed or not, once more from an attacker who
knows all of it, to or from another host or port, just before it or after. It never crosses. No
advice about the ALG comes of it, no blame that was not there, and no all-clear beside harm."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import pytest
from algwatch.advise.actions import DISABLE
from algwatch.advise.advice import STATES, Advice
from algwatch.base.packet import LAN
from algwatch.diagnose import cause
from algwatch.diagnose.finding import Finding
from algwatch.report.render.verdict import FINE, HURTS, Verdict
from cases import CASES
from craft import NS, House, Packet, frame, sized
from forger import Attacked, ends_of, payload_of
from sample import chosen

HOUSES = (
    "alg007-near-miss-counted-right", "alg012-near-miss-stun-port",
    "alg016-via-not-put-back", "alg018-near-miss-goes-without-route",
    "alg018-near-miss-route-of-another-provider", "dlg001-delivered-and-ignored",
    "dlg002-near-miss-behind-a-proxy", "dlg005-route-not-reversed",
    "reg001-near-miss-via-mapped-and-taken", "reg006-request-uri-not-undone",
    "reg006-wrong-phone-after-a-flush", "txn002-phone-sends-no-ack",
    "txn003-bye-refused",
)  # fmt: skip
A_DAY = 150
NEIGHBOURS = "192.168.1.66", "198.51.100.99"  # by side
LATE = {"before": -NS // 10_000, "long-before": -NS // 200, "after": NS // 50}

Ends = tuple[str, int, str, int]
# By name, from and to whom.
ENDS: dict[str, Callable[[Ends, int], Ends]] = {
    "from-neighbour": lambda e, side: (NEIGHBOURS[side], *e[1:]),
    "to-neighbour": lambda e, side: (*e[:2], NEIGHBOURS[side], e[3]),
    "from-another-port": lambda e, side: (e[0], e[1] + 19, *e[2:]),
    "to-another-port": lambda e, side: (*e[:3], e[3] + 19),
    "back": lambda e, side: (*e[2:], *e[:2]),
}


def _method(name: bytes) -> Callable[[bytes], bytes]:
    def change(message: bytes) -> bytes:
        if message.startswith(b"SIP/2.0"):
            return message
        message = re.sub(rb"^\w+", name, message)
        return re.sub(rb"(?m)^(CSeq: \d+ )\w+", rb"\g<1>" + name, message)

    return change


def _status(status: bytes) -> Callable[[bytes], bytes]:
    return lambda message: re.sub(rb"^SIP/2.0 \d+", b"SIP/2.0 " + status, message)


CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "copy": lambda message: message,
    "contact": lambda message: re.sub(rb"(?m)^(Contact: <sip:[^@\r>]*@)[^;>\r]*",
                                      rb"\g<1>192.0.2.9:5060", message),
    "bodiless": lambda message: sized(message.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"),
    "tag": lambda message: re.sub(rb"(?m)^(To:[^\r]*?)(;tag=[^\r;]*)?\r", rb"\1;tag=forged\r",
                                  message, count=1),
    "branch": lambda message: message.replace(b"z9hG4bK", b"z9hG4bKforged", 1),
    "cancel": _method(b"CANCEL"),
    "ack": _method(b"ACK"),
    "invite": _method(b"INVITE"),
    "403": _status(b"403"),
    "487": _status(b"487"),
}  # fmt: skip


class Forgery(NamedTuple):
    house: str
    side: int
    kind: bytes  # the first message that begins so
    change: str
    ends: str
    late: str
    live: bool

    def __str__(self) -> str:
        side, kind = ("lan", "wan")[self.side], self.kind.decode().replace(" ", "-")
        how = "live" if self.live else "files"
        return f"{self.house}/{side}/{kind}/{self.change}/{self.ends}/{self.late}/{how}"


def kind_of(message: bytes) -> bytes:
    """The method, or the status and the method."""
    method = re.search(rb"(?m)^CSeq: \d+ (\w+)", message)
    start = message.split(b" ", 2)
    if start[0] != b"SIP/2.0":
        return start[0]
    return start[1] + b" " + (method[1] if method is not None else b"")


def every() -> list[Forgery]:
    made = []
    for name in HOUSES:
        for side, packets in enumerate(CASES[name].make().sorted()):
            kinds = dict.fromkeys(kind_of(payload_of(p)) for p in packets)
            made += [
                Forgery(name, side, kind, change, ends, late, live)
                for kind in kinds for change in CHANGES for ends in ENDS for late in LATE
                for live in (False, True)
            ]  # fmt: skip
    return made


def forge(attacked: Attacked, one: Forgery) -> None:
    for at, data in (attacked.lan, attacked.wan)[one.side]:
        payload = payload_of((at, data))
        if kind_of(payload) == one.kind:
            made = CHANGES[one.change](payload)
            ends = ENDS[one.ends](ends_of(data), one.side)
            packet: Packet = (at + LATE[one.late], frame(made, *ends, data[22], 0x7001))
            attacked.forged[one.side].append(packet)
            return


class Told(NamedTuple):
    """advice: the rank of the strongest advice to disable, ever. blamed: rules that blame this
    router's ALG, or anybody for certain."""

    state: str
    advice: int
    blamed: set[str]


def told(house: House, live: bool, one: Forgery | None = None) -> Told:
    attacked = Attacked(house)
    if one is not None:
        forge(attacked, one)
    pipeline, reports = attacked.judged(live, passing=True)
    verdict = Verdict()
    for report in reports:
        verdict.feed(report)
    verdict.settle(pipeline.counts())
    last = {r.key: r for r in reports if isinstance(r, Finding)}.values()
    blamed = {f.rule for f in last if f.hurts and (f.certain or f.cause == cause.ALG)}
    given = [r.state for r in reports if isinstance(r, Advice) and r.action == DISABLE]
    return Told(verdict.state, max(map(STATES.index, given), default=0), blamed)


@cache
def truth(house: str, live: bool) -> Told:
    return told(CASES[house].make(), live)


def gained(one: Forgery) -> list[str]:
    before, after = truth(one.house, one.live), told(CASES[one.house].make(), one.live, one)
    found = sorted(after.blamed - before.blamed)
    if after.advice > before.advice:
        found.append(f"{DISABLE} {STATES[after.advice]}")
    if before.state == HURTS and after.state == FINE and not hides(one):
        found.append("an all-clear")
    return found


def hides(one: Forgery) -> bool:
    """It may hide harm (docs/threat-model.md): a LAN host in the name of a phone here, and a CANCEL
    of the caller's own host."""
    as_phone = one.side == LAN and one.ends != "from-neighbour"
    return as_phone or (one.change == "cancel" and one.ends == "from-another-port")


@pytest.mark.parametrize("one", chosen(every(), A_DAY), ids=str)
def test_a_forged_message_that_does_not_cross_gains_nothing(one: Forgery) -> None:
    assert not gained(one)
