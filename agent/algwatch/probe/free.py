# SPDX-License-Identifier: Apache-2.0
"""A free address of the LAN: in no lease, in no ARP table, without a flow and without an answer
(RFC 5227 section 2.1.1, with shorter pauses)."""

from __future__ import annotations

import errno
import os
import random
import select
import socket
import time

from algwatch import files
from algwatch.base import address
from algwatch.kernel.flows import Flows
from algwatch.kernel.links import Address
from algwatch.kernel.netlink import NetlinkError
from algwatch.probe import frames
from algwatch.probe.refused import Refused

CANDIDATES = 4  # asked for at once
PAUSES = (0.0, 0.25, 0.25)  # seconds before each ARP probe
LISTEN = 0.5  # seconds after the last: a phone on wireless LAN sleeps up to 0.3 s
LARGEST = 4096  # addresses of a network examined
_LEASES = ("tmp/dhcp.leases", "var/lib/misc/dnsmasq.leases")  # OpenWrt, Debian
_MOST = 262144  # bytes of such a file
_ARP = 0x0806
NO_CONNTRACK = (
    "the kernel does not list its flows, so that those of the probe could not be deleted: install "
    "kmod-nf-conntrack-netlink (opkg install, from OpenWrt 25.12 on apk add)"
)


def leased(root: str = "/") -> set[bytes]:
    """Addresses leased by dnsmasq: their phones may be asleep."""
    found = set()
    for path in _LEASES:
        try:
            lines = files.read(os.path.join(root, path), _MOST) or b""
        except files.FileError:
            continue
        for line in lines.split(b"\n"):
            words = line.split()
            number = address.ipv4(words[2].decode("ascii", "replace")) if len(words) > 2 else -1
            if number >= 0:
                found.add(number.to_bytes(4, "big"))
    return found


def candidates(own: Address, taken: set[bytes]) -> list[bytes]:
    """Some addresses of the router's network, in any order, its upper half first: DHCP mostly
    begins below. The first and the last one are left out."""
    number = int.from_bytes(own.host, "big")
    size = 1 << 32 - own.bits
    base = number & ~(size - 1)
    first, last = base + 1, base + size - 2
    if size > LARGEST:  # near the router's own, among the hosts
        first = max(first, number - LARGEST // 2)
        last = min(last, number + LARGEST // 2)
    middle = (first + last) // 2
    found: list[bytes] = []
    for low, high in ((middle + 1, last), (first, middle)):
        every = [n.to_bytes(4, "big") for n in range(low, high + 1)]
        random.shuffle(every)
        found += [host for host in every if host not in taken]
    return found[:CANDIDATES]


def free_address(own: Address, taken: set[bytes], wire: socket.socket, mac: bytes) -> bytes:
    """wire: a packet socket for frames to and from the LAN. mac: of its interface. Refused."""
    some = candidates(own, taken | leased())
    answered = claimed(some, wire, mac)
    for host in some:
        if host not in answered and not _has_flows(host):
            return host
    raise Refused("every address of the LAN that was tried belongs to somebody: free one, or probe "
                  "a larger network")  # fmt: skip


def claimed(hosts: list[bytes], wire: socket.socket, mac: bytes) -> set[bytes]:
    """Addresses among these held, or asked for, by somebody."""
    found: set[bytes] = set()
    for pause in (*PAUSES, LISTEN):
        _listen(wire, pause, mac, set(hosts), found)
        for host in hosts if pause != LISTEN else ():
            wire.send(frames.arp_probe(mac, host))
    return found


def _listen(wire: socket.socket, seconds: float, mac: bytes, hosts: set[bytes],
            found: set[bytes]) -> None:  # fmt: skip
    end = time.monotonic() + seconds
    while (rest := end - time.monotonic()) > 0:
        if select.select([wire], [], [], rest)[0]:
            found |= claims(wire.recv(2048), mac) & hosts


def claims(frame: bytes, mac: bytes) -> set[bytes]:
    """The addresses claimed by an ARP frame of somebody else: its sender's, and for a sender
    without one (an ARP probe) the requested one."""
    if frame[12:14] != b"\x08\x06":
        return set()
    arp = frames.arp_holders(frame[14:])
    if arp is None or arp[0] == mac:
        return set()
    _, sender, target = arp
    return {target if sender == bytes(4) else sender}


def _has_flows(host: bytes) -> bool:
    """A sleeping host may have some; they would be deleted with the probe's own."""
    shown = address.text(host, 4)
    with Flows() as flows:
        try:
            return bool(flows.entries(lambda flow: flow.is_of(shown), host))
        except NetlinkError as problem:
            if problem.errno in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOENT):
                raise Refused(NO_CONNTRACK) from None
            raise
