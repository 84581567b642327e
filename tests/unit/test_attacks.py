# SPDX-License-Identifier: Apache-2.0
"""Whoever can send packets from the LAN, from the WAN or from both must not make harm, nor hide it.
Files tell no direction; a ring does (live)."""

from __future__ import annotations

import struct

import pytest
from algwatch.advise.advice import Advice
from algwatch.base.native.layout import ENDS, ROW, ROW_FRAGMENTED
from algwatch.base.packet import LAN, WAN, Batch, Tap
from algwatch.compare.sides_check import weigh
from algwatch.compare.summary import CallSummary
from algwatch.diagnose.finding import Finding
from algwatch.pipeline import Pipeline, Report
from craft import (
    LADDER_2XX,
    House,
    Incoming,
    Outgoing,
    batch,
    far_gives_up,
    frame,
    incoming_call,
    register,
)
from forger import BEFORE, Attacked, before, directed, left_by_router, payload_of, with_payload

BOTH = pytest.mark.parametrize("live", [False, True], ids=["files", "live"])
RING = pytest.mark.parametrize("live", [True], ids=["live"])


def findings(reports: list[Report]) -> dict[str, Finding]:
    return {r.rule: r for r in reports if isinstance(r, Finding)}


def advised(reports: list[Report]) -> dict[str, str]:
    """State by action, in the end."""
    return {r.action: r.state for r in reports if isinstance(r, Advice)}


def outcome(reports: list[Report]) -> str:
    (call,) = (r for r in reports if isinstance(r, CallSummary))
    return call.outcome


def forge(attacked: Attacked, begin: bytes, *, old: bytes = b"", new: bytes = b"",
          lan_port: int = 0, where: tuple[int, ...] = (LAN, WAN)) -> Attacked:  # fmt: skip
    """Copies of each message that begins so, just before the true ones, with IP ID and TTL."""
    for tap in where:
        for packet in (attacked.lan, attacked.wan)[tap]:
            payload = payload_of(packet)
            if not payload.startswith(begin) or (old and old not in payload):
                continue
            made = bytearray(packet[1])
            if lan_port and tap == LAN:
                made[36:38] = struct.pack("!H", lan_port)
            data = with_payload(bytes(made), payload.replace(old, new) if tap == WAN else payload)
            attacked.forged[tap].append(before(packet, data))
    return attacked


def beyond() -> Attacked:
    """No ALG: each ACK of the phone leaves the router, and the 2xx still comes."""
    house = House(wan_port=40123)
    register(house, 0)
    far_gives_up(house, 1, "out@phone", acks=True, leave=True)
    return Attacked(house)


@BOTH
def test_an_ack_that_somebody_sends_back_did_not_stop_in_this_router(live: bool) -> None:
    attacked = beyond()
    attacked.forged[WAN].extend(
        (at + 20_000_000, data) for at, data in attacked.wan
        if payload_of((at, data)).startswith(b"ACK")
    )  # fmt: skip
    lost = findings(attacked.judged(live)[1])["DLG001"]
    assert (lost.where, lost.cause) == ("network", "unknown")


@BOTH
@pytest.mark.parametrize("side", [LAN, WAN])
def test_an_invite_that_somebody_sends_first_does_not_stop_an_ack(live: bool, side: int) -> None:
    if side == WAN:
        attacked = beyond()
    else:
        house = ignored()
        attacked = Attacked(house)
    true = (attacked.lan, attacked.wan)[side]
    first = next(p for p in true if payload_of(p).startswith(b"INVITE"))
    attacked.forged[side].append(before(first, by=5_000_000))
    _, reports = attacked.judged(live)
    for finding in findings(reports).values():
        assert finding.where != "router" or finding.harm not in ("observed", "certain"), finding


def ignored() -> House:
    """No ALG: the phone repeats its 2xx although each ACK is delivered."""
    house = House(wan_port=40123)
    register(house, 0)
    call = Incoming(house, "in@provider")
    call.invite(1)
    call.ringing(1.2)
    call.ok(3)
    for after in (0, *LADDER_2XX):
        call.ack(3.03 + after)
    call.dropped(3)
    return house


@BOTH
def test_an_ack_to_another_port_that_two_hosts_forge_blames_no_router(live: bool) -> None:
    _, reports = forge(Attacked(ignored()), b"ACK", lan_port=5099).judged(live)
    found = findings(reports)
    assert "ALG011" not in found
    assert found["DLG001"].where == ("phone" if live else "unknown")
    assert "disable-sip-alg" not in advised(reports)


