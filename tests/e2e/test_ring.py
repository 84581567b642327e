# SPDX-License-Identifier: Apache-2.0
"""The capture ring on real interfaces: two network namespaces with a veth between them."""

from __future__ import annotations

import ctypes
import json
import os
import select
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from algwatch.base.native import layout
from algwatch.base.native.ring import Ring
from algwatch.base.native.rows import Counts
from algwatch.capture import ring
from algwatch.capture.reassembly import Reassembler
from algwatch.capture.ring import BLOCK_BYTES, LAG, LiveTap, TapError
from craft import frame
from forger import ip_summed, summed, wrong

INVITE = (
    b"INVITE sip:bob@10.77.0.2 SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 10.77.0.1:5060;branch=z9hG4bK%d\r\n"
    b"From: <sip:alice@10.77.0.2>;tag=1\r\n"
    b"To: <sip:bob@10.77.0.2>\r\n"
    b"Call-ID: ring-%d\r\n"
    b"CSeq: 1 INVITE\r\n"
    b"Content-Length: 0\r\n\r\n"
)
KEY = bytes(16)
LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000


def refusal() -> str:
    """Why this machine does not allow the test, or ""."""
    if os.geteuid() != 0:
        return "needs root (network namespaces and CAP_NET_RAW)"
    name = f"aw-try-{os.getpid()}"
    try:
        made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    except FileNotFoundError:
        return "needs the program ip (iproute2)"
    if made.returncode:
        return f"no network namespaces: {made.stderr.strip()}"
    subprocess.run(["ip", "netns", "del", name], check=False)
    return ""


@pytest.fixture(scope="module", autouse=True)
def _allowed() -> None:
    reason = refusal()
    if reason and os.environ.get("CI") == "true":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)


def ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"


def enter(path: str) -> None:
    with open(path, "rb") as namespace:
        if LIBC.setns(namespace.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {path}")


class Wire:
    """Two namespaces, `near` with interface aw0 (10.77.0.1) and `far` with aw1 (10.77.0.2)."""

    def __init__(self) -> None:
        self.near, self.far = (f"aw-{side}-{os.getpid()}" for side in ("near", "far"))
        ip("netns", "add", self.near)
        ip("netns", "add", self.far)
        for name in (self.near, self.far):
            with self.inside(name), open("/proc/sys/net/ipv6/conf/all/disable_ipv6", "w") as file:
                file.write("1")
            ip("-n", name, "link", "set", "lo", "up")
        self.plug()
        with self.inside(self.far):  # somebody listens: no ICMP errors unless a test wants them
            self.sinks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3)]
        for sink, port in zip(self.sinks, (5060, 40001, 40002), strict=True):
            sink.bind(("", port))

    def plug(self) -> None:
        ip("-n", self.near, "link", "add", "aw0", "type", "veth", "peer", "name", "aw1",
           "netns", self.far)  # fmt: skip
        for name, device, address in ((self.near, "aw0", 1), (self.far, "aw1", 2)):
            ip("-n", name, "address", "add", f"10.77.0.{address}/24", "dev", device)
            ip("-n", name, "link", "set", device, "up")
        # No ARP: the queue of what waits for its answer loses packets of a burst.
        ether = self.to_far()
        for name, device, address, mac in ((self.near, "aw0", 2, ether[:6]),
                                           (self.far, "aw1", 1, ether[6:])):  # fmt: skip
            ip("-n", name, "neigh", "replace", f"10.77.0.{address}", "lladdr", mac.hex(":"),
               "dev", device, "nud", "permanent")  # fmt: skip

    def arrived(self) -> int:
        """Frames that aw1 has received, by the kernel's count."""
        words = ["ip", "-n", self.far, "-s", "-j", "link", "show", "aw1"]
        shown = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        return int(json.loads(shown)[0]["stats64"]["rx"]["packets"])

    def unplug(self) -> None:
        ip("-n", self.near, "link", "del", "aw0")

    def remove(self) -> None:
        for sink in self.sinks:
            sink.close()
        for name in (self.near, self.far):
            subprocess.run(["ip", "netns", "del", name], check=False)

    @contextmanager
    def inside(self, name: str) -> Iterator[None]:
        with open("/proc/thread-self/ns/net", "rb") as home:
            enter(f"/run/netns/{name}")
            try:
                yield
            finally:
                assert LIBC.setns(home.fileno(), CLONE_NEWNET) == 0

    def sender(self, port: int = 5060) -> socket.socket:
        with self.inside(self.near):
            sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sender.bind(("10.77.0.1", port))
        return sender

    def to_far(self) -> bytes:
        """Both hardware addresses of a frame from aw0 to aw1."""
        said = []
        for name, device in ((self.far, "aw1"), (self.near, "aw0")):
            with self.inside(name):
                words = ["ip", "-o", "link", "show", device]
                shown = subprocess.run(words, capture_output=True, text=True, check=True).stdout
            said.append(shown.split("link/ether ")[1].split()[0].replace(":", ""))
        return bytes.fromhex("".join(said))

    def raw(self) -> socket.socket:
        """Sends whole frames on aw0."""
        with self.inside(self.near):
            raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            raw.bind(("aw0", 0))
        return raw

    def tap(self, far: bool = False, device: str = "", **options: Any) -> LiveTap:
        with self.inside(self.far if far else self.near):
            return LiveTap(
                device or ("aw1" if far else "aw0"), int(far), (5060,), KEY, Counts(),
                **options,
            )  # fmt: skip


