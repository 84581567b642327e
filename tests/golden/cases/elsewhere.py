# SPDX-License-Identifier: Apache-2.0
"""Golden cases of who calls, and from where: second proxies of a provider, trunks, strangers; and
of what shows that a provider finds a phone past its private Contact."""

from __future__ import annotations

import re
from collections.abc import Sequence

from craft import (
    LADDER_2XX,
    LADDER_INVITE,
    House,
    Incoming,
    Outgoing,
    answer,
    incoming_call,
    register,
    sdp,
)

from cases.case import ALG, DLG, PHONE_OR_PROVIDER, case

SECOND = "198.18.5.7"  # another host of the provider, in another network
NO = ["TXN001", *DLG, *ALG]


def _call(house: House, src: str = "", account: str = "100@example.net", uri: str = "",
          call_id: str = "called@provider") -> Incoming:  # fmt: skip
    """An INVITE whose To is `account`; uri: its Request-URI, where it is not the mapping's."""
    call = Incoming(house, call_id, src=src)
    call.invite(1, lan=False)
    house.wan.pop()
    made = call.invited.replace(b"<sip:100@example.net>", f"<sip:{account}>".encode())
    call.invited = re.sub(
        rb"sip:[^ ]*", f"sip:{uri or f'100@{house.public}'}".encode(), made, count=1
    )
    return call


def _in_vain(house: House, call: Incoming, at: float = 10, **how: int) -> House:
    for after in (0, *LADDER_INVITE):
        call.invite(at + after, lan=False, **how)
    register(house, at + 50, n=2)
    return house


def _registered(**how: int) -> House:
    house = House(**how)  # type: ignore[arg-type]
    register(house, 0)
    return house


# ---- calls that no phone gets ----


@case("reg006-second-proxy-in-another-network", [("REG006", "provider", "observed")], NO,
      outcomes=["unanswered"])  # fmt: skip
def _() -> House:
    """The provider calls from a host in another network, the address of record at the Contact that
    was registered: no scanner knows both."""
    house = _registered()
    return _in_vain(house, _call(house, SECOND))


@case("reg006-second-proxy-after-a-silence", [("REG006", "unknown", "observed")], NO,
      outcomes=["unanswered"])  # fmt: skip
def _() -> House:
    """The same when the phone was silent for 90 s: a NAT that lets everybody in at an open port may
    have closed it, so it is not the provider's host alone."""
    house = _registered()
    return _in_vain(house, _call(house, SECOND), 90)


@case("reg006-near-miss-stranger-knows-the-account", must_not=["REG006", *NO],
      outcomes=["unanswered"])  # fmt: skip
def _() -> House:
    """A host in another network knows the address of record, and not the Contact: it calls the
    port that all phones have, where this one is not."""
    house = _registered(wan_port=40123)
    return _in_vain(house, _call(house, SECOND, uri="100@198.51.100.2:5070"))


@case("reg006-trunk-from-a-second-proxy", [("REG006", "provider", "observed")], NO,
      outcomes=["unanswered"])  # fmt: skip
def _() -> House:
    """A number behind a trunk is called from a neighbour of the registrar, at the port from which
    the PBX has registered: its number is no Contact, and its domain is that of the account."""
    house = _registered()
    return _in_vain(house, _call(house, "203.0.113.66", "49301234@example.net",
                                 f"49301234@{house.public}"))  # fmt: skip


@case("reg006-near-miss-trunk-of-another-domain", must_not=["REG006", *NO],
      outcomes=["unanswered"])  # fmt: skip
def _() -> House:
    """The same for another domain: a scanner in the network of the provider."""
    house = _registered()
    return _in_vain(house, _call(house, "203.0.113.66", "49301234@example.org",
                                 f"49301234@{house.public}"))  # fmt: skip


