# SPDX-License-Identifier: Apache-2.0
"""`make footprint`: what the agent takes of a router, measured, beside what it may take.

usage: footprint.py [sizes] [packages] [memory] [instructions]      all of them without a word

sizes: the extension for each CPU. packages: what is installed. memory: the daemon, connected with
mutual TLS, idle and after 200 messages, on 64 and on 32 bits (root). instructions: of a crossing
on each CPU, and with that the share of a router's CPU. Exit status 1: a budget is broken.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [*(str(HERE.parent / name) for name in ("", "emulated", "e2e")), str(ROOT)]

from budgets import CLOCKS, CYCLES, INSTRUCTIONS, MEMORY, RATE, SHARE  # noqa: E402
from measure import table  # noqa: E402

broken: list[str] = []


def within(what: str, value: float, most: float) -> str:
    """The value, and a mark where it is more than it may be."""
    if value <= most:
        return f"{value:,.0f}"
    broken.append(f"{what}: {value:,.0f}, and {most:,.0f} may be")
    return f"{value:,.0f} (!)"


def sizes() -> None:
    from cross import build, elf

    rows = []
    for name, target in build.targets().items():
        made = build.extension(target)
        size, packed = build.sizes(made)
        seen = elf.read(made)
        kind = f"{seen.bits} bits, {'big' if seen.big else 'little'}-endian"
        rows.append((name, kind, within(name, size, build.MOST),
                     within(f"{name}, xz", packed, build.MOST_XZ)))  # fmt: skip
    print(table(("extension", "CPU", f"bytes ({build.MOST:,})", f"xz ({build.MOST_XZ:,})"), rows))


def packages() -> None:
    from cross import build as cross
    from firmware.pack import build as pack

    rows = []
    for name in ("mips_24kc", "aarch64", "x86_64"):
        target = cross.targets()[name]
        cross.extension(target)
        for release, (_, form) in pack.RELEASES.items():
            made = next(iter(pack.packages(target, release, pack.commit_time()).values()))
            sized = [(len(form.write(one)), one.installed_size()) for one in made]
            rows += [(f"{one.name} {release}", name, f"{data:,}", f"{installed:,}")
                     for one, (data, installed) in zip(made, sized, strict=True)]  # fmt: skip
    print(table(("package", "CPU", "bytes", "installed"), rows))


def memory() -> None:
    from faults import need_pahos
    from foreign import build, python
    from packaged import packaged
    from world import PAHOS

    from firmware.pack.build import pcapy_source

    with tempfile.TemporaryDirectory() as lib:
        site = packaged(Path(lib) / "site")
        command = site / "bin/algwatch"
        need_pahos()
        path = f"PYTHONPATH={site}:{PAHOS['1.6.1']}"
        here = ("env", path, sys.executable, str(command))
        small = python("debian-i386")
        target = build.targets("debian.toml")["debian-i386"]
        binding = build.pcapy(target, "3.11", pcapy_source(), "libpcap.so.0.8")
        other = packaged(Path(lib) / "other")
        shutil.copy(binding, other / "pcapy.so")
        shutil.copy(small.site / "algwatch" / build.EXTENSION, other / "algwatch")
        there = small._replace(site=other).natively(command)
        rows = _measured({64: here, 32: there})
    print(table(("kB of the daemon", "RSS, idle", "private, idle", "RSS, loaded",
                 "private, loaded"), rows))  # fmt: skip


def _measured(commands: dict[int, Sequence[str]]) -> list[tuple[str, ...]]:
    """Rows of the table. commands: of the daemon, by the bits of its CPU."""
    from test_daemon import Agent, Router, memory_under_load

    rows = []
    for bits, command in commands.items():
        for ring in (256, 2048):
            router = Router()
            start = partial(Agent, router, "--lan", "br-lan", "--wan", "wan", python=command)
            with tempfile.TemporaryDirectory() as folder:
                used = memory_under_load(router, start, Path(folder), ring * 1024)
            router.close()
            for state in used.values():
                # No other program maps these libraries, and clean pages of a file are not lost.
                state["private"] = state["dirty"] + 2 * ring
            most = MEMORY[bits] if ring == 256 else {"rss": 1e9, "private": 1e9}
            cells = [within(f"{kind} on {bits} bits, {state}", used[state][kind], most[kind])
                     for state in ("idle", "loaded") for kind in ("rss", "private")]  # fmt: skip
            rows.append((f"{bits} bits, rings of {ring} kB", *cells))
    return rows


def instructions() -> None:
    from meter import CPUS, HOST, MODES, Meter

    with tempfile.TemporaryDirectory() as folder:
        meter = Meter(Path(folder))
        found = {(cpu, mode): meter.crossing(cpu, mode) for mode in MODES for cpu in CPUS}
    rows = []
    for cpu in CPUS:
        row = [cpu]
        for mode in MODES:
            each = found[cpu, mode]
            row += [f"{each:,.0f}", f"{each / found[HOST, mode]:.2f}"]
        rows.append(row)
    for mode in MODES:
        within(f"instructions of a crossing, {mode}", found[HOST, mode], INSTRUCTIONS[mode])
    head = [cell for mode in MODES for cell in (mode, "times x86-64")]
    print(table(("instructions of a crossing", *head), rows))
    shares = []
    for name, cpu, hertz in CLOCKS:
        each_mode = [found[cpu, mode] * RATE * CYCLES / hertz * 100 for mode in MODES]
        shares.append((name, *(f"{share:.1f}%" for share in each_mode), f"{SHARE}%"))
    print()
    print(table((f"at {RATE} messages/s, from files", *MODES, "meant to be"), shares))


def main(words: list[str]) -> int:
    parts = {f.__name__: f for f in (sizes, packages, memory, instructions)}
    for word in words or parts:
        parts[word]()
        print(flush=True)
    for line in broken:
        print(f"make footprint: {line}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
