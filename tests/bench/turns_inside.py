# SPDX-License-Identifier: Apache-2.0
"""Runs under callgrind (tests/bench/turns.py): the daemon on a made clock, whose rings are filled
with recorded frames as the kernel fills them.

usage: turns_inside.py FOLDER      with asked (JSON), lan, wan: frames
"""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

FOLDER = Path(sys.argv[1])
ASKED = json.loads((FOLDER / "asked").read_text())
sys.path[:0] = [str(FOLDER), *ASKED["path"]]

import turns_native as native  # type: ignore[import-not-found]  # noqa: E402

sleep, real = time.sleep, time.monotonic
START = 1_000_000_000_000  # ns, of the monotonic clock
WALL = 1_700_000_000_000_000_000 - START
native.set(START, WALL)
for name in ("monotonic", "monotonic_ns", "time", "time_ns"):
    setattr(time, name, getattr(native, name))

from algwatch import daemon  # noqa: E402
from algwatch._native import ffi  # noqa: E402
from algwatch.base.native.ring import Ring  # noqa: E402
from algwatch.capture import ring as ring_module  # noqa: E402
from algwatch.report import outbox as outbox_module  # noqa: E402

HEAD = struct.Struct("<dBH")
FIRST = 48  # of a block: its header
PACKET = 80  # of a packet: its header and where it comes from
USER, VALID, OUTGOING = 1, 1 << 7, 4
CLASSES: dict[str, list[str]] = ASKED["classes"]


