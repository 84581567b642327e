# SPDX-License-Identifier: Apache-2.0
"""The golden captures of message flows of the RFCs (3261, 3262, 5359, 6665) with one message lost,
or changed by the router, on its way."""

from __future__ import annotations

from craft import (
    LADDER_INVITE,
    LADDER_REQUEST,
    House,
    Incoming,
    Outgoing,
    Rewriter,
    answer,
    incoming_call,
    register,
    request,
)

from cases.case import ALG, DLG, answered, case
from cases.drops import Subscribing

TRIAL = {"disable-sip-alg": "suspected"}
NAMES = ["DLG002", "DLG008"]


def _in(kind: bytes, old: bytes, new: bytes) -> Rewriter:
    """Writes new for old into messages that begin so."""
    return lambda made: made.replace(old, new) if made.startswith(kind) else made


# ---- a response that its asker does not hear ----


def _not_heard(method: str, again: tuple[float, ...], more: tuple[str, ...] = ()) -> House:
    """The phone sends a request again after its response, so often."""
    house = House()
    register(house, 0)
    asked = request(
        method, "sip:300@example.net", via=f"{house.phone}:{house.port}", branch="z9hG4bKdeaf",
        call_id="deaf@phone", cseq=1, caller="<sip:100@example.net>;tag=d1",
        callee="<sip:300@example.net>", contact=house.contact, more=more,
    )  # fmt: skip
    for after in (0, *again):
        seen = house.out(1 + after, asked)
        house.into(1.03 + after, answer(
            200, seen, to_tag="d2", contact=f"<sip:{house.provider}:5060>",
            received=house.wan_ip, rport=house.wan_port, more=["Expires: 600"],
        ))  # fmt: skip
        if method == "SUBSCRIBE" and not after:
            told = request(
                "NOTIFY", f"sip:100@{house.public}", via=f"{house.provider}:5060",
                branch="z9hG4bKtold", call_id="deaf@phone", cseq=1,
                caller="<sip:300@example.net>;tag=d2", callee="<sip:100@example.net>;tag=d1",
                more=["Event: dialog", "Subscription-State: active;expires=600"],
            )  # fmt: skip
            house.out(1.1, answer(200, house.into(1.08, told)))
    incoming_call(house, 300, "later@provider", fixed_contact=f"sip:100@{house.public}")
    return house


@case("txn003-subscribe-not-heard", [("TXN003", "unknown", "latent")], [*DLG, *ALG],
      state="cannot-tell")  # fmt: skip
def _() -> House:
    """Each SUBSCRIBE is answered on both sides, its NOTIFY is accepted, and the phone sends it
    until Timer F: the response is lost in the LAN."""
    return _not_heard("SUBSCRIBE", LADDER_REQUEST, ("Event: dialog", "Expires: 600"))


@case("txn003-publish-not-heard", [("TXN003", "unknown", "latent")], [*DLG, *ALG],
      state="cannot-tell")  # fmt: skip
def _() -> House:
    """The same of a PUBLISH: the phone cannot tell that its state is known."""
    return _not_heard("PUBLISH", LADDER_REQUEST, ("Event: presence", "Expires: 600"))


@case("txn003-near-miss-keep-alive", must_not=["TXN003", *DLG, *ALG])
def _() -> House:
    """A phone sends each keep-alive as the same OPTIONS, every 15 s, and all are answered."""
    return _not_heard("OPTIONS", tuple(15.0 * n for n in range(1, 9)))


@case("txn003-near-miss-subscribe-heard-late", must_not=["TXN003", *DLG, *ALG])
def _() -> House:
    """Three SUBSCRIBEs cross the first response on a slow way, and then no more come."""
    return _not_heard("SUBSCRIBE", (0.5, 1.5, 3.5), ("Event: dialog", "Expires: 600"))


def _asked(to: str) -> House:
    """OPTIONS of a provider whose Via has the address of a server behind it. to: the phone sends
    its responses there; "" for the source."""
    house = House()
    register(house, 0)
    made = request(
        "OPTIONS", f"sip:100@{house.public}", via="10.1.2.3:5060", branch="z9hG4bKask",
        call_id="ask@provider", cseq=1, caller="<sip:ping@example.net>;tag=a1",
        callee="<sip:100@example.net>", rport=False,
    )  # fmt: skip
    for after in (0, *LADDER_REQUEST):
        house.out(10.01 + after, answer(200, house.into(10 + after, made), to_tag="a2"), dst=to)
    incoming_call(house, 80, "later@provider", fixed_contact=f"sip:100@{house.public}")
    return house


@case("txn003-answered-to-the-via", [("TXN003", "phone", "latent")], [*DLG, *ALG],
      state="cannot-tell")  # fmt: skip
def _() -> House:
    """The phone sends its responses to the address in the Via, and not to the source of the
    request, as RFC 3261 section 18.2.2 wants it."""
    return _asked("10.1.2.3")


@case("txn003-near-miss-answered-to-the-source", [("TXN003", "unknown", "latent")], [*DLG, *ALG],
      state="cannot-tell")  # fmt: skip
