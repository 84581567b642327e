"""native/field.h finds a header field by a slot of its name's first three letters: no two may share
one, or the other field is never read where it is written the plain way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

FIELD_H = Path(__file__).resolve().parents[2] / "native" / "field.h"
HOW = "docs/native.md, To add a header field"
Multipliers = tuple[int, ...]


def names(text: str) -> list[str]:
    """Of enum field, but for F_OTHER: F_CALL_ID is "call-id"."""
    found = re.search(r"enum field \{(.*?)\};", text, re.DOTALL)
    assert found
    members = re.findall(r"\bF_(\w+)", found[1])
    assert members[0] == "OTHER"
    return [member.lower().replace("_", "-") for member in members[1:]]


def multipliers(text: str) -> Multipliers:
    found = re.search(r"#define SLOT\(a, b, c\) (.*)", text)
    assert found
    shape = re.fullmatch(r"\(\(\(a\) \+ (\d+) \* \(b\) \+ (\d+) \* \(c\)\) & 31\)", found[1])
    assert shape, f"this test does not know {found[1]}"
    return 1, int(shape[1]), int(shape[2])


def listed(text: str) -> list[str]:
    """The letters that have a slot, in order."""
    return ["".join(three) for three in re.findall(r"\[SLOT\('(.)', '(.)', '(.)'\)\] = F_", text)]


def slot(letters: str, by: Multipliers) -> int:
    return sum(ord(letter) * factor for letter, factor in zip(letters, by, strict=True)) & 31


def others(letters: list[str]) -> list[Multipliers]:
    """Multipliers under which each has a slot of its own, the smallest first. The first one is 1:
    an odd factor of all three changes nothing."""
    found = ((1, b, c) for b, c in product(range(32), repeat=2))
    return sorted((by for by in found if apart(letters, by)), key=sum)


def apart(letters: list[str], by: Multipliers) -> bool:
    return len({slot(three, by) for three in letters}) == len(letters)


def problems(text: str) -> Iterator[str]:
    known, by = listed(text), multipliers(text)
    for name in names(text):
        if f"{name}:"[:3] not in known:
            yield f"{name} has no slot in likely_field, so that it is not read ({HOW})"
    for number, one in enumerate(known):
        for other in known[:number]:
            if slot(one, by) == slot(other, by):
                yield (
                    f'names that begin with "{other}" and "{one}" have the same slot '
                    f"{slot(one, by)}, so that the first is not read ({HOW}); multipliers that "
                    f"keep all apart: {others(known)[:3]}"
                )


def test_no_two_header_fields_share_a_slot() -> None:
    assert list(problems(FIELD_H.read_text())) == []


SMALL = """
enum field {{ F_OTHER, {fields} }};
#define SLOT(a, b, c) (((a) + 8 * (b) + 4 * (c)) & 31)
{slots}
"""


def header(*names: str, slots: bool = True) -> str:
    fields = ", ".join(f"F_{name.upper().replace('-', '_')}" for name in names)
    three = [", ".join(f"'{letter}'" for letter in f"{name}:"[:3]) for name in names if slots]
    return SMALL.format(fields=fields, slots="\n".join(f"[SLOT({one})] = F_X," for one in three))


@pytest.mark.parametrize(
    ("one", "other"),
    [("server", "subject"), ("call-id", "supported"), ("route", "require"), ("from", "refer-to"),
     ("expires", "accept")],
)  # fmt: skip
def test_two_names_in_one_slot_are_told(one: str, other: str) -> None:
    (told,) = problems(header("via", one, other))
    assert f'"{one[:3]}" and "{other[:3]}" have the same slot' in told
    first = others(["via", one[:3], other[:3]])[0]
    assert apart(["via", one[:3], other[:3]], first) and str(first) in told


def test_a_name_without_a_slot_is_told() -> None:
    assert list(problems(header("via", "to"))) == []
    (told,) = problems(header("via", slots=False))
    assert told.startswith("via has no slot in likely_field, so that it is not read")
