# SPDX-License-Identifier: Apache-2.0
"""Hep: both copies of each message to a Homer server, in HEP3 over UDP.

Source: "HEP/EEP protocol", revision 14 (sipcapture.org). The copy of the LAN side has the id of
this capture agent, the copy of the WAN side the next id, so Homer shows both sides. At most RATE
messages a second: messages beyond it, or not taken by the network at once, are counted and lost.
"""

from __future__ import annotations

import _socket as socket  # not the module socket: 200 kB of the daemon
import struct
from time import monotonic

from algwatch.base.packet import WAN
from algwatch.base.sighting import AT, Sighting
from algwatch.compare.crossing import Crossing
from algwatch.report.rate import Bucket
from algwatch.sip.message import Message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

RATE = (400, 200.0)  # messages: at once, and a second
MOST = 8192  # bytes of a message
SIP = 1
_CHUNK = struct.Struct("!HHH")  # vendor 0, type, length with this header
_SECOND = 1_000_000_000


class Hep:
    """host: an address. agent: capture agent id. shift: ns to add to a packet's time for wall time.
    lost: messages not sent."""

    def __init__(self, host: str, port: int, agent: int, shift: Callable[[], int]) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)
        self._where = host, port
        self._agent = agent
        self._shift = shift
        self._bucket = Bucket(RATE, monotonic())
        self.lost = 0

    def cross(self, crossing: Crossing) -> None:
        """A message, once its fate is known."""
        for copy in (crossing.entered, crossing.left)[: 1 + crossing.both]:
            if not self._bucket.take(monotonic()):
                self.lost += 1
                continue
            try:
                self._socket.sendto(packed(copy, self._agent, self._shift()), self._where)
            except OSError:
                self.lost += 1


def packed(copy: Sighting, agent: int, shift: int = 0) -> bytes:
    """The HEP3 packet of a copy."""
    ends = copy.packed_ends
    version, proto = ends[47], ends[46]
    size, first = (4, 3) if version == 4 else (16, 5)
    seconds, ns = divmod(max(0, copy.row[AT] + shift), _SECOND)
    call_id = Message(copy.payload).call_id
    chunks = [
        (1, bytes([2 if version == 4 else 10])),
        (2, bytes([proto])),
        (first, ends[:size]),
        (first + 1, ends[16 : 16 + size]),
        (7, copy.ends.sport.to_bytes(2)),
        (8, copy.ends.dport.to_bytes(2)),
        (9, (seconds & 0xFFFFFFFF).to_bytes(4)),
        (10, (ns // 1000).to_bytes(4)),
        (11, bytes([SIP])),
        (12, (agent + (copy.side == WAN)).to_bytes(4)),
        (17, bytes(call_id)[:512]),
        (15, copy.payload[:MOST]),
    ]
    body = b"".join(_CHUNK.pack(0, kind, 6 + len(data)) + data for kind, data in chunks)
    return b"HEP3" + (6 + len(body)).to_bytes(2) + body
