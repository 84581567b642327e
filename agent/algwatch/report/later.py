# SPDX-License-Identifier: Apache-2.0
"""Modules that others import at once and hardly ever use: they are loaded when they are asked for
something. A name that nobody has imported by then costs nothing."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class _Later(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # the import system asks for __spec__ and the like
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        real = import_module(self.__name__)
        self.__dict__.update(vars(real))
        return getattr(real, name)


def later(name: str) -> None:
    """The next import of this module, at the top level and of the whole, gets a stand-in that loads
    it when something of it is used; nothing happens where it is loaded already."""
    if name not in sys.modules:
        sys.modules[name] = _Later(name)
