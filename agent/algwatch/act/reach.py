# SPDX-License-Identifier: Apache-2.0
"""Reach: hosts that answer an ICMP echo request of this router (RFC 792)."""

from __future__ import annotations

import os
import select
import socket
import struct
import time

SECONDS = 1.0
_ECHO, _REPLY = 8, 0


def answering(hosts: list[str], seconds: float = SECONDS) -> set[str]:
    """The IPv4 hosts with an answer in time. Without the right to ask, or for other hosts: none."""
    try:
        asking = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    except OSError:
        return set()
    wanted = {host for host in hosts if ":" not in host}
    found: set[str] = set()
    name = os.getpid() & 0xFFFF
    with asking:
        asking.setblocking(False)
        end = time.monotonic() + seconds
        for number, host in enumerate(sorted(wanted)):
            try:
                asking.sendto(_request(name, number), (host, 0))
            except OSError:
                continue  # no route: it does not answer
        while found != wanted and (rest := end - time.monotonic()) > 0:
            if not select.select([asking], [], [], rest)[0]:
                break
            try:
                data, (host, _) = asking.recvfrom(1024)
            except OSError:
                continue
            at = (data[0] & 15) * 4 if data else 0
            if host in wanted and data[at : at + 1] == bytes([_REPLY]):
                found |= {host} if data[at + 4 : at + 6] == struct.pack(">H", name) else set()
    return found


def _request(name: int, number: int) -> bytes:
    head = struct.pack(">BBHHH", _ECHO, 0, 0, name, number)
    total = sum(struct.unpack(">4H", head))
    total = (total >> 16) + (total & 0xFFFF)
    total += total >> 16
    return head[:2] + struct.pack(">H", ~total & 0xFFFF) + head[4:]
