# SPDX-License-Identifier: Apache-2.0
"""Hop: a NAT with a SIP ALG in user space, in the router's namespace, for what no kernel does.

It takes SIP to and from one provider port off both interfaces, past the kernel's forwarding and
connection tracking, and sends it on by a raw socket, so that br-lan carries the copy before it and
wan the copy after it, as with any router. All other packets go the kernel's usual way.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable

from .loop import Loop
from .network import Network

ETH_P_IP, PACKET_HOST = 0x0800, 0
Address = tuple[str, int]
_RULES = """
table inet hop {{
  chain raw_in {{
    type filter hook prerouting priority raw;
    iifname "{lan}" ip daddr {provider} udp dport {port} notrack
    iifname "{wan}" ip saddr {provider} udp sport {port} notrack
  }}
  chain raw_out {{
    type filter hook output priority raw;
    udp dport {port} notrack
    udp sport {port} notrack
  }}
  chain taken {{
    type filter hook forward priority -10;
    ip daddr {provider} udp dport {port} drop
  }}
}}
"""


class Alg:
    """Rewrites nothing. Subclasses play somebody's documented behaviour.

    outbound, inbound: payload, and the address of the phone inside and outside; return the
    payload that goes on, or None when none does. hop: for messages of its own.
    """

    hop: Hop

    def outbound(self, data: bytes, inside: Address, outside: Address) -> bytes | None:
        return data

    def inbound(self, data: bytes, inside: Address, outside: Address) -> bytes | None:
        return data


class Hop:
    """port_of: the public port for a phone's address; the same one by default, as most NATs do.
    upstream: it sits on the carrier's router and not on the one that is watched.
    """

    def __init__(
        self,
        loop: Loop,
        net: Network,
        alg: Alg,
        port_of: Callable[[Address], int] = lambda inside: inside[1],
        upstream: bool = False,
    ) -> None:
        where, lan, wan = (net.carrier, "cpe", "net") if upstream else (net.router, "br-lan", "wan")
        self._outside_ip = net.draw.public_ip if upstream else net.draw.wan_ip
        self.alg = alg
        alg.hop = self
        self.provider = (net.draw.provider_ip, net.draw.provider_port)
        self._port_of = port_of
        self._inside: dict[int, Address] = {}
        rules = _RULES.format(provider=self.provider[0], port=self.provider[1], lan=lan, wan=wan)
        where.run("nft", "-f", "-", text=rules)
        with where:
            self._raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
            for device, take in ((lan, self._from_lan), (wan, self._from_wan)):
                tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
                tap.bind((device, ETH_P_IP))
                tap.setblocking(False)
                loop.listen(tap, take)
        loop.closing.append(self._raw)

    def _from_lan(self, packet: bytes, source: object) -> None:
        taken = _udp(packet, source)
        if taken is None or taken[1] != self.provider:
            return
        inside, _, data = taken
        port = self._port_of(inside)
        self._inside[port] = inside
        outside = (self._outside_ip, port)
        after = self.alg.outbound(data, inside, outside)
        if after is not None:
            self._send(packet, outside, self.provider, after)

    def _from_wan(self, packet: bytes, source: object) -> None:
        taken = _udp(packet, source)
        if taken is None or taken[0] != self.provider:
            return
        inside = self._inside.get(taken[1][1])
        if inside is None or taken[1][0] != self._outside_ip:
            return  # no mapping: dropped
        after = self.alg.inbound(taken[2], inside, taken[1])
        if after is not None:
            self._send(packet, self.provider, inside, after)

    def to_phone(self, inside: Address, data: bytes) -> None:
        """A message of the router's own, in the name of the provider."""
        head = struct.pack("!BBHHHBBH8x", 0x45, 0, 0, 0, 0, 65, socket.IPPROTO_UDP, 0)
        self._send(head, self.provider, inside, data)

    def _send(self, packet: bytes, source: Address, target: Address, data: bytes) -> None:
        """As a router forwards it: same IP ID and DF, TTL one less. The kernel writes length and
        checksum of the IP header."""
        addresses = socket.inet_aton(source[0]) + socket.inet_aton(target[0])
        head = packet[:8] + bytes([packet[8] - 1, socket.IPPROTO_UDP, 0, 0]) + addresses
        udp = struct.pack("!HHHH", source[1], target[1], 8 + len(data), 0) + data
        pseudo = addresses + struct.pack("!HH", socket.IPPROTO_UDP, len(udp))
        check = _checksum(pseudo + udp) or 0xFFFF
        self._raw.sendto(head + udp[:6] + struct.pack("!H", check) + data, (target[0], 0))


def _udp(packet: bytes, source: object) -> tuple[Address, Address, bytes] | None:
    """Source, destination and payload of a whole UDP datagram that came in."""
    assert isinstance(source, tuple)
    if source[2] != PACKET_HOST or packet[0] != 0x45 or packet[9] != socket.IPPROTO_UDP:
        return None
    sport, dport, length = struct.unpack_from("!HHH", packet, 20)
    return (
        (socket.inet_ntoa(packet[12:16]), sport),
        (socket.inet_ntoa(packet[16:20]), dport),
        packet[28 : 20 + length],
    )


def _checksum(data: bytes) -> int:
    """RFC 1071."""
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
