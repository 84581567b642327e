# SPDX-License-Identifier: Apache-2.0
"""What imports leave behind and nothing reads in a daemon. Let go of early, it makes room for the
modules that are loaded next; let go of at the end, for the tables (docs/decisions/0016)."""

from __future__ import annotations

import gc
import sys
from types import FunctionType

FROZEN = "<frozen "  # part of the interpreter's file: a copy in memory would be larger


def drop_texts() -> None:
    """Docstrings of everything loaded, and the names of OpenSSL's 1,700 errors: its own sentence
    about each stays."""
    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", None)
        if not isinstance(names, dict) or "__doc__" not in names:
            continue
        names["__doc__"] = None
        home = names.get("__name__")
        for one in list(names.values()):
            if getattr(one, "__module__", None) == home:
                _without_text(one)
    ssl = sys.modules.get("_ssl")
    for name in ("err_codes_to_names", "err_names_to_codes"):
        getattr(ssl, name, {}).clear()


def _without_text(one: object) -> None:
    if isinstance(one, FunctionType):
        code, text = one.__code__, one.__doc__
        if text and code.co_consts[:1] == (text,) and not code.co_filename.startswith(FROZEN):
            # The first constant is the docstring, and nothing else where it has several lines.
            if "\n" in text:
                one.__code__ = code.replace(co_consts=(None, *code.co_consts[1:]))
            one.__doc__ = None
    elif isinstance(one, type) and one.__flags__ & _KINDS == _OF_PYTHON:
        if one.__doc__:
            one.__doc__ = None
        for inside in vars(one).values():
            if isinstance(inside, FunctionType):
                _without_text(inside)


_KINDS, _OF_PYTHON = 3 << 8, 2 << 8  # Py_TPFLAGS_HEAPTYPE, and not Py_TPFLAGS_IMMUTABLETYPE


def drop_imports() -> None:
    """How modules were found, and the compiler of regular expressions, which are all compiled by
    now: whoever looks for it again, under any name, loads a new one."""
    sys.path_importer_cache.clear()
    known = [name for name in sys.modules if name == "re" or name.startswith("re.")]
    gone = [vars(sys.modules.pop(name)) for name in known]
    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", {})
        if "__path__" not in names:  # a package is asked for where its modules are
            for name in ("__spec__", "__loader__", "__cached__", "__file__"):
                if name in names:
                    names[name] = None
    for emptied in gone:
        emptied.clear()  # copyreg keeps a function of it
        emptied["__getattr__"] = _from_a_new_one
    gc.collect()


def _from_a_new_one(name: str) -> object:
    from importlib import import_module

    return getattr(import_module("re"), name)
