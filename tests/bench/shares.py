# SPDX-License-Identifier: Apache-2.0
"""The running daemon on an emulated MIPS router, connected to a broker: CPU time of all its
threads, in the kernel too, when idle, at several rates and in a flood.

The emulator counts instructions and makes its clock of them (-icount), so one takes INSTRUCTION ns
there, however busy this machine is, and no packet comes too early.

usage: shares.py [PHASE...]      by their names
"""

from __future__ import annotations

import itertools
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from unittest import mock

HERE = Path(__file__).resolve().parent
sys.path[:0] = [*(str(HERE.parent / name) for name in ("", "emulated", "e2e")), str(HERE)]

import machine  # noqa: E402
import make_calls  # noqa: E402
from brokers import Listener, Mosquitto, until  # noqa: E402
from craft import House, Incoming, frame, packets_of  # noqa: E402
from forger import ip_summed  # noqa: E402
from guest_load import HEAD, NAMES  # noqa: E402
from make_calls import LAN, WAN  # noqa: E402
from measure import table  # noqa: E402
from test_garbage import garbage  # noqa: E402

SHIFT = 2
INSTRUCTION = 1 << SHIFT  # ns: 250 million a second, a CPU of 500 MHz with 2 cycles each
PHONES = 6  # few: the first call of each is news, and costs many times as much
A_CALL = 7.8  # messages, with one in ten that loses its ACK
BEFORE = 15.0  # s of calls before those that are measured
LONGEST = 15.0  # s of a call: then as many end as begin
FAR = bytes.fromhex("020000000009")
MACS = {LAN: bytes.fromhex("021122334455"), WAN: bytes.fromhex("021122334466")}


CPU = "debian-mipsel"  # whose Python runs there
# The 24Kc with an FPU: Debian's Python uses one, and on a 24Kc the kernel would emulate it, an
# eighth of all instructions at 100 messages a second. OpenWrt's Python is built for a CPU without.
CORE = "24Kf"


class Phase(NamedTuple):
    """rate: messages a second, which cross if they are of calls."""

    name: str
    rate: int
    seconds: float
    kind: str = "calls"

    @property
    def crosses(self) -> bool:
        return self.kind == "calls"

    @property
    def before(self) -> float:
        """Seconds of the same traffic that are not measured."""
        return BEFORE if self.crosses and self.rate else 2.0


# The busiest first: after it, nothing of these phones is news.
PHASES = (
    Phase("idle", 0, 20),
    Phase("100/s", 100, 12),
    Phase("10/s", 10, 20),
    Phase("1/s", 1, 40),
    Phase("noise, 1,000/s", 1000, 4, "noise"),
    Phase("scanners, 1,000/s", 1000, 4, "scanners"),
)


class Spent(NamedTuple):
    """messages: how many came a second. a_second: instructions. full: these if exactly the phase's
    rate had come. each: of a message, above those of an idle second. system: the kernel's share of
    them. sleeps: a second. late: seconds, of the last message."""

    messages: float
    a_second: float
    full: float
    each: float
    system: float
    sleeps: float
    late: float


