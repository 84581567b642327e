# SPDX-License-Identifier: Apache-2.0
"""The OpenWrt Makefile of a package, read by `make package` too: one source for both.

Understood is what our Makefiles use: `NAME:=value` (with backslashes at the ends of lines) and
`define Package/NAME[/part] … endef`. Anything conditional in these is refused.
"""

from __future__ import annotations

import re
from pathlib import Path

_SET = re.compile(r"^\s*([A-Za-z0-9_-]+)\s*:?=\s*(.*)$")


class RecipeError(Exception):
    """The Makefile has something that is not understood; the text names it."""


class Recipe:
    """name: of the package, which may differ from that of its folder."""

    def __init__(self, makefile: Path) -> None:
        self._path = makefile
        self.sets: dict[str, str] = {}
        self._parts: dict[str, str] = {}
        inside = ""
        for line in makefile.read_text().replace("\\\n", " ").splitlines():
            if line.startswith("define "):
                inside = line.split()[1]
                self._parts[inside] = ""
            elif line == "endef":
                inside = ""
            elif inside:
                self._parts[inside] += line + "\n"
            elif line.startswith(("ifeq", "ifneq", "ifdef", "ifndef")):
                raise RecipeError(f"{makefile}: {line}: conditions are not understood")
            else:
                self._note(line, self.sets)
        self.fields: dict[str, str] = {}
        self.name = self._named()

    def _named(self) -> str:
        names = [part.split("/")[1] for part in self._parts if re.fullmatch("Package/[^/]+", part)]
        if len(names) != 1:
            raise RecipeError(f"{self._path}: defines {len(names)} packages instead of one")
        for line in self._parts[f"Package/{names[0]}"].splitlines():
            self._note(line, self.fields)
        return names[0]

    def _note(self, line: str, into: dict[str, str]) -> None:
        found = _SET.match(line)
        if found:
            into[found[1]] = " ".join(found[2].split())

    def part(self, name: str) -> str:
        """The text of `define Package/<name of the package>/name`, or nothing."""
        return self._parts.get(f"Package/{self.name}/{name}", "")

    @property
    def version(self) -> str:
        return f"{self.sets['PKG_VERSION']}-r{self.sets['PKG_RELEASE']}"

    @property
    def depends(self) -> list[str]:
        """The packages that must be installed with it."""
        names = self.fields.get("DEPENDS", "").split()
        odd = [name for name in names if not re.fullmatch(r"\+[a-z0-9.+-]+", name)]
        if odd:
            raise RecipeError(f"{self._path}: DEPENDS: {odd[0]} is not understood")
        return [name[1:] for name in names]

    @property
    def conffiles(self) -> list[str]:
        return self.part("conffiles").split()

    @property
    def description(self) -> str:
        return " ".join(self.part("description").split())


class LuciRecipe(Recipe):
    """A Makefile for luci.mk, which names the package after its folder and defines it itself."""

    def _named(self) -> str:
        for theirs, ours in (("LUCI_TITLE", "TITLE"), ("LUCI_DEPENDS", "DEPENDS")):
            self.fields[ours] = self.sets.get(theirs, "")
        self.fields["SECTION"] = "luci"
        return self._path.parent.name