@pytest.fixture
def wire(_allowed: None) -> Iterator[Wire]:
    wire = Wire()
    try:
        yield wire
    finally:
        wire.remove()


class Seen:
    """The messages of a tap, copied out of the ring."""

    def __init__(self, row: tuple[int, ...], ends: tuple[Any, ...], payload: bytes) -> None:
        self.at, self.bits, self.kind, self.tap = row[0], row[12], row[13], row[16]
        self.src, self.dst, self.sport, self.dport, self.point = *ends[:2], *ends[4:7]
        self.payload = payload


def drain(tap: LiveTap, whole: Reassembler | None = None) -> list[Seen]:
    """whole: puts parts together."""
    found = []
    while (batch := tap.read()) is not None:
        if whole is not None:
            batch = whole.feed(batch)
        rows = layout.ROW.iter_unpack(batch.rows)
        for row, ends in zip(rows, layout.ENDS.iter_unpack(batch.ends), strict=True):
            payload = bytes(batch.buffer[row[8] : row[8] + row[9]])
            found.append(Seen(row, ends, payload))
    return found


def wait(tap: LiveTap, enough: Callable[[list[Seen]], bool], seconds: float = 3.0,
         whole: Reassembler | None = None) -> list[Seen]:  # fmt: skip
    found: list[Seen] = []
    end = time.monotonic() + seconds
    while not enough(found) and time.monotonic() < end:
        select.select([tap.fileno()] if tap.fileno() >= 0 else [], [], [], 0.1)
        found += drain(tap, whole)
    return found


def sip(found: list[Seen]) -> list[Seen]:
    return [one for one in found if one.kind == layout.KIND_SIP]


def test_both_ends_see_a_message_and_know_its_direction(wire: Wire) -> None:
    near, far = wire.tap(), wire.tap(far=True)
    before = time.time_ns()
    with wire.sender() as sender:
        sender.sendto(INVITE % (1, 1), ("10.77.0.2", 5060))
    sent = sip(wait(near, lambda found: bool(sip(found))))
    received = sip(wait(far, lambda found: bool(sip(found))))
    after = time.time_ns()

    assert [one.payload for one in sent] == [one.payload for one in received] == [INVITE % (1, 1)]
    assert sent[0].bits & layout.ROW_OUTGOING
    assert not received[0].bits & layout.ROW_OUTGOING
    assert (sent[0].tap, received[0].tap) == (0, 1)
    assert before <= sent[0].at <= received[0].at <= after
    assert received[0].src[:4] == bytes((10, 77, 0, 1))
    assert (received[0].sport, received[0].dport) == (5060, 5060)
    near.close()
    far.close()


def test_sip_is_seen_on_a_port_that_nobody_configured(wire: Wire) -> None:
    far = wire.tap(far=True)
    with wire.sender(40000) as sender:
        sender.sendto(INVITE % (2, 2), ("10.77.0.2", 40001))
    found = wait(far, lambda found: bool(found))
    assert [one.payload for one in found] == [INVITE % (2, 2)]
    assert (found[0].sport, found[0].dport) == (40000, 40001)
    far.close()


def test_what_is_not_sip_does_not_enter_the_ring(wire: Wire) -> None:
    far = wire.tap(far=True)
    with wire.sender(40000) as sender:
        for number in range(50):
            sender.sendto(struct.pack("!HHII", 0x8008, number, 0, 0) + bytes(160),
                          ("10.77.0.2", 40002))  # fmt: skip
        sender.sendto(b"\r\n\r\n", ("10.77.0.2", 5060))
        sender.sendto(b"not SIP at all", ("10.77.0.2", 5060))
        sender.sendto(INVITE % (3, 3), ("10.77.0.2", 5060))
    found = wait(far, lambda found: bool(sip(found)))
    assert [one.kind for one in found] == [layout.KIND_KEEPALIVE, layout.KIND_SIP]
    # On a SIP port it enters and is counted; media stays outside.
    counts = far.counts.as_dict()
    assert counts["packets"] == 3
    assert counts["other"] == 1
    far.close()


