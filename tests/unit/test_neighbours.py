# SPDX-License-Identifier: Apache-2.0
"""Messages that a neighbour of either end sends in the name of the other end, and that never cross:
the harm and the outcomes are those without them. Files tell no direction; a ring does (live)."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from algwatch.advise.advice import Advice
from algwatch.base.packet import LAN, WAN
from algwatch.compare.summary import CallSummary
from algwatch.diagnose.finding import Finding
from algwatch.pipeline import Report
from craft import (
    LADDER_2XX,
    LADDER_INVITE,
    House,
    Incoming,
    Outgoing,
    Packet,
    answer,
    far_gives_up,
    frame,
    incoming_call,
    outgoing_call,
    register,
    request,
)
from forger import Attacked, ends_of, payload_of

BOTH = pytest.mark.parametrize("live", [False, True], ids=["files", "live"])
NEIGHBOURS = "192.168.1.66", "198.51.100.99"  # by side
MS = 1_000_000


# ---- calls ----


def silent() -> House:
    """Nobody answers the phone."""
    house = House(wan_port=40123)
    call = Outgoing(house, "one@phone")
    for after in (0, *LADDER_INVITE):
        call.invite(1 + after)
    return house


def swallowed() -> House:
    """The INVITE of the phone does not leave the router."""
    house = House(wan_port=40123)
    register(house, 0)
    call = Outgoing(house, "one@phone")
    for after in (0, *LADDER_INVITE):
        call.invite(1 + after, wan=False)
    return house


def beyond() -> House:
    house = House(wan_port=40123)
    far_gives_up(house, 1, "one@phone", acks=True, leave=True)
    return house


def not_acknowledged() -> House:
    house = House(wan_port=40123)
    call = Incoming(house, "one@provider")
    call.invite(1)
    call.ringing(1.2)
    call.dropped(3)
    return house


def by_the_alg() -> House:
    """The router sends each ACK to another port."""
    house = House("linux", wan_port=40123)
    register(house, 0)
    call = Incoming(house, "one@provider")
    call.invite(1)
    call.ringing(1.2)
    for after in (0, *LADDER_2XX):
        call.ack(3.03 + after, lan_port=5080)
    call.dropped(3)
    return house


def works() -> House:
    house = House(wan_port=40123)
    outgoing_call(house, 1, "one@phone")
    return house


def works_inward() -> House:
    house = House(wan_port=40123)
    incoming_call(house, 1, "one@provider")
    return house


def unheard() -> House:
    """The answers to the phone come to the router and not to the phone."""
    house = House(wan_port=40123)
    call = Outgoing(house, "one@phone")
    for after in (0, *LADDER_INVITE):
        call.invite(1 + after)
    call.respond(1.2, 180, lan=False)
    for after in (0, *LADDER_2XX):
        call.ok(3 + after, lan=False)
    return house


def kept_inside() -> House:
    """The 2xx of the phone does not leave the router."""
    house = House(wan_port=40123)
    register(house, 0)
    call = Incoming(house, "one@provider")
    call.invite(1)
    call.ringing(1.2)
    for after in (0, *LADDER_2XX):
        call.ok(3 + after, wan=False)
    return house


CALLS: list[Callable[[], House]] = [
    silent, swallowed, beyond, not_acknowledged, by_the_alg, works, works_inward, unheard,
    kept_inside,
]  # fmt: skip


# ---- forgeries: each adds packets to those of the attacker ----


def _first(attacked: Attacked, side: int, begin: bytes, cseq: bytes = b"") -> Packet | None:
    for packet in (attacked.lan, attacked.wan)[side]:
        if payload_of(packet).startswith(begin) and cseq in packet[1] and b": reg" not in packet[1]:
            return packet
    return None


def _responds(side: int, method: bytes, status: int, late: int) -> Callable[[Attacked], None]:
    """To a neighbour, in the name of whoever was asked."""

    def forge(attacked: Attacked) -> None:
        asked = _first(attacked, side, method)
        if asked is not None:
            _, _, far, port = ends_of(asked[1])
            made = answer(status, payload_of(asked), to_tag="forged", contact="<sip:x@192.0.2.9>")
            data = frame(made, far, port, NEIGHBOURS[side], 5060, 59, 0x7001)
            attacked.forged[side].append((asked[0] + late * MS, data))

    return forge


def _asks(side: int, method: str, late: int) -> Callable[[Attacked], None]:
    """A request of the call from a neighbour."""

    def forge(attacked: Attacked) -> None:
        asked = _first(attacked, side, b"INVITE")
        if asked is None:
            return
        of = _first(attacked, side, b"SIP/2.0 200", b" INVITE") or asked
        own, port, far, far_port = ends_of(asked[1])
        fields = {
            name: re.search(rb"(?m)^%s: (.*?)\r$" % name, payload_of(of))[1].decode()  # type: ignore[index]
            for name in (b"From", b"To", b"Call-ID")
        }
        branch = re.search(rb"branch=([^;\r]*)", payload_of(asked))
        assert branch is not None
        made = request(
            method, "sip:x@192.0.2.9", via=f"{own}:{port}", cseq=1 if method != "BYE" else 7,
            branch=branch[1].decode() if method == "CANCEL" else "z9hG4bKforged",
            call_id=fields[b"Call-ID"], caller=fields[b"From"], callee=fields[b"To"],
        )  # fmt: skip
        data = frame(made, NEIGHBOURS[side], port, far, far_port, 64, 0x7002)
        attacked.forged[side].append((asked[0] + late * MS, data))

    return forge


def _answers_the_phone(status: int, late: int, beside: int = 0) -> Callable[[Attacked], None]:
    """A LAN host answers the phone in the provider's name, at the very port of its INVITE or at
    one beside it."""

    def forge(attacked: Attacked) -> None:
        asked = _first(attacked, LAN, b"INVITE")
        if asked is not None:
            own, port, far, far_port = ends_of(asked[1])
            made = answer(status, payload_of(asked), to_tag="forged", contact="<sip:x@192.0.2.9>")
            data = frame(made, far, far_port, own, port + beside, 59, 0x7003)
            attacked.forged[LAN].append((asked[0] + late * MS, data))

    return forge


def _beside(side: int, begin: bytes, source: tuple[str, int], late: int,
            to_tag: bytes = b"") -> Callable[[Attacked], None]:  # fmt: skip
    """The first such message once more, of another host or port, before or after it."""

    def forge(attacked: Attacked) -> None:
        true = _first(attacked, side, begin, b" ACK" if begin == b"ACK" else b" INVITE")
        if true is not None:
            host, port, to, to_port = ends_of(true[1])
            made = re.sub(rb"(?m)^(To:.*?;tag=)[^\r;]*", rb"\g<1>" + to_tag, payload_of(true))
            data = frame(made if to_tag else payload_of(true), source[0] or host,
                         port + source[1], to, to_port, 59, 0x7004)  # fmt: skip
            attacked.forged[side].append((true[0] + late * MS, data))

    return forge


FORGERIES = {
    **{f"{status}-{late}": _responds(LAN, b"INVITE", status, late)
       for status in (180, 200, 403, 487) for late in (5, 100, 1500)},
    "wan-200": _responds(WAN, b"INVITE", 200, 100),
    "bye-481": _responds(LAN, b"BYE", 481, 10),
    "ack": _asks(LAN, "ACK", 2100),
    "bye": _asks(LAN, "BYE", 4000),
    "cancel": _asks(LAN, "CANCEL", 500),
    "cancel-wan": _asks(WAN, "CANCEL", 500),
    "its-own-180-before": _beside(LAN, b"SIP/2.0 180", (NEIGHBOURS[LAN], 0), -5),
    "its-own-200-at-another-port": _beside(WAN, b"SIP/2.0 200", ("", 19), -400),
    "its-own-200-before": _beside(WAN, b"SIP/2.0 200", (NEIGHBOURS[WAN], 0), -400),
    "its-own-ack-before": _beside(WAN, b"ACK", ("", 19), -1, b"forged"),
}  # fmt: skip


def _told(reports: list[Report]) -> tuple[set[tuple[str, str]], list[str], dict[str, str]]:
    """Harm with its place, outcomes, advice."""
    harm = {
        (r.rule, r.where) for r in reports
        if isinstance(r, Finding) and r.harm in ("observed", "certain")
    }  # fmt: skip
    outcomes = sorted(r.outcome for r in reports if isinstance(r, CallSummary))
    return harm, outcomes, {r.action: r.state for r in reports if isinstance(r, Advice)}


def _played(make: Callable[[], House], live: bool,
            forge: Callable[[Attacked], None] | None = None) -> list[Report]:  # fmt: skip
    """Both sides are captured until a minute later."""
    house = make()
    register(house, 60, n=2)
    attacked = Attacked(house)
    if forge is not None:
        forge(attacked)
    return attacked.judged(live)[1]


@pytest.mark.parametrize("make", [silent, swallowed, beyond])
def test_an_answer_that_came_in_beside_the_phone_is_not_the_routers(
    make: Callable[[], House],
) -> None:
    """Only a ring knows that it came in: in a file it is the answer."""
    truth = _told(_played(make, True))
    for status in (200, 486):
        for late in (100, 1500):
            assert _told(_played(make, True, _answers_the_phone(status, late))) == truth


@BOTH
@pytest.mark.parametrize("make", [silent, swallowed, beyond, works])
def test_an_answer_at_another_port_of_the_phone_is_not_the_routers(
    live: bool, make: Callable[[], House]
) -> None:
    truth = _told(_played(make, live))
    for status in (180, 200, 486):
        for late in (100, 1500):
            forge = _answers_the_phone(status, late, beside=19)
            assert _told(_played(make, live, forge)) == truth, (status, late)


@BOTH
@pytest.mark.parametrize("make", CALLS)
def test_a_neighbour_changes_no_verdict(live: bool, make: Callable[[], House]) -> None:
    truth = _told(_played(make, live))
    wrong = {}
    for name, forge in FORGERIES.items():
        told = _told(_played(make, live, forge))
        if told != truth:
            wrong[name] = told
    assert not wrong, truth


@BOTH
@pytest.mark.parametrize("make", [make for make in CALLS if make is not swallowed])
def test_nor_as_the_last_one_captured(live: bool, make: Callable[[], House]) -> None:
    """The INVITE had crossed."""
    wrong = {}
    for name in ("200-100", "bye", "cancel", "cancel-wan"):
        forged, without = Attacked(make()), Attacked(make())
        FORGERIES[name](forged)
        sent = [at for side in forged.forged for at, _ in side]
        for one in (forged, without):
            one.lan, one.wan = (
                [p for p in true if p[0] <= max(sent, default=0)] for true in (one.lan, one.wan)
            )
        if _told(forged.judged(live)[1]) != _told(without.judged(live)[1]):
            wrong[name] = _told(forged.judged(live)[1])
    assert not wrong


def _floods(forge: Callable[[Attacked], None]) -> Callable[[Attacked], None]:
    """Beside a forgery a LAN host has a call of its own, and just before another one sends 60
    responses of 20 kB into it: none of them counts before it is known whether they cross."""

    def flood(attacked: Attacked) -> None:
        forge(attacked)
        at = attacked.forged[LAN][0][0]
        asked = request("INVITE", "sip:x@203.0.113.99", via="192.168.1.67:5060", cseq=1,
                        branch="z9hG4bKown", call_id="own@lan")  # fmt: skip
        for when, side, source in ((0, LAN, "192.168.1.67"), (1, WAN, "198.51.100.2")):
            data = frame(asked, source, 5067, "203.0.113.99", 5060, 64 - side, 0x7005)
            taps = attacked.lan, attacked.wan
            taps[side].append((at - 400 * MS + when, data))
            taps[side].sort()
        for n in range(60):
            made = answer(180, asked, to_tag=f"n{n}", more=["X: " + "x" * 20_000])
            data = frame(made, "192.168.1.68", 5060, "192.168.1.67", 5060, 64, 0x7100 + n)
            attacked.forged[LAN].append((at - 10 * MS + n, data))

    return flood


@pytest.mark.parametrize("make", [silent, not_acknowledged, by_the_alg])
def test_nor_in_a_flood_of_messages_in_doubt(make: Callable[[], House]) -> None:
    forge = _responds(LAN, b"INVITE", 200, 100)
    without, told = (_told(_played(make, True, one)) for one in (forge, _floods(forge)))
    assert told[0] == without[0] and told[2] == without[2]