@case("reg006-trunk-from-another-port",
      [("REG006", "provider", "observed"), ("TXN001", "provider", "observed")], [*DLG, *ALG],
      {"provider-fix": "suspected"}, ["unanswered"])  # fmt: skip
def _() -> House:
    """The registrar calls a number behind the trunk from port 5080, to which nobody has sent
    anything."""
    house = _registered()
    return _in_vain(house, _call(house, "", "49301234@example.net", f"49301234@{house.public}"),
                    sport=5080)  # fmt: skip


@case("reg006-trunk-at-a-port-that-nobody-opened",
      [("REG006", "unknown", "observed"), ("TXN001", "unknown", "observed")], [*DLG, *ALG],
      outcomes=["unanswered"])  # fmt: skip
def _() -> House:
    """The PBX leaves with port 40123, and the provider calls a number behind it at port 5060. It
    may be meant for another phone, so nothing shows who is wrong; but not this router."""
    house = House(wan_port=40123)
    register(house, 0)
    return _in_vain(house, _call(house, "", "49301234@example.net", "49301234@198.51.100.2"),
                    wan_port=5060)  # fmt: skip


# ---- calls that a phone takes ----


def _rings(house: House, call: Incoming) -> House:
    call.invite(10)
    call.ringing(10.2)
    call.ok(12)
    call.dropped(12)
    return house


@case("dlg002-second-proxy", [("DLG002", "phone", "observed"), ("DLG001", "network", "observed")],
      ["REG006", *ALG], PHONE_OR_PROVIDER, ["dropped"])  # fmt: skip
def _() -> House:
    """A second proxy of the provider gets through, and sends its ACK to the private Contact."""
    house = _registered()
    return _rings(house, _call(house, SECOND))