def test_an_icmp_error_that_quotes_a_sip_flow_is_seen(wire: Wire) -> None:
    far = wire.tap(far=True)
    wire.sinks[0].close()
    with wire.sender() as sender:
        sender.sendto(INVITE % (8, 8), ("10.77.0.2", 5060))
    found = wait(far, lambda found: len(found) >= 2)
    assert [one.kind for one in found] == [layout.KIND_SIP, layout.KIND_ICMP]
    assert found[1].bits & layout.ROW_OUTGOING
    far.close()


def test_a_vlan_tag_is_told_beside_the_message(wire: Wire) -> None:
    far = wire.tap(far=True)
    payload = INVITE % (4, 4)
    with wire.raw() as raw:
        raw.send(wire.to_far() + struct.pack("!HHH", 0x8100, 20, 0x0800) + _datagram(payload))
    found = wait(far, lambda found: bool(found))
    assert [(one.payload, one.point) for one in found] == [(payload, 0x8000 | 20)]
    far.close()


def test_what_no_stack_accepts_gives_no_row(wire: Wire) -> None:
    """Frames on the wire with a wrong IP or UDP checksum, or a length that lies. A right one does,
    and so does one that this kernel leaves to the card."""
    far = wire.tap(far=True)
    right = frame(INVITE % (6, 6), "10.77.0.1", 5060, "10.77.0.2", 5060)
    right = wire.to_far() + right[12:]
    lying = bytearray(right)
    lying[38:40] = struct.pack("!H", 2000)
    with wire.raw() as raw:
        for data in (wrong(right, "ip"), wrong(right, "udp"), ip_summed(bytes(lying), 14)):
            raw.send(data)
        raw.send(summed(right))
    with wire.sender() as sender:
        sender.sendto(INVITE % (7, 7), ("10.77.0.2", 5060))
    found = wait(far, lambda found: len(found) > 1)
    assert [one.payload for one in found] == [INVITE % (6, 6), INVITE % (7, 7)]
    assert all(one.bits & layout.ROW_DIRECTED for one in found)
    assert far.counts.as_dict()["forged"] == 3
    far.close()


def _datagram(payload: bytes) -> bytes:
    """UDP in IPv4, with the checksum of the IP header."""
    udp = struct.pack("!HHHH", 5060, 5060, 8 + len(payload), 0) + payload
    head = struct.pack(
        "!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 9, 0, 64, 17, 0,
        bytes((10, 77, 0, 1)), bytes((10, 77, 0, 2)),
    )  # fmt: skip
    return ip_summed(head + udp)


def _in_ipv6(first: int, data: bytes) -> bytes:
    """first: the number of the header that data begins with."""
    ends = bytes.fromhex("fd" + "00" * 14 + "01" + "fd" + "00" * 14 + "02")
    return struct.pack("!IHBB", 6 << 28, len(data), first, 64) + ends + data


def test_what_a_tunnel_carries_is_no_message_of_this_router(wire: Wire) -> None:
    """A host could wrap a forged message and have the router send it on, as if it were one of the
    router's own. The kernel's filter does not see it behind two extension headers, nor in parts."""
    near, far = wire.tap(), wire.tap(far=True)
    wrapped = struct.pack("!BB6x", 4, 0) + _datagram(INVITE % (8, 8))  # destination options
    half = len(wrapped) // 16 * 8
    parts = [(0x86DD, _in_ipv6(0, struct.pack("!BB6x", 60, 0) + wrapped))]  # hop-by-hop options
    for offset, more, data in ((0, 1, wrapped[:half]), (half, 0, wrapped[half:])):
        parts.append((0x86DD, _in_ipv6(44, struct.pack("!BBHI", 60, 0, offset | more, 7) + data)))
    with wire.raw() as raw:
        for ethertype, packet in (*parts, (0x0800, _datagram(INVITE % (9, 9)))):
            raw.send(wire.to_far() + struct.pack("!H", ethertype) + packet)
    for tap in near, far:
        whole = Reassembler(tap.tap, (5060,), KEY, live=True)
        found = wait(tap, lambda found: bool(sip(found)), whole=whole)
        assert [one.payload for one in sip(found)] == [INVITE % (9, 9)]
        assert (tap.counts.as_dict()["other"], whole.refused) == (1, 1)
        tap.close()


