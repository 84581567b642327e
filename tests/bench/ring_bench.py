# SPDX-License-Identifier: Apache-2.0
"""How many packets a second a live tap takes without loss, beside pcapy-ng's loop on the same
interface. Needs root: two network namespaces with a veth pair between them, removed afterwards.

The receiver has one CPU, the sender the other, and the kernel's receive path is on the sender's.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import make_calls
import plot
from measure import environment, spread, table

HERE = Path(__file__).resolve().parent
RATES = (25_000, 50_000, 100_000, 150_000, 200_000, 300_000, 0)  # SIP a second; 0: no limit
OTHER = 9  # of a hardware address that nobody has
SMALL, LARGE = 262144, 2097152  # what a router gives the ring, and what libpcap gives its own
# Name: (what ring_reader.py does, bytes of the ring)
WAYS = {
    "algwatch, rows": ("ring", SMALL),
    "algwatch, diagnosed": ("agent", SMALL),
    "algwatch, diagnosed, ring of 2 MB": ("agent", LARGE),
    "pcapy-ng loop, empty callback, 2 MB": ("pcapy", LARGE),
}


class Line:
    """near --- far: frames sent into `aw0` of near come out of `aw1` of far."""

    def __init__(self) -> None:
        self.near, self.far = (f"aw-bench-{side}-{os.getpid()}" for side in ("near", "far"))

    def __enter__(self) -> Line:
        for name in (self.near, self.far):
            ip("netns", "add", name)
        ip("-n", self.near, "link", "add", "aw0", "type", "veth", "peer", "name", "aw1",
           "address", "02:00:00:00:00:01", "netns", self.far)  # fmt: skip
        for name, device in ((self.near, "aw0"), (self.far, "aw1")):
            # No addresses: nobody answers, and the kernel throws away early what it received.
            for word in ("all", "default", device):
                run_in(name, "sysctl", "-qw", f"net.ipv6.conf.{word}.disable_ipv6=1")
            ip("-n", name, "link", "set", device, "up")
        time.sleep(0.2)
        return self

    def __exit__(self, *exception: object) -> None:
        for name in (self.near, self.far):
            subprocess.run(["ip", "netns", "del", name], check=False)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def run_in(namespace: str, *words: str) -> None:
    subprocess.run(["ip", "netns", "exec", namespace, *words], check=False)


class Outcome:
    """of one run: sent, seconds of sending; seen: what the reader told."""

    def __init__(self, sent: int, seconds: float, seen: dict[str, float]) -> None:
        self.sent = sent
        self.rate = sent / seconds
        self.seen = seen

    @property
    def lost(self) -> int:
        return int(self.seen["drops"])

    @property
    def ns(self) -> float:
        return self.seen["cpu"] * 1e9 / self.sent


def send(
    line: Line, flood: Path, frames: Path, way: tuple[str, int], rate: int, count: int
) -> Outcome:
    # First in first out, both: who else runs on this machine shall not decide how much is lost.
    reader = subprocess.Popen(
        ["taskset", "-c", "1", "chrt", "-f", "10", "ip", "netns", "exec", line.far,
         sys.executable, str(HERE / "ring_reader.py"), way[0], "aw1"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**environment(), "RING_BYTES": str(way[1])},
    )  # fmt: skip
    assert reader.stdin is not None and reader.stdout is not None
    assert reader.stdout.readline() == "ready\n"
    sender = subprocess.run(
        ["taskset", "-c", "0", "chrt", "-f", "10", "ip", "netns", "exec", line.near, str(flood),
         "aw0", str(frames), str(rate), str(count)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    time.sleep(0.5)
    reader.stdin.close()
    seen = json.loads(reader.stdout.read())
    reader.wait()
    sent, seconds = sender.stdout.split()
    return Outcome(int(sent), float(seconds), seen)


def _frames(path: Path, packets: Path, most: int, last: int = 1) -> Path:
    """Frames of a capture file, for the receiver's own hardware address, or one that ends with
    another byte: then the kernel drops them as soon as the taps have seen them."""
    data = packets.read_bytes()
    at = 24
    with open(path, "wb") as out:
        while at < len(data) and most:
            length = struct.unpack_from("<I", data, at + 8)[0]
            out.write(struct.pack("<I", length) + b"\2\0\0\0\0" + bytes((last,)) + b"\2\0\0\0\0\2")
            out.write(data[at + 28 : at + 16 + length])
            at += 16 + length
            most -= 1
    return path


def build(directory: Path) -> Path:
    flood = directory / "flood"
    subprocess.run(["cc", "-O2", "-Wall", "-o", flood, HERE / "flood.c"], check=True)
    return flood


def _media(line: Line, flood: Path, frames: Path, rounds: int) -> list[list[str]]:
    """As fast as the sender can: what is not SIP stays outside the ring, nothing may be lost."""
    rows = []
    for name, way in WAYS.items():
        if name == "algwatch, diagnosed":
            continue  # the same: the filter is in the kernel
        runs = [send(line, flood, frames, way, 0, 1_000_000) for _ in range(rounds)]
        rows.append([f"media: {name}", spread([one.rate for one in runs], "{:,.0f}"),
                     spread([one.ns for one in runs], "{:,.0f}"),
                     f"{max(one.lost for one in runs):,}"])  # fmt: skip
    return rows


def _sip(line: Line, flood: Path, frames: Path, rounds: int) -> tuple[list[list[str]], list[float]]:
    """The highest of RATES at which no round lost a message, and what the next one lost."""
    rows, best = [], []
    for name, way in WAYS.items():
        whole: list[Outcome] = []
        beyond = "0"
        for rate in RATES:
            runs = [send(line, flood, frames, way, rate, make_calls.MESSAGES)
                    for _ in range(rounds)]  # fmt: skip
            worst = max(runs, key=lambda one: one.lost)
            if worst.lost:
                # A machine that others use stops the reader too: that is lost as well.
                waited = worst.seen["waited"] * 1e3
                beyond = f"0 (at {worst.rate:,.0f}/s: {worst.lost:,}, stopped for {waited:.0f} ms)"
                break
            whole = runs
        rate_of = spread([one.rate for one in whole], "{:,.0f}") if whole else "-"
        rows.append([f"SIP: {name}", rate_of, spread([one.ns for one in whole or runs], "{:,.0f}"),
                     beyond])  # fmt: skip
        best.append(min((one.rate for one in whole), default=0.0))
    return rows, best


def report(directory: Path, rounds: int) -> list[plot.Chart]:
    if (os.cpu_count() or 1) < 2:
        print("not measured: it needs two CPUs, one for the sender")
        return []
    flood = build(directory)
    make_calls.write_calls(directory / "ring_calls.pcap")
    make_calls.write_rtp(directory / "ring_rtp.pcap", 1000)
    sip = _frames(directory / "sip.frames", directory / "ring_calls.pcap", make_calls.MESSAGES)
    media = _frames(directory / "media.frames", directory / "ring_rtp.pcap", 1000, OTHER)
    with Line() as line:
        rows = _media(line, flood, media, rounds)
        more, best = _sip(line, flood, sip, rounds)
    where = "one CPU; ring of 256 kB where no other is named"
    rate = "packets/s without loss (min / median / max)"
    head = [where, rate, "receiver's CPU, ns a packet", "lost"]
    print(table(head, rows + more), flush=True)
    return [("Live: SIP messages a second without loss",
             list(zip(WAYS, best, strict=True)), [("target", 100_000)], "{:,.0f}")]  # fmt: skip


def main(words: Sequence[str]) -> int:
    """For one measurement by hand: ring_bench.py ring|agent|pcapy sip|media RATE COUNT"""
    import tempfile

    with tempfile.TemporaryDirectory() as name, Line() as line:
        directory = Path(name)
        way, what, rate, count = words
        path = directory / "packets.pcap"
        if what == "sip":
            make_calls.write_calls(path)
        else:
            make_calls.write_rtp(path, 1000)
        last = 1 if what == "sip" else OTHER
        frames = _frames(directory / "frames", path, make_calls.MESSAGES, last)
        size = int(os.environ.get("RING_BYTES", SMALL))
        outcome = send(line, build(directory), frames, (way, size), int(rate), int(count))
        print(f"{outcome.rate:,.0f}/s, {outcome.ns:,.0f} ns a packet, {outcome.seen}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
