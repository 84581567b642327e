# SPDX-License-Identifier: Apache-2.0
"""Captures of a busy line, for measuring: the same calls on one side or both sides of a router.

`python tests/bench/make_calls.py DIR [TIMES]` writes
  calls.pcap               LAN side: 100,003 SIP messages, 12,821 calls, 1,282 with a lost ACK
  lan.pcap, wan.pcap       both sides of the same calls, headers as the phone wrote them
  lan_alg.pcap, wan_alg.pcap   the same behind an ALG that rewrites everything consistently
  rtp.pcap                 100,000 packets of media, none of them SIP
  calls_10.pcap            TIMES (10) as many calls as calls.pcap
Every run writes the same bytes.

A call whose ACK is lost: the callee repeats its 200 as RFC 3261 section 13.3.1.4 says (T1
doubling up to T2) and gives up with a BYE after 64*T1.
"""

from __future__ import annotations

import heapq
import random
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

CALLS, LOST = 12_821, 1_282
MESSAGES = (CALLS - LOST) * 7 + LOST * 15
START = 1_700_000_000.0  # seconds since 1970
CALLS_A_SECOND = 20.0
SEED = 12821
LONGEST = 60.0  # s that a call is held
LADDER = (0.0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5)
PUBLIC, PROVIDER = "203.0.113.77", "198.51.100.20"
PHONES = 60
AGENTS = ("Yealink SIP-T46S 66.84.0.15", "snomD785/10.1.54.13", "Grandstream HT802 1.0.17.5",
          "FRITZ!OS", "Gigaset N510 IP PRO/42.250.00", "baresip v3.6.0 (x86_64/Linux)")  # fmt: skip
ALLOW = "INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, INFO, UPDATE, PRACK"
LAN, WAN = 0, 1

Event = tuple[float, bool, str]  # seconds, from the phone, text with places for the addresses


class Phone:
    """The values in its messages on each side: {host} and {port} of the phone."""

    __slots__ = ("agent", "host", "nat_port", "user")

    def __init__(self, number: int) -> None:
        self.host = f"192.168.1.{number + 10}"
        self.nat_port = 20000 + number * 7
        self.user = f"4930{1000000 + number * 317}"
        self.agent = AGENTS[number % len(AGENTS)]


def _sdp(host: str, port: int) -> str:
    return (
        f"v=0\r\no=- {port}01 {port}01 IN IP4 {host}\r\ns=call\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP 9 8 0 101\r\na=rtpmap:9 G722/8000\r\na=rtpmap:8 PCMA/8000\r\n"
        "a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n"
        "a=ptime:20\r\na=sendrecv\r\n"
    )


