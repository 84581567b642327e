# SPDX-License-Identifier: Apache-2.0
"""PRACK, REFER, SUBSCRIBE and CANCEL, well and ill (numbers 35 and 43)."""

from __future__ import annotations

import socket
from collections.abc import Callable

from lab.endpoint import Address, Call
from lab.hop import Hop
from lab.loop import Loop
from lab.network import Network
from lab.phone import Phone
from lab.provider import Provider
from lab.sip import T1, Message, host_port, tag_of, uri_of
from lab.truth import Must, Truth

from .moves import facts_of, incoming_lives, outgoing_lives
from .scenario import FIX_IT, HURT, QUIET, REWRITTEN, Facts, Play, Say, Scenario
from .vendor import CHANGES, DISABLE, CallIdHidden, _with_call_id_host, edited


class Reliable(Provider):
    """Its callee rings reliably (RFC 3262): again at T1, 2*T1 and so on until a PRACK comes; after
    64*T1 the call is refused.
    """

    pracked = False

    def respond(self, request: Message, source: Address, status: str,
                fields: list[tuple[str, str]], body: bytes = b"",
                sock: socket.socket | None = None, to: str = "") -> bytes:  # fmt: skip
        if not status.startswith("180"):
            return super().respond(request, source, status, fields, body, sock, to)
        fields = [*fields, ("Require", "100rel"), ("RSeq", "7301")]
        data = super().respond(request, source, status, fields, body, sock, to)
        where, out = self.reply_to(request, source), sock or self.sock

        def again(interval: float) -> None:
            if not self.pracked:
                self.transmit(data, where, out)
                self.loop.later(2 * interval, lambda: again(2 * interval))

        self.loop.later(T1, lambda: again(T1))
        return data

    def serve(self, sock: socket.socket, request: Message, source: Address) -> None:
        if request.method == "PRACK":
            self.pracked = True
            self.respond(request, source, "200 OK", [], sock=sock)
        else:
            super().serve(sock, request, source)


class Pracking(Phone):
    """Offers 100rel, and acknowledges a reliable provisional response."""

    def dial(self, call: Call, uri: str, to: Address, extra: list[tuple[str, str]]) -> Call:
        self.pracks = 0
        return super().dial(call, uri, to, [*extra, ("Supported", "100rel")])

    def _response(self, response: Message, source: Address) -> None:
        super()._response(response, source)
        call = self.calls.get(response.get("Call-ID"))
        if call is None or not response.get("RSeq") or self.pracks:
            return
        self.pracks = 1
        call.remote, call.target = response.get("To"), uri_of(response.get("Contact"))
        call.routes = list(reversed(response.all("Record-Route")))
        message, to = self.in_dialog(call, "PRACK", call.cseq + 1)
        message.fields.append(("RAck", f"{response.get('RSeq')} {call.cseq} INVITE"))
        self.request(message, to, lambda response, source: None)

    def hang_up(self, call: Call, outcome: str = "completed") -> None:
        call.cseq += self.pracks  # the PRACK has used one
        super().hang_up(call, outcome)


def rings_reliably(loop: Loop, net: Network, say: Say) -> Facts:
    """35: the 180 is acknowledged by PRACK, and the call lives."""
    phone, provider = Pracking(loop, net), Reliable(loop, net)
    phone.register()
    call = outgoing_lives(loop, phone, provider)
    loop.sleep(1.0)
    return facts_of(phone, provider, [call])


def prack_lost(loop: Loop, net: Network, say: Say) -> Facts:
    """35: no PRACK comes to the callee, which has to refuse the call after 64*T1."""
    phone, provider = Pracking(loop, net), Reliable(loop, net)
    provider.deaf = lambda m: m.method == "PRACK"
    provider.ring = 64 * T1
    provider.refuses = "504 Server Time-out"
    phone.register()
    call = phone.call(net.draw.peer)
    loop.until(lambda: call.over, 64 * T1 + 5, "the refusal")
    provider.pracked = True
    loop.sleep(2.0)
    return facts_of(phone, provider, [call])


