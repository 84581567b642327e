# SPDX-License-Identifier: Apache-2.0
"""Golden cases of remote targets and route sets: DLG003 (the Contact is a proxy's), DLG005 (the
Record-Route leads nowhere, or is not followed), DLG006 (the Request-URI), near misses of each."""

from __future__ import annotations

import re
from collections.abc import Sequence

from craft import LADDER_2XX, House, Incoming, Outgoing, Rewriter, register

from cases.case import ALG, case

EDGE, CORE = "203.0.113.5", "203.0.113.6"  # the provider's proxies; the phone knows the first one
CALLEE = "sip:300@203.0.113.90:5060"
FIX_CONTACT = {"provider-fix-contact": "recommended"}
PHONE_FIX = {"phone-fix": "recommended"}
PROVIDER_FIX = {"provider-fix": "recommended"}


def recorded(message: bytes, *hosts: str, name: str = "Record-Route") -> bytes:
    """hosts: in the order in which they stand there; one that has a "!" is a strict router."""
    for host in hosts:
        loose = "" if "!" in host else ";lr"
        line = f"{name}: <sip:{host.strip('!')}{loose}>\r\nMax-Forwards"
        message = message.replace(b"Max-Forwards", line.encode(), 1)
    return message


def routed(house: House, call_id: str, *, hosts: Sequence[str] = (CORE, EDGE),
           contact: str = CALLEE, uri: str = "", route: Sequence[str] | None = None, at: float = 1,
           dst: str = "", acks: bool = True, leaves: bool = True, lives: bool = False,
           alg: Rewriter | None = None) -> House:  # fmt: skip
    """A call of the phone whose 2xx has this Record-Route (hosts, from the callee's end on) and
    this Contact. uri, route: of the ACK, by default as the 2xx says; dst: where it goes; acks,
    leaves: whether it is sent, and leaves the router; lives: the first one arrives. alg: what the
    router does to the ACK."""
    call = Outgoing(house, call_id, far_contact=f"<{contact}>")
    call.invite(at)
    call.seen = recorded(call.seen, *hosts)
    ack = call._request("ACK", 1, uri or contact, f";tag={call._tag}")
    ack = recorded(ack, *(reversed(hosts) if route is None else route), name="Route")
    for after in (0,) if lives else (0, *LADDER_2XX):
        call.ok(at + 2 + after)
        if acks:
            house.out(at + 2.02 + after, ack, dst=dst, wan=leaves, alg=alg)
    call.far_bye(at + (20 if lives else 34))
    return house


# ---- DLG003 ----

OBSERVED_003 = [("DLG003", "provider", "observed"), ("DLG001", "provider", "observed")]
NOT_003 = ["DLG002", "DLG004", "DLG005", "DLG006"]
PROXY = f"sip:300@{CORE}:5060"  # the callee's Contact as a careless proxy leaves it


@case("dlg003-contact-of-recorded-proxy", OBSERVED_003, [*NOT_003, *ALG], FIX_CONTACT,
      ["dropped"])  # fmt: skip
def _() -> House:
    """The provider's outer proxy handles NAT for a reply that came from its inner proxy: the
    Contact is that proxy's address. The ACK goes there, as the 2xx says, and ends there."""
    house = House()
    register(house, 0)
    return routed(house, "fixed@phone", contact=PROXY)


@case("dlg003-with-helper", OBSERVED_003, [*NOT_003, "ALG010", "ALG011"], FIX_CONTACT,
      ["dropped"])  # fmt: skip
def _() -> House:
    """The same with the kernel's ALG on, which is not the cause: the 2xx came in like that."""
    house = House("linux")
    register(house, 0)
    return routed(house, "fixed@phone", contact=PROXY)


@case("dlg003-contact-of-the-sender", OBSERVED_003, [*NOT_003, *ALG], FIX_CONTACT,
      ["dropped"])  # fmt: skip
def _() -> House:
    """The proxies record themselves by name, and the Contact is the address that the 2xx came
    from: that of the proxy, and no callee is behind it."""
    house = House()
    register(house, 0)
    return routed(house, "fixed@phone", hosts=("edge.example.net",), contact=f"sip:300@{EDGE}")


@case("dlg003-one-sided", [("DLG003", "unknown", "observed"), ("DLG001", "unknown", "observed")],
      NOT_003, {"provider-fix-contact": "suspected"}, ["dropped"], one_file="lan")  # fmt: skip
