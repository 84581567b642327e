# SPDX-License-Identifier: Apache-2.0
"""pytest plugin: one module is imported as one of its mutants (ALGWATCH_MUTANT=module:number)."""

from __future__ import annotations

import ast
import importlib.machinery
import os
import sys
from collections.abc import Sequence
from types import CodeType, ModuleType

from mutation.mutants import mutants


class _Loader(importlib.machinery.SourceFileLoader):
    number = 0

    def get_code(self, fullname: str) -> CodeType:
        with open(self.path, encoding="utf-8") as file:
            tree = mutants(file.read())[self.number].tree
        return compile(ast.fix_missing_locations(tree), str(self.path), "exec")


class _Finder(importlib.machinery.PathFinder):
    name = ""

    @classmethod
    def find_spec(
        cls, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != cls.name:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        assert spec is not None and spec.origin is not None
        spec.loader = _Loader(fullname, spec.origin)
        return spec


_Finder.name, _, _number = os.environ["ALGWATCH_MUTANT"].partition(":")
_Loader.number = int(_number)
assert _Finder.name not in sys.modules, "imported already"
sys.meta_path.insert(0, _Finder)
