# SPDX-License-Identifier: Apache-2.0
"""Golden cases of SDP004: an answer or an ACK without the SDP that the other end waits for, and of
those that are right without it."""

from __future__ import annotations

from craft import House, Incoming, Outgoing, answer, register, sdp, sized

from cases.case import ALG, DLG, case

NO = ("DLG014", *DLG, *ALG)


def _asked_again(house: House, body: bytes, ends: float, alg: bool = False) -> Outgoing:
    """The far end sends a re-INVITE with an offer, and the phone's 2xx has this body. ends: the
    time of the far end's BYE; alg: the router takes the body out."""
    register(house, 0)
    call = Outgoing(house, "bare@phone")
    call.set_up(1)
    made = call.from_far("INVITE", more=[f"Contact: {call.far_contact}",
                                         "Content-Type: application/sdp"])  # fmt: skip
    seen = house.into(10, sized(made + sdp(house.provider, 20000)))
    final = answer(200, seen, contact=call.contact, body=body)
    house.out(10.1, final, alg=lambda m: sized(m.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
              if alg else m)  # fmt: skip
    house.into(10.15, call.from_far("ACK").replace(b"z9hG4bKfack", b"z9hG4bKfagain"))
    seen = house.into(ends, call.from_far("BYE", cseq=2))
    house.out(ends + 0.02, answer(200, seen))
    return call


@case("sdp004-2xx-to-a-re-invite", [("SDP004", "phone", "observed")], NO,
      {"phone-fix": "recommended"})  # fmt: skip
def _() -> House:
    """The far end asks for another session (after a fax was refused), and the phone's 2xx has no
    SDP. The far end hangs up at once."""
    house = House()
    _asked_again(house, b"", 10.2)
    return house


@case("sdp004-near-miss-goes-on-without", must_not=["SDP004", *NO])
def _() -> House:
    """The same, and the call goes on for a minute: the far end does without."""
    house = House()
    _asked_again(house, b"", 70)
    return house


@case("sdp004-near-miss-answered-with-sdp", must_not=["SDP004", *NO])
def _() -> House:
    """The 2xx has its SDP, and the far end hangs up at once all the same."""
    house = House()
    _asked_again(house, sdp(house.phone), 10.2)
    return house


@case("sdp004-near-miss-another-body", must_not=["SDP004", *NO])
def _() -> House:
    """The 2xx has a body of another kind: what is in it is not known here."""
    house = House()
    _asked_again(house, b"--part\r\nContent-Type: text/plain\r\n\r\nhello\r\n--part--\r\n", 10.2)
    return house


@case("sdp004-taken-out-by-the-router",
      [("SDP004", "router", "observed"), ("ALG007", "router", "latent")], DLG,
      {"disable-sip-alg": "suspected"})  # fmt: skip
def _() -> House:
    """The phone wrote its SDP, and the router took it out: not the phone's fault."""
    house = House()
    _asked_again(house, sdp(house.phone), 10.2, alg=True)
    return house


def _offered_late(house: House, answered: bool) -> Incoming:
    """An INVITE without SDP: the phone's 2xx is the offer. answered: the ACK has the answer."""
    register(house, 0)
    call = Incoming(house, "late@provider")
    call.invite(1)
    house.lan.pop()
    house.wan.pop()
    call.invited = sized(call.invited.partition(b"\r\n\r\n")[0].replace(
        b"Content-Type: application/sdp\r\n", b"") + b"\r\n\r\n")  # fmt: skip
    call.invite(1)
    call.ringing(1.2)
    call.ok(3)
    ack = call._in_dialog("ACK", 1, f"{call.src}:5060", ["Content-Type: application/sdp"]
                          if answered else [])  # fmt: skip
    house.into(3.05, sized(ack + sdp(house.provider, 20000)) if answered else ack)
    call.phone_bye(3.1 if not answered else 20)
    return call


@case("sdp004-ack-without-the-answer", [("SDP004", "provider", "observed")], NO,
      {"provider-fix": "recommended"})  # fmt: skip
def _() -> House:
    """The provider's INVITE has no SDP, so its ACK has to have it, and has not. The phone hangs up
    at once."""
    house = House()
    _offered_late(house, False)
    return house


@case("sdp004-near-miss-late-offer", must_not=["SDP004", *NO])
def _() -> House:
    """The same done right."""
    house = House()
    _offered_late(house, True)
    return house
