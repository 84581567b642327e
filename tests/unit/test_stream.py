# SPDX-License-Identifier: Apache-2.0
"""Segments that come before their time are what they are, however they look when they come."""

from __future__ import annotations

import itertools
import random

import pytest
from algwatch.capture.flows import SECOND
from algwatch.capture.run import LONGEST
from algwatch.capture.stream import HOLE
from capture_frames import TCP, invite, ipv4, tcp
from test_reassembly import Line, segments, upgrade

FRAG = b"SIP/2.0 200 OK\r\nCall-ID: inner\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
REQUEST = b"ACK sip:b@c SIP/2.0\r\nContent-Length: 0\r\n\r\n"
OUTER = invite("outer", b"\r\n\r\n" + FRAG + b"SIP/2.0/UDP x\r\n" + REQUEST + b"\r\n")
FIRST = invite("first")


def packet(data: bytes, seq: int) -> bytes:
    return ipv4(tcp(data, seq=seq & 0xFFFFFFFF), TCP)


def edges(*words: bytes) -> list[int]:
    return [OUTER.index(word) for word in words]


CUTS = {
    "in front of a Via's protocol": edges(b"SIP/2.0/UDP 192"),
    "into nothing but line ends": edges(b"\r\n\r\n\r\n\r\n", b"\r\n\r\nSIP/2.0 200"),
    "around a response": [OUTER.index(FRAG), OUTER.index(FRAG) + len(FRAG)],
    "around a request": [OUTER.index(REQUEST), OUTER.index(REQUEST) + len(REQUEST)],
    "inside a first word": [3, OUTER.index(FRAG) + 3, OUTER.index(REQUEST) + 3],
    "around both and line ends": edges(b"SIP/2.0/UDP 192", FRAG, b"SIP/2.0/UDP x", REQUEST),
}


@pytest.mark.parametrize("cuts", CUTS.values(), ids=CUTS.keys())
def test_a_message_cut_where_it_looks_like_others_is_found_alone_in_any_order(
    cuts: list[int],
) -> None:
    pieces = segments(OUTER, cuts, seq=1000 + len(FIRST))
    for order in itertools.permutations(pieces):
        # Where a message ended the next one begins; so nothing needs to be guessed, but for what
        # looks like a message behind a hole.
        line = Line().send(packet(FIRST, 1000), *order)
        assert OUTER in line.whole
        assert {one.strip() for one in line.whole} <= {
            one.strip() for one in (FIRST, OUTER, FRAG, REQUEST)
        }
        assert line.reassembler.pending() == 0
        # Nobody knows this connection.
        line = Line().send(*order)
        assert OUTER in line.whole
        assert line.reassembler.conflicts == 0


@pytest.mark.parametrize("body", [b"", b"\r\n", b"\r\n\r\n \r\n"])
def test_a_piece_that_comes_early_is_no_message_and_no_keep_alive(body: bytes) -> None:
    message = invite("early", body)
    cut = len(message) - len(body) if body else message.index(b"SIP/2.0/UDP")
    first, early = segments(message, [cut], seq=1000 + len(FIRST))
    for line in (Line().send(packet(FIRST, 1000)), Line()):
        told = line.whole[:]
        assert line.send(early).whole == told
        assert line.send(first).whole == [*told, message]
        assert line.reassembler.health() == {}


def test_what_lies_inside_a_body_is_never_told_when_its_length_is_known() -> None:
    first, frag, rest = segments(OUTER, [OUTER.index(FRAG), OUTER.index(FRAG) + len(FRAG)])
    head, gap = segments(OUTER[: OUTER.index(FRAG)], [OUTER.index(FRAG) - 2])
    assert first
    assert Line().send(head, frag, rest, gap).whole == [OUTER]
    line = Line().send(head, frag)
    line.send(packet(FIRST, 1000 + len(OUTER)), step=HOLE + SECOND)  # the rest never came
    assert line.whole == [FIRST]
    assert line.reassembler.health() == {"incomplete": 1}


