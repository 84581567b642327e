# SPDX-License-Identifier: Apache-2.0
"""Provider: registrar and proxy or session border controller, with the caller behind it."""

from __future__ import annotations

import re
import socket

from .draw import Draw, is_private
from .endpoint import Address, Call, UserAgent
from .loop import Loop
from .network import Network
from .phone import send_rtp
from .sip import Message, host_port, literal, sent_by, uri_of, user_of


class Provider(UserAgent):
    """handles_nat: follows source addresses instead of Via and registered Contact.
    fixes_contact: replaces a private Contact of an endpoint's reply by its source address
    (fix_nated_contact). record_route: the proxy stays in the path. ack_via_port: the sent-by
    port of its ACKs, 0 for the usual one; invite_via_port: of its INVITEs. None leaves proxy or
    SBC to the draw. draw: that of the network when None.
    """

    def __init__(
        self,
        loop: Loop,
        net: Network,
        handles_nat: bool = True,
        fixes_contact: bool = True,
        proxy: bool | None = None,
        record_route: bool = True,
        ack_via_port: int = 0,
        invite_via_port: int = 0,
        draw: Draw | None = None,
    ) -> None:
        draw = draw or net.draw
        self.handles_nat = handles_nat
        self.fixes_contact = fixes_contact
        self.proxy = draw.proxy if proxy is None else proxy
        self.record_route = record_route
        self.via_ports = {"ACK": ack_via_port, "INVITE": invite_via_port}
        self.qualified: list[str] = []  # Call-IDs of its OPTIONS
        self.bindings: dict[str, tuple[str, Address]] = {}
        sock = net.provider.udp(draw.provider_ip, draw.provider_port, draw.dont_fragment)
        identity = f"sip:{draw.peer}@{draw.domain}"
        super().__init__(loop, draw, sock, identity, draw.provider_forms, draw.provider_display)
        # The caller's own host: seen by the phone only when no proxy stays in the path.
        self.caller = net.provider.udp(draw.caller_ip, draw.caller_port, draw.dont_fragment)
        self.listen(self.caller)
        self.rtp = net.provider.udp(draw.media_ip, draw.media_port)
        loop.listen(self.rtp, self._hear)
        self._latched: set[Address] = set()
        self.heard = 0

    @property
    def _direct(self) -> bool:
        """In-dialog requests bypass the proxy."""
        return self.proxy and not self.record_route

    @property
    def _route(self) -> str:
        port = self.draw.provider_port
        return f"<sip:{literal(self.draw.provider_ip)}{'' if port == 5060 else f':{port}'};lr>"

    def via(self, method: str) -> list[str]:
        draw = self.draw
        port = self.via_ports.get(method) or draw.provider_port
        here = f"{literal(draw.provider_ip)}:{port}"
        own = f"SIP/2.0/{self.transport} {here};branch=z9hG4bK{draw.token(14)}"
        # Behind another port than it sends from it can only be reached by rport (RFC 3581).
        own += ";rport" if port != draw.provider_port else ""
        behind = f"{literal(draw.caller_ip)}:{draw.caller_port}"
        caller = f"SIP/2.0/UDP {behind};branch=z9hG4bK{draw.token(9)}"
        if not self.proxy:
            return [own]
        return [caller] if self._direct and method != "INVITE" else [own, caller]

    def contact(self) -> str:
        host, port = (
            (self.draw.caller_ip, self.draw.caller_port)
            if self.proxy
            else (self.draw.provider_ip, self.draw.provider_port)
        )
        return f"<sip:{self.draw.peer}@{literal(host)}:{port}>"

    def media(self) -> Address:
        return self.draw.media_ip, self.draw.media_port

    def mark(self, via: str, source: Address) -> str:
        host, _ = sent_by(via)
        if self.handles_nat:
            via = re.sub(r";rport(?!=)", f";rport={source[1]}", via)
        return via + (f";received={source[0]}" if host != source[0] else "")

    def reply_to(self, request: Message, source: Address) -> Address:
        return source if self.handles_nat else (source[0], sent_by(request.get("Via"))[1])

    def target_of(self, response: Message, source: Address) -> str:
        contact = uri_of(response.get("Contact"))
        if self.fixes_contact and is_private(host_port(contact)[0]):
            return f"sip:{user_of(contact)}@{source[0]}:{source[1]}"
        return contact

    def in_dialog(self, call: Call, method: str, cseq: int) -> tuple[Message, Address]:
        message, to = super().in_dialog(call, method, cseq)
        # The proxy's own Route has been taken off before the message leaves it.
        message.fields = [f for f in message.fields if f[0] != "Route"]
        return message, host_port(call.target) if call.routes else to

    def transmit(self, data: bytes, to: Address, sock: socket.socket | None = None) -> None:
        message = Message.parse(data)
        direct = self._direct and message is not None and message.method in ("ACK", "BYE")
        if direct and message is not None and not message.status:
            sock = self.caller
        out = sock or self.sock
        if not self.draw.delay:
            super().transmit(data, to, out)
            return
        self.loop.later(self.draw.delay, lambda: UserAgent.transmit(self, data, to, out))

    def _incoming(self, sock: socket.socket, request: Message, source: Address) -> None:
        if self.proxy and self.record_route:
            request.fields.insert(0, ("Record-Route", self._route))
        super()._incoming(sock, request, source)
        call = self.calls[request.get("Call-ID")]
        contact = uri_of(request.get("Contact"))
        if self.fixes_contact and is_private(host_port(contact)[0]):
            call.target = f"sip:{user_of(contact)}@{source[0]}:{source[1]}"

    def serve(self, sock: socket.socket, request: Message, source: Address) -> None:
        if request.method != "REGISTER":
            self.respond(request, source, "501 Not Implemented", [], sock=sock)
            return
        contact = uri_of(request.get("Contact"))
        self.bindings[user_of(uri_of(request.get("To")))] = (contact, source)
        expires = request.get("Expires")
        fields = [("Contact", f"<{contact}>;expires={expires}"), ("Expires", expires)]
        self.respond(
            request, source, "200 OK", fields, to=request.get("To") + f";tag={self.draw.token()}"
        )

    def qualify(self, user: str, to: Address) -> None:
        """OPTIONS to a registered phone, as a PBX sends them to know who is there."""
        message = Message(
            f"OPTIONS {self.bindings[user][0]} SIP/2.0",
            [
                *[("Via", v) for v in self.via("OPTIONS")],
                ("Max-Forwards", "70"),
                ("From", f"<{self.identity}>;tag={self.draw.token()}"),
                ("To", f"<sip:{user}@{self.draw.domain}>"),
                ("Call-ID", self.draw.call_id(self.draw.provider_ip)),
                ("CSeq", "102 OPTIONS"),
            ],
        )
        self.qualified.append(message.get("Call-ID"))
        self.request(message, to, lambda response, source: None)

    def call(self, user: str) -> Call:
        """Somebody calls the registered user."""
        contact, source = self.bindings[user]
        local = self.name(self.draw.token())
        remote = f"<sip:{user}@{self.draw.domain}>"
        call = Call(self.draw.call_id(self.draw.caller_ip), local, remote, incoming=False)
        extra = []
        if self.proxy and self.record_route:
            extra.append(("Record-Route", self._route))
        to = source if self.handles_nat else host_port(contact)
        return self.dial(call, contact, to, extra)

    def established(self, call: Call) -> None:
        if not self.handles_nat and call.remote_media:
            send_rtp(self.loop, self.rtp, call.remote_media)

    def _hear(self, data: bytes, source: Address) -> None:
        self.heard += 1
        if self.handles_nat and source not in self._latched:  # far-end NAT traversal: latching
            self._latched.add(source)
            send_rtp(self.loop, self.rtp, source)
