# SPDX-License-Identifier: Apache-2.0
"""The two ends of a message in a log with one of them or none: the message names the other.

A host known only by name gets a made-up address (198.18.0.0/15, RFC 2544).
"""

from __future__ import annotations

import re
from zlib import crc32

from algwatch.base import address
from algwatch.base.table import Table
from algwatch.capture.text.head import Head, Host, host

FLOWS = 4096
_URI = re.compile(r"sips?:(?:[^@\s>]*@)?(\[[^\]\s]+\]|[^:;?>\s]+)(?::(\d{1,5}))?")
_VIA = re.compile(r"(?:Via|v)\s*:\s*SIP\s*/\s*2\.0\s*/\s*(\w+)\s+(\[[^\]\s]+\]|[^:;,\s]+)"
                  r"(?:\s*:\s*(\d{1,5}))?([^,\r\n]*)", re.I)  # fmt: skip
_RECEIVED = re.compile(r";\s*received\s*=\s*\[?([0-9a-fA-F.:]+)", re.I)
_RPORT = re.compile(r";\s*rport\s*=\s*(\d{1,5})", re.I)
_BRANCH = re.compile(r";\s*branch\s*=\s*([^;,\s]+)", re.I)
_ROUTE = re.compile(r"^Route\s*:\s*(.*)$", re.I | re.M)
_TO = re.compile(r"^(?:To|t)\s*:\s*(.*)$", re.I | re.M)


class Ends:
    """names: hosts without a known address, by the address in their place."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self._own: Table[tuple[str, str], Host] = Table(FLOWS)
        self._sent: Table[str, tuple[Host, Host]] = Table(FLOWS)

    def of(self, head: Head, text: str) -> tuple[Host, Host, str] | None:
        """Source, destination and transport; None if the message does not tell them."""
        via = _VIA.search(text)
        transport = head.transport or (via[1].upper() if via else "UDP")
        if head.src is not None and head.dst is not None:
            return self._known(head.src, head.dst, transport)
        response = text.startswith("SIP/2.0")
        if head.peer is not None:
            peer = head.peer
            own = self._own.get((transport, peer[0]))
            if own is None:
                own = self._mine(text, via, response, head.incoming, peer)
                self._own.add((transport, peer[0]), own)
            return self._known(*((peer, own) if head.incoming else (own, peer)), transport)
        if via is None:
            return None
        branch = _BRANCH.search(via[4])
        key = branch[1] if branch else ""
        before = self._sent.get(key) if response and key else None
        if before is not None:
            return before[1], before[0], transport
        near = _received(via)
        far = self._target(text, response)
        if near is None or far is None:
            return None
        found = self._known(*((far, near) if response else (near, far)), transport)
        if found is not None and not response and key:
            self._sent.add(key, found[:2])
        return found

    def _mine(self, text: str, via: re.Match[str] | None, response: bool, incoming: bool,
              peer: Host) -> Host:  # fmt: skip
        """The logging host; its own log does not name it."""
        found: Host | None = None
        if response is incoming and via is not None:  # its own Via
            found = host(via[2], via[3])
        elif not response or not incoming:
            found = self._target(text, response)
        if found is not None and address.is_literal(found[0]) and found[0] != peer[0]:
            return found
        port = found[1] if found is not None else 5060
        value = address.ipv4(peer[0])
        if value < 0:
            return ("2001:2::1" if ":" in peer[0] else "198.18.0.1"), port
        # Next to the other address, so neither host seems to be behind a NAT.
        last = 254 if value & 0xFF != 254 else 253
        return address.text((value & 0xFFFFFF00 | last).to_bytes(4), 4), port

    def _target(self, text: str, response: bool) -> Host | None:
        """The target of a request, or the origin of a response, as far as given."""
        line = text.split("\n", 1)[0]
        for pattern in (_TO,) if response else (_ROUTE,):
            if found := pattern.search(text):
                line = found[1]
        uri = _URI.search(line)
        return host(uri[1], uri[2]) if uri else None

    def _known(self, src: Host, dst: Host, transport: str) -> tuple[Host, Host, str] | None:
        """With addresses instead of names, both of one IP version."""
        six = ":" in src[0] or ":" in dst[0]
        src, dst = self._address(src, six), self._address(dst, six)
        if (":" in src[0]) != (":" in dst[0]):
            return None
        return src, dst, transport

    def _address(self, one: Host, six: bool) -> Host:
        if address.is_literal(one[0]):
            return one
        number = crc32(one[0].encode("utf-8", "surrogateescape"))
        made = f"2001:2::{number >> 16:x}:{(number & 0xFFFF) | 1:x}"
        if not six:
            made = f"198.{18 + (number >> 16 & 1)}.{number >> 8 & 0xFF}.{number & 0xFF | 2}"
        if len(self.names) < FLOWS:
            self.names[made] = one[0]
        return made, one[1]


def _received(via: re.Match[str]) -> Host | None:
    """The sender of a request, by its topmost Via (RFC 3261 18.2.1, RFC 3581)."""
    received, rport = _RECEIVED.search(via[4]), _RPORT.search(via[4])
    return host(received[1] if received else via[2], rport[1] if rport else via[3])
