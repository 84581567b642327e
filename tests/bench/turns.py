# SPDX-License-Identifier: Apache-2.0
"""Instructions of the running daemon by what they are for: its real loop, on a made clock, with its
rings filled as the kernel fills them, connected to a real broker. So a run gives the same figures
whatever else the machine does; what the kernel and the waiting take is not in them.

usage: turns.py [--opcodes] [--within=CLASS] [PHASE...]      as in shares.py

--opcodes: bytecodes of each Python function instead, without callgrind. --within: the C functions
that one class spends its instructions in.
"""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [*(str(HERE.parent / name) for name in ("", "e2e", "emulated")), str(HERE)]

from brokers import Listener, Mosquitto  # noqa: E402
from shares import PHASES, Phase, calls, flood  # noqa: E402
from test_daemon import Router  # noqa: E402
from turns_classes import CLASSES  # noqa: E402

HEAD = struct.Struct("<dBH")


def compiled(folder: Path) -> None:
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", f"-I{sysconfig.get_paths()['include']}",
                    "-o", folder / "turns_native.so", HERE / "turns.c"], check=True)  # fmt: skip


def counted(phase: Phase, folder: Path, opcodes: bool, within: str) -> None:
    steps = sorted(calls(phase, folder) if phase.crosses else flood(phase), key=lambda s: s[0])
    for side, name in (("lan", "br-lan"), ("wan", "wan")):
        (folder / side).write_bytes(b"".join(
            HEAD.pack(at, where == name, len(data)) + data
            for at, where, data in steps if where.endswith(name)))  # fmt: skip
    router = Router()
    with router.inside():
        broker = Mosquitto(folder)
        listener = Listener(broker.port, "bench")
        words = ["--lan", "br-lan", "--wan", "wan", "--cpe", "bench", "--ring-bytes", "262144",
                 "--mqtt", f"mqtt://127.0.0.1:{broker.port}"]  # fmt: skip
        (folder / "asked").write_text(json.dumps({
            "words": words, "before": phase.before, "until": phase.before + phase.seconds,
            "classes": CLASSES, "opcodes": opcodes, "within": bool(within),
            "path": [str(HERE.parents[1] / "agent")],
        }))  # fmt: skip
        out = folder / "out"
        valgrind = [] if opcodes else [
            "valgrind", "--tool=callgrind", "--instr-atstart=no", "-q",
            f"--callgrind-out-file={out}"]  # fmt: skip
        if within:
            number = [name.strip() for name in CLASSES].index(within)
            valgrind += [f"--toggle-collect=class_{number:02}"]
        try:
            subprocess.run([*valgrind, sys.executable, str(HERE / "turns_inside.py"), str(folder)],
                           check=True, stdout=sys.stderr,
                           env={**os.environ, "PYTHONHASHSEED": "0"})  # fmt: skip
        finally:
            listener.close()
            broker.kill()
            router.close()
    told = json.loads((folder / "told").read_text())
    print(f"## {phase.name}: {told['turns'] / phase.seconds:.1f} turns/s, "
          f"{told['frames']} frames, lost {told['lost']}")  # fmt: skip
    if opcodes:
        total = sum(told["opcodes"].values())
        many = max(1, max(told["frames"]))
        print(f"{total / phase.seconds:,.0f} opcodes a second, {total / many:,.0f} a message")
        for name, count in list(told["opcodes"].items())[:400]:
            print(f"{count / many:10.1f} {name}")
        return
    # The first dump is at stop().
    texts = [path.read_text() for path in sorted(folder.glob("out*"))]
    text = max(texts, key=total_of)
    if within:
        print(f"{total_of(text) / max(told['frames']):,.0f} a message")
        (folder / "shown").write_text(text)
        subprocess.run(["callgrind_annotate", "--threshold=95", folder / "shown"])
    else:
        show(text, phase, max(told["frames"]))


def total_of(text: str) -> int:
    found = re.search(r"(?m)^totals: (\d+)", text)
    assert found is not None
    return int(found[1])


def show(text: str, phase: Phase, frames: int) -> None:
    names: dict[str, str] = {}
    inclusive: dict[str, int] = {}
    times: dict[str, int] = {}
    target, calling = "", 0
    total = total_of(text)
    for line in text.splitlines():
        if line.startswith(("fn=", "cfn=")):
            key, _, name = line.partition("=")[2].partition(" ")
            if name:
                names[key] = name
            if line[0] == "c":
                target = names[key]
        elif line.startswith("calls="):
            calling = int(line[6:].split()[0])
        elif calling:
            if target.startswith("class_"):
                inclusive[target] = inclusive.get(target, 0) + int(line.split()[-1])
                times[target] = times.get(target, 0) + calling
            calling = 0
    many = max(1, frames)
    print(f"{total / phase.seconds:,.0f} instructions a second, {total / many:,.0f} a message")
    for number, name in enumerate(CLASSES):
        key = f"class_{number:02}"
        cost = inclusive.get(key, 0)
        if cost:
            print(f"{cost / many:12,.0f} {cost / total:6.1%} {times[key] / phase.seconds:8.1f}/s "
                  f"{cost / times[key]:12,.0f} each  {name}")  # fmt: skip


if __name__ == "__main__":
    within = "".join(word[9:] for word in sys.argv if word.startswith("--within="))
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    for phase in PHASES:
        if words and phase.name.split(",")[0] not in words:
            continue
        with tempfile.TemporaryDirectory() as folder_name:
            folder = Path(folder_name)
            compiled(folder)
            counted(phase, folder, "--opcodes" in sys.argv, within)
            sys.stdout.flush()