@BOTH
def test_without_the_attack_it_is_the_phone(live: bool) -> None:
    found = findings(Attacked(ignored()).judged(live)[1])
    assert found["DLG001"].where == "phone"
    assert "CAP012" not in found


@BOTH
@pytest.mark.parametrize("begin", [b"INVITE", b"SIP/2.0 200", b"ACK"])
def test_a_forged_rewrite_is_none(live: bool, begin: bytes) -> None:
    house = House(wan_port=40123)
    incoming_call(house, 1, "in@provider")
    attacked = forge(Attacked(house), begin, old=b"sip:100@", new=b"sip:999@")
    pipeline, reports = attacked.judged(live)
    assert any(attacked.forged)
    assert not [rule for rule in findings(reports) if rule.startswith("ALG")]
    assert pipeline.counts()["crossings"]["rewritten"] == 0
    assert outcome(reports) == "completed"
    assert not advised(reports)


@RING
def test_a_forged_copy_that_crosses_untouched_does_not_hide_the_rewrite(live: bool) -> None:
    house = House("linux", wan_port=40123)
    Outgoing(house, "out@phone").invite(1)
    attacked = Attacked(house)
    ((at, lan),), ((out_at, wan),) = attacked.lan, attacked.wan
    attacked.forged[LAN].append((at - 50_000, lan))
    attacked.forged[WAN].append((out_at - 50_000, with_payload(wan, payload_of((at, lan)))))
    pipeline, _ = attacked.judged(live)
    assert pipeline.counts()["crossings"]["rewritten"] == 1


@BOTH
def test_a_copy_that_comes_in_on_both_sides_is_no_crossing(live: bool) -> None:
    """A call that exists nowhere but in the attacker's mind."""
    house = House()
    incoming_call(house, 1, "in@provider")
    attacked = Attacked(house)
    attacked.forged = attacked.lan, attacked.wan
    attacked.lan, attacked.wan = [], []
    pipeline, _ = attacked.judged(live)
    assert pipeline.counts()["crossings"]["paired"] == (0 if live else 6)


def stopped_acks(ttl: int = 60) -> House:
    """A call whose ACKs, from the provider's own address and port, never come out to the LAN."""
    house = House(wan_port=40123)
    register(house, 0)
    call = Incoming(house, "in@provider", contact=f"<sip:100@{house.public}>")
    call.invite(1)
    call.ok(3)
    for after in (0, *LADDER_2XX):
        call.ack(3.03 + after, lan=False, ttl=ttl)
    call.dropped(3)
    return house


@BOTH
def test_an_ack_that_no_router_may_send_on_is_not_stopped_by_this_one(live: bool) -> None:
    house = stopped_acks(ttl=1)
    _, reports = Attacked(house).judged(live)
    assert findings(reports)["DLG001"].where != "router"


@BOTH
def test_an_ack_with_a_ttl_that_suffices_is_stopped_by_this_router(live: bool) -> None:
    house = stopped_acks()
    _, reports = Attacked(house).judged(live)
    assert findings(reports)["DLG001"].where == "router"


@RING
def test_a_delivery_that_a_lan_host_fakes_is_none(live: bool) -> None:
    """The router stops each ACK; a LAN host sends what looks like the copy that it sends on."""
    house = stopped_acks()
    attacked = Attacked(house)
    for at, data in attacked.wan:
        if payload_of((at, data)).startswith(b"ACK"):
            made = frame(payload_of((at, data)), house.provider, 5060, house.phone, house.port, 59,
                         struct.unpack_from("!H", data, 18)[0])  # fmt: skip
            attacked.forged[LAN].append((at + 200_000, made))
    _, reports = attacked.judged(live)
    assert findings(reports)["DLG001"].where == "router"


@pytest.mark.parametrize(
    ("lan_out", "wan_out", "votes"),
    [(False, True, True), (False, False, False), (True, True, False)],
)
def test_only_a_copy_that_went_out_votes_on_the_sides(
    lan_out: bool, wan_out: bool, votes: bool
) -> None:
    house = House()
    Outgoing(house, "out@phone").invite(1)
    headers = []
    for packets, out in ((house.lan, lan_out), (house.wan, wan_out)):
        made = directed(batch(packets), out)
        row = ROW.unpack_from(made.rows)
        headers.append((row[15], row[12], made.ends[: ENDS.size]))
    assert bool(weigh(*headers)) is votes


