"""Fuzzes capture/reassembly.py and capture/pieces.py through the real scanner.

    python tests/fuzz/reassembly.py -max_total_time=60 -runs=-1 -seed=1 FINDINGS [KEPT [SEEDS...]]

An input is a script (see `play`): packets honest or not, in batches, with a clock. For each:

- Nothing is raised.
- What is held never exceeds the limit after a batch, and is what the pieces say that it is:
  bytes, pieces, no two of a datagram overlapping, and the streams inside a message are those
  that have bytes of one.
- A batch that was fed keeps its rows, but that a SIP or keep-alive row may become a SEGMENT.
- A batch that comes out holds no piece; its rows lie in its buffer, have a time that was fed and
  the tap, and its watermark is that of the batch before; each SIP row is a whole message.
- Counters never go back.
- Honest senders are heard: a message whose fragments all come, in any order and some twice, or
  whose segments all come, in order and some twice, or its first segment before the others, is
  found, with the bytes that were sent.

The loop keeps an input when it reaches a state (what is held, made, given up, in powers of two)
that no input before it reached; KEPT is where those go.
"""

from __future__ import annotations

import hashlib
import random
import struct
import sys
import time
import traceback
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from algwatch.base import native
from algwatch.base.packet import Batch
from algwatch.capture.pieces import BASE_COST, PIECE_COST, Datagram
from algwatch.capture.reassembly import FLOW_COST, LIMIT, Reassembler
from algwatch.capture.stream import RUN_COST, Stream

NS = 1_000_000_000
START = 1_700_000_000 * NS
PORTS = (5060, 5080)
TAP = 1
RAW = 12
UDP, TCP = 17, 6
MOST_STEPS = 24
SMALL = 45000  # bytes; what is remembered of flows that were read must fit
KINDS_OF_PIECES = (native.KIND_FRAGMENT, native.KIND_SEGMENT)
ADDRESSES = ((bytes((192, 168, 1, 10)), bytes((203, 0, 113, 5))), (bytes(15) + b"\1", bytes(16)))

HEAD = (
    b"INVITE sip:bob@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP 192.168.1.10;branch=z9hG4bK%d\r\n"
    b"From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: %d@x\r\nCSeq: 1 INVITE\r\n"
    b"Content-Length: %d\r\n\r\n"
)
SIPFRAG = b"SIP/2.0 200 OK\r\nCall-ID: 1\r\nContent-Length: 0\r\n\r\n"
BODIES = (b"", b"\r\n \r\n\r\n", SIPFRAG * 3, b"SIP/2.0/UDP h\r\nINVITE sip:b SIP/2.0\r\n\r\n")
UPGRADE = b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: sip\r\n\r\n"


