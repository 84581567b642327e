# SPDX-License-Identifier: Apache-2.0
"""Golden cases after public reports, the second batch: another transport or another server than
expected, a phone that came back."""

from __future__ import annotations

import re
from collections.abc import Sequence

from craft import (
    LADDER_2XX,
    LADDER_INVITE,
    LADDER_REQUEST,
    House,
    Incoming,
    Outgoing,
    answer,
    register,
    request,
    sdp,
    sized,
)

from cases.case import ALG, DLG, case
from cases.drops import Subscribing
from cases.reports import later
from cases.sdp import Audio

# ---- DLG001: the 2xx asks for another transport ----


def unacknowledged(contact: str) -> House:
    """A call of the phone whose 2xx is never acknowledged. contact: in it."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "other@phone", far_contact=contact)
    call.invite(1)
    for after in (0, *LADDER_2XX):
        call.ok(3 + after)
    call.far_bye(35)
    return house


@case("dlg001-2xx-asks-for-tcp", [("DLG001", "unknown", "observed")], ["DLG002", "DLG004", *ALG],
      outcomes=["dropped", "completed"])  # fmt: skip
def _() -> House:
    """The call came over UDP, and the Contact of its 2xx says TCP: the ACK of the phone had to go
    there, where it cannot connect."""
    return later(unacknowledged("<sip:300@203.0.113.5:5060;transport=tcp>"))


@case("dlg001-near-miss-2xx-asks-for-udp", [("DLG001", "phone", "observed")],
      ["DLG002", "DLG004", *ALG], outcomes=["dropped", "completed"])  # fmt: skip
def _() -> House:
    """The Contact says UDP, as the call came: the phone sent no ACK."""
    return later(unacknowledged("<sip:300@203.0.113.5:5060;transport=udp>"))


@case("dlg001-phone-asks-for-tcp", [("DLG001", "unknown", "observed")], ["DLG004", *ALG],
      outcomes=["dropped", "completed"])  # fmt: skip
def _() -> House:
    """The phone has its public address in its Contact, and TCP, which no mapping leads to."""
    house = House()
    register(house, 0)
    call = Incoming(house, "mine@provider", contact="<sip:100@198.51.100.2:5060;transport=tcp>")
    call.invite(1)
    call.ok(3)
    call.dropped(3)
    return later(house)


# ---- REG001: the next server of the provider ----


def _asked(house: House, at: float, cseq: int, server: str, status: int) -> None:
    made = request(
        "REGISTER", "sip:example.net", via=f"{house.phone}:{house.port}",
        branch=f"z9hG4bKnext{cseq}", call_id="next@phone", cseq=cseq, contact=house.contact,
        caller="<sip:100@example.net>;tag=r1", more=["Expires: 600"],
    )  # fmt: skip
    seen = house.out(at, made, dst=server)
    shown = re.search(rb"(?m)^Contact: (.*?)\r$", seen)
    contact = f"{shown[1].decode()};expires=600" if shown and status == 200 else ""
    house.into(at + 0.03, answer(status, seen, to_tag="a", contact=contact), src=server)


@case("reg001-near-miss-next-server", must_not=["REG001", *DLG, *ALG], outcomes=["completed"])
def _() -> House:
    """The first server says 503, and the phone registers at the second one (RFC 3263)."""
    house = House()
    _asked(house, 0, 1, "203.0.113.5", 503)
    _asked(house, 1, 2, "203.0.113.6", 200)
    return later(house)


@case("reg001-no-server-takes-it", [("REG001", "provider", "observed")], [*DLG, *ALG])
def _() -> House:
    """Each of the two servers says 503."""
    house = House()
    _asked(house, 0, 1, "203.0.113.5", 503)
    _asked(house, 1, 2, "203.0.113.6", 503)
    return later(house)


# ---- DLG012: a phone that was restarted ----


def _restarted(anew: bool) -> House:
    """The NOTIFY of a subscription is refused with 481. anew: the phone has another one."""
    house = House()
    one = Subscribing(house, "<sip:100@198.51.100.2:5060>")
    house.out(1.2, answer(200, one.notify(1.1)))
    register(house, 60, n=2)
    if anew:
        asked = request(
            "SUBSCRIBE", "sip:100@example.net", via="192.168.1.10:5060", branch="z9hG4bKanew",
            call_id="anew@phone", cseq=1, caller="<sip:100@example.net>;tag=s2",
            callee="<sip:100@example.net>", contact=one.contact,
            more=["Event: message-summary", "Expires: 3600"],
        )  # fmt: skip
        house.into(62.03, answer(200, house.out(62, asked), to_tag="mwi2",
                                 contact="<sip:203.0.113.5:5060>"))  # fmt: skip
        told = request(
            "NOTIFY", "sip:100@198.51.100.2:5060", via="203.0.113.5:5060", branch="z9hG4bKtold",
            call_id="anew@phone", cseq=1, caller="<sip:100@example.net>;tag=mwi2",
            callee="<sip:100@example.net>;tag=s2",
            more=["Event: message-summary", "Subscription-State: active;expires=3600"],
        )  # fmt: skip
        house.out(62.12, answer(200, house.into(62.1, told)))
    house.out(80.1, answer(481, one.notify(80, 2)))
    return house


@case("dlg012-near-miss-subscribed-anew", must_not=["DLG012", *DLG, *ALG], outcomes=[])
def _() -> House:
    """The phone was restarted and has subscribed anew: the old one is refused, and ends."""
    return _restarted(True)


@case("dlg012-restarted-and-deaf", [("DLG012", "phone", "observed")], [*DLG, *ALG], outcomes=[])
def _() -> House:
    """It was restarted and did not subscribe anew: nothing tells it of new messages any more."""
    return _restarted(False)


# ---- DLG001: a re-INVITE whose sender hears no response ----


def _refreshed(heard: bool, house: House) -> House:
    """The far end sends a re-INVITE, and the phone sends its 2xx once for each copy. heard: the
    fourth one is."""
    register(house, 0)
    call = Outgoing(house, "refresh@phone")
    call.invite(1)
    call.ok(3)
    call.ack(3.02)
    again = sized(call.from_far("INVITE", 1, ["Contact: <sip:300@203.0.113.5:5060>"])
                  + sdp(house.provider, 20000))  # fmt: skip
    for after in (0, *LADDER_INVITE)[: 4 if heard else None]:
        seen = house.into(30 + after, again)
        house.out(30.02 + after, answer(200, seen, contact=house.contact, body=call.body))
    if heard:
        house.into(33.6, call.from_far("ACK", 1))
    call.far_bye(60 if heard else 62)
    return later(house)


@case("dlg001-responses-to-a-re-invite-unheard", [("DLG001", "network", "observed")],
      ["DLG002", "DLG004", "TXN001", *ALG], outcomes=["dropped", "completed"])  # fmt: skip
def _() -> House:
    """Each copy of the re-INVITE gets its 2xx, which the far end does not hear: it hangs up when
    Timer B is over. Copies lie up to 16 s apart."""
    return _refreshed(False, House())


@case("dlg001-near-miss-responses-heard-at-last", must_not=[*DLG, *ALG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The far end hears the fourth copy and acknowledges it."""
    return _refreshed(True, House())


