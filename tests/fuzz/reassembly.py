# SPDX-License-Identifier: Apache-2.0
"""Fuzzes capture/reassembly.py, batches.py, fragments.py, offsets.py, stream.py with the scanner.

    python tests/fuzz/reassembly.py -max_total_time=60 -runs=-1 -seed=1 FINDINGS [KEPT [SEEDS...]]

An input is a script (see `play`): packets honest or not, in batches, with a clock. For each:

- Nothing is raised.
- Held memory never exceeds the limit after a batch, and its count agrees with the parts:
  bytes, parts, no two of a datagram or stream overlapping, nothing kept of what was read.
- A batch that was fed keeps its rows, but that a SIP or keep-alive row may become a SEGMENT.
- A batch that comes out is the one that was fed, or one without parts, in order of time, with
  the same watermark, whose rows lie in its buffer, have a time that was fed and the tap; each SIP
  row is a whole message.
- Counters never go back.
- Honest senders are heard: a message whose fragments or segments all come, in any order, some
  twice, between those of others and whatever a part of it looks like, is found with the bytes
  that were sent; over TCP once, and where all came in order nothing else is.
- Time is in proportion to the packets: of one input in so many the bytecode instructions of
  capture/ are counted.
- Nothing is made up: where all are honest, a message over UDP was sent, and one over TCP stands
  in what one connection sent.

All but one of LONG_PART inputs are short: SHORT bytes, made from one of FEW packets. The loop keeps
an input when it reaches a state (what is held, made, given up, in powers of two) that no input
before it reached; KEPT is where those go.
"""

from __future__ import annotations

import hashlib
import random
import struct
import sys
import time
import traceback
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from zlib import crc32

import senders
from algwatch import capture
from algwatch.base.native import layout
from algwatch.base.native.rows import Counts, Scanner
from algwatch.base.native.scan import scan_message
from algwatch.base.packet import Batch
from algwatch.capture.batches import times
from algwatch.capture.flows import FLOW_COST
from algwatch.capture.fragments import BASE_COST, KEPT, KEPT_COST, PART_COST, Datagram
from algwatch.capture.reassembly import LIMIT, Reassembler
from algwatch.capture.run import RUN_COST
from algwatch.capture.stream import MOST_TOLD, Stream

sys.path.append(str(Path(__file__).resolve().parents[1] / "cost"))

import python_cost

NS = 1_000_000_000
START = 1_700_000_000 * NS
PORTS = (5060, 5080)
TAP = 1
RAW = 12
MOST_STEPS = 24
SHORT, LONG = 20, 600  # bytes of an input; one in LONG_PART is long
LONG_PART = 10
MOST_PARTS = 8  # that a long one is made of
FEW = 6  # packets, of an input that short ones are made from
SMALL = 45000  # bytes; what is remembered of flows that were read must fit
CAPTURE = str(Path(capture.__file__).parent)
KINDS_OF_PIECES = (layout.KIND_FRAGMENT, layout.KIND_SEGMENT)
PAUSES = (1, 4, 6, 29, 31, 33, 255, 601)  # s, around each time that something is awaited
COUNTED = 16  # of one input in so many the time is counted, which takes long
MOST_OPCODES = 8_000, 60_000  # for each packet that comes or is made, and for a batch
_META = struct.Struct("=IIII")


