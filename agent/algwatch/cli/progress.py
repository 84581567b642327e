# SPDX-License-Identifier: Apache-2.0
"""Progress of the reading on standard error: part done, speed, and time left."""

from __future__ import annotations

import sys
import time

EVERY = 0.25  # s between two looks at a terminal
SELDOM = 5.0  # s elsewhere
PATIENCE = 1.0  # s before the first output: most captures are read by then


class Progress:
    """total: bytes to read, 0 if unknown. shown: print anything."""

    def __init__(self, shown: bool, terminal: bool) -> None:
        self.total = 0
        self._shown = shown
        self._terminal = terminal
        self._begun = time.monotonic()
        self._next = self._begun + PATIENCE
        self._passes = 0
        self._drawn = False

    @classmethod
    def wanted(cls, asked: bool) -> Progress:
        terminal = sys.stderr is not None and sys.stderr.isatty()
        return cls(asked or terminal, terminal)

    def begin(self, total: int) -> None:
        """A pass over the files."""
        self.total = total
        self._passes += 1
        self._begun = time.monotonic()

    def at(self, done: int, packets: int) -> None:
        """done: bytes read; packets: in them."""
        now = time.monotonic()
        if not self._shown or now < self._next:
            return
        self._next = now + (EVERY if self._terminal else SELDOM)
        took = max(now - self._begun, 1e-3)
        text = f"{packets:,} packets, {packets / took:,.0f} a second"
        if self.total and done:
            part = min(done / self.total, 1.0)
            text = f"{part:4.0%}, {text}, {_time(took * (1 - part) / part)} left"
        if self._passes > 1:
            text += f" (pass {self._passes})"
        self._drawn = self._terminal
        end = "" if self._terminal else "\n"
        front = "\r" if self._terminal else ""
        print(f"{front}algwatch: {text:<70}", end=end, file=sys.stderr, flush=True)

    def end(self) -> None:
        if self._drawn:
            print("\r" + " " * 80 + "\r", end="", file=sys.stderr, flush=True)
            self._drawn = False


def _time(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
