# SPDX-License-Identifier: Apache-2.0
"""SIP messages, packets and captures for tests, made field by field and the same on every run.

`House` is a phone, a router with NAT and a provider on paper: what the phone sends goes in with
`out`, what the provider sends with `into`, and each leaves a frame on the LAN and one on the WAN
tap, TTL one less behind the router, IP ID kept. An ALG is a pair of functions on payloads.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_address
from typing import Any

from algwatch.base.native import layout
from algwatch.base.native.rows import Counts, Scanner
from algwatch.base.packet import LAN, UNKNOWN, WAN, Batch, Tap
from algwatch.compare.crossing import Crossing
from algwatch.pipeline import Pipeline, Report

START = 1_700_000_000  # seconds since 1970; every time below counts from here
NS = 1_000_000_000
FORWARD = 0.0002  # seconds that a message needs through the router
MOST_ROWS = 4096
PORTS = (5060, 5080)

Packet = tuple[int, bytes]  # ns since 1970, Ethernet frame


# ---- frames and files ----


def ones_sum(data: bytes) -> int:
    """The sum of RFC 1071, not complemented."""
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def checksum(data: bytes) -> int:
    """RFC 1071."""
    return ~ones_sum(data) & 0xFFFF


def frame(payload: bytes, src: str, sport: int, dst: str, dport: int, ttl: int = 64,
          ident: int = 1) -> bytes:  # fmt: skip
    """Ethernet, IPv4 or IPv6, UDP. ident is the IPv4 ID."""
    udp = struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload
    source, target = ip_address(src), ip_address(dst)
    macs = bytes.fromhex("02000000000202000000000a")
    if source.version == 6:
        head = struct.pack("!IHBB", 6 << 28, len(udp), 17, ttl)
        return macs + b"\x86\xdd" + head + source.packed + target.packed + udp
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), ident, 0, ttl, 17, 0)
    return macs + b"\x08\x00" + head + source.packed + target.packed + udp


def fragmented(packets: Iterable[Packet], mtu: int = 1500) -> list[Packet]:
    """IPv4 frames longer than the MTU as fragments, 10 µs apart (RFC 791 section 3.2)."""
    made = []
    for at, data in packets:
        head, rest = data[:34], data[34:]
        if len(data) - 14 <= mtu:
            made.append((at, data))
            continue
        size = (mtu - 20) // 8 * 8
        for number, offset in enumerate(range(0, len(rest), size)):
            part = rest[offset : offset + size]
            flags = offset // 8 | (0x2000 if offset + size < len(rest) else 0)
            ip = head[:16] + struct.pack("!H", 20 + len(part)) + head[18:20]
            made.append((at + number * 10_000, ip + struct.pack("!H", flags) + head[22:] + part))
    return made


def tcp_frame(payload: bytes, src: str, sport: int, dst: str, dport: int, seq: int,
              ident: int = 1, flags: int = 0x18, ack: int = 1) -> bytes:  # fmt: skip
    """Ethernet, IPv4, one TCP segment."""
    tcp = struct.pack("!HHIIBBHHH", sport, dport, seq, ack, 0x50, flags, 65535, 0, 0) + payload
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), ident, 0, 64, 6, 0)
    macs = bytes.fromhex("02000000000202000000000a0800")
    return macs + head + ip_address(src).packed + ip_address(dst).packed + tcp


def pcap(packets: Iterable[Packet]) -> bytes:
    """A pcap file (microseconds, Ethernet, little-endian on every machine)."""
    parts = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 0x40000, 1)]
    for at, data in packets:
        seconds, ns = divmod(at, NS)
        parts.append(struct.pack("<IIII", seconds, ns // 1000, len(data), len(data)) + data)
    return b"".join(parts)


def linktype(capture: bytes) -> int:
    """Of a little-endian pcap file: 1 is Ethernet, 239 is NFLOG."""
    return int.from_bytes(capture[20:24], "little")


def is_ethernet(capture: bytes) -> bool:
    return linktype(capture) == 1


def packets_of(capture: bytes) -> list[Packet]:
    """The packets of a little-endian pcap file, with microseconds or nanoseconds."""
    found = []
    offset = 24
    unit = 1 if capture[:4] == b"\x4d\x3c\xb2\xa1" else 1000
    while offset + 16 <= len(capture):
        seconds, us, size, _ = struct.unpack_from("<IIII", capture, offset)
        found.append((seconds * NS + us * unit, capture[offset + 16 : offset + 16 + size]))
        offset += 16 + size
    return found


def batch(packets: Sequence[Packet], tap: int = 0, watermark: int | None = None,
          ports: Sequence[int] = PORTS, link: int = 1) -> Batch:  # fmt: skip
    """One batch of a tap, scanned by the real scanner; its bytes are its own. link: linktype()."""
    buffer = b"".join(data for _, data in packets)
    meta, offset = [], 0
    for at, data in packets:
        seconds, ns = divmod(at, NS)
        meta.append(struct.pack("=IIII", seconds, ns // 1000, offset, len(data)))
        offset += len(data)
    if watermark is None:
        watermark = max((at for at, _ in packets), default=0)
    scanner = Scanner(link, tap, layout.REPLAY_KEY, ports, Counts(), MOST_ROWS)
    (one,) = scanner.scan(buffer, b"".join(meta), watermark)
    # Reassembly changes rows in place.
    rows = memoryview(bytearray(one.rows))
    return Batch(buffer, rows, bytes(one.ends), one.count, tap, one.watermark)


def outgoing(made: Batch) -> Batch:
    """The same rows as a ring would mark them on the interface that they left by."""
    rows = bytearray(made.rows)
    size = layout.ROW.size
    for i in range(made.count):
        row = list(layout.ROW.unpack_from(rows, i * size))
        row[12] |= layout.ROW_OUTGOING
        layout.ROW.pack_into(rows, i * size, *row)
    return Batch(made.buffer, bytes(rows), made.ends, made.count, made.tap, made.watermark)


# ---- messages ----


def request(method: str, uri: str, *, via: str, branch: str, call_id: str, cseq: int,
            caller: str = "<sip:200@example.net>;tag=c1", callee: str = "<sip:100@example.net>",
            contact: str = "", rport: bool = True, body: bytes = b"",
            more: Sequence[str] = ()) -> bytes:  # fmt: skip
    """via: sent-by. caller, callee: the whole From and To. more: further header lines."""
    lines = [
        f"{method} {uri} SIP/2.0",
        f"Via: SIP/2.0/UDP {via}{';rport' if rport else ''};branch={branch}",
        *more,
        "Max-Forwards: 70",
        f"From: {caller}",
        f"To: {callee}",
        f"Call-ID: {call_id}",
        f"CSeq: {cseq} {method}",
    ]
    return _message(lines, contact, body)


def token(call_id: str) -> str:
    """A Call-ID as part of a tag or branch."""
    return re.sub(r"[^a-zA-Z0-9-]", "-", call_id)


REASONS = {100: "Trying", 180: "Ringing", 200: "OK", 486: "Busy Here", 487: "Request Terminated"}


def answer(status: int, to: bytes, *, to_tag: str = "", contact: str = "", body: bytes = b"",
           received: str = "", rport: int = 0, more: Sequence[str] = ()) -> bytes:  # fmt: skip
    """A response to a request: Via, From, To, Call-ID and CSeq repeated (RFC 3261 section 8.2.6).
    received, rport: added to the topmost Via (RFC 3581)."""
    head = to.split(b"\r\n\r\n", 1)[0].decode().split("\r\n")[1:]
    lines = [f"SIP/2.0 {status} {REASONS.get(status, 'Answer')}"]
    first = True
    for line in head:
        name = line.split(":", 1)[0]
        if name not in ("Via", "Record-Route", "From", "To", "Call-ID", "CSeq"):
            continue
        if name == "Via" and first:
            first = False
            if rport:
                line = line.replace(";rport;", f";rport={rport};")
            if received:
                line += f";received={received}"
        if name == "To" and to_tag and "tag=" not in line:
            line += f";tag={to_tag}"
        lines.append(line)
    return _message([*lines, *more], contact, body)


def _message(lines: list[str], contact: str, body: bytes) -> bytes:
    if contact:
        lines.append(f"Contact: {contact}")
    if body:
        lines.append("Content-Type: application/sdp")
    lines += [f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def sdp(host: str, port: int = 16384) -> bytes:
    return (
        f"v=0\r\no=- 7 7 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP 8\r\n"
    ).encode()


def sized(message: bytes) -> bytes:
    """Content-Length put right after the body was changed."""
    head, _, body = message.partition(b"\r\n\r\n")
    head = re.sub(rb"(?m)^(Content-Length: )\d+", rb"\g<1>%d" % len(body), head)
    return head + b"\r\n\r\n" + body


# ---- ALGs ----

Rewriter = Callable[[bytes], bytes]


def linux_out(host: str, port: int, wan: str, wan_port: int) -> Rewriter:
    """The rewrites of nf_nat_sip on the way out (map_addr())."""
    return _mapped(host, port, wan, wan_port, received=False)


def linux_in(host: str, port: int, wan: str, wan_port: int) -> Rewriter:
    return _mapped(wan, wan_port, host, port, received=True)


def _mapped(old: str, old_port: int, new: str, new_port: int, received: bool) -> Rewriter:
    uri = re.compile(rf"(?<![\d.]){re.escape(old)}(?::(\d+))?(?![\d.])")

    def endpoint(match: re.Match[str]) -> str:
        return f"{new}:{new_port}" if int(match[1] or 5060) == old_port else match[0]

    def rewrite(message: bytes) -> bytes:
        head, _, body = message.decode().partition("\r\n\r\n")
        lines = head.split("\r\n")
        vias = 0
        for i, line in enumerate(lines):
            name = line.split(":", 1)[0]
            if name == "Via":
                vias += 1
                if vias == 1:
                    sent_by, semicolon, rest = line.partition(";")
                    if received:
                        rest = rest.replace(f"received={old}", f"received={new}")
                        rest = rest.replace(f"rport={old_port}", f"rport={new_port}")
                    lines[i] = uri.sub(endpoint, sent_by) + semicolon + rest
            elif name in ("Contact", "From", "To") or (i == 0 and not line.startswith("SIP/")):
                lines[i] = uri.sub(endpoint, line)
        media = [f"c=IN IP4 {new}" if line == f"c=IN IP4 {old}" else line
                 for line in body.split("\r\n")]  # fmt: skip
        last = next((line[9:] for line in reversed(media) if line.startswith("c=IN IP4 ")), "")
        media = [line.rsplit(" ", 1)[0] + " " + last if line.startswith("o=") and last else line
                 for line in media]  # fmt: skip
        return sized("\r\n".join(lines).encode() + b"\r\n\r\n" + "\r\n".join(media).encode())

    return rewrite


def untouched(message: bytes) -> bytes:
    return message


# ---- the house ----


class House:
    """phone, router, provider. wan_port: what the NAT makes of the phone's port. lan, wan: the
    packets of the two taps. out_alg, in_alg: what the router does to payloads."""

    def __init__(self, alg: str = "", phone: str = "192.168.1.10", port: int = 5060,
                 wan: str = "198.51.100.2", wan_port: int = 5060, provider: str = "203.0.113.5",
                 idents: bool = True) -> None:  # fmt: skip
        self.phone, self.port = phone, port
        self.wan_ip, self.wan_port = wan, wan_port
        self.provider = provider
        self.lan: list[Packet] = []
        self.wan: list[Packet] = []
        self.out_alg: Rewriter = untouched
        self.in_alg: Rewriter = untouched
        if alg == "linux":
            self.out_alg = linux_out(phone, port, wan, wan_port)
            self.in_alg = linux_in(phone, port, wan, wan_port)
        self.forced = 0  # the LAN port that the router sends everything to, where it forces one
        self._idents = idents
        self._sent = {"phone": 0x1000, "provider": 0x2000}

    def _ident(self, who: str) -> int:
        self._sent[who] += 1
        return self._sent[who] if self._idents else 0

    def out(self, at: float, payload: bytes, *, lan: bool = True, wan: bool = True, dst: str = "",
            dport: int = 5060, alg: Rewriter | None = None) -> bytes:  # fmt: skip
        """The phone sends at START + at; returns what the provider gets. lan, wan: whether the
        message is on that tap; dst: another far end than the provider."""
        dst = dst or self.provider
        ident = self._ident("phone")
        seen = (alg or self.out_alg)(payload)
        if lan:
            data = frame(payload, self.phone, self.port, dst, dport, 64, ident)
            self.lan.append((_ns(at), data))
        if wan:
            data = frame(seen, self.wan_ip, self.wan_port, dst, dport, 63, ident)
            self.wan.append((_ns(at + FORWARD), data))
        return seen

    def into(self, at: float, payload: bytes, *, lan: bool = True, wan: bool = True, src: str = "",
             sport: int = 5060, wan_port: int = 0, lan_port: int = 0, ttl: int = 60,
             alg: Rewriter | None = None) -> bytes:  # fmt: skip
        """The far side sends; returns what the phone gets. wan_port: where to, where it is not
        the mapping; lan_port: where the router sent it, where that is not the phone's port."""
        src = src or self.provider
        ident = self._ident("provider")
        seen = (alg or self.in_alg)(payload)
        if wan:
            to = wan_port or self.wan_port
            data = frame(payload, src, sport, self.wan_ip, to, ttl, ident)
            self.wan.append((_ns(at), data))
        if lan:
            data = frame(
                seen, src, sport, self.phone, lan_port or self.forced or self.port, ttl - 1, ident
            )
            self.lan.append((_ns(at + FORWARD), data))
        return seen

    @property
    def contact(self) -> str:
        return f"<sip:100@{self.phone}:{self.port}>"

    @property
    def public(self) -> str:
        return f"{self.wan_ip}:{self.wan_port}"

    def sorted(self) -> tuple[list[Packet], list[Packet]]:
        return sorted(self.lan, key=lambda p: p[0]), sorted(self.wan, key=lambda p: p[0])


