# SPDX-License-Identifier: Apache-2.0
"""Backoff: the wait between two connections. It grows with each fault, has jitter, and is long for
a shared id."""

from __future__ import annotations

from collections.abc import Callable

STABLE = 300.0  # seconds; a longer connection counts as good; above twice the longest wait
# Two agents with one client id throw each other out: the last to connect stays. Each returns so
# rarely that both are heard for a while.
EVICTED = 60.0, 1800.0  # seconds before the second and before the last of many tries
FORGIVEN = 4 * EVICTED[1]  # seconds; after a longer connection the id counts as no longer shared
# MQTT 3.1.1 has no code for a shared id: an accepted connection just ends, again and again.
QUIET = 3


class Backoff:
    """least, most: seconds before the second and before the last of many tries. uniform: a random
    number between two. quiet: accepted connections in a row, closed without a word."""

    __slots__ = ("_evictions", "_failures", "_least", "_most", "_uniform", "quiet")

    def __init__(self, least: float, most: float, uniform: Callable[[float, float], float]) -> None:
        self._least, self._most = least, most
        self._uniform = uniform
        self._failures = 0
        self._evictions = 0
        self.quiet = 0

    def ended(self, lasted: float, evicted: bool = False, quiet: bool = False) -> float:
        """Seconds to wait. lasted: seconds since the connection was accepted, 0 if it never was;
        evicted: the broker said that another client has our id; quiet: the connection was accepted,
        and closed without a word."""
        if lasted > (FORGIVEN if self._evictions else STABLE):
            self._failures = self._evictions = self.quiet = 0
        self.quiet = self.quiet + 1 if quiet else 0
        if evicted or self.quiet >= QUIET:
            self._evictions += 1
            return self._wait(*EVICTED, self._evictions)
        self._failures += 1
        return self._wait(self._least, self._most, self._failures)

    @property
    def is_shared(self) -> bool:
        """Connections end as if another client had the same id."""
        return self.quiet >= QUIET

    def _wait(self, least: float, most: float, tries: int) -> float:
        return min(most, least * float(2 ** min(tries - 1, 10))) * self._uniform(0.5, 1.0)
