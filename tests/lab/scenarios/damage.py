# SPDX-License-Identifier: Apache-2.0
"""One damage alone: odd ACKs, forks, registrars, sizes (numbers 11, 35 and 43)."""

from __future__ import annotations

import socket
from ipaddress import IPv4Network

from lab.draw import Draw
from lab.endpoint import Address, Call
from lab.habits import plain_sizes
from lab.hop import Hop
from lab.loop import Loop
from lab.network import Network
from lab.phone import Phone
from lab.provider import Provider
from lab.sip import T1, Message, host_port, uri_of
from lab.truth import Must, Truth

from .moves import facts_of, never_answered, outgoing_lives
from .scenario import FIX_IT, HURT, QUIET, REWRITTEN, Facts, Say, Scenario
from .vendor import CHANGES, Consistent


def ack_with_invites_branch(loop: Loop, net: Network, say: Say) -> Facts:
    """43: the phone's ACK to a 2xx has the branch of its INVITE, as a proxy that keeps no state
    would send it; the provider takes it all the same.
    """
    phone, provider = Phone(loop, net), Provider(loop, net)

    def written(message: Message, data: bytes) -> bytes:
        call = phone.calls.get(message.get("Call-ID"))
        if not message.start.startswith("ACK") or call is None or call.invite is None:
            return data
        return data.replace(message.branch.encode(), call.invite.branch.encode())

    phone.written = written
    phone.register()
    call = outgoing_lives(loop, phone, provider)
    loop.sleep(1.0)
    return facts_of(phone, provider, [call])


def _answered_in_vain(loop: Loop, net: Network, phone: Phone, provider: Provider) -> Facts:
    """The phone calls, and the provider's callee never takes its ACK."""
    phone.register()
    call = phone.call(net.draw.peer)
    loop.until(lambda: call.answered, 5, "the answer of the provider")
    theirs = provider.calls[call.call_id]
    loop.until(lambda: theirs.over, 64 * T1 + 3, "the callee's BYE")
    loop.sleep(2.0)
    call.outcome = "dropped"
    return facts_of(phone, provider, [call])


def ack_to_nobody(loop: Loop, net: Network, say: Say) -> Facts:
    """43: the Request-URI of the phone's ACK is what was dialled, not the Contact of the 2xx."""
    phone, provider = Phone(loop, net), Provider(loop, net, proxy=True)
    dialled = f"sip:{net.draw.peer}@{net.draw.domain}"

    def written(message: Message, data: bytes) -> bytes:
        if not message.start.startswith("ACK"):
            return data
        return data.replace(message.start.encode(), f"ACK {dialled} SIP/2.0".encode(), 1)

    phone.written = written
    provider.deaf = lambda m: m.start.startswith(f"ACK {dialled} ")
    return _answered_in_vain(loop, net, phone, provider)


def route_not_followed(loop: Loop, net: Network, say: Say) -> Facts:
    """43: the phone sends its ACK past the proxy, straight to the Contact, where a firewall
    stops it.
    """
    phone, provider = Phone(loop, net), Provider(loop, net, proxy=True)
    phone.follows_routes = False
    provider.deaf = lambda m: m.start.startswith("ACK") and not m.all("Route")
    return _answered_in_vain(loop, net, phone, provider)


class OtherContact(Provider):
    """A registrar that answers with a Contact which the phone has never registered."""

    def serve(self, sock: socket.socket, request: Message, source: Address) -> None:
        contact = request.get("Contact")
        super().serve(sock, request, source)
        self.bindings[self.draw.user] = (uri_of(contact), source)

    def respond(self, request: Message, source: Address, status: str,
                fields: list[tuple[str, str]], body: bytes = b"",
                sock: socket.socket | None = None, to: str = "") -> bytes:  # fmt: skip
        if request.method == "REGISTER":
            wrong = f"<sip:{self.draw.user}@{self.draw.far_ips[0]}:5060>"
            fields = [(n, wrong if n == "Contact" else v) for n, v in fields]
        return super().respond(request, source, status, fields, body, sock, to)