def _ns(at: float) -> int:
    return (START * 1_000_000 + round(at * 1_000_000)) * 1000


# Seconds after a 2xx at which it is sent again without an ACK (RFC 3261 section 13.3.1.4), and
# after an INVITE without any response (Timer A, section 17.1.1.2).
LADDER_2XX = (0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5)
LADDER_INVITE = (0.5, 1.5, 3.5, 7.5, 15.5, 31.5)
# After another request without a final response (Timer E, section 17.1.2.2).
LADDER_REQUEST = LADDER_2XX


def register(house: House, at: float, rport: bool = True, expires: int = 120, n: int = 1) -> None:
    """REGISTER and its 200; with rport the registrar fills received and rport in."""
    asked = request(
        "REGISTER", "sip:example.net", via=f"{house.phone}:{house.port}", branch=f"z9hG4bKreg{n}",
        call_id=f"reg{n}@{house.phone}", cseq=n, rport=rport, caller="<sip:100@example.net>;tag=r1",
        contact=house.contact, more=[f"Expires: {expires}"],
    )  # fmt: skip
    seen = house.out(at, asked)
    shown = re.search(rb"(?m)^Contact: (.*?)\r$", seen)
    assert shown is not None
    house.into(at + 0.03, answer(
        200, seen, to_tag="reg", contact=f"{shown[1].decode()};expires={expires}",
        received=house.wan_ip if rport else "", rport=house.wan_port if rport else 0,
    ))  # fmt: skip


