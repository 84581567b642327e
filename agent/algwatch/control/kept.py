# SPDX-License-Identifier: Apache-2.0
"""Kept: the packets behind the findings, for an operator's request about one call.

The answer shows no more than a report could. Each message is rebuilt from its understood parts
(report/evidence.py), so credentials and texts have no way out.
"""

from __future__ import annotations

import struct
from threading import Lock

from algwatch.base.native.layout import ENDS
from algwatch.control.order import Refused
from algwatch.report.evidence import evidence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from algwatch.diagnose.finding import Evidence, Finding
    from algwatch.report.privacy import Privacy

ROOM = 131072  # bytes of messages
MOST = 64  # findings
PCAP = 12000  # bytes of an answer
RAW = 101  # LINKTYPE_RAW: packets begin with the IP header
_FILE = struct.Struct("<IHHiIII")
_PACKET = struct.Struct("<IIII")
_UDP, _TCP = 17, 6


class Kept:
    """privacy: as of the reports. Any thread may call."""

    def __init__(self, privacy: Privacy) -> None:
        self._privacy = privacy
        self._lock = Lock()
        self._kept: dict[str, tuple[str, list[Evidence]]] = {}  # by key: call id, looks
        self._size = 0

    def feed(self, finding: Finding) -> None:
        """finding: sent or unsent."""
        looks = [look for look in finding.evidence if look.payload and look.ends]
        if not looks:
            return
        key = self._privacy.mark(finding.key)
        with self._lock:
            self._let_go(key)
            self._kept[key] = self._privacy.call_id(finding.call_id), looks
            self._size += _size(looks)
            while self._kept and (self._size > ROOM or len(self._kept) > MOST):
                self._let_go(next(iter(self._kept)))

    def pcap(self, key: str, call_id: str) -> dict[str, Any]:
        """pcap: a file for the finding with this key, or for the call with this pseudonym; packets:
        their count; cut: there are more. Refused."""
        with self._lock:
            found = [look for mark, (call, looks) in self._kept.items()
                     if mark == key or (call_id and call == call_id) for look in looks]  # fmt: skip
        looks = {(look.at, look.ends, look.payload): look for look in found}
        if not looks:
            raise Refused("no packet of it is kept here any more")
        made = bytearray(_FILE.pack(0xA1B2C3D4, 2, 4, 0, 0, 65535, RAW))
        count = 0
        for look in sorted(looks.values(), key=lambda look: look.at):
            packet = _packet(look.ends, evidence(look.payload, self._privacy))
            if len(made) + _PACKET.size + len(packet) > PCAP:
                continue
            seconds, micros = divmod(int(look.at * 1e6), 1000000)
            made += _PACKET.pack(seconds & 0xFFFFFFFF, micros, len(packet), len(packet)) + packet
            count += 1
        said: dict[str, Any] = {"pcap": bytes(made), "packets": count}
        return said | ({"cut": True} if count < len(looks) else {})

    def _let_go(self, key: str) -> None:
        _, looks = self._kept.pop(key, ("", []))
        self._size -= _size(looks)


def _size(looks: list[Evidence]) -> int:
    return sum(len(look.payload) for look in looks)


def _packet(ends: bytes, payload: bytes) -> bytes:
    """An IP packet with these addresses and ports around the visible part of the message."""
    src, dst, _, _, sport, dport, _, proto, version = ENDS.unpack(ends)
    if proto == _TCP:
        head = struct.pack("!HHIIBBHHH", sport, dport, 0, 0, 0x50, 0x18, 65535, 0, 0)
    else:
        head = struct.pack("!HHHH", sport, dport, 8 + len(payload), 0)
        proto = _UDP
    size = len(head) + len(payload)
    if version == 6:
        return struct.pack("!IHBB16s16s", 6 << 28, size, proto, 64, src, dst) + head + payload
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + size, 0, 0, 64, proto, 0, src[:4], dst[:4])
    return ip[:10] + struct.pack("!H", _sum(ip)) + ip[12:] + head + payload


def _sum(head: bytes) -> int:
    """RFC 1071."""
    total: int = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
