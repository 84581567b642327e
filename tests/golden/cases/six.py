# SPDX-License-Identifier: Apache-2.0
"""Golden cases of SIP over IPv6, alone or beside IPv4: Contacts that nobody can reach or read, and
addresses in several spellings. The messages are made with IPv4 addresses and translated."""

from __future__ import annotations

import re
import struct
from ipaddress import ip_address

from craft import (
    LADDER_2XX,
    House,
    Incoming,
    Outgoing,
    Packet,
    answer,
    frame,
    incoming_call,
    outgoing_call,
    register,
    sdp,
    sized,
)

from cases.case import ALG, DLG, PHONE_OR_PROVIDER, case

PHONE, PROVIDER = "2001:db8:1::10", "2001:db8:ffff::5"
LOCAL = "fe80::211:22ff:fe33:4455"
HIDDEN = "192.0.2.77"  # stands for the odd Contact of the phone, until it is translated
NATIVE = {"192.168.1.10": PHONE, "203.0.113.5": PROVIDER}
NAT66 = {"192.168.1.10": "fd00:1::10", "198.51.100.2": "2001:db8:9::2", "203.0.113.5": PROVIDER}
Names = dict[str, str]


def _text(payload: bytes, names: Names) -> bytes:
    head, end, body = payload.partition(b"\r\n\r\n")
    for old, new in names.items():
        spelled = f"[{new}]" if ":" in new and not new.startswith("=") else new.lstrip("=")
        was = re.escape(old).encode()
        head = re.sub(rb"received=" + was, b"received=" + new.encode(), head)
        head = re.sub(rb"(?<![\d.])" + was + rb"(?![\d.])", spelled.encode(), head)
        body = re.sub(rb"IP4 " + was + rb"(?!\d)", b"IP6 " + new.encode(), body)
    return sized(head + end + body)


def _reframed(packet: Packet, hosts: Names, names: Names) -> Packet:
    at, data = packet
    src, dst = (str(ip_address(data[i : i + 4])) for i in (26, 30))
    sport, dport = struct.unpack_from("!HH", data, 34)
    ends = (hosts.get(src, src), sport, hosts.get(dst, dst), dport)
    return at, frame(_text(data[42:], names), *ends, data[22], int.from_bytes(data[18:20], "big"))


def _six(house: House, lan: Names, wan: Names | None = None, names: Names | None = None) -> House:
    """The captures with other addresses of packets, by side, and other ones in messages."""
    names = {**lan, **(names or {})}
    house.lan = [_reframed(packet, lan, names) for packet in house.lan]
    house.wan = [_reframed(packet, lan if wan is None else wan, names) for packet in house.wan]
    return house


def _native() -> House:
    """A router without NAT."""
    return House(wan="192.168.1.10")


def _dropped(house: House, contact: str = "") -> House:
    register(house, 0)
    call = Incoming(house, "drop@six", contact=contact)
    call.invite(1)
    call.ringing(1.2)
    call.ok(3)
    call.dropped(3)
    return house


ODD = f"<sip:100@{HIDDEN}:5060>"
DROP = ["dropped"]


@case("dlg002-link-local-contact", [("DLG002", "phone", "observed")], [*ALG, "DLG004"],
      {"phone-fix": "recommended"}, DROP)  # fmt: skip
def _() -> House:
    """The phone sends from a global address, and its Contact is link-local, with a zone. There is
    no NAT that anybody could handle."""
    return _six(_dropped(_native(), ODD), NATIVE, names={HIDDEN: f"{LOCAL}%25eth0"})


@case("dlg002-near-miss-unique-local-behind-nat66", [("DLG002", "phone", "observed")],
      [*ALG, "DLG004"], PHONE_OR_PROVIDER, DROP)  # fmt: skip
def _() -> House:
    """The router translates a unique local address: the phone does not know its global one."""
    return _six(_dropped(House(wan_port=40001)), NAT66)


@case("dlg002-contact-of-other-ip-version", [("DLG002", "phone", "observed")], [*ALG, "DLG004"],
      PHONE_OR_PROVIDER, DROP)  # fmt: skip
def _() -> House:
    """The router is a NAT64: the provider has IPv4, and the Contact is the phone's IPv6 address."""
    lan = {"192.168.1.10": PHONE, "203.0.113.5": "64:ff9b::cb00:7105"}
    return _six(_dropped(House(wan_port=40001)), lan, {}, {"203.0.113.5": "=203.0.113.5"})


@case("dlg002-contact-of-464xlat", [("DLG002", "phone", "observed")], [*ALG, "DLG004"],
      PHONE_OR_PROVIDER, DROP)  # fmt: skip
def _() -> House:
    """The phone translates for itself (464XLAT), and its Contact is the address that it has inside
    (192.0.0.2, RFC 7335)."""
    return _six(_dropped(_native(), ODD), NATIVE, names={HIDDEN: "=192.0.0.2"})


@case("dlg002-mapped-contact", [("DLG002", "phone", "observed")], [*ALG, "DLG004"],
      PHONE_OR_PROVIDER, DROP)  # fmt: skip
def _() -> House:
    """The phone writes its private address as an IPv6 one."""
    return _six(_dropped(House(wan_port=40001), ODD), {}, names={HIDDEN: "::ffff:192.168.1.10"})


@case("dlg001-contact-without-brackets", [("DLG001", "phone", "observed")], ["DLG002", *ALG],
      {"phone-fix": "recommended"}, DROP)  # fmt: skip
