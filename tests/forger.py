# SPDX-License-Identifier: Apache-2.0
"""An attacker on paper: frames with right and wrong checksums, and forged copies of what others
send. It knows all that it has not yet seen: addresses, tags, IP ID and TTL of the next message."""

from __future__ import annotations

import struct
from ipaddress import ip_address

from algwatch.base.native import layout
from algwatch.base.packet import LAN, WAN, Batch, Tap
from algwatch.compare.quality import Quality
from algwatch.compare.survey import Survey
from algwatch.pipeline import Pipeline, Report
from craft import NS, House, Packet, analyzed, batch, checksum, ones_sum

BEFORE = 100_000  # ns that a forged copy comes before the true one


def _pseudo(frame: bytes) -> bytes:
    return frame[26:34] + struct.pack("!HH", frame[23], len(frame) - 34)


def ip_summed(packet: bytes, at: int = 0) -> bytes:
    """The packet, whose IPv4 header is at that offset, with the checksum of that header."""
    made = bytearray(packet)
    made[at + 10 : at + 12] = b"\0\0"
    made[at + 10 : at + 12] = struct.pack("!H", checksum(bytes(made[at : at + 20])))
    return bytes(made)


def summed(frame: bytes) -> bytes:
    """The Ethernet frame with IPv4 and UDP, and both checksums."""
    made = bytearray(frame)
    made[24:26] = made[40:42] = b"\0\0"
    made[24:26] = struct.pack("!H", checksum(bytes(made[14:34])))
    udp = checksum(_pseudo(frame) + bytes(made[34:]))
    made[40:42] = struct.pack("!H", udp or 0xFFFF)
    return bytes(made)


def partial(frame: bytes) -> bytes:
    """As a machine captures what its network card is to finish."""
    made = bytearray(summed(frame))
    made[40:42] = struct.pack("!H", ones_sum(_pseudo(frame)))
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


# ---- attacks on both taps ----


class Attacked:
    """A house and an attacker who has a host on each side. lan, wan: the true packets; forged_lan,
    forged_wan: those of the attacker, which come in on either tap."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.lan, self.wan = house.sorted()
        self.forged: tuple[list[Packet], list[Packet]] = ([], [])

    def taps(self) -> tuple[list[Packet], list[Packet]]:
        """As two capture files show it, which tell no direction."""
        lan, wan = (
            sorted(true + forged, key=lambda p: p[0])
            for true, forged in zip((self.lan, self.wan), self.forged, strict=True)
        )
        return lan, wan

    def judged(self, live: bool, passing: bool = False) -> tuple[Pipeline, list[Report]]:
        """live: with the direction that a ring knows, and warned as a daemon warns. passing: time
        passes between packets, as it does for a daemon and in `analyze`, which surveys files."""
        if not (live or passing):
            return analyzed(*self.taps())
        quality = None if live else surveyed(*self.taps())
        pipeline = Pipeline([Tap("lan", LAN), Tap("wan", WAN)], strict=True, quality=quality)
        reports: list[Report] = []
        parts = [(p[0], tap, p) for tap, some in enumerate(self.taps()) for p in some]
        before = 0
        for at, tap, packet in sorted(parts, key=lambda part: part[:2]):
            made = batch([packet], tap)
            if live:
                is_forged = any(packet is one for one in self.forged[tap])
                out = not is_forged and left_by_router(self.house, tap, packet[1])
                made = directed(made, out)
            if passing and before:
                reports += _passed(pipeline, before, at)
            before = at
            reports += pipeline.feed(made)
        return pipeline, reports + pipeline.finish()


def surveyed(lan: list[Packet], wan: list[Packet]) -> Quality | None:
    """The gaps of two captures, as `analyze` finds them first; None without any."""
    survey = Survey()
    for side, packets in ((LAN, lan), (WAN, wan)):
        if packets:
            survey.feed(side, batch(packets, side))
    quality = survey.finish()
    return quality if quality.is_incomplete and not quality.is_odd else None


def _passed(pipeline: Pipeline, before: int, at: int) -> list[Report]:
    """Each second between two packets, and no more than a minute of them."""
    seconds = range(before + NS, at, NS)
    reports: list[Report] = []
    for now in (*seconds[:60], *seconds[-1:]):
        for tap in (LAN, WAN):
            reports += pipeline.advance(tap, now)
    return reports


def left_by_router(house: House, tap: int, frame: bytes) -> bool:
    """Did the router send this true frame?"""
    source, target = frame[26:30], frame[30:34]
    if tap == LAN:
        home = ip_address(house.phone).packed[:3]
        return target[:3] == home != source[:3]
    return source == ip_address(house.wan_ip).packed


def directed(made: Batch, out: bool) -> Batch:
    """The rows as a ring marks them."""
    rows, size = bytearray(made.rows), layout.ROW.size
    for i in range(made.count):
        row = list(layout.ROW.unpack_from(rows, i * size))
        row[12] |= layout.ROW_DIRECTED | (layout.ROW_OUTGOING if out else 0)
        layout.ROW.pack_into(rows, i * size, *row)
    return Batch(made.buffer, bytes(rows), made.ends, made.count, made.tap, made.watermark)


def payload_of(packet: Packet) -> bytes:
    return packet[1][42:]


def ends_of(frame: bytes) -> tuple[str, int, str, int]:
    """Sender and receiver of an Ethernet frame with IPv4: address and port of each."""
    sport, dport = struct.unpack("!HH", frame[34:38])
    return str(ip_address(frame[26:30])), sport, str(ip_address(frame[30:34])), dport
