# SPDX-License-Identifier: Apache-2.0
"""Offloading, MTUs and overload at a live tap, and the daemon's words for it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from algwatch.base.clock import PacketClock
from algwatch.base.native import layout
from algwatch.base.packet import LAN, WAN, Tap
from algwatch.capture.reassembly import Reassembler
from algwatch.capture.ring import BLOCK_BYTES, LiveTap
from algwatch.daemon import Console, Daemon, Source
from algwatch.pipeline import Pipeline
from craft import ones_sum
from test_ring import INVITE, KEY, Wire, _allowed, ip, sip, wait, wire

__all__ = ["_allowed", "wire"]  # fixtures
ROOT = Path(__file__).resolve().parents[2]


def long_invite(number: int, body: int) -> bytes:
    text = INVITE % (number, number)
    return text.replace(b"Content-Length: 0", b"Content-Length: %d" % body) + bytes(body)


def frames(tap: LiveTap, seconds: float) -> tuple[list[bytes], list[bytes]]:
    """Frames and messages that come within a time, SIP in pieces put together."""
    caught: list[bytes] = []
    messages: list[bytes] = []
    reassembler = Reassembler(0, (5060,), KEY)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        batch = tap.read()
        if batch is None:
            time.sleep(0.002)
            continue
        # Before reassembly: afterwards a row no longer tells where its frame was.
        for ends in layout.ENDS.iter_unpack(batch.ends):
            caught.append(bytes(batch.buffer[ends[2] : ends[2] + ends[3]]))
        whole = reassembler.feed(batch)
        for row in layout.ROW.iter_unpack(whole.rows):
            if row[13] in (layout.KIND_SIP, layout.KIND_CUT):
                messages.append(bytes(whole.buffer[row[8] : row[8] + row[9]]))
    return caught, messages


def test_sip_is_read_although_the_hardware_was_to_finish_its_checksum(wire: Wire) -> None:
    near = wire.tap()
    with wire.sender() as sender:
        sender.sendto(INVITE % (1, 1), ("10.77.0.2", 5060))
    caught, messages = frames(near, 0.5)
    assert messages == [INVITE % (1, 1)]
    packet = caught[0][14:]
    udp = packet[20:]
    pseudo = packet[12:20] + bytes((0, 17)) + len(udp).to_bytes(2, "big")
    assert ones_sum(pseudo + udp) != 0xFFFF  # RFC 768: it would be, were it finished
    near.close()


def test_a_message_that_fits_a_larger_mtu_and_one_that_no_longer_fits_are_both_read(
    wire: Wire,
) -> None:
    far = wire.tap(far=True)
    for mtu, number in (("9000", 1), ("1280", 2)):
        for name, device in ((wire.near, "aw0"), (wire.far, "aw1")):
            ip("-n", name, "link", "set", device, "mtu", mtu)
        with wire.sender() as sender:
            sender.sendto(long_invite(number, 5000), ("10.77.0.2", 5060))
        caught, messages = frames(far, 0.5)
        assert messages == [long_invite(number, 5000)]
        assert (len(caught) == 1) == (mtu == "9000")
    assert far.reopened == 0
    far.close()


def test_a_frame_larger_than_a_block_is_cut_and_told_as_such(wire: Wire) -> None:
    far = wire.tap(far=True)
    for name, device in ((wire.near, "aw0"), (wire.far, "aw1")):
        ip("-n", name, "link", "set", device, "mtu", "65535")
    head = len(long_invite(1, 65000)) - 65000
    whole = long_invite(1, 65507 - head)  # the largest datagram of IPv4
    with wire.sender() as sender:
        sender.sendto(whole, ("10.77.0.2", 5060))
        sender.sendto(INVITE % (2, 2), ("10.77.0.2", 5060))
    caught, messages = frames(far, 0.5)
    assert far.counts.as_dict()["truncated"] == far.counts.as_dict()["cut"] == 1
    assert far.counts.as_dict()["malformed"] == 0
    cut, behind = messages
    assert len(caught[0]) < BLOCK_BYTES < len(whole) + 42
    assert whole.startswith(cut) and len(cut) == len(caught[0]) - 42
    assert behind == INVITE % (2, 2)
    far.close()


def test_frames_that_segmentation_offload_made_are_not_cut(wire: Wire) -> None:
    near = wire.tap(ring_bytes=64 * BLOCK_BYTES)
    with wire.inside(wire.far):
        server = socket.create_server(("10.77.0.2", 5060))
    with wire.inside(wire.near):
        client = socket.create_connection(("10.77.0.2", 5060))
    peer, _ = server.accept()
    messages = [long_invite(number, 1500) for number in range(600)]

    def swallow() -> None:
        while peer.recv(1 << 20):
            pass

    reader = threading.Thread(target=swallow)
    reader.start()
    client.sendall(b"".join(messages))
    client.shutdown(socket.SHUT_WR)
    reader.join()
    caught, found = frames(near, 1.0)
    for one in (client, peer, server):
        one.close()
    assert max(map(len, caught)) > 32768  # indeed larger than anything on a wire
    assert near.counts.as_dict()["truncated"] == 0
    assert sorted(found) == sorted(messages)
    near.close()


def test_the_health_report_tells_what_an_overload_cost(wire: Wire) -> None:
    near, far = wire.tap(), wire.tap(far=True, ring_bytes=2 * BLOCK_BYTES)
    sources = [Source(near, LAN, Reassembler(0, (5060,), KEY)),
               Source(far, WAN, Reassembler(1, (5060,), KEY))]  # fmt: skip
    pipeline = Pipeline([Tap("aw0", LAN), Tap("aw1", WAN)], live=True)
    clock = PacketClock(time.monotonic_ns, time.time_ns)
    daemon = Daemon(sources, pipeline, clock, Console(print, print, False), far.counts, None, 60)
    before = wire.arrived()
    with wire.sender() as sender:
        for number in range(3000):  # nobody reads meanwhile
            sender.sendto(INVITE % (number, number), ("10.77.0.2", 5060))
    came = wire.arrived() - before
    read = len(sip(wait(far, lambda found: False, seconds=0.5)))
    taps = daemon.health()["taps"]
    assert isinstance(taps, dict)
    assert taps["aw1"]["drops"] == came - read > 0 and came > 2900
    assert taps["aw1"]["losing"] + taps["aw1"]["freezes"] > 0
    near.close()
    far.close()


@contextmanager
def running(wire: Wire, *options: str) -> Iterator[subprocess.Popen[str]]:
    """`algwatch run` in the near namespace, on two interfaces where nothing passes."""
    agent = subprocess.Popen(
        ["ip", "netns", "exec", wire.near, sys.executable, "-m", "algwatch", "run", "--lan", "aw0",
         "--wan", "lo", *options],
        env={**os.environ, "PYTHONPATH": str(ROOT / "agent")}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert agent.stdout is not None
    assert "watching aw0" in agent.stdout.readline()
    try:
        yield agent
    finally:
        agent.send_signal(signal.SIGTERM)
        agent.communicate(timeout=10)


def switches(pid: int) -> int:
    """How often all threads of a process went to sleep and were woken (proc(5))."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                total += int(line.split()[1])
    return total


def test_an_idle_daemon_wakes_up_at_most_five_times_a_second(wire: Wire) -> None:
    with running(wire) as agent:
        time.sleep(1.0)
        before, start = switches(agent.pid), time.monotonic()
        ticks = Path(f"/proc/{agent.pid}/stat").read_text().split()[13:15]
        time.sleep(4.0)
        woken = (switches(agent.pid) - before) / (time.monotonic() - start)
        after = Path(f"/proc/{agent.pid}/stat").read_text().split()[13:15]
    assert 0 < woken <= 5
    busy = sum(map(int, after)) - sum(map(int, ticks))
    assert busy <= 4  # hundredths of a second, in 4 s: no busy loop


def test_the_ring_has_the_size_that_the_settings_name(wire: Wire) -> None:
    with running(wire, "--ring-bytes", "1048576") as agent:
        sizes = []
        for line in Path(f"/proc/{agent.pid}/maps").read_text().splitlines():
            if "socket:[" in line:
                low, high = (int(word, 16) for word in line.split()[0].split("-"))
                sizes.append(high - low)
    assert sizes == [1048576, 1048576]
