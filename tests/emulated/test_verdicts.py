# SPDX-License-Identifier: Apache-2.0
"""The whole agent on foreign Pythons: what it says of golden captures, to the byte."""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from foreign import ALL, DEBIAN, HERE, MUSL, Foreign, python, run
from jobs import GOLDEN, Job, jobs

# Big-endian, in any case.
CPUS = ["musl-mips", *DEBIAN] if ALL else ["musl-mips" if MUSL.exists() else "debian-s390x"]
LATE = 2_200_000_000  # s since 1970: 2039, past the range of a signed 32-bit time_t


def verdicts(command: list[str], work: list[Job]) -> list[str]:
    return run(command, "".join(json.dumps(job) + "\n" for job in work), 3600).splitlines()


@cache
def here() -> list[str]:
    return verdicts([sys.executable, str(HERE / "verdicts.py")], jobs(ALL))


@pytest.fixture(scope="module", params=CPUS)
def foreign(request: pytest.FixtureRequest) -> Iterator[Foreign]:
    yield python(request.param)


def same(foreign: Foreign, expected: list[str], work: list[Job]) -> None:
    there = verdicts(foreign.command(HERE / "verdicts.py"), work)
    assert len(there) == len(work)
    different = [json.loads(a)[0] for a, b in zip(there, expected, strict=True) if a != b]
    assert not different


def test_every_verdict_is_byte_for_byte_that_of_this_machine(foreign: Foreign) -> None:
    assert len(here()) >= 10 and all('"findings"' in json.loads(line)[2] for line in here()[:-3])
    same(foreign, here(), jobs(ALL))


def later(capture: bytes, by: int) -> bytes:
    """A capture file (pcap, little-endian) whose packets came so many seconds later."""
    made, at = bytearray(capture), 24
    while at < len(made):
        seconds, _, stored, _ = struct.unpack_from("<IIII", made, at)
        struct.pack_into("<I", made, at, seconds + by)
        at += 16 + stored
    return bytes(made)


def test_a_capture_of_2039_is_told_as_on_this_machine(foreign: Foreign, tmp_path: Path) -> None:
    first = GOLDEN / "lab/9-on/lan.pcap"
    by = LATE - struct.unpack_from("<I", first.read_bytes(), 24)[0]
    for side in ("lan", "wan"):
        old = (GOLDEN / f"lab/9-on/{side}.pcap").read_bytes()
        (tmp_path / f"{side}.pcap").write_bytes(later(old, by))
    files = ["--lan", f"{tmp_path}/lan.pcap", "--wan", f"{tmp_path}/wan.pcap"]
    work = [("json", ["--json", *files]), ("text", files)]
    expected = verdicts([sys.executable, str(HERE / "verdicts.py")], work)
    assert "2039-09-18" in expected[1]
    same(foreign, expected, work)