# ---- SDP003: NAT loopback ----


def _at_home(comes_back: bool) -> House:
    """A call through the provider to another phone of this house, with the WAN address in the SDP
    of both. comes_back: the router turns RTP round."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "home@phone", body=sdp(house.wan_ip, 16384))
    call.invite(1)
    call.respond(1.1, 180)
    call.respond(3, 200, sdp(house.wan_ip, 20000))
    call.ack(3.02)
    call.bye(20)
    audio = Audio(house, far=house.wan_ip)
    audio.out(3.1, 19.9, wan=False)
    if comes_back:
        audio.into(3.1, 19.9, wan=False)
    return later(house)


@case("sdp003-no-nat-loopback", [("SDP003", "unknown", "observed")], ["SDP001", "SDP002", *DLG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """RTP of the phone goes to the WAN address of its own router, and nothing comes back."""
    return _at_home(False)


@case("sdp003-near-miss-nat-loopback", must_not=["SDP001", "SDP002", "SDP003", *DLG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The router turns it round."""
    return _at_home(True)


# ---- TXN003: a BYE past the proxies of the call ----


def _hung_up(dst: str, status: int = 0, route: Sequence[str] = ()) -> House:
    """The phone ends a call that came to it through a proxy; the BYE goes to dst, unanswered or
    refused with this status. route: its Route."""
    house = House()
    register(house, 0)
    call = Incoming(house, "past@provider")
    call.far = "<sip:200@198.18.7.7:5060>"
    call.more = ["Record-Route: <sip:203.0.113.5;lr>"]
    call.invite(1)
    call.ok(3)
    call.ack(3.05)
    ids = call._ids()
    bye = request(
        "BYE", "sip:200@198.18.7.7:5060", via=f"{house.phone}:{house.port}", branch="z9hG4bKpast",
        call_id=call.call_id, cseq=1, caller=ids["callee"], callee=ids["caller"], more=route,
    )  # fmt: skip
    if status:
        house.into(20.03, answer(status, house.out(20, bye, dst=dst)), src=dst)
        return later(house)
    for after in (0, *LADDER_REQUEST):
        house.out(20 + after, bye, dst=dst)
    return later(house)


@case("txn003-bye-past-its-proxy", [("TXN003", "unknown", "observed")], [*DLG, *ALG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The phone sends its BYE to the Contact and not by the Record-Route: nobody answers there."""
    return _hung_up("198.18.7.7")


@case("txn003-near-miss-bye-by-its-proxy", [("TXN003", "network", "observed")], [*DLG, *ALG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The BYE goes where the call came from, with its Route, and nobody answers it."""
    return _hung_up("203.0.113.5", route=["Route: <sip:203.0.113.5;lr>"])


@case("txn003-bye-without-route", [("TXN003", "unknown", "observed")], [*DLG, *ALG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The BYE goes to the proxy that recorded itself, without a Route, and nobody answers it: the
    proxy may not know where it belongs, so the network beyond is not blamed."""
    return _hung_up("203.0.113.5")


@case("dlg008-bye-without-route", [("DLG008", "unknown", "observed")], [*DLG, *ALG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The same refused with 481."""
    return _hung_up("203.0.113.5", 481)


@case("dlg008-bye-past-its-proxy", [("DLG008", "unknown", "observed")], [*DLG, *ALG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The BYE goes to the Contact and not by the Record-Route, and is refused with 481 there."""
    return _hung_up("198.18.7.7", 481)


@case("dlg008-near-miss-bye-with-route", [("DLG008", "network", "observed")], [*DLG, *ALG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The BYE has its Route and is refused with 481: the other end no longer has the call."""
    return _hung_up("203.0.113.5", 481, ["Route: <sip:203.0.113.5;lr>"])
