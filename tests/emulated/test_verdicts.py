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
import told
from foreign import ALL, DEBIAN, MUSL, Foreign, python
from jobs import GOLDEN, Job, jobs

# Big-endian, in any case.
CPUS = ["musl-mips", *DEBIAN] if ALL else ["musl-mips" if MUSL.exists() else "debian-s390x"]
LATE = 2_200_000_000  # s since 1970: 2039, past the range of a signed 32-bit time_t


def on_this_machine(work: list[Job]) -> list[str]:
    return list(told.answers([sys.executable, str(told.SCRIPT)], work))


@cache
def here() -> list[str]:
    return on_this_machine(jobs(ALL))


@pytest.fixture(scope="module", params=CPUS)
def foreign(request: pytest.FixtureRequest) -> Iterator[Foreign]:
    yield python(request.param)


def test_every_verdict_is_byte_for_byte_that_of_this_machine(foreign: Foreign) -> None:
    assert len(here()) >= 10 and all('"findings"' in json.loads(line)[2] for line in here()[:-3])
    assert told.different(foreign, jobs(ALL), here()) == []


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
    expected = on_this_machine(work)
    assert "2039-09-18" in expected[1]
    assert told.different(foreign, work, expected) == []
