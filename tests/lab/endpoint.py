# SPDX-License-Identifier: Apache-2.0
"""UserAgent: what phone and provider share - transactions, dialogs and their real timers."""

from __future__ import annotations

import socket
from collections.abc import Callable

from .draw import Draw
from .forms import PLAIN, Forms
from .loop import Loop, Timer
from .sip import T1, T2, Message, host_port, media_of, sdp, tag_of, uri_of

Address = tuple[str, int]
Rewritten = Callable[[Message, bytes], bytes]


class Call:
    """One call as one endpoint knows it.

    outcome: ongoing, completed, dropped, rejected, unanswered. sent_finals: how often the final
    response went out. acks: where ACKs were sent.
    """

    def __init__(self, call_id: str, local: str, remote: str, incoming: bool) -> None:
        self.call_id = call_id
        self.local = local
        self.remote = remote
        self.incoming = incoming
        self.target = ""
        self.routes: list[str] = []
        self.cseq = 0
        self.invite: Message | None = None
        self.heard = False  # any response
        self.answered = False
        self.acked = False
        self.outcome = "ongoing"
        self.sent_finals = 0
        self.acks: list[Address] = []
        self.remote_media: Address | None = None

    @property
    def over(self) -> bool:
        return self.outcome != "ongoing"


class UserAgent:
    """Reads and writes SIP on its sockets. Subclasses say who they are and where things go.

    sock: the socket that requests leave from. identity: its own address-of-record URI. forms: how
    it writes fields. display: its display name.

    Habits that a scenario may change: written(message, bytes) returns the bytes that leave;
    deaf(message) is true for what it does not hear; refuses is the status line of its answer to
    INVITE, "" to answer with 200; follows_routes, acknowledges_forks: as RFC 3261 demands;
    refreshes: answers re-INVITEs; ring and patience are seconds until it answers and until it
    hangs up for want of an ACK.
    """

    def __init__(
        self,
        loop: Loop,
        draw: Draw,
        sock: socket.socket,
        identity: str,
        forms: Forms = PLAIN,
        display: str = "",
    ) -> None:
        self.loop = loop
        self.forms = forms
        self.display = display
        self.draw = draw
        self.sock = sock
        self.identity = identity
        self.calls: dict[str, Call] = {}
        self.registered = False
        self.received: list[tuple[Address, Message]] = []
        self.forks: list[str] = []  # tags of the further answers
        self.undelivered: list[Address] = []
        self.written: Rewritten = lambda message, data: data
        self.deaf: Callable[[Message], bool] = lambda message: False
        self.refuses = ""
        self.ring = draw.ring
        self.transport = "UDP"
        self.patience = 64 * T1
        self.follows_routes = True
        self.acknowledges_forks = True
        self.refreshes = False
        self._clients: dict[tuple[str, str], tuple[Timer, Callable[[Message, Address], None]]] = {}
        self._served: dict[tuple[str, str], tuple[bytes, Address, socket.socket]] = {}
        self.listen(sock)

    def listen(self, sock: socket.socket) -> None:
        self.loop.listen(sock, lambda data, source: self._read(sock, data, source))

    # Decided by subclasses -------------------------------------------------------------

    def via(self, method: str) -> list[str]:
        raise NotImplementedError

    def contact(self) -> str:
        raise NotImplementedError

    def media(self) -> Address:
        raise NotImplementedError

    def reply_to(self, request: Message, source: Address) -> Address:
        raise NotImplementedError

    def mark(self, via: str, source: Address) -> str:
        """Parameters that a server writes into the top Via of its responses (received, rport)."""
        return via

    def target_of(self, response: Message, source: Address) -> str:
        return uri_of(response.get("Contact"))

    def established(self, call: Call) -> None:
        """The call has been answered, seen from this side."""

    def acknowledged(self, call: Call, ack: Message) -> None:
        """An ACK came in."""

    def serve(self, sock: socket.socket, request: Message, source: Address) -> None:
        """A request that is no part of a call."""

    def name(self, tag: str = "") -> str:
        """Its name-addr for From and To."""
        addr = f"{self.display} <{self.identity}>".strip()
        return f"{addr};tag={tag}" if tag else addr

    # Sending ---------------------------------------------------------------------------

    def encode(self, message: Message) -> bytes:
        extra = [f for f in self.draw.extra if not message.get(f[0])]
        data = Message(message.start, message.fields + extra, message.body).encode(self.forms)
        return self.written(message, data)

    def transmit(self, data: bytes, to: Address, sock: socket.socket | None = None) -> None:
        try:
            (sock or self.sock).sendto(data, to)
        except OSError:  # a private address: the Internet has no route to it
            self.undelivered.append(to)

    def request(
        self,
        message: Message,
        to: Address,
        answer: Callable[[Message, Address], None],
        sock: socket.socket | None = None,
    ) -> None:
        """A client transaction over UDP: Timer A or E until answered, 64*T1 in all."""
        data = self.encode(message)
        key = (message.branch, message.method)
        invite = message.method == "INVITE"

        # On a reliable transport nothing is sent twice, and the answer is awaited all the same.
        self._clients[key] = (Timer(lambda: None), answer)

        def again(interval: float, spent: float) -> None:
            self.transmit(data, to, sock)
            if spent + interval <= 64 * T1 and self.transport == "UDP":
                longer = 2 * interval if invite else min(2 * interval, T2)
                timer = self.loop.later(interval, lambda: again(longer, spent + interval))
                self._clients[key] = (timer, answer)

        again(T1, 0.0)

    def respond(
        self,
        request: Message,
        source: Address,
        status: str,
        fields: list[tuple[str, str]],
        body: bytes = b"",
        sock: socket.socket | None = None,
        to: str = "",
    ) -> bytes:
        vias = request.all("Via")
        vias[0] = self.mark(vias[0], source)
        head = [("Via", v) for v in vias]
        if request.method == "INVITE" and not status.startswith("100"):
            head += [("Record-Route", v) for v in request.all("Record-Route")]
        head += [
            ("From", request.get("From")),
            ("To", to or request.get("To")),
            ("Call-ID", request.get("Call-ID")),
            ("CSeq", request.get("CSeq")),
        ]
        data = self.encode(Message(f"SIP/2.0 {status}", head + fields, body))
        target = self.reply_to(request, source)
        sock = sock or self.sock
        self._served[(request.branch, request.method)] = (data, target, sock)
        self.transmit(data, target, sock)
        return data

    # Receiving -------------------------------------------------------------------------

    def _read(self, sock: socket.socket, data: bytes, source: Address) -> None:
        message = Message.parse(data)
        if message is None or self.deaf(message):
            return
        self.received.append((source, message))
        if message.status:
            self._response(message, source)
            return
        if message.method == "ACK":
            call = self.calls.get(message.get("Call-ID"))
            if call is not None:
                call.acked = True
                self.acknowledged(call, message)
            return
        served = self._served.get((message.branch, message.method))
        if served is not None:  # a retransmission gets the same answer
            self.transmit(*served)
        elif message.method == "INVITE" and self.refreshes and tag_of(message.get("To")):
            body = sdp(*self.media(), self.draw.seed + 2)
            fields = [("Contact", self.contact()), ("Content-Type", "application/sdp")]
            self.respond(message, source, "200 OK", fields, body, sock=sock)
        elif message.method == "INVITE":
            self._incoming(sock, message, source)
        elif message.method == "BYE":
            self._bye(sock, message, source)
        else:
            self.serve(sock, message, source)

    def _response(self, response: Message, source: Address) -> None:
        known = self._clients.get((response.branch, response.method))
        if known is not None:
            known[0].cancel()
            known[1](response, source)

    # Calls -----------------------------------------------------------------------------

    def dial(self, call: Call, uri: str, to: Address, extra: list[tuple[str, str]]) -> Call:
        """INVITE; every 2xx, repeated or not, gets its ACK (RFC 3261 section 13.2.2.4)."""
        self.calls[call.call_id] = call
        call.cseq = 1
        fields = [
            *[("Via", v) for v in self.via("INVITE")], *extra,
            ("Max-Forwards", "70"), ("From", call.local), ("To", call.remote),
            ("Call-ID", call.call_id), ("CSeq", "1 INVITE"), ("Contact", self.contact()),
            ("Content-Type", "application/sdp"),
        ]  # fmt: skip
        message = Message(f"INVITE {uri} SIP/2.0", fields, sdp(*self.media(), self.draw.seed + 1))
        call.invite = message

        def answer(response: Message, source: Address) -> None:
            call.heard = True
            if response.status >= 300:
                call.outcome = "rejected"
                self._acknowledge_refusal(message, response, to)
            if not 200 <= response.status < 300:
                return
            if not call.answered:
                call.answered = True
                call.remote = response.get("To")
                call.target = self.target_of(response, source)
                call.routes = list(reversed(response.all("Record-Route")))
                call.remote_media = media_of(response.body)
                self.established(call)
            # By its tag alone: a helper may rewrite the address in To.
            if tag_of(response.get("To")) == tag_of(call.remote):
                self.acknowledge(call)
            elif self.acknowledges_forks:
                self._end_fork(call, response, source)

        def timer_b() -> None:
            if not call.heard and not call.over:
                call.outcome = "unanswered"

        self.request(message, to, answer)
        self.loop.later(64 * T1, timer_b)
        return call

    def _end_fork(self, call: Call, response: Message, source: Address) -> None:
        """The answer of another callee: its ACK, and BYE at once (section 13.2.2.4)."""
        fork = Call(call.call_id, call.local, response.get("To"), incoming=False)
        fork.target, fork.cseq = self.target_of(response, source), call.cseq
        fork.routes = list(reversed(response.all("Record-Route")))
        self.acknowledge(fork)
        if tag_of(fork.remote) not in self.forks:
            self.forks.append(tag_of(fork.remote))
            self.hang_up(fork)

    def _acknowledge_refusal(self, invite: Message, response: Message, to: Address) -> None:
        """The ACK to a non-2xx final response is part of the transaction (section 17.1.1.3)."""
        fields = [
            ("Via", invite.get("Via")), ("Max-Forwards", "70"), ("From", invite.get("From")),
            ("To", response.get("To")), ("Call-ID", invite.get("Call-ID")),
            ("CSeq", invite.get("CSeq").replace("INVITE", "ACK")),
        ]  # fmt: skip
        uri = invite.start.split(" ")[1]
        self.transmit(self.encode(Message(f"ACK {uri} SIP/2.0", fields)), to)

    def in_dialog(self, call: Call, method: str, cseq: int) -> tuple[Message, Address]:
        """A request inside the dialog, by remote target and route set (section 12.2.1.1)."""
        fields = [
            *[("Via", v) for v in self.via(method)], *[("Route", r) for r in call.routes],
            ("Max-Forwards", "70"), ("From", call.local), ("To", call.remote),
            ("Call-ID", call.call_id), ("CSeq", f"{cseq} {method}"),
        ]  # fmt: skip
        if not self.follows_routes:
            fields = [f for f in fields if f[0] != "Route"]
        straight = not (call.routes and self.follows_routes)
        hop = call.target if straight else uri_of(call.routes[0])
        return Message(f"{method} {call.target} SIP/2.0", fields), host_port(hop)

    def acknowledge(self, call: Call) -> None:
        message, to = self.in_dialog(call, "ACK", call.cseq)
        call.acks.append(to)
        self.transmit(self.encode(message), to)

    def hang_up(self, call: Call, outcome: str = "completed") -> None:
        if call.over:
            return
        call.outcome = outcome
        call.cseq += 1
        message, to = self.in_dialog(call, "BYE", call.cseq)
        self.request(message, to, lambda response, source: None)

    def _bye(self, sock: socket.socket, request: Message, source: Address) -> None:
        call = self.calls.get(request.get("Call-ID"))
        self.respond(request, source, "200 OK" if call else "481 No Dialog", [], sock=sock)
        if call is not None and not call.over:
            call.outcome = "completed"

    def _incoming(self, sock: socket.socket, request: Message, source: Address) -> None:
        local = request.get("To") + f";tag={self.draw.token()}"
        call = Call(request.get("Call-ID"), local, request.get("From"), incoming=True)
        call.invite = request
        call.target = uri_of(request.get("Contact"))
        call.routes = request.all("Record-Route")
        call.remote_media = media_of(request.body)
        self.calls[call.call_id] = call
        self.respond(request, source, "100 Trying", [], sock=sock)
        contact = [("Contact", self.contact())]

        def ring() -> None:
            self.respond(request, source, "180 Ringing", contact, sock=sock, to=local)

        def answer() -> None:
            if self.refuses:
                call.outcome = "rejected"
                data = self.respond(request, source, self.refuses, [], sock=sock, to=local)
                call.sent_finals = 1
                self._until_acked(call, data, self.reply_to(request, source), sock)
                return
            if call.over:
                return
            body = sdp(*self.media(), self.draw.seed + 2)
            fields = [*contact, ("Content-Type", "application/sdp")]
            data = self.respond(request, source, "200 OK", fields, body, sock=sock, to=local)
            call.answered = True
            call.sent_finals = 1
            self.established(call)
            self._until_acked(call, data, self.reply_to(request, source), sock)

        self.loop.later(0.05, ring)
        self.loop.later(0.05 + self.ring, answer)

    def _until_acked(self, call: Call, data: bytes, to: Address, sock: socket.socket) -> None:
        """RFC 3261 section 13.3.1.4: again at T1, 2T1 ... T2; after 64*T1 BYE."""

        gone: list[bool] = []  # Timer H

        def again(interval: float) -> None:
            if not call.acked and (not call.over or call.outcome == "rejected") and not gone:
                self.transmit(data, to, sock)
                call.sent_finals += 1
                longer = min(2 * interval, T2)
                self.loop.later(longer, lambda: again(longer))

        def give_up() -> None:
            gone.append(True)
            if not call.acked:
                self.hang_up(call, "dropped")

        self.loop.later(T1, lambda: again(T1))
        self.loop.later(self.patience, give_up)
