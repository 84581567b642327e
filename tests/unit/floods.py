# SPDX-License-Identifier: Apache-2.0
"""Floods beside a call that the ALG kills, fed as the daemon feeds them.

Each flood is a function that yields the frames of its n-th moment on both taps: what the router
forwards is on both, with a TTL one less behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from algwatch.advise.advice import Advice
from algwatch.base.packet import LAN, WAN, Tap
from algwatch.capture.order import Order, Timeline
from algwatch.diagnose.finding import Finding
from algwatch.pipeline import Pipeline, Report
from craft import (
    LADDER_2XX,
    NS,
    START,
    House,
    Incoming,
    Packet,
    batch,
    frame,
    register,
    request,
    works_beside,
)

HELD = 192 * 1024
BLOCK = NS // 10  # of time that a tap hands over at once
SCANNER = "185.1.2.3"
INTRUDER = "192.168.1.66"
CALL_AT = 20.0

Shot = tuple[int, bytes]  # tap, frame
Said = tuple[set[tuple[str, str, str]], dict[str, str]]
Flood = Callable[[Random, House, int], Iterator[Shot]]


def house_with_a_dead_call() -> House:
    """A call whose every ACK the ALG sends to a port where no phone is: disable is recommended."""
    house = House("linux")
    register(house, 0)
    works_beside(house, 0.5)
    call = Incoming(house, "dead")
    call.invite(CALL_AT)
    call.ringing(CALL_AT + 0.1)
    call.ok(CALL_AT + 2)
    for after in (0, *LADDER_2XX):
        call.ack(CALL_AT + 2.03 + after, via_port=5080, lan_port=5080)
    call.dropped(CALL_AT + 2)
    return house


def said(reports: list[Report]) -> Said:
    """Findings of the dead call, and the last state of each advice for its phone."""
    findings = {(f.rule, f.harm, f.where) for f in reports
                if isinstance(f, Finding) and f.call_id == "dead"}  # fmt: skip
    advice = {a.action: a.state for a in reports
              if isinstance(a, Advice) and a.subject.startswith("192.168.1.10 ")}  # fmt: skip
    return findings, advice


def run(flood: Flood | None, rate: int, begin: float = CALL_AT - 2, seconds: float = 10,
        warm: float = 0.0, watch: Callable[[Pipeline], None] | None = None,
        ) -> tuple[list[Report], Pipeline]:  # fmt: skip
    """Live, in order of time. warm: seconds that pass before all this, with nothing seen."""
    house = house_with_a_dead_call()
    taps: list[list[Packet]] = list(house.sorted())
    rng = Random(5060)
    start = START * NS
    shots: list[tuple[int, int, bytes]] = []
    if flood is not None:
        made = 0
        while made < rate * seconds:
            at = start + int((begin + made / rate) * NS)
            for number, (tap, data) in enumerate(flood(rng, house, made)):
                shots.append((at + number * 20_000, tap, data))
            made += 1
    for at, tap, data in shots:
        taps[tap].append((at, data))
    for packets in taps:
        packets.sort(key=lambda packet: packet[0])
    pipeline = Pipeline([Tap("lan", LAN), Tap("wan", WAN)], live=True, strict=True)
    order, timeline = Order(2, HELD), Timeline(pipeline, 2)
    reports: list[Report] = []
    if warm:
        timeline.advance(start - int(warm * NS))
    places = [0, 0]
    now, end = start, max(packets[-1][0] for packets in taps) + 5 * NS
    while now < end:
        now += BLOCK
        for tap, packets in ((WAN, taps[WAN]), (LAN, taps[LAN])):
            first = stop = places[tap]
            while stop < len(packets) and packets[stop][0] < now:
                stop += 1
            places[tap] = stop
            batches = []
            for i in range(first, stop, 200):
                batches += order.feed(tap, batch(packets[i : min(i + 200, stop)], tap))
            batches += order.advance(tap, now)
            for one in batches:
                reports += timeline.feed(one)
        reports += timeline.advance(order.watermark)
        if watch is not None:
            watch(pipeline)
    for tap in (LAN, WAN):
        for one in order.end(tap):
            reports += timeline.feed(one)
    return reports + pipeline.finish(), pipeline


# ---- what is sent ----


def somebody(rng: Random) -> str:
    return f"185.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(1, 255)}"


def ask(method: str, source: str, target: str, name: str, branch: str = "", port: int = 5060,
        more: tuple[str, ...] = ()) -> bytes:  # fmt: skip
    return request(
        method, f"sip:1@{target}", via=f"{source}:{port}", branch=f"z9hG4bK{branch or name}",
        call_id=name, cseq=1, caller=f"<sip:s@{source}>;tag={name[:12]}",
        callee=f"<sip:1@{target}>", contact=f"<sip:s@{source}:{port}>", more=more,
    )  # fmt: skip


def reply(status: int, source: str, name: str, method: str = "INVITE", tag: str = "x",
          branch: str = "") -> bytes:  # fmt: skip
    return (f"SIP/2.0 {status} Word\r\nVia: SIP/2.0/UDP {source}:5060;branch=z9hG4bK"
            f"{branch or name}\r\nFrom: <sip:s@{source}>;tag={name[:12]}\r\n"
            f"To: <sip:1@x>;tag={tag}\r\nCall-ID: {name}\r\nCSeq: 1 {method}\r\n"
            f"Contact: <sip:1@{source}>\r\nContent-Length: 0\r\n\r\n").encode()  # fmt: skip


def name_of(rng: Random) -> str:
    return f"{rng.getrandbits(64):016x}"


def knock(payload: bytes, source: str, house: House, rng: Random, port: int = 5060) -> Shot:
    """On the WAN only: the NAT lets nothing in."""
    return WAN, frame(payload, source, 5060, house.wan_ip, port, 50, rng.randrange(1, 65536))


def through(payload: bytes, source: str, sport: int, target: str, house: House,
            rng: Random) -> Iterator[Shot]:  # fmt: skip
    """From the LAN to the WAN, as it is."""
    ident = rng.randrange(1, 65536)
    yield LAN, frame(payload, source, sport, target, 5060, 64, ident)
    yield WAN, frame(payload, house.wan_ip, sport, target, 5060, 63, ident)


def inward(payload: bytes, source: str, house: House, rng: Random) -> Iterator[Shot]:
    """From the WAN to the phone, through its mapping."""
    ident = rng.randrange(1, 65536)
    yield WAN, frame(payload, source, 5060, house.wan_ip, house.wan_port, 50, ident)
    yield LAN, frame(payload, source, 5060, house.phone, house.port, 49, ident)


def back(payload: bytes, source: str, target: str, port: int, house: House,
         rng: Random) -> Iterator[Shot]:  # fmt: skip
    """From the WAN to another LAN host than the phone."""
    ident = rng.randrange(1, 65536)
    yield WAN, frame(payload, source, 5060, house.wan_ip, port, 50, ident)
    yield LAN, frame(payload, source, 5060, target, port, 49, ident)


def responses_of_a_host(rng: Random, house: House, n: int) -> Iterator[Shot]:
    yield knock(reply(200, SCANNER, name_of(rng)), SCANNER, house, rng)


def responses_of_many(rng: Random, house: House, n: int) -> Iterator[Shot]:
    yield knock(reply(200, house.wan_ip, name_of(rng)), somebody(rng), house, rng)


def responses_of_the_provider(rng: Random, house: House, n: int) -> Iterator[Shot]:
    yield knock(reply(200, house.wan_ip, name_of(rng)), house.provider, house, rng)


def responses_through_the_mapping(rng: Random, house: House, n: int) -> Iterator[Shot]:
    yield from inward(reply(200, house.wan_ip, name_of(rng)), house.provider, house, rng)


def responses_to_bye(rng: Random, house: House, n: int) -> Iterator[Shot]:
    yield knock(reply(481, house.wan_ip, name_of(rng), "BYE"), house.provider, house, rng)


def responses_on_the_lan(rng: Random, house: House, n: int) -> Iterator[Shot]:
    yield from through(reply(200, INTRUDER, name_of(rng)), INTRUDER, 6000, house.provider, house,
                       rng)  # fmt: skip


def invites_of_a_lan_host(rng: Random, house: House, n: int) -> Iterator[Shot]:
    name = name_of(rng)
    yield from through(ask("INVITE", INTRUDER, house.provider, name), INTRUDER, 6000,
                       house.provider, house, rng)  # fmt: skip


def invites_of_a_lan_host_from_every_port(rng: Random, house: House, n: int) -> Iterator[Shot]:
    name, port = name_of(rng), 10000 + n % 50000
    yield from through(ask("INVITE", INTRUDER, house.provider, name), INTRUDER, port,
                       house.provider, house, rng)  # fmt: skip


def invites_of_a_lan_host_and_answers(rng: Random, house: House, n: int) -> Iterator[Shot]:
    name = name_of(rng)
    yield from through(ask("INVITE", INTRUDER, SCANNER, name), INTRUDER, 6000, SCANNER, house, rng)
    for status in (180, 200):
        yield from back(reply(status, INTRUDER, name), SCANNER, INTRUDER, 6000, house, rng)


def invites_that_stay_on_the_lan(rng: Random, house: House, n: int) -> Iterator[Shot]:
    payload = ask("INVITE", INTRUDER, house.provider, name_of(rng))
    yield LAN, frame(payload, INTRUDER, 6000, house.provider, 5060, 64, rng.randrange(1, 65536))


def invites_of_many_lan_hosts(rng: Random, house: House, n: int) -> Iterator[Shot]:
    source = f"192.168.1.{100 + n % 150}"
    yield from through(ask("INVITE", source, house.provider, name_of(rng)), source, 6000,
                       house.provider, house, rng)  # fmt: skip


def invites_of_made_up_lan_hosts(rng: Random, house: House, n: int) -> Iterator[Shot]:
    source = f"10.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(1, 255)}"
    yield from through(ask("INVITE", source, house.provider, name_of(rng)), source, 6000,
                       house.provider, house, rng)  # fmt: skip


def invites_of_the_provider(rng: Random, house: House, n: int) -> Iterator[Shot]:
    yield knock(ask("INVITE", house.provider, house.wan_ip, name_of(rng)), house.provider, house,
                rng)  # fmt: skip


def invites_through_the_mapping(rng: Random, house: House, n: int) -> Iterator[Shot]:
    yield from inward(ask("INVITE", house.provider, house.wan_ip, name_of(rng)), house.provider,
                      house, rng)  # fmt: skip


def invites_that_ring(rng: Random, house: House, n: int) -> Iterator[Shot]:
    name = name_of(rng)
    yield from inward(ask("INVITE", house.provider, house.wan_ip, name), house.provider, house, rng)
    payload, ident = reply(180, house.provider, name), rng.randrange(1, 65536)
    yield LAN, frame(payload, house.phone, house.port, house.provider, 5060, 64, ident)
    yield WAN, frame(payload, house.wan_ip, house.wan_port, house.provider, 5060, 63, ident)


def invites_of_many(rng: Random, house: House, n: int) -> Iterator[Shot]:
    source = somebody(rng)
    yield knock(ask("INVITE", source, house.wan_ip, name_of(rng)), source, house, rng)


def invites_of_many_through_the_mapping(rng: Random, house: House, n: int) -> Iterator[Shot]:
    source = somebody(rng)
    yield from inward(ask("INVITE", source, house.wan_ip, name_of(rng)), source, house, rng)


def new_addresses_of_a_lan_host(rng: Random, house: House, n: int) -> Iterator[Shot]:
    target = somebody(rng)
    yield from through(ask("REGISTER", INTRUDER, target, name_of(rng)), INTRUDER, 6000, target,
                       house, rng)  # fmt: skip


def new_addresses_in_the_name_of_the_phone(rng: Random, house: House, n: int) -> Iterator[Shot]:
    target = somebody(rng)
    yield from through(ask("REGISTER", house.phone, target, name_of(rng)), house.phone, 6000,
                       target, house, rng)  # fmt: skip


def new_addresses_that_answer(rng: Random, house: House, n: int) -> Iterator[Shot]:
    target, name = somebody(rng), name_of(rng)
    yield from through(ask("REGISTER", INTRUDER, target, name), INTRUDER, 6000, target, house, rng)
    yield from back(reply(200, INTRUDER, name, "REGISTER"), target, INTRUDER, 6000, house, rng)


def options_of_many_through_the_mapping(rng: Random, house: House, n: int) -> Iterator[Shot]:
    source = somebody(rng)
    yield from inward(ask("OPTIONS", source, house.wan_ip, name_of(rng)), source, house, rng)


def options_of_a_host(rng: Random, house: House, n: int) -> Iterator[Shot]:
    yield knock(ask("OPTIONS", SCANNER, house.wan_ip, name_of(rng)), SCANNER, house, rng)


def options_of_the_provider(rng: Random, house: House, n: int) -> Iterator[Shot]:
    yield knock(ask("OPTIONS", house.provider, house.wan_ip, name_of(rng)), house.provider, house,
                rng)  # fmt: skip


def options_of_a_lan_host(rng: Random, house: House, n: int) -> Iterator[Shot]:
    yield from through(ask("OPTIONS", INTRUDER, house.provider, name_of(rng)), INTRUDER, 6000,
                       house.provider, house, rng)  # fmt: skip


def registers_of_a_host(rng: Random, house: House, n: int) -> Iterator[Shot]:
    yield knock(ask("REGISTER", SCANNER, house.wan_ip, name_of(rng)), SCANNER, house, rng)


def registers_of_a_lan_host(rng: Random, house: House, n: int) -> Iterator[Shot]:
    yield from through(ask("REGISTER", INTRUDER, house.provider, name_of(rng)), INTRUDER, 6000,
                       house.provider, house, rng)  # fmt: skip


def byes_of_the_provider(rng: Random, house: House, n: int) -> Iterator[Shot]:
    yield knock(ask("BYE", house.provider, house.wan_ip, name_of(rng)), house.provider, house, rng)


def acks_of_the_provider(rng: Random, house: House, n: int) -> Iterator[Shot]:
    yield knock(ask("ACK", house.provider, house.wan_ip, name_of(rng)), house.provider, house, rng)


def tags_of_one_call(rng: Random, house: House, n: int) -> Iterator[Shot]:
    if not n:
        yield from through(ask("INVITE", INTRUDER, SCANNER, "forked"), INTRUDER, 6000, SCANNER,
                           house, rng)  # fmt: skip
    yield from back(reply(200, INTRUDER, "forked", tag=name_of(rng)), SCANNER, INTRUDER, 6000,
                    house, rng)  # fmt: skip


def branches_of_one_call(rng: Random, house: House, n: int) -> Iterator[Shot]:
    payload = ask("INVITE", INTRUDER, house.provider, "branched", name_of(rng))
    yield from through(payload, INTRUDER, 6000, house.provider, house, rng)


def branches_of_one_call_outside(rng: Random, house: House, n: int) -> Iterator[Shot]:
    payload = ask("INVITE", house.provider, house.wan_ip, "branched", name_of(rng))
    yield knock(payload, house.provider, house, rng)


FLOODS: tuple[Flood, ...] = (
    responses_of_a_host,
    responses_of_many,
    responses_of_the_provider,
    responses_through_the_mapping,
    responses_to_bye,
    responses_on_the_lan,
    invites_of_a_lan_host,
    invites_of_a_lan_host_from_every_port,
    invites_of_a_lan_host_and_answers,
    invites_that_stay_on_the_lan,
    invites_of_many_lan_hosts,
    invites_of_made_up_lan_hosts,
    invites_of_the_provider,
    invites_through_the_mapping,
    invites_of_many,
    invites_of_many_through_the_mapping,
    new_addresses_of_a_lan_host,
    new_addresses_in_the_name_of_the_phone,
    new_addresses_that_answer,
    options_of_many_through_the_mapping,
    options_of_a_host,
    options_of_the_provider,
    options_of_a_lan_host,
    registers_of_a_host,
    registers_of_a_lan_host,
    byes_of_the_provider,
    acks_of_the_provider,
    tags_of_one_call,
    branches_of_one_call,
    branches_of_one_call_outside,
)