class Incoming:
    """A call to the phone. Every method sends one message at START + at."""

    def __init__(self, house: House, call_id: str, contact: str = "", rport: bool = True,
                 src: str = "", fixed_contact: str = "", more: Sequence[str] = (),
                 body: bytes | None = None) -> None:  # fmt: skip
        """contact: the phone's, where it is not where it sends from; src: the far end;
        fixed_contact: where the provider sends in-dialog requests, where it does not believe
        the Contact; more: header lines of the INVITE."""
        self.house = house
        self.call_id = call_id
        self.contact = contact or house.contact
        self.src = src or house.provider
        self.far = f"<sip:200@{self.src}:5060>"
        self.target = fixed_contact
        self.more = more
        self.rport = rport
        self.body = sdp(house.phone) if body is None else body
        self.invited = self.delivered = self.answered = b""
        self.final = b""

    @property
    def _tag(self) -> str:
        return f"p-{token(self.call_id)}"

    def _ids(self) -> dict[str, Any]:
        return {
            "caller": f"<sip:200@example.net>;tag=c-{token(self.call_id)}",
            "callee": f"<sip:100@example.net>;tag={self._tag}",
        }

    def invite(self, at: float, via_port: int = 5060, **how: object) -> None:
        if not self.invited:
            self.invited = request(
                "INVITE", f"sip:100@{self.house.public}", via=f"{self.src}:{via_port}",
                branch=f"z9hG4bKi-{token(self.call_id)}", call_id=self.call_id, cseq=1,
                caller=self._ids()["caller"], contact=self.far, body=sdp(self.src, 20000),
                more=self.more, rport=self.rport,
            )  # fmt: skip
        self.delivered = self.house.into(at, self.invited, src=self.src, **how)  # type: ignore[arg-type]

    def ringing(self, at: float) -> None:
        self.house.out(at, answer(180, self.delivered, to_tag=self._tag, contact=self.contact),
                       dst=self.src)  # fmt: skip

    def ok(self, at: float, **how: object) -> None:
        self.final = self.final or answer(
            200, self.delivered, to_tag=self._tag, contact=self.contact, body=self.body
        )
        self.answered = self.house.out(at, self.final, dst=self.src, **how)  # type: ignore[arg-type]

    def _in_dialog(self, method: str, cseq: int, via: str, more: Sequence[str]) -> bytes:
        shown = re.search(rb"(?m)^Contact: <(.*?)>", self.answered)
        target = self.target or (shown[1].decode() if shown else f"sip:100@{self.house.public}")
        return request(
            method, target, via=via, branch=f"z9hG4bK{method.lower()}-{token(self.call_id)}",
            call_id=self.call_id, cseq=cseq, more=more, **self._ids(),
        )  # fmt: skip

    def ack(self, at: float, via_port: int = 5060, src: str = "", more: Sequence[str] = (),
            **how: object) -> None:  # fmt: skip
        src = src or self.src
        made = self._in_dialog("ACK", 1, f"{src}:{via_port}", more)
        self.house.into(at, made, src=src, **how)  # type: ignore[arg-type]

    def bye(self, at: float) -> None:
        """The far side ends the call, and the phone says 200."""
        seen = self.house.into(at, self._in_dialog("BYE", 2, f"{self.src}:5060", ()), src=self.src)
        self.house.out(at + 0.02, answer(200, seen), dst=self.src)

    def phone_bye(self, at: float) -> None:
        made = request(
            "BYE", f"sip:200@{self.src}:5060", via=f"{self.house.phone}:{self.house.port}",
            branch=f"z9hG4bKpbye-{token(self.call_id)}", call_id=self.call_id, cseq=1,
            caller=self._ids()["callee"], callee=self._ids()["caller"],
        )  # fmt: skip
        seen = self.house.out(at, made, dst=self.src)
        self.house.into(at + 0.03, answer(200, seen), src=self.src)

    def dropped(self, at: float) -> None:
        """The 2xx of `at` again and again, and the phone's BYE after 64*T1."""
        for after in LADDER_2XX:
            self.ok(at + after)
        self.phone_bye(at + 32)


