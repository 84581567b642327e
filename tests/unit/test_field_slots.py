# SPDX-License-Identifier: Apache-2.0
"""native/field.h finds a header field by a slot of its name's first three letters: no two may share
one, or the other field is never read where it is written the plain way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

import pytest

FIELD_H = Path(__file__).resolve().parents[2] / "native" / "field.h"
HOW = "docs/native.md, To add a header field"
Multipliers = tuple[int, ...]


class Field(NamedTuple):
    """One line of AW_FIELDS. letters: of its slot, "" where that is NEXT; first: the next field has
    the same first three letters."""

    first: bool
    member: str
    name: str
    letters: str


def fields(text: str) -> list[Field]:
    line = re.compile(r"""(FIELD|FIRST)\((\w+), "([^"]+)", (?:'\w'|0), (NEXT|SLOT\([^)]*\))""")
    found = [
        Field(first == "FIRST", member, name, "".join(re.findall(r"'(.)'", slot)))
        for first, member, name, slot in line.findall(text)
    ]
    assert found
    return found


def multipliers(text: str) -> Multipliers:
    found = re.search(r"#define SLOT\(a, b, c\) (.*)", text)
    assert found
    shape = re.fullmatch(r"\(\(\(a\) \+ (\d+) \* \(b\) \+ (\d+) \* \(c\)\) & 31\)", found[1])
    assert shape, f"this test does not know {found[1]}"
    return 1, int(shape[1]), int(shape[2])


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
    by, known, before = multipliers(text), list[str](), None
    for field in fields(text):
        first_three = f"{field.name}:"[:3]
        if field.member.lower().replace("_", "-") != field.name:
            yield f"{field.member} is not the name {field.name} ({HOW})"
        if field.letters:
            known.append(field.letters)
        elif before is None or not before.first or first_three != f"{before.name}:"[:3]:
            yield f"{field.name} has no slot, so that it is not read ({HOW})"
        if field.letters and field.letters != first_three:
            yield f"{field.name} has the slot of {field.letters}, so that it is not read ({HOW})"
        before = field
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


def header(*names: str, first: str = "FIELD", slots: bool = True) -> str:
    lines = ["#define SLOT(a, b, c) (((a) + 8 * (b) + 4 * (c)) & 31)"]
    for name in names:
        three = ", ".join(f"'{letter}'" for letter in f"{name}:"[:3])
        member = name.upper().replace("-", "_")
        place = f"SLOT({three})" if slots else "NEXT"
        lines.append(f'{first}({member}, "{name}", 0, {place}, TEXT({member.lower()}))')
    return "\n".join(lines)


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
    assert told.startswith("via has no slot, so that it is not read")
    for first, names in (("FIELD", ("contact", "content-type")), ("FIRST", ("contact", "cseq"))):
        text = header(names[0], first=first) + "\n" + header(names[1], slots=False)
        assert len(list(problems(text))) == 1


def test_a_name_in_the_slot_of_another_is_told() -> None:
    (told,) = problems(header("via").replace("'v'", "'w'"))
    assert told.startswith("via has the slot of wia")
    (told,) = problems(header("via").replace("VIA,", "VAI,"))
    assert told.startswith("VAI is not the name via")
