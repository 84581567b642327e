# SPDX-License-Identifier: Apache-2.0
"""`make footprint`: what the agent takes of a router, measured, beside what it may take.

usage: footprint.py [sizes] [packages] [memory] [instructions] [shares]      all without a word

sizes: the extension for each CPU. packages: what is installed. memory: the daemon, connected with
mutual TLS, idle and after 200 messages, on 64 and on 32 bits (root). instructions: of a crossing
on each CPU. shares: of a router's CPU, by the running daemon. Printed, and written into
docs/footprint.md. Exit status 1: a budget is broken.
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

import footprint_page  # noqa: E402
from budgets import (  # noqa: E402
    CLOCKS,
    CYCLES,
    FACTORS,
    INSTRUCTIONS,
    MEANT,
    MEMORY,
    SHARE,
    SPREAD,
)
from measure import table  # noqa: E402

broken: list[str] = []
NEEDS_PAHO = "1.6.1"  # what routers carry


def within(what: str, value: float, most: float, form: str = ",.0f") -> str:
    """The value, and a mark where it is more than it may be."""
    if value <= most:
        return f"{value:{form}}"
    broken.append(f"{what}: {value:{form}}, and {most:{form}} may be")
    return f"{value:{form}} (!)"


def sizes() -> str:
    from cross import build, elf

    rows = []
    for name, target in build.targets().items():
        made = build.extension(target)
        size, packed = build.sizes(made)
        seen = elf.read(made)
        kind = f"{seen.bits} bits, {'big' if seen.big else 'little'}-endian"
        rows.append((name, kind, within(name, size, build.MOST),
                     within(f"{name}, xz", packed, build.MOST_XZ)))  # fmt: skip
    head = ("extension, stripped", "CPU", f"bytes ({build.MOST:,})", f"xz ({build.MOST_XZ:,})")
    return table(head, rows)


def packages() -> str:
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
    return table(("package", "CPU", "bytes", "installed"), rows)


def memory() -> str:
    from faults import need_pahos
    from foreign import build, python
    from packaged import packaged
    from world import PAHOS

    from firmware.pack.build import pcapy_source

    need_pahos()
    with tempfile.TemporaryDirectory() as lib:
        site = packaged(Path(lib) / "site")
        command = site / "bin/algwatch"
        small = python("debian-i386")
        target = build.targets("debian.toml")["debian-i386"]
        binding = build.pcapy(target, "3.11", pcapy_source(), "libpcap.so.0.8")
        other = packaged(Path(lib) / "other")
        shutil.copy(binding, other / "pcapy.so")
        shutil.copy(small.site / "algwatch" / build.EXTENSION, other / "algwatch")

        def here(*paths: object) -> tuple[str, ...]:
            path = ":".join(map(str, (*paths, site)))
            return ("env", f"PYTHONPATH={path}", sys.executable, str(command))

        rows = _measured(
            ((32, NEEDS_PAHO, small._replace(site=other).natively(command), (256, 2048)),
             (64, NEEDS_PAHO, here(PAHOS[NEEDS_PAHO]), (256, 2048)),
             (64, _paho(), here(), (256,)))
        )  # fmt: skip
    head = ("kB of the daemon", "RSS, idle", "private, idle", "RSS, loaded", "private, loaded")
    meant = [f"{rss:,} and {private:,} on {bits} bits" for bits, (rss, private) in MEANT.items()]
    return footprint_page.MEMORY.format(table=table(head, rows), meant=", ".join(meant))


def _paho() -> str:
    from importlib.metadata import version

    return version("paho-mqtt")


def _measured(
    runs: Sequence[tuple[int, str, Sequence[str], Sequence[int]]],
) -> list[tuple[str, ...]]:
    """Rows of the table. runs: bits of the CPU, paho, command of the daemon, kB of rings."""
    from test_daemon import Agent, Router, memory_under_load

    rows = []
    for bits, paho, command, rings in runs:
        for ring in rings:
            router = Router()
            start = partial(Agent, router, "--lan", "br-lan", "--wan", "wan", python=command)
            with tempfile.TemporaryDirectory() as folder:
                used = memory_under_load(router, start, Path(folder), ring * 1024)
            router.close()
            for state in used.values():
                # No other program maps these libraries, and clean pages of a file are not lost.
                state["private"] = state["dirty"] + 2 * ring
            limited = ring == 256 and paho == NEEDS_PAHO
            most = MEMORY[bits] if limited else {"rss": 1e9, "private": 1e9}
            cells = [within(f"{kind} on {bits} bits, {state}", used[state][kind], most[kind])
                     for state in ("idle", "loaded") for kind in ("rss", "private")]  # fmt: skip
            rows.append((f"{bits} bits, paho {paho}, rings of {ring} kB", *cells))
    return rows


def instructions() -> str:
    from meter import CPUS, FEW, HOST, MODES, Meter

    one = MODES[-1]
    with tempfile.TemporaryDirectory() as folder:
        meter = Meter(Path(folder))
        here = {mode: meter.crossing(HOST, mode) for mode in MODES}
        few = {cpu: meter.crossing(cpu, one, FEW) for cpu in CPUS}
        checks = [meter.checked(cpu) for cpu in CPUS if cpu != HOST]
    for mode in MODES:
        within(f"instructions of a crossing, {mode}", here[mode], INSTRUCTIONS[mode])
    rows = []
    for cpu, (_, kind) in CPUS.items():
        factor = few[cpu] / few[HOST]
        if abs(factor / FACTORS[cpu] - 1) > SPREAD:
            broken.append(f"factor of {cpu}: {factor:.2f}, and budgets.py has {FACTORS[cpu]}")
        each = (f"{here[mode] * factor:,.0f}" for mode in MODES)
        rows.append((f"{cpu}: {kind}", f"{few[cpu]:,.0f}", f"{factor:.2f}", f"{FACTORS[cpu]:.2f}",
                     *each))  # fmt: skip
    head = ("CPU: Python", f"counted, {one}", "times x86-64", "reckoned with", *MODES)
    return footprint_page.INSTRUCTIONS.format(
        table=table(head, rows),
        checks=", ".join(f"{counted:,} and {lines:,}" for counted, lines in checks),
    )  # fmt: skip


def shares() -> str:
    import shares as running

    found, lost = running.measured(running.PHASES)
    head = ("percent of the CPU", *(phase.name for phase in running.PHASES))
    rows = []
    for size, name, cpu, hertz in CLOCKS:
        row = [f"{size}: {name}"]
        for phase in running.PHASES:
            rate = found[phase.name].full * FACTORS[cpu] / FACTORS[running.CPU]
            most = SHARE[size] if phase.rate == 100 else 100.0
            row.append(within(f"{name}, {phase.name}", rate * CYCLES / hertz * 100, most, ".1f"))
        rows.append(row)
    return footprint_page.SHARES.format(
        table=table(head, rows), own=running.table_of(found), lost=lost, cycles=CYCLES,
        instruction=running.INSTRUCTION, core=running.CORE, phones=running.PHONES,
    )  # fmt: skip


PARTS = {
    "sizes": ("Size", sizes), "packages": ("Packages", packages), "memory": ("Memory", memory),
    "instructions": ("Instructions", instructions), "shares": ("Share of the CPU", shares),
}  # fmt: skip


def main(words: list[str]) -> int:
    for word in words or PARTS:
        title, part = PARTS[word]
        text = part()
        print(text, end="\n\n", flush=True)
        footprint_page.put(title, text, [name for name, _ in PARTS.values()])
    for line in broken:
        print(f"make footprint: {line}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