class Call:
    """One call of a phone: its messages, and who lost the ACK."""

    def __init__(self, number: int, rng: random.Random, lost: bool) -> None:
        self.phone = Phone(rng.randrange(PHONES))
        self.outward = rng.random() < 0.7
        self.lost = lost
        self._rng = rng
        name = f"{rng.getrandbits(64):016x}"
        self._id = f"{name}@{'192.168.1.9' if self.outward else PROVIDER}"
        self._tags = f"{rng.getrandbits(32):08x}", f"as{rng.getrandbits(32):08x}"
        self._branch = f"z9hG4bK{name[:12]}{number:x}"
        self._far = f"4989{rng.randrange(10**7):07d}"
        self._cseq = rng.randrange(1, 30000)
        self._media = rng.randrange(10000, 60000, 2), rng.randrange(10000, 60000, 2)

    def events(self, start: float) -> list[Event]:
        rng = self._rng
        ring = start + rng.uniform(0.1, 0.4)
        answer = ring + rng.uniform(1.0, 8.0)
        way = rng.uniform(0.01, 0.06)  # there and back
        caller = self.outward
        ok = self._answer("200 OK", "INVITE", sdp=True)
        made = [(start, caller, self._request("INVITE", "i", sdp=True))]
        if not self.lost:
            made.append((start + way, not caller, self._answer("100 Trying", "INVITE", tag=False)))
        made.append((ring, not caller, self._answer("180 Ringing", "INVITE")))
        if self.lost:
            made += [(answer + later, not caller, ok) for later in LADDER]
            end = answer + 32.0
            made.append((end, not caller, self._request("BYE", "b", swapped=True)))
            made.append((end + way, caller, self._answer("200 OK", "BYE", swapped=True)))
            return made
        made.append((answer, not caller, ok))
        made.append((answer + way, caller, self._request("ACK", "a")))
        end, swapped = answer + rng.uniform(3.0, LONGEST), rng.random() < 0.5
        made.append((end, caller != swapped, self._request("BYE", "b", swapped=swapped)))
        made.append((end + way, caller == swapped, self._answer("200 OK", "BYE", swapped=swapped)))
        return made

    def _place(self, of_phone: bool) -> str:
        return "{host}:{port}" if of_phone else f"{PROVIDER}:5060"

    def _headers(self, branch: str, cseq: str, swapped: bool, tag: bool) -> str:
        sender_is_phone = self.outward != swapped
        ours, theirs = self.phone.user, self._far
        caller, callee = (ours, theirs) if self.outward else (theirs, ours)
        left = f"<sip:{caller}@voip.example.net>;tag={self._tags[0]}"
        right = f"<sip:{callee}@voip.example.net>" + (f";tag={self._tags[1]}" if tag else "")
        if swapped:
            left, right = right, left
        via = f"{self._place(sender_is_phone)};branch={self._branch}{branch};rport"
        return (
            f"Via: SIP/2.0/UDP {via}\r\n"
            f"From: {left}\r\nTo: {right}\r\nCall-ID: {self._id}\r\nCSeq: {cseq}\r\n"
        )

    def _request(self, method: str, branch: str, swapped: bool = False, sdp: bool = False) -> str:
        by_phone = self.outward != swapped
        target = self._far if by_phone else self.phone.user
        uri = f"sip:{target}@voip.example.net"
        if method != "INVITE" or not by_phone:
            uri = f"sip:{target}@{self._place(not by_phone)}"
        cseq = f"{self._cseq + (method == 'BYE')} {method}"
        text = f"{method} {uri} SIP/2.0\r\n"
        text += self._headers(branch, cseq, swapped, method != "INVITE")
        text += "Max-Forwards: 70\r\n"
        if method == "INVITE":
            who = self.phone.user if by_phone else self._far
            text += f"Contact: <sip:{who}@{self._place(by_phone)}>\r\nAllow: {ALLOW}\r\n"
            text += "Supported: replaces, timer, 100rel\r\n"
        text += f"User-Agent: {self.phone.agent if by_phone else 'Asterisk PBX 18.10.0'}\r\n"
        return text + self._body(by_phone, sdp)

    def _answer(self, status: str, method: str, swapped: bool = False, sdp: bool = False,
                tag: bool = True) -> str:  # fmt: skip
        by_phone = self.outward == swapped
        branch = {"INVITE": "i", "BYE": "b"}[method]
        text = f"SIP/2.0 {status}\r\n"
        text += self._headers(branch, f"{self._cseq + (method == 'BYE')} {method}", swapped, tag)
        if method == "INVITE" and tag:
            who = self.phone.user if by_phone else self._far
            text += f"Contact: <sip:{who}@{self._place(by_phone)}>\r\nAllow: {ALLOW}\r\n"
        text += f"Server: {self.phone.agent if by_phone else 'Asterisk PBX 18.10.0'}\r\n"
        return text + self._body(by_phone, sdp)

    def _body(self, by_phone: bool, sdp: bool) -> str:
        if not sdp:
            return "Content-Length: 0\r\n\r\n"
        media = self._media[by_phone]
        return "SDP:" + _sdp("{host}" if by_phone else PROVIDER, media)


def text_on(side_host: str, side_port: int, text: str) -> bytes:
    """The text with the phone's address of one side in it, and the Content-Length that fits."""
    text = text.replace("{host}", side_host).replace("{port}", str(side_port))
    head, found, body = text.partition("SDP:")
    if found:
        head += f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n"
    return (head + body).encode()