def other_contact(loop: Loop, net: Network, say: Say) -> Facts:
    """43: the phone does not find itself in the answer and registers again and again."""
    phone, provider = Phone(loop, net), OtherContact(loop, net)
    for _ in range(4):
        phone.register()
        loop.sleep(1.5)
    return facts_of(phone, provider, [])


def literal_from(loop: Loop, net: Network, say: Say) -> Facts:
    """43: the phone's own address is the host of its From; the helper rewrites that, too."""
    phone, provider = Phone(loop, net), Provider(loop, net)
    phone.identity = f"sip:{net.draw.user}@{net.draw.phone_ip}:{net.draw.phone_port}"
    phone.register()
    call = outgoing_lives(loop, phone, provider)
    loop.sleep(1.0)
    return facts_of(phone, provider, [call])


class NotMappedBack(Consistent):
    """Writes the public address into Via and Contact, and leaves it there on the way back."""

    def inbound(self, data: bytes, inside: Address, outside: Address) -> bytes | None:
        return data if data.startswith(b"SIP/2.0") else super().inbound(data, inside, outside)


class Strict(Phone):
    """Drops a response to INVITE whose top Via is not its own (RFC 3261 section 18.1.2)."""

    def _response(self, response: Message, source: Address) -> None:
        if (
            response.method != "INVITE"
            or f"{self.draw.phone_ip}:{self.draw.phone_port}" in response.get("Via")
        ):
            super()._response(response, source)


def not_mapped_back(loop: Loop, net: Network, say: Say) -> Facts:
    """43: every answer to the INVITE comes to the phone, which takes none of them."""
    Hop(loop, net, NotMappedBack())
    phone, provider = Strict(loop, net), Provider(loop, net)
    phone.register()
    call = never_answered(loop, phone.call(net.draw.peer))
    loop.sleep(3.0)
    return facts_of(phone, provider, [call])


def named(facts: Facts, call: Call, name: str) -> Facts:
    for row in facts["calls"]:
        if row["call_id"] == call.call_id:
            row["name"] = name
    return facts


class Forking(Provider):
    """Two phones of the callee answer, each with a tag of its own (RFC 3261 section 13.2.2.4)."""

    def _incoming(self, sock: socket.socket, request: Message, source: Address) -> None:
        super()._incoming(sock, request, source)
        self.second = f"{request.get('To')};tag={self.draw.token()}"
        self.second_acked = False

        def again(interval: float, spent: float) -> None:
            if self.second_acked or spent > 64 * T1:
                return
            body = request.body
            fields = [("Contact", self.contact()), ("Content-Type", "application/sdp")]
            self.respond(request, source, "200 OK", fields, body, sock=sock, to=self.second)
            longer = min(2 * interval, 4.0)
            self.loop.later(interval, lambda: again(longer, spent + interval))

        self.loop.later(0.05 + self.ring + 0.1, lambda: again(T1, 0.0))

    def acknowledged(self, call: object, ack: Message) -> None:
        if ack.get("To").endswith(self.second.rpartition("=")[2]):
            self.second_acked = True


def forked(loop: Loop, net: Network, say: Say) -> Facts:
    """35: the phone acknowledges both answers, and ends the second one at once."""
    phone, provider = Phone(loop, net), Forking(loop, net)
    phone.register()
    call = phone.call(net.draw.peer)
    loop.until(lambda: call.answered and provider.second_acked, 5, "both ACKs")
    loop.sleep(net.draw.talk)
    phone.hang_up(call)
    loop.sleep(1.5)
    return facts_of(phone, provider, [call])


def second_ignored(loop: Loop, net: Network, say: Say) -> Facts:
    """35: the phone takes the first answer and ignores the second one for 32 s."""
    phone, provider = Phone(loop, net), Forking(loop, net)
    phone.acknowledges_forks = False
    phone.register()
    call = phone.call(net.draw.peer)
    loop.until(lambda: call.answered, 5, "the answer")
    loop.sleep(64 * T1 + 3)
    phone.hang_up(call)
    loop.sleep(1.5)
    return facts_of(phone, provider, [call])


