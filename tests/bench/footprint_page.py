# SPDX-License-Identifier: Apache-2.0
"""docs/footprint.md: a section for each part of `make footprint`, written by the last run of it."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from measure import machine

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/footprint.md"
HEAD = """# Footprint

The agent's part of a router: flash, memory, CPU. `make footprint` writes this page, or some of its
sections (`ONLY="sizes memory"`), each with the commit and the machine of its figures. (!) marks a
figure beyond its limit (`tests/bench/budgets.py`); the verb fails then. [cross.md](cross.md) tells
how foreign CPUs are run, and [performance.md](performance.md) is about speed on a PC.
"""
MEMORY = """
The daemon as it is packaged (bytecode), connected with mutual TLS, idle and after 200 messages that
were rewritten, in kB; Python 3.11. 32 bits is i386. Private: dirty pages and the rings.

{table}

Meant to be, loaded, with rings of 256 kB: {meant}.
"""
INSTRUCTIONS = """
User space, of one crossing (two packets), from files: the difference of `analyze --json` of 9,000
and of 18,000 crossings on x86-64, one call in ten with a lost ACK. The other CPUs are counted with
1,000 and 2,000 that an ALG rewrote, beside x86-64 with these; the last columns are x86-64's times
the factor. A plugin of qemu-user counts (`tests/bench/instructions.c`).

{table}

The plugin adds the lengths of blocks of code. A program of 20,000 turns on each foreign CPU, by the
plugin and as lines of `-singlestep -d nochain,exec`: {checks}.
"""
SHARES = """
The running daemon, connected to a broker without TLS: all its threads, in the kernel too. Measured
on an emulated MIPS Malta board with Debian's kernel and Python (`tests/bench/shares.py`), whose
clock is made of counted instructions, {instruction} ns each. Its CPU is a {core}, a 24Kc with an
FPU: Debian's Python uses one, which the kernel of a 24Kc would emulate, and OpenWrt's is built
without. Other CPUs: its instructions times their factors (`tests/bench/budgets.py`), with {cycles}
cycles each.

{table}

A message crosses the router, so it is seen twice, and is rewritten; the calls are of {phones}
phones, one in ten with a lost ACK. The first 15 s of each rate are not measured. Each rate holds
the ends of calls of the one before, so 10/s and 1/s are upper bounds. The floods come from the
Internet: noise and broken SIP, and whole INVITEs of scanners, each from another address. Measured:

{own}

The rings had no room for {lost:,} packets in all.
"""


def commit() -> str:
    """Short name of the last commit that changed the agent, and whether it was changed since."""
    name = _git("log", "-1", "--format=%h", "--", "agent/algwatch", "native")
    changed = _git("status", "--porcelain", "--", "agent/algwatch", "native")
    return f"{name} and changes" if changed else name


def _git(*words: str) -> str:
    return subprocess.run(
        ["git", *words], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()


def put(title: str, text: str, titles: list[str]) -> None:
    """Replace the section of that title, or add it. titles: of all sections, in order."""
    there = dict(_sections(PAGE.read_text())) if PAGE.exists() else {}
    day = time.strftime("%-d %B %Y", time.gmtime())
    there[title] = f"{text.strip()}\n\n{day}, agent of commit {commit()}. {machine()}.\n"
    parts = [f"## {name}\n\n{there[name].strip()}\n" for name in titles if name in there]
    PAGE.write_text("\n".join([HEAD, *parts]))


def _sections(page: str) -> list[tuple[str, str]]:
    made = []
    for part in page.split("\n## ")[1:]:
        title, _, text = part.partition("\n")
        made.append((title, text))
    return made
