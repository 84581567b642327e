# SPDX-License-Identifier: Apache-2.0
"""Offset: the difference of the clocks of a LAN and a WAN capture, measured from their messages.

Every message that crossed the router is in both captures, at most a few milliseconds apart. So the
difference of its two time stamps is the offset of the clocks. A retransmission repeats the identity
of its original. Its copies are matched by IPv4 ID, else one by one if both sides have the same
number, else every combination is a candidate and the agreement with other messages decides.

The offset is a straight line over time: crystals differ by up to 200 ppm, or 0.36 s in half an
hour. A capture whose clock was set on the way has no such line, and gets no offset.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from algwatch.sip.timers import SECOND, WINDOW

TOLERANCE = SECOND // 20  # the largest distance of a copy from the line of its offset
CORRECTED = SECOND // 50  # smaller differences need no correction
DELAY = SECOND // 10_000  # a usual way through the router
LONG = 60 * SECOND  # the least time over which a drift is measured
STEEPEST = 1e-3  # drift of no crystal
DRIFTED = 4 * SECOND // 1000  # a smaller effect of a drift is noise
ENOUGH = 4  # points for a slope
STRAY = 10  # one message in so many may lie off the line


class Match:
    """One identity on both sides. candidates: (ns on the WAN clock, LAN less WAN in ns, whether it
    travelled to the WAN, None if the TTL does not tell). copies: the largest number of right
    candidates. exact: no candidate is a guess. proof: this match alone is enough, because IPv4 ID,
    TTL and an endpoint prove its copies to be one datagram."""

    __slots__ = ("candidates", "copies", "exact", "proof")

    def __init__(self, candidates: list[tuple[int, int, bool | None]], copies: int,
                 exact: bool, proof: bool) -> None:  # fmt: skip
        self.candidates = candidates
        self.copies = copies
        self.exact = exact
        self.proof = proof


class Offset:
    """LAN clock less WAN clock. ns: at the middle of the capture (`middle`, ns on the WAN clock).
    drift: ns a ns; 1e-6 is 1 ppm. slope: the same before it is taken for noise. spread: ns, the
    median distance of the pairs from the line. pairs: messages on it. furthest: ns, the
    largest difference in the capture. span: ns between the first and the last pair."""

    __slots__ = ("drift", "furthest", "middle", "ns", "pairs", "slope", "span", "spread")

    def __init__(self, ns: int, drift: float, slope: float, middle: int, spread: int, pairs: int,
                 span: int) -> None:  # fmt: skip
        self.ns = ns
        self.drift = drift
        self.slope = slope
        self.middle = middle
        self.spread = spread
        self.pairs = pairs
        self.span = span
        reach = round(abs(drift) * span / 2)
        self.furthest = abs(ns) + reach

    @property
    def matters(self) -> bool:
        """True if WAN times must be converted to the LAN clock."""
        return self.furthest >= CORRECTED

    def at(self, wan: int) -> int:
        """The offset (ns) at this time of the WAN clock."""
        return self.ns + round(self.drift * (wan - self.middle))

    def lan(self, wan: int) -> int:
        """A time of the WAN clock on the LAN clock (ns). Never before 1970."""
        return max(0, wan + self.at(wan))

    def turned(self) -> Offset:
        """The same with the sides exchanged."""
        drift, slope = (-d / (1 + d) for d in (self.drift, self.slope))
        middle = self.middle + self.ns
        return Offset(-self.ns, drift, slope, middle, self.spread, self.pairs, self.span)


def measure(matches: Sequence[Match]) -> Offset | None:
    """The offset with the most agreeing messages, or None without enough agreement. Captures of one
    clock have an offset of about 0."""
    points = sorted(c for match in matches if match.exact for c in match.candidates)
    if len(points) < ENOUGH:
        points = sorted(c for match in matches for c in match.candidates)
    if not points:
        return None
    middle = (points[0][0] + points[-1][0]) // 2
    slope = _slope(points)
    centre = _densest([d - slope * (at - middle) for at, d, _ in points])
    # A line through 0 wins a tie: a lost copy must not look like a wrong clock.
    still = Offset(0, 0.0, 0.0, middle, 0, 0, 0)
    line = Offset(round(centre), slope, slope, middle, 0, 0, 0)
    best = still if _score(matches, still) >= _score(matches, line) else line
    for _ in range(2):
        best = _fitted(_on(matches, best), best)
    near = [m for m in matches if _is_near(m, best)]
    if not near or not (abs(best.ns) <= WINDOW or _are_enough(near)):
        return None
    stray = sum(1 for m in matches if m.exact and not _is_near(m, best, WINDOW // 2))
    if stray > 1 and stray * STRAY > len(matches):
        return None  # a clock was set on the way
    return best


def _are_enough(near: Sequence[Match]) -> bool:
    """True if messages on a line prove an offset. Repeated ones with lost copies lie on many lines,
    so they count only in numbers."""
    exact = sum(1 for m in near if m.exact)
    whole = any(m.copies > 2 and len(m.candidates) == m.copies for m in near)
    return exact > 1 or whole or len(near) >= ENOUGH or any(m.proof for m in near)


def _slope(points: Sequence[tuple[int, int, bool | None]]) -> float:
    """Theil and Sen: the median of the slopes between points half the capture apart."""
    half = len(points) // 2
    if len(points) < ENOUGH or points[-1][0] - points[0][0] < LONG:
        return 0.0
    slopes = [
        (late[1] - early[1]) / (late[0] - early[0])
        for early, late in zip(points, points[half:], strict=False)
        if late[0] - early[0] >= LONG // 4
    ]
    slope = median(slopes) if slopes else 0.0
    return slope if abs(slope) <= STEEPEST else 0.0


def _densest(values: list[float]) -> float:
    """The middle of the range of 2 * TOLERANCE with the most values; of equal ones the nearest to
    0."""
    values = sorted(values)
    best, centre = 0, 0.0
    for first, value in enumerate(values):
        last = bisect_left(values, value + 2 * TOLERANCE, lo=first)
        middle = values[(first + last - 1) // 2]
        if last - first > best or (last - first == best and abs(middle) < abs(centre)):
            best, centre = last - first, middle
    return centre


def _off(candidate: tuple[int, int, bool | None], line: Offset) -> int:
    return candidate[1] - line.at(candidate[0])


def _is_near(match: Match, line: Offset, tolerance: int = TOLERANCE) -> bool:
    return any(abs(_off(c, line)) <= tolerance for c in match.candidates)


def _score(matches: Sequence[Match], line: Offset) -> float:
    """The number of messages on the line; of a repeated one the part of its copies."""
    score = 0.0
    for match in matches:
        on = sum(1 for c in match.candidates if abs(_off(c, line)) <= TOLERANCE)
        score += min(on, match.copies) / match.copies
    return score


def _on(matches: Sequence[Match], line: Offset) -> list[tuple[int, int, bool | None]]:
    """The candidates on the line, in order of time."""
    return sorted(c for m in matches for c in m.candidates if abs(_off(c, line)) <= TOLERANCE)


def _fitted(points: list[tuple[int, int, bool | None]], before: Offset) -> Offset:
    """The least squares through points near the line before."""
    if not points:
        return before
    middle, span = (points[0][0] + points[-1][0]) // 2, points[-1][0] - points[0][0]
    slope = 0.0
    if len(points) >= ENOUGH and span >= LONG:
        mean_at = sum(at - middle for at, _, _ in points) / len(points)
        mean = sum(d for _, d, _ in points) / len(points)
        square = sum((at - middle - mean_at) ** 2 for at, _, _ in points)
        slope = sum((at - middle - mean_at) * (d - mean) for at, d, _ in points) / square
    drift = slope if abs(slope) * span >= DRIFTED else 0.0
    rest = [(d - drift * (at - middle), out) for at, d, out in points]
    ns = _between([r for r, out in rest if out], [r for r, out in rest if out is False])
    if ns is None:
        ns = median(r for r, _ in rest)
    spread = median(abs(r - ns) for r, _ in rest)
    return Offset(round(ns), drift, slope, middle, round(spread), len(points), span)


def _between(out: list[float], into: list[float]) -> float | None:
    """A message to the WAN is on the LAN first. Its difference is too small by the delay of the
    router, and too large in the other direction. So the middle of both is right."""
    if out and into:
        return (median(out) + median(into)) / 2
    if out or into:
        return median(out) + DELAY if out else median(into) - DELAY
    return None


def median(values: Iterable[float]) -> float:
    """Written here: the module statistics costs a megabyte."""
    values = sorted(values)
    half = len(values) // 2
    return values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2