def _() -> House:
    """The responses go to the source, and are lost further on."""
    return _asked("")


# ---- one message with a changed name, after others without ----


@case("dlg009-tag-changed-in-bye", [("DLG009", "router", "observed")], NAMES, TRIAL)
def _() -> House:
    """The router changes the From tag of the BYE alone. The 481 is no sign of an earlier BYE, and
    the private Contact of the phone is not to blame."""
    house = House()
    house.out_alg = _in(b"BYE", b";tag=p-", b";tag=q-")
    register(house, 0)
    call = Outgoing(house, "names@phone")
    call.invite(1)
    call.ok(3)
    call.ack(3.02)
    bye = call._request("BYE", 2, "sip:300@203.0.113.5:5060", f";tag={call._tag}")
    house.into(9.03, answer(481, house.out(9, bye)))
    return house


@case("dlg009-tag-changed-in-far-bye", [("DLG009", "router", "observed")], NAMES, TRIAL)
def _() -> House:
    """The same of the far end's BYE on its way to the phone, which refuses it."""
    house = House()
    house.in_alg = _in(b"BYE", b";tag=f-", b";tag=g-")
    register(house, 0)
    call = Outgoing(house, "names@phone")
    call.invite(1)
    call.ok(3)
    call.ack(3.02)
    house.out(9.03, answer(481, house.into(9, call.from_far("BYE"))))
    return house


@case("dlg009-tag-changed-in-2xx",
      [("DLG001", "router", "observed"), ("DLG009", "router", "observed")], NAMES, TRIAL,
      ["dropped"])  # fmt: skip
def _() -> House:
    """The router changes the From tag of the phone's 2xx, which so answers no INVITE of the far
    end. No ACK comes, and not for the private Contact."""
    house = House()
    house.out_alg = _in(b"SIP/2.0 200", b";tag=c-", b";tag=d-")
    register(house, 0)
    answered(house).dropped(3)
    register(house, 60, n=2)
    return house


def _of_callee(back: bool) -> House:
    """The router changes the tag of the callee in the responses that bring it."""
    house = House()
    house.in_alg = lambda made: made.replace(b";tag=f-", b";tag=g-")
    if back:
        house.out_alg = lambda made: made.replace(b";tag=g-", b";tag=f-")
    register(house, 0)
    call = Outgoing(house, "names@phone")
    call.invite(1)
    call.respond(1.3, 180)
    call.ok(3)
    made = call._request("ACK", 1, "sip:300@203.0.113.5:5060", f";tag=g-{call._tag[2:]}")
    house.out(3.02, made)
    bye = call._request("BYE", 2, "sip:300@203.0.113.5:5060", f";tag=g-{call._tag[2:]}")
    house.into(9.03, answer(200 if back else 481, house.out(9, bye)))
    return house


@case("dlg009-near-miss-tag-of-callee", [("ALG005", "router", "latent")], ["DLG009", *NAMES])
def _() -> House:
    """The INVITE crosses as it is, the 180 brings the callee's tag, and the router changes this
    both ways."""
    return _of_callee(True)


def _second_notify(old: bytes, new: bytes) -> House:
    """The router writes new for old into the second NOTIFY, which the phone refuses."""
    house = House()
    one = Subscribing(house, "<sip:100@198.51.100.2:5060>")
    house.out(1.2, answer(200, one.notify(1.1)))
    house.in_alg = _in(b"NOTIFY", old, new)
    house.out(61.1, answer(481, one.notify(61, 2)))
    return house


@case("dlg012-tag-changed-in-notify", [("DLG012", "router", "observed")], [*DLG, "ALG014"], TRIAL,
      [])  # fmt: skip
def _() -> House:
    """The router changes the From tag of the second NOTIFY. The phone is right to refuse it."""
    return _second_notify(b";tag=mwi", b";tag=lamp")


@case("dlg012-target-changed-in-notify", [("DLG012", "router", "observed")], [*DLG, "ALG014"],
      TRIAL, [])  # fmt: skip
def _() -> House:
    """The same of its Request-URI, which becomes the router's own address."""
    return _second_notify(b"sip:100@198.51.100.2:5060", b"sip:lamp@192.168.1.1:5060")


# ---- a Request-URI that nobody has ----


def _asks(host: bytes, status: int) -> House:
    """The router writes that host into the Request-URI of a call, which is refused."""
    house = House()
    house.out_alg = _in(b"INVITE", b"INVITE sip:300@example.net", b"INVITE sip:300@" + host)
    register(house, 0)
    call = Outgoing(house, "asks@phone")
    call.invite(1)
    call.respond(1.1, status)
    call.nak(1.12)
    register(house, 60, n=2)
    return house


@case("alg011-own-address-in-request-uri", [("ALG011", "router", "observed")], DLG, TRIAL,
      ["rejected"])  # fmt: skip
def _() -> House:
    """The router puts its own address into the Request-URI, and the provider has no such user."""
    return _asks(b"198.51.100.2:5060", 404)


@case("alg011-near-miss-provider-in-request-uri", [("ALG011", "router", "latent")], DLG,
      outcomes=["rejected"])  # fmt: skip
