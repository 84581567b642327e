# SPDX-License-Identifier: Apache-2.0
"""ALGs that no kernel has, each played by a hop in user space after what its vendor documents."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable

from lab.draw import Draw
from lab.endpoint import Address
from lab.forms import proper
from lab.hop import Alg, Hop
from lab.loop import Loop
from lab.network import Network
from lab.phone import Phone
from lab.provider import Provider
from lab.sip import Message, sent_by
from lab.truth import Must, Truth

from .moves import call_dies, calls_live, facts_of
from .scenario import HURT, QUIET, Facts, Play, Say, Scenario

Field = Callable[[str], str]


def edited(data: bytes, **fields: Field) -> bytes:
    """The message with every value of these header fields changed, name written with "_" for "-";
    "start" is the start line. The rest stays as it is, to the byte.
    """
    head, _, body = data.partition(b"\r\n\r\n")
    lines = _LINE.split(head.decode("utf-8", "replace"))
    lines[0] = fields["start"](lines[0]) if "start" in fields else lines[0]
    for n, line in enumerate(lines[1:], 1):
        name, colon, value = _FIELD.split(line, maxsplit=1)
        change = fields.get(proper(name).replace("-", "_"))
        if change:
            lines[n] = f"{name}{colon}{change(value)}"
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


_LINE = re.compile(r"\r\n(?![ \t])")  # a field may go on in a second line
_FIELD = re.compile(r"(\s*:\s*)")


def swap(old: Address, new: Address) -> Field:
    """Replaces one address and port by another, wherever it is written whole."""
    before, after = f"{old[0]}:{old[1]}", f"{new[0]}:{new[1]}"
    return lambda value: re.sub(rf"(?<![\d.]){re.escape(before)}(?!\d)", after, value)


class Consistent(Alg):
    """Via and Contact by the NAT mapping, and back: what every ALG does at least."""

    def outbound(self, data: bytes, inside: Address, outside: Address) -> bytes | None:
        there = swap(inside, outside)
        return edited(data, start=there, Via=there, Contact=there)

    def inbound(self, data: bytes, inside: Address, outside: Address) -> bytes | None:
        back = swap(outside, inside)
        return edited(data, start=back, Via=back, Contact=back)


class PublicPortReplaced(Alg):
    """Broadcom's fork of nf_conntrack_sip (TC72xx sources): a public address that the phone
    already writes, because it uses STUN, gets its port replaced. Here only in Contact.
    """

    def __init__(self, port: int) -> None:
        self.port = port

    def outbound(self, data: bytes, inside: Address, outside: Address) -> bytes | None:
        return edited(data, Contact=swap(outside, (outside[0], self.port)))

    def inbound(self, data: bytes, inside: Address, outside: Address) -> bytes | None:
        back = swap((outside[0], self.port), outside)
        return edited(data, Contact=back, start=back)


def stun_port_replaced(loop: Loop, net: Network, say: Say) -> Facts:
    """23: the phone knows its public address, the ALG spoils its port."""
    Hop(loop, net, PublicPortReplaced(net.draw.via_port))
    phone = Phone(loop, net)
    provider = Provider(loop, net, proxy=False)
    phone.host = net.draw.wan_ip
    phone.register()
    call = call_dies(loop, phone, provider, say)
    return facts_of(phone, provider, [call], must_name={"ALG011": [str(net.draw.via_port)]})


class CallIdHidden(Consistent):
    """Juniper ScreenOS and SRX in NAT mode hide the host in the Call-ID (disable-call-id-hiding
    turns that off); here it is not put back on the way in.
    """

    def outbound(self, data: bytes, inside: Address, outside: Address) -> bytes | None:
        data = super().outbound(data, inside, outside) or data
        if b" REGISTER" in data:
            return data
        return edited(data, Call_ID=lambda value: value.replace(f"@{inside[0]}", f"@{outside[0]}"))


def call_id_hidden(loop: Loop, net: Network, say: Say) -> Facts:
    """24: the provider's BYE carries a Call-ID that the phone has never written: 481."""
    Hop(loop, net, CallIdHidden())
    phone, provider = Phone(loop, net), Provider(loop, net)
    phone.register()
    call = phone.call(net.draw.peer)
    changed = call.call_id.replace(net.draw.phone_ip, net.draw.wan_ip)
    loop.until(
        lambda: call.answered and provider.calls[changed].acked, 5, "the ACK at the provider"
    )
    loop.sleep(net.draw.talk)
    provider.hang_up(provider.calls[changed])
    loop.sleep(2.0)
    facts = facts_of(phone, provider, [call])
    facts["call_ids"].append(changed)
    return facts


def _with_call_id_host(draw: Draw) -> None:
    draw.call_id = lambda host: f"{draw.token(16)}@{host}"  # type: ignore[method-assign]


