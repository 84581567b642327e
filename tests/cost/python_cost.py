# SPDX-License-Identifier: Apache-2.0
"""Does Python code take time in proportion to its input? Two measures, for what one does not see.

`opcodes` counts the bytecode instructions that run: the same on every machine, and blind to what a
function in C does. `seconds` is CPU time of this thread, the least of several, which sees a regular
expression or a `+=` of long bytes; its limits are wide, because other programs share the machine.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import thread_time
from types import FrameType
from typing import Any

GROWTH = 1.5  # times as many opcodes a byte as the short input takes
FIXED = 20_000  # opcodes of an input, however short
HARMLESS = 0.06  # s: less than that is nothing to complain of
WIDE = 2.5  # times as much time a byte as the short input takes
REPEATS = 4

Work = Callable[[], object]


def opcodes(work: Work, within: str = "") -> int:
    """Bytecode instructions that work runs, those of what it calls included. within: only of files
    whose path begins so."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        if event == "opcode":
            count += 1
        elif not frame.f_code.co_filename.startswith(within):
            return None
        elif event == "call":
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def seconds(work: Work, repeats: int = 1) -> float:
    """The least CPU time of so many runs."""
    least = float("inf")
    for _ in range(repeats):
        begun = thread_time()
        work()
        least = min(least, thread_time() - begun)
    return least


def slow(short: Work, long: Work, times: float) -> str:
    """Why long, whose input is so many times as long, takes more time than in proportion; or ""."""
    if seconds(long) < HARMLESS:
        return ""
    took, base = seconds(long, REPEATS), seconds(short, REPEATS)
    if took < max(HARMLESS, WIDE * times * base):
        return ""
    return f"{took * 1000:.0f} ms, and {base * 1000:.1f} ms for 1/{times:.1f} of it"


def busy(short: Work, long: Work, times: float) -> str:
    """As slow(), in opcodes."""
    took, base = opcodes(long), opcodes(short)
    if took <= GROWTH * times * base + FIXED:
        return ""
    return f"{took} opcodes, and {base} for 1/{times:.1f} of it"
