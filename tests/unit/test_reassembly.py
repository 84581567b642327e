# SPDX-License-Identifier: Apache-2.0
"""SIP in fragments and segments comes out whole, in any order, and nothing hostile gets far."""

from __future__ import annotations

import itertools
import random
import struct
from collections.abc import Iterable
from typing import Any

import pytest
from algwatch.base.native import layout
from algwatch.base.native.rows import Counts, Scanner
from algwatch.base.packet import Batch
from algwatch.capture.flows import FLOW_COST, FLOW_SECONDS, SECOND, WEBSOCKET_SECONDS
from algwatch.capture.fragments import SECONDS as FRAGMENT_SECONDS
from algwatch.capture.reassembly import LIMIT, Reassembler
from algwatch.capture.run import LONGEST
from algwatch.capture.stream import SILENCE
from capture_frames import TCP, ether, fragment6, invite, ipv4, ipv6, tcp, udp

START = 1_700_000_000 * SECOND
IN, OUT = 1, 2  # enum aw_meta_bits


class Line:
    """Packets through the scanner and the reassembler, as a tap would do it."""

    def __init__(self, limit: int = LIMIT, live: bool = False) -> None:
        self.counts = Counts()
        self.scanner = Scanner(1, 0, layout.REPLAY_KEY, (5060,), self.counts)
        self.reassembler = Reassembler(0, (5060,), layout.REPLAY_KEY, limit, live)
        self.whole: list[bytes] = []
        self.rows: list[tuple[int, ...]] = []
        self.ends: list[tuple[bytes | int, ...]] = []
        self.others: list[tuple[tuple[int, ...], bytes]] = []
        self.at = START

    def take(self, batch: Batch) -> None:
        for index in range(batch.count):
            row = layout.ROW.unpack_from(batch.rows, index * layout.ROW.size)
            payload = bytes(batch.buffer[row[8] : row[8] + row[9]])
            if row[13] != layout.KIND_SIP:
                self.others.append((row, payload))
            else:
                self.whole.append(payload)
                self.rows.append(row)
                self.ends.append(layout.ENDS.unpack_from(batch.ends, index * layout.ENDS.size))

    def send(self, *packets: bytes, step: int = 1000, way: int = 0) -> Line:
        """way: IN or OUT, where that is known."""
        for packet in packets:
            frame = ether(packet)
            self.at += step
            seconds, ns = divmod(self.at, SECOND)
            meta = struct.pack("=IIII", seconds, ns // 1000, 0, len(frame) | way << 30)
            for batch in self.scanner.scan(frame, meta, self.at):
                whole = self.reassembler.feed(batch)
                assert whole.watermark == batch.watermark
                self.take(whole)
        return self


def fragments(payload: bytes, size: int, ident: int = 1) -> list[bytes]:
    pieces = range(0, len(payload), size)
    return [
        ipv4(payload[at : at + size], ident=ident, offset=at, more=at + size < len(payload))
        for at in pieces
    ]


def segments(data: bytes, cuts: Iterable[int], seq: int = 1000) -> list[bytes]:
    edges = [0, *sorted(set(cuts)), len(data)]
    return [
        ipv4(tcp(data[low:high], seq=(seq + low) & 0xFFFFFFFF), TCP)
        for low, high in itertools.pairwise(edges)
        if low < high
    ]


def test_fragments_of_a_datagram_come_out_as_one_message() -> None:
    message = invite("f1", b"x" * 2000)
    line = Line().send(*fragments(udp(message), 1480, ident=0x1234))
    assert line.whole == [message]
    row, ends = line.rows[0], line.ends[0]
    assert row[0] == line.at // 1000 * 1000  # the time of the last piece
    assert row[11] == 0x1234
    assert ends[4:6] == (5060, 5060)
    assert line.reassembler.held == 0


@pytest.mark.parametrize("seed", range(20))
def test_fragments_come_out_whole_in_any_order_and_repeated(seed: int) -> None:
    rng = random.Random(seed)
    messages = [invite(f"m{number}", bytes(rng.randrange(600, 4000))) for number in range(4)]
    packets = [
        packet
        for number, message in enumerate(messages)
        for packet in fragments(udp(message), rng.choice((256, 512, 1480)), ident=number + 1)
    ]
    packets += rng.sample(packets, 3)
    rng.shuffle(packets)
    line = Line().send(*packets)
    assert set(line.whole) == set(messages)
    assert line.reassembler.conflicts == 0


def test_ipv6_fragments_come_out_as_one_message() -> None:
    message = invite("f6", b"y" * 1600)
    data = udp(message)
    line = Line().send(fragment6(data[1232:], 1232, False), fragment6(data[:1232], 0, True))
    assert line.whole == [message]
    assert line.rows[0][12] & layout.ROW_IPV6


def test_overlapping_fragments_of_other_bytes_make_no_message() -> None:
    """Some stacks keep the first bytes, others the second ones."""
    message = invite("overlap", b"z" * 1000)
    data = udp(message)
    evil = bytearray(data[800:])
    evil[0:4] = b"EVIL"
    line = Line().send(
        ipv4(data[:808], offset=0, more=True),
        ipv4(bytes(evil), offset=800),
    )
    assert not line.whole
    assert line.reassembler.conflicts == 1


@pytest.mark.parametrize("which", [0, 1], ids=["first", "last"])
def test_a_fragment_that_contradicts_a_whole_message_makes_another(which: int) -> None:
    """Once: the two contradict each other, and more of them say no more."""
    message = invite("overlap", b"z" * 1000)
    true = fragments(udp(message), 800)
    forged = fragments(udp(message.replace(b"bob@", b"eve@").replace(b"zzz", b"eee")), 800)
    line = Line().send(*true)
    line.send(forged[which], true[which], forged[1 - which])
    assert len(line.whole) == 2 and line.whole[0] == message != line.whole[1]
    assert line.reassembler.conflicts == 1


def test_fragments_of_two_senders_with_one_id_do_not_mix() -> None:
    a, b = udp(invite("a", b"a" * 1000)), udp(invite("b", b"b" * 1000))
    line = Line().send(
        ipv4(a[:800], src="10.0.0.1", more=True),
        ipv4(b[:800], src="10.0.0.2", more=True),
        ipv4(b[800:], src="10.0.0.2", offset=800),
        ipv4(a[800:], src="10.0.0.1", offset=800),
    )
    assert line.whole == [b[8:], a[8:]]


def test_a_fragment_that_never_gets_company_expires() -> None:
    line = Line().send(ipv4(udp(invite("lost", bytes(900)))[:800], more=True))
    assert line.reassembler.held > 0
    line.send(ipv4(udp(invite("later"))), step=(FRAGMENT_SECONDS + 1) * SECOND)
    assert line.reassembler.held == 0
    assert line.reassembler.expired == 1


def test_a_flood_of_first_fragments_stays_within_the_limit() -> None:
    line = Line(limit=20_000)
    for ident in range(1, 400):
        line.send(ipv4(udp(bytes(1000)), ident=ident, more=True))
        assert line.reassembler.held <= 20_000
    assert line.reassembler.evicted > 300
    message = invite("after", b"q" * 2000)
    assert line.send(*fragments(udp(message), 1480, ident=500)).whole == [message]


def test_a_datagram_of_tiny_fragments_is_given_up() -> None:
    line = Line().send(*fragments(udp(invite("tiny", bytes(4000))), 8))
    assert line.whole == []
    assert line.reassembler.evicted >= 1


@pytest.mark.parametrize("cut", range(1, len(invite("c", b"body"))))
def test_a_message_cut_anywhere_into_two_segments_comes_out_once(cut: int) -> None:
    message = invite("c", b"body")
    assert Line().send(*segments(message, [cut])).whole == [message]


@pytest.mark.parametrize("cut", range(8, len(invite("c", b"body")), 7))
def test_two_segments_in_the_wrong_order_come_out_once(cut: int) -> None:
    message = invite("c", b"body")
    line = Line().send(*reversed(segments(message, [cut])))
    assert line.whole == [message]


def test_sip_inside_a_body_is_no_message_of_its_own() -> None:
    inner = b"SIP/2.0 200 OK\r\nCall-ID: inner\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
    message = invite("outer", inner)
    assert Line().send(*segments(message, [len(message) - len(inner)])).whole == [message]


def test_a_sender_of_single_bytes_is_understood() -> None:
    message = invite("bytes", b"0123456789")
    assert Line().send(*segments(message, range(1, len(message)))).whole == [message]


@pytest.mark.parametrize("seed", range(20))
def test_a_stream_of_messages_cut_at_random_comes_out_complete(seed: int) -> None:
    rng = random.Random(seed)
    messages = [invite(f"s{number}", bytes(rng.randrange(0, 900))) for number in range(8)]
    data = b"".join(messages)
    cuts = rng.sample(range(1, len(data)), 6)
    packets = segments(data, cuts, seq=0xFFFFFF00)  # the sequence number wraps on the way
    for index in rng.sample(range(len(packets) - 1), 2):
        packets[index], packets[index + 1] = packets[index + 1], packets[index]
    line = Line().send(*packets)
    assert sorted(line.whole) == sorted(messages)


def test_a_retransmitted_segment_changes_nothing() -> None:
    message = invite("again", b"body")
    first, second = segments(message, [100])
    line = Line().send(first, first, second, second, first)
    assert line.whole == [message]
    assert line.reassembler.conflicts == 0


def test_a_retransmission_with_other_bytes_is_a_conflict_and_the_first_counts() -> None:
    message = invite("liar", b"body")
    first, second = segments(message, [100])
    liar = segments(message[:60] + b"X" + message[61:], [100])[0]
    line = Line().send(first, liar, second)
    assert line.whole == [message]
    assert line.reassembler.conflicts == 1


@pytest.mark.parametrize("way", [0, IN, OUT])
def test_new_bytes_behind_contradicting_ones_make_a_row_and_no_message(way: int) -> None:
    """As behind a message that the kernel's helper made longer: the receiver keeps the first bytes,
    and the message across that place is not as anybody wrote it."""
    whole, broken, later = (invite(name, b"body" * 9) for name in ("whole", "broken", "later"))
    seam = len(whole) + 200
    line = Line().send(*segments((whole + broken)[:seam], []), way=way)
    line.send(ipv4(tcp(b"other bytes!" + broken[200 + 12 :], seq=1000 + seam - 12), TCP), way=way)
    line.send(*segments(later, [], seq=1000 + len(whole) + len(broken) - 12), way=way)
    assert broken not in line.whole and line.whole[0] == whole
    ((row, payload),) = [one for one in line.others if one[0][13] == layout.KIND_OVERLAP]
    assert payload == b"other bytes!"
    known = {0: 0, IN: layout.ROW_DIRECTED, OUT: layout.ROW_DIRECTED | layout.ROW_OUTGOING}
    assert row[12] & (layout.ROW_DIRECTED | layout.ROW_OUTGOING) == known[way]


def test_a_message_in_pieces_is_found_behind_whole_ones_and_a_port_that_is_used_again() -> None:
    one, two, three = (invite(name, b"body" * 50) for name in ("one", "two", "three"))
    line = Line().send(*segments(one, [90], seq=100))
    line.send(*segments(two, [], seq=100 + len(one)))
    line.send(*segments(three, [90], seq=100 + len(one) + len(two)))
    line.send(*segments(one, [50], seq=3_000_000_000))
    assert line.whole == [one, two, three, one]


def test_a_stream_with_a_hole_is_taken_up_again_at_a_later_message() -> None:
    lost, next_one = invite("hole", b"h" * 500), invite("next", b"n" * 500)
    first, _, third = segments(lost, [200, 400])
    line = Line().send(first, third)
    behind = segments(next_one, [300], seq=1000 + len(lost))
    line.send(*behind, step=10 * SECOND)
    assert line.whole == [next_one]


def test_a_message_that_no_row_can_hold_is_counted_and_the_next_one_is_found() -> None:
    giant, small = invite("giant", bytes(LONGEST + 1)), invite("small", b"body")
    line = Line().send(*segments(giant, range(1400, len(giant), 1400)))
    line.send(*segments(small, [100], seq=1000 + len(giant)))
    assert line.whole == [small]
    assert line.reassembler.too_long == 1
    assert line.reassembler.held <= LIMIT


def test_ipv6_segments_behind_extension_headers_come_out() -> None:
    message = invite("v6", b"body")
    options = b"\x06\0\1\4\0\0\0\0"
    line = Line().send(
        ipv6(options + tcp(message[:90], seq=5), 60), ipv6(options + tcp(message[90:], seq=95), 60)
    )
    assert line.whole == [message]


def test_tcp_in_fragments_comes_out() -> None:
    message = invite("tcpfrag", b"w" * 2000)
    data = tcp(message)
    line = Line().send(ipv4(data[:1480], TCP, more=True), ipv4(data[1480:], TCP, offset=1480))
    assert line.whole == [message]


@pytest.mark.parametrize("seed", range(10))
def test_random_pieces_never_raise_and_never_pass_the_limit(seed: int) -> None:
    rng = random.Random(seed)
    line = Line(limit=30_000)
    text = invite("fuzz", b"body" * 20)
    for _ in range(400):
        piece = text[rng.randrange(len(text)) :][: rng.randrange(1, 300)]
        match rng.randrange(4):
            case 0:
                offset, more = rng.randrange(0, 65528, 8), rng.random() < 0.6
                packet = ipv4(piece, ident=rng.randrange(5), offset=offset, more=more)
            case 1:
                offset, more = rng.randrange(0, 65528, 8), rng.random() < 0.6
                packet = fragment6(piece, offset, more, rng.randrange(5))
            case 2:
                packet = ipv4(tcp(piece, rng.randrange(3) + 1, seq=rng.randrange(1 << 32)), TCP)
            case _:
                packet = ipv4(tcp(piece, rng.randrange(3) + 1, seq=rng.randrange(600)), TCP)
        line.send(packet, step=rng.randrange(SECOND))
        assert 0 <= line.reassembler.held <= 30_000
    expected = sum(one.cost for one in line.reassembler._pending.values())
    expected += len(line.reassembler._flows) * FLOW_COST
    assert line.reassembler.held == expected


def upgrade(protocol: bytes = b"sip") -> bytes:
    return (
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Protocol: " + protocol + b"\r\n\r\n"
    )


def test_sip_inside_a_websocket_is_no_message_of_ours_in_either_direction() -> None:
    request = upgrade()
    line = Line().send(ipv4(tcp(request, sport=40000, seq=1), TCP))
    masked = bytes(byte ^ 0x5A for byte in invite("ws1"))
    line.send(ipv4(tcp(masked, sport=40000, seq=1 + len(request)), TCP, ttl=64))
    back: dict[str, Any] = {"src": "192.0.2.9", "dst": "192.168.1.10", "ttl": 51}
    line.send(ipv4(tcp(invite("ws2"), sport=5060, dport=40000, seq=9), TCP, **back))
    assert line.whole == []
    assert line.reassembler.websockets == 1
    # Another connection is not concerned.
    assert line.send(ipv4(tcp(invite("other"), sport=40001), TCP)).whole == [invite("other")]


@pytest.mark.parametrize("by_client", [True, False], ids=["request", "answer"])
def test_a_forged_upgrade_hides_a_line_until_its_phone_speaks_only(by_client: bool) -> None:
    back: dict[str, Any] = {"src": "192.0.2.9", "dst": "192.168.1.10", "ttl": 51}
    forged = ipv4(tcp(upgrade(), sport=40000, seq=1), TCP)
    if not by_client:
        answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
        forged = ipv4(tcp(answer, sport=5060, dport=40000, seq=1), TCP, **back)
    line = Line().send(ipv4(tcp(invite("before"), sport=40000, seq=1), TCP)).send(forged)
    line.send(ipv4(tcp(invite("hidden"), sport=5060, dport=40000, seq=9), TCP, **back))
    line.send(ipv4(tcp(invite("plain"), sport=40000, seq=1 + len(invite("before"))), TCP))
    line.send(ipv4(tcp(invite("seen"), sport=5060, dport=40000, seq=9 + 999), TCP, **back))
    assert line.whole == [invite("before"), invite("plain"), invite("seen")]
    expected = len(line.reassembler._flows) * FLOW_COST
    expected += sum(one.cost for one in line.reassembler._pending.values())
    assert line.reassembler.held == expected


def test_the_ports_of_a_websocket_that_fell_silent_carry_sip_again() -> None:
    line = Line().send(ipv4(tcp(upgrade(), sport=40000, seq=1), TCP))
    step = (WEBSOCKET_SECONDS + 1) * SECOND
    line.send(ipv4(tcp(invite("new"), sport=40000, seq=77), TCP), step=step)
    assert line.whole == [invite("new")]


def test_an_answer_that_switches_protocols_is_enough() -> None:
    answer = b"HTTP/1.1 101 Switching Protocols\r\nUPGRADE: WebSocket\r\n\r\n"
    line = Line().send(ipv4(tcp(answer, sport=5060, dport=40000, seq=1), TCP))
    line.send(ipv4(tcp(invite("ws"), sport=5060, dport=40000, seq=1 + len(answer)), TCP))
    assert line.whole == []


def test_http_that_is_no_upgrade_leaves_the_port_alone() -> None:
    hello = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    line = Line().send(ipv4(tcp(hello, sport=40000, seq=1), TCP))
    line.send(ipv4(tcp(invite("after"), sport=40000, seq=1 + len(hello)), TCP))
    assert line.whole == [invite("after")]
    assert line.reassembler.websockets == 0


def test_a_whole_message_that_tcp_sends_again_is_told_once() -> None:
    one, two = invite("one"), invite("two")
    first, second = ipv4(tcp(one, seq=50), TCP, ident=1), ipv4(tcp(one, seq=50), TCP, ident=2)
    line = Line().send(first, second, ipv4(tcp(two, seq=50 + len(one)), TCP), second)
    assert line.whole == [one, two]
    assert line.reassembler.repeated == 2


def test_a_message_begun_and_then_sent_again_as_a_whole_is_told_once() -> None:
    message = invite("again", b"body")
    first, second = segments(message, [100])
    line = Line().send(first, *segments(message, []), second)
    assert line.whole == [message]


def test_the_copies_of_one_packet_on_both_sides_of_a_router_do_not_mix() -> None:
    message = invite("v6", b"x" * 900)
    data = udp(message)
    near = [ipv4(data[:480], more=True, ttl=64), ipv4(data[480:], offset=480, ttl=64)]
    far = [ipv4(data[:480], more=True, ttl=63), ipv4(data[480:], offset=480, ttl=63)]
    line = Line().send(near[0], far[0], near[1], far[1])
    assert line.whole == [message, message]
    assert [row[15] for row in line.rows] == [64, 63]
    stream = segments(message, [300])
    lower = [packet[:8] + b"\x3f" + packet[9:] for packet in stream]
    line = Line().send(stream[0], lower[0], stream[1], lower[1])
    assert line.whole == [message, message]


def test_what_came_in_is_no_part_of_what_went_out() -> None:
    """Somebody sends parts with the addresses and the numbers of those that the router will send:
    they must not stand in its message."""
    message = invite("ours", b"x" * 900)
    forged = message.replace(b"x", b"!")
    for ours, theirs in (
        (fragments(udp(message), 480, ident=7), fragments(udp(forged), 480, ident=7)),
        (segments(message, [400]), segments(forged, [400])),
    ):
        line = Line().send(theirs[0], way=IN).send(*ours, way=OUT).send(*theirs[1:], way=IN)
        assert set(line.whole) == {message, forged}
        assert [bool(row[12] & layout.ROW_OUTGOING) for row in line.rows] == [
            one == message for one in line.whole
        ]
        assert line.reassembler.conflicts == 0


def test_parts_with_different_ttls_are_one_message_where_the_direction_is_known() -> None:
    """Every receiver puts them together, so a router sends them on: a LAN copy that was not seen
    would leave the WAN copy to a forged one."""
    message = invite("ttls", b"x" * 900)
    data = udp(message)
    line = Line().send(
        ipv4(data[:480], more=True, ttl=64), ipv4(data[480:], offset=480, ttl=63), way=IN
    )
    assert line.whole == [message]
    first, second = segments(message, [300])
    assert Line().send(first, second[:8] + b"\x3f" + second[9:], way=IN).whole == [message]


def test_what_a_tunnel_in_fragments_carries_is_left_out_where_it_is_live() -> None:
    message = invite("wrapped", b"x" * 900)
    inner = b"\x04\0" + bytes(6) + ipv4(udp(message))  # destination options, then IPv4
    parts = [fragment6(inner[:480], 0, True, proto=60)]
    parts.append(fragment6(inner[480:], 480, False, proto=60))
    assert Line().send(*parts).whole == [message]
    line = Line(live=True).send(*parts)
    assert (line.whole, line.reassembler.refused) == ([], 1)


def test_what_never_became_whole_is_counted() -> None:
    line = Line().send(ipv4(udp(invite("lost", bytes(900)))[:800], more=True))
    assert line.reassembler.pending() == 1
    line.send(ipv4(udp(invite("later"))), step=(FRAGMENT_SECONDS + 1) * SECOND)
    assert line.reassembler.pending() == 0
    assert line.reassembler.health() == {"incomplete": 1}


def after(line: Line, seconds: int, *packets: bytes, together: bool) -> Line:
    """All but the first packet come that much later, in one batch with it or each in its own."""
    if not together:
        return line.send(packets[0]).send(packets[1], step=seconds * SECOND).send(*packets[2:])
    buffer, meta = b"", b""
    for index, packet in enumerate(packets):
        frame = ether(packet)
        when = START // SECOND + 1 + (seconds if index else 0)
        meta += struct.pack("=IIII", when, index, len(buffer), len(frame))
        buffer += frame
    line.at = START + (seconds + 2) * SECOND
    for batch in line.scanner.scan(buffer, meta, line.at):
        line.take(line.reassembler.feed(batch))
    return line


@pytest.mark.parametrize("together", [True, False], ids=["one batch", "live"])
@pytest.mark.parametrize("seconds", [FRAGMENT_SECONDS + 1, 3600])
def test_an_identification_used_again_is_another_datagram(seconds: int, together: bool) -> None:
    """Not the beginning of one message and the rest of the other."""
    one, two = (fragments(udp(invite(name, b"v=0\r\n" * 90)), 400) for name in ("one", "two"))
    line = after(Line(), seconds, one[0], *two, together=together)
    assert line.whole == [invite("two", b"v=0\r\n" * 90)]
    assert line.reassembler.expired == line.reassembler.incomplete == 1
    assert line.reassembler.conflicts == 0


@pytest.mark.parametrize("together", [True, False], ids=["one batch", "live"])
@pytest.mark.parametrize("seconds", [SILENCE // SECOND + 1, 3600])
def test_ports_and_sequence_numbers_used_again_are_another_connection(
    seconds: int, together: bool
) -> None:
    one, two = (segments(invite(name, b"v=0\r\n" * 90), (300,)) for name in ("one", "two"))
    line = after(Line(), seconds, one[0], *two, together=together)
    assert line.whole == [invite("two", b"v=0\r\n" * 90)]
    assert line.reassembler.conflicts == 0


@pytest.mark.parametrize("cuts", [(), (300,)], ids=["whole", "in pieces"])
def test_after_a_silence_nothing_is_a_message_sent_again(cuts: tuple[int, ...]) -> None:
    """A phone that counts its connections from a fixed number after each start."""
    names = [str(number) for number in range(8)]
    line = Line().send(*segments(b"".join(map(invite, names)), (300, 700)))
    before = [invite(name) for name in names]
    assert line.whole == before
    again = segments(invite("new"), cuts)
    line.send(again[0], step=(FLOW_SECONDS + 1) * SECOND).send(*again[1:])
    assert line.whole == [*before, invite("new")]
    assert line.reassembler.repeated == 0