def _grown(draw: Draw) -> None:
    """A short address inside and a long one outside, so that rewriting makes messages longer."""
    draw.lan = IPv4Network(f"10.0.{draw.random.randint(1, 9)}.0/24")
    draw.router_ip, draw.phone_ip = str(draw.lan[1]), str(draw.lan[draw.random.randint(2, 9)])
    spare = draw.random.sample(range(10, 255), 3)
    draw.other_ip, *draw.more_ips = (str(draw.lan[n]) for n in spare)
    draw.wan_ip = str(draw.wan[draw.random.randint(100, 254)])
    draw.gateway_ip = str(draw.wan[draw.random.randint(1, 99)])
    draw.dont_fragment = True
    plain_sizes(draw)


def black_hole(loop: Loop, net: Network, say: Say) -> Facts:
    """11: an INVITE with DF that just fits through the WAN, and no longer when it has grown."""
    phone, provider = Phone(loop, net), Provider(loop, net)

    def written(message: Message, data: bytes) -> bytes:
        if not message.start.startswith("INVITE"):
            return data
        room = 1492 - 28 - len(data) - len("X-Padding: \r\n") - net.draw.random.randint(0, 2)
        end = data.index(b"\r\n") + 2
        return data[:end] + b"X-Padding: " + b"x" * room + b"\r\n" + data[end:]

    phone.written = written
    phone.register()
    if not net.helped:
        call = outgoing_lives(loop, phone, provider)
        loop.sleep(1.0)
    else:
        call = _too_long(loop, phone, net.draw.peer)
    return facts_of(phone, provider, [call])


def _too_long(loop: Loop, phone: Phone, peer: str) -> Call:
    """A call in vain, while a shorter request of the same phone is answered."""
    call = phone.call(peer)
    loop.sleep(4.0)
    phone.register()
    return never_answered(loop, call)


def fragments_lost(loop: Loop, net: Network, say: Say) -> Facts:
    """43: the line beyond the router loses fragments, and the INVITE needs two; a short one of
    the same phone is answered.
    """
    net.lose(False, "ip frag-off & 0x3fff != 0")
    phone, provider = Phone(loop, net), Provider(loop, net)
    phone.register()
    before = outgoing_lives(loop, phone, provider)
    loop.sleep(0.5)
    long = ("X-Padding", "x" * 1600)

    def written(message: Message, data: bytes) -> bytes:
        if not message.start.startswith("INVITE"):
            return data
        fields = [*message.fields, long]
        return Message(message.start, fields, message.body).encode(phone.forms)

    phone.written = written
    call = _too_long(loop, phone, net.draw.peer)
    return named(facts_of(phone, provider, [before, call]), before, "before")


def _fragments(draw: Draw) -> None:
    draw.dont_fragment = False


def refreshed_to_nowhere(loop: Loop, net: Network, say: Say) -> Facts:
    """35: a phone that knows its public address names its private one in a re-INVITE; the
    provider's BYE follows it and comes nowhere.
    """
    phone, provider = Phone(loop, net), Provider(loop, net, proxy=False)
    phone.host = net.draw.wan_ip
    phone.register()
    call = phone.call(net.draw.peer)
    loop.until(lambda: call.answered and provider.calls[call.call_id].acked, 5, "the ACK")
    loop.sleep(0.5)
    call.cseq += 1
    phone.host = net.draw.phone_ip
    message, to = phone.in_dialog(call, "INVITE", call.cseq)
    assert call.invite is not None
    message.fields += [("Contact", phone.contact()), ("Content-Type", "application/sdp")]
    message.body = call.invite.body
    theirs = provider.calls[call.call_id]
    done: list[int] = []

    def answered(response: Message, source: Address) -> None:
        if response.status == 200:
            done.append(response.status)
            phone.acknowledge(call)

    provider.refreshes = True
    phone.request(message, to, answered)
    loop.until(lambda: bool(done), 5, "the answer to the re-INVITE")
    loop.sleep(1.0)
    theirs.target = uri_of(message.get("Contact"))
    assert host_port(theirs.target)[0] == net.draw.phone_ip
    provider.hang_up(theirs)
    loop.sleep(10.0)
    del provider.calls[call.call_id]  # for the provider it is over: 481
    phone.hang_up(call)
    loop.sleep(2.0)
    provider.calls[call.call_id] = theirs
    return facts_of(phone, provider, [call])