class Outgoing:
    """A call of the phone."""

    def __init__(self, house: House, call_id: str, contact: str = "", rport: bool = True,
                 far_contact: str = "", body: bytes | None = None) -> None:  # fmt: skip
        self.house = house
        self.call_id = call_id
        self.contact = contact or house.contact
        self.rport = rport
        self.far_contact = far_contact or f"<sip:300@{house.provider}:5060>"
        self.body = sdp(house.phone) if body is None else body
        self.invited = self.seen = self.final = b""

    def _request(self, method: str, cseq: int, uri: str, tag: str, contact: str = "",
                 body: bytes = b"", branch: str = "") -> bytes:  # fmt: skip
        return request(
            method, uri, via=f"{self.house.phone}:{self.house.port}",
            branch=f"z9hG4bK{branch or method.lower()}-{token(self.call_id)}", call_id=self.call_id,
            cseq=cseq, caller=f"<sip:100@example.net>;tag=p-{token(self.call_id)}",
            callee=f"<sip:300@example.net>{tag}", contact=contact, body=body, rport=self.rport,
        )  # fmt: skip

    @property
    def _tag(self) -> str:
        return f"f-{token(self.call_id)}"

    def _received(self) -> tuple[str, int]:
        return (self.house.wan_ip, self.house.wan_port) if self.rport else ("", 0)

    def invite(self, at: float, **how: object) -> None:
        self.invited = self.invited or self._request(
            "INVITE", 1, "sip:300@example.net", "", self.contact, self.body
        )
        self.seen = self.house.out(at, self.invited, **how)  # type: ignore[arg-type]

    def respond(self, at: float, status: int, body: bytes = b"", **how: object) -> None:
        """The far side responds to the INVITE."""
        received, rport = self._received()
        made = answer(
            status, self.seen, to_tag="" if status == 100 else self._tag,
            contact=self.far_contact if status < 300 else "", body=body, received=received,
            rport=rport,
        )  # fmt: skip
        self.house.into(at, made, **how)  # type: ignore[arg-type]

    def ok(self, at: float, **how: object) -> None:
        self.respond(at, 200, sdp(self.house.provider, 20000), **how)

    def ack(self, at: float, **how: object) -> None:
        target = self.far_contact.strip("<>")
        made = self._request("ACK", 1, target, f";tag={self._tag}")
        self.house.out(at, made, **how)  # type: ignore[arg-type]

    def set_up(self, at: float, rings: float = 0.3) -> None:
        """INVITE, 180 after so many seconds, the 2xx after 2 s, and its ACK."""
        self.invite(at)
        self.respond(at + rings, 180)
        self.ok(at + 2)
        self.ack(at + 2.02)

    def nak(self, at: float) -> None:
        """The ACK to a non-2xx: the INVITE's own branch (RFC 3261 section 17.1.1.3)."""
        made = self._request("ACK", 1, "sip:300@example.net", f";tag={self._tag}", branch="invite")
        self.house.out(at, made)

    def cancel(self, at: float) -> None:
        made = self._request("CANCEL", 1, "sip:300@example.net", "", branch="invite")
        seen = self.house.out(at, made)
        self.house.into(at + 0.03, answer(200, seen))

    def bye(self, at: float) -> None:
        made = self._request("BYE", 2, self.far_contact.strip("<>"), f";tag={self._tag}")
        seen = self.house.out(at, made)
        self.house.into(at + 0.03, answer(200, seen))

    def from_far(self, method: str, cseq: int = 1, more: Sequence[str] = ()) -> bytes:
        """A request of the far end inside the dialog."""
        shown = re.search(rb"(?m)^Contact: <(.*?)>", self.seen)
        return request(
            method, shown[1].decode() if shown else f"sip:100@{self.house.public}",
            via=f"{self.house.provider}:5060",
            branch=f"z9hG4bKf{method.lower()}-{token(self.call_id)}",
            call_id=self.call_id, cseq=cseq, caller=f"<sip:300@example.net>;tag={self._tag}",
            callee=f"<sip:100@example.net>;tag=p-{token(self.call_id)}", more=more,
        )  # fmt: skip

    def far_bye(self, at: float, more: Sequence[str] = ()) -> None:
        seen = self.house.into(at, self.from_far("BYE", more=more))
        self.house.out(at + 0.02, answer(200, seen))


