# SPDX-License-Identifier: Apache-2.0
"""The packages with their files, for one release of OpenWrt and one CPU.

Python modules are shipped as bytecode alone, like everything in OpenWrt's feed: `name.pyc` in place
of `name.py`. So nothing is compiled on the router, and nothing in flash is read twice.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from cross.pythons import Python
from firmware.pack.recipe import LuciRecipe, Recipe
from firmware.pack.tree import Package

ROOT = Path(__file__).resolve().parent.parent.parent
FEED = ROOT / "firmware/openwrt"

# Places of files/ and their modes, as the Makefile's install section has them.
PLACES = {
    "algwatch.init": ("/etc/init.d/algwatch", 0o755),
    "algwatch.config": ("/etc/config/algwatch", 0o600),
    "algwatch.defaults": ("/etc/uci-defaults/90-algwatch", 0o755),
    "algwatch.capabilities.json": ("/etc/capabilities/algwatch.json", 0o644),
    "algwatch.rpcd": ("/usr/libexec/rpcd/algwatch", 0o755),
}
COMMAND = """\
#!/usr/bin/python3
import sys
from algwatch.__main__ import main
if __name__ == "__main__":
    sys.exit(main())
"""
# Run by the Python of the release.
COMPILE = f"import sys; sys.path.append({str(ROOT)!r}); from firmware.pack import slim; slim.main()"

# A new page is seen without a restart of the router; rpcd reads rights and methods when it starts.
LUCI_POSTINST = """\
#!/bin/sh
[ -n "${IPKG_INSTROOT}" ] || {
	rm -f /tmp/luci-indexcache.*
	rm -rf /tmp/luci-modulecache/
	/etc/init.d/rpcd reload 2>/dev/null
	exit 0
}
"""


class PackError(Exception):
    """The text says what is wrong."""


def _package(recipe: Recipe, arch: str, at: int) -> Package:
    return Package(
        recipe.name, recipe.version, arch, recipe.fields["TITLE"],
        recipe.description or recipe.fields["TITLE"], recipe.sets.get("PKG_LICENSE", "Apache-2.0"),
        recipe.sets.get("PKG_MAINTAINER", ""), recipe.fields.get("SECTION", "net"),
        recipe.depends, recipe.fields.get("USERID", ""), recipe.fields.get("URL", ""),
        recipe.conffiles, at=at,
    )  # fmt: skip


def bytecode(python: Python, sources: list[Path], above: Path, place: str, out: Path) -> list[Path]:
    """Compile sources, which lie below `above`, as if they were installed in `place`. Returns the
    files, below out."""
    made = [out / source.relative_to(above).with_suffix(".pyc") for source in sources]
    lines = [
        f"{source}\t{target}\t{place}/{source.relative_to(above)}\n"
        for source, target in zip(sources, made, strict=True)
    ]
    for target in made:
        target.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [*python.command, "-X", "no_debug_ranges", "-I", "-S", "-B", "-c", COMPILE],
        input="".join(lines), text=True, capture_output=True, env={"PYTHONHASHSEED": "0"},
    )  # fmt: skip
    if done.returncode:
        raise PackError(f"{python.command[-1]} cannot compile: {done.stderr.strip()[-500:]}")
    return made


def agent(arch: str, version: str, python: Python, extension: Path, out: Path, at: int) -> Package:
    """The package algwatch. version: of Python; out: a folder for the bytecode."""
    recipe = Recipe(FEED / "algwatch/Makefile")
    package = _package(recipe, arch, at)
    place = f"/usr/lib/python{version}/site-packages"
    above = ROOT / "agent"
    sources = sorted((above / "algwatch").rglob("*.py"))
    for path in bytecode(python, sources, above, place, out):
        package.add(f"{place}/{path.relative_to(out)}", path.read_bytes())
    package.add(f"{place}/algwatch/_native.abi3.so", extension.read_bytes(), 0o755)
    package.add(f"{place}/algwatch/cli/examples.txt",
                (above / "algwatch/cli/examples.txt").read_bytes())  # fmt: skip
    package.add("/usr/bin/algwatch", COMMAND, 0o755)
    for name, (target, mode) in PLACES.items():
        package.add(target, (FEED / "algwatch/files" / name).read_bytes(), mode)
    package.keep()
    return package


def pcapy(arch: str, version: str, built: Path, at: int) -> Package:
    """The package python3-pcapy-ng."""
    package = _package(Recipe(FEED / "python3-pcapy-ng/Makefile"), arch, at)
    package.add(f"/usr/lib/python{version}/site-packages/pcapy.so", built.read_bytes(), 0o755)
    return package


def luci(folder: Path, at: int) -> Package:
    """A LuCI application: root/ is the router's root, htdocs/ its web server's."""
    package = _package(LuciRecipe(folder / "Makefile"), "all", at)
    for source, target in (("root", ""), ("htdocs", "/www")):
        for path in sorted((folder / source).rglob("*")):
            if path.is_file():
                mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
                place = f"{target}/{path.relative_to(folder / source)}"
                package.add(place, path.read_bytes(), mode)
    package.scripts["postinst-pkg"] = LUCI_POSTINST
    return package