class Transferring(Provider):
    """Takes a REFER, and tells by NOTIFY what became of it (RFC 3515). A Replaces that names no
    call of its own ends in 481.
    """

    def serve(self, sock: socket.socket, request: Message, source: Address) -> None:
        call = self.calls.get(request.get("Call-ID"))
        if request.method != "REFER" or call is None:
            super().serve(sock, request, source)
            return
        self.respond(request, source, "202 Accepted", [("Contact", self.contact())], sock=sock)
        named = request.get("Refer-To").partition("Replaces=")[2].partition("%3B")[0]
        found = not named or named.replace("%40", "@") in self.calls
        end = "200 OK" if found else "481 Call/Transaction Does Not Exist"
        self._notify(call, "SIP/2.0 100 Trying", "active;expires=60")
        self.loop.later(0.5, lambda: self._notify(
            call, f"SIP/2.0 {end}", "terminated;reason=noresource"
        ))  # fmt: skip

    def _notify(self, call: Call, status: str, state: str) -> None:
        call.cseq += 1
        message, to = self.in_dialog(call, "NOTIFY", call.cseq)
        message.fields += [
            ("Contact", self.contact()), ("Event", "refer"), ("Subscription-State", state),
            ("Content-Type", "message/sipfrag;version=2.0"),
        ]  # fmt: skip
        message.body = f"{status}\r\n".encode()
        self.request(message, to, lambda response, source: None)


def _refer(loop: Loop, phone: Phone, call: Call, target: str) -> None:
    """REFER in a call, until the last NOTIFY has come."""
    call.cseq += 1
    message, to = phone.in_dialog(call, "REFER", call.cseq)
    message.fields += [("Refer-To", target), ("Contact", phone.contact())]
    taken: list[int] = []
    phone.request(message, to, lambda response, source: taken.append(response.status))
    loop.until(
        lambda: bool(taken) and any(
            m.get("Subscription-State").startswith("terminated") for _, m in phone.received
        ), 5, "the end of the transfer",
    )  # fmt: skip
    loop.sleep(0.3)


def _talking(loop: Loop, phone: Phone, provider: Provider, seen: list[str]) -> Call:
    """An outgoing call, and the Call-ID that the provider knows it by, added to seen."""
    call = phone.call(phone.draw.peer)
    loop.until(
        lambda: call.answered and any(
            c.acked for i, c in provider.calls.items() if i not in seen
        ), 5, "the ACK at the provider",
    )  # fmt: skip
    seen += [i for i in provider.calls if i not in seen]
    return call


def transferred(loop: Loop, net: Network, say: Say) -> Facts:
    """35: a call is handed on by REFER."""
    phone, provider = Phone(loop, net), Transferring(loop, net)
    phone.register()
    call = _talking(loop, phone, provider, [])
    _refer(loop, phone, call, f"<sip:+4930{net.draw.random.randint(1000, 9999)}@{net.draw.domain}>")
    phone.hang_up(call)
    loop.sleep(1.0)
    return facts_of(phone, provider, [call])


class CallIdMapped(CallIdHidden):
    """Juniper's Call-ID hiding as it is meant: put back on the way in. What stands in Replaces is
    none of its business.
    """

    def inbound(self, data: bytes, inside: Address, outside: Address) -> bytes | None:
        data = super().inbound(data, inside, outside) or data
        host, hidden = f"@{inside[0]}", f"@{outside[0]}"
        return edited(data, Call_ID=lambda value: value.replace(hidden, host))


