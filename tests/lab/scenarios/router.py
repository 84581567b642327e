# SPDX-License-Identifier: Apache-2.0
"""The router itself: its own agent, a new WAN address, credentials, a full capture."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import socket
from functools import partial

from lab.draw import Draw
from lab.endpoint import Address
from lab.hop import Hop
from lab.loop import Loop
from lab.network import Network
from lab.phone import Phone
from lab.provider import Provider
from lab.sip import Message, uri_of, user_of
from lab.truth import Must, Truth

from .moves import Line, calls_live, facts_of, incoming_lives, outgoing_lives
from .scenario import HURT, QUIET, REWRITTEN, Facts, Play, Say, Scenario
from .vendor import CHANGES, DISABLE, Consistent, edited


class OwnAgent(Phone):
    """The router's own phone ports (FXS): a user agent that owns port 5060 of an address of the
    router, that of the wan where host names none.
    """

    def __init__(self, loop: Loop, net: Network, host: str = "") -> None:
        draw = net.draw.of_more(0)
        draw.phone_ip, draw.phone_port, draw.router_ip = (
            host or net.draw.wan_ip,
            5060,
            net.draw.wan_ip,
        )
        lan, net.phone = net.phone, net.router
        try:
            super().__init__(loop, net, draw=draw)
        finally:
            net.phone = lan

    def _incoming(self, sock: socket.socket, request: Message, source: Address) -> None:
        known = user_of(uri_of(request.start.split(" ")[1])) == self.draw.user
        self.refuses = "" if known else "404 Not Found"
        super()._incoming(sock, request, source)


def own_agent(loop: Loop, net: Network, say: Say) -> Facts:
    """29: the router's own agent has port 5060, so that the phone's mapping gets another one."""
    provider = Provider(loop, net)
    own = OwnAgent(loop, net)
    own.register()
    phone = Phone(loop, net)
    phone.register()
    line = Line(own, provider, "bystander")
    line.is_called()
    return _with_own(facts_of(phone, provider, calls_live(loop, phone, provider, say), line), net)


def own_agent_takes(loop: Loop, net: Network, say: Say) -> Facts:
    """29: the phone had port 5060 of the WAN; the router forgets its flows, its own agent is the
    first to use the port, and answers in the place of the phone.
    """
    phone, provider = Phone(loop, net), Provider(loop, net)
    phone.register()
    calls = [incoming_lives(loop, phone, provider)]
    loop.until(lambda: calls[0].over, 3, "the end of the call")
    loop.sleep(1.0)
    net.forget_flows()
    own = OwnAgent(loop, net)
    own.register()
    user = net.draw.user
    for _ in range(2):
        provider.qualify(user, provider.bindings[user][1])
        loop.sleep(0.5)
    theirs = provider.call(user)
    loop.until(lambda: theirs.over, 5, "the refusal by the router")
    loop.sleep(2.0)
    line = Line(own, provider, "bystander")
    facts = facts_of(phone, provider, calls, line, never_came=[theirs])
    for row in facts["calls"]:
        row["name"] = "incoming" if row["call_id"] == theirs.call_id else "before"
    facts["dead_call_ids"] += provider.qualified
    return _with_own(facts, net)


def _with_own(facts: Facts, net: Network) -> Facts:
    return facts | {"phones": [net.draw.phone_ip, net.draw.wan_ip]}


def _on_5060(draw: Draw) -> None:
    draw.phone_port = 5060


def redialled(loop: Loop, net: Network, say: Say) -> Facts:
    """NAT005: the WAN address changes. A phone that has sent before goes on with the old one and
    is never answered; another one, started anew, leaves with the new one and is.
    """
    draw = net.draw
    net.snat(draw.wan_ip)
    phone, provider = Phone(loop, net), Provider(loop, net)
    phone.register()
    other = Phone(loop, net, draw=draw.of_more(0))
    other.register()
    before = incoming_lives(loop, phone, provider)
    loop.until(lambda: before.over, 3, "the end of the call")
    loop.sleep(1.0)
    address = next(str(h) for h in draw.wan.hosts() if str(h) not in draw.addresses())
    net.redial(address)
    again = draw.of_more(0)
    again.phone_port, again.rtp_port = draw.more_ports[0] + 1, again.rtp_port + 2
    restarted = Phone(loop, net, draw=again)
    restarted.register()
    phone.register(wait=0)
    loop.sleep(8.0)
    restarted.register()
    loop.sleep(28.0)
    facts = facts_of(phone, provider, [before], Line(restarted, provider, "bystander"))
    facts["addresses"].append(address)
    facts["call_ids"].append(other._register_id)
    facts["dead_call_ids"] = [phone._register_id]
    return facts | {"phones": [draw.phone_ip, again.phone_ip]}


def _md5(*words: str) -> str:
    return hashlib.md5(":".join(words).encode(), usedforsecurity=False).hexdigest()


class Challenging(Provider):
    """A registrar that asks for a password (RFC 2617 without qop)."""

    password = "correct horse"

    def serve(self, sock: socket.socket, request: Message, source: Address) -> None:
        given = dict(re.findall(r'(\w+)="([^"]*)"', request.get("Authorization")))
        if request.method != "REGISTER" or self._fits(given, request):
            super().serve(sock, request, source)
            return
        nonce = self.draw.token(20)
        challenge = f'Digest realm="{self.draw.domain}", nonce="{nonce}"'
        to = f"{request.get('To')};tag={self.draw.token()}"
        self.respond(request, source, "401 Unauthorized", [("WWW-Authenticate", challenge)], to=to)

    def _fits(self, given: dict[str, str], request: Message) -> bool:
        if not given:
            return False
        secret = _md5(given["username"], self.draw.domain, self.password)
        return given["response"] == _md5(secret, given["nonce"], _md5("REGISTER", given["uri"]))


def _register(loop: Loop, phone: Phone, password: str, rounds: int) -> None:
    """As often as it is challenged, rounds at most."""
    heard: list[Message] = []

    def credentials(message: Message) -> list[tuple[str, str]]:
        if not heard:
            return []
        asked = dict(re.findall(r'(\w+)="([^"]*)"', heard[-1].get("WWW-Authenticate")))
        user, uri = phone.draw.user, message.start.split(" ")[1]
        secret = _md5(user, asked["realm"], password)
        response = _md5(secret, asked["nonce"], _md5("REGISTER", uri))
        return [("Authorization", f'Digest username="{user}", realm="{asked["realm"]}", '
                 f'nonce="{asked["nonce"]}", uri="{uri}", response="{response}"')]  # fmt: skip

    phone.credentials, phone.answered = credentials, heard.append
    for n in range(rounds):
        phone.register(wait=0)
        loop.until(lambda n=n: len(heard) > n, 5, "an answer to the REGISTER")  # type: ignore[misc]
        if phone.registered:
            return
        loop.sleep(0.3)


class UriRewritten(Consistent):
    """Writes the provider's address and port into the uri of credentials, as into other URIs."""

    def outbound(self, data: bytes, inside: Address, outside: Address) -> bytes | None:
        data = super().outbound(data, inside, outside) or data
        there = ":".join(map(str, self.hop.provider))
        change = partial(re.sub, r'uri="sip:[^"]*"', f'uri="sip:{there}"')
        return edited(data, Authorization=change)


