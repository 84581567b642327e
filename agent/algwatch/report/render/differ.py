# SPDX-License-Identifier: Apache-2.0
"""The differing lines of two copies of a message."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import zip_longest

Pair = tuple[str, str]  # as it entered, as it left; "" for a missing line
_Part = tuple[int, int, int, int]  # begin and end in before, begin and end in after

SHOWN = 24  # pairs kept of one message
DEPTH = 4  # rounds of alignment within a part


def differing_lines(entered: bytes, left: bytes) -> tuple[Pair, ...]:
    """Pairs of lines in order. Bytes outside UTF-8 become \\xNN; at most SHOWN pairs."""
    return tuple([pair for pair in aligned_lines(entered, left) if pair[0] != pair[1]][:SHOWN])


def aligned_lines(entered: bytes, left: bytes) -> list[Pair]:
    """All lines of both copies, side by side; an unchanged line is a pair of equals."""
    before, after = _lines(entered), _lines(left)
    if len(before) == len(after):
        return list(zip(before, after, strict=True))
    pairs: list[Pair] = []
    at = 0
    for i, i_end, j, j_end in _parts(before, after, (0, len(before), 0, len(after)), DEPTH):
        pairs += [(line, line) for line in before[at:i]]
        pairs += zip_longest(before[i:i_end], after[j:j_end], fillvalue="")
        at = i_end
    return pairs + [(line, line) for line in before[at:]]


def _parts(before: list[str], after: list[str], whole: _Part, depth: int) -> Iterator[_Part]:
    """The differing parts of `whole`, in order. Between them lie lines that occur once in both
    copies and stand in the same order, and the equal lines next to these; then the same within each
    part, `depth` times. Time in proportion to n log n; difflib can be cubic, two seconds for 200
    lines."""
    i, i_end, j, j_end = _trimmed(before, after, whole)
    common = _common(before[i:i_end], after[j:j_end]) if depth else []
    if not common:
        if i < i_end or j < j_end:
            yield i, i_end, j, j_end
        return
    at, at_after = i, j
    for line, line_after in [*common, (i_end - i, j_end - j)]:
        yield from _parts(before, after, (at, i + line, at_after, j + line_after), depth - 1)
        at, at_after = i + line + 1, j + line_after + 1


def _trimmed(before: list[str], after: list[str], part: _Part) -> _Part:
    """The part without the equal lines at both of its ends."""
    i, i_end, j, j_end = part
    while i < i_end and j < j_end and before[i] == after[j]:
        i, j = i + 1, j + 1
    while i < i_end and j < j_end and before[i_end - 1] == after[j_end - 1]:
        i_end, j_end = i_end - 1, j_end - 1
    return i, i_end, j, j_end


def _common(before: list[str], after: list[str]) -> list[tuple[int, int]]:
    """Places in before and after of the lines that occur once in both: the most in the same order
    (patience sorting)."""
    places = _once(after)
    pairs = [(i, places[line]) for line, i in _once(before).items() if line in places]
    lowest: list[int] = []  # the place in after: the lowest end of a run of this length
    ends: list[int] = []  # index of that pair
    previous: list[int] = []
    for index, (_, place) in enumerate(pairs):
        size = bisect_left(lowest, place)
        previous.append(ends[size - 1] if size else -1)
        lowest[size : size + 1] = [place]
        ends[size : size + 1] = [index]
    found = []
    index = ends[-1] if ends else -1
    while index >= 0:
        found.append(pairs[index])
        index = previous[index]
    return found[::-1]


def _once(lines: list[str]) -> dict[str, int]:
    """The places of the lines that occur once, in order."""
    places: dict[str, int] = {}
    for place, line in enumerate(lines):
        places[line] = -1 if line in places else place
    return {line: place for line, place in places.items() if place >= 0}


def changed_part(before: str, after: str) -> tuple[int, int, int]:
    """The differing part of two lines: start, end in before, end in after. Whole numbers and
    names."""
    start = 0
    shortest = min(len(before), len(after))
    while start < shortest and before[start] == after[start]:
        start += 1
    end = 0
    while end < shortest - start and before[-1 - end] == after[-1 - end]:
        end += 1
    # Half an address is useless: grow to its borders.
    while start and _is_word(before[start - 1]):
        start -= 1
    while end and _is_word(before[len(before) - end]):
        end -= 1
    return start, len(before) - end, len(after) - end


def field_of(line: str) -> str:
    """Contact of "Contact: <sip:...>", c= of "c=IN IP4 ..."."""
    if line.startswith("SIP/2.0 ") or line.endswith(" SIP/2.0"):
        return "start line"
    for end, character in enumerate(line[:24]):
        if character == ":":
            return line[:end]
        if character == "=":
            return line[: end + 1]
    return ""


def _is_word(character: str) -> bool:
    return character.isalnum() or character in ".:"


def _lines(payload: bytes) -> list[str]:
    return payload.decode("utf-8", "backslashreplace").replace("\r\n", "\n").split("\n")
