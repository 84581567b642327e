# SPDX-License-Identifier: Apache-2.0
"""Bytecode for routers leaves out what nothing reads there, and still names the line of a bug."""

from __future__ import annotations

import marshal
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))

from firmware.pack import slim  # noqa: E402

LONG = "".join(f"    value = value * 2 + {n} - len(str(value))\n" for n in range(300))
SOURCE = f'''"""A module."""
from typing import NamedTuple

class Pair(NamedTuple):
    """Two."""
    first: int
    second: str = ""

def long(value: int, *rest: "No", word: "No" = None) -> int:
    """Long."""
{LONG}
    for n in range(
        3
    ):
        try:
            value += (
                1 // (2 - n))
        finally:
            value += 1
    return value
'''


def module(source: str, shown: str = "/usr/lib/x.py") -> dict[str, Any]:
    code = marshal.loads(slim.compiled(source.encode(), shown)[16:])
    scope: dict[str, Any] = {"__name__": "x"}
    exec(code, scope)
    return scope


def lines_of_failure(function: Any) -> list[int | None]:
    try:
        function(1)
    except ZeroDivisionError as problem:
        return [frame.lineno for frame in traceback.extract_tb(problem.__traceback__)][1:]
    raise AssertionError("it did not fail")


def test_a_traceback_names_the_line_that_the_compiler_gave() -> None:
    plain: dict[str, Any] = {"__name__": "x"}
    exec(compile(SOURCE, "x.py", "exec"), plain)
    made = module(SOURCE)
    assert lines_of_failure(made["long"]) == lines_of_failure(plain["long"])
    assert len(made["long"].__code__.co_linetable) < len(plain["long"].__code__.co_linetable) / 2


def test_docstrings_and_annotations_are_left_out_but_not_the_fields_of_a_class() -> None:
    made = module(SOURCE)
    assert made.get("__doc__") is made["long"].__doc__ is None
    assert made["long"].__annotations__ == {}
    assert made["Pair"].__qualname__ == "Pair" and made["long"].__qualname__ == "long"
    assert made["Pair"](1) == (1, "") and made["Pair"].__annotations__["first"] is int


def test_a_rule_keeps_its_docstring() -> None:
    assert module(SOURCE, "/x/diagnose/rules/a/b.py")["__doc__"] == "A module."


def test_equal_constants_of_functions_are_kept_once_and_1_is_not_true() -> None:
    source = "\n".join(f"def f{n}(): return f(0, {c!r}, 'x')" for n, c in enumerate((1, True, 1)))
    made = module(source)
    first, other, third = (made[f"f{n}"].__code__.co_consts for n in range(3))
    assert first is third and first == other
    assert [type(one) for one in first[:3]] != [type(one) for one in other[:3]]


@pytest.mark.parametrize("value", [0, 1, -1, 31, 32, -32, 63, 64, 5000, -5000])
def test_a_number_is_read_as_written(value: int) -> None:
    made = slim.signed(value)
    read = sum((byte & 63) << 6 * place for place, byte in enumerate(made))
    assert (-(read >> 1) if read & 1 else read >> 1) == value
    assert all(byte & 64 for byte in made[:-1]) and not made[-1] & 64