def test_what_is_sent_to_a_group_of_stations_gives_no_row(wire: Wire) -> None:
    """No router sends on what the link layer brings to several at once (RFC 1812 section 5.3.4), so
    that it does not is no news."""
    far = wire.tap(far=True)
    with wire.raw() as raw:
        for number, to in enumerate((b"\xff" * 6, bytes.fromhex("01005e000001"))):
            raw.send(to + wire.to_far()[6:] + b"\x08\0" + _datagram(INVITE % (number, number)))
        raw.send(wire.to_far() + b"\x08\0" + _datagram(INVITE % (9, 9)))
    found = wait(far, lambda found: INVITE % (9, 9) in [one.payload for one in found])
    assert [one.payload for one in found] == [INVITE % (9, 9)]
    assert far.counts.as_dict()["other"] == 2
    far.close()


def test_a_device_without_a_link_header_is_read_as_raw_ip(wire: Wire) -> None:
    if not os.path.exists("/dev/net/tun"):
        pytest.skip("no /dev/net/tun")
    import fcntl

    with wire.inside(wire.near):
        tun = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH22x", b"aw-tun", 0x1001))  # IFF_TUN|NO_PI
    try:
        ip("-n", wire.near, "link", "set", "aw-tun", "up")
        tap = wire.tap(device="aw-tun")
        payload = INVITE % (5, 5)
        udp = struct.pack("!HHHH", 5060, 5060, 8 + len(payload), 0) + payload
        os.write(tun, ip_summed(struct.pack(
            "!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 9, 0, 64, 17, 0,
            bytes((10, 88, 0, 1)), bytes((10, 88, 0, 2)),
        ) + udp))  # fmt: skip
        found = wait(tap, lambda found: bool(found))
        assert [one.payload for one in found] == [payload]
        tap.close()
    finally:
        os.close(tun)


def test_what_a_flood_costs_is_counted_to_the_message(wire: Wire) -> None:
    far = wire.tap(far=True, ring_bytes=2 * BLOCK_BYTES)
    total, before = 4000, wire.arrived()
    with wire.sender() as sender:
        for number in range(total):  # nobody reads meanwhile
            sender.sendto(INVITE % (number, number), ("10.77.0.2", 5060))
    came = wire.arrived() - before
    found = sip(wait(far, lambda found: False, seconds=0.5))
    stats = far.stats()
    assert stats["drops"] > 0 and came > total - 100
    assert stats["losing"] + stats["freezes"] > 0
    assert len(found) + stats["drops"] == came
    assert far.drops == stats["drops"]
    # And the tap goes on.
    with wire.sender() as sender:
        sender.sendto(INVITE % (total, total), ("10.77.0.2", 5060))
    assert wait(far, lambda found: bool(found))[0].payload == INVITE % (total, total)
    assert far.stats()["drops"] == stats["drops"]
    far.close()


def test_nothing_is_lost_or_doubled_when_a_block_has_more_rows_than_fit(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ring, "ROWS", 40)  # 8 packets a call
    far = wire.tap(far=True, ring_bytes=64 * BLOCK_BYTES)
    with wire.sender() as sender:
        for number in range(500):
            sender.sendto(INVITE % (number, number), ("10.77.0.2", 5060))
    found = wait(far, lambda found: len(found) >= 500)
    assert [one.payload for one in found] == [INVITE % (number, number) for number in range(500)]
    assert far.stats()["drops"] == 0
    far.close()


def test_a_burst_waits_outside_the_ring_and_takes_memory_only_while_it_lasts(wire: Wire) -> None:
    # Nearly twice what two blocks hold; nobody reads, but somebody drains.
    far = wire.tap(far=True, ring_bytes=2 * BLOCK_BYTES)
    total = 650
    with wire.sender() as sender:
        for number in range(total):
            sender.sendto(INVITE % (number, number), ("10.77.0.2", 5060))
            if number % 20 == 0:
                far.drain()
    assert len(far._taken) == 2  # as much again as the ring, not more
    found = wait(far, lambda found: len(found) >= total)
    assert [one.payload for one in found] == [INVITE % (n, n) for n in range(total)]
    assert far.stats()["drops"] == 0
    assert far.read() is None
    # One, and perhaps a spare one that was never written to.
    assert not far._taken and len(far._free) <= 2 and not far._burst
    far.close()


