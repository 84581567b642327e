# SPDX-License-Identifier: Apache-2.0
"""Lines of a traceback. A package's modules are loaded without their tables from bytecode to lines,
which follow the code in each file (firmware/pack/slim.py): 0.3 MB that only a bug asks for."""

from __future__ import annotations

import marshal
import sys
from types import CodeType, TracebackType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Told = tuple[type[BaseException], BaseException, TracebackType | None]

HEAD = 16  # bytes of a .pyc before its code (PEP 552)


def install() -> None:
    """What Python prints of an exception that nothing caught names lines, in each thread; without
    a package it does so already."""
    if install.__code__.co_linetable:
        return
    sys.excepthook = _tell
    sys.unraisablehook = _unraised


def hook_threads(threading: Any) -> None:
    """Likewise for threads of the module `threading`."""
    if not install.__code__.co_linetable:
        threading.excepthook = _in_thread


def with_lines(problem: BaseException) -> BaseException:
    """The same exception; its tracebacks, and those of what it came from, name lines."""
    known: list[BaseException] = []
    waiting: list[BaseException | None] = [problem]
    while waiting:
        one = waiting.pop()
        if one is not None and all(one is not other for other in known):
            known.append(one)
            waiting += one.__cause__, one.__context__
            one.__traceback__ = _lined(one.__traceback__)
    return problem


def _tell(kind: Any, problem: Any, trace: Any) -> None:
    try:
        if problem is not None:
            trace = with_lines(problem.with_traceback(trace)).__traceback__
    finally:
        sys.__excepthook__(kind, problem, trace)


def _unraised(args: Any) -> None:
    print(f"{args.err_msg or 'Exception ignored in'}: {args.object!r}", file=sys.stderr)
    _tell(args.exc_type, args.exc_value, args.exc_traceback)


def _in_thread(args: Any) -> None:
    if args.exc_type is not SystemExit:
        name = args.thread.name if args.thread is not None else "?"
        print(f"Exception in thread {name}:", file=sys.stderr)
        _tell(args.exc_type, args.exc_value, args.exc_traceback)


def _lined(trace: TracebackType | None) -> TracebackType | None:
    if trace is None:
        return None
    rest: list[TracebackType] = []
    while trace is not None:
        rest.append(trace)
        trace = trace.tb_next
    made = None
    for one in reversed(rest):
        frame = one.tb_frame
        line: int | None = one.tb_lineno
        if line is None or line < 0:
            line = _line(frame.f_code, frame.f_globals.get("__name__", ""), one.tb_lasti)
        made = TracebackType(made, frame, one.tb_lasti, line)
    return made


def _line(code: CodeType, module: str, at: int) -> int:
    """Of the instruction at a place in the bytecode; that of the function where no file tells."""
    try:
        table = _table(code, module)
    except (OSError, ValueError, EOFError, TypeError):
        table = None
    if table is not None:
        for start, end, line in code.replace(co_linetable=table).co_lines():
            if start <= at < end and line is not None:
                return line
    return code.co_firstlineno


def _table(code: CodeType, module: str) -> bytes | None:
    """Its table, from the file of its module."""
    parent, _, name = module.rpartition(".")
    package = sys.modules.get(module)
    paths = getattr(package, "__path__", None)
    if paths:
        path = f"{paths[0]}/__init__.pyc"
    else:
        path = f"{sys.modules[parent].__path__[0]}/{name}.pyc" if parent in sys.modules else ""
    with open(path, "rb") as file:
        file.seek(HEAD)
        every = [marshal.load(file)]
        tables: tuple[bytes, ...] = marshal.load(file)
    for table in tables:  # in the order of the codes
        one = every.pop(0)
        if _same(one, code):
            return table
        every[:0] = [inside for inside in one.co_consts if isinstance(inside, CodeType)]
    return None


def _same(one: CodeType, other: CodeType) -> bool:
    return (one.co_firstlineno, one.co_name, one.co_code) == (
        other.co_firstlineno, other.co_name, other.co_code)  # fmt: skip
