# SPDX-License-Identifier: Apache-2.0
"""Folders of capture files as arguments of `analyze`: the two sides of a router where a folder
holds both, else each file by itself.

ALGWATCH_CAPTURES names further folders, separated by colons; they are searched to the bottom.
"""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
FOLDERS = [ROOT / "tests" / "golden", SHARED / "captures", SHARED / "cases" / "repro"]
SUFFIXES = (".pcap", ".pcapng", ".cap")


def all_captures() -> dict[str, list[str]]:
    """Arguments by a name for people."""
    more = [Path(name) for name in os.environ.get("ALGWATCH_CAPTURES", "").split(":") if name]
    found: dict[str, list[str]] = {}
    for folder in FOLDERS + more:
        files = sorted(f for f in folder.rglob("*") if f.suffix in SUFFIXES and f.is_file())
        for file in files:
            other = file.with_name(file.name.replace("lan.", "wan."))
            name = f"{folder.name}/{file.relative_to(folder)}"
            if other != file and other.exists():
                found[name.replace("lan.", "{lan,wan}.")] = [
                    "--lan", str(file), "--wan", str(other),
                ]  # fmt: skip
            found[name] = [str(file)]
    return found