@BOTH
def test_the_same_answer_of_another_lan_host_does_not_hide_the_rewrite(live: bool) -> None:
    """It has a flow of its own, with the IP ID and TTL of the true one."""
    house = House("linux", wan_port=40123)
    register(house, 0)
    incoming_call(house, 1, "in@provider")
    attacked = Attacked(house)
    for packet in attacked.lan:
        if payload_of(packet).startswith(b"SIP/2.0 200"):
            made = bytearray(packet[1])
            made[26:30] = bytes((192, 168, 1, 66))
            attacked.forged[LAN].append(before(packet, bytes(made)))
    pipeline, reports = attacked.judged(live)
    assert pipeline.counts()["crossings"]["rewritten"] == 7
    assert "CAP012" not in findings(reports)


@pytest.mark.parametrize("fragments", [False, True], ids=["whole", "fragments"])
def test_a_refusal_that_left_in_fragments_need_not_be_the_routers(fragments: bool) -> None:
    """Another host of the LAN sends it in more fragments than are put together here, with a TTL of
    65 and the provider's address: the router sends it on in fewer, with a TTL of 64."""
    house = House(wan_port=40123)
    register(house, 0)
    call = Outgoing(house, "out@phone")
    call.invite(1)
    call.respond(1.2, 100)
    call.respond(2, 486, wan=False, ttl=65)
    register(house, 40, n=2)
    pipeline = Pipeline([Tap("lan", LAN), Tap("wan", WAN)], strict=True)
    reports: list[Report] = []
    parts = [(p[0], tap, p) for tap, some in enumerate(house.sorted()) for p in some]
    for _, tap, packet in sorted(parts, key=lambda part: part[:2]):
        made = directed(batch([packet], tap), left_by_router(house, tap, packet[1]))
        if fragments and payload_of(packet).startswith(b"SIP/2.0 486"):
            row = list(ROW.unpack(made.rows))
            row[12] |= ROW_FRAGMENTED
            made = Batch(made.buffer, ROW.pack(*row), made.ends, 1, tap, made.watermark)
        reports += pipeline.feed(made)
    reports += pipeline.finish()
    assert ("ALG009" in findings(reports)) is not fragments


@BOTH
def test_copies_for_another_far_end_do_not_hide_harm_whose_invite_waits(live: bool) -> None:
    """Another host sends the phone's answer with other Contacts on to another port. In files the
    crossing of the INVITE, of which the router changed more than addresses, waits meanwhile."""
    house = House("linux", wan_port=40123)
    register(house, 0)
    call = Incoming(house, "in@provider")
    call.invite(1, alg=lambda m: house.in_alg(m).replace(b"Contact: <sip:200", b"Contact: <sip:2"))
    call.ok(1.5)
    for after in (0, *LADDER_2XX):
        call.ack(1.53 + after, lan_port=5080)
    call.dropped(1.5)
    attacked = Attacked(house)
    for tap, true in ((LAN, attacked.lan), (WAN, attacked.wan)):
        for at, data in true:
            lines = payload_of((at, data)).split(b"\r\n")
            if lines[0] != b"SIP/2.0 200 OK" or b"CSeq: 1 INVITE" not in lines:
                continue
            contact = next(i for i, line in enumerate(lines) if line.startswith(b"Contact:"))
            made = bytearray(data)
            made[36:38] = struct.pack("!H", 5061)
            for n in range(3):
                lines[contact] = b"Contact: <sip:x@192.0.2.77:%d>" % n
                payload = with_payload(bytes(made), b"\r\n".join(lines))
                attacked.forged[tap].append((at - BEFORE + n, payload))
    found = findings(attacked.judged(live)[1])
    assert (found["DLG001"].where, found["DLG001"].harm) == ("router", "observed")


@RING
@pytest.mark.parametrize("port", [5060, 40123])
def test_a_2xx_that_a_neighbour_sends_to_the_phone_does_not_stand_for_the_routers(
    live: bool, port: int
) -> None:
    """The router stops each 2xx. One that comes in from the LAN would blame the phone, which sends
    no ACK, or at another port the ALG."""
    house = House(wan_port=40123)
    register(house, 0)
    far_gives_up(house, 1, "out@phone", answered=False)
    attacked = Attacked(house)
    at, data = next(p for p in attacked.wan if payload_of(p).startswith(b"SIP/2.0 200 OK")
                    and b"INVITE" in p[1])  # fmt: skip
    made = frame(data[42:], house.provider, 5060, house.phone, port, 59, 0x7777)
    attacked.forged[LAN].append((at + 40_000_000, made))
    lost = findings(attacked.judged(live)[1])["DLG001"]
    assert (lost.where, lost.cause) == ("router", "router")
    assert "did not cross" in lost.summary