DISABLE = {"disable-sip-alg": "recommended suspected"}
VAIN = {"outgoing": "dropped missing|seen"}
DROP = "DLG001 DLG007 DLG008 TXN003"

SCENARIOS = [
    Scenario(
        "43-branch", "an ACK with the branch of its INVITE", False, False,
        ack_with_invites_branch,
        Truth([Must("TXN008")], f"{QUIET} TXN008", may_advise="phone-fix", state="fine hurts"),
    ),
    Scenario(
        "43-uri", "an ACK that names another target than the 2xx", False, True, ack_to_nobody,
        Truth(
            [Must("DLG006", "phone", HURT)], QUIET, DROP, may_advise="phone-fix", ends=VAIN,
            state="hurts",
        ),
    ),
    Scenario(
        "43-route", "an ACK past the route set", False, True, route_not_followed,
        Truth(
            [Must("DLG005|DLG006", "phone", HURT)], QUIET, f"{DROP} DLG006",
            may_advise="phone-fix", ends=VAIN, state="hurts",
        ),
    ),
    Scenario(
        "43-contact", "a binding answered with another Contact", False, False, other_contact,
        Truth(
            [Must("REG002", "provider network")], QUIET, "REG002",
            may_advise="provider-fix", state="hurts fine",
        ),
    ),
    Scenario(
        "43-from", "the phone's own address in From, helper on", True, False, literal_from,
        Truth([Must("ALG003", "router", "none")], f"{QUIET} {REWRITTEN}"),
    ),
    Scenario(
        "43-back", "an answer that is not mapped back", False, True, not_mapped_back,
        Truth(
            [Must("ALG012", "router", HURT)], f"{QUIET} {CHANGES} ALG012",
            f"{DROP} TXN001 TXN005 TXN006 ALG002", advice=DISABLE, state="hurts", alg="vendor",
            ends={"outgoing": "unanswered|dropped|rejected unknown|missing"},
        ),
    ),
    Scenario(
        "35-fork", "two answers, both acknowledged", False, False, forked,
        Truth([], f"{QUIET} DLG011"),
    ),
    Scenario(
        "35-fork-lost", "two answers, one ignored", False, True, second_ignored,
        Truth(
            [Must("DLG011", harm="latent observed certain")], QUIET, f"{DROP} TXN005 DLG011",
            may_advise="phone-fix", ends={"outgoing": "completed|dropped seen|missing"},
            state="hurts",
        ),
    ),
    Scenario(
        "35-refresh", "a re-INVITE moves the target to a private address", False, False,
        refreshed_to_nowhere,
        Truth(
            [Must("DLG010")], QUIET, "DLG010 DLG008 TXN003 DLG002",
            may_advise=f"{FIX_IT} provider-fix", state="hurts fine",
        ),
    ),
    Scenario(
        "11-on", "a datagram grows past the WAN's MTU, helper on", True, True, black_hole,
        Truth(
            [Must("ALG013", "router", HURT)], f"{QUIET} {REWRITTEN}", "TXN001 TXN005",
            may_advise="disable-sip-alg smaller-messages-or-tcp",
            ends={"outgoing": "unanswered unknown"}, state="hurts",
        ), tune=_grown, mtu=1492,
    ),
    Scenario(
        "11-off", "the same datagram, helper off", False, False, black_hole, Truth([], QUIET),
        tune=_grown, mtu=1492,
    ),
    Scenario(
        "43-fragments", "the line loses fragments", False, True, fragments_lost,
        Truth(
            [Must("SIZE001", "network provider", HURT)], QUIET, "TXN001 TXN005",
            may_advise="smaller-messages-or-tcp look-for-loss",
            ends={"outgoing": "unanswered unknown"}, state="hurts",
        ), tune=_fragments,
    ),
]  # fmt: skip
