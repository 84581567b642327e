# SPDX-License-Identifier: Apache-2.0
"""Mappings, forwards, other ports, scanners: what the NAT and the Internet add."""

from __future__ import annotations

import socket
import struct

from lab.draw import Draw
from lab.endpoint import Address
from lab.loop import Loop
from lab.network import Network
from lab.phone import Phone
from lab.provider import Provider
from lab.sip import Message, uri_of, user_of
from lab.truth import Must, Truth

from .moves import (
    Line,
    bystanders,
    calls_live,
    facts_of,
    incoming_lives,
    never_answered,
    outgoing_lives,
)
from .scenario import HURT, QUIET, REWRITTEN, Facts, Say, Scenario

STUN_COOKIE = 0x2112A442


def stun_server(loop: Loop, net: Network) -> Address:
    """RFC 5389: tells every binding request where it came from."""
    sock = net.provider.udp(net.draw.far_ips[0], 3478)

    def answer(data: bytes, source: Address) -> None:
        if len(data) < 20 or data[:2] != b"\x00\x01":
            return
        port = source[1] ^ STUN_COOKIE >> 16
        host = int.from_bytes(socket.inet_aton(source[0])) ^ STUN_COOKIE
        value = struct.pack("!HHBBHI", 0x20, 8, 0, 1, port, host)
        sock.sendto(b"\x01\x01" + struct.pack("!H", len(value)) + data[4:20] + value, source)

    loop.listen(sock, answer)
    return net.draw.far_ips[0], 3478


def stun(loop: Loop, net: Network, say: Say) -> Facts:
    """22: the phone asks a STUN server and writes its public address everywhere."""
    phone, provider = Phone(loop, net), Provider(loop, net, handles_nat=False)
    server = stun_server(loop, net)
    mapped: list[Address] = []
    read = phone._read

    def hear(sock: socket.socket, data: bytes, source: Address) -> None:
        if data[:2] == b"\x01\x01" and source == server:
            port, host = struct.unpack_from("!HI", data, 26)
            mapped.append(
                (socket.inet_ntoa((host ^ STUN_COOKIE).to_bytes(4)), port ^ STUN_COOKIE >> 16)
            )
        else:
            read(sock, data, source)

    phone._read = hear  # type: ignore[method-assign]
    request = struct.pack("!HHI", 1, 0, STUN_COOKIE) + net.draw.random.randbytes(12)
    phone.transmit(request, server)
    phone.transmit(request, server, phone.rtp)
    loop.until(lambda: bool(mapped), 3, "the answer of the STUN server")
    phone.host, phone.contact_port = mapped[0]
    phone.via_port = mapped[0][1]
    phone.register()
    return facts_of(phone, provider, calls_live(loop, phone, provider, say))


def static_forward(loop: Loop, net: Network, say: Say) -> Facts:
    """31: a PBX that knows its public address, behind a static forward, without registration."""
    pbx, provider = Phone(loop, net), Provider(loop, net)
    pbx.host, pbx.contact_port, pbx.via_port = net.draw.wan_ip, 5060, 5060
    there = (net.draw.wan_ip, 5060)
    provider.bindings[net.draw.user] = (f"sip:{net.draw.user}@{net.draw.wan_ip}:5060", there)
    calls = [incoming_lives(loop, pbx, provider)]
    loop.sleep(0.5)
    calls.append(outgoing_lives(loop, pbx, provider))
    loop.until(lambda: all(c.over for c in calls), 3, "the end of both calls")
    loop.sleep(1.0)
    return facts_of(pbx, provider, calls)


def _forward(draw: Draw) -> str:
    inside = f"{draw.phone_ip}:{draw.phone_port}"
    media = f"{draw.rtp_port}-{draw.rtp_port + 1}"
    return f"""
table inet forward {{
  chain dstnat {{
    type nat hook prerouting priority dstnat;
    iifname "wan" udp dport 5060 dnat ip to {inside}
    iifname "wan" udp dport {media} dnat ip to {draw.phone_ip}
  }}
}}
insert rule inet fw4 forward iifname "wan" ct status dnat accept
"""


