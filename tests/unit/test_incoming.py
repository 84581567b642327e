# SPDX-License-Identifier: Apache-2.0
"""Bytes from the broker: bounded, and nothing passes that answers no packet of ours."""

from __future__ import annotations

from contextlib import suppress

import pytest
from algwatch.report.incoming import ASKED, MAX_PACKET, READ, UNASKED, Incoming, Misbehaviour
from hypothesis import given
from hypothesis import strategies as st

CONNACK = b"\x20\x03\0\0\0"
GOOD = CONNACK + b"\x40\x02\0\1" + b"\xd0\0" + b"\x40\x04\0\2\0\0" + b"\xe0\x02\x8e\0"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def incoming(mqtt5: bool = True, clock: Clock | None = None) -> Incoming:
    return Incoming(mqtt5, {1, 2}.__contains__, clock or Clock())


@pytest.mark.parametrize("step", [1, 2, 3, 5, len(GOOD)])
def test_answers_pass_unchanged_however_they_are_cut(step: int) -> None:
    one, got = incoming(), b""
    for at in range(0, len(GOOD), step):
        one.feed(GOOD[at : at + step])
        got += one.take(3)
    assert got + one.take(100) == GOOD
    assert (one.code, one.since) == (0, None)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x30\xff\xff\xff\x7f", "PUBLISH, 268435460 bytes long"),
        (b"\x40\xff\xff\xff\xff", "PUBACK with a length that is no length"),
        (b"\x40\x02\0\3", "PUBACK for a report that was not sent"),
        (b"\x40\x01", "a malformed PUBACK"),
        (b"\x42\x02\0\1", "a malformed PUBACK"),
        (b"\xd0\x01", "a malformed PINGRESP"),
        (b"\x50", "PUBREC, which answers nothing"),
        (b"\xf0", "AUTH"),
        (b"\0", "packet type 0"),
        (b"\x20", "CONNACK twice"),
    ],
)
def test_a_fault_is_found_before_the_body_is_there(data: bytes, words: str) -> None:
    one = incoming()
    one.feed(CONNACK)
    with pytest.raises(Misbehaviour, match=words):
        one.feed(data)


@pytest.mark.parametrize("first", [b"\x30", b"\x40", b"\xd0", b"\xe0"])
def test_nothing_comes_before_connack(first: bytes) -> None:
    with pytest.raises(Misbehaviour, match="before CONNACK"):
        incoming().feed(first)


def test_mqtt_3_has_no_properties_and_no_disconnect() -> None:
    for data in (CONNACK, b"\x20\x02\0\0\xe0", b"\x20\x02\0\0\x40\x03"):
        with pytest.raises(Misbehaviour):
            incoming(mqtt5=False).feed(data)
    one = incoming(mqtt5=False)
    one.feed(b"\x20\x02\0\0\x40\x02\0\1")
    assert len(one.ready) == 8


def test_the_largest_packet_passes_and_one_byte_more_does_not() -> None:
    body = MAX_PACKET - 3
    one = incoming()
    one.feed(CONNACK + b"\x40" + bytes([body & 127 | 128, body >> 7]) + b"\0\1" + bytes(body - 2))
    assert len(one.take(9999)) == len(CONNACK) + MAX_PACKET
    with pytest.raises(Misbehaviour, match="4097 bytes"):
        one.feed(b"\x40" + bytes([(body + 1) & 127 | 128, (body + 1) >> 7]))


def test_some_messages_that_nobody_asked_for_are_dropped_and_a_flood_is_not_read() -> None:
    clock = Clock()
    one = incoming(clock=clock)
    one.feed(CONNACK)
    one.take(99)
    one.feed(b"\x33\x05\0\1t\0\7" * UNASKED[0])
    assert not one.ready
    clock.now += 1.0
    one.feed(b"\xd0\0")
    assert one.take(9) == b"\xd0\0"
    with pytest.raises(Misbehaviour, match="one PUBLISH after the other"):
        one.feed(b"\x30\x03\0\1t" * 2)


COMMAND = b"\x30\x06\0\1t\0xy"  # MQTT 5: no properties


def test_of_the_topics_that_were_asked_for_only_those_pass_and_not_without_an_end() -> None:
    clock = Clock()
    one = incoming(clock=clock)
    one.topics = frozenset((b"t",))
    one.feed(CONNACK)
    one.take(99)
    one.feed(COMMAND + COMMAND.replace(b"t", b"u") + b"\x32" + COMMAND[1:])
    assert one.take(99) == COMMAND, "another topic, and QoS 1, are dropped"
    one.feed(COMMAND * (ASKED[0] - 1))
    clock.now += 0.5
    one.feed(COMMAND * 5)
    with pytest.raises(Misbehaviour, match="commands without an end"):
        one.feed(COMMAND)


def test_a_suback_passes_where_one_is_owed_and_tells_a_refusal() -> None:
    one = incoming()
    one.feed(CONNACK)
    with pytest.raises(Misbehaviour, match="SUBACK, which answers nothing"):
        one.feed(b"\x90\x04\0\1\0\0")
    one = incoming()
    one.feed(CONNACK)
    one.asked = {1: "t", 2: "u"}
    one.feed(b"\x90\x04\0\1\0\0" + b"\x90\x04\0\2\0\x87")
    assert (one.asked, one.denied) == ({}, ["u"])
    for data, why in ((b"\x04\0\4\0\0", "not subscribed to"), (b"\x02\0\3", "malformed SUBACK")):
        one = incoming()
        one.feed(CONNACK)
        one.asked = {3: "v"}
        with pytest.raises(Misbehaviour, match=why):
            one.feed(b"\x90" + data)


def test_a_packet_that_does_not_end_has_a_beginning() -> None:
    clock = Clock()
    one = incoming(clock=clock)
    one.feed(CONNACK + b"\x40")
    clock.now += 7.0
    one.feed(b"\x02")
    assert one.since == 0.0
    one.feed(b"\0\1")
    assert one.since is None


@given(st.booleans(), st.lists(st.binary(max_size=READ), max_size=20))
def test_no_bytes_are_kept_beyond_one_packet_and_one_read(mqtt5: bool, reads: list[bytes]) -> None:
    one = incoming(mqtt5)
    with suppress(Misbehaviour):
        one.feed(CONNACK if mqtt5 else b"\x20\x02\0\0")
        for data in reads:
            one.feed(data)
            assert len(one._part) <= MAX_PACKET
            assert not one.ready or one.ready[0] >> 4 in (2, 4, 13, 14)
            one.take(len(one.ready))