def authenticates(damaged: bool, password: str) -> Play:
    def play(loop: Loop, net: Network, say: Say) -> Facts:
        """43: a REGISTER with credentials. damaged: by an ALG."""
        if damaged:
            Hop(loop, net, UriRewritten())
        phone, provider = Phone(loop, net), Challenging(loop, net)
        _register(loop, phone, password, 5)
        calls = calls_live(loop, phone, provider, say) if phone.registered else []
        loop.sleep(1.0)
        facts = facts_of(phone, provider, calls)
        if not phone.registered:
            facts["dead_call_ids"] = [phone._register_id]
        return facts

    return play


def capture_full(loop: Loop, net: Network, say: Say) -> Facts:
    """43: a flood comes to the WAN while the agent has no time, so that packets find no room in
    its capture; a call of that time is not seen whole. Without an agent there is no flood.
    """
    phone, provider = Phone(loop, net), Provider(loop, net)
    phone.register()
    calls = [incoming_lives(loop, phone, provider)]
    loop.until(lambda: calls[0].over, 3, "the end of the call")
    loop.sleep(1.0)
    noise: list[str] = []
    pid = net.agent.process.pid if net.agent else 0
    if pid:
        os.kill(pid, signal.SIGSTOP)
        noise = _flood(loop, net)
    try:
        calls.append(outgoing_lives(loop, phone, provider))
        loop.until(lambda: calls[1].over, 3, "the end of the call")
    finally:
        if pid:
            os.kill(pid, signal.SIGCONT)
    loop.sleep(4.0)
    calls.append(incoming_lives(loop, phone, provider))
    loop.sleep(2.0)
    return facts_of(phone, provider, calls) | {"noise": noise}