class Checked:
    """A Reassembler and all that must hold of it. Made once: `begin` makes it as good as new."""

    def __init__(self) -> None:
        key = layout.REPLAY_KEY
        self.reassembler = Reassembler(TAP, PORTS, key)
        self.scanner = Scanner(RAW, TAP, key, PORTS, Counts(), 512)
        state = vars(self.reassembler)
        self.numbers = {name: value for name, value in state.items() if isinstance(value, int)}
        self.tables = [value for value in state.values() if isinstance(value, dict | list)]
        self.tables += [self.reassembler._flows._seen, self.reassembler._websockets._seen]
        self.recent = self.reassembler._recent._datagrams
        self.tables.append(self.recent)
        assert set(state) - set(self.numbers) == {
            "counts", "_rebuilt", "_pending", "_flows", "_websockets", "_made", "_tunnels",
            "_opened", "_recent",
        }  # fmt: skip

    def begin(self, limit: int, counted: bool) -> None:
        self.counted = counted
        vars(self.reassembler).update(self.numbers)
        self.reassembler._limit = self.limit = limit
        self.reassembler._rebuilt.refused = 0
        self.reassembler._made, self.reassembler._opened = [], []
        for table in self.tables:
            table.clear()
        self.now = START
        self.given_up = (0, 0, 0, 0, 0, 0)
        self.times: set[int] = set()
        self.found: list[bytes] = []
        self.over_udp: set[bytes] = set()

    def feed(self, packets: list[bytes]) -> None:
        if not packets:
            return
        now, at, meta = self.now, 0, []
        for packet in packets:
            now += 1_000_000
            self.times.add(now)
            meta.append(_META.pack(now // NS, now % NS // 1000, at, len(packet)))
            at += len(packet)
        self.now = now
        buffer = b"".join(packets)
        for batch in self.scanner.scan(buffer, b"".join(meta), now):
            batch.watermark = now
            old = bytes(batch.rows)
            made = self._fed(batch) if self.counted else self.reassembler.feed(batch)
            new = bytes(batch.rows)
            if old != new:
                self._check_fed(old, new)
            if made is not batch:
                self._check_made(made)
            self._check_held()
            self._keep(made)

    def _fed(self, batch: Batch) -> Batch:
        made: list[Batch] = []
        took = python_cost.opcodes(lambda: made.append(self.reassembler.feed(batch)), CAPTURE)
        packet, fixed = MOST_OPCODES
        count = batch.count + made[0].count
        assert took <= packet * count + fixed, f"{took} opcodes, {count} packets in and out"
        return made[0]

    @staticmethod
    def _check_fed(old: bytes, new: bytes) -> None:
        size, kind = layout.ROW.size, layout.ROW_KIND
        for at in range(0, len(old), size):
            if new[at + kind] != old[at + kind]:
                assert old[at + kind] in (layout.KIND_SIP, layout.KIND_KEEPALIVE)
                assert new[at + kind] == layout.KIND_SEGMENT
            new_rest = new[at : at + kind] + new[at + kind + 1 : at + size]
            assert new_rest == old[at : at + kind] + old[at + kind + 1 : at + size]

    def _check_made(self, made: Batch) -> None:
        assert made.watermark == self.now and made.tap == TAP
        assert times(made) == sorted(times(made))
        assert len(made.rows) == made.count * layout.ROW.size
        assert len(made.ends) == made.count * layout.ENDS.size
        for row, ends in zip(
            layout.ROW.iter_unpack(made.rows), layout.ENDS.iter_unpack(made.ends), strict=True
        ):
            at, payload, length, kind = row[0], row[8], row[9], row[13]
            assert kind not in KINDS_OF_PIECES
            assert at in self.times and row[16] == TAP
            assert payload + length <= len(made.buffer) and ends[2] + ends[3] <= len(made.buffer)
            if kind == layout.KIND_SIP:
                whole = made.buffer[payload : payload + length]
                tcp = bool(row[12] & layout.ROW_TCP)
                assert scan_message(whole, tcp)[0] == length

    def _check_held(self) -> None:
        one = self.reassembler
        cost = FLOW_COST * (len(one._flows) + len(one._websockets))
        for pending in one._pending.values():
            cost += pending.cost
            if isinstance(pending, Datagram):
                sizes = [len(part) for _, part in pending.parts]
                assert pending.cost == BASE_COST + sum(sizes) + PART_COST * len(sizes)
                for (low, part), (high, _) in pairwise(pending.parts):
                    assert low + len(part) <= high
            else:
                assert isinstance(pending, Stream)
                runs = pending.runs
                assert runs and runs[0].begin >= (pending.floor or runs[0].begin)
                cost_ = sum(RUN_COST + len(run.data) + PART_COST * len(run.told) for run in runs)
                assert pending.cost == BASE_COST + cost_
                for one_run, next_run in pairwise(runs):
                    assert one_run.end < next_run.begin + (not one_run.reading)
        assert len(self.recent) <= KEPT
        assert all(datagram.cost <= KEPT_COST for datagram in self.recent.values())
        assert one.held == cost, (one.held, cost)
        assert one.held <= self.limit, one.held
        given_up = (
            one.conflicts, one.expired, one.evicted, one.too_long, one.incomplete, one.repeated,
        )  # fmt: skip
        if given_up != self.given_up:
            assert all(new >= old for new, old in zip(given_up, self.given_up, strict=True))
            self.given_up = given_up

    def _keep(self, batch: Batch) -> None:
        for row in layout.ROW.iter_unpack(batch.rows):
            if row[13] == layout.KIND_SIP:
                whole = bytes(batch.buffer[row[8] : row[8] + row[9]])
                whole = whole.lstrip(b"\r\n")  # keep-alives in front of it
                self.found.append(whole)
                if not row[12] & layout.ROW_TCP:
                    self.over_udp.add(whole)

    def state(self) -> int:
        """A coarse measure of the states that were reached."""
        one = self.reassembler
        runs = told = 0
        for pending in one._pending.values():
            if isinstance(pending, Stream):
                runs = max(runs, len(pending.runs))
                told += len(pending.runs[-1].told)
        numbers = (
            *self.given_up, len(one._pending), runs, told, one.held, len(self.found),
            len(one._websockets),
        )  # fmt: skip
        return hash(tuple([number.bit_length() for number in numbers]))


CHECKED = Checked()


def between(script: senders.Script, these: list[bytes], those: list[bytes]) -> list[bytes]:
    """Both, each in its order, as the input says."""
    found: list[bytes] = []
    for packet in these:
        while those and script.byte() & 1:
            found.append(those.pop(0))
        found.append(packet)
    return found + those


def play(data: bytes) -> int:
    """Runs one input: byte 0 the limit, then steps. A step: what it is, and whether the packets
    before it are fed first, or it comes between them; the rest is read by its maker. Returns the
    state reached."""
    script = senders.Script(data)
    small = script.byte() & 1
    checked, network = CHECKED, senders.Network()
    checked.begin(SMALL if small else LIMIT, crc32(data) % COUNTED == 0)
    packets: list[bytes] = []
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
            checked.now += PAUSES[script.byte() % len(PAUSES)] * NS
        network.now = checked.now
        more = list(senders.MAKERS[step & 7](script, network))
        # A sender after so many others that its place is forgotten is not found.
        mixed = step & 0x80 and network.most <= MOST_TOLD
        packets = between(script, packets, more) if mixed else packets + more
    checked.feed(packets)
    if not small and not checked.given_up[2]:
        check_heard(checked.found, network)
    if network.honest:
        check_sent(checked, network)
    return checked.state()


def check_heard(found: list[bytes], network: senders.Network) -> None:
    heard = set(found)
    for message in network.sent:
        assert message in heard, f"not heard: {message!r}"
    for message in network.once:
        assert found.count(message) == 1, f"told twice: {message!r}"
    if network.in_order:
        assert heard == set(network.sent), heard - set(network.sent)


def check_sent(checked: Checked, network: senders.Network) -> None:
    made_up = checked.over_udp.difference(network.sent)
    assert not made_up, f"nobody sent: {made_up!r}"
    strange = set(checked.found).difference(network.sent)
    if strange:  # of a message of which a part was lost, or in a body
        texts = [*network.texts, *(one.text for one in network.connections)]
        made_up = {one for one in strange if not any(one in text for text in texts)}
        assert not made_up, f"nobody sent: {made_up!r}"


def mutated(chance: Callable[[], float], data: bytes, other: bytes, longest: int) -> bytes:
    """chance: from 0 to below 1."""
    out = bytearray(data)
    for _ in range(1 + int(chance() * 3)):
        at = int(chance() * (len(out) + 1))
        kind = int(chance() * 6)
        if kind == 0:
            out[at : at + 1] = (int(chance() * 256),)
        elif kind == 1:
            out[at : at + 1] = ((out[at] if at < len(out) else 0) ^ 1 << int(chance() * 8),)
        elif kind == 2:
            out[at:at] = [int(chance() * 256) for _ in range(1 + int(chance() * 4))]
        elif kind == 3:
            del out[at : at + 1 + int(chance() * 8)]
        elif kind == 4:
            out[at:] = other[int(chance() * len(other)) :]
        else:
            out[at:at] = out[: int(chance() * (len(out) + 1))]
    return bytes(out[:longest])


def main(words: list[str]) -> int:
    options = dict(word[1:].split("=") for word in words if word.startswith("-"))
    findings, *directories = [Path(word) for word in words if not word.startswith("-")]
    chance = random.Random(int(options.get("seed", 1)))
    runs = int(options.get("runs", -1))
    end = time.monotonic() + int(options.get("max_total_time", 60))
    kept = [bytes((0, step)) + bytes(8) for step in range(256)]
    kept += [path.read_bytes() for one in directories for path in sorted(one.glob("*"))]
    seen: set[int] = set()
    executed, data, code = 0, b"", 0
    waiting = list(kept)
    seeds = len(waiting)
    short = [data for data in kept if len(data) <= SHORT]
    rolled = chance.random
    try:
        while (executed & 63 or time.monotonic() < end) and executed != runs:
            if waiting:
                data = waiting.pop()
            else:
                one, other = short[int(rolled() * len(short))], short[int(rolled() * len(short))]
                longest = SHORT
                if executed % LONG_PART == 0:  # several one after the other
                    longest = LONG
                    for _ in range(1 + int(rolled() * MOST_PARTS)):
                        one += kept[int(rolled() * len(kept))][1:]
                data = mutated(rolled, one, other, longest)
            state = play(data)
            executed += 1
            if executed == seeds:
                print(f"#{executed} INITED")
            if state not in seen:
                seen.add(state)
                kept.append(data)
                if len(data) <= SHORT and len(CHECKED.times) <= FEW:
                    short.append(data)
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