def _() -> House:
    """The LAN side alone: the Contact is named, and no place."""
    house = House()
    register(house, 0)
    return routed(house, "fixed@phone", contact=PROXY)


@case("dlg003-near-miss-sbc", must_not=["DLG003", "DLG001", *NOT_003, *ALG],
      outcomes=["completed"] * 2)  # fmt: skip
def _() -> House:
    """An SBC at the provider is the other end of the call itself: Contact, Record-Route and source
    are all its own. Its calls complete."""
    house = House()
    register(house, 0)
    routed(house, "sbc1@phone", hosts=(EDGE,), contact=f"sip:gw@{EDGE}:5060", lives=True)
    return routed(house, "sbc2@phone", hosts=(), contact=f"sip:gw@{EDGE}:5060", lives=True, at=40)


@case("dlg003-near-miss-sbc-and-lost", [("DLG001", "network", "observed")],
      ["DLG003", *NOT_003, *ALG], outcomes=["completed", "dropped"])  # fmt: skip
def _() -> House:
    """A call like that completes, and of the next one all ACKs are lost beyond the router: that
    Contact is taken by somebody."""
    house = House()
    register(house, 0)
    routed(house, "sbc1@phone", hosts=(EDGE,), contact=f"sip:gw@{EDGE}:5060", lives=True)
    return routed(house, "sbc2@phone", hosts=(EDGE,), contact=f"sip:gw@{EDGE}:5060", at=40)