def test_an_interface_that_is_deleted_and_made_again_comes_back(wire: Wire) -> None:
    near = wire.tap()
    first = near._ring.ifindex
    with wire.inside(wire.near):  # read() looks the name up in the namespace that it runs in
        wire.unplug()
        assert wait(near, lambda found: near.fileno() < 0, seconds=2.0) == []
        assert near.fileno() == -1
        time.sleep(0.3)
        assert near.read() is None

        wire.plug()
        assert wait(near, lambda found: near.fileno() >= 0, seconds=3.0) == []
        assert near.fileno() >= 0
        assert near._ring.ifindex != first
        assert near.reopened == 1
        with wire.sender() as sender:
            sender.sendto(INVITE % (6, 6), ("10.77.0.2", 5060))
        found = wait(near, lambda found: bool(found))
    assert [one.payload for one in found] == [INVITE % (6, 6)]
    near.close()


def test_an_interface_that_goes_down_and_up_comes_back(wire: Wire) -> None:
    far = wire.tap(far=True)
    with wire.inside(wire.far):
        ip("-n", wire.far, "link", "set", "aw1", "down")
        wait(far, lambda found: far.reopened > 0, seconds=2.0)
        ip("-n", wire.far, "link", "set", "aw1", "up")
        time.sleep(0.1)
        with wire.sender() as sender:
            sender.sendto(INVITE % (7, 7), ("10.77.0.2", 5060))
        found = wait(far, lambda found: bool(found))
    assert [one.payload for one in found] == [INVITE % (7, 7)]
    far.close()


def test_an_interface_deleted_while_it_was_down_is_noticed(wire: Wire) -> None:
    ip("-n", wire.near, "link", "set", "aw0", "down")
    near = wire.tap()
    assert near.read() is None
    assert near.fileno() >= 0  # there, and heard as soon as it is up
    wire.unplug()
    with wire.inside(wire.near):
        assert near.read() is None
        assert near.fileno() == -1
    near.close()


def test_an_idle_tap_does_not_wake_the_process(wire: Wire) -> None:
    far = wire.tap(far=True)
    drain(far)
    wakeups = 0
    end = time.monotonic() + 2.0
    while (left := end - time.monotonic()) > 0:
        wakeups += bool(select.select([far.fileno()], [], [], left)[0])
        drain(far)
    assert wakeups <= 10  # 5 a second
    far.close()


def test_after_none_no_message_comes_that_is_older_than_the_lag(wire: Wire) -> None:
    far = wire.tap(far=True)
    promised = looked = 0
    with wire.sender() as sender:
        for number in range(40):
            sender.sendto(INVITE % (number, number), ("10.77.0.2", 5060))
            time.sleep(0.013)
            now = time.time_ns()
            while (batch := far.read()) is not None:
                for row in layout.ROW.iter_unpack(batch.rows):
                    assert row[0] >= promised
                    looked += 1
                promised = max(promised, batch.watermark)
            promised = max(promised, now - LAG)
    assert looked > 20
    far.close()


def test_a_missing_interface_is_answered_with_those_that_exist(wire: Wire) -> None:
    with pytest.raises(TapError, match=r"no interface wan9; the interfaces here are: lo, aw0"):
        # /proc/net is of the main thread's namespace, which this is.
        wire.tap(device="wan9")


def test_a_missing_privilege_is_named(wire: Wire) -> None:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setresuid(65534, 65534, 65534)
            LiveTap("lo", 0, (5060,), KEY, Counts())
        except TapError as error:
            status = 0 if "CAP_NET_RAW" in str(error) else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_tap_that_fails_or_closes_leaves_nothing_open(wire: Wire) -> None:
    def open_now() -> tuple[int, int]:
        with open("/proc/self/maps") as maps:
            return len(os.listdir("/proc/self/fd")), sum("packet" in line.lower() or "socket:" in
                                                         line for line in maps)  # fmt: skip

    before = open_now()
    for _ in range(20):
        with pytest.raises(TapError):
            wire.tap(device="wan9")
        with pytest.raises(TapError):
            wire.tap(device="x" * 40)
        tap = wire.tap()
        tap.close()
        tap.close()
        assert tap.read() is None
    broken = Ring()
    with wire.inside(wire.near):
        for shape, code in (
            ((4096 + 1, 4), b"\6\0\0\0\0\0\4\0"),  # no multiple of a page
            ((4096, 4), b"\xff\xff\0\0\0\0\0\0"),  # no valid filter
            ((4096, 4), b""),
            ((0x80000000, 4), b"\6\0\0\0\0\0\4\0"),
        ):
            assert broken.open("aw0", *shape, 100, code) == layout.FAILED
            assert broken.error != 0
            assert broken.fileno() == -1
    assert open_now() == before
