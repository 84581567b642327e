# SPDX-License-Identifier: Apache-2.0
"""What a foreign CPU says of captures, beside what it should say. An emulated CPU needs minutes for
all of them: what it was seen to say rightly is kept, and not asked again of the same agent and the
same bytes, so a run that was ended goes on where it was. `make clean` forgets it."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from foreign import HERE, Foreign, build
from jobs import Job

SCRIPT = HERE / "verdicts.py"


def answers(command: Sequence[str], work: Sequence[Job]) -> Iterator[str]:
    """A line for each capture, as it comes."""
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        for job in work:
            print(json.dumps(job), file=process.stdin)
            line = process.stdout.readline()
            assert line, f"it ended at {job[0]} with status {process.wait(60)}"
            yield line.rstrip("\n")
        process.stdin.close()
    assert process.returncode == 0


def different(foreign: Foreign, work: Sequence[Job], expected: Sequence[str]) -> list[str]:
    """Names of captures of which that CPU says something else."""
    kept = build.OUT / "told" / foreign.name
    kept.parent.mkdir(parents=True, exist_ok=True)
    told = set(kept.read_text().split()) if kept.exists() else set()
    agent = _agent(foreign)
    pairs = [(job, line, _key(agent, job, line)) for job, line in zip(work, expected, strict=True)]
    left = [pair for pair in pairs if pair[2] not in told]
    found = []
    there = answers(foreign.command(SCRIPT), [job for job, _, _ in left])
    with kept.open("a") as file:
        for (job, line, key), said in zip(left, there, strict=True):
            if said == line:
                print(key, file=file, flush=True)
            else:
                found.append(job[0])
    return found


def _agent(foreign: Foreign) -> bytes:
    """Of all that speaks there."""
    made = hashlib.sha256(f"{foreign.name} {foreign.version}".encode())
    for path in sorted(path for path in foreign.site.rglob("*") if path.suffix in (".py", ".so")):
        made.update(str(path.relative_to(foreign.site)).encode() + b"\0" + path.read_bytes())
    made.update(SCRIPT.read_bytes())
    return made.digest()


def _key(agent: bytes, job: Job, line: str) -> str:
    made = hashlib.sha256(agent + json.dumps(job).encode() + line.encode())
    for word in job[1]:
        if word.endswith(".pcap"):
            made.update(Path(word).read_bytes())
    return made.hexdigest()
