# SPDX-License-Identifier: Apache-2.0
"""Missed bytes of a TCP connection: holes in made-up ones do not displace a true one."""

from __future__ import annotations

import struct
from socket import AF_INET, inet_pton

from algwatch.base.packet import WAN
from algwatch.base.sighting import Sighting
from algwatch.compare.crossing import Entry
from algwatch.compare.mapping import Mappings
from algwatch.compare.missed import MOST, Missed


def _segment(host: str, port: int) -> Sighting:
    """From this far end to the router."""
    hosts = b"".join(inet_pton(AF_INET, one).ljust(16, b"\0") for one in (host, "203.0.113.7"))
    ends = hosts + bytes(8) + struct.pack("=HH", port, 40000) + bytes([0, 0, 6, 4])
    return Sighting((0,) * 17, WAN, b"", ends)


def test_holes_in_connections_of_nobody_do_not_displace_one_of_a_phone() -> None:
    mappings = Mappings(64)
    true = _segment("198.51.100.9", 5060)
    mappings.table.add(true.destination + true.source, Entry(b"phone".ljust(18, b"\0"), 1))
    missed = Missed(mappings)
    missed.tear(WAN, true.packed_ends, 5)
    for n in range(MOST * 4):
        missed.tear(WAN, _segment(f"192.0.2.{n}", 5060).packed_ends, 6 + n)
    assert missed.torn(true) == 5
