# SPDX-License-Identifier: Apache-2.0
"""Messages that the capture cut: evidence of nothing but their time and flow."""

from __future__ import annotations

import struct

import pytest
from algwatch.base.native import layout
from algwatch.base.native.rows import Counts
from algwatch.base.packet import Batch
from algwatch.capture.reassembly import Reassembler
from algwatch.diagnose.finding import Finding
from craft import House, Packet, analyzed, batch, incoming_call, one_sided, outgoing_call
from rows import Row, request, scan
from test_frame import MESSAGE, ether, four, six, tcp, udp

RAW = 12
IDENTITY = ("txn", "call", "pair", "from_tag", "to_tag", "cseq", "status", "method")
CAPTURED = ("at", "flow", "ip_id", "ttl", "tap", "src", "dst", "sport", "dport", "proto", "version")
RESPONSE = (
    b"SIP/2.0 180 Ringing\r\nVia: SIP/2.0/UDP a.example:5060;branch=z9hG4bKabc\r\n"
    b"From: <sip:a@b>;tag=12345\r\nTo: <sip:c@d>;tag=6789\r\nCall-ID: call\r\n one\r\n"
    b"CSeq: 70000 INVITE\r\nContact: <sip:c@192.168.1.5>\r\nContent-Length: 0\r\n\r\n"
)
WITHOUT_COOKIE = request(branch=";branch=old")


def a_call() -> tuple[list[Packet], list[Packet]]:
    house = House("linux")
    incoming_call(house, 0, "in@example.net")
    outgoing_call(house, 20, "out@192.168.1.10")
    return house.sorted()


def rows_of(packets: list[Packet]) -> list[Row]:
    made = batch(packets)
    pairs = zip(layout.ROW.iter_unpack(made.rows), layout.ENDS.iter_unpack(made.ends), strict=True)
    return [Row(*row, *ends) for row, ends in pairs]


def holds_sip(made: Batch) -> bool:
    return layout.KIND_SIP in bytes(memoryview(made.rows)[layout.ROW_KIND :: layout.ROW.size])


def cut(packets: list[Packet], size: int) -> list[Packet]:
    return [(at, data[:size]) for at, data in packets]


def is_part_of(row: Row, whole: Row) -> bool:
    """Same packet; each value of its identity is that of the whole message, or unknown."""
    values = ((getattr(row, name), getattr(whole, name)) for name in IDENTITY)
    return all(getattr(row, name) == getattr(whole, name) for name in CAPTURED) and all(
        part in (0, known) for part, known in values
    )


@pytest.mark.parametrize("size", [96, 300])
def test_a_call_cut_by_the_snap_length_gives_cut_rows_that_invent_nothing(size: int) -> None:
    for packets in a_call():
        rows = rows_of(cut(packets, size))
        assert len(rows) == len(packets)
        for row, whole, (_, data) in zip(rows, rows_of(packets), packets, strict=True):
            assert row.kind == (layout.KIND_CUT if len(data) > size else layout.KIND_SIP)
            assert bool(row.bits & layout.ROW_TRUNCATED) == (len(data) > size)
            assert not row.bits & layout.ROW_MALFORMED
            assert is_part_of(row, whole)
        known = {name for row in rows for name in IDENTITY if getattr(row, name)}
        assert known >= ({"method", "status"} if size == 96 else {"method", "txn", "from_tag"})


@pytest.mark.parametrize("message", [request(), RESPONSE, WITHOUT_COOKIE])
def test_no_cut_makes_a_value_that_the_whole_message_does_not_have(message: bytes) -> None:
    packet = four(udp(message))
    (whole,) = scan(RAW, packet)
    named = dict.fromkeys(IDENTITY, 0)
    for size in range(len(packet) - len(message) + 15, len(packet)):
        (row,) = scan(RAW, packet[:size])
        assert row.kind == layout.KIND_CUT
        assert is_part_of(row, whole)
        for name in IDENTITY:
            assert getattr(row, name) or not named[name]  # more bytes never say less
            named[name] = getattr(row, name)
    assert all(named[name] == getattr(whole, name) for name in IDENTITY)


def test_a_value_that_may_go_on_in_the_next_line_is_not_known() -> None:
    packet = four(udp(RESPONSE))
    end = packet.index(b"call\r\n one") + 6
    for size, known in ((end, False), (end + 1, False), (end + 6, False), (end + 7, True)):
        (row,) = scan(RAW, packet[:size])
        assert bool(row.call) == known


