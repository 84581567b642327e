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
from algwatch.base.packet import LAN, WAN
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
LATE = {"before": -NS // 10_000, "long-before": -NS // 200, "after": NS // 50,
        "seconds-before": -2 * NS}  # fmt: skip

Ends = tuple[str, int, str, int]
# By name, from and to whom.
ENDS: dict[str, Callable[[Ends, int], Ends]] = {
    "from-neighbour": lambda e, side: (NEIGHBOURS[side], *e[1:]),
    "to-neighbour": lambda e, side: (*e[:2], NEIGHBOURS[side], e[3]),
    "from-another-port": lambda e, side: (e[0], e[1] + 19, *e[2:]),
    "to-another-port": lambda e, side: (*e[:3], e[3] + 19),
    "back": lambda e, side: (*e[2:], *e[:2]),
    "back-to-neighbour": lambda e, side: (NEIGHBOURS[side], e[3], *e[:2]),
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


def told(house: House, live: bool, *ones: Forgery) -> Told:
    attacked = Attacked(house)
    for one in ones:
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


def gained(one: Forgery, *more: Forgery) -> list[str]:
    before, after = truth(one.house, one.live), told(CASES[one.house].make(), one.live, one, *more)
    found = sorted(after.blamed - before.blamed)
    if after.advice > before.advice:
        found.append(f"{DISABLE} {STATES[after.advice]}")
    if before.state == HURTS and after.state == FINE and not hides(one):
        found.append("an all-clear")
    return found


def hides(one: Forgery) -> bool:
    """It may hide harm (docs/threat-model.md): a LAN host in the name of a phone here, and a CANCEL
    of the caller's own host."""
    as_phone = one.side == LAN and one.ends not in ("from-neighbour", "back-to-neighbour")
    return as_phone or (one.change == "cancel" and one.ends == "from-another-port")


# Each gained something once. (house, side, kind, change, ends, when)
FOUND = (
    ("reg001-near-miss-other-name-of-two-phones", LAN, b"200 REGISTER", "copy", "from-neighbour",
     "seconds-before"),
    ("reg004-digest-uri-changed", LAN, b"403 REGISTER", "copy", "from-neighbour", "seconds-before"),
    ("reg006-second-proxy-after-a-silence", WAN, b"200 REGISTER", "copy", "from-another-port",
     "seconds-before"),
    ("reg006-wrong-phone-after-a-flush", WAN, b"200 REGISTER", "487", "to-neighbour",
     "seconds-before"),
    ("reg006-call-from-another-port-helper", WAN, b"INVITE", "copy", "to-neighbour", "before"),
    ("alg018-min-se", LAN, b"422 INVITE", "487", "from-neighbour", "seconds-before"),
    ("txn003-phone-elsewhere", LAN, b"200 REGISTER", "403", "from-neighbour", "seconds-before"),
    ("txn007-another-branch", LAN, b"100 INVITE", "403", "from-neighbour", "seconds-before"),
    ("dlg001-contact-taken-out", LAN, b"200 INVITE", "copy", "back-to-neighbour",
     "seconds-before"),
    ("txn006-via-changed-beyond", LAN, b"REGISTER", "copy", "back-to-neighbour", "long-before"),
    ("txn006-listens-at-the-port-in-via", LAN, b"REGISTER", "copy", "to-neighbour",
     "seconds-before"),
    ("alg011-near-miss-register-not-taken", LAN, b"REGISTER", "copy", "back-to-neighbour",
     "long-before"),
    ("txn008-branch-of-the-invite", LAN, b"INVITE", "number", "from-neighbour", "after-its-answer"),
    ("alg012-near-miss-cancelled-late", LAN, b"INVITE", "copy", "same", "in-between"),
)  # fmt: skip
# Only there: a sender with the phone's own address may hide a harm.
ENDS_FOUND = {"same": lambda e, side: e}
LATE_FOUND = {"after-its-answer": 2 * NS, "in-between": 12 * NS, "in-the-end": 40 * NS}
CHANGES_FOUND = {
    "number": lambda message: re.sub(rb"(?m)^(CSeq: )\d+", rb"\g<1>0", message),
}


@pytest.mark.parametrize("live", [False, True], ids=["files", "live"])
@pytest.mark.parametrize("found", FOUND, ids=lambda found: found[0])
def test_what_gained_something_once_gains_nothing(
    found: tuple[str, int, bytes, str, str, str], live: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_more(monkeypatch)
    assert not gained(Forgery(*found, live))


def with_more(monkeypatch: pytest.MonkeyPatch) -> None:
    for known, more in ((ENDS, ENDS_FOUND), (LATE, LATE_FOUND), (CHANGES, CHANGES_FOUND)):
        for name, value in more.items():
            monkeypatch.setitem(known, name, value)


def test_a_gap_that_somebody_made_takes_nothing_away_from_what_speaks_for_the_alg(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of two calls to a phone the first one, which it took, seems to have a gap."""
    with_more(monkeypatch)
    name = "alg012-near-miss-foreign-request-uri-taken-before"
    assert not gained(
        Forgery(name, WAN, b"200 INVITE", "copy", "to-another-port", "in-the-end", False),
        Forgery(name, WAN, b"ACK", "cancel", "to-another-port", "after", False),
    )


@pytest.mark.parametrize("live", [False, True], ids=["files", "live"])
def test_a_call_to_another_address_beyond_the_router_blames_no_router(live: bool) -> None:
    """In the name of the provider, beside the call of a phone."""
    attacked = Attacked(CASES["reg006-routed"].make())
    provider = attacked.house.provider
    at, data = next((at, data) for at, data in attacked.wan
                    if ends_of(data)[0] == provider and b"INVITE sip:" in data)  # fmt: skip
    made = payload_of((at, data)).replace(b"z9hG4bK", b"z9hG4bKforged").replace(b"tag=", b"tag=f")
    made = made.replace(b"Call-ID: ", b"Call-ID: forged")
    source, sport, _, dport = ends_of(data)
    attacked.forged[WAN].extend(
        (at + round((7 + wait) * NS), frame(made, source, sport, NEIGHBOURS[WAN], dport, 60))
        for wait in (0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5)
    )
    _, reports = attacked.judged(live, passing=True)
    blamed = {r.where for r in reports if isinstance(r, Finding) and "forged" in r.call_id}
    assert blamed == {"unknown"}


@pytest.mark.parametrize("one", chosen(every(), A_DAY), ids=str)
def test_a_forged_message_that_does_not_cross_gains_nothing(one: Forgery) -> None:
    assert not gained(one)
