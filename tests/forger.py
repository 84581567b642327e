# SPDX-License-Identifier: Apache-2.0
"""An attacker on paper: frames with right and wrong checksums, and forged copies of what others
send. It knows all that it has not yet seen: addresses, tags, IP ID and TTL of the next message."""

from __future__ import annotations

import struct

from craft import Packet

BEFORE = 100_000  # ns that a forged copy comes before the true one


def _sum(data: bytes) -> int:
    """RFC 1071, not complemented."""
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def _pseudo(frame: bytes) -> bytes:
    return frame[26:34] + struct.pack("!HH", frame[23], len(frame) - 34)


def summed(frame: bytes) -> bytes:
    """The Ethernet frame with IPv4 and UDP, and both checksums."""
    made = bytearray(frame)
    made[24:26] = made[40:42] = b"\0\0"
    made[24:26] = struct.pack("!H", ~_sum(bytes(made[14:34])) & 0xFFFF)
    udp = ~_sum(_pseudo(made) + bytes(made[34:])) & 0xFFFF
    made[40:42] = struct.pack("!H", udp or 0xFFFF)
    return bytes(made)


def partial(frame: bytes) -> bytes:
    """As a machine captures what its network card is to finish."""
    made = bytearray(summed(frame))
    made[40:42] = struct.pack("!H", _sum(_pseudo(frame)))
    return bytes(made)


def wrong(frame: bytes, which: str = "udp") -> bytes:
    """With a wrong checksum of "ip" or "udp", which is neither 0 nor partial."""
    made = bytearray(summed(frame))
    at = 24 if which == "ip" else 40
    value = struct.unpack_from("!H", made, at)[0] ^ 0x1111
    made[at : at + 2] = struct.pack("!H", value or 0x2222)
    return bytes(made)


def with_payload(frame: bytes, payload: bytes) -> bytes:
    """The frame with another payload."""
    made = bytearray(frame[:42]) + payload
    made[16:18] = struct.pack("!H", 28 + len(payload))
    made[38:40] = struct.pack("!H", 8 + len(payload))
    return bytes(made)


def before(packet: Packet, frame: bytes | None = None, by: int = BEFORE) -> Packet:
    """A frame that comes before that packet; by default the same one."""
    at, data = packet
    return at - by, data if frame is None else frame
