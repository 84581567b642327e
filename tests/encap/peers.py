# SPDX-License-Identifier: Apache-2.0
"""Results of other programs on the same captures: `python tests/encap/peers.py` prints the table.

A program that is not installed has a column of "?" and is named.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from encap.captures import all_captures, slug

ROOT = Path(__file__).resolve().parents[2]
PEERS = ("tshark", "sngrep", "sipgrep")


def run(*words: str, seconds: int = 20) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "agent"), "TERM": "dumb"}
    try:
        done = subprocess.run(words, capture_output=True, timeout=seconds, env=environment,
                              stdin=subprocess.DEVNULL)  # fmt: skip
    except subprocess.TimeoutExpired as late:
        return (late.stdout or b"").decode(errors="replace")
    return done.stdout.decode(errors="replace")


def algwatch(path: Path) -> int:
    text = run(sys.executable, "-m", "algwatch", "analyze", "--json", str(path))
    found: int = json.loads(text)["capture"]["sip_messages"]
    return found


def tshark(path: Path) -> int:
    """CSeq header fields: one a message, several a frame. WebSocket and TLS stay theirs."""
    text = run("tshark", "-n", "-r", str(path), "-Y", "sip", "-T", "fields", "-e", "sip.CSeq")
    return sum(len(line.split(",")) for line in text.splitlines() if line.strip())


def sngrep(path: Path) -> int:
    """It counts messages in what it saves: without a terminal it can only save."""
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "out.pcap"
        run("sngrep", "-N", "-q", "-I", str(path), "-O", str(out), seconds=5)
        return out.read_bytes().count(b"CSeq: ") if out.exists() else 0


def sipgrep(path: Path) -> int:
    return run("sipgrep", "-I", str(path), "-C").count("CSeq: ")


PROGRAMS = {"algwatch": algwatch, "tshark": tshark, "sngrep": sngrep, "sipgrep": sipgrep}


def versions() -> str:
    found = []
    for name in PEERS:
        if shutil.which(name) is None:
            found.append(f"{name}: not installed")
            continue
        flag = "-v" if name == "tshark" else "-V"
        done = subprocess.run([name, flag], capture_output=True, text=True, timeout=10)
        text = done.stdout + done.stderr
        found.append(next((line for line in text.splitlines() if line.strip()), name).strip())
    return "; ".join(found)


def table() -> str:
    lines = ["| capture | expected | algwatch | tshark | sngrep | sipgrep |", "|---|" + "--:|" * 5]
    with tempfile.TemporaryDirectory() as directory:
        for name, capture in all_captures().items():
            path = Path(directory) / slug(name)
            path.write_bytes(capture.pcap())
            cells = []
            for program, count in PROGRAMS.items():
                there = program == "algwatch" or shutil.which(program)
                found = count(path) if there else "?"
                cells.append(f"**{found}**" if there and found != capture.found else str(found))
            lines.append(f"| {name} | {capture.found} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
    print(f"\n{versions()}")
