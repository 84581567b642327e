# SPDX-License-Identifier: Apache-2.0
"""How often each target ran on which code: out/executions.json, so that campaigns add up.

{target: {hash of the code under test: [executions, findings]}}. A changed byte of that code begins
a new sum; out/ is not committed.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FILE = HERE / "out" / "executions.json"
CAPTURE = ("reassembly", "batches", "fragments", "offsets", "stream", "filter")


def code_of(target: str) -> str:
    """A hash of the code that a target runs: native/ without what asks the kernel, and
    CAPTURE for reassembly."""
    paths = [
        path
        for path in sorted((ROOT / "native").glob("*.[ch]"))
        if path.stem not in ("ring", "privileges")
    ]
    if target == "reassembly":
        paths += [ROOT / "agent/algwatch/capture" / f"{name}.py" for name in CAPTURE]
    whole = hashlib.sha1()
    for path in paths:
        whole.update(path.name.encode() + b"\0" + path.read_bytes())
    return whole.hexdigest()[:12]


def add(target: str, code: str, executed: int, found: bool) -> None:
    FILE.parent.mkdir(parents=True, exist_ok=True)
    with FILE.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        sums = json.loads(file.read() or "{}")
        before = sums.setdefault(target, {}).get(code, [0, 0])
        sums[target][code] = [before[0] + executed, before[1] + found]
        file.truncate(0)
        json.dump(sums, file, indent=1)


def table(targets: tuple[str, ...]) -> str:
    """The sums of the code as it is now."""
    sums = json.loads(FILE.read_text()) if FILE.exists() else {}
    lines = ["target      code            executions  findings"]
    for target in targets:
        code = code_of(target)
        executed, found = sums.get(target, {}).get(code, (0, 0))
        lines.append(f"{target:<11} {code:<12} {executed:>13,} {found:>9}")
    return "\n".join(lines)
