# SPDX-License-Identifier: Apache-2.0
"""Compiles modules to bytecode, run by the Python of a release, without anything else of ours.
Standard input: lines of source, target, and the source's path on the router, with tabs between.

A router's memory and flash are spared what nothing reads there: docstrings (0.5 MB; those of the
rules stay, since `algwatch explain` prints them), annotations of functions (0.2 MB), the length
of the tables from bytecode to lines, which the compiler writes an instruction at a time, and equal
constants of the functions in a module.
"""

from __future__ import annotations

import ast
import importlib.util
import marshal
import sys
from pathlib import Path
from types import CodeType
from typing import Any

UNCHECKED = 1  # flags of a .pyc whose source is not looked for (PEP 552)
NO_COLUMNS, NO_LINE = 13, 15  # kinds of entries (CPython, Objects/locations.md)
MOST = 8  # code units of one entry


def bare(tree: ast.Module) -> ast.Module:
    """Without annotations of functions; fields of classes keep theirs."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
    return tree


def signed(value: int) -> bytes:
    """A number of a location table: 6 bits a byte, the lowest first."""
    rest, made = (-value << 1 | 1 if value < 0 else value << 1), bytearray()
    while rest > 63:
        made.append(64 | rest & 63)
        rest >>= 6
    return bytes((*made, rest))


def ranges(code: CodeType) -> list[tuple[int, int, int | None]]:
    """Start and end in the bytecode, and line; neighbours of one line joined."""
    made: list[tuple[int, int, int | None]] = []
    for start, end, line in code.co_lines():
        if made and made[-1][1:] == (start, line):
            made[-1] = (made[-1][0], end, line)
        else:
            made.append((start, end, line))
    return made


def lines(code: CodeType) -> bytes:
    """The table of lines, with one entry for instructions of the same line."""
    made, before = bytearray(), code.co_firstlineno
    for start, end, line in ranges(code):
        for at in range(start, end, 2 * MOST):
            units = min(MOST, (end - at) // 2)
            made.append(128 | (NO_LINE if line is None else NO_COLUMNS) << 3 | units - 1)
            if line is not None:
                made += signed(line - before)
                before = line
    return bytes(made)


def slim(code: CodeType, kept: dict[bytes, object]) -> CodeType:
    """With short tables of lines and one name, in the functions inside as well. kept: tables of the
    module so far; marshal writes an object once, and its bytes tell 1 from True and 1.0."""

    def once(table: Any) -> Any:
        return kept.setdefault(marshal.dumps(table, 2), table)  # version 2: without references

    inside = (slim(one, kept) if isinstance(one, CodeType) else one for one in code.co_consts)
    made = code.replace(
        co_linetable=once(lines(code)), co_consts=once(tuple(inside)), co_qualname=code.co_name
    )
    if ranges(made) != ranges(code):
        raise ValueError(f"{code.co_filename}, {code.co_qualname}: this Python has other tables")
    return made


def compiled(source: bytes, shown: str) -> bytes:
    """The content of a .pyc."""
    optimize = 0 if "/diagnose/rules/" in shown else 2
    tree = bare(ast.parse(source, shown))
    code = slim(compile(tree, shown, "exec", dont_inherit=True, optimize=optimize), {})
    head = importlib.util.MAGIC_NUMBER + UNCHECKED.to_bytes(4, "little")
    return head + importlib.util.source_hash(source) + marshal.dumps(code)


if __name__ == "__main__":
    for line in sys.stdin:
        path, target, name = line.rstrip("\n").split("\t")
        Path(target).write_bytes(compiled(Path(path).read_bytes(), name))
