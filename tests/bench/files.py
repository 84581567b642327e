# SPDX-License-Identifier: Apache-2.0
"""Capture file to diagnosed calls, beside the programs that read calls from files."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path

import make_calls
from measure import Cost, environment, interleaved, python, run, spread, table

FIELDS = ("frame.time_epoch", "ip.src", "ip.dst", "sip.Method", "sip.Status-Code", "sip.Call-ID",
          "sip.CSeq", "sip.Via.branch")  # fmt: skip
PEERS = {
    "sipgrep (dialog report)": (("sipgrep", "-C", "-G", "-I"), (), "calls"),
    "sngrep (no screen)": (("sngrep", "-N", "-q", "-l", "200000", "-I"), (), "calls"),
    "tshark -z sip,stat": (("tshark", "-n", "-q", "-z", "sip,stat", "-r"), (), "counters"),
    "tshark -T fields, 8 fields": (
        ("tshark", "-n", "-Y", "sip", "-T", "fields",
         *(word for field in FIELDS for word in ("-e", field)), "-r"), (), "fields"),
}  # fmt: skip
LOOP = """
import sys, pcapy
reader = pcapy.open_offline(sys.argv[1])
if sys.argv[2] == "loop":
    reader.loop(0, lambda header, data: None)
else:
    while reader.next_batch(256)[1]:
        pass
"""


def analyze(*words: str) -> list[str]:
    return python("-m", "algwatch", "analyze", "--json", *words)


class Files:
    """The captures, made once in a directory."""

    def __init__(self, directory: Path, times: int) -> None:
        make_calls.main(directory, times)
        self.calls, self.rtp = str(directory / "calls.pcap"), str(directory / "rtp.pcap")
        self.ten = str(directory / f"calls_{times}.pcap")
        self.sides = self._sides(directory, "")
        self.rewritten = self._sides(directory, "_alg")
        self.empty = str(directory / "empty.pcap")
        make_calls.write_rtp(Path(self.empty), 0)

    def _sides(self, directory: Path, which: str) -> list[str]:
        lan, wan = (str(directory / f"{side}{which}.pcap") for side in ("lan", "wan"))
        return ["--lan", lan, "--wan", wan]


def verdict(*words: str) -> str:
    """The findings of algwatch, in a few words; an AssertionError when that is wrong."""
    done = subprocess.run(analyze(*words), capture_output=True, text=True, env=environment())
    found = json.loads(done.stdout)
    lost = sum(finding["rule"] == "DLG001" for finding in found["findings"])
    assert lost == make_calls.LOST, f"{lost} lost ACKs instead of {make_calls.LOST}"
    assert len(found["calls"]) == make_calls.CALLS
    return f"{lost:,} lost ACKs"


def measure(files: Files, rounds: int) -> tuple[dict[str, list[Cost]], list[str]]:
    commands: dict[str, Sequence[str]] = {
        "algwatch": analyze(files.calls),
        "start": analyze(files.empty),
        "two sides": analyze(*files.sides),
        "two sides, rewritten": analyze(*files.rewritten),
        "media": analyze(files.rtp),
        "pcapy-ng, next_batch alone": python("-c", LOOP, files.calls, "batch"),
        "pcapy-ng, loop with an empty callback": python("-c", LOOP, files.calls, "loop"),
        "python": python("-c", "import pcapy"),
    }
    missing = []
    for name, (words, behind, _) in PEERS.items():
        if shutil.which(words[0]) is None:
            missing.append(f"{name} is not measured: apt-get install {words[0]}")
        else:
            commands[name] = [*words, files.calls, *behind]
    return interleaved(commands, rounds), missing


def _nanoseconds(costs: list[Cost], start: list[Cost], count: int) -> list[float]:
    """CPU of each run without start and end, a message."""
    base = statistics.median(cost.cpu for cost in start)
    return [max(0.0, cost.cpu - base) * 1e9 / count for cost in costs]


def show(costs: dict[str, list[Cost]], files: Files) -> str:
    messages = make_calls.MESSAGES
    finds = {"algwatch": verdict(files.calls)} | {name: peer[2] for name, peer in PEERS.items()}
    ours = statistics.median(cost.cpu for cost in costs["algwatch"])
    rows = []
    names = [name for name in finds if name in costs]
    for name in sorted(names, key=lambda one: statistics.median(c.cpu for c in costs[one])):
        runs = costs[name]
        cpu = statistics.median(cost.cpu for cost in runs)
        rows.append([name, spread([cost.user for cost in runs]),
                     spread([cost.system for cost in runs]), f"{cpu * 1e6 / messages:.1f}",
                     f"{max(cost.rss for cost in runs):.0f}", f"{cpu / ours:.1f}",
                     finds[name]])  # fmt: skip
    head = [f"{messages:,} messages", "user s", "sys s", "µs a message", "MB", "times ours",
            "finds"]  # fmt: skip
    return table(head, rows)


def show_parts(costs: dict[str, list[Cost]], files: Files, many: Cost, times: int) -> str:
    """The cost of a message, a crossing and a media packet without start and end."""
    start, plain = costs["start"], costs["python"]
    messages = make_calls.MESSAGES
    one = _nanoseconds(costs["algwatch"], start, messages)
    rows = []

    def row(name: str, values: list[float], target: str, rss: float) -> None:
        rows.append([name, spread(values, "{:,.0f}"), target, f"{rss:.0f}"])

    def rss(name: str) -> float:
        return max(cost.rss for cost in costs[name])

    row("one-sided, a message", one, "5,000", rss("algwatch"))
    twice = f"{2 * statistics.median(one):,.0f}"
    for name, words in (("two sides", files.sides), ("two sides, rewritten", files.rewritten)):
        verdict(*words)
        values = _nanoseconds(costs[name], start, messages)
        row(f"{name}, a crossing", values, twice, rss(name))
    row("a packet of media", _nanoseconds(costs["media"], start, 100_000), "120", rss("media"))
    for name in ("pcapy-ng, next_batch alone", "pcapy-ng, loop with an empty callback"):
        row(f"{name}, a packet", _nanoseconds(costs[name], plain, messages), "", rss(name))
    base = statistics.median(cost.cpu for cost in start)
    row(f"one-sided, {times} times as long, a message",
        [(many.cpu - base) * 1e9 / messages / times], "5,000", many.rss)  # fmt: skip
    row("start and end, all of it", [cost.cpu * 1e9 for cost in start], "", rss("start"))
    head = ["without start and end", "ns (min / median / max)", "target", "MB"]
    return table(head, rows)


def long_run(files: Files) -> Cost:
    return run(analyze(files.ten))