def test_a_whole_message_that_overtakes_another_is_told_at_once_and_the_other_too() -> None:
    second = invite("second", b"body")
    one, two = packet(FIRST, 1000), packet(second, 1000 + len(FIRST))
    for before in ([], [packet(REQUEST, 1000 - len(REQUEST))]):
        line = Line().send(*before, two)
        assert line.whole[-1] == second
        line.send(one, two, one)
        assert line.whole[len(before) :] == [second, FIRST]
        assert line.reassembler.repeated == 2


def test_a_whole_message_that_overtakes_the_rest_of_another_is_told_at_once() -> None:
    behind = invite("behind", b"body")
    for cut in (60, len(OUTER) - 40):  # the length of the first one is not known, and known
        first, rest = segments(OUTER, [cut])
        line = Line().send(first, packet(behind, 1000 + len(OUTER)))
        assert line.whole == [behind]
        assert line.send(rest).whole == [behind, OUTER]
        assert line.reassembler.pending() == 0


def test_what_follows_a_segment_that_the_capture_missed_is_told_when_it_came() -> None:
    behind, last = invite("behind", b"body"), invite("last", b"body" * 9)
    for cut in (60, len(OUTER) - 40):
        first, _ = segments(OUTER, [cut])
        at = 1000 + len(OUTER)
        line = Line().send(first, packet(behind, at))
        line.send(*segments(last, [200], seq=at + len(behind)))
        assert line.whole == [behind, last]
        assert line.rows[-1][0] == line.at // 1000 * 1000
        # Told when it came, and not again when the hole is given up.
        line.send(packet(FIRST, at + len(behind) + len(last)), step=HOLE + SECOND)
        assert line.whole == [behind, last, FIRST]
        assert line.reassembler.health() == {"incomplete": 1}
        assert line.reassembler.held < 1000


def test_a_length_that_lies_swallows_what_follows_for_a_moment_only() -> None:
    liar = OUTER.replace(b"Content-Length: ", b"Content-Length: 9", 1)
    line = Line().send(packet(liar, 1000), packet(FIRST, 1500 + len(liar)))
    assert line.whole == []
    line.send(packet(REQUEST, 9000), step=HOLE + SECOND)
    assert line.whole == [REQUEST]


def test_a_retransmission_that_grew_fills_what_its_first_half_left_open() -> None:
    head, short, _ = segments(OUTER, [100, 120])
    grown = packet(OUTER[100:], 1100)
    line = Line().send(short, grown, head)
    assert line.whole == [OUTER]
    assert line.reassembler.conflicts == 0


def test_another_connection_with_the_same_ports_does_not_wait_for_the_old_one() -> None:
    first, _ = segments(OUTER, [100])
    line = Line().send(first, *segments(FIRST, [50], seq=0x70000000))
    assert line.whole == [FIRST]
    assert line.reassembler.health() == {"incomplete": 1}


def test_what_is_no_sip_is_not_kept_for_long() -> None:
    rng = random.Random(2)
    line = Line().send(packet(FIRST, 1000))
    for number in range(100):
        line.send(packet(b"\x80" + rng.randbytes(1399), 9000 + number * 1400))
    assert line.reassembler.held < LONGEST + 3000
    line.send(packet(FIRST, 9000 + 100 * 1400))
    assert line.whole == [FIRST, FIRST]


def test_a_broken_start_line_behind_a_hole_is_no_evidence() -> None:
    broken = b"INVITE sip:a@b c SIP/2.0\r\nContent-Length: 0\r\n\r\n"
    assert Line().send(packet(broken, 1)).whole == [broken]
    assert Line().send(packet(FIRST, 1), packet(broken, 1 + len(FIRST))).whole == [FIRST, broken]
    assert Line().send(packet(FIRST, 1), packet(broken, 9 + len(FIRST))).whole == [FIRST]


