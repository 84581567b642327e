# SPDX-License-Identifier: Apache-2.0
"""Golden cases of what random worlds (tests/worlds) showed of forked calls, subscriptions,
transfers and session timers."""

from __future__ import annotations

from craft import LADDER_REQUEST, House, Outgoing, Timed, answer, register, request

from cases.case import ALG, DLG, case
from cases.drops import PHONE_OR_PROVIDER, Subscribing
from cases.forked import Forked

# ---- forked calls, with packets that were not captured ----


@case("alg005-near-miss-acks-of-two-phones", must_not=["ALG005", "DLG009", *DLG, *ALG],
      state="cannot-tell")  # fmt: skip
def _() -> House:
    """Two phones take the call. The LAN capture lacks the ACK to one, the WAN capture the ACK to
    the other: these are two messages, and nobody changed a tag."""
    house = House()
    register(house, 0)
    call = Forked(house, "forked@phone")
    call.invite(1)
    call.respond(1.2, 180)
    call.second(1.3, 180)
    call.ok(3)
    call.ack(3.02, lan=False)
    call.second(3.03)
    call.ask_second("ACK", 1, 3.05)
    house.wan.remove(house.wan[-1])
    call.bye_second(3.3)
    call.bye(60)
    return house


# ---- NOTIFY ----


@case("dlg012-contact-not-changed-back", [("DLG012", "router", "observed")], [*DLG, "ALG014"],
      {"disable-sip-alg": "suspected"}, [])  # fmt: skip
def _() -> House:
    """The router writes another port into the Contact of the SUBSCRIBE and not back into the
    Request-URI of the NOTIFY, so the phone refuses it: this is not the phone's fault."""
    house = House()
    house.out_alg = lambda message: message.replace(
        b"Contact: <sip:100@192.168.1.10:5060>", b"Contact: <sip:100@198.51.100.2:5062>"
    )
    one = Subscribing(house)
    house.wan_port = 5062
    made = one.notify(1.1, wan=False, lan=False)
    house.wan_port = 5060
    house.out(1.2, answer(481, house.into(1.1, made)))
    return house


def _way_not_changed_back(dead: bool) -> House:
    """The router writes the public address into the Via of the SUBSCRIBE and not back in its
    response, which the phone takes all the same. dead: no NOTIFY comes."""
    house = House()
    house.out_alg = lambda message: message.replace(
        b"Via: SIP/2.0/UDP 192.168.1.10:5060", b"Via: SIP/2.0/UDP 198.51.100.2:5060"
    )
    one = Subscribing(house)
    register(house, 60, n=2)
    for n in (1, 2) if not dead else ():
        house.out(0.1 + 70 * n - 69, answer(200, one.notify(70 * n - 69, n)))
    return house


@case("dlg012-accepted-with-another-way", [("DLG012", "phone", "observed")], [*DLG, "ALG014"],
      PHONE_OR_PROVIDER, [])  # fmt: skip
def _() -> House:
    return _way_not_changed_back(True)


@case("dlg012-near-miss-notified-with-another-way", must_not=["DLG012", *DLG], outcomes=[])
def _() -> House:
    return _way_not_changed_back(False)


def _transfers() -> Outgoing:
    """The phone transfers its call to a third one (REFER), and the far end accepts that."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "transfer@phone", f"<sip:100@{house.public}>")
    call.invite(1)
    call.ok(3)
    call.ack(3.02)
    made = call._request("REFER", 2, call.far_contact.strip("<>"), f";tag={call._tag}",
                         call.contact)  # fmt: skip
    made = made.replace(b"Max-Forwards", b"Refer-To: <sip:400@example.net>\r\nMax-Forwards")
    house.into(10.03, answer(202, house.out(10, made), contact=call.far_contact))
    return call


def _told(call: Outgoing, at: float) -> None:
    """A NOTIFY of the transfer, which the phone refuses with 481."""
    more = ["Event: refer", "Subscription-State: active;expires=60"]
    seen = call.house.into(at, call.from_far("NOTIFY", more=more))
    call.house.out(at + 0.02, answer(481, seen))


@case("dlg012-notify-of-a-transfer-refused", [("DLG012", "phone", "observed")], [*DLG, *ALG])
def _() -> House:
    """The phone does not know the NOTIFY of its own transfer: its user learns nothing of it."""
    call = _transfers()
    _told(call, 10.1)
    call.bye(20)
    return call.house


@case("dlg012-near-miss-transferred-and-left", must_not=["DLG012", *DLG, *ALG])
def _() -> House:
    """The phone has left the call with the 202, as most do, when the NOTIFY comes."""
    call = _transfers()
    call.bye(10.1)
    _told(call, 10.3)
    return call.house


# ---- a SUBSCRIBE that does not hear its response ----


def _subscribes(repeated: tuple[float, ...]) -> House:
    """A phone without rport subscribes, and the responses come to the phone at the port in its Via.
    Its NOTIFY comes to it. repeated: s from the first SUBSCRIBE to the others."""
    house, other = House(wan_port=40010), House(phone="192.168.1.11")
    register(house, 0)
    register(other, 0.5, n=5)
    made = request(
        "SUBSCRIBE", "sip:100@example.net", via="192.168.1.10:5060", branch="z9hG4bKsub",
        call_id="mwi@phone", cseq=1, contact=f"<sip:100@{house.public}>", rport=False,
        caller="<sip:100@example.net>;tag=s1", callee="<sip:100@example.net>",
        more=["Event: message-summary", "Expires: 600"],
    )  # fmt: skip
    told = request(
        "NOTIFY", f"sip:100@{house.public}", via="203.0.113.5:5060", branch="z9hG4bKnot",
        call_id="mwi@phone", cseq=1, caller="<sip:100@example.net>;tag=mwi",
        callee="<sip:100@example.net>;tag=s1",
        more=["Event: message-summary", "Subscription-State: active;expires=600"],
    )  # fmt: skip
    for after in (0, *repeated):
        seen = house.out(1 + after, made)
        other.into(1.03 + after, answer(200, seen, to_tag="mwi", contact="<sip:203.0.113.5:5060>",
                                        more=["Expires: 600"]))  # fmt: skip
        if not after:
            house.out(1.06, answer(200, house.into(1.04, told)))
    register(house, 60, n=2)
    house.lan += other.lan
    house.wan += other.wan
    return house


@case("txn003-subscribe-without-its-response", [("TXN003", "unknown", "latent")], [*DLG, *ALG],
      outcomes=[], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The phone sends its SUBSCRIBE for 32 s: each 200 is given to another phone. The NOTIFY comes,
    and does not hide that."""
    return _subscribes(LADDER_REQUEST)


@case("txn003-near-miss-subscribe-again-once", must_not=["TXN003", *DLG, *ALG], outcomes=[])
def _() -> House:
    """One retransmission crosses the response."""
    return _subscribes(LADDER_REQUEST[:1])


# ---- session timers ----


@case("dlg007-refresh-let-in-after-the-bye", [("DLG007", "router", "observed")], [*DLG, *ALG],
      outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The refresh of the far end finds no mapping until the phone hangs up for the want of it, and
    makes a new one by that. Its answer after the BYE refreshes nothing."""
    call = Timed(House(), "uas", 90)
    house = call.house
    made = call.from_far("UPDATE", 7)
    for after in LADDER_REQUEST[:7]:
        house.into(48 + after, made, lan=False)
    call.bye(63)
    house.out(63.6, answer(200, house.into(63.5, made), more=[*call.timer]))
    return house