class RouteHidden(Consistent):
    """Juniper in NAT mode also changes Record-Route and Route: here the provider's proxy is
    hidden behind the router's LAN address on the way in, and put back on the way out.
    """

    def __init__(self, draw: Draw) -> None:
        self.proxy, self.router = f"<sip:{draw.provider_ip};", f"<sip:{draw.router_ip};"

    def outbound(self, data: bytes, inside: Address, outside: Address) -> bytes | None:
        data = super().outbound(data, inside, outside) or data
        back: Field = lambda value: value.replace(self.router, self.proxy)  # noqa: E731
        return edited(data, Record_Route=back, Route=back)

    def inbound(self, data: bytes, inside: Address, outside: Address) -> bytes | None:
        data = super().inbound(data, inside, outside) or data
        there: Field = lambda value: value.replace(self.proxy, self.router)  # noqa: E731
        return edited(data, Record_Route=there, Route=there)


class RoutedPhone(Phone):
    """Sends in-dialog requests to its outbound proxy, whatever the first Route says."""

    def transmit(self, data: bytes, to: Address, sock: socket.socket | None = None) -> None:
        super().transmit(data, self.registrar if to[0] == self.draw.router_ip else to, sock)


def route_hidden(loop: Loop, net: Network, say: Say) -> Facts:
    """25: both directions are changed alike, so that the calls live."""
    Hop(loop, net, RouteHidden(net.draw))
    phone, provider = RoutedPhone(loop, net), Provider(loop, net, proxy=True)
    phone.register()
    return facts_of(phone, provider, calls_live(loop, phone, provider, say))


class ByRport(Provider):
    """Answers by RFC 3581 alone: to the source port where rport asks for it, otherwise to the
    port of the Via. fixes: received only.
    """

    def reply_to(self, request: Message, source: Address) -> Address:
        via = request.get("Via")
        return source if ";rport" in via else (source[0], sent_by(via)[1])


class ExpiresChanged(Alg):
    """Tells the phone a longer time than the registrar gave (reported of several vendors)."""

    def inbound(self, data: bytes, inside: Address, outside: Address) -> bytes | None:
        if b"REGISTER" not in data:
            return data
        return edited(
            data, Expires=lambda value: "7200",
            Contact=lambda value: re.sub(r"expires=\d+", "expires=7200", value),
        )  # fmt: skip


class RportStripped(Alg):
    """Takes ;rport off the Via of requests and leaves the rest private."""

    def outbound(self, data: bytes, inside: Address, outside: Address) -> bytes | None:
        return edited(data, Via=lambda value: value.replace(";rport", ""))


class ViaPortWrong(Consistent):
    """Writes the public address into Via with a port that the NAT has not given."""

    def outbound(self, data: bytes, inside: Address, outside: Address) -> bytes | None:
        data = super().outbound(data, inside, outside) or data
        return edited(data, Via=swap(outside, (outside[0], outside[1] - 2)))


class SpaceAdded(Consistent):
    """Writes Content-Length anew with white space in front, as engines that write every header
    anew do (the proxy-based kind).
    """

    def outbound(self, data: bytes, inside: Address, outside: Address) -> bytes | None:
        data = super().outbound(data, inside, outside) or data
        return edited(data, Content_Length=lambda value: f"    {value}")


def _alone(alg: Callable[[], Alg], dies: bool, rport: bool = True, move: int = 0) -> Play:
    def play(loop: Loop, net: Network, say: Say) -> Facts:
        """26: one damage alone. move: by how much the NAT moves the source port."""
        Hop(loop, net, alg(), lambda inside: inside[1] + move)
        phone, provider = Phone(loop, net, rport=rport), ByRport(loop, net)
        if not dies:
            phone.register()
            return facts_of(phone, provider, calls_live(loop, phone, provider, say))
        phone.register(wait=0)
        loop.sleep(34)
        return facts_of(phone, provider, [], dead_call_ids=[phone._register_id])

    return play


class SaysBusy(Consistent):
    """QuickSec's SIP gateway (appgw_sip.c) answers "busy" itself when it cannot open the ports."""

    def outbound(self, data: bytes, inside: Address, outside: Address) -> bytes | None:
        message = Message.parse(data)
        if message is None or message.method not in ("INVITE", "ACK") or message.status:
            return super().outbound(data, inside, outside)
        if message.method == "INVITE":
            fields = [(n, message.get(n)) for n in ("Via", "From", "To", "Call-ID", "CSeq")]
            fields[2] = ("To", fields[2][1] + ";tag=router")
            self.hop.to_phone(inside, Message("SIP/2.0 486 Busy Here", fields).encode())
        return None


def says_busy(loop: Loop, net: Network, say: Say) -> Facts:
    """27: the provider never hears of the call."""
    Hop(loop, net, SaysBusy())
    phone, provider = Phone(loop, net), Provider(loop, net)
    phone.register()
    call = phone.call(net.draw.peer)
    loop.until(lambda: call.over, 5, "the refusal by the router")
    loop.sleep(1.0)
    return facts_of(phone, provider, [call])


