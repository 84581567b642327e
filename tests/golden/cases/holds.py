# SPDX-License-Identifier: Apache-2.0
"""Golden cases of DLG014: a hold that is refused, or that the other end does not take."""

from __future__ import annotations

from craft import House, Outgoing, answer, register, sdp, sized

from cases.case import ALG, DLG, case
from cases.sdp import ways

NO = ("DLG007", "DLG008", "TXN002", "TXN003", *DLG, *ALG)
HELD = ["completed"]


def _talks(alg: str = "") -> Outgoing:
    house = House(alg)
    register(house, 0)
    call = Outgoing(house, "holds@phone")
    call.set_up(1, rings=0.1)
    return call


def _holds(call: Outgoing, at: float, cseq: int, status: int = 200, way: str = "sendonly",
           back: str = "sendrecv", offer: bytes = b"") -> None:  # fmt: skip
    """A re-INVITE of the phone and its response. way, back: the directions in both."""
    house, branch = call.house, f"hold{cseq}"
    target, tag = call.far_contact.strip("<>"), f";tag={call._tag}"
    body = offer or ways(sdp(house.phone), way)
    seen = house.out(at, call._request("INVITE", cseq, target, tag, call.contact, body,
                                       branch=branch))  # fmt: skip
    accepted = status == 200
    house.into(at + 0.05, answer(
        status, seen, contact=call.far_contact if accepted else "", received=house.wan_ip,
        body=ways(sdp(house.provider, 20000), back) if accepted else b"", rport=house.wan_port,
    ))  # fmt: skip
    branch = f"ack{cseq}" if accepted else branch
    house.out(at + 0.06, call._request("ACK", cseq, target, tag, branch=branch))


def _held_by_far_end(call: Outgoing, at: float, back: str) -> None:
    house = call.house
    made = call.from_far("INVITE", more=[f"Contact: {call.far_contact}",
                                         "Content-Type: application/sdp"])  # fmt: skip
    seen = house.into(at, sized(made + ways(sdp(house.provider, 20000), "sendonly")))
    house.out(at + 0.1, answer(200, seen, contact=call.contact,
                               body=ways(sdp(house.phone), back)))  # fmt: skip
    house.into(at + 0.15, call.from_far("ACK").replace(b"z9hG4bKfack", b"z9hG4bKfheld"))


# ---- answered with sendrecv ----


@case("dlg014-hold-answered-sendrecv", [("DLG014", "provider", "observed")], NO,
      {"provider-fix": "recommended"}, HELD)  # fmt: skip
def _() -> House:
    """The provider answers the phone's hold (sendonly) with sendrecv, and the phone ends the call
    at once: RFC 3264 section 6.1 wants recvonly or inactive."""
    call = _talks()
    _holds(call, 20, 2)
    call.bye(20.3)
    return call.house


@case("dlg014-hold-answered-sendrecv-by-phone", [("DLG014", "phone", "observed")], NO,
      {"phone-fix": "recommended"}, HELD)  # fmt: skip
def _() -> House:
    """The same the other way round: the phone answers, and the far end gives up."""
    call = _talks()
    _held_by_far_end(call, 20, "sendrecv")
    call.far_bye(20.4)
    return call.house


@case("dlg014-router-changes-the-hold", [("DLG014", "router", "observed")], DLG,
      {"disable-sip-alg": "suspected"}, HELD)  # fmt: skip
def _() -> House:
    """The provider answers recvonly, the router makes sendrecv of that, and the phone ends the
    call at once."""
    call = _talks()
    call.house.in_alg = lambda message: message.replace(b"a=recvonly", b"a=sendrecv")
    _holds(call, 20, 2, back="recvonly")
    call.bye(20.3)
    return call.house


@case("dlg014-hold-answered-sendrecv-and-hung-up", [("DLG014", "provider", "latent")], NO,
      outcomes=HELD)  # fmt: skip
def _() -> House:
    """The same answer, and the user hangs up twenty seconds later: the other end was not on hold,
    and the call ended well all the same."""
    call = _talks()
    _holds(call, 20, 2)
    call.bye(40)
    return call.house


@case("dlg014-near-miss-hold", must_not=["DLG014", *NO], outcomes=HELD)
def _() -> House:
    """Hold is answered with recvonly, taken back with sendrecv, and asked for once more in the way
    of RFC 2543, which needs no direction in the answer. The phone hangs up just then."""
    call = _talks()
    _holds(call, 20, 2, back="recvonly")
    _holds(call, 30, 3, way="sendrecv")
    _holds(call, 40, 4, offer=sdp("0.0.0.0"))
    call.bye(40.3)
    return call.house


@case("dlg014-near-miss-held-by-far-end", must_not=["DLG014", *DLG], outcomes=HELD)
def _() -> House:
    """The far end holds the call, the phone answers inactive, and the far end hangs up."""
    call = _talks("linux")
    _held_by_far_end(call, 20, "inactive")
    call.far_bye(20.4)
    return call.house


# ---- refused again and again ----


@case("dlg014-hold-always-491", [("DLG014", "network", "observed")], NO, outcomes=HELD)
def _() -> House:
    """Each hold of the phone is refused with 491, as if another request crossed it, and none
    does. The user hangs up."""
    call = _talks()
    for number in range(4):
        _holds(call, 20 + 3 * number, 2 + number, 491)
    call.bye(45)
    return call.house


