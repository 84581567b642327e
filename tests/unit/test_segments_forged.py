# SPDX-License-Identifier: Apache-2.0
"""Segments of TCP that somebody forges in the place of true ones. A router drops them for their
acknowledgement number, and a tap shows them all the same."""

from __future__ import annotations

from functools import cache

import pytest
from algwatch.advise.advice import Advice
from algwatch.base.native import layout
from algwatch.base.packet import LAN, WAN, Batch, Tap
from algwatch.capture.reassembly import Reassembler
from algwatch.diagnose.finding import Finding
from algwatch.pipeline import Pipeline, Report
from craft import (
    NS,
    House,
    Packet,
    batch,
    far_gives_up,
    incoming_call,
    outgoing_call,
    register,
    request,
    tcp_frame,
)
from forger import directed, ends_of, ip_summed, left_by_router, payload_of

BOTH = pytest.mark.parametrize("live", [False, True], ids=["files", "live"])
BEFORE = 100_000  # ns


class Connections:
    """A call over TCP (or UDP) as both taps show it. forged: the same with forged segments."""

    def __init__(self, house: House, tcp: bool = True) -> None:
        self.house = house
        self.true = [self._over_tcp(packets) if tcp else packets for packets in house.sorted()]
        self.forged: list[list[Packet]] = [[], []]

    @staticmethod
    def _over_tcp(packets: list[Packet]) -> list[Packet]:
        reached: dict[tuple[str, int, str, int], int] = {}
        made = []
        for at, data in packets:
            message = payload_of((at, data)).replace(b"SIP/2.0/UDP", b"SIP/2.0/TCP")
            ends = ends_of(data)
            seq = reached.get(ends, 1000)
            reached[ends] = seq + len(message)
            made.append((at, _segment(message, ends, seq, data)))
        return made

    def forge(self, side: int, begin: bytes, old: bytes, new: bytes, late: int) -> None:
        """The first message that begins so, with other bytes."""
        at, data = next(p for p in self.true[side] if p[1][54:].startswith(begin))
        seq = int.from_bytes(data[38:42])
        made = data[54:].replace(old, new)
        self.forged[side].append((at + late, _segment(made, ends_of(data), seq, data)))

    def judged(self, live: bool) -> tuple[Pipeline, list[Report]]:
        pipeline = Pipeline([Tap("lan", LAN), Tap("wan", WAN)], strict=True)
        whole = [Reassembler(tap, (5060,), layout.REPLAY_KEY) for tap in (LAN, WAN)]
        parts = [(at, tap, data, forged) for forged, sides in enumerate((self.true, self.forged))
                 for tap, packets in enumerate(sides) for at, data in packets]  # fmt: skip
        reports: list[Report] = []
        for at, tap, data, forged in sorted(parts, key=lambda part: part[:2]):
            made = batch([(at, data)], tap)
            if live:
                made = directed(made, not forged and left_by_router(self.house, tap, data))
            rows = memoryview(bytearray(made.rows))
            made = Batch(made.buffer, rows, made.ends, made.count, tap, made.watermark)
            reports += pipeline.feed(whole[tap].feed(made))
        return pipeline, reports + pipeline.finish()


def _segment(message: bytes, ends: tuple[str, int, str, int], seq: int, like: bytes) -> bytes:
    """With TTL and IP ID of a frame."""
    made = bytearray(tcp_frame(message, *ends, seq, int.from_bytes(like[18:20])))
    made[22] = like[22]
    return ip_summed(bytes(made), 14)


@BOTH
@pytest.mark.parametrize("side", [LAN, WAN])
@pytest.mark.parametrize("late", [-BEFORE, BEFORE])
@pytest.mark.parametrize("begin", [b"INVITE", b"SIP/2.0 200", b"ACK"])
@pytest.mark.parametrize("new", [b"sip:999@", b"sip:9999@"], ids=["as-long", "longer"])
def test_a_segment_with_other_bytes_makes_no_rewrite(
    live: bool, side: int, late: int, begin: bytes, new: bytes
) -> None:
    house = House(wan_port=40123)
    if begin == b"ACK":
        incoming_call(house, 1, "one@provider")
    else:
        outgoing_call(house, 1, "one@phone")
    connections = Connections(house)
    old = b"sip:100@" if begin != b"SIP/2.0 200" else b"sip:300@"
    connections.forge(side, begin, old, new, late)
    pipeline, reports = connections.judged(live)
    assert pipeline.counts()["crossings"]["rewritten"] == 0
    assert not any(isinstance(r, Advice) for r in reports)
    assert not [r for r in reports if isinstance(r, Finding) and r.hurts]