def symmetric(loop: Loop, net: Network, say: Say) -> Facts:
    """31: the router gives every destination another port, so that calls from the provider's
    second host, which has the binding and no mapping, stop at the firewall.
    """
    phone, provider = Phone(loop, net), Provider(loop, net)
    phone.register()
    second = net.provider.udp(net.draw.far_ips[1], 5060)
    provider.listen(second)
    asked = Message(
        f"OPTIONS sip:{net.draw.far_ips[1]} SIP/2.0",
        [
            *[("Via", v) for v in phone.via("OPTIONS")],
            ("Max-Forwards", "70"),
            ("From", f"<{phone.identity}>;tag={net.draw.token()}"),
            ("To", f"<sip:{net.draw.far_ips[1]}>"),
            ("Call-ID", net.draw.call_id(net.draw.phone_ip)),
            ("CSeq", "1 OPTIONS"),
            ("Contact", phone.contact()),
        ],
    )
    heard: list[int] = []
    phone.request(asked, (net.draw.far_ips[1], 5060), lambda r, source: heard.append(r.status))
    loop.until(lambda: bool(heard), 3, "the answer of the second host")
    loop.sleep(1.1)  # in files the order of two sides is known to the second only
    home = provider.sock
    provider.sock = second
    theirs = provider.call(net.draw.user)
    never_answered(loop, theirs)
    provider.sock = home
    facts = facts_of(phone, provider, [], never_came=[theirs])
    facts["call_ids"].append(asked.get("Call-ID"))
    return facts


def mapping_expires(loop: Loop, net: Network, say: Say) -> Facts:
    """32 and 33: Expires 3600 and no keep-alive. With the helper on the mapping lives for an
    hour; with it off the router forgets it, and the next call stops at the firewall. The router's
    timeouts are shortened, or nobody would wait for this.
    """
    net.mapping_timeouts(2, 4)
    phone, provider = Phone(loop, net), Provider(loop, net)
    calls = []
    if net.helped:
        phone.register()
        loop.sleep(7.0)
        calls.append(incoming_lives(loop, phone, provider))
        loop.sleep(2.0)
        net.helper(False)
    phone.register()
    loop.sleep(7.0)
    theirs = provider.call(net.draw.user)
    never_answered(loop, theirs)
    facts = facts_of(phone, provider, calls, never_came=[theirs])
    for row in facts["calls"]:
        row["name"] = "incoming" if row["call_id"] == theirs.call_id else "before"
    return facts


class Picky(Phone):
    """Answers 404 to a call for somebody else."""

    def _incoming(self, sock: socket.socket, request: Message, source: Address) -> None:
        known = user_of(uri_of(request.start.split(" ")[1])) == self.draw.user
        self.refuses = "" if known else "404 Not Found"
        super()._incoming(sock, request, source)


def wrong_phone(loop: Loop, net: Network, say: Say) -> Facts:
    """33: two phones share a port; the router forgets its flows and the second phone is the first
    to send again, so that it gets the public port of the first, and its calls.
    """
    provider = Provider(loop, net)
    first, draw = Picky(loop, net), net.draw.of_more(0)
    second = Picky(loop, net, draw=draw)
    first.register()
    second.register()
    net.forget_flows()
    second.transmit(b"\r\n\r\n", second.registrar)
    loop.sleep(0.3)
    theirs = provider.call(net.draw.user)
    loop.until(lambda: theirs.over, 5, "the refusal")
    loop.sleep(2.0)
    call = second.calls[theirs.call_id]
    call.outcome = "rejected"
    facts = facts_of(first, provider, [call], Line(second, provider, "bystander"))
    return facts | {"phones": [net.draw.phone_ip, draw.phone_ip]}


def _one_port(draw: Draw) -> None:
    draw.phone_port = draw.more_ports[0] = 5060


def _long_expires(draw: Draw) -> None:
    draw.expires = 3600


def other_port(loop: Loop, net: Network, say: Say) -> Facts:
    """39: the provider is at another port than the one that the helper watches."""
    phone, provider = Phone(loop, net), Provider(loop, net)
    phone.register()
    others = bystanders(loop, net, provider)
    return facts_of(phone, provider, calls_live(loop, phone, provider, say), others)


def _other_port(draw: Draw) -> None:
    draw.provider_port = draw.unhelped_port


