# SPDX-License-Identifier: Apache-2.0
"""Reports of foreign Pythons to a real broker: what the fleet reads is what this machine says."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from foreign import ALL, DEBIAN, HERE, MUSL, ROOT, Foreign, build, python, run

sys.path.insert(0, str(ROOT / "tests/e2e"))
from brokers import Listener, Mosquitto, until

CAPTURE = [str(ROOT / f"tests/golden/lab/6b-on/{side}.pcap") for side in ("lan", "wan")]
SHORT = "musl-mips" if MUSL.exists() else "debian-s390x"
SIGNED = 2**31  # s since 1970: the end of a signed 32-bit time_t


@pytest.fixture(scope="module", params=["musl-mips", *DEBIAN] if ALL else [SHORT])
def foreign(request: pytest.FixtureRequest) -> Iterator[Foreign]:
    yield python(request.param)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    made = Mosquitto(tmp_path)
    yield made
    made.kill()


def reported(broker: Mosquitto, boot: str, command: list[str]) -> tuple[str, list[dict[str, Any]]]:
    """What a run of reporting.py printed, and the bodies of its findings and advice."""
    listener = Listener(broker.port)
    printed = run([*command, boot], seconds=300)

    def said_farewell() -> bool:
        last = listener.of("state")[-1:]
        return bool(last) and last[0]["boot"] == boot and not last[0]["online"]

    # What the run before has retained comes first, and is told by its boot.
    assert until(said_farewell)
    bodies = [body for kind in ("finding", "advice") for body in listener.of(kind)]
    listener.close()
    return printed, [body for body in bodies if body["boot"] == boot]


def timeless(bodies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    own = ("at", "id", "boot")
    return [{name: value for name, value in body.items() if name not in own} for body in bodies]


def test_the_broker_gets_from_that_cpu_what_it_gets_from_this_one(
    foreign: Foreign, broker: Mosquitto
) -> None:
    words = [f"mqtt://127.0.0.1:{broker.port}", *CAPTURE]
    _, here = reported(broker, "here", [sys.executable, str(HERE / "reporting.py"), *words])
    _, there = reported(broker, "there", foreign.command(HERE / "reporting.py", *words))
    assert len(here) > 2
    assert timeless(there) == timeless(here)


def test_in_2039_a_router_with_32_bits_reports_the_time(broker: Mosquitto, tmp_path: Path) -> None:
    musl = python("musl-mips")
    target = build.targets()["mips_24kc"]
    clock = tmp_path / "clock.so"
    subprocess.run(
        [sys.executable, "-m", "ziglang", "cc", "-target", target.zig, *target.flags, "-shared",
         "-fPIC", "-O1", "-o", clock, HERE / "clock.c"], check=True,
    )  # fmt: skip
    words = [f"mqtt://127.0.0.1:{broker.port}", *CAPTURE]
    command = musl.command(HERE / "reporting.py", *words, qemu=("-E", f"LD_PRELOAD={clock}"))
    printed, bodies = reported(broker, "late", command)
    assert len(bodies) > 2
    assert int(printed.split()[-1]) > SIGNED > time.time()
    assert all(body["at"] > SIGNED for body in bodies)