def replaces_hidden(loop: Loop, net: Network, say: Say) -> Facts:
    """35: an attended transfer names a call by the Call-ID that only the phone knows."""
    Hop(loop, net, CallIdMapped())
    phone, provider = Phone(loop, net), Transferring(loop, net)
    phone.register()
    known: list[str] = []
    first, second = (_talking(loop, phone, provider, known) for _ in range(2))
    replaces = (
        f"{second.call_id.replace('@', '%40')}%3Bto-tag%3D{tag_of(second.remote)}"
        f"%3Bfrom-tag%3D{tag_of(second.local)}"
    )
    _refer(loop, phone, first, f"<sip:{net.draw.peer}@{net.draw.domain}?Replaces={replaces}>")
    for call in (first, second):
        phone.hang_up(call)
    loop.sleep(1.0)
    facts = facts_of(phone, provider, [first, second])
    facts["call_ids"] += known
    facts["dead_call_ids"] = [first.call_id]
    return facts


class Notifying(Provider):
    """Takes subscriptions, and notifies at once. follows: the Contact instead of the source."""

    def __init__(self, loop: Loop, net: Network, follows: bool = False) -> None:
        super().__init__(loop, net, proxy=False)
        self.follows = follows
        self._cseq = 100

    def serve(self, sock: socket.socket, request: Message, source: Address) -> None:
        if request.method != "SUBSCRIBE":
            super().serve(sock, request, source)
            return
        local = request.get("To")
        local += "" if tag_of(local) else f";tag={self.draw.token()}"
        fields = [("Expires", request.get("Expires")), ("Contact", self.contact())]
        self.respond(request, source, "200 OK", fields, sock=sock, to=local)
        call = Call(request.get("Call-ID"), local, request.get("From"), incoming=True)
        call.target = uri_of(request.get("Contact"))
        over = request.get("Expires") == "0"
        self._cseq += 1
        message, to = self.in_dialog(call, "NOTIFY", self._cseq)
        message.fields += [
            ("Contact", self.contact()), ("Event", "message-summary"),
            ("Subscription-State", "terminated;reason=timeout" if over else "active;expires=600"),
            ("Content-Type", "application/simple-message-summary"),
        ]  # fmt: skip
        message.body = b"Messages-Waiting: yes\r\nVoice-Message: 2/8\r\n"
        self.request(message, to if self.follows else source, lambda response, source: None)


def _subscribe(loop: Loop, phone: Phone, call: Call, expires: int) -> None:
    call.cseq += 1
    message, to = phone.in_dialog(call, "SUBSCRIBE", call.cseq)
    message.fields += [
        ("Contact", phone.contact()), ("Event", "message-summary"), ("Expires", str(expires)),
        ("Accept", "application/simple-message-summary"),
    ]  # fmt: skip
    taken: list[Message] = []
    phone.request(message, to, lambda response, source: taken.append(response))
    loop.until(lambda: bool(taken), 5, "the answer to the SUBSCRIBE")
    assert taken[0].status == 200
    call.remote, call.target = taken[0].get("To"), uri_of(taken[0].get("Contact"))


def subscribed(follows: bool, dies: bool) -> Play:
    def play(loop: Loop, net: Network, say: Say) -> Facts:
        """35: the phone wants to know of its messages. follows: NOTIFY goes to its Contact."""
        phone, provider = Phone(loop, net), Notifying(loop, net, follows)
        phone.register()
        mine = f"<{phone.identity}>"
        call = Call(
            net.draw.call_id(net.draw.phone_ip), f"{mine};tag={net.draw.token()}", mine, False
        )
        call.target = phone.identity
        if host_port(call.target)[0] != net.draw.provider_ip:
            call.routes = [f"<sip:{net.draw.provider_ip};lr>"]  # its outbound proxy
        _subscribe(loop, phone, call, 600)
        call.routes = []
        calls = []
        if dies:
            loop.sleep(64 * T1 + 4)
        else:
            loop.sleep(1.0)
            _subscribe(loop, phone, call, 0)
            loop.sleep(0.5)
            calls.append(incoming_lives(loop, phone, provider))
            loop.sleep(1.0)
        facts = facts_of(phone, provider, calls)
        facts["call_ids"].append(call.call_id)
        if dies:
            facts["dead_call_ids"] = [call.call_id]
        return facts

    return play