def _flood(loop: Loop, net: Network) -> list[str]:
    draw, noise = net.draw, []
    sock = net.provider.udp(draw.far_ips[0], 5060)
    loop.closing.append(sock)
    for _ in range(1500):
        noise.append(draw.token(20))
        message = Message(
            f"OPTIONS sip:100@{draw.wan_ip} SIP/2.0",
            [
                ("Via", f"SIP/2.0/UDP {draw.far_ips[0]}:5060;branch=z9hG4bK{draw.token()};rport"),
                ("Max-Forwards", "70"), ("From", f"<sip:100@{draw.wan_ip}>;tag={draw.token()}"),
                ("To", f"<sip:100@{draw.wan_ip}>"), ("Call-ID", noise[-1]), ("CSeq", "1 OPTIONS"),
                ("User-Agent", "friendly-scanner" * 40),
            ],
        )  # fmt: skip
        sock.sendto(message.encode(), (draw.wan_ip, 5060))
    return noise


def started_late(loop: Loop, net: Network, say: Say) -> Facts:
    """43: the agent starts when the helper has been at work for a while, and expects flows."""
    phone, provider = Phone(loop, net), Provider(loop, net)
    phone.register()
    before = incoming_lives(loop, phone, provider)
    loop.until(lambda: before.over, 3, "the end of the call")
    loop.sleep(1.0)
    if net.agent:
        net.agent.restart()
    loop.sleep(1.0)
    return facts_of(phone, provider, [before, *calls_live(loop, phone, provider, say)])


SCENARIOS = [
    Scenario(
        "29", "the router's own agent has port 5060, helper on", True, False, own_agent,
        # Only one tap sees what the router's own agent says.
        Truth(
            [], f"{QUIET} {REWRITTEN} ALG009", state="fine cannot-tell",
            ends={"bystander": "completed seen|unknown"},
        ), tune=_on_5060,
    ),
    Scenario(
        "29-taken", "the router's own agent answers in the phone's place, helper on", True, False,
        own_agent_takes,
        Truth(
            [Must("REG007|ALG009", "router")], f"{QUIET} {REWRITTEN}",
            "REG006 REG007 ALG009 TXN003", may_advise="clear-nat-state shorter-refresh-on-phone",
            ends={"incoming": "rejected unknown"}, state="hurts",
        ), tune=_on_5060,
    ),
    Scenario(
        "43-redialled", "the WAN address changes, one flow keeps the old one", False, True,
        redialled,
        Truth(
            [Must("NAT005", "router", HURT)], QUIET, "REG001 TXN003 TXN005",
            advice={"clear-nat-state": "recommended suspected"}, state="hurts",
        ), crowd=False,
    ),
    Scenario(
        "43-digest", "the ALG changes what a response was computed over", False, False,
        authenticates(True, Challenging.password),
        Truth(
            [Must("REG004", "router", HURT)], f"{QUIET} {CHANGES}", "REG001", advice=DISABLE,
            state="hurts", alg="vendor",
        ),
    ),
    *(
        Scenario(
            f"43-password-{word}", f"a wrong password, helper {word}", helper, False,
            authenticates(False, "battery staple"),
            Truth(
                [Must("REG001", harm=HURT)], f"{QUIET} {REWRITTEN}" if helper else QUIET,
                may_advise="phone-fix", state="hurts",
            ),
        )
        for word, helper in (("on", True), ("off", False))
    ),
    Scenario(
        "43-password-right", "the right password, helper on", True, False,
        authenticates(False, Challenging.password), Truth([], f"{QUIET} {REWRITTEN}"),
    ),
    Scenario(
        "43-helper", "the agent starts when the helper is at work", True, False, started_late,
        Truth(
            [Must("ALG014", "router", "none")], f"{QUIET} {REWRITTEN}",
            live=[Must("ALG017", "router", "none")],
        ),
    ),
    Scenario(
        "43-capture", "the agent's capture is full for a while", False, False, capture_full,
        Truth(
            [], f"{QUIET}", live=[Must("CAP002", harm="none")],
        ), words=("--ring-bytes", "131072"),
    ),
]  # fmt: skip
