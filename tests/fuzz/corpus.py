# SPDX-License-Identifier: Apache-2.0
"""The committed corpus: inputs that reach code, packed into one file a target.

    make fuzz TARGET=corpus SECONDS=300

Fuzzes from this project's own seeds alone (nothing of ../shared), keeps the fewest and smallest
inputs that reach all that was reached, and writes corpus/<target>.tar.xz.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
LONGEST = 900  # bytes an input


def packed(target: str) -> Path:
    return HERE / "corpus" / f"{target}.tar.xz"


def read(target: str) -> Iterator[bytes]:
    if not packed(target).exists():
        return
    with tarfile.open(packed(target)) as archive:
        for member in archive:
            file = archive.extractfile(member)
            if file is not None:
                yield file.read()


def write(target: str, inputs: list[bytes]) -> None:
    """The same inputs make the same file; neighbours are alike, so that it stays small."""
    packed(target).parent.mkdir(exist_ok=True)
    with tarfile.open(packed(target), "w:xz", preset=9, format=tarfile.USTAR_FORMAT) as archive:
        for data in sorted(inputs):
            member = tarfile.TarInfo(hashlib.sha1(data).hexdigest()[:16])
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def merged(target: str, out: Path, given: list[Path]) -> list[bytes]:
    """The fewest of the inputs that reach as much as all of them (libFuzzer's merge)."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    fuzzer = HERE / "out" / "fast" / f"fuzz_{target}"
    command = [str(fuzzer), "-merge=1", f"-max_len={LONGEST}", str(out), *map(str, given)]
    subprocess.run(command, check=True, capture_output=True, cwd=HERE)
    return [path.read_bytes() for path in out.iterdir()]


def reached(given: list[Path]) -> list[bytes]:
    """The same for scripts of pieces: the smallest input of each state."""
    import reassembly

    states: dict[int, bytes] = {}
    inputs = {path.read_bytes() for one in given for path in one.iterdir()}
    for data in sorted(inputs, key=lambda data: (len(data), data)):
        states.setdefault(reassembly.play(data), data)
    return list(states.values())
