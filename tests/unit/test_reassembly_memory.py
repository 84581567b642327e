# SPDX-License-Identifier: Apache-2.0
"""Memory held for one tap stays below 256 kB under any input, objects included."""

from __future__ import annotations

import gc
import random
import struct
import tracemalloc
from collections.abc import Callable, Iterator

import pytest
from algwatch.base.native import layout
from algwatch.base.native.rows import Counts, Scanner
from algwatch.capture.flows import MOST_FLOWS
from algwatch.capture.reassembly import LIMIT, Reassembler
from capture_frames import TCP, invite, ipv4, tcp, udp

PROMISED = 256 * 1024  # bytes a tap
BLOCK = 32768  # of the ring: what a tap hands over at once


def tiny_fragments() -> Iterator[bytes]:
    """Every packet of another datagram, 8 bytes each."""
    for number in range(6000):
        yield ipv4(bytes(8), ident=number, src=f"10.0.{number >> 16}.1", offset=8, more=True)


def many_small_pieces() -> Iterator[bytes]:
    for number in range(6000):
        yield ipv4(bytes(8), ident=number // 60, offset=number % 60 * 16, more=True)


def giant_datagrams() -> Iterator[bytes]:
    """Datagrams of 64 kB, several under way at once, and in the end whole."""
    text = udp(invite("giant", bytes(64000)))
    for round_ in range(8):
        for at in range(0, len(text), 1480):
            for ident in range(3):
                more = at + 1480 < len(text)
                yield ipv4(text[at : at + 1480], ident=round_ * 3 + ident, offset=at, more=more)


def giant_tunnels() -> Iterator[bytes]:
    """Datagrams of 64 kB in two fragments, each in a tunnel whose packets are fragmented too."""
    text = udp(invite("giant", bytes(64000)))
    for ident in range(10):
        for low, high in ((0, 32000), (32000, len(text))):
            inner = ipv4(text[low:high], ident=ident, offset=low, more=high < len(text))
            for at in range(0, len(inner), 1480):
                more = at + 1480 < len(inner)
                yield ipv4(inner[at : at + 1480], 4, ident=ident, offset=at, more=more)
                yield ipv4(bytes(1480), ident=9000 + at // 8, offset=8, more=True)


def giant_pieces_in_tunnels() -> Iterator[bytes]:
    """The last fragment of a datagram of 64 kB is itself nearly all of it."""
    text = udp(invite("giant", bytes(64000)))
    for ident in range(10):
        yield ipv4(text[:8], ident=ident, more=True)
        inner = ipv4(text[8:], ident=ident, offset=8)
        for at in range(0, len(inner), 1480):
            more = at + 1480 < len(inner)
            yield ipv4(inner[at : at + 1480], 4, ident=100 + ident, offset=at, more=more)
            yield ipv4(bytes(1480), ident=9000 + at // 8, offset=8, more=True)


def bytes_out_of_order() -> Iterator[bytes]:
    rng = random.Random(1)
    for number in range(8000):
        port = 1 + number // 60 % 200
        yield ipv4(tcp(b"x", sport=port, seq=rng.randrange(200_000)), TCP)


def giant_messages() -> Iterator[bytes]:
    text = invite("giant", bytes(64000))
    for port in range(1, 10):
        for at in range(0, len(text), 1400):
            yield ipv4(tcp(text[at : at + 1400], sport=port, seq=at), TCP)


def many_beginnings() -> Iterator[bytes]:
    """Slow senders: every connection begins a message and never goes on."""
    text = invite("slow", bytes(2000))
    for port in range(1, 6000):
        yield ipv4(tcp(text[:40], sport=port, seq=port), TCP)


def many_connections() -> Iterator[bytes]:
    hello = b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"
    for port in range(1, 4000):
        yield ipv4(tcp(invite(str(port)), sport=port), TCP)
        yield ipv4(tcp(hello, sport=port + 10000), TCP)


HOSTILE = (tiny_fragments, many_small_pieces, giant_datagrams, giant_tunnels,
           giant_pieces_in_tunnels, bytes_out_of_order, giant_messages, many_beginnings,
           many_connections)  # fmt: skip


def blocks(packets: Iterator[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Packets as next_batch() would give them, as large as a block of the ring."""
    buffer, meta = bytearray(), bytearray()
    for packet in packets:
        if len(buffer) + len(packet) > BLOCK:
            yield bytes(buffer), bytes(meta)
            buffer, meta = bytearray(), bytearray()
        meta += struct.pack("=IIII", 1_700_000_000, 0, len(buffer), len(packet))
        buffer += packet
    yield bytes(buffer), bytes(meta)


@pytest.mark.parametrize("packets", HOSTILE, ids=lambda packets: packets.__name__)
def test_fragments_and_segments_together_stay_below_256_kb(
    packets: Callable[[], Iterator[bytes]],
) -> None:
    scanner = Scanner(12, 0, layout.REPLAY_KEY, (5060,), Counts())
    made = list(blocks(packets()))
    gc.collect()
    tracemalloc.start()
    try:
        reassembler = Reassembler(0, (5060,), layout.REPLAY_KEY)
        most = whole = 0
        for buffer, meta in made:
            for batch in scanner.scan(buffer, meta, 1_700_000_000 * 10**9):
                before = tracemalloc.get_traced_memory()[0]
                tracemalloc.reset_peak()
                answer = reassembler.feed(batch)
                most = max(most, tracemalloc.get_traced_memory()[1])
                whole += answer.count if answer is not batch else 0
                del answer
                assert reassembler.held <= LIMIT
                assert before <= PROMISED
    finally:
        tracemalloc.stop()
    assert most <= PROMISED, f"{most} bytes"
    # It was under pressure indeed.
    assert reassembler.evicted or whole > 8 or reassembler.websockets > MOST_FLOWS
