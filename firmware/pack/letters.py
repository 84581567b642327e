# SPDX-License-Identifier: Apache-2.0
"""Names of local variables, which only a debugger reads: a traceback prints none. Letters in their
place spare a router some 300 names, and functions with as many variables share one tuple of them.
What is called, captured or looked up by its name keeps it. The price: an UnboundLocalError tells
its letter, beside the line.
"""

from __future__ import annotations

from itertools import chain, count
from string import ascii_letters
from types import CodeType

VARIADIC = 4, 8  # CO_VARARGS, CO_VARKEYWORDS
READERS = {"locals", "eval", "exec", "vars", "dir", "f_locals"}  # of locals by their names


def lettered(code: CodeType) -> CodeType:
    """A function with letters for its locals, by slot; arguments, and variables that functions
    inside share with it, keep their names. One that may read its locals by name stays as it is."""
    if not READERS.isdisjoint(code.co_names):
        return code
    given = code.co_argcount + code.co_kwonlyargcount
    given += sum(bool(code.co_flags & flag) for flag in VARIADIC)
    kept = {*code.co_varnames[:given], *code.co_cellvars, *code.co_freevars}
    letters = (name for name in chain(ascii_letters, map("a{}".format, count()))
               if name not in kept)  # fmt: skip
    names = tuple(name if name in kept else next(letters) for name in code.co_varnames)
    return code.replace(co_varnames=names)
