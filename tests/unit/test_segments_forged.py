# SPDX-License-Identifier: Apache-2.0
"""Segments of TCP that somebody forges in the place of true ones. A router drops them for their
acknowledgement number, and a tap shows them all the same."""

from __future__ import annotations

import pytest
from algwatch.advise.advice import Advice
from algwatch.base.native import layout
from algwatch.base.packet import LAN, WAN, Batch, Tap
from algwatch.capture.reassembly import Reassembler
from algwatch.diagnose.finding import Finding
from algwatch.pipeline import Pipeline, Report
from craft import House, Packet, batch, incoming_call, outgoing_call, tcp_frame
from forger import directed, ends_of, ip_summed, left_by_router, payload_of

BOTH = pytest.mark.parametrize("live", [False, True], ids=["files", "live"])
BEFORE = 100_000  # ns


class Connections:
    """A call over TCP as both taps show it. forged: the same with forged segments."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.true = [self._over_tcp(packets) for packets in house.sorted()]
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