@BOTH
def test_the_same_segment_again_is_no_retransmission_of_sip(live: bool) -> None:
    house = House(wan_port=40123)
    outgoing_call(house, 1, "one@phone")
    connections = Connections(house)
    connections.forge(LAN, b"INVITE", b"", b"", 10**9)
    pipeline, reports = connections.judged(live)
    assert not [r for r in reports if isinstance(r, Finding)]
    assert pipeline.counts()["capture"]["sip_messages"] == sum(map(len, connections.true))


# ---- streams that go on behind missing bytes, or contradict themselves ----

PROVIDER = "203.0.113.5", 5060
HOME = "198.51.100.2"
# Who sends on which side: hosts that nobody knows, and the address of the true provider.
STRANGERS = {
    "lan-host": (LAN, ("192.168.1.66", 5061, *PROVIDER)),
    "provider-to-a-lan-host": (LAN, (*PROVIDER, "192.168.1.66", 5061)),
    "wan-host": (WAN, ("192.0.2.77", 5060, HOME, 5060)),
    "as-the-provider": (WAN, (*PROVIDER, HOME, 5999)),
}
BEGUN = request("OPTIONS", "sip:x@192.0.2.9", via="192.0.2.9:5060", branch="z9hG4bKtorn",
                call_id="torn@nobody", cseq=1, body=bytes(400))  # fmt: skip
# Where the second and the third segment begin, behind the first, and how long they are.
TEARS = {"overlap": ((0, 100), (0, 250)), "hole": ((50, 20), (100, 20))}


def _acks_stopped() -> House:
    """The router stops each ACK of the phone."""
    house = House(wan_port=40123)
    register(house, 0)
    far_gives_up(house, 2, "one@phone", acks=True)
    register(house, 60, n=2)
    return house


def _torn(how: str, ends: tuple[str, int, str, int], since: int) -> list[Packet]:
    """Every ten seconds, for the length of a call, a new connection of three segments."""
    made: list[Packet] = []
    like = bytes(22) + b"\x3c"  # TTL 60
    begun = BEGUN.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    for n in range(7):
        at, seq = since + 10 * n * NS, 100_000 * (n + 1)
        made.append((at, _segment(begun, ends, seq, like)))
        for later, (skip, size) in enumerate(TEARS[how], 1):
            data = bytes([96 + later]) * size
            place = seq + len(begun) + skip
            made.append((at + later * 3 * NS, _segment(data, ends, place, like)))
    return made


def _harm(connections: Connections, live: bool) -> set[tuple[str, str]]:
    reports = connections.judged(live)[1]
    return {(r.rule, r.where) for r in reports if isinstance(r, Finding) and r.hurts}


@cache
def _true_harm(tcp: bool, live: bool) -> set[tuple[str, str]]:
    return _harm(Connections(_acks_stopped(), tcp), live)


@BOTH
@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
@pytest.mark.parametrize("how", TEARS)
@pytest.mark.parametrize("who", STRANGERS)
def test_segments_of_another_connection_hide_no_harm(
    live: bool, tcp: bool, how: str, who: str
) -> None:
    side, ends = STRANGERS[who]
    attacked = Connections(_acks_stopped(), tcp)
    since = attacked.true[LAN][0][0]
    attacked.forged[side] += _torn(how, ends, since)
    told = _harm(attacked, live)
    assert ("DLG001", "router") in told
    assert told == _true_harm(tcp, live)


@BOTH
@pytest.mark.parametrize("how", TEARS)
def test_segments_of_its_own_connection_excuse_a_missing_message(live: bool, how: str) -> None:
    attacked = Connections(_acks_stopped())
    at, data = next(p for p in attacked.true[WAN] if p[1][54:].startswith(b"SIP/2.0 180"))
    src, sport, dst, dport = ends_of(data)
    attacked.forged[WAN] += _torn(how, (dst, dport, src, sport), at + NS // 2)
    assert ("DLG001", "router") not in _harm(attacked, live)