class Timed(Outgoing):
    """A call of the phone with a session timer, answered at 3 s. refresher: uac is the phone."""

    def __init__(self, house: House, refresher: str, interval: int = 1800,
                 alg: Rewriter | None = None, call_id: str = "timed@phone") -> None:  # fmt: skip
        super().__init__(house, call_id)
        register(house, 0)
        self.refreshes = 0
        self.timer = [f"Session-Expires: {interval};refresher={refresher}", "Require: timer"]
        self.invite(1)
        self.accept(3, self.seen, alg=alg)
        self.ack(3.02)

    def accept(self, at: float, request: bytes, more: Sequence[str] | None = None,
               **how: object) -> None:  # fmt: skip
        """The far end accepts a request of the phone."""
        made = answer(
            200, request, to_tag=self._tag, contact=self.far_contact,
            body=sdp(self.house.provider, 20000), received=self.house.wan_ip,
            rport=self.house.wan_port, more=self.timer if more is None else more,
        )  # fmt: skip
        self.house.into(at, made, **how)  # type: ignore[arg-type]

    def refresh(self, at: float, method: str = "UPDATE", again: Sequence[float] = (),
                **how: object) -> bytes:  # fmt: skip
        """A request of the phone that refreshes the session; returns what the far end gets."""
        self.refreshes += 1
        made = self._request(
            method, 1 + self.refreshes, self.far_contact.strip("<>"), f";tag={self._tag}",
            self.contact, self.body if method == "INVITE" else b"",
            branch=f"{method.lower()}{self.refreshes}",
        )  # fmt: skip
        seen = b""
        for after in (0, *again):
            seen = self.house.out(at + after, made, **how)  # type: ignore[arg-type]
        return seen

    def refused(self, at: float, request: bytes, status: int) -> None:
        self.house.into(at, answer(status, request, received=self.house.wan_ip,
                                   rport=self.house.wan_port))  # fmt: skip


