# SPDX-License-Identifier: Apache-2.0
"""The lines in which two copies of a message differ."""

from __future__ import annotations

from difflib import SequenceMatcher

Pair = tuple[str, str]  # as it entered, as it left; "" where there is no such line

LONGEST = 400  # lines of a message that are matched when their number differs
SHOWN = 24  # pairs of one message that are kept


def differing_lines(entered: bytes, left: bytes) -> tuple[Pair, ...]:
    """Pairs of lines in order. Bytes that are not UTF-8 come out as \\xNN; at most SHOWN pairs."""
    before, after = _lines(entered), _lines(left)
    if len(before) == len(after):
        pairs = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
        return tuple(pairs[:SHOWN])
    matcher = SequenceMatcher(None, before[:LONGEST], after[:LONGEST], autojunk=False)
    pairs = []
    for tag, i, i_end, j, j_end in matcher.get_opcodes():
        if tag == "equal":
            continue
        gone, come = before[i:i_end], after[j:j_end]
        size = max(len(gone), len(come))
        gone += [""] * (size - len(gone))
        come += [""] * (size - len(come))
        pairs += list(zip(gone, come, strict=True))
    return tuple(pairs[:SHOWN])


def changed_part(before: str, after: str) -> tuple[int, int, int]:
    """Where two lines differ: start, end in before, end in after. Whole numbers and names."""
    start = 0
    shortest = min(len(before), len(after))
    while start < shortest and before[start] == after[start]:
        start += 1
    end = 0
    while end < shortest - start and before[-1 - end] == after[-1 - end]:
        end += 1
    # Half an address tells nothing: grow to its borders.
    while start and _is_word(before[start - 1]):
        start -= 1
    while end and _is_word(before[len(before) - end]):
        end -= 1
    return start, len(before) - end, len(after) - end


def _is_word(character: str) -> bool:
    return character.isalnum() or character in ".:"


def _lines(payload: bytes) -> list[str]:
    return payload.decode("utf-8", "backslashreplace").replace("\r\n", "\n").split("\n")
