# SPDX-License-Identifier: Apache-2.0
"""One tuple of names and one of constants for the functions of a module, where the compiler makes
both for each function. An instruction names its entry by number, so the numbers are written anew;
no instruction changes its length. A function whose numbers do not fit keeps its own tuples.
"""

from __future__ import annotations

import dis
import sys
from collections import Counter
from collections.abc import Iterator
from types import CodeType
from typing import Any, NamedTuple

FUNCTION = 3  # CO_OPTIMIZED | CO_NEWLOCALS: not a module, not the body of a class
DOCUMENTED = 0x4000000 if sys.version_info >= (3, 13) else -1  # CO_HAS_DOCSTRING; none before 3.13
WIDE = dis.opmap["EXTENDED_ARG"]
CONSTANTS = frozenset(dis.hasconst)


def _shift(op: int) -> int:
    """Bits below the number of a name in the argument of an instruction, as `dis` reads it."""
    # Behind it is room for its caches.
    names = tuple(f"n{number}" for number in range(9))
    made = compile("", "", "exec").replace(co_code=bytes((op, 8)) + bytes(40), co_names=names)
    return {"n8": 0, "n4": 1, "n2": 2}[next(iter(dis.get_instructions(made))).argval]


SHIFTS = {op: _shift(op) for op in dis.hasname if op < 256}  # the others are the compiler's own


class Use(NamedTuple):
    """An instruction that names an entry. at: of its code unit; wide: units of EXTENDED_ARG before
    it; low: the bits below the number."""

    at: int
    wide: int
    op: int
    number: int
    low: int


def uses(code: CodeType) -> Iterator[Use]:
    units, value, wide = code.co_code, 0, 0
    for at in range(0, len(units), 2):
        op, value = units[at], value << 8 | units[at + 1]
        if op == WIDE:
            wide += 1
            continue
        if op in SHIFTS:
            shift = SHIFTS[op]
            yield Use(at, wide, op, value >> shift, value & (1 << shift) - 1)
        elif op in CONSTANTS:
            yield Use(at, wide, op, value, 0)
        value = wide = 0


def _named(code: CodeType) -> list[tuple[int, int, object]]:
    """What each instruction names, to compare."""
    return [
        (use.at, use.low, code.co_names[use.number] if use.op in SHIFTS
         else key(code.co_consts[use.number]))
        for use in uses(code)
    ]  # fmt: skip


def key(constant: Any) -> object:
    """Tells 1 from True and 1.0, and -0.0 from 0.0; a code object is itself."""
    return id(constant) if isinstance(constant, CodeType) else repr(constant)


class Pool:
    """Tuples of a module; functions: all codes in it."""

    def __init__(self, functions: list[CodeType]) -> None:
        found: Counter[str] = Counter()
        constants: dict[object, Any] = {key(None): None}
        for code in functions:
            for use in uses(code):
                if use.op in SHIFTS:
                    # Few bits are left for the numbers of these, so they come first.
                    name = code.co_names[use.number]
                    found[name] += 1 + 10000 * (SHIFTS[use.op] > 0)
            if _may_share(code):
                for one in code.co_consts:
                    constants.setdefault(key(one), one)
        self.names = tuple(name for name, _ in sorted(found.items(), key=lambda x: (-x[1], x[0])))
        self.constants = tuple(constants.values())
        self._names = {name: number for number, name in enumerate(self.names)}
        self._constants = {name: number for number, name in enumerate(constants)}

    def put(self, code: CodeType) -> CodeType:
        """The function with the tuples of the pool, or as it is where they do not fit."""
        units = bytearray(code.co_code)
        share = _may_share(code)
        for use in uses(code):
            if use.op in SHIFTS:
                number = self._names[code.co_names[use.number]]
                value = number << SHIFTS[use.op] | use.low
            else:
                constant = code.co_consts[use.number]
                value = self._constants[key(constant)] if share else use.number
            for back in range(use.wide + 1):
                units[use.at + 1 - 2 * back] = value & 255
                value >>= 8
            if value:
                return code
        constants = self.constants if share else code.co_consts
        made = code.replace(co_code=bytes(units), co_names=self.names, co_consts=constants)
        if _named(made) != _named(code):
            raise ValueError(f"{code.co_filename}, {code.co_name}: this Python numbers otherwise")
        return made


def _may_share(code: CodeType) -> bool:
    """Not with a docstring, which is the first constant, nor with a function inside: it would be
    part of its own constants."""
    constants = code.co_consts
    documented = constants and isinstance(constants[0], str) and code.co_flags & DOCUMENTED
    return not documented and not any(isinstance(one, CodeType) for one in constants)