def scanned(loop: Loop, net: Network, say: Say) -> Facts:
    """44: healthy calls while hosts of the Internet try their luck at the router's port 5060."""
    draw = net.draw
    phone, provider = Phone(loop, net), Provider(loop, net)
    noise: list[str] = []
    over: list[bool] = []
    sockets = [net.provider.udp(host, 5060) for host in draw.far_ips]

    def knock() -> None:
        if over:
            return
        sock = draw.random.choice(sockets)
        host = sock.getsockname()[0]
        method = draw.random.choice(["REGISTER", "OPTIONS", "INVITE", "INVITE"])
        noise.append(draw.token(20))
        user = draw.random.randint(100, 9999)
        message = Message(
            f"{method} sip:{user}@{draw.wan_ip} SIP/2.0",
            [
                ("Via", f"SIP/2.0/UDP {host}:5060;branch=z9hG4bK{draw.token()};rport"),
                ("Max-Forwards", "70"),
                ("From", f"<sip:{user}@{draw.wan_ip}>;tag={draw.token()}"),
                ("To", f"<sip:{user}@{draw.wan_ip}>"),
                ("Call-ID", noise[-1]),
                ("CSeq", f"1 {method}"),
                ("Contact", f"<sip:{user}@{host}:5060>"),
                ("User-Agent", "friendly-scanner"),
            ],
        )
        port = draw.random.choice([5060, 5060, draw.phone_port])
        sock.sendto(message.encode(), (draw.wan_ip, port))
        loop.later(draw.random.uniform(0.02, 0.15), knock)

    loop.later(0.1, knock)
    phone.register()
    calls = calls_live(loop, phone, provider, say)
    over.append(True)
    for sock in sockets:
        sock.close()
    facts = facts_of(phone, provider, calls)
    return facts | {"noise": noise}


UNDELIVERED = [Must("REG006", "router", HURT)]
SHORTER = "shorter-refresh-on-phone"

SCENARIOS = [
    Scenario(
        "22", "a phone with STUN, helper on", True, False, stun,
        Truth([Must("NAT004", harm="none latent")], f"{QUIET} {REWRITTEN}"),
    ),
    Scenario(
        "22-off", "a phone with STUN, helper off", False, False, stun, Truth([], QUIET)
    ),
    Scenario(
        "31", "a PBX behind a static forward", False, False, static_forward, Truth([], QUIET),
        nft=_forward,
    ),
    Scenario(
        "31-symmetric", "another public port for every destination", False, True, symmetric,
        Truth(
            [Must("NAT002", "router")], QUIET, "TXN001 TXN005 NAT002 REG006",
            advice={"static-nat-for-pbx": "recommended suspected"}, state="hurts",
            ends={"incoming": "unanswered unknown"},
        ), nft="flush chain inet fw4 srcnat\n"
        'add rule inet fw4 srcnat oifname "wan" masquerade fully-random\n',
    ),
    Scenario(
        "32", "Expires 3600, no keep-alive, the ALG is turned off", True, True, mapping_expires,
        Truth(
            UNDELIVERED, f"{QUIET} {REWRITTEN}", "TXN001 TXN005 REG005",
            may_advise=SHORTER, state="hurts",
            ends={"incoming": "unanswered unknown"},
        ), tune=_long_expires,
    ),
    Scenario(
        "33-dead", "a call arrives after the mapping died", False, True, mapping_expires,
        Truth(
            UNDELIVERED, QUIET, "TXN001 TXN005 REG005", may_advise=SHORTER, state="hurts",
            ends={"incoming": "unanswered unknown"},
        ), tune=_long_expires,
    ),
    *(
        Scenario(
            f"33-wrong-{word}", f"a call is delivered to the wrong phone, helper {word}", helper,
            False, wrong_phone,
            Truth(
                UNDELIVERED, f"{QUIET} {REWRITTEN}" if helper else QUIET, "TXN003",
                may_advise=f"{SHORTER} clear-nat-state", state="hurts",
                ends={"incoming": "rejected unknown"},
            ), tune=_one_port,
        )
        for word, helper in (("on", True), ("off", False))
    ),
    Scenario(
        "37-bridge", "a bridge with three ports, helper on", True, False, other_port,
        Truth([Must("ALG014", "router", "none")], f"{QUIET} {REWRITTEN}"), ports=3,
    ),
    *(
        Scenario(
            f"37-{word}", f"{title}, helper on", True, False, other_port,
            Truth([Must("ALG014", "router", "none")], f"{QUIET} {REWRITTEN}"), access=word,
        )
        for word, title in (("vlan", "a VLAN carries the wan"), ("pppoe", "PPPoE carries the wan"))
    ),
    Scenario(
        "39", "SIP on another port, helper on 5060 only", True, False, other_port,
        Truth([], f"{QUIET} ALG017"), short=True, tune=_other_port,
    ),
    *(
        Scenario(
            f"44-{word}", f"scanners knock at the router, helper {word}", helper, False, scanned,
            Truth([], f"{QUIET} {REWRITTEN}" if helper else QUIET), short=helper,
        )
        for word, helper in (("on", True), ("off", False))
    ),
]  # fmt: skip
