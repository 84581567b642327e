# SPDX-License-Identifier: Apache-2.0
"""Compiles modules to bytecode, run by the Python of a release.
Standard input: lines of source, target, and the source's path on the router, with tabs between.

A router's memory and flash are spared what nothing reads there: docstrings (0.5 MB; those of the
rules stay, since `algwatch explain` prints them), annotations of functions (0.2 MB), and the length
of the tables from bytecode to lines, which the compiler writes an instruction at a time. These
tables follow the module's code in its file, where Python does not look: a traceback reads them
(agent/algwatch/base/tracebacks.py), and memory is spared 0.3 MB.
"""

from __future__ import annotations

import ast
import importlib.util
import marshal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

from firmware.pack import written
from firmware.pack.letters import lettered
from firmware.pack.pooled import FUNCTION, Pool

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


def within(code: CodeType) -> Iterator[CodeType]:
    """The code and all in it, in the order of their tables."""
    yield code
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield from within(one)


def table(code: CodeType) -> bytes:
    made = lines(code)
    if ranges(code.replace(co_linetable=made)) != ranges(code):
        raise ValueError(f"{code.co_filename}, {code.co_qualname}: this Python has other tables")
    return made


def slim(code: CodeType, pool: Pool) -> CodeType:
    """Without lines, with one name; functions with the tuples of the pool, and letters for their
    locals. Those inside, too."""
    inside = (slim(one, pool) if isinstance(one, CodeType) else one for one in code.co_consts)
    made = pool.put(lettered(code)) if code.co_flags & FUNCTION == FUNCTION else code
    if any(isinstance(one, CodeType) for one in code.co_consts):
        made = made.replace(co_consts=tuple(inside))
    return made.replace(co_linetable=b"", co_qualname=code.co_name)


def compiled(source: bytes, shown: str) -> bytes:
    """The content of a .pyc."""
    optimize = 0 if "/diagnose/rules/" in shown else 2
    tree = bare(ast.parse(source, shown))
    code = compile(tree, shown, "exec", dont_inherit=True, optimize=optimize)
    every = list(within(code))
    pool = Pool([one for one in every if one.co_flags & FUNCTION == FUNCTION])
    head = importlib.util.MAGIC_NUMBER + UNCHECKED.to_bytes(4, "little")
    head += importlib.util.source_hash(source)
    tables = marshal.dumps(tuple(table(one) for one in every))
    return head + written.dumps(slim(code, pool)) + tables


def main() -> None:
    for line in sys.stdin:
        path, target, name = line.rstrip("\n").split("\t")
        Path(target).write_bytes(compiled(Path(path).read_bytes(), name))