class TransparentProxy(Alg):
    """A proxy on the router through which all SIP goes, as siproxd does it: a Via of its own on
    every request, Max-Forwards one less, its own address in Contact.
    """

    def __init__(self, draw: Draw) -> None:
        self.draw = draw

    def outbound(self, data: bytes, inside: Address, outside: Address) -> bytes | None:
        return self._on(data, swap(inside, outside), f"{outside[0]}:{outside[1]}")

    def inbound(self, data: bytes, inside: Address, outside: Address) -> bytes | None:
        return self._on(data, swap(outside, inside), f"{self.draw.router_ip}:5060")

    def _on(self, data: bytes, contact: Field, own: str) -> bytes | None:
        message = Message.parse(data)
        if message is None:
            return data
        if message.status:
            del message.fields[[n for n, _ in message.fields].index("Via")]
        else:
            # An ACK to a 2xx is a transaction of its own: its branch follows from the phone's.
            branch = f"z9hG4bKr{message.branch[-10:]}"
            message.fields.insert(0, ("Via", f"SIP/2.0/UDP {own};branch={branch}"))
            message.start = contact(message.start)
        message.fields = [
            (n, contact(v) if n == "Contact" else str(int(v) - 1) if n == "Max-Forwards" else v)
            for n, v in message.fields
            if n != "Content-Length"
        ]
        return message.encode(self.draw.forms)


def proxy_on_router(loop: Loop, net: Network, say: Say) -> Facts:
    """28: every message differs by a Via, and all calls live."""
    Hop(loop, net, TransparentProxy(net.draw))
    phone, provider = Phone(loop, net), Provider(loop, net, proxy=False)
    phone.register()
    return facts_of(phone, provider, calls_live(loop, phone, provider, say))


def _short_expires(draw: Draw) -> None:
    draw.expires = 60


CHANGES = "ALG001 ALG002 ALG003 ALG010 ALG014"
DISABLE = {"disable-sip-alg": "recommended suspected"}
MAY_DISABLE = "disable-sip-alg"
DEAD_REGISTER = "REG001 TXN003 TXN005 TXN006"

SCENARIOS = [
    Scenario(
        "23", "STUN and an ALG that replaces its port (Broadcom)", False, True,
        stun_port_replaced,
        Truth(
            [Must("ALG011", "router", HURT), Must("DLG001", "router", HURT)],
            f"{QUIET} {CHANGES} ALG011", "DLG007 TXN003 TXN005", advice=DISABLE,
            dropped="incoming",
            alg="vendor",
        ), short=True,
    ),
    Scenario(
        "24", "Call-ID rewritten out and not back (Juniper)", False, False, call_id_hidden,
        Truth(
            [Must("ALG005|DLG009", "router", HURT)], f"{QUIET} {CHANGES} ALG005",
            "DLG009 TXN003 DLG008 ALG012", advice=DISABLE, state="hurts", alg="vendor",
            ends={"outgoing": "completed|unknown|ongoing seen"},
        ), tune=_with_call_id_host,
    ),
    Scenario(
        "25", "Record-Route and Route rewritten (Juniper)", False, False, route_hidden,
        Truth(
            [Must("ALG004", "router", "none latent")], f"{QUIET} {CHANGES}", alg="vendor",
        ),
    ),
    Scenario(
        "26-expires", "Expires changed", False, False, _alone(ExpiresChanged, dies=False),
        Truth(
            [Must("REG003", "router")], f"{QUIET} ALG001", may_advise=MAY_DISABLE,
            state="hurts fine", alg="vendor",
        ), tune=_short_expires,
    ),
    Scenario(
        "26-rport", "rport stripped", False, True, _alone(RportStripped, dies=True, move=-3),
        Truth(
            [Must("TXN006", "router", HURT)], f"{QUIET} ALG002", f"{DEAD_REGISTER} ALG002",
            advice=DISABLE, state="hurts", alg="vendor",
        ),
    ),
    Scenario(
        "26-via", "a wrong port in Via", False, True, _alone(ViaPortWrong, dies=True, rport=False),
        Truth(
            [Must("ALG011", "router", HURT)], f"{QUIET} {CHANGES}", DEAD_REGISTER,
            advice=DISABLE, state="hurts", alg="vendor",
        ), short=True,
    ),
    Scenario(
        "26-space", "white space before Content-Length", False, False,
        _alone(SpaceAdded, dies=False),
        Truth([], f"{QUIET} {CHANGES}", alg="vendor"),
    ),
    Scenario(
        "27", "the router itself says busy (QuickSec)", False, False, says_busy,
        Truth(
            [Must("ALG009", "router", HURT)], f"{QUIET} {CHANGES}", advice=DISABLE,
            ends={"outgoing": "rejected unknown"}, state="hurts", alg="vendor",
        ),
    ),
    Scenario(
        "28", "a proxy on the router (siproxd)", False, False, proxy_on_router,
        Truth([Must("ALG009", "router", "none")], QUIET, alg="vendor"),
    ),
]  # fmt: skip
