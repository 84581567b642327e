# SPDX-License-Identifier: Apache-2.0
"""Phone: registers, keeps its mapping alive, calls and is called."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable

from .draw import Draw
from .endpoint import Address, Call, UserAgent
from .loop import Loop
from .network import Network
from .sip import Message, literal, sent_by, tag_of

RTP_PACKETS = 6
RTP_INTERVAL = 0.02  # seconds, one PCMA frame


class Phone(UserAgent):
    """rport: asks for symmetric responses (RFC 3581). split: requests and answers leave from
    another port than the one that Contact names, as some Cisco phones do. via_port: the sent-by
    port of its requests, 0 for the one that they leave from. draw: that of the network when None.
    """

    def __init__(
        self,
        loop: Loop,
        net: Network,
        rport: bool = True,
        split: bool = False,
        draw: Draw | None = None,
        via_port: int = 0,
    ) -> None:
        draw = draw or net.draw
        self.rport = rport
        self.via_port = via_port or draw.phone_port
        self.host = draw.phone_ip  # as it writes itself; a STUN client writes another
        self.contact_port = draw.contact_port if split else draw.phone_port
        sock = net.phone.udp(draw.phone_ip, draw.phone_port, draw.dont_fragment)
        identity = f"sip:{draw.user}@{draw.domain}"
        super().__init__(loop, draw, sock, identity, draw.forms, draw.display)
        self.bare = draw.bare
        if split:
            self.listen(net.phone.udp(draw.phone_ip, self.contact_port, draw.dont_fragment))
        self.rtp = net.phone.udp(draw.phone_ip, draw.rtp_port)
        self.heard = 0
        # Header fields that its REGISTER has besides; what it does with the answer.
        self.credentials: Callable[[Message], list[tuple[str, str]]] | None = None
        self.answered: Callable[[Message], None] = lambda response: None
        loop.listen(self.rtp, self._hear)
        self.registrar: Address = (draw.provider_ip, draw.provider_port)
        self._tag = draw.token()
        self._register_id = draw.call_id(draw.phone_ip)
        self._register_cseq = draw.random.randint(1, 60000)

    def via(self, method: str) -> list[str]:
        rport = ";rport" if self.rport else ""
        host = f"{literal(self.host)}:{self.via_port}"
        return [f"SIP/2.0/{self.transport} {host};branch=z9hG4bK{self.draw.token(12)}{rport}"]

    def contact(self) -> str:
        uri = f"sip:{self.draw.user}@{literal(self.host)}:{self.contact_port}"
        return uri if self.bare else f"<{uri}>"

    def media(self) -> Address:
        return self.host, self.draw.rtp_port

    def serve(self, sock: socket.socket, request: Message, source: Address) -> None:
        known = request.method in ("OPTIONS", "NOTIFY", "MESSAGE")
        status = "200 OK" if known else "501 Not Implemented"
        to = "" if tag_of(request.get("To")) else f"{request.get('To')};tag={self.draw.token()}"
        self.respond(request, source, status, [], sock=sock, to=to)

    def reply_to(self, request: Message, source: Address) -> Address:
        top = request.get("Via")
        return source if ";rport" in top else (source[0], sent_by(top)[1])

    def register(self, wait: float = 5) -> None:
        """REGISTER and wait for its 200. Raises TimeoutError, except for a wait of 0 s."""
        self.registered = False
        self._register_cseq += 1
        message = Message(
            f"REGISTER sip:{self.draw.domain} SIP/2.0",
            [
                *[("Via", v) for v in self.via("REGISTER")],
                ("Max-Forwards", "70"),
                ("From", self.name(self._tag)),
                ("To", self.name()),
                ("Call-ID", self._register_id),
                ("CSeq", f"{self._register_cseq} REGISTER"),
                ("Contact", self.contact()),
                ("Expires", str(self.draw.expires)),
            ],
        )

        if self.credentials:
            message.fields += self.credentials(message)

        def answer(response: Message, source: Address) -> None:
            self.registered = response.status == 200
            self.answered(response)

        self.request(message, self.registrar, answer)
        if wait:
            self.loop.until(lambda: self.registered, wait, "the registration")

    def keep_alive(self, every: float) -> None:
        """CRLF CRLF (RFC 5626 section 3.5.1) every so many seconds, for as long as it runs."""

        def again() -> None:
            self.transmit(b"\r\n\r\n", self.registrar)
            self.loop.later(every, again)

        self.loop.later(every, again)

    def call(self, user: str) -> Call:
        """Calls a user of the provider."""
        uri = f"sip:{user}@{self.draw.domain}"
        local = self.name(self.draw.token())
        call = Call(self.draw.call_id(self.draw.phone_ip), local, f"<{uri}>", incoming=False)
        return self.dial(call, uri, self.registrar, [])

    def established(self, call: Call) -> None:
        if call.remote_media:
            send_rtp(self.loop, self.rtp, call.remote_media)

    def _hear(self, data: bytes, source: Address) -> None:
        self.heard += 1


def send_rtp(loop: Loop, sock: socket.socket, to: Address) -> None:
    """A few PCMA frames, enough to open the mapping and to be seen."""

    def frame(number: int) -> None:
        head = bytes([0x80, 8]) + number.to_bytes(2) + (160 * number).to_bytes(4) + b"labs"
        with contextlib.suppress(OSError):
            sock.sendto(head + b"\xd5" * 160, to)

    for number in range(RTP_PACKETS):
        loop.later(number * RTP_INTERVAL, lambda n=number: frame(n))  # type: ignore[misc]
