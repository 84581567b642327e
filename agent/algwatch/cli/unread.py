# SPDX-License-Identifier: Apache-2.0
"""Unread: names for the packets of a capture in which no SIP message was read."""

from __future__ import annotations

import re
from collections.abc import Sequence

from algwatch.anonymize.link import Ip, headers
from algwatch.capture.packets import Packets
from algwatch.capture.pcap import CaptureFile
from algwatch.report.render.nothing_read import ENCRYPTED, INSIDE, ON_PORT

MOST = 20_000  # packets looked at, of each file
KINDS = 64  # names; further ones count as OTHER
OTHER = "others"
TCP, UDP = 6, 17
_LENGTH = 0x3FFFFFFF  # of the last number of a record: flags stand above
_SIP = re.compile(rb"SIP/2\.0\s|\sSIP/2\.0\r?\n", re.I)
_PROTOCOLS = {1: "ICMP", 2: "IGMP", 47: "GRE", 50: f"ESP ({ENCRYPTED})", 51: "AH", 58: "ICMPv6",
              132: "SCTP"}  # fmt: skip
# By UDP port: of tunnels, of mirrored packets, and of telephony without SIP.
_PORTS = {53: "DNS", 67: "DHCP", 123: "NTP", 443: f"QUIC, {ENCRYPTED}", 500: "IKE", 1194: "OpenVPN",
          1701: "L2TP", 2152: "GTP", 2427: "MGCP", 4500: f"IPsec, {ENCRYPTED}", 4569: "IAX2",
          4789: "VXLAN", 5247: "CAPWAP", 6081: "Geneve", 9060: "HEP", 37008: "TZSP",
          51820: f"WireGuard, {ENCRYPTED}"}  # fmt: skip
# WireGuard has four types of packets, and zeros behind the type.
_WIREGUARD = re.compile(rb"[\1-\4]\0\0\0")


def unread(files: Sequence[CaptureFile], ports: Sequence[int]) -> dict[str, int]:
    """Packets by name. ports: those of SIP. The files are read up to MOST packets."""
    found: dict[str, int] = {}
    for file in files:
        seen = 0
        for packets in file.raw():
            if file.picked is not None:
                file.picked.pick(packets, file.interfaces)
            seen += packets.count
            _count(found, packets, file, ports)
            if seen >= MOST:
                break
    return found


def _count(found: dict[str, int], packets: Packets, file: CaptureFile,
           ports: Sequence[int]) -> None:  # fmt: skip
    for index, table in packets.tables():
        numbers = memoryview(table).cast("I")
        for at in range(0, len(numbers), 4):
            start = numbers[at + 2]
            data = bytes(packets.buffer[start : start + (numbers[at + 3] & _LENGTH)])
            name = named(data, file.interfaces[index].linktype, ports)
            if name not in found and len(found) >= KINDS:
                name = OTHER
            found[name] = found.get(name, 0) + 1


def named(data: bytes, linktype: int, ports: Sequence[int]) -> str:
    """The name of a frame."""
    _, ips = headers(data, linktype)
    if not ips:
        return "not IP"
    ip = ips[-1]
    if not ip.first:
        return "later fragments"
    if ip.proto not in (TCP, UDP):
        return _PROTOCOLS.get(ip.proto, f"IP protocol {ip.proto}")
    return _of_port(data, ip, ports)


def _of_port(data: bytes, ip: Ip, ports: Sequence[int]) -> str:
    at = ip.inside
    pair = sorted(int.from_bytes(data[at + i : at + i + 2]) for i in (0, 2))
    port = next((one for one in pair if one in ports or one in _PORTS), pair[0])
    if ip.proto == TCP:
        size = data[at + 12] >> 4 << 2 if len(data) > at + 12 else 20
        payload = data[at + size : ip.end]
        if _SIP.search(payload) and port not in ports:
            return f"{ON_PORT}{port}"
        if payload[:1] in (b"\x14", b"\x15", b"\x16", b"\x17") and payload[1:2] == b"\3":
            return f"TLS on TCP port {port} ({ENCRYPTED})"
        return f"TCP port {port}" if payload else f"TCP port {port} without content"
    payload = data[at + 8 : ip.end]
    if payload[:3] == b"HEP":
        kind = "HEP"
    elif len(payload) >= 32 and _WIREGUARD.match(payload):
        kind = f"WireGuard, {ENCRYPTED}"
    else:
        kind = _PORTS.get(port, "")
    of = f" ({kind})" if kind else ""
    if _SIP.search(payload):
        return f"UDP port {port}{of} with {'text like SIP' if port in ports else INSIDE}"
    if not kind and len(payload) >= 12 and payload[0] >> 6 == 2 and port not in ports:
        return "RTP"
    return f"UDP port {port}{of}"
