# SPDX-License-Identifier: Apache-2.0
"""Golden cases of ends that give up: session timers that one end counts for itself, subscriptions
that are not renewed, calls cancelled in vain; and of those that do so rightly."""

from __future__ import annotations

from collections.abc import Sequence

from craft import (
    LADDER_REQUEST,
    House,
    Outgoing,
    Timed,
    answer,
    outgoing_call,
    register,
    request,
    sdp,
)

from cases.case import ALG, DLG, case
from cases.drops import Subscribing

# ---- session timers ----


@case("dlg007-ended-at-the-time-of-before", [("DLG007", "provider", "observed")], [*DLG, *ALG],
      {"provider-fix": "recommended"}, ["dropped"])  # fmt: skip
def _() -> House:
    """The phone refreshes the session after half of the time, and the far end says 200. Then it
    hangs up when the time of before is over, as if nobody had refreshed it."""
    call = Timed(House(), "uac")
    call.accept(903.1, call.refresh(903))
    call.far_bye(3 + 1800, more=['Reason: SIP;cause=408;text="Session expired"'])
    return call.house


@case("dlg007-near-miss-answer-to-the-refresh-not-captured", [("DLG007", "unknown", "observed")],
      [*DLG, *ALG], outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The same, and the WAN capture lacks the 2xx to the refresh. The LAN shows that the router let
    it through, so it did not stop it."""
    call = Timed(House(), "uac")
    call.accept(903.1, call.refresh(903), wan=False)
    call.far_bye(3 + 1800, more=['Reason: SIP;cause=408;text="Session expired"'])
    return call.house


@case("dlg007-ended-between-its-two-times", [("DLG007", "phone", "observed")], [*DLG, *ALG],
      {"phone-fix": "recommended"}, ["dropped"])  # fmt: skip
def _() -> House:
    """The phone is to refresh a session of 120 s and never does. The far end waits for longer than
    RFC 4028 asks for, and not to the end."""
    call = Timed(House(), "uac", 120)
    call.far_bye(3 + 105)
    return call.house


@case("dlg007-near-miss-its-refresher-hangs-up", must_not=["DLG007", *DLG, *ALG])
def _() -> House:
    """The same BYE from the end that is to refresh it: its user may have hung up."""
    call = Timed(House(), "uas", 120)
    call.far_bye(3 + 105)
    return call.house


def _asked_for_credentials(call: Timed, at: float) -> None:
    call.house.into(at, answer(
        407, call.refresh(at - 0.1), received=call.house.wan_ip, rport=call.house.wan_port,
        more=['Proxy-Authenticate: Digest realm="example.net", nonce="n1"'],
    ))  # fmt: skip


@case("dlg007-refresh-challenged-and-given-up", [("DLG007", "phone", "observed")], [*DLG, *ALG],
      outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The phone's refresh is asked for credentials, and it never comes with them. The provider did
    what it may, so it is not at fault."""
    call = Timed(House(), "uac")
    _asked_for_credentials(call, 903.1)
    call.far_bye(3 + 1768)
    return call.house


@case("dlg007-near-miss-refresh-challenged", must_not=["DLG007", *DLG, *ALG])
def _() -> House:
    """The same, and the next UPDATE has them."""
    call = Timed(House(), "uac")
    _asked_for_credentials(call, 903.1)
    call.accept(903.3, call.refresh(903.2))
    call.bye(3 + 1768)
    return call.house


# ---- a BYE to another server ----


def _hangs_up(contact: str, dst: str) -> House:
    """The phone sends its BYE to dst, and 481 comes back from there."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "cluster@phone", far_contact=contact)
    call.invite(1)
    call.respond(1.3, 180)
    call.ok(3)
    house.out(3.02, call._request("ACK", 1, contact.strip("<>"), f";tag={call._tag}"))
    made = call._request("BYE", 2, contact.strip("<>"), f";tag={call._tag}")
    seen = house.out(30, made, dst=dst)
    house.into(30.03, answer(481, seen), src=dst)
    return house


@case("dlg008-bye-to-another-server", [("DLG008", "unknown", "observed")], [*DLG, *ALG])
def _() -> House:
    """The Contact is a host name. The phone looks it up anew for its BYE and comes to a second
    server, which does not know the call: this says nothing about the phone's own Contact."""
    return _hangs_up("<sip:300@calls.example.net>", "203.0.113.6")


@case("dlg008-near-miss-bye-to-the-contact", [("DLG008", "provider", "observed")], [*DLG, *ALG],
      {"enable-rport-stun-outbound": "recommended",
       "provider-fix-contact": "recommended"})  # fmt: skip
def _() -> House:
    """The Contact names the second server itself: there the call was, and its BYE went to the
    private Contact of the phone."""
    return _hangs_up("<sip:300@203.0.113.6:5060>", "203.0.113.6")


# ---- subscriptions ----


def _renews(house: House, status: int) -> Subscribing:
    """The phone renews its subscription after a minute, and is refused."""
    one = Subscribing(house)
    house.out(1.2, answer(200, one.notify(1.1)))
    ids = one._ids(False)
    made = request(
        "SUBSCRIBE", f"sip:{house.provider}:5060", via=f"{house.phone}:{house.port}",
        branch="z9hG4bKrenews", call_id="mwi@phone", cseq=2, contact=one.contact, **ids,
        more=["Event: message-summary", "Expires: 3600"],
    )  # fmt: skip
    house.into(60.03, answer(status, house.out(60, made), received=house.wan_ip,
                             rport=house.wan_port))  # fmt: skip
    return one


def _anew(house: House, at: float) -> None:
    made = request(
        "SUBSCRIBE", "sip:100@example.net", via=f"{house.phone}:{house.port}",
        branch="z9hG4bKanew", call_id="mwi-anew@phone", cseq=1, contact=house.contact,
        caller="<sip:100@example.net>;tag=s2", callee="<sip:100@example.net>",
        more=["Event: message-summary", "Expires: 3600"],
    )  # fmt: skip
    house.into(at + 0.03, answer(
        200, house.out(at, made), to_tag="anew", contact=f"<sip:{house.provider}:5060>",
        received=house.wan_ip, rport=house.wan_port, more=["Expires: 3600"],
    ))  # fmt: skip
    made = request(
        "NOTIFY", f"sip:100@{house.public}", via=f"{house.provider}:5060", branch="z9hG4bKanewn",
        call_id="mwi-anew@phone", cseq=1, caller="<sip:100@example.net>;tag=anew",
        callee="<sip:100@example.net>;tag=s2",
        more=["Event: message-summary", "Subscription-State: active;expires=3600"],
    )  # fmt: skip
    house.out(at + 0.12, answer(200, house.into(at + 0.1, made)))


@case("dlg012-not-renewed", [("DLG012", "unknown", "observed")], [*DLG, "ALG014"], outcomes=[])
def _() -> House:
    """The server was restarted and knows the subscription no more (481). The phone does not
    subscribe anew, so its lamp stays dark: no all-clear."""
    house = House("linux")
    _renews(house, 481)
    register(house, 110, n=2)
    return house


@case("dlg012-near-miss-renewed-with-another-name", must_not=["DLG012", *DLG], outcomes=[])
def _() -> House:
    """The same, and the phone subscribes anew a moment later, as RFC 6665 wants it."""
    house = House("linux")
    _renews(house, 481)
    _anew(house, 61)
    register(house, 110, n=2)
    return house


@case("dlg012-near-miss-refused-at-the-end", must_not=["DLG012", *DLG], outcomes=[],
      state="fine")  # fmt: skip
def _() -> House:
    """The capture ends ten seconds after the refusal: the phone may still subscribe anew."""
    house = House("linux")
    _renews(house, 481)
    register(house, 70, n=2)
    return house


# ---- cancelled in vain ----


def _cancelled(tag: str, after: Sequence[float]) -> House:
    """The phone cancels its call at 4 s, and the CANCEL is refused. tag: in its To; after: the
    times of 2xx, ACK, BYE."""
    house = House()
    register(house, 0)
    outgoing_call(house, 0.1, "before@phone")
    call = Outgoing(house, "cancels@phone")
    call.invite(20)
    call.respond(20.03, 100)
    call.respond(20.3, 180)
    made = call._request("CANCEL", 1, "sip:300@example.net", tag, branch="invite")
    house.into(24.03, answer(481, house.out(24, made)))
    answered, acked, ended = after
    call.respond(answered, 200, sdp(house.provider, 20000))
    call.ack(acked)
    call.bye(ended)
    outgoing_call(house, 90, "later@phone")
    return house


LATE = (34.0, 34.02, 34.05)
TWICE = ["completed"] * 3


@case("txn007-refused-for-its-tag", [("TXN007", "phone", "observed")], [*DLG, *ALG],
      {"phone-fix": "recommended"}, TWICE)  # fmt: skip
def _() -> House:
    """The phone's CANCEL has the To tag of the 180, which its INVITE had not: 481. The called
    person answers ten seconds later and finds nobody."""
    return _cancelled(";tag=f-cancels-phone", LATE)


@case("txn007-refused-and-answered", [("TXN007", "unknown", "observed")], [*DLG, *ALG],
      outcomes=TWICE)  # fmt: skip
def _() -> House:
    """A CANCEL that fits its INVITE is refused, and the called person answers later."""
    return _cancelled("", LATE)


@case("txn007-near-miss-refused-at-the-answer", [("TXN007", "unknown", "none")], [*DLG, *ALG],
      outcomes=TWICE)  # fmt: skip
def _() -> House:
    """The answer was on its way when the CANCEL came: 481 is right, and the phone hangs up."""
    return _cancelled("", (24.01, 24.05, 24.1))


# ---- PRACK ----


def _prack(house: House, taken: bool) -> None:
    """A reliable 180 and the 200 right after it. taken: the phone's PRACK gets its response."""
    register(house, 0)
    call = Outgoing(house, "prack@phone")
    call.invite(1)
    house.into(1.3, answer(180, call.seen, to_tag=call._tag, contact=call.far_contact,
                           received=house.wan_ip, rport=house.wan_port,
                           more=["Require: 100rel", "RSeq: 9"]))  # fmt: skip
    call.ok(1.31)
    made = call._request("PRACK", 2, "sip:300@203.0.113.5:5060", f";tag={call._tag}").replace(
        b"Max-Forwards", b"RAck: 9 1 INVITE\r\nMax-Forwards")  # fmt: skip
    seen = house.out(1.33, made)
    call.ack(1.34)
    if taken:
        house.into(1.36, answer(200, seen, received=house.wan_ip, rport=house.wan_port))
    else:
        for after in LADDER_REQUEST:
            house.out(1.33 + after, made)
    bye = call._request("BYE", 3, "sip:300@203.0.113.5:5060", f";tag={call._tag}")
    house.into(50.03, answer(200, house.out(50, bye)))


@case("dlg013-near-miss-prack-too-late", [("TXN003", "network", "latent")], [*DLG, "DLG013", *ALG],
      state="cannot-tell")  # fmt: skip
def _() -> House:
    """The call is answered right after its reliable 180, and nobody answers the PRACK. The call
    lives: this may do harm, and has done none."""
    house = House()
    _prack(house, False)
    return house


@case("dlg013-near-miss-prack-taken-late", must_not=["TXN003", "DLG013", *DLG, *ALG])
def _() -> House:
    """The same with a response to the PRACK."""
    house = House()
    _prack(house, True)
    return house


# ---- credentials ----


@case("reg004-near-miss-empty-credentials", [("REG001", "phone", "observed")],
      ["REG004", *DLG, *ALG], outcomes=[])  # fmt: skip
def _() -> House:
    """Each REGISTER has credentials with an empty nonce, as a client of an IMS has in its first
    one. They answer no challenge, so the password is not shown to be wrong."""
    house = House()
    for k in range(4):
        asked = request(
            "REGISTER", "sip:example.net", via=f"{house.phone}:{house.port}",
            branch=f"z9hG4bKempty{k}", call_id="empty@phone", cseq=1 + k, contact=house.contact,
            caller="<sip:100@example.net>;tag=r1", more=["Expires: 120", 'Authorization: Digest '
            'username="100", realm="example.net", nonce="", uri="sip:example.net", response=""'],
        )  # fmt: skip
        house.into(1.03 + 10 * k, answer(
            401, house.out(1 + 10 * k, asked), to_tag="reg", received=house.wan_ip,
            rport=house.wan_port,
            more=[f'WWW-Authenticate: Digest realm="example.net", nonce="n{k}"'],
        ))  # fmt: skip
    return house
