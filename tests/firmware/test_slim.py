# SPDX-License-Identifier: Apache-2.0
"""Bytecode for routers leaves out what nothing reads there, and still names the line of a bug."""

from __future__ import annotations

import ast
import dis
import marshal
import re
import subprocess
import sys
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))

from firmware.pack import slim  # noqa: E402

AGENT = ROOT / "agent"
START = "import sys; sys.path.insert(0, sys.argv[1]); exec(open(sys.argv[1] + '/script').read())"
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


LOCALS = frozenset(dis.haslocal)
BUG = """
def fails(value):
    inner = lambda: (
        1 //
        value)
    try:
        return inner()
    except ZeroDivisionError as problem:
        raise ValueError("again") from problem
"""


def module(source: str, shown: str = "/usr/lib/x.py") -> dict[str, Any]:
    code = marshal.loads(slim.compiled(source.encode(), shown)[16:])
    scope: dict[str, Any] = {"__name__": "x"}
    exec(code, scope)
    return scope


def run(folder: Path, compiled: bool, words: str) -> str:
    """What Python says of the bug, in a package of the agent that is bytecode or sources."""
    for name in ("__init__", "base/__init__", "base/tracebacks", "bug"):
        source = BUG if name == "bug" else (AGENT / f"algwatch/{name}.py").read_text()
        path = folder / f"algwatch/{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        if compiled:
            data = slim.compiled(source.encode(), str(path))
            path.with_suffix(".pyc").write_bytes(data)
        else:
            path.write_text(source)
    (folder / "script").write_text(
        "from algwatch.base import tracebacks\ntracebacks.install()\n"
        "import threading\ntracebacks.hook_threads(threading)\n"
        "import _thread\nfrom algwatch import bug\n" + words
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", START, folder], text=True,
                          capture_output=True)  # fmt: skip
    return done.stderr


@pytest.mark.parametrize(
    "words",
    [
        "bug.fails(0)",
        "thread = threading.Thread(target=bug.fails, args=(0,), name='t')\n"
        "thread.start()\nthread.join()",
        "before, told = sys.unraisablehook, _thread.allocate_lock()\n"
        "sys.unraisablehook = lambda args: (before(args), told.release())\n"
        "told.acquire()\n_thread.start_new_thread(bug.fails, (0,))\ntold.acquire()",
    ],
)
def test_a_traceback_names_the_lines_that_sources_would(tmp_path: Path, words: str) -> None:
    plain, made = (run(tmp_path / name, name == "made", words) for name in ("plain", "made"))

    def told(text: str) -> list[tuple[str, ...]]:
        return re.findall(r'File ".*/bug.py", line (\d+), in (\S+)', text)

    # Of a thread of its own, Python tells the last exception alone; here the first is told, too.
    assert told(made)[-len(told(plain)) :] == told(plain) != []
    assert ("4", "<lambda>") in told(made)
    assert made.splitlines()[-1] == plain.splitlines()[-1] == "ValueError: again"
    assert made.splitlines()[0].split(" at 0x")[0] == plain.splitlines()[0].split(" at 0x")[0]


def test_the_table_of_lines_is_short() -> None:
    code = compile(SOURCE, "x.py", "exec")
    made = slim.lines(next(one for one in slim.within(code) if one.co_name == "long"))
    plain = next(one for one in slim.within(code) if one.co_name == "long").co_linetable
    assert 0 < len(made) < len(plain) / 2


def test_docstrings_and_annotations_are_left_out_but_not_the_fields_of_a_class() -> None:
    made = module(SOURCE)
    assert made.get("__doc__") is made["long"].__doc__ is None
    assert made["long"].__annotations__ == {}
    assert made["Pair"].__qualname__ == "Pair" and made["long"].__qualname__ == "long"
    assert made["Pair"](1) == (1, "") and made["Pair"].__annotations__["first"] is int


def test_a_rule_keeps_its_docstring() -> None:
    assert module(SOURCE, "/x/diagnose/rules/a/b.py")["__doc__"] == "A module."