def test_keep_alives_between_messages_are_no_hole() -> None:
    line = Line().send(packet(FIRST, 1000), packet(b"\r\n\r\n", 1000 + len(FIRST)))
    line.send(packet(FIRST, 1004 + len(FIRST)))
    assert line.whole == [FIRST, FIRST]
    assert line.reassembler.health() == {}


@pytest.mark.parametrize("port", [5060, 8080])
def test_a_message_that_came_out_of_a_websocket_is_left_alone_without_its_upgrade(
    port: int,
) -> None:
    message = FIRST.replace(b"SIP/2.0/UDP", b"SIP/2.0/WS")
    line = Line().send(ipv4(tcp(message, dport=port, seq=1), TCP))
    line.send(*segments(message, [90], seq=1 + len(message)))
    assert line.whole == []
    assert line.send(ipv4(tcp(FIRST, dport=port, seq=9 + 2 * len(message)), TCP)).whole == [FIRST]


def test_the_first_piece_after_a_long_silence_waits_like_any_other() -> None:
    first, last = segments(OUTER, [200], seq=1000 + len(FIRST))
    line = Line().send(packet(FIRST, 1000)).send(last, step=HOLE + SECOND).send(first)
    assert line.whole == [FIRST, OUTER]


def test_a_websocket_is_not_remembered_beyond_the_limit() -> None:
    line = Line(limit=4000).send(packet(OUTER[:-1], 1000))
    line.send(*(ipv4(tcp(upgrade(), sport=port), TCP) for port in range(1, 5)))
    assert line.reassembler.websockets == 4
    assert line.reassembler.held <= 4000


def test_a_keep_alive_that_is_sent_again_with_the_message_behind_it_tells_it_once() -> None:
    behind, at = b"\r\n\r\n" + REQUEST, 1000 + len(FIRST)
    line = Line().send(packet(FIRST + b"\r\n\r\n", 1000), packet(behind, at))
    line.send(packet(OUTER, at + len(behind)))
    assert [one.strip() for one in line.whole] == [FIRST.strip(), REQUEST.strip(), OUTER.strip()]


def test_line_ends_that_tcp_cuts_in_two_hide_no_message_and_tell_none_twice() -> None:
    data = FIRST + b"\r\n\r\n" + REQUEST
    for cut in range(len(FIRST) - 3, len(FIRST) + 4):
        pieces = segments(data, [7, cut])
        for order in itertools.permutations(pieces):
            line = Line().send(*order)
            told = sorted(one.strip() for one in line.whole)
            assert told == sorted((FIRST.strip(), REQUEST.strip()))


@pytest.mark.parametrize("known", [True, False], ids=["read on", "from the middle"])
def test_the_end_of_what_was_read_makes_no_other_method_of_the_next_message(known: bool) -> None:
    """Sent again, a segment may begin two bytes before the message that follows: IDINVITE."""
    one = invite("one", b"grows to an ID")
    two = invite("two")
    line = Line().send(packet(FIRST, 1000)) if known else Line()
    begin = 1000 + len(FIRST)
    end = begin + len(one)
    line.send(packet(one[:-2], begin), packet(one, begin), packet(one[-2:] + two, end - 2))
    assert line.whole[known:] == [one, two]


def test_a_piece_that_begins_with_a_method_and_no_start_line_takes_no_message_with_it() -> None:
    """The method of a CSeq, behind a segment that the capture missed and in front of a message."""
    lost = invite("lost")
    message = invite("kept", b"v=0\r\n" * 20)
    begin = 1000 + len(lost)
    cut = lost.index(b"INVITE", 10)
    line = Line().send(
        packet(message[:-9], begin), packet(lost[:7], 1000), packet(lost[cut:], 1000 + cut),
        packet(message[-9:], begin + len(message) - 9),
    )  # fmt: skip
    assert line.whole == [message]