@case("dlg002-near-miss-ghost-call",
      [("DLG002", "network", "observed"), ("DLG001", "network", "observed")], ["REG006", *ALG],
      outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """A scanner rings the phone at an address that anybody can try, and acknowledges nothing:
    neither phone nor provider have to mend their NAT for that."""
    house = _registered()
    return _rings(house, _call(house, "192.0.2.66", "100@198.51.100.2"))


# ---- what shows that the provider finds the phone ----


def _hangs_up(status: int) -> House:
    """Of two calls no ACK comes to the private Contact. The far end's BYE of the first one comes
    to where the packets come from, and the phone answers it with that status."""
    house = _registered()
    call = _call(house, call_id="first@provider")
    call.invite(10)
    call.ok(12)
    for after in (0.5, 1.5, 3.5):
        call.ok(12 + after)
    bye = call._in_dialog("BYE", 2, "203.0.113.5:5060", ()).replace(
        b"sip:100@192.168.1.10:5060 ", b"sip:100@198.51.100.2:5060 ")  # fmt: skip
    house.out(17.02, answer(status, house.into(17, bye)))
    if status >= 300:
        for after in LADDER_2XX[3:]:
            call.ok(12 + after)
        call.phone_bye(44)
    second = _call(house, call_id="second@provider")
    second.invite(80)
    second.ok(82)
    second.dropped(82)
    return house


@case("dlg002-bye-refused-shows-nothing",
      [("DLG002", "phone", "observed"), ("DLG001", "network", "observed")], ALG,
      PHONE_OR_PROVIDER, ["completed", "dropped"])  # fmt: skip
def _() -> House:
    """The phone refuses the BYE with 481, as anybody's: it does not show that the provider finds
    the phone past its private Contact."""
    return _hangs_up(481)


@case("dlg002-near-miss-bye-taken", [("DLG002", "unknown", "none"),
                                     ("DLG001", "network", "observed")], ALG,
      {}, ["completed", "dropped"])  # fmt: skip
def _() -> House:
    """The phone takes the BYE: the provider finds it, so the ACK was lost for another reason."""
    return _hangs_up(200)


def _alone(acknowledged: Sequence[bool]) -> House:
    """Incoming calls one after another; acknowledged: which of them."""
    house = _registered()
    for n, good in enumerate(acknowledged):
        at = 10 + 60 * n
        if good:
            incoming_call(house, at, f"{n}@provider")
            continue
        call = _call(house, call_id=f"{n}@provider")
        call.invite(at)
        call.ok(at + 2)
        call.dropped(at + 2)
    return house


@case("dlg002-wan-alone-and-found-since",
      [("DLG002", "unknown", "none"), ("DLG001", "unknown", "observed")], ALG,
      outcomes=["dropped", "completed"], one_file="wan")  # fmt: skip
def _() -> House:
    """The WAN side alone: no ACK comes for a private Contact, and in the next call one does. So
    that is not why, and the advice is withdrawn."""
    return _alone([False, True])


@case("dlg002-near-miss-wan-alone-and-never-found",
      [("DLG002", "unknown", "observed"), ("DLG001", "unknown", "observed")], ALG,
      {"enable-rport-stun-outbound": "suspected", "provider-fix-contact": "suspected"},
      ["dropped", "dropped"], one_file="wan")  # fmt: skip
def _() -> House:
    """The same where the next call is dropped as well."""
    return _alone([False, False])


# ---- a response that comes when nobody waits for it any more ----


@case("txn001-response-held-back", [("TXN001", "router", "observed")], [*DLG, *ALG],
      outcomes=["unanswered"])  # fmt: skip
def _() -> House:
    """The 200 comes to the WAN side after a second and leaves to the LAN 40 s later, when the
    phone has given up. Its call was not answered, and nobody says that the 200 never left."""
    house = _registered()
    call = Outgoing(house, "held@phone")
    for after in (0, *LADDER_INVITE):
        call.invite(1 + after)
    made = answer(
        200,
        call.seen,
        to_tag=call._tag,
        contact=call.far_contact,
        body=sdp(house.provider, 20000),
        received=house.wan_ip,
        rport=house.wan_port,
    )
    house.into(2, made, lan=False)
    house._sent["provider"] -= 1  # the same packet
    house.into(42, made, wan=False)
    register(house, 100, n=2)
    return house


@case("txn001-responses-from-another-port", [("TXN001", "provider", "observed")], [*DLG, *ALG],
      {"provider-fix": "recommended"}, ["unanswered"])  # fmt: skip
def _() -> House:
    """The provider responds from port 5062, to which no phone has sent anything: the NAT need not
    let that in."""
    return _unheard(5062)


@case("txn001-near-miss-responses-from-the-port-that-was-asked",
      [("TXN001", "router", "observed")], [*DLG, *ALG], outcomes=["unanswered"])  # fmt: skip
def _() -> House:
    """The same from the port that was asked: the router stops them."""
    return _unheard(5060)


def _unheard(sport: int) -> House:
    house = _registered()
    call = Outgoing(house, "unheard@phone")
    for after in (0, *LADDER_INVITE):
        call.invite(1 + after)
        call.respond(1.05 + after, 100, lan=False, sport=sport)
    register(house, 60, n=2)
    return house


@case("dlg002-near-miss-wan-alone-and-another-cseq",
      [("TXN008", "unknown", "observed"), ("DLG001", "unknown", "observed")], ["DLG002", *ALG],
      outcomes=["dropped"], one_file="wan")  # fmt: skip
def _() -> House:
    """The WAN side alone: an ACK comes to the phone, with the CSeq number of no INVITE. So the far
    end finds it, and its private Contact is not why."""
    house = _registered()
    call = _call(house)
    call.invite(10)
    call.ok(12)
    ack = call._in_dialog("ACK", 2, "203.0.113.5:5060", ()).replace(
        b"sip:100@192.168.1.10:5060 ", b"sip:100@198.51.100.2:5060 ")  # fmt: skip
    for after in (0.05, 0.55, 1.55):
        house.into(12 + after, ack)
    call.dropped(12)
    return house
