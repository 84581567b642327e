# SPDX-License-Identifier: Apache-2.0
"""FlowPair: the two flows of crossing messages, and all that follows from their addresses alone."""

from __future__ import annotations

import struct

from algwatch.base.sighting import Sighting
from algwatch.sip.timers import SECOND

# Parts of the 48 bytes: both addresses; both ports; protocol and version.
_addresses = struct.Struct("32s8x4s2x2s").unpack
_END = b"\r\n\r\n"
_LENGTH = b"\r\nContent-Length:"


class FlowPair:
    """A flow of the LAN and its flow on the WAN, in one direction.

    outbound: from the LAN to the WAN. inside: LAN address and port of the phone (18 bytes);
    outside: the WAN address and port mapped to it, and those of the far side (36 bytes);
    translated: they differ from those inside; one_far_end: both flows have the same destination, or
    the same source. line: addresses of the phone and of the far side (32 bytes); phone, far: the
    same as text. wan_host: text of the WAN address. agreed: ns, the latest agreement of its
    crossings with the known NAT (compare/mapping.py); negative: none yet, or too long ago. old: the
    address before translation, as text bytes. kinds: bits of the kinds of message seen on it, by
    method and class of status. moved: see Entry.
    """

    __slots__ = ("_hosts", "_lan", "_new", "_received", "_rports", "_wan", "agreed", "far",
                 "inside", "kinds", "line", "moved", "old", "one_far_end", "outbound", "outside",
                 "phone", "translated", "wan_host")  # fmt: skip

    def __init__(self, lan: Sighting, wan: Sighting, outbound: bool) -> None:
        self.outbound = outbound
        self._lan, self._wan = _addresses(lan.packed_ends), _addresses(wan.packed_ends)
        if outbound:
            self.inside, mapped, far = lan.source, wan.source, wan.destination
            before, after = (lan.ends.src, lan.ends.sport), (wan.ends.src, wan.ends.sport)
            self.phone, self.far = lan.ends.src, wan.ends.dst
            self.wan_host = wan.ends.src
        else:
            self.inside, mapped, far = lan.destination, wan.destination, wan.source
            before, after = (wan.ends.dst, wan.ends.dport), (lan.ends.dst, lan.ends.dport)
            self.phone, self.far = lan.ends.dst, wan.ends.src
            self.wan_host = wan.ends.dst
        self.outside = mapped + far
        self.translated = self.inside != mapped
        self.one_far_end = lan.destination == wan.destination or lan.source == wan.source
        self.line = self.inside[:16] + far[:16]
        self.agreed = -SECOND
        self.kinds = 0
        self.moved = False
        # Formatted once: a crossing then costs no formatting.
        self.old, self._new = before[0].encode(), after[0].encode()
        self._hosts = b"%s:%d" % (self.old, before[1]), b"%s:%d" % (self._new, after[1])
        self._received = b"received=" + self.old, b"received=" + self._new
        self._rports = b"rport=%d" % before[1], b"rport=%d" % after[1]

    @property
    def proto(self) -> int:
        """Of IP: 6 or 17."""
        return int(self._lan[2][0])

    def is_of(self, lan: Sighting, wan: Sighting) -> bool:
        """True if these two copies are of this pair: hashes of flows select, addresses decide."""
        return bool(
            self._lan == _addresses(lan.packed_ends) and self._wan == _addresses(wan.packed_ends)
        )

    def explains(self, entered: bytes, left: bytes) -> bool:
        """True if translating the pair's own addresses in the entered payload yields the left one,
        byte for byte."""
        head, end, body = entered.partition(_END)
        head = head.replace(*self._hosts).replace(*self._received).replace(*self._rports)
        if not body and head + end == left:
            return True
        got_head, _, got_body = left.partition(_END)
        if body.replace(self.old + b"\r\n", self._new + b"\r\n") != got_body:
            return False
        if head == got_head:
            return True
        # Content-Length follows the body.
        start, got = head.rfind(_LENGTH), got_head.rfind(_LENGTH)
        if start < 0 or head[:start] != got_head[:got]:
            return False
        _, _, rest = head[start + len(_LENGTH) :].partition(b"\r\n")
        length, _, got_rest = got_head[got + len(_LENGTH) :].partition(b"\r\n")
        return length.strip() == b"%d" % len(got_body) and rest == got_rest
