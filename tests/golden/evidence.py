# SPDX-License-Identifier: Apache-2.0
"""The evidence that a capture must hold before anybody may be told to turn the ALG off, read from
the packets by other means than the program's: no scanner, no pairing, no dialogs."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence

from craft import NS, Packet

Seen = tuple[int, str, int, str, int, bytes]  # at, src, sport, dst, dport, payload


def _read(packet: Packet) -> Seen | None:
    at, frame = packet
    ip = frame[14:]
    if frame[12:14] != b"\x08\x00" or len(ip) < 28 or ip[9] != 17:
        return None
    sport, dport = struct.unpack("!HH", ip[20:24])
    src, dst = (".".join(map(str, ip[i : i + 4])) for i in (12, 16))
    return at, src, sport, dst, dport, ip[28:]


def _header(payload: bytes, name: bytes) -> bytes:
    found = re.search(rb"(?m)^%s: (.*?)\r$" % name, payload)
    return found[1] if found else b""


def _branch(payload: bytes) -> bytes:
    found = re.search(rb"branch=([^;\r,]+)", payload)
    return found[1] if found else b""


def _is_2xx(payload: bytes) -> bool:
    return payload.startswith(b"SIP/2.0 2") and _header(payload, b"CSeq").endswith(b"INVITE")


def forced_port(lan: Sequence[Packet], wan: Sequence[Packet]) -> bool:
    """An ACK on both copies that left to another LAN port than its phone's 2xx came from, and
    that 2xx again after it."""
    inside = [s for s in map(_read, lan) if s]
    outside = [s for s in map(_read, wan) if s]
    outside_acks = {
        _branch(s[5]) + _header(s[5], b"Call-ID") for s in outside if s[5].startswith(b"ACK ")
    }
    for at, _, _, phone, port, payload in inside:
        call = _header(payload, b"Call-ID")
        if not payload.startswith(b"ACK ") or _branch(payload) + call not in outside_acks:
            continue
        finals = [s for s in inside if s[1] == phone and _is_2xx(s[5])
                  and _header(s[5], b"Call-ID") == call]  # fmt: skip
        if len(finals) > 1 and finals[-1][0] > at and all(s[2] != port for s in finals):
            return True
    return False


def forced_invite(lan: Sequence[Packet], wan: Sequence[Packet]) -> bool:
    """An INVITE that came to the WAN and went to another LAN port than the one which its phone
    registers from, again and again for the 32 s of Timer B (on either tap, since the other one
    may have ended), and no response on either."""
    inside, outside = ([s for s in map(_read, side) if s] for side in (lan, wan))
    came = {_branch(s[5]) for s in outside if s[5].startswith(b"INVITE ")}
    for at, far, _, phone, port, payload in inside:
        if not payload.startswith(b"INVITE ") or _branch(payload) not in came:
            continue
        places = {s[2] for s in inside if s[1] == phone and s[5].startswith(b"REGISTER ")}
        call = _header(payload, b"Call-ID")
        of_call = [s for s in inside if _header(s[5], b"Call-ID") == call]
        without = [s for s in outside if _header(s[5], b"Call-ID") == call]
        answered = any(s[3] == far for s in of_call + without)
        long = any(s[1] == far and s[0] - at > 31 * NS for s in of_call + without)
        if places and port not in places and long and not answered:
            return True
    return False


def wrong_contact_twice(lan: Sequence[Packet], wan: Sequence[Packet]) -> bool:
    """Two calls a minute apart whose 2xx left with a Contact port that is not its own source
    port, was repeated, and whose ACK is not on the LAN."""
    inside = [s for s in map(_read, lan) if s]
    hurt = []
    for at, src, sport, _, _, payload in filter(None, map(_read, wan)):
        call = _header(payload, b"Call-ID")
        contact = re.search(rb"@([\d.]+):(\d+)", _header(payload, b"Contact"))
        if not _is_2xx(payload) or not contact or contact[1].decode() != src:
            continue
        of_call = [s for s in inside if _header(s[5], b"Call-ID") == call]
        finals = [s for s in of_call if _is_2xx(s[5])]
        acked = any(s[5].startswith(b"ACK ") for s in of_call)
        if int(contact[2]) != sport and len(finals) > 1 and not acked:
            hurt.append((call, at))
    return any(c != d and abs(s - t) >= 59 * NS for c, s in hurt for d, t in hurt)


def changed_request_uri(lan: Sequence[Packet], wan: Sequence[Packet]) -> bool:
    """An ACK that the phone addressed as the Contact of the 2xx says, whose copy on the WAN is
    addressed otherwise, and that 2xx again after it."""
    outside = [s for s in map(_read, wan) if s]
    for _, _, _, _, _, payload in filter(None, map(_read, lan)):
        call = _header(payload, b"Call-ID")
        if not payload.startswith(b"ACK "):
            continue
        finals = [s for s in outside if _is_2xx(s[5]) and _header(s[5], b"Call-ID") == call]
        to = payload.split(b" ", 2)[1]
        if not finals or to not in _header(finals[0][5], b"Contact"):
            continue
        for at, *_, copy in outside:
            same = copy.startswith(b"ACK ") and _header(copy, b"Call-ID") == call
            if same and copy.split(b" ", 2)[1] != to and finals[-1][0] > at:
                return True
    return False


def changed_route(lan: Sequence[Packet], wan: Sequence[Packet]) -> bool:
    """An ACK of the phone whose Route is that of the 2xx, whose copy on the WAN has another Route,
    and that 2xx again after it."""
    outside = [s for s in map(_read, wan) if s]
    for _, _, _, _, _, payload in filter(None, map(_read, lan)):
        call, route = _header(payload, b"Call-ID"), _header(payload, b"Route")
        if not payload.startswith(b"ACK ") or not route:
            continue
        finals = [s for s in outside if _is_2xx(s[5]) and _header(s[5], b"Call-ID") == call]
        if not finals or route not in re.findall(rb"(?m)^Record-Route: (.*?)\r$", finals[0][5]):
            continue
        for at, *_, copy in outside:
            same = copy.startswith(b"ACK ") and _header(copy, b"Call-ID") == call
            if same and _header(copy, b"Route") != route and finals[-1][0] > at:
                return True
    return False


def changed_record_route(lan: Sequence[Packet], wan: Sequence[Packet]) -> bool:
    """A 2xx that reached the LAN again and again with a private Record-Route, which its WAN copy
    does not have, and no ACK of the phone."""
    inside, outside = ([s for s in map(_read, side) if s] for side in (lan, wan))
    for at, *_, payload in inside:
        call, route = _header(payload, b"Call-ID"), _header(payload, b"Record-Route")
        if not _is_2xx(payload) or not re.match(rb"<sip:(10|192\.168)\.", route):
            continue
        copies = [s for s in outside if _is_2xx(s[5]) and _branch(s[5]) == _branch(payload)
                  and abs(s[0] - at) < NS // 4]  # fmt: skip
        of_call = [s for s in inside if _header(s[5], b"Call-ID") == call]
        again = sum(_is_2xx(s[5]) for s in of_call) > 2
        acked = any(s[5].startswith(b"ACK ") for s in of_call)
        if again and not acked and any(_header(s[5], b"Record-Route") != route for s in copies):
            return True
    return False


def removed_record_route(lan: Sequence[Packet], wan: Sequence[Packet]) -> bool:
    """A 2xx that came to the WAN again and again with a Record-Route, which its LAN copy does not
    have, and ACKs of the phone without a Route."""
    inside, outside = ([s for s in map(_read, side) if s] for side in (lan, wan))
    for at, *_, payload in outside:
        call = _header(payload, b"Call-ID")
        if not _is_2xx(payload) or not _header(payload, b"Record-Route"):
            continue
        copies = [s for s in inside if _is_2xx(s[5]) and _branch(s[5]) == _branch(payload)
                  and abs(s[0] - at) < NS // 4]  # fmt: skip
        again = sum(_is_2xx(s[5]) and _header(s[5], b"Call-ID") == call for s in outside) > 2
        acks = [s[5] for s in inside
                if s[5].startswith(b"ACK ") and _header(s[5], b"Call-ID") == call]  # fmt: skip
        bare = acks and not any(_header(ack, b"Route") for ack in acks)
        if again and bare and any(not _header(s[5], b"Record-Route") for s in copies):
            return True
    return False


def may_recommend_disabling(lan: Sequence[Packet], wan: Sequence[Packet]) -> bool:
    proofs = (
        forced_port,
        forced_invite,
        wrong_contact_twice,
        changed_request_uri,
        changed_route,
        changed_record_route,
        removed_record_route,
    )
    return any(proof(lan, wan) for proof in proofs)