def _() -> House:
    """It puts the address of the provider there: the number may well be wrong."""
    return _asks(b"203.0.113.5:5060", 404)


@case("alg011-near-miss-busy", [("ALG011", "router", "latent")], DLG, outcomes=["rejected"])
def _() -> House:
    """The called person is busy, so the Request-URI was understood."""
    return _asks(b"198.51.100.2:5060", 486)


# ---- a new INVITE of the same call after its refusal ----


def _redirected(stopped: bool) -> House:
    """The provider redirects the phone, which asks anew with the next number."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "moved@phone")
    call.invite(1)
    call.respond(1.1, 302)
    call.nak(1.12)
    anew = call._request("INVITE", 2, "sip:400@example.net", "", call.contact, call.body,
                         branch="anew")  # fmt: skip
    if stopped:
        for after in (0, *LADDER_INVITE):
            house.out(1.2 + after, anew, wan=False)
    else:
        call.invited, call.seen = anew, house.out(1.2, anew)
        call.ok(3)
        house.out(3.02, call._request("ACK", 2, "sip:300@203.0.113.5:5060", f";tag={call._tag}"))
        bye = call._request("BYE", 3, "sip:300@203.0.113.5:5060", f";tag={call._tag}")
        house.into(9.03, answer(200, house.out(9, bye)))
    register(house, 60, n=2)
    return house


@case("txn001-asked-anew-and-stopped", [("TXN001", "router", "observed")], [*DLG, *ALG],
      outcomes=["unanswered"])  # fmt: skip
def _() -> House:
    """The INVITE after a 302 never leaves the router. The WAN side shows the refused one alone, and
    the call is not over with that."""
    return _redirected(True)


@case("txn001-near-miss-asked-anew", must_not=["TXN001", *DLG, *ALG])
def _() -> House:
    """It leaves, and is answered."""
    return _redirected(False)


@case("txn009-refusal-stopped",
      [("TXN009", "router", "observed"), ("TXN002", "router", "observed")], [*DLG, *ALG],
      outcomes=["cancelled"])  # fmt: skip
def _() -> House:
    """After 100 Trying a 403 comes to the WAN side eleven times and never to the LAN, where the
    phone waits until its user hangs up. That nothing came is not true."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "waits@phone")
    call.invite(1)
    call.respond(1.03, 100)
    for after in (0, *LADDER_REQUEST):
        call.respond(1.5 + after, 403, lan=False)
    call.cancel(41)
    register(house, 60, n=2)
    return house


# ---- a reliable provisional response without PRACK ----


def unpracked(alg: Rewriter | None = None, known: float = 0, contact: str = "") -> House:
    """A 183 of the phone that asks for PRACK, in vain. known: s, when a call to the private Contact
    of the phone lives."""
    house = House()
    register(house, 0)
    if known:
        incoming_call(house, known, "shows@provider", fixed_contact=f"sip:100@{house.public}")
    call = Incoming(house, "prack@provider", contact, more=["Supported: 100rel"])
    call.invite(20)
    made = answer(183, call.delivered, to_tag=call._tag, contact=call.contact, body=call.body,
                  more=["Require: 100rel", "RSeq: 1"])  # fmt: skip
    for after in (0, *LADDER_INVITE):
        house.out(20.2 + after, made, alg=alg)
    house.out(52.3, answer(504, call.delivered, to_tag=call._tag))
    nak = request("ACK", f"sip:100@{house.public}", via=f"{call.src}:5060",
                  branch="z9hG4bKi-prack-provider", call_id="prack@provider", cseq=1,
                  **call._ids())  # fmt: skip
    house.into(52.33, nak)
    return house


@case("dlg013-nat-is-handled", [("DLG013", "network", "observed")], [*DLG, *ALG],
      outcomes=["rejected", "completed"])  # fmt: skip
def _() -> House:
    """No PRACK comes to a phone with a private Contact, past which its provider has found it in an
    earlier call."""
    return unpracked(known=1)


@case("dlg013-nat-is-handled-later", [("DLG013", "network", "observed")], [*DLG, *ALG],
      outcomes=["rejected", "completed"])  # fmt: skip
def _() -> House:
    """The same with that call later: the order of calls does not matter."""
    return unpracked(known=70)


@case("dlg013-near-miss-nat-not-handled", [("DLG013", "phone", "observed")], [*DLG, *ALG],
      {"enable-rport-stun-outbound": "recommended", "provider-fix-contact": "recommended"},
      ["rejected"])  # fmt: skip
def _() -> House:
    """Without such a call nothing shows that the provider can reach the private Contact."""
    return unpracked()


@case("dlg013-spoiled-in-the-router", [("DLG013", "router", "observed")], [*DLG, "ALG014"],
      outcomes=["rejected"])  # fmt: skip
def _() -> House:
    """The router makes the Content-Length of the 183 longer than its body, so nobody reads it."""
    return unpracked(lambda made: made.replace(b"Content-Length: ", b"Content-Length: 1"),
                      contact="<sip:100@198.51.100.2:5060>")  # fmt: skip