def calls(phase: Phase, folder: Path) -> Iterator[tuple[float, str, bytes]]:
    if not phase.rate:
        return
    sides = [folder / f"{side}.pcap" for side in ("lan", "wan")]
    length = phase.before + phase.seconds
    many = max(10, int(length * phase.rate / A_CALL * 1.5))
    own: dict[str, Any] = {"PHONES": PHONES, "LONGEST": LONGEST, "SEED": phase.rate,
           "CALLS_A_SECOND": phase.rate / A_CALL}  # fmt: skip
    with mock.patch.multiple(make_calls, **own):
        make_calls.write_pair(sides[0], sides[1], True, many, many // 10)
    for side, path in zip((LAN, WAN), sides, strict=True):
        for at, data in packets_of(path.read_bytes()):
            if at / 1e9 - make_calls.START > length:
                break
            provider = data[26:29] == bytes((198, 51, 100))
            entered = provider == (side == WAN)  # else the router sends it
            name = "br-lan" if side == LAN else "wan"
            whole = (MACS[side] if entered else FAR) + data[6:14] + ip_summed(data[14:])
            yield at / 1e9 - make_calls.START, f"far-{name}" if entered else name, whole


def flood(phase: Phase) -> Iterator[tuple[float, str, bytes]]:
    """Of the Internet at the WAN: noise and broken SIP, or whole messages of scanners."""
    house = House()
    made = garbage(Random(5060), house) if phase.kind == "noise" else scan(house)
    count = int((phase.before + phase.seconds) * phase.rate)
    for number, data in enumerate(itertools.islice(itertools.cycle(made), count)):
        yield number / phase.rate, "far-wan", data


def scan(house: House) -> Iterator[bytes]:
    rng, one = Random(5061), Incoming(house, "scan")
    one.invite(0)
    for number in range(20_000):
        payload = one.invited.replace(b"-scan", b"-%d" % number)
        payload = payload.replace(b": scan", b": %d" % number)
        source = f"185.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(1, 255)}"
        made = frame(payload, source, 5060, house.wan_ip, 5060, 50, 1 + number)
        yield MACS[WAN] + ip_summed(made, 14)[6:]


def frames(phase: Phase, folder: Path, number: int) -> Path:
    """The file that guest_load.py plays."""
    steps = calls(phase, folder) if phase.crosses else flood(phase)
    made = sorted(steps, key=lambda step: step[0])
    path = folder / f"frames-{number}"
    path.write_bytes(b"".join(HEAD.pack(at, NAMES.index(name), len(data)) + data
                              for at, name, data in made))  # fmt: skip
    return path


def measured(phases: Sequence[Phase]) -> tuple[dict[str, Spent], int]:
    """By phase; and how many packets the rings had no room for."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        broker = Mosquitto(folder)
        listener = Listener(broker.port, "guest")
        words = ["--lan", "br-lan", "--wan", "wan", "--cpe", "guest",
                 "--mqtt", f"mqtt://10.0.2.2:{broker.port}"]  # fmt: skip
        wanted = [[number, p.before, p.seconds] for number, p in enumerate(phases)]
        files = [frames(phase, folder, number) for number, phase in enumerate(phases)]
        kernel, ram = machine.initrd(folder, json.dumps([words, wanted]).encode(),
                                     "guest_load.py", files)  # fmt: skip
        # The kernel learns the speed of its counter from the RTC: both have to be of that clock.
        more = ("-cpu", CORE, "-icount", f"shift={SHIFT}", "-rtc", "clock=vm", "-m", "512")
        lines = machine.boot(kernel, ram, 3600, more)
        told = [json.loads(line[6:]) for line in lines if line.startswith("GUEST ")]
        assert dict(told).get("status") == 0, "\n".join(lines[-60:])
        assert until(lambda: listener.of("health"))
        health = listener.of("health")[-1]["health"]
        listener.close()
        broker.kill()
    passed = [one for kind, one in told if kind == "phase"]
    found: dict[str, Spent] = {}
    idle = 0.0
    for phase, one in zip(phases, passed, strict=True):
        found[phase.name] = spent(phase, one, idle)
        if not phase.rate:
            idle = found[phase.name].a_second
    return found, sum(tap["drops"] for tap in health["taps"].values())


def spent(phase: Phase, told: dict[str, float], idle: float) -> Spent:
    """told: by guest_load.py. idle: instructions of such a second."""
    messages = told["sent"] / (2 if phase.crosses else 1) / told["seconds"]
    a_second = told["ns"] / INSTRUCTION / told["seconds"]
    each = (a_second - idle) / messages if messages else 0.0
    return Spent(
        messages, a_second, idle + each * phase.rate if messages else a_second, each,
        told["system"] / max(1, told["user"] + told["system"]),
        told["sleeps"] / told["seconds"], told["late"],
    )  # fmt: skip


def table_of(found: dict[str, Spent]) -> str:
    """What was measured on the emulated machine, by phase."""
    rows = [
        (name, f"{one.messages:,.1f}", f"{one.a_second:,.0f}", f"{one.each:,.0f}",
         f"{one.system:.0%}", f"{one.sleeps:.1f}", f"{one.late:.1f} s")
        for name, one in found.items()
    ]  # fmt: skip
    head = ("measured", "messages/s", "instructions a second", "more a message", "kernel",
            "sleeps/s", "sent late by")  # fmt: skip
    return table(head, rows)


if __name__ == "__main__":
    chosen = [phase for phase in PHASES if phase.name in sys.argv[1:]] or PHASES
    spent_by, lost_packets = measured(chosen)
    print(f"{table_of(spent_by)}\n{lost_packets} packets lost")