class Tap:
    """The kernel's side of a ring: it fills a block and hands it over when it is full, or
    retires it by its timer. done: blocks handed over, by time."""

    def __init__(self, frames: list[tuple[int, bool, bytes]], timeout: int, opened: int) -> None:
        self.frames = frames  # (ns, sent by the router, frame), in order
        self.timeout = timeout
        self.ring: Any = None
        self.opened = opened
        self.at = 0  # the next frame
        self.next = 0  # block to write
        self.lost = 0
        self._due: int | None = None

    def take(self, struct_: Any) -> None:
        self.ring = struct_
        size = struct_.block_size * struct_.block_count
        self.memory = ffi.new("uint8_t[]", size)
        self.view = ffi.buffer(self.memory)
        self.kept = struct_.map
        struct_.map = self.memory

    @property
    def due(self) -> int:
        """ns, the next block is handed over."""
        if self._due is None:
            self._due = self._next_block()
        return self._due

    def _next_block(self) -> int:
        if self.at >= len(self.frames):
            return 1 << 62
        first = self.frames[self.at][0]
        periods = max(1, -(-(first + 1 - self.opened) // self.timeout))
        retire = self.opened + periods * self.timeout
        size, end = FIRST, self.at
        while end < len(self.frames) and self.frames[end][0] < retire:
            size += -(-(PACKET + len(self.frames[end][2])) // 16) * 16
            if size > self.ring.block_size:
                retire = self.frames[end][0]
                break
            end += 1
        self._end = end
        return retire

    def hand_over(self) -> None:
        at, due = self.next * self.ring.block_size, self.due
        busy = struct.unpack_from("<I", self.view, at + 8)[0] & USER
        place, count = FIRST, self._end - self.at
        if busy:
            self.lost += count
        else:
            for when, sent, frame in self.frames[self.at : self._end]:
                step = -(-(PACKET + len(frame)) // 16) * 16
                wall = when + WALL
                struct.pack_into(
                    "<IIIIIIHH", self.view, at + place, step, wall // 10**9, wall % 10**9,
                    len(frame), len(frame), USER | VALID, PACKET, PACKET + 14,
                )  # fmt: skip
                struct.pack_into("<HHiHBB", self.view, at + place + 48, 17, 8, 1, 1,
                                 OUTGOING if sent else 0, 6)  # fmt: skip
                self.view[at + place + PACKET : at + place + PACKET + len(frame)] = frame
                place += step
            struct.pack_into("<IIII", self.view, at + 8, USER, count, FIRST, place)
            self.next = (self.next + 1) % self.ring.block_count
        self.at, self.opened, self._due = self._end, due, None


def frames_of(side: str) -> list[tuple[int, bool, bytes]]:
    made = []
    data, at = (FOLDER / side).read_bytes(), 0
    while at < len(data):
        when, sent, size = HEAD.unpack_from(data, at)
        at += HEAD.size
        made.append((START + int(when * 1e9), bool(sent), data[at : at + size]))
        at += size
    return made


# Their timers do not run at once.
TAPS = [Tap(frames_of(side), ring_module.BLOCK_TIMEOUT_MS * 10**6, START + apart)
        for side, apart in (("lan", 0), ("wan", 70_000_000))]  # fmt: skip
BEGIN, END = (START + int(ASKED[name] * 1e9) for name in ("before", "until"))
OUTBOXES: list[Any] = []


class Loop:
    """The daemon's select: its poll() lets time pass."""

    POLLIN, POLLOUT = 1, 4
    turns = 0
    counting = over = False
    first: tuple[int, list[int]] = (0, [])  # turns and frames before those that are counted

    def __init__(self) -> None:
        self.numbers: list[int] = []

    def register(self, number: int, flags: int = 1) -> None:
        self.numbers.append(number)

    def poll(self, milliseconds: float = -1) -> list[tuple[int, int]]:
        was = Loop.counting and not ASKED["within"]
        if was:
            native.toggle()
        found = pass_time(self, milliseconds)
        if was:
            native.toggle()
        return found


def pass_time(loop: Loop, milliseconds: float) -> list[tuple[int, int]]:
    Loop.turns += 1
    rest()
    now = time.monotonic_ns()
    until = now + int(milliseconds * 1e6)
    watched = [tap for tap in TAPS if tap.ring.fd in loop.numbers]
    due = min((tap.due for tap in watched), default=1 << 62)
    now = max(now, min(until, due))
    ready = []
    for tap in TAPS:
        while tap.due <= now:
            tap.hand_over()
            if tap in watched:
                ready.append((int(tap.ring.fd), 1))
    native.set(now, WALL)
    if now >= BEGIN and not Loop.counting and not Loop.over:
        Loop.counting, Loop.first = True, (Loop.turns, [t.at for t in TAPS])
        begin()
    if now >= END and Loop.counting:
        Loop.counting, Loop.over = False, True
        end()
        (FOLDER / "told").write_text(json.dumps({
            "turns": Loop.turns - Loop.first[0],
            "frames": [t.at - f for t, f in zip(TAPS, Loop.first[1], strict=True)],
            "lost": [t.lost for t in TAPS], "published": sum(b._next for b in OUTBOXES),
            "opcodes": dict(OPCODES.most_common(400)),
        }))  # fmt: skip
        os.kill(os.getpid(), signal.SIGTERM)
    return ready


def rest() -> None:
    """Until the other thread has nothing to do: it has a second, a report a millisecond."""
    patience = real() + 5
    while any(len(one) for one in OUTBOXES) and real() < patience:
        sleep(0.002)


OPCODES: Counter[str] = Counter()
COUNT = ASKED["opcodes"]


def trace(frame: Any, event: str, argument: Any) -> Any:
    if event == "opcode":
        code = frame.f_code
        OPCODES[f"{code.co_filename.rpartition('algwatch/')[2]}:{code.co_qualname}"] += 1
    elif event == "call":
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
    return trace


def begin() -> None:
    if COUNT:
        threading.settrace(trace)
        frame: Any = sys._getframe()
        while frame is not None:
            if not frame.f_code.co_filename.endswith("turns_inside.py"):
                frame.f_trace, frame.f_trace_opcodes, frame.f_trace_lines = trace, True, False
            frame = frame.f_back
        sys.settrace(trace)
    else:
        native.start()


def end() -> None:
    if COUNT:
        sys.settrace(None)
    else:
        native.stop()


plain = Ring.open


def opened(self: Ring, *args: Any) -> int:
    code = plain(self, *args)
    if code == 0:
        next(tap for tap in TAPS if tap.ring is None).take(self._ring)
    return code


Ring.open = opened  # type: ignore[method-assign, assignment]
Ring.close = lambda self: None  # type: ignore[method-assign]


class Select:
    poll, POLLIN, POLLOUT = Loop, 1, 4


daemon.select = Select  # type: ignore[assignment]
init = outbox_module.Outbox.__init__


def kept(self: Any, *args: Any) -> None:
    init(self, *args)
    OUTBOXES.append(self)


outbox_module.Outbox.__init__ = kept  # type: ignore[method-assign, assignment]


def wrap() -> None:
    import importlib

    for number, places in enumerate(CLASSES.values()):
        for place in places:
            module, _, path = place.partition(":")
            name = module[1:] if module[0] == "=" else f"algwatch.{module}"
            owner: Any = importlib.import_module(name)
            *parts, last = path.split(".")
            for part in parts:
                owner = getattr(owner, part)
            was = getattr(owner, last)
            if isinstance(was, property):
                setattr(owner, last, property(native.named(number, was.fget, False)))
            else:
                setattr(owner, last, native.named(number, was, bool(parts)))


from algwatch.cli.run import read  # noqa: E402
from algwatch.report import libraries  # noqa: E402, F401
from algwatch.start import run  # noqa: E402

if not COUNT:
    wrap()
sys.exit(run(read(ASKED["words"], {}), 1, 2))