@case("dlg014-hold-always-refused", [("DLG014", "network", "observed")], NO, outcomes=HELD)
def _() -> House:
    """The same with 488, tried twice."""
    call = _talks()
    for number in range(2):
        _holds(call, 20 + 9 * number, 2 + number, 488)
    call.bye(45)
    return call.house


@case("dlg014-hold-refused-once", [("DLG014", "network", "latent")], NO, outcomes=HELD,
      state="cannot-tell")  # fmt: skip
def _() -> House:
    """The same, tried once: the users talk on."""
    call = _talks()
    _holds(call, 20, 2, 488)
    call.bye(45)
    return call.house


@case("dlg014-near-miss-491-and-then-held", must_not=["DLG014", *NO], outcomes=HELD)
def _() -> House:
    """The first hold is refused with 491, the second one succeeds."""
    call = _talks()
    _holds(call, 20, 2, 491)
    _holds(call, 23, 3, back="recvonly")
    call.bye(45)
    return call.house


@case("dlg014-near-miss-491-once", must_not=["DLG014", *NO], outcomes=HELD)
def _() -> House:
    """A single 491, and the user hangs up before the phone tries again."""
    call = _talks()
    _holds(call, 20, 2, 491)
    call.bye(22)
    return call.house


@case("dlg014-491-once-and-not-tried-again", [("DLG014", "network", "latent")], NO, outcomes=HELD,
      state="cannot-tell")  # fmt: skip
def _() -> House:
    """A single 491 with nothing on the way that it could stand for, and the phone does not try
    again (RFC 3261 section 14.1)."""
    call = _talks()
    _holds(call, 20, 2, 491)
    call.bye(45)
    return call.house


# ---- taken off hold in vain ----


def _resumes(call: Outgoing, at: float, cseq: int, body: bytes) -> None:
    """A re-INVITE of the phone in both directions, answered with this body."""
    house, target, tag = call.house, call.far_contact.strip("<>"), f";tag={call._tag}"
    offer = ways(sdp(house.phone), "sendrecv")
    made = call._request("INVITE", cseq, target, tag, call.contact, offer, branch=f"hold{cseq}")
    seen = house.out(at, made)
    house.into(at + 0.05, answer(200, seen, contact=call.far_contact, received=house.wan_ip,
                                 body=body, rport=house.wan_port))  # fmt: skip
    house.out(at + 0.06, call._request("ACK", cseq, target, tag, branch=f"ack{cseq}"))


def _held_and_resumed(body: bytes, alg: bytes = b"") -> Outgoing:
    call = _talks()
    _holds(call, 20, 2, back="recvonly")
    if alg:
        call.house.in_alg = lambda made: sized(made.replace(b"c=IN IP4 203.0.113.5", alg))
    _resumes(call, 30, 3, body)
    return call


FAR = sdp("203.0.113.5", 20000)


@case("dlg014-resume-answered-with-no-address", [("DLG014", "unknown", "observed")], NO,
      outcomes=HELD)  # fmt: skip
def _() -> House:
    """The phone takes the call off hold, and the answer has the address 0.0.0.0: the phone must
    not send RTP (RFC 3264 section 8.4). Half a minute later its user hangs up."""
    call = _held_and_resumed(sdp("0.0.0.0", 20000))
    call.bye(60)
    return call.house


@case("dlg014-resume-answered-inactive", [("DLG014", "unknown", "latent")], NO, outcomes=HELD)
def _() -> House:
    """The same with inactive, and the call ends two seconds later: nobody may have noticed."""
    call = _held_and_resumed(ways(FAR, "inactive"))
    call.bye(32)
    return call.house


@case("dlg014-router-keeps-the-hold", [("DLG014", "router", "observed")], DLG,
      {"disable-sip-alg": "suspected"}, HELD)  # fmt: skip
def _() -> House:
    """The far end answers with its address, and the router makes 0.0.0.0 of it."""
    call = _held_and_resumed(FAR, b"c=IN IP4 0.0.0.0")
    call.bye(60)
    return call.house


@case("dlg014-near-miss-resumed-at-last", must_not=["DLG014", *NO], outcomes=HELD)
def _() -> House:
    """The phone asks once more, and gets the address."""
    call = _held_and_resumed(sdp("0.0.0.0", 20000))
    _resumes(call, 33, 4, FAR)
    call.bye(60)
    return call.house


@case("dlg014-near-miss-both-hold", must_not=["DLG014", *NO], outcomes=HELD)
def _() -> House:
    """The far end holds the call as well, and the phone takes back its own hold alone."""
    call = _talks()
    _holds(call, 20, 2, back="recvonly")
    _held_by_far_end(call, 25, "inactive")
    _resumes(call, 30, 3, ways(FAR, "inactive"))
    call.bye(60)
    return call.house


@case("dlg014-near-miss-refreshed-while-held", must_not=["DLG014", *NO], outcomes=HELD)
def _() -> House:
    """The far end holds the call, and the phone, which never did, refreshes the session."""
    call = _talks()
    _held_by_far_end(call, 20, "recvonly")
    _resumes(call, 30, 2, ways(FAR, "inactive"))
    call.bye(60)
    return call.house