def traffic(calls: int, lost: int) -> Iterator[tuple[float, bool, Call, str]]:
    """Events of all calls in order of time; memory for those that go on at once only."""
    rng = random.Random(SEED)
    coming: list[tuple[float, int, bool, str, Call]] = []
    number, serial, start = 0, 0, START
    share = calls / lost
    while number < calls or coming:
        while number < calls and (not coming or start <= coming[0][0]):
            is_lost = int((number + 1) / share) > int(number / share)
            call = Call(number, rng, is_lost)
            for at, by_phone, text in call.events(start):
                serial += 1
                heapq.heappush(coming, (at, serial, by_phone, text, call))
            number += 1
            start += rng.expovariate(CALLS_A_SECOND)
        at, _, by_phone, text, call = heapq.heappop(coming)
        yield at, by_phone, call, text


class Side:
    """One capture file of one side."""

    def __init__(self, path: Path, side: int, rewriting: bool) -> None:
        self._file: IO[bytes] = open(path, "wb", 1 << 20)  # noqa: SIM115
        self._file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        self._wan = side == WAN
        self._rewritten = rewriting and self._wan
        self._delay = 0.0

    def put(self, at: float, by_phone: bool, call: Call, text: str, ident: int) -> None:
        phone = call.phone
        wan = self._wan
        data = text_on(*((PUBLIC, phone.nat_port) if self._rewritten else (phone.host, 5060)), text)
        near = (PUBLIC, phone.nat_port) if wan else (phone.host, 5060)
        # The router takes 80 microseconds and one off the TTL.
        entered = by_phone != wan
        ttl = (64 if by_phone else 53) - (not entered)
        late = 0.0 if entered else 80e-6
        self.packet(at + late, by_phone, near, (PROVIDER, 5060), data, ident, ttl)

    def packet(self, at: float, outward: bool, near: tuple[str, int], far: tuple[str, int],
               data: bytes, ident: int, ttl: int) -> None:  # fmt: skip
        source, target = (near, far) if outward else (far, near)
        length = 28 + len(data)
        frame = b"\2\0\0\0\0\1\2\0\0\0\0\2\x08\0" + struct.pack(
            "!BBHHHBBH4s4sHHHH", 0x45, 0, length, ident & 0xFFFF or 1, 0, ttl, 17, 0,
            bytes(map(int, source[0].split("."))), bytes(map(int, target[0].split("."))),
            source[1], target[1], length - 20, 0,
        ) + data  # fmt: skip
        micro = round(at * 1e6)
        self._file.write(
            struct.pack("<IIII", micro // 1_000_000, micro % 1_000_000, len(frame), len(frame))
        )
        self._file.write(frame)

    def close(self) -> None:
        self._file.close()


def write_calls(path: Path, times: int = 1) -> int:
    """The LAN side alone. Returns the number of messages."""
    side = Side(path, LAN, False)
    count = 0
    for at, by_phone, call, text in traffic(CALLS * times, LOST * times):
        count += 1
        side.put(at, by_phone, call, text, count)
    side.close()
    return count


def write_pair(lan: Path, wan: Path, rewriting: bool, calls: int = CALLS, lost: int = LOST) -> int:
    sides = Side(lan, LAN, rewriting), Side(wan, WAN, rewriting)
    count = 0
    for at, by_phone, call, text in traffic(calls, lost):
        count += 1
        for side in sides:
            side.put(at, by_phone, call, text, count)
    for side in sides:
        side.close()
    return count


def write_rtp(path: Path, packets: int = 100_000) -> int:
    side = Side(path, LAN, False)
    for number in range(packets):
        header = struct.pack("!BBHII", 0x80, 8, number & 0xFFFF, number * 160, 7)
        near, far = ("192.168.1.10", 30000), (PROVIDER, 40000)
        data = header + bytes((0xD5,)) * 160
        side.packet(START + number * 0.01, bool(number & 1), near, far, data, number, 64)
    side.close()
    return packets


def main(directory: Path, times: int) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    assert write_calls(directory / "calls.pcap") == MESSAGES
    write_pair(directory / "lan.pcap", directory / "wan.pcap", False)
    write_pair(directory / "lan_alg.pcap", directory / "wan_alg.pcap", True)
    write_rtp(directory / "rtp.pcap")
    if times > 1:
        write_calls(directory / f"calls_{times}.pcap", times)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: make_calls.py DIR [TIMES]")
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) == 3 else 10)