@case("dlg003-near-miss-own-contact", [("DLG001", "network", "observed")],
      ["DLG003", *NOT_003, *ALG], outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """No Record-Route: the Contact of a host that answers by itself is its own, and its ACK is
    lost beyond the router."""
    house = House()
    register(house, 0)
    return routed(house, "own@phone", hosts=(), contact=f"sip:gw@{EDGE}:5060")


@case("dlg003-near-miss-beside-the-proxy", [("DLG001", "network", "observed")] * 2,
      ["DLG003", *NOT_003, *ALG], outcomes=["dropped"] * 2)  # fmt: skip
def _() -> House:
    """The callee is another program on the host of the proxy, at another port; and one whose
    Contact is a GRUU, which its proxy resolves. Both ACKs are lost beyond the router."""
    house = House()
    register(house, 0)
    routed(house, "beside@phone", contact=f"sip:300@{CORE}:5080")
    return routed(house, "gruu@phone", contact=f"sip:300@{CORE};gr=urn:uuid:1", at=60)


# ---- DLG005: a Record-Route that cannot be reached ----

NOT_005 = ["DLG002", "DLG003", "DLG004", "DLG006"]


@case("dlg005-ack-to-a-private-proxy",
      [("DLG005", "provider", "observed"), ("DLG001", "provider", "observed")],
      [*NOT_005, *ALG], PROVIDER_FIX, ["dropped"])  # fmt: skip
def _() -> House:
    """The provider's proxy records its private address. The phone sends its ACK there, and the
    router has no way to it: neither the phone nor the router is to blame."""
    house = House()
    register(house, 0)
    return routed(house, "inner@phone", hosts=(CORE, "10.20.30.40"), dst="10.20.30.40",
                  leaves=False)  # fmt: skip


@case("dlg005-ack-leaves-for-a-private-proxy",
      [("DLG005", "provider", "observed"), ("DLG001", "provider", "observed")],
      [*NOT_005, *ALG], PROVIDER_FIX, ["dropped"])  # fmt: skip
def _() -> House:
    """The same with a router that sends it out: it is lost beyond."""
    house = House()
    register(house, 0)
    return routed(house, "inner@phone", hosts=(CORE, "10.20.30.40"), dst="10.20.30.40")


@case("dlg005-lan-side-alone",
      [("DLG005", "unknown", "observed"), ("CAP001", "unknown", "none")], [*NOT_005, *ALG],
      outcomes=["dropped"], one_file="lan")  # fmt: skip
def _() -> House:
    """The LAN side of a call whose only proxy records its private address, while the Contact is its
    public one: the ACK goes to the first, so the second is not why it gets lost."""
    house = House()
    register(house, 0)
    return routed(house, "inner@phone", hosts=("10.20.30.40",), dst="10.20.30.40",
                  contact=f"sip:300@{EDGE}:5060", leaves=False)  # fmt: skip


@case("dlg005-proxy-of-the-other-ip-version",
      [("DLG005", "provider", "observed"), ("DLG001", "provider", "observed")],
      [*NOT_005, *ALG], PROVIDER_FIX, ["dropped"])  # fmt: skip
def _() -> House:
    """A proxy between IPv4 and IPv6 records its IPv6 address alone. The phone has none, and sends
    no ACK: it is not to blame."""
    house = House()
    register(house, 0)
    return routed(house, "six@phone", hosts=("[2001:db8::5]",), acks=False)


@case("dlg005-near-miss-recorded-twice", must_not=["DLG001", "DLG005", *NOT_005, *ALG])
def _() -> House:
    """Such a proxy that records itself with both addresses, the one of this side nearest."""
    house = House()
    register(house, 0)
    return routed(house, "both@phone", hosts=("[2001:db8::5]", EDGE), lives=True)


@case("dlg005-near-miss-phone-sends-no-ack", [("DLG001", "phone", "observed")],
      ["DLG005", *NOT_005, *ALG], outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The same Record-Route, and a phone that sends no ACK."""
    house = House()
    register(house, 0)
    return routed(house, "none@phone", hosts=("[2001:db8::5]", EDGE), acks=False)


def _behind_a_lan_proxy(house: House, proxy: str, acknowledged: bool = False) -> House:
    """A call to a phone behind a PBX in the LAN, which records itself as proxy; the phone's Contact
    is private, and only the PBX has to reach it."""
    register(house, 0)
    call = Incoming(house, "pbx@provider", contact="<sip:21@192.168.1.21:5060>",
                    fixed_contact="sip:21@192.168.1.21:5060")  # fmt: skip
    call.invite(1)
    call.delivered = recorded(call.delivered, proxy)
    call.ringing(1.2)
    call.ok(3)
    if acknowledged:
        call.ack(3.05, more=[f"Route: <sip:{proxy};lr>"])
        call.bye(9)
    else:
        call.dropped(3)
    return house


@case("dlg005-proxy-in-the-lan",
      [("DLG005", "phone", "observed"), ("DLG001", "phone", "observed")],
      [*NOT_005, *ALG], PHONE_FIX, ["dropped"])  # fmt: skip
def _() -> House:
    """A PBX in the LAN records its private address; the caller's side has nowhere to send its
    ACK. The private Contact behind it does no harm: only the PBX has to reach that."""
    return _behind_a_lan_proxy(House(), "192.168.1.10:5060")


@case("dlg005-near-miss-public-proxy-in-the-lan", [("DLG001", "network", "observed")],
      ["DLG005", *NOT_005, *ALG], outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The PBX records its public address, and the ACK is lost before this router: the private
    Contact behind the PBX is not why."""
    return _behind_a_lan_proxy(House(), "198.51.100.2:5060")


@case("dlg005-near-miss-provider-finds-the-pbx", must_not=["DLG001", "DLG005", *NOT_005, *ALG])
def _() -> House:
    """The PBX records its private address, and the provider sends to where the 2xx came from."""
    return _behind_a_lan_proxy(House(), "192.168.1.10:5060", acknowledged=True)


@case("dlg005-near-miss-caller-behind-a-lan-proxy", [("DLG001", "phone", "observed")],
      ["DLG005", *NOT_005, *ALG], outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """A PBX in the LAN calls out and has recorded its private address in its INVITE, for the phone
    behind it: the way of the ACK from there on is right. Nobody sends one."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "pbx@phone", far_contact=f"<{CALLEE}>")
    call.invited = recorded(
        call._request("INVITE", 1, "sip:300@example.net", "", call.contact, call.body),
        "192.168.1.10:5060",
    )
    call.invite(1)
    call.seen = recorded(call.seen, EDGE)
    for after in (0, *LADDER_2XX):
        call.ok(3 + after)
    call.far_bye(35)
    return house


@case("dlg005-router-changes-the-record-route",
      [("DLG005", "router", "observed"), ("DLG001", "router", "observed")],
      NOT_005, {"disable-sip-alg": "recommended"}, ["dropped"])  # fmt: skip
def _() -> House:
    """The provider's proxy records a public address; in the copy that the phone gets the router
    has put a private one, and the phone has nowhere to send its ACK."""
    house = House()
    register(house, 0)

    def wrong(message: bytes) -> bytes:
        return message.replace(b"Record-Route: <sip:203.0.113.5;", b"Record-Route: <sip:10.0.0.5;")

    house.in_alg = wrong
    return routed(house, "changed@phone", hosts=(EDGE,), acks=False)


@case("dlg005-bye-to-a-private-proxy",
      [("DLG005", "provider", "observed"), ("TXN003", "unknown", "observed")],
      ["DLG001", *NOT_005, *ALG], PROVIDER_FIX)  # fmt: skip
def _() -> House:
    """An incoming call through a proxy that recorded its private address: the ACK comes, but the
    phone's BYE has to go to that address, and the caller stays in the call."""
    return _bye_to_a_private_proxy(leaves=True)


@case("dlg005-bye-to-a-private-proxy-stopped",
      [("DLG005", "provider", "observed"), ("TXN003", "unknown", "observed")],
      ["DLG001", *NOT_005, *ALG], PROVIDER_FIX)  # fmt: skip
def _() -> House:
    """The same with a router that has no way to that address."""
    return _bye_to_a_private_proxy(leaves=False)


def _bye_to_a_private_proxy(leaves: bool) -> House:
    house = House()
    register(house, 0)
    call = Incoming(house, "stays@provider", contact=f"<sip:100@{house.public}>",
                    more=["Record-Route: <sip:10.20.30.40;lr>"])  # fmt: skip
    call.invite(1)
    call.ok(3)
    call.ack(3.05)
    bye = call._in_dialog("BYE", 1, f"{house.phone}:5060", ["Route: <sip:10.20.30.40;lr>"])
    bye = bye.replace(call._ids()["caller"].encode(), b"@").replace(
        call._ids()["callee"].encode(), call._ids()["caller"].encode()
    ).replace(b"@\r", call._ids()["callee"].encode() + b"\r")  # fmt: skip
    for after in (0, *LADDER_2XX):
        house.out(60 + after, bye, dst="10.20.30.40", wan=leaves)
    register(house, 120, n=2)
    return house


# ---- DLG005: a route set that is not followed ----

PHONE_005 = [("DLG005", "phone", "observed"), ("DLG001", "phone", "observed")]


@case("dlg005-route-missing", PHONE_005, [*NOT_005, *ALG], PHONE_FIX, ["dropped"])
def _() -> House:
    """The ACK has the Contact as its Request-URI and no Route at all."""
    house = House()
    register(house, 0)
    return routed(house, "bare@phone", route=())


@case("dlg005-route-not-reversed", PHONE_005, [*NOT_005, *ALG], PHONE_FIX, ["dropped"])
def _() -> House:
    """The ACK has the proxies in the order of the Record-Route: the farthest one comes first."""
    house = House()
    register(house, 0)
    return routed(house, "order@phone", route=(CORE, EDGE))


@case("dlg005-loose-router-as-strict", PHONE_005, [*NOT_005, *ALG], PHONE_FIX, ["dropped"])
def _() -> House:
    """The ACK has the first proxy in its Request-URI and the Contact as its last Route, as for a
    strict router (RFC 2543); the proxies are loose ones."""
    house = House()
    register(house, 0)
    return routed(house, "old@phone", uri=f"sip:{EDGE};lr", route=(CORE, "300@203.0.113.90:5060"))


@case("dlg005-strict-router-as-loose", PHONE_005, [*NOT_005, *ALG], PHONE_FIX, ["dropped"])
def _() -> House:
    """The proxy is a strict router: it expects to find itself in the Request-URI. The ACK has the
    Contact there."""
    house = House()
    register(house, 0)
    return routed(house, "new@phone", hosts=(f"{EDGE}!",))


@case("dlg005-near-miss-strict-router", [("DLG001", "network", "observed")],
      ["DLG005", *NOT_005, *ALG], outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The ACK is right for a strict router, and lost beyond this one."""
    house = House()
    register(house, 0)
    return routed(house, "strict@phone", hosts=(f"{EDGE}!",), uri=f"sip:{EDGE}",
                  route=("300@203.0.113.90:5060!",))  # fmt: skip


@case("dlg005-near-miss-accepted", must_not=["DLG001", "DLG005", *NOT_005, *ALG])
def _() -> House:
    """The ACK without a Route is taken all the same: the call lives."""
    house = House()
    register(house, 0)
    return routed(house, "bare@phone", route=(), lives=True)


@case("dlg005-router-takes-the-route-out",
      [("DLG005", "router", "observed"), ("DLG001", "router", "observed")],
      ["DLG002", "DLG003", "DLG004", "DLG006"], {"disable-sip-alg": "recommended"},
      ["dropped"])  # fmt: skip
def _() -> House:
    """The router takes Record-Route out of the 2xx, and the phone sends its ACK straight to the
    Contact: it never learned of the proxies."""
    house = House()
    register(house, 0)
    house.in_alg = lambda message: re.sub(rb"(?m)^Record-Route: .*\r\n", b"", message)
    return routed(house, "bare@phone", route=())


@case("dlg005-router-changes-the-route",
      [("DLG005", "router", "observed"), ("DLG001", "router", "observed")],
      NOT_005, {"disable-sip-alg": "recommended"}, ["dropped"])  # fmt: skip
def _() -> House:
    """The phone follows the route set; the copy of its ACK that leaves the router names another
    proxy."""
    house = House()
    register(house, 0)

    def wrong(message: bytes) -> bytes:
        return message.replace(f"Route: <sip:{EDGE}".encode(), b"Route: <sip:198.51.100.2")

    return routed(house, "changed@phone", alg=wrong)


# ---- DLG006 of the provider ----


def _delivered(uri: str) -> House:
    house = House()
    register(house, 0)
    call = Incoming(house, "odd@provider", contact=f"<sip:100@{house.public}>",
                    fixed_contact=uri)  # fmt: skip
    call.invite(1)
    call.ok(3)
    for after in (0, *LADDER_2XX):
        call.ack(3.05 + after)
    call.dropped(3)
    return house


@case("dlg006-of-the-provider",
      [("DLG006", "provider", "observed"), ("DLG001", "provider", "observed")],
      ["DLG002", "DLG003", "DLG004", "DLG005", *ALG], PROVIDER_FIX, ["dropped"])  # fmt: skip
def _() -> House:
    """The provider sends its ACK with the number that was dialled in its Request-URI, and the
    phone, whose Contact has another user part, does not take it."""
    return _delivered("sip:0301234567@198.51.100.2:5060")


# ---- DLG002: the Contact of the far end ----

PRIVATE = "sip:300@192.168.1.50:5060"
FAR_002 = [("DLG002", "provider", "observed"), ("DLG001", "provider", "observed")]


@case("dlg002-of-the-far-end", FAR_002, ["DLG003", "DLG004", "DLG005", "DLG006", *ALG],
      FIX_CONTACT, ["dropped"])  # fmt: skip
def _() -> House:
    """The far end, itself behind a NAT, shows its private Contact, and no proxy recorded itself.
    The phone has a host of that address in its own network, so its ACK never comes to the
    router."""
    house = House()
    register(house, 0)
    return routed(house, "hidden@phone", hosts=(), contact=PRIVATE, acks=False)


@case("dlg002-of-the-far-end-stopped", FAR_002, ["DLG003", "DLG004", "DLG005", "DLG006", *ALG],
      FIX_CONTACT, ["dropped"])  # fmt: skip
def _() -> House:
    """The phone sends its ACK to such an address, and the router has no way to it."""
    house = House()
    register(house, 0)
    return routed(house, "hidden@phone", hosts=(), contact="sip:300@10.1.1.1:5060",
                  dst="10.1.1.1", leaves=False)  # fmt: skip


@case("dlg002-of-the-far-end-beyond", FAR_002, ["DLG003", "DLG004", "DLG005", "DLG006", *ALG],
      FIX_CONTACT, ["dropped"])  # fmt: skip
def _() -> House:
    """The same with a router that sends it out."""
    house = House()
    register(house, 0)
    return routed(house, "hidden@phone", hosts=(), contact="sip:300@10.1.1.1:5060",
                  dst="10.1.1.1")  # fmt: skip


@case("dlg002-near-miss-of-the-far-end", must_not=["DLG001", "DLG002", "DLG004", "DLG005", *ALG])
def _() -> House:
    """The phone sends its ACK to its proxy in spite of that Contact, and the call lives."""
    house = House()
    register(house, 0)
    return routed(house, "hidden@phone", hosts=(), contact=PRIVATE, lives=True)


@case("dlg002-near-miss-behind-a-proxy", [("DLG001", "network", "observed")],
      ["DLG002", "DLG003", "DLG004", "DLG005", "DLG006", *ALG], outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The Contact is private and only the provider's proxy, which recorded itself, has to reach it.
    The ACK is lost beyond the router."""
    house = House()
    register(house, 0)
    return routed(house, "inner@phone", contact="sip:300@10.1.1.1:5060")