def incoming_call(house: House, at: float, call_id: str, **how: object) -> Incoming:
    """A whole call that completes."""
    call = Incoming(house, call_id, **how)  # type: ignore[arg-type]
    call.invite(at)
    call.ringing(at + 0.2)
    call.ok(at + 2)
    call.ack(at + 2.05)
    call.bye(at + 6)
    return call


def works_beside(house: House, at: float, call_id: str = "beside@provider") -> None:
    """Another phone here with the same provider, on a flow that no helper touches: a call to it
    shows a private Contact and lives. So the provider handles the NAT by itself."""
    other = House(phone="192.168.1.77", wan=house.wan_ip, wan_port=40077, provider=house.provider)
    register(other, at, n=77)
    incoming_call(other, at + 1, call_id, fixed_contact=f"sip:100@{other.public}")
    house.lan += other.lan
    house.wan += other.wan


def never_acknowledged() -> House:
    """No ACK comes to a call that a registered phone has answered."""
    house = House()
    register(house, 0)
    call = Incoming(house, "drop@provider", contact=f"<sip:100@{house.public}>")
    call.invite(1)
    call.ok(3)
    call.dropped(3)
    register(house, 60, n=2)
    return house


def outgoing_call(house: House, at: float, call_id: str, **how: object) -> Outgoing:
    call = Outgoing(house, call_id, **how)  # type: ignore[arg-type]
    call.invite(at)
    call.respond(at + 0.03, 100)
    call.respond(at + 0.3, 180)
    call.ok(at + 2)
    call.ack(at + 2.02)
    call.bye(at + 6)
    return call