@pytest.mark.parametrize(
    "end", [b"ACK fo", b"INFO", b"INFO SIP/2", b"I", b"SIP", b"PR\r\n", b"SIP/2.0 1"]
)
@pytest.mark.parametrize("cut", [None, 2, 5, 30, 200])
def test_the_end_of_a_lost_body_takes_no_message_with_it(end: bytes, cut: int | None) -> None:
    """Though it looks like the beginning of one, and whatever comes first."""
    lost, message = invite("lost", b"v=0\r\n" + end), invite("kept")
    begin = 1000 + len(lost)
    pieces = [packet(end, begin - len(end)), packet(message[:cut], begin)]
    if cut is not None:
        pieces.append(packet(message[cut:], begin + cut))
    for before in (b"", lost[:9]):  # the capture began in the middle; a hole
        for order in itertools.permutations(pieces):
            line = Line().send(packet(before, 1000)) if before else Line()
            assert line.send(*order).whole.count(message) == 1, order
            line.send(packet(lost[len(before) : -len(end)], 1000 + len(before)))
            assert line.whole.count(lost) == 1, "it came after all"


ENDED = b"INFO sip:b PRACK INFO sip:"
LOST = invite("lost", b"PRACK " * 20 + ENDED)
KEPT = invite("kept")
BEHIND = 1000 + len(LOST)
HALVES = [packet(LOST[:-100], 1000), packet(ENDED, BEHIND - len(ENDED))]


@pytest.mark.parametrize("cut", [len(KEPT), 50])
def test_a_length_says_where_the_next_message_begins_though_the_body_has_a_hole(cut: int) -> None:
    kept = [packet(KEPT[:cut], BEHIND)]
    if cut < len(KEPT):
        kept.append(packet(KEPT[cut:], BEHIND + cut))
    for order in itertools.permutations([HALVES[1], *kept]):
        line = Line().send(HALVES[0], *order)
        assert line.whole == [KEPT], order
        assert line.send(packet(LOST[-110:-20], BEHIND - 110)).whole == [KEPT, LOST]


def test_what_comes_behind_a_hole_that_was_given_up_is_told_at_once() -> None:
    line = Line().send(*HALVES)
    assert line.send(packet(KEPT, BEHIND), step=HOLE + SECOND).whole == [KEPT]


@pytest.mark.parametrize("ends", [(b"I", b"TE\r\nx: y"), (b"INFO fo", b"o\r\nbar"), (b"A", b"B")])
@pytest.mark.parametrize("cut", [len(KEPT), 50])
def test_what_shows_to_begin_no_message_takes_none_with_it(
    ends: tuple[bytes, bytes], cut: int
) -> None:
    """In whatever order it shows: behind a hole, in two pieces, of which the first looks like the
    beginning of a message."""
    lost = invite("lost", b"v=0\r\n" + b"".join(ends))
    begin = 1000 + len(lost)
    pieces = [
        packet(ends[0], begin - len(ends[0] + ends[1])), packet(ends[1], begin - len(ends[1])),
        packet(KEPT[:cut], begin),
    ]  # fmt: skip
    if cut < len(KEPT):
        pieces.append(packet(KEPT[cut:], begin + cut))
    for order in itertools.permutations(pieces):
        line = Line().send(packet(lost[:9], 1000), *order)
        assert line.whole == [KEPT], order


def test_a_message_behind_what_begins_none_is_whole_with_its_last_piece() -> None:
    """The last of three pieces comes when the next message is there already."""
    begin = 1000 + len(LOST)
    third = invite("third")
    line = Line().send(HALVES[1], packet(third, begin + len(KEPT)))
    line.send(packet(KEPT[:99], begin), packet(KEPT[150:], begin + 150))
    assert line.send(packet(KEPT[99:150], begin + 99)).whole == [third, KEPT]
    assert Line().send(packet(LOST[:9], 1000)).send(
        HALVES[1], packet(third, begin + len(KEPT)), packet(KEPT[:99], begin),
        packet(KEPT[150:], begin + 150), packet(KEPT[99:150], begin + 99),
    ).whole == [third, KEPT]  # fmt: skip