def test_functions_share_names_and_constants_and_1_is_not_true() -> None:
    values = (1, True, 1.0, 0.0, -0.0, "x", (1, 2), (True, 2))
    source = "\n".join(
        f"def f{n}(a, b=0): return g(a, {c!r}, x.y{n})" for n, c in enumerate(values)
    )
    made = module(source)
    made |= {"g": lambda *given: given[1], "x": type("x", (), {f"y{n}": n for n in range(9)})}
    codes = [made[f"f{n}"].__code__ for n in range(len(values))]
    assert len({id(code.co_names) for code in codes}) == 1 and "y7" in codes[0].co_names
    assert len({id(code.co_consts) for code in codes}) == 1
    assert len({id(code._varname_from_oparg(0)) for code in codes}) == 1
    assert [repr(made[f"f{n}"](0)) for n in range(len(values))] == [repr(one) for one in values]


NAMED = (
    """
def plain(a, /, given, *rest, word=1, **more):
    first, second = given, word
    return [first + second, *rest], a, sorted(more)

def shared(value):
    total, step = value, 2
    def inside():
        nonlocal total
        total += 1
        return total
    return inside() * step

def reader(value):
    other = value
    return locals()

def many(value):
    """
    + "\n    ".join(f"x{n} = value + {n}" for n in range(60))
    + """
    return x0, x59
"""
)


def test_locals_are_letters_but_for_what_is_read_by_name() -> None:
    made = module(NAMED)
    assert made["plain"](1, given=2, word=3, z=4) == ([5], 1, ["z"])
    assert made["plain"](1, 2, 5) == ([3, 5], 1, [])
    assert made["shared"](3) == 8 and made["many"](1) == (1, 60)
    assert made["reader"](7) == {"value": 7, "other": 7}
    kept = made["plain"].__code__.co_varnames
    assert kept[:7] == ("a", "given", "word", "rest", "more", "b", "c")
    code = made["shared"].__code__
    assert (code.co_varnames[0], code.co_cellvars) == ("value", ("total",))
    assert "step" not in code.co_varnames
    names = made["many"].__code__.co_varnames
    assert names[1] == "a" and len(set(names)) == len(names) == 61


def test_more_names_than_an_instruction_can_number_are_left_to_their_functions() -> None:
    source = "\n".join(
        f"def f{n}(a): return ({', '.join(f'g{n}_{k}(a).h{k}' for k in range(60))})"
        for n in range(9)
    )
    made = module(source)
    plain: dict[str, Any] = {"__name__": "x"}
    exec(source, plain)
    for n in range(9):
        assert shown(made[f"f{n}"].__code__) == shown(plain[f"f{n}"].__code__)
    assert made["f0"].__code__.co_names is not made["f8"].__code__.co_names


@pytest.mark.parametrize("name", ["sip/message", "compare/pairing", "report/mqtt", "start"])
def test_every_instruction_names_what_the_compiler_meant(name: str) -> None:
    source = (AGENT / f"algwatch/{name}.py").read_bytes()
    tree = slim.bare(ast.parse(source))
    plain = compile(tree, "x.py", "exec", dont_inherit=True, optimize=2)
    made = marshal.loads(slim.compiled(source, "x.py")[16:])
    for one, other in zip(slim.within(made), slim.within(plain), strict=True):
        assert shown(one) == shown(other)


def shown(code: CodeType) -> list[tuple[int, str, str]]:
    """A local by its number, which its name follows."""
    return [(one.offset, one.opname, str(one.arg) if one.opcode in LOCALS
             else re.sub(r" at 0x\w+", "", one.argrepr))
            for one in dis.get_instructions(code) if one.opname != "EXTENDED_ARG"]  # fmt: skip


@pytest.mark.parametrize("value", [0, 1, -1, 31, 32, -32, 63, 64, 5000, -5000])
def test_a_number_is_read_as_written(value: int) -> None:
    made = slim.signed(value)
    read = sum((byte & 63) << 6 * place for place, byte in enumerate(made))
    assert (-(read >> 1) if read & 1 else read >> 1) == value
    assert all(byte & 64 for byte in made[:-1]) and not made[-1] & 64