class Script:
    """Reads an input; behind its end there are zeros."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def below(self, most: int) -> int:
        return (self.byte() << 8 | self.byte()) % most if most > 256 else self.byte() % most

    def take(self, count: int) -> bytes:
        self._at += count
        return self._data[self._at - count : self._at]


class Network:
    """Makes packets, and remembers the messages that honest senders sent."""

    def __init__(self) -> None:
        self.number = 0
        self.sent: list[bytes] = []

    def message(self, body: int, kind: int = 0) -> bytes:
        """body: bytes of it; kind: what it begins with, see BODIES."""
        self.number += 1
        text = BODIES[kind] + b"v=0\r\ns=%d\r\n" % self.number
        text = (text + b"a=xyz\r\n" * (body // 7 + 1))[:body]
        return HEAD % (self.number, self.number, len(text)) + text


def ipv4(proto: int, payload: bytes, ident: int, word: int, version: int) -> bytes:
    """An IP packet; word: flags and fragment offset in units of 8 bytes, 0 for a whole packet."""
    src, dst = ADDRESSES[version]
    if version == 0:
        head = (0x45, 0, 20 + len(payload), ident, word, 64, proto, 0)
        return struct.pack("!BBHHHBBH", *head) + src + dst + payload
    if word:
        offset = (word & 0x1FFF) << 3 | (word >> 13 & 1)
        payload = struct.pack("!BBHI", proto, 0, offset, ident) + payload
        proto = 44
    return struct.pack("!IHBB", 6 << 28, len(payload), proto, 64) + src + dst + payload


def segment(seq: int, data: bytes, sport: int, version: int) -> bytes:
    head = struct.pack("!HHIIBBHHH", sport, 5060, seq & 0xFFFFFFFF, 1, 5 << 4, 0x18, 65535, 0, 0)
    return ipv4(TCP, head + data, 1, 0, version)


def cuts(script: Script, length: int, unit: int, least: int = 1) -> list[tuple[int, int]]:
    """0..length in at most 8 parts; the first has at least `least`."""
    places = {least + script.below(length) // unit * unit for _ in range(script.below(8))}
    inner = sorted(place for place in places if least <= place < length)
    return list(pairwise([0, *inner, length]))


Range = tuple[int, int]


def shuffled(script: Script, items: list[Range]) -> list[Range]:
    left, found = list(items), []
    while left:
        found.append(left.pop(script.below(len(left))))
    return found


def fragments(script: Script, network: Network) -> Iterator[bytes]:
    """A datagram in fragments that all come."""
    version, ident = script.below(2), 1000 + network.number
    message = network.message(200 + script.below(3000))
    network.sent.append(message)
    whole = struct.pack("!HHHH", 5060, 5060, 8 + len(message), 0) + message
    parts = cuts(script, len(whole), 8, 8)
    if len(parts) == 1:
        parts = [(0, 64), (64, len(whole))]
    order = shuffled(script, parts)
    for index, (low, high) in enumerate(order):
        if index and script.below(4) == 0:  # sent again, and grown over its neighbour
            again, end = order[script.below(index)]
            yield fragment(whole, again, end, ident, version)
        yield fragment(whole, low, high, ident, version)


def fragment(whole: bytes, low: int, high: int, ident: int, version: int) -> bytes:
    more = 0x2000 if high < len(whole) else 0
    word = low >> 3 | more
    return ipv4(UDP, whole[low:high], ident, word, version)


def segments(script: Script, network: Network) -> Iterator[bytes]:
    """Messages of one connection in segments that all come, in any order, some of them twice."""
    version, ordered = script.below(2), script.below(2)
    sport, seq = 20000 + network.number, script.byte() << 24 | 0xFFFF00
    text = b""
    for _ in range(1 + script.below(3)):
        message = network.message(script.below(3000), script.below(4))
        network.sent.append(message)
        text += message
    parts = cuts(script, len(text), 1)
    parts = parts if ordered else shuffled(script, parts)
    for index, (low, high) in enumerate(parts):
        if index and script.below(4) == 0:
            again, end = parts[script.below(index)]
            yield segment(seq + again, text[again:end], sport, version)
        yield segment(seq + low, text[low:high], sport, version)


def wild(script: Script, network: Network) -> Iterator[bytes]:
    """Anything: fragments and segments whose places and bytes the input chooses."""
    version = script.below(2)
    data = script.take(script.byte())
    if script.below(4) == 0:
        data = network.message(script.below(700))[script.byte() :] + data
    extra = script.byte()
    if extra < 64:
        data *= 1 + extra
    elif extra < 80:
        data = UPGRADE + data
    if script.below(2):
        seq = (script.byte() << 24) + script.below(65536)
        yield segment(seq, data[:60000], 5060 + script.byte(), version)
    else:
        word = script.below(65536) & (0x3FFF if script.below(2) else 0x2003)
        yield ipv4((UDP, TCP)[script.below(2)], data[:60000], script.below(3), word, version)


def noise(script: Script, _network: Network) -> Iterator[bytes]:
    yield script.take(script.byte())


MAKERS = (fragments, segments, wild, noise)


class Checked:
    """A Reassembler and all that must hold of it."""

    def __init__(self, limit: int) -> None:
        key = native.REPLAY_KEY
        self.limit = limit
        self.reassembler = Reassembler(TAP, PORTS, key, limit)
        self.scanner = native.Scanner(RAW, TAP, key, PORTS, native.Counts(), 512)
        self.now = START
        self.before = 0
        self.given_up = (0, 0, 0, 0)
        self.times: set[int] = set()
        self.found: list[bytes] = []

    def feed(self, packets: list[bytes]) -> None:
        buffer, meta = bytearray(), bytearray()
        for packet in packets:
            self.now += 1_000_000
            self.times.add(self.now)
            at = divmod(self.now, NS)
            meta += struct.pack("=IIII", at[0], at[1] // 1000, len(buffer), len(packet))
            buffer += packet
        for part in self.scanner.scan(bytes(buffer), bytes(meta), self.now):
            rows, ends = bytearray(part.rows), bytes(part.ends)
            batch = Batch(bytes(buffer), memoryview(rows), ends, part.count, TAP, self.now)
            old = bytes(rows)
            made = self.reassembler.feed(batch)
            self._check_fed(old, rows)
            if made is not None:
                self._check_made(made)
            self._check_held()
            self._keep(batch)
            if made is not None:
                self._keep(made)
            self.before = self.now

    def _check_fed(self, old: bytes, new: bytearray) -> None:
        if old == new:
            return
        size, kind = native.ROW.size, native.ROW_KIND
        for at in range(0, len(old), size):
            if new[at + kind] != old[at + kind]:
                assert old[at + kind] in (native.KIND_SIP, native.KIND_KEEPALIVE)
                assert new[at + kind] == native.KIND_SEGMENT
            new_rest = new[at : at + kind] + new[at + kind + 1 : at + size]
            assert new_rest == old[at : at + kind] + old[at + kind + 1 : at + size]

    def _check_made(self, made: Batch) -> None:
        assert made.watermark == self.before and made.tap == TAP
        assert len(made.rows) == made.count * native.ROW.size
        assert len(made.ends) == made.count * native.ENDS.size
        for row, ends in zip(
            native.ROW.iter_unpack(made.rows), native.ENDS.iter_unpack(made.ends), strict=True
        ):
            at, payload, length, kind = row[0], row[8], row[9], row[13]
            assert kind not in KINDS_OF_PIECES
            assert at in self.times and row[16] == TAP
            assert payload + length <= len(made.buffer) and ends[2] + ends[3] <= len(made.buffer)
            if kind == native.KIND_SIP:
                whole = made.buffer[payload : payload + length]
                tcp = bool(row[12] & native.ROW_TCP)
                assert native.scan_message(whole, tcp)[0] == length

    def _check_held(self) -> None:
        one = self.reassembler
        cost = FLOW_COST * (len(one._flows) + len(one._websockets))
        for pending in one._pending.values():
            cost += pending.cost
            if isinstance(pending, Datagram):
                sizes = [len(piece) for _, piece in pending.pieces]
                assert pending.cost == BASE_COST + sum(sizes) + PIECE_COST * len(sizes)
                for (low, piece), (high, _) in pairwise(pending.pieces):
                    assert low + len(piece) <= high
            else:
                assert isinstance(pending, Stream)
                runs = pending.runs
                assert runs and runs[0].begin >= (pending.floor or runs[0].begin)
                cost_ = sum(RUN_COST + len(run.data) + PIECE_COST * len(run.told) for run in runs)
                assert pending.cost == BASE_COST + cost_
                for low, high in pairwise(runs):
                    assert low.end < high.begin + (not low.reading)
        assert one.held == cost, (one.held, cost)
        assert one.held <= self.limit, one.held
        given_up = (one.conflicts, one.expired, one.evicted, one.too_long)
        assert all(new >= old for new, old in zip(given_up, self.given_up, strict=True))
        self.given_up = given_up

    def _keep(self, batch: Batch) -> None:
        for row in native.ROW.iter_unpack(batch.rows):
            if row[13] == native.KIND_SIP:
                self.found.append(bytes(batch.buffer[row[8] : row[8] + row[9]]))

    def state(self) -> int:
        """What was reached, coarsely."""
        one = self.reassembler
        numbers = (
            *self.given_up, len(one._pending), one.pending(), one.held, len(self.found),
        )  # fmt: skip
        return hash(tuple(number.bit_length() for number in numbers))


def play(data: bytes) -> int:
    """Runs one input: byte 0 the limit, then steps. A step: what it is and whether the packets
    before it are fed first; the rest is read by its maker. Returns the state reached."""
    script = Script(data)
    small = script.byte() & 1
    checked, network = Checked(SMALL if small else LIMIT), Network()
    packets: list[bytes] = []
    honest = not small
    steps = 0
    while script and steps < MOST_STEPS:
        steps += 1
        step = script.byte()
        if step & 0x10:
            checked.feed(packets)
            packets = []
        if step & 0x60 == 0x60:  # seconds pass, and whoever was waited for is given up
            checked.feed(packets)
            packets = []
            checked.now += script.byte() * NS
        packets += MAKERS[step % len(MAKERS)](script, network)
    checked.feed(packets)
    if honest and not checked.given_up[2]:
        heard = set(checked.found)
        for message in network.sent:
            assert message in heard, f"not heard: {message[:60]!r}"
    return checked.state()


def mutated(chance: random.Random, data: bytes, other: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(1 + chance.randrange(4)):
        at = chance.randrange(len(out) + 1)
        match chance.randrange(6):
            case 0 if out:
                out[at % len(out)] = chance.randrange(256)
            case 1 if out:
                out[at % len(out)] ^= 1 << chance.randrange(8)
            case 2:
                out[at:at] = chance.randbytes(1 + chance.randrange(8))
            case 3:
                del out[at : at + 1 + chance.randrange(8)]
            case 4:
                out[at:] = other[chance.randrange(len(other) + 1) :]
            case _:
                out[at:at] = out[: chance.randrange(len(out) + 1)]
    return bytes(out[:600])


def main(words: list[str]) -> int:
    options = dict(word[1:].split("=") for word in words if word.startswith("-"))
    findings, *directories = [Path(word) for word in words if not word.startswith("-")]
    chance = random.Random(int(options.get("seed", 1)))
    runs = int(options.get("runs", -1))
    end = time.monotonic() + int(options.get("max_total_time", 60))
    kept = [bytes((0, step)) + bytes(30) for step in range(64)]
    kept += [path.read_bytes() for one in directories for path in sorted(one.glob("*"))]
    seen: set[int] = set()
    executed, data, code = 0, b"", 0
    waiting = list(kept)
    try:
        while time.monotonic() < end and executed != runs:
            if waiting:
                data = waiting.pop()
            else:
                data = mutated(chance, chance.choice(kept), chance.choice(kept))
            state = play(data)
            executed += 1
            if state not in seen:
                seen.add(state)
                kept.append(data)
    except Exception:
        traceback.print_exc()
        findings.mkdir(parents=True, exist_ok=True)
        path = findings / f"reassembly-crash-{hashlib.sha1(data).hexdigest()}"
        path.write_bytes(data)
        print(f"SUMMARY: reassembly: input of {len(data)} bytes written to {path}")
        code = 1
    if directories:
        directories[0].mkdir(parents=True, exist_ok=True)
        for new in kept:
            (directories[0] / hashlib.sha1(new).hexdigest()).write_bytes(new)
    print(f"states: {len(seen)}, kept: {len(kept)}")
    print(f"stat::number_of_executed_units: {executed}")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
