# SPDX-License-Identifier: Apache-2.0
"""Golden cases of requests with a CSeq number that their sender had used before (RFC 3261 section
12.2.1.1), and of those where the number is not to blame."""

from __future__ import annotations

from craft import LADDER_2XX, House, Incoming, Outgoing, Timed, answer, register, request, sdp

from cases.case import ALG, DLG, answered, case
from cases.drops import Subscribing
from cases.sdp import ways


def _talks(house: House, challenged: bool = False) -> Outgoing:
    """A call of the phone, answered at 3 s. challenged: its INVITE comes twice, 1 and 2."""
    register(house, 0)
    call = Outgoing(house, "numbers@phone")
    call.invite(1)
    if challenged:
        house.into(1.03, answer(407, call.seen, to_tag="asks", received=house.wan_ip,
                                rport=house.wan_port, more=['Proxy-Authenticate: Digest '
                                'realm="example.net", nonce="n1"']))  # fmt: skip
        nak = call._request("ACK", 1, "sip:300@example.net", ";tag=asks", branch="invite")
        house.out(1.05, nak)
        call.invited = call._request("INVITE", 2, "sip:300@example.net", "", call.contact,
                                     call.body, branch="again").replace(
            b"Max-Forwards", b'Proxy-Authorization: Digest username="100", realm="example.net", '
            b'nonce="n1", uri="sip:300@example.net", response="0123456789abcdef0123456789abcdef"'
            b"\r\nMax-Forwards")  # fmt: skip
        call.invite(1.06)
    call.respond(1.3, 180)
    call.ok(3)
    house.out(3.02, call._request("ACK", 1 + challenged, "sip:300@203.0.113.5:5060",
                                  f";tag={call._tag}"))  # fmt: skip
    return call


def _refused_bye(call: Outgoing, at: float, cseq: int) -> None:
    """The phone hangs up, and the far end refuses its BYE with 500."""
    made = call._request("BYE", cseq, "sip:300@203.0.113.5:5060", f";tag={call._tag}")
    seen = call.house.out(at, made)
    call.house.into(at + 0.03, answer(500, seen, received=call.house.wan_ip,
                                      rport=call.house.wan_port))  # fmt: skip


@case("txn003-bye-with-an-old-number", [("TXN003", "phone", "observed")], [*DLG, *ALG, "DLG008"],
      {"phone-fix": "recommended"})  # fmt: skip
def _() -> House:
    """The phone's INVITE had number 2 after a challenge, and its BYE has 2 again: the far end has
    to refuse it, and stays in the call."""
    call = _talks(House(), challenged=True)
    _refused_bye(call, 30, 2)
    return call.house


@case("txn003-near-miss-bye-with-a-new-number", [("TXN003", "network", "observed")],
      [*DLG, *ALG, "DLG008"])  # fmt: skip
def _() -> House:
    """The same refusal of a BYE with number 3: the phone did nothing wrong."""
    call = _talks(House(), challenged=True)
    _refused_bye(call, 30, 3)
    return call.house


@case("txn003-bye-with-an-old-number-of-the-provider", [("TXN003", "provider", "observed")],
      [*DLG, "ALG014"], {"provider-fix": "recommended"})  # fmt: skip
def _() -> House:
    """The far end's BYE has the number of its INVITE, as from a proxy that makes it by itself. The
    phone refuses it, as it has to, and its user hangs up later."""
    house = House("linux")
    register(house, 0)
    call = answered(house)
    call.ack(3.05)
    seen = house.into(20, call._in_dialog("BYE", 1, f"{call.src}:5060", ()), src=call.src)
    house.out(20.02, answer(500, seen), dst=call.src)
    call.phone_bye(40)
    return house


@case("txn003-near-miss-number-changed-in-the-router",
      [("TXN003", "unknown", "observed"), ("ALG005", "router", "latent")], DLG,
      outcomes=["completed"])  # fmt: skip
def _() -> House:
    """The phone's numbers rise, and the router makes the one of its BYE a 1 again. What the far end
    refuses is not what the phone wrote."""
    house = House()
    house.out_alg = lambda made: made.replace(b"CSeq: 3 BYE", b"CSeq: 1 BYE")
    house.in_alg = lambda made: made.replace(b"CSeq: 1 BYE", b"CSeq: 3 BYE")
    call = _talks(house, challenged=True)
    _refused_bye(call, 30, 3)
    return house


def _holds(call: Outgoing, cseq: int) -> None:
    """Twice, and in vain: 500."""
    house, tag = call.house, f";tag={call._tag}"
    for number, at in enumerate((20, 25)):
        made = call._request("INVITE", cseq + number * (cseq > 1), "sip:300@203.0.113.5:5060", tag,
                             call.contact, ways(sdp(house.phone), "sendonly"),
                             branch=f"hold{number}")  # fmt: skip
        seen = house.out(at, made)
        house.into(at + 0.05, answer(500, seen, received=house.wan_ip, rport=house.wan_port))
        house.out(at + 0.06, call._request("ACK", cseq + number * (cseq > 1),
                                           "sip:300@203.0.113.5:5060", tag,
                                           branch=f"hold{number}"))  # fmt: skip


@case("dlg014-hold-with-an-old-number", [("DLG014", "phone", "observed")], [*DLG, *ALG],
      {"phone-fix": "recommended"})  # fmt: skip
def _() -> House:
    """The phone asks for hold with the number of its INVITE, and is refused with 500 each time."""
    call = _talks(House())
    _holds(call, 1)
    call.far_bye(60)
    return call.house