class Hesitant(Provider):
    """Its callee answers in the moment in which the caller gives up."""

    def __init__(self, loop: Loop, net: Network) -> None:
        super().__init__(loop, net)
        self.gives_up: Callable[[], None] = lambda: None

    def established(self, call: Call) -> None:
        super().established(call)
        self.gives_up()

    def serve(self, sock: socket.socket, request: Message, source: Address) -> None:
        if request.method == "CANCEL":
            self.respond(request, source, "200 OK", [], sock=sock)
        else:
            super().serve(sock, request, source)


def cancelled_late(forgets: bool) -> Play:
    def play(loop: Loop, net: Network, say: Say) -> Facts:
        """43: CANCEL and 200 cross. forgets: the phone acknowledges and sends no BYE."""
        phone, provider = Phone(loop, net), Hesitant(loop, net)
        phone.register()
        call = phone.call(net.draw.peer)
        invite = call.invite
        assert invite is not None

        def cancel() -> None:
            fields = [(n, invite.get(n)) for n in ("Via", "Max-Forwards", "From", "To", "Call-ID")]
            start = invite.start.replace("INVITE", "CANCEL")
            message = Message(start, [*fields, ("CSeq", "1 CANCEL")])
            phone.request(message, phone.registrar, lambda response, source: None)

        provider.gives_up = cancel
        loop.until(lambda: call.answered, 5, "the answer")
        theirs = provider.calls[call.call_id]
        loop.until(lambda: theirs.acked, 5, "the ACK")
        if forgets:
            loop.sleep(14.0)
            call.outcome = "completed"
            provider.hang_up(theirs)
        else:
            loop.sleep(0.1)
            phone.hang_up(call)
        loop.sleep(1.5)
        return facts_of(phone, provider, [call])

    return play


BOTH = (("on", True), ("off", False))

SCENARIOS = [
    *(
        Scenario(
            f"35-{what}-{word}", f"{title}, helper {word}", helper, False, play,
            Truth([], f"{QUIET} {REWRITTEN}" if helper else QUIET),
        )
        for what, title, play in (
            ("prack", "a reliable 180", rings_reliably),
            ("refer", "a call is handed on", transferred),
            ("subscribe", "a subscription", subscribed(follows=False, dies=False)),
        )
        for word, helper in BOTH
    ),
    Scenario(
        "35-prack-lost", "no PRACK comes to the callee", False, True, prack_lost,
        Truth(
            [Must("TXN003", "network provider", HURT)], QUIET, "TXN003 TXN005 DLG013",
            may_advise="look-for-loss",
            ends={"outgoing": "rejected unknown"}, state="hurts",
        ),
    ),
    Scenario(
        "35-replaces", "Replaces names a Call-ID that the ALG hides (Juniper)", False, False,
        replaces_hidden,
        Truth(
            [Must("DLG012", "router", HURT)], f"{QUIET} {CHANGES} ALG005", "DLG009 ALG005",
            advice=DISABLE, state="hurts", alg="vendor",
        ), tune=_with_call_id_host,
    ),
    Scenario(
        "35-subscribe-lost", "NOTIFY goes to the private Contact", False, True,
        subscribed(follows=True, dies=True),
        Truth(
            [Must("DLG012", "phone provider", HURT)], QUIET, any_of=FIX_IT, state="hurts",
        ),
    ),
    Scenario(
        "43-cancel", "CANCEL and 200 cross, and the phone hangs up", False, False,
        cancelled_late(forgets=False), Truth([Must("TXN007", harm="none")], QUIET),
    ),
    Scenario(
        "43-cancel-held", "CANCEL and 200 cross, and the phone forgets to hang up", False, True,
        cancelled_late(forgets=True),
        Truth(
            [Must("TXN007", "phone", HURT)], QUIET, may_advise="phone-fix", state="hurts",
        ),
    ),
]  # fmt: skip