def test_cut_messages_are_counted_apart() -> None:
    counts = Counts()
    scan(RAW, four(udp())[:60], four(udp(bytes(100)))[:60], four(udp()), counts=counts)
    seen = counts.as_dict()
    assert (seen["sip"], seen["cut"], seen["truncated"], seen["malformed"]) == (1, 1, 2, 1)


@pytest.mark.parametrize("port", [5060, 40000])
def test_cut_bytes_that_may_be_anything_are_no_message(port: int) -> None:
    datagram = struct.pack("!HHHH", port, port, 508, 0)
    for text in (b"\r\n", b"\r\n\r\n", b"INV", b"GET /index SIP/2.0", b"OPTIONS mailto:a", b"\0"):
        assert scan(RAW, four(datagram + text + bytes(500 - len(text)))[: 28 + len(text)]) == []


def test_a_start_line_is_enough_to_be_a_message() -> None:
    for text, method in (
        (b"INVITE sip:a", layout.INVITE),
        (b"SIP/2.0 20", layout.UNKNOWN_METHOD),
        (b"BYE sip:a@b SIP/2.0\r\n", layout.BYE),
    ):
        (row,) = scan(RAW, four(udp(text + bytes(100)))[: 28 + len(text)])
        assert (row.kind, row.method, row.call) == (layout.KIND_CUT, method, 0)


@pytest.mark.parametrize(
    "packet",
    [
        ether(0x0800, four(udp()) + bytes(30)),
        ether(0x0800, four(udp() + bytes(30))),  # bytes behind the datagram, inside IP
        ether(0x0800, four(four(udp()) + bytes(30), 4)),
        ether(0x86DD, six(four(udp()) + bytes(30), 4)),
        ether(0x8864, struct.pack("!BBHHH", 0x11, 0, 1, 500, 0x21) + four(udp()) + bytes(30)),
    ],
)
def test_a_datagram_that_was_captured_whole_is_not_cut(packet: bytes) -> None:
    end = packet.index(MESSAGE) + len(MESSAGE)
    for size in (end, end + 1, end + 29):
        (row,) = scan(1, packet[:size])
        assert row.kind == layout.KIND_SIP
        assert not row.bits & layout.ROW_TRUNCATED
    (row,) = scan(1, packet[: end - 1])
    assert row.kind == layout.KIND_CUT


def test_of_a_cut_segment_whole_messages_are_messages_and_the_last_one_is_cut() -> None:
    frame = four(tcp(MESSAGE + MESSAGE + RESPONSE), 6)
    rows = scan(RAW, frame[: len(frame) - 20])
    assert [row.kind for row in rows] == [layout.KIND_SIP, layout.KIND_SIP, layout.KIND_CUT]
    assert [bool(row.bits & layout.ROW_TRUNCATED) for row in rows] == [False, False, True]
    assert rows[2].call


def test_cut_pieces_are_not_put_together() -> None:
    whole = udp(request())
    size = len(whole) // 16 * 8
    first, last = four(whole[:size], fragment=0x2000), four(whole[size:], fragment=size // 8)
    text = request()
    one, two = four(tcp(text[:200], seq=7), 6), four(tcp(text[200:], seq=207), 6)
    for pieces in ((first[:-4], last), (first, last[:-4]), (one[:-4], two), (one, two[:-4])):
        reassembler = Reassembler(0, (5060,), layout.REPLAY_KEY)
        found = [
            reassembler.feed(batch([(n, bytes(12) + b"\x08\0" + data)]))
            for n, data in enumerate(pieces)
        ]
        assert not any(holds_sip(made) for made in found)
    reassembler = Reassembler(0, (5060,), layout.REPLAY_KEY)
    for n, data in enumerate((one, two)):
        made = reassembler.feed(batch([(n, bytes(12) + b"\x08\0" + data)]))
    assert holds_sip(made)


@pytest.mark.parametrize("size", [96, 300])
def test_nothing_is_missing_in_calls_whose_messages_were_cut(size: int) -> None:
    lan, wan = a_call()
    short_lan, short_wan = cut(lan, size), cut(wan, size)
    for one, two in ((short_lan, short_wan), (short_lan, wan), (lan, short_wan)):
        pipeline, reports = analyzed(one, two, to_the_end=True)
        found = {r.rule[:3] for r in reports if isinstance(r, Finding)}
        assert not found & {"DLG", "TXN"}
        assert pipeline.counts()["crossings"]["lan_only"] == 0
        assert pipeline.counts()["crossings"]["wan_only"] == 0
    pipeline, _ = one_sided(short_lan)
    whole = sum(len(data) <= size for _, data in lan)
    assert pipeline.counts()["capture"]["sip_messages"] == whole