def far_gives_up(house: House, at: float, call_id: str, acks: bool = False, leave: bool = False,
                 answered: bool = True) -> Outgoing:  # fmt: skip
    """An outgoing call whose 2xx is repeated to the end. acks: the phone acknowledges each;
    leave: those leave the router; answered: the 2xx reach the phone."""
    call = Outgoing(house, call_id)
    call.invite(at)
    call.respond(at + 0.2, 180)
    for after in (0, *LADDER_2XX):
        call.ok(at + 2 + after, lan=answered)
        if acks:
            call.ack(at + 2.02 + after, wan=leave)
    call.far_bye(at + 34)
    return call


# ---- the whole way, without files ----


def analyzed(lan: Sequence[Packet], wan: Sequence[Packet], size: int = 7,
             watch: Callable[[Crossing], None] | None = None,
             to_the_end: bool = False,
             every: bool = True) -> tuple[Pipeline, list[Report]]:  # fmt: skip
    """Both taps through one pipeline in step by time, `size` packets a batch. to_the_end: both
    taps were open until the last packet of either, which two files do not say. every: see
    Pipeline."""
    taps = [Tap("lan", LAN), Tap("wan", WAN)]
    pipeline = Pipeline(taps, watch=watch, strict=True, every=every)
    reports: list[Report] = []
    parts = [
        (part[0][0], batch(part, tap))
        for tap, packets in ((0, lan), (1, wan))
        for part in (packets[i : i + size] for i in range(0, len(packets), size))
    ]
    for _, made in sorted(parts, key=lambda part: part[0]):
        reports += pipeline.feed(made)
    if to_the_end:
        end = max((p[-1][0] for p in (lan, wan) if p), default=0)
        for tap in range(2):
            reports += pipeline.advance(tap, end)
    return pipeline, reports + pipeline.finish()


def one_sided(packets: Sequence[Packet], side: int = UNKNOWN) -> tuple[Pipeline, list[Report]]:
    pipeline = Pipeline([Tap("one", side)], strict=True)
    reports = pipeline.feed(batch(packets))
    return pipeline, reports + pipeline.finish()
