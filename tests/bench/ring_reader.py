# SPDX-License-Identifier: Apache-2.0
"""The receiving end of the ring's measurement, one process: ring_reader.py WAY INTERFACE

Prints "ready", reads until standard input ends, and prints what it saw as one JSON object:
packets, sip, drops, cpu (seconds). WAY: ring (rows and nothing else), agent (the whole pipeline),
pcapy (pcapy-ng's loop, a callback that only counts).
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from collections.abc import Callable

KEY = b"k" * 16
Reading = Callable[[], dict[str, float]]


def waited() -> float:
    """Seconds that this process was ready to run and somebody else did (proc(5), schedstat)."""
    with open("/proc/self/schedstat", encoding="ascii") as file:
        return int(file.read().split()[1]) / 1e9


def ended() -> bool:
    return bool(select.select([sys.stdin], [], [], 0)[0])


def ring(interface: str, whole: bool) -> dict[str, float]:
    from algwatch.base.native.rows import Counts
    from algwatch.base.packet import LAN, Tap
    from algwatch.capture.order import Order, Timeline
    from algwatch.capture.reassembly import Reassembler
    from algwatch.capture.ring import LAG, LiveTap
    from algwatch.daemon import HELD, tidy_by_the_clock
    from algwatch.pipeline import Pipeline

    counts = Counts()
    tap = LiveTap(interface, 0, (5060,), KEY, counts, int(os.environ["RING_BYTES"]))
    pipeline = Pipeline([Tap(interface, LAN)], live=True) if whole else None
    timeline = Timeline(pipeline, 1) if pipeline is not None else None
    order, reassembler = Order(1, HELD), Reassembler(0, (5060,), KEY)
    poller = select.poll()
    poller.register(tap.fileno(), select.POLLIN)
    if whole:
        tidy_by_the_clock()
    print("ready", flush=True)
    start, last = time.process_time(), False
    while True:
        poller.poll(200)
        while (batch := tap.read()) is not None:
            if timeline is not None and batch.count:
                for rows in order.feed(0, reassembler.feed(batch)):
                    timeline.feed(rows)
        if timeline is not None:
            for rows in order.advance(0, time.time_ns() - LAG):
                timeline.feed(rows)
        if last:
            break
        last = ended()
    seen = counts.as_dict()
    return {"packets": seen["packets"], "sip": seen["sip"], "cpu": time.process_time() - start,
            **tap.stats()}  # fmt: skip


def pcapy_loop(interface: str) -> dict[str, float]:
    import pcapy

    reader = pcapy.open_live(interface, 65535, 1, 100)
    seen = [0]

    def count(header: object, data: bytes) -> None:
        seen[0] += 1

    print("ready", flush=True)
    reader.setnonblock(True)  # without, it waits for a packet however long that takes
    poller = select.poll()
    poller.register(reader.getfd(), select.POLLIN)
    start, last = time.process_time(), False
    while True:
        poller.poll(200)
        while reader.dispatch(-1, count) > 0:
            pass
        if last:
            break
        last = ended()
    _, drops, _ = reader.stats()
    return {"packets": seen[0], "sip": 0, "drops": drops, "cpu": time.process_time() - start}


if __name__ == "__main__":
    way, name = sys.argv[1:]
    told = pcapy_loop(name) if way == "pcapy" else ring(name, way == "agent")
    told["waited"] = waited()
    print(json.dumps(told))