def _() -> House:
    """The phone's Contact is an IPv6 address without brackets, with its port behind it."""
    return _six(_dropped(_native(), ODD), NATIVE, names={HIDDEN: f"={PHONE}"})


def _hung_up(house: House, uri: str = "", contact: str = "") -> House:
    """The phone's BYE is refused with 481."""
    register(house, 0)
    call = Outgoing(house, "over@six", contact=contact)
    call.invite(1)
    call.ok(3)
    call.ack(3.02)
    made = call._request("BYE", 2, uri or call.far_contact.strip("<>"), f";tag={call._tag}")
    house.into(60.03, answer(481, house.out(60, made)))
    return house


@case("dlg008-phone-calls-itself-spelled-out", [("DLG008", "phone", "observed")], DLG,
      {"phone-fix": "recommended"})  # fmt: skip
def _() -> House:
    """The phone's BYE has the phone's own address in its Request-URI, in another spelling than that
    of RFC 5952."""
    return _six(_hung_up(_native(), f"sip:100@{HIDDEN}"), NATIVE,
                names={HIDDEN: "2001:DB8:1:0:0:0:0:10"})  # fmt: skip


@case("dlg008-link-local-contact", [("DLG008", "phone", "observed")], DLG,
      {"phone-fix": "recommended"})  # fmt: skip
def _() -> House:
    """The far end hung up, and its BYE went to the link-local Contact of the phone."""
    return _six(_hung_up(_native(), contact=ODD), NATIVE, names={HIDDEN: LOCAL})


# ---- calls that work ----

GOOD = ("DLG008", "TXN001", "TXN003", "MSG001", *DLG, *ALG)
BOTH = ["completed", "completed"]


def _works(house: House) -> House:
    register(house, 0)
    outgoing_call(house, 5, "out@six")
    incoming_call(house, 20, "in@six", fixed_contact=f"sip:100@{house.public}")
    return house


@case("near-miss-six-native", must_not=GOOD, outcomes=BOTH)
def _() -> House:
    """A router without NAT; phone and provider spell addresses in different ways."""
    return _six(_works(_native()), NATIVE, names={"192.168.1.10": "2001:DB8:1:0:0:0:0:10"})


@case("near-miss-six-nat64", must_not=GOOD, outcomes=BOTH)
def _() -> House:
    """A router with NAT64, and a provider that finds the phone past its Contact."""
    lan = {"192.168.1.10": PHONE, "203.0.113.5": "64:ff9b::cb00:7105"}
    return _six(_works(House(wan_port=40001)), lan, {}, {"203.0.113.5": "=203.0.113.5"})


@case("near-miss-six-464xlat", must_not=GOOD, outcomes=BOTH)
def _() -> House:
    """A router with 464XLAT: IPv4 in the LAN, IPv6 on the WAN."""
    wan = {"198.51.100.2": "2001:db8:9::c1a7", "203.0.113.5": "64:ff9b::cb00:7105"}
    return _six(_works(House(wan_port=40001)), {}, wan)


# ---- a route set that leads nowhere ----


@case("dlg005-link-local-record-route", [("DLG005", "provider", "observed")],
      ["DLG002", "DLG003", "DLG004", *ALG], {"provider-fix": "recommended"}, DROP)  # fmt: skip
def _() -> House:
    """The provider's proxy records itself with a link-local address. The Contact of the 2xx is the
    host that it came from, and no ACK went there."""
    house = _native()
    register(house, 0)
    call = Outgoing(house, "route@six")
    call.invite(1)
    route = f"<sip:{HIDDEN};lr>"
    for after in (0, *LADDER_2XX):
        house.into(3 + after, answer(200, call.seen, to_tag=call._tag, contact=call.far_contact,
                                     body=sdp(house.provider, 20000),
                                     more=[f"Record-Route: {route}"]))  # fmt: skip
        made = call._request("ACK", 1, call.far_contact.strip("<>"), f";tag={call._tag}")
        made = made.replace(b"Max-Forwards", f"Route: {route}\r\nMax-Forwards".encode())
        house.out(3.02 + after, made, dst=HIDDEN)
    call.far_bye(35)
    return _six(house, {**NATIVE, HIDDEN: LOCAL})


# ---- a helper that translates IPv6 ----


@case("alg014-six-helper", [("ALG014", "router", "none"), ("ALG001", "router", "none")],
      ["ALG010", "ALG011", "ALG012", "MSG001", *DLG], outcomes=BOTH)  # fmt: skip
def _() -> House:
    """The kernel's helper on a router that translates IPv6: it writes the address in brackets with
    its port, as the mapping says, and puts it back."""
    return _six(_works(House("linux", wan_port=40001)), NAT66)


@case("dlg001-router-takes-brackets-away", [("DLG001", "router", "observed"),
      ("ALG011", "router", "observed")], ["DLG002"], {"disable-sip-alg": "suspected"},
      DROP)  # fmt: skip
def _() -> House:
    """A router that writes the translated address into the Contact without brackets."""
    house = House("linux", wan_port=40001)
    helper = house.out_alg

    def bare(message: bytes) -> bytes:
        return helper(message).replace(b"@198.51.100.2:40001>", f"@{HIDDEN}:40001>".encode())

    house.out_alg = bare
    return _six(_dropped(house), NAT66, names={HIDDEN: "=2001:db8:9::2"})