@case("dlg014-near-miss-hold-with-a-new-number", [("DLG014", "network", "observed")],
      [*DLG, *ALG])  # fmt: skip
def _() -> House:
    """The same with rising numbers: whoever refuses it has another reason."""
    call = _talks(House())
    _holds(call, 2)
    call.far_bye(60)
    return call.house


@case("dlg007-refresh-with-an-old-number", [("DLG007", "phone", "observed")], [*DLG, *ALG],
      {"phone-fix": "recommended"}, ["dropped"])  # fmt: skip
def _() -> House:
    """The phone is to refresh the session. Its UPDATE has the number of its INVITE and is refused
    with 500; nothing else refreshes the session, and its timer ends the call."""
    call = Timed(House(), "uac")
    call.refreshes = -1
    call.refused(903.1, call.refresh(903), 500)
    call.far_bye(3 + 1768)
    return call.house


# ---- NOTIFY ----


@case("dlg012-notify-with-an-old-number", [("DLG012", "provider", "observed")], [*DLG, "ALG014"],
      {"provider-fix": "recommended"}, [])  # fmt: skip
def _() -> House:
    """After a restart the notifier counts from 1 again in a dialog where it had come to 5000. The
    phone refuses these NOTIFY requests, and its lamps stop."""
    house = House("linux")
    one = Subscribing(house)
    house.out(1.2, answer(200, one.notify(1.1, 5000)))
    for n, at in ((1, 30), (2, 60)):
        house.out(at + 0.02, answer(500, one.notify(at, n)))
    return house


@case("dlg012-near-miss-notify-refused-once", must_not=["DLG012", *DLG], outcomes=[],
      state="cannot-tell")  # fmt: skip
def _() -> House:
    """A NOTIFY with a new number is refused with 500, and the next one is taken."""
    house = House("linux")
    one = Subscribing(house)
    house.out(1.2, answer(200, one.notify(1.1, 5000)))
    house.out(30.02, answer(500, one.notify(30, 5001)))
    house.out(60.02, answer(200, one.notify(60, 5002)))
    return house


# ---- ACK ----


@case("txn008-number-of-no-invite",
      [("TXN008", "provider", "observed"), ("DLG001", "provider", "observed")],
      ["DLG002", "DLG004", *ALG], {"provider-fix": "recommended"}, ["dropped"])  # fmt: skip
def _() -> House:
    """The far end's ACK has number 9, its INVITE 1. It reaches the phone, and acknowledges
    nothing: that no ACK came would be wrong, and no network lost it."""
    house = House()
    register(house, 0)
    call = answered(house)
    for after in LADDER_2XX:
        call.ok(3 + after)
        made = call._in_dialog("ACK", 9, f"{call.src}:5060", ())
        house.into(3.05 + after, made, src=call.src)
    call.phone_bye(35)
    return house


def _asks_again(house: House, ack: int, late: bool = False) -> Incoming:
    """A re-INVITE of the far end in an answered call, and the ACK to its 2xx with that number.
    late: the ACK of the first INVITE comes between."""
    register(house, 0)
    call = answered(house)
    call.ack(3.05)
    again = call._in_dialog("INVITE", 2, f"{call.src}:5060", [f"Contact: {call.far}"])
    final = answer(200, house.into(30, again), contact=call.contact, body=sdp(house.phone))
    house.out(30.2, final)
    if late:
        house.out(30.7, final)
        house.into(30.72, call._in_dialog("ACK", 1, f"{call.src}:5060", ()))
        house.into(30.75, call._in_dialog("ACK", ack, f"{call.src}:5060", ()).replace(
            b"z9hG4bKack-", b"z9hG4bKagain-"))  # fmt: skip
        call.bye(60)
        return call
    for after in LADDER_2XX:
        house.out(30.2 + after, final)
        house.into(30.25 + after, call._in_dialog("ACK", ack, f"{call.src}:5060", ()).replace(
            b"z9hG4bKack-", b"z9hG4bKagain-"))  # fmt: skip
    call.phone_bye(62.2)
    return call


@case("txn008-number-of-the-invite-before",
      [("TXN008", "provider", "observed"), ("DLG001", "provider", "observed")],
      ["DLG002", "DLG004", "DLG010", *ALG], {"provider-fix": "recommended"},
      ["dropped"])  # fmt: skip
def _() -> House:
    """The ACK to the 2xx of a re-INVITE has the number of the first INVITE, each time."""
    house = House()
    _asks_again(house, 1)
    return house


@case("txn008-near-miss-late-ack-of-the-invite-before", must_not=["TXN008", *DLG, *ALG])
def _() -> House:
    """The ACK of the first INVITE comes once more after the re-INVITE was answered, and then the
    right one."""
    house = House()
    _asks_again(house, 2, late=True)
    return house


@case("txn003-near-miss-options-beside-the-call", must_not=["TXN003", *DLG, *ALG])
def _() -> House:
    """An OPTIONS of the phone with a low number and refused with 500 is no request of the call."""
    house = House()
    call = _talks(house)
    made = request("OPTIONS", "sip:example.net", via=f"{house.phone}:{house.port}",
                   branch="z9hG4bKopt", call_id="ping@phone", cseq=1)  # fmt: skip
    house.into(10.03, answer(500, house.out(10, made), to_tag="o", received=house.wan_ip,
                             rport=house.wan_port))  # fmt: skip
    call.bye(20)
    return house
