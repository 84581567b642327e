# SPDX-License-Identifier: Apache-2.0
"""Legal messages that the kernel's helper swallows or damages."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from lab.draw import Draw
from lab.endpoint import Address, Call
from lab.loop import Loop
from lab.network import Network
from lab.phone import Phone
from lab.provider import Provider
from lab.sip import Message
from lab.truth import Must, Truth

from .moves import Line, facts_of, hang_up, never_answered, outgoing_lives
from .scenario import HURT, QUIET, REWRITTEN, Facts, Play, Say, Scenario

LENGTH = re.compile(rb"(\r\n(?:Content-Length|l)[ \t]*:[ \t]*)\d+", re.IGNORECASE)
Edit = Callable[[bytes, Draw], bytes]


def same_rtp_port(loop: Loop, net: Network, say: Say) -> Facts:
    """8: a second phone offers the RTP port that a ringing call of the first one has offered."""
    provider = Provider(loop, net)
    draw = net.draw.of_more(0)
    draw.rtp_port = net.draw.rtp_port
    first = Line(Phone(loop, net), provider, "other-phone")
    second = Phone(loop, net, draw=draw)
    first.phone.register()
    second.register()
    provider.ring = 36 if net.helped else 3
    ringing = first.phone.call(net.draw.peer)
    first.calls.append(ringing)
    loop.sleep(1.0)
    call = second.call(net.draw.peer)
    if net.helped:
        never_answered(loop, call)
    for one, phone in ((ringing, first.phone), (call, second)):
        if not one.over:
            loop.until(lambda c=one: c.answered, 8, "the answer")  # type: ignore[misc]
            loop.sleep(draw.talk)
            hang_up(phone, provider, one)
    loop.sleep(1.0)
    named = {"ALG008": [str(draw.rtp_port)]} if net.helped else {}
    phones = [draw.phone_ip, net.draw.phone_ip]
    return facts_of(second, provider, [call], first, must_name=named, phones=phones)


class Strict(Provider):
    """Refuses a multipart body that does not end with its last boundary."""

    def _incoming(self, sock: Any, request: Message, source: Address) -> None:
        boundary = re.search(r'boundary="?([^";]+)', request.get("Content-Type"))
        length = int(request.get("Content-Length") or len(request.body))
        body = request.body[:length]
        if boundary and not body.rstrip().endswith(f"--{boundary[1]}--".encode()):
            self.refuses = "400 Incomplete body"
        super()._incoming(sock, request, source)


def multipart(loop: Loop, net: Network, say: Say) -> Facts:
    """9: an INVITE with SDP and a PIDF-LO location, as for an emergency call (RFC 6442)."""
    phone, provider = Phone(loop, net), Strict(loop, net)
    edge = f"b-{net.draw.token()}"

    def written(message: Message, data: bytes) -> bytes:
        if message.method != "INVITE" or message.status:
            return data
        person = f'<presence entity="pres:{net.draw.user}@{net.draw.domain}"/>'
        parts = b"".join(
            f"--{edge}\r\nContent-Type: {kind}\r\n\r\n".encode() + part + b"\r\n"
            for kind, part in (
                ("application/sdp", message.body),
                ("application/pidf+xml", person.encode()),
            )
        )
        body = parts + f"--{edge}--\r\n".encode()
        fields = [f for f in message.fields if f[0] != "Content-Type"]
        fields.append(("Content-Type", f'multipart/mixed;boundary="{edge}"'))
        return Message(message.start, fields, body).encode(phone.forms)

    phone.written = written
    phone.register()
    if not net.helped:
        call = outgoing_lives(loop, phone, provider)
        loop.sleep(1.0)
        return facts_of(phone, provider, [call])
    call = phone.call(net.draw.peer)
    loop.until(lambda: call.over, 5, "the refusal")
    loop.sleep(1.5)
    return facts_of(phone, provider, [call])


def _no_content_length(data: bytes, draw: Draw) -> bytes:
    return LENGTH.sub(b"", data, count=1)


def _named_origin(data: bytes, draw: Draw) -> bytes:
    """The same number of bytes would be luck: Content-Length is written anew."""
    head, _, body = data.partition(b"\r\n\r\n")
    body = re.sub(rb"(o=.* IN IP4 )\S+", rb"\1pbx.example.org", body)
    head = LENGTH.sub(rb"\g<1>%d" % len(body), head)
    return head + b"\r\n\r\n" + body


def _low_port(data: bytes, draw: Draw) -> bytes:
    head, _, body = data.partition(b"\r\n\r\n")
    low = str(2 * (draw.rtp_port % 300) + 300).encode()
    body = re.sub(rb"m=audio \d+", b"m=audio " + low, body)
    head = LENGTH.sub(rb"\g<1>%d" % len(body), head)
    return head + b"\r\n\r\n" + body


def _invite_edited(edit: Edit) -> Play:
    def play(loop: Loop, net: Network, say: Say) -> Facts:
        """10: an INVITE that RFC 3261 allows or tolerates."""
        phone, provider = Phone(loop, net), Provider(loop, net)

        def written(message: Message, data: bytes) -> bytes:
            return edit(data, net.draw) if message.start.startswith("INVITE") else data

        phone.written = written
        phone.register()
        call: Call
        if net.helped:
            call = never_answered(loop, phone.call(net.draw.peer))
        else:
            call = outgoing_lives(loop, phone, provider)
            loop.sleep(1.0)
        return facts_of(phone, provider, [call])

    return play


def quoted_expires(loop: Loop, net: Network, say: Say) -> Facts:
    """10d: REGISTER with ;expires="600", which RFC 3261 section 20.10 tells to take as 3600."""
    phone, provider = Phone(loop, net), Provider(loop, net)

    def written(message: Message, data: bytes) -> bytes:
        if not message.start.startswith("REGISTER"):
            return data
        contact = re.compile(rb"(\r\n(?:Contact|m)[ \t]*:[ \t]*<[^>]*>)", re.IGNORECASE)
        return contact.sub(rb'\1;expires="600"', data)

    phone.written, phone.bare = written, False
    phone.register(wait=0 if net.helped else 5)
    loop.sleep(34 if net.helped else 1)
    dead = [phone._register_id] if net.helped else []
    return facts_of(phone, provider, [], dead_call_ids=dead)


SWALLOWED = [Must("ALG008", "router", HURT)]
DISABLE = {"disable-sip-alg": "recommended suspected"}
NO_ANSWER = {"outgoing": "unanswered unknown"}
MAY = "TXN001 TXN003 TXN005 REG001"


def _legal(number: str, title: str, edit: Edit, short: bool = False) -> list[Scenario]:
    play = _invite_edited(edit)
    truth = Truth(
        SWALLOWED, f"{QUIET} {REWRITTEN} MSG001 MSG002", MAY, advice=DISABLE, ends=NO_ANSWER,
        state="hurts",
    )  # fmt: skip
    healthy = Truth([], f"{QUIET} MSG001 MSG002 SDP001")
    return [
        Scenario(f"{number}-on", f"{title}, helper on", True, True, play, truth, short),
        Scenario(f"{number}-off", f"{title}, helper off", False, False, play, healthy),
    ]


SCENARIOS = [
    Scenario(
        "8-on", "two phones offer one RTP port, helper on", True, True, same_rtp_port,
        Truth(
            SWALLOWED, f"{QUIET} {REWRITTEN}", MAY, advice=DISABLE, ends=NO_ANSWER, state="hurts"
        ), short=True,
    ),
    Scenario(
        "8-off", "two phones offer one RTP port, helper off", False, False, same_rtp_port,
        Truth([], QUIET),
    ),
    Scenario(
        "9-on", "multipart INVITE, helper on", True, False, multipart,
        Truth(
            [Must("ALG007", "router", HURT)], f"{QUIET} {REWRITTEN} MSG002", "MSG002 TXN003",
            advice=DISABLE, ends={"outgoing": "rejected unknown"}, state="hurts",
        ),
    ),
    Scenario(
        "9-off", "multipart INVITE, helper off", False, False, multipart, Truth([], QUIET)
    ),
    *_legal("10a", "SDP without Content-Length", _no_content_length),
    *_legal("10b", "a host name in the origin of the SDP", _named_origin),
    *_legal("10c", "a media port below 1024", _low_port),
    Scenario(
        # Nothing but the REGISTER is seen: no helper is shown to be at work, nor that the router is
        # on the way of the phone at all. The finding names what the helper would drop it for.
        "10d-on", "quoted expires, helper on", True, True, quoted_expires,
        Truth(
            [Must("REG001", "unknown", HURT)], f"{QUIET} MSG001", "MSG001", state="hurts",
        ),
    ),
    Scenario(
        "10d-off", "quoted expires, helper off", False, False, quoted_expires,
        Truth([], f"{QUIET} MSG001"),
    ),
]  # fmt: skip
