# SPDX-License-Identifier: Apache-2.0
"""Golden cases of CANCEL races (TXN007)."""

from __future__ import annotations

from craft import House, Outgoing, answer, incoming_call, outgoing_call, register

from cases.case import ALG, DLG, case


def _cancelled(house: House, status: int, branch: str = "invite", at: float = 4,
               alg: bool = False) -> Outgoing:  # fmt: skip
    """A call of the phone that rings and is cancelled at `at`. status: of the response to the
    CANCEL; branch: of the CANCEL; alg: the router changes its branch on the way out."""
    call = Outgoing(house, "changed-mind@phone")
    call.invite(1)
    call.respond(1.03, 100)
    call.respond(1.3, 180)
    made = call._request("CANCEL", 1, "sip:300@example.net", "", branch=branch)
    seen = house.out(at, made, alg=lambda m: m.replace(b"z9hG4bKinvite", b"z9hG4bKalg-nvite")
                     if alg else m)  # fmt: skip
    back = answer(status, seen)
    house.into(at + 0.03, back, alg=lambda m: m.replace(b"z9hG4bKalg-nvite", b"z9hG4bKinvite"))
    return call


@case("txn007-answered-and-left", [("TXN007", "phone", "observed")], [*DLG, *ALG],
      {"phone-fix": "recommended"}, ["completed", "completed"])  # fmt: skip
def _() -> House:
    """CANCEL and 200 cross. The phone acknowledges and sends no BYE: the called person hangs up
    after half a minute of silence."""
    house = House()
    register(house, 0)
    call = _cancelled(house, 481)
    call.ok(4.01)
    call.ack(4.03)
    call.far_bye(35)
    outgoing_call(house, 60, "later@phone")
    return house


@case("txn007-crossed-and-ended", [("TXN007", "unknown", "none")], ["TXN003", *DLG, *ALG])
def _() -> House:
    """CANCEL and 200 cross, and the phone acknowledges and hangs up at once, as it has to."""
    house = House()
    call = _cancelled(house, 481)
    call.ok(4.01)
    call.ack(4.03)
    call.bye(4.1)
    return house


def _rings_on(house: House, call: Outgoing) -> House:
    call.respond(40, 480)
    call.nak(40.02)
    incoming_call(house, 60, "later@provider", contact=f"<sip:100@{house.public}>")
    return house


@case("txn007-another-branch", [("TXN007", "phone", "observed")], [*DLG, *ALG],
      {"phone-fix": "recommended"}, ["cancelled", "completed"])  # fmt: skip
def _() -> House:
    """The phone's CANCEL has another branch than its INVITE: 481, and the other end rings on."""
    house = House()
    return _rings_on(house, _cancelled(house, 481, branch="cancel"))


@case("txn007-branch-changed-in-the-router", [("TXN007", "router", "observed")], DLG,
      {"disable-sip-alg": "suspected"}, ["cancelled", "completed"])  # fmt: skip
def _() -> House:
    """The router changes the branch of the CANCEL, and not that of the INVITE."""
    house = House()
    return _rings_on(house, _cancelled(house, 481, alg=True))


@case("txn007-near-miss-cancelled", must_not=["TXN007", "TXN003", *DLG, *ALG],
      outcomes=["cancelled", "completed"])  # fmt: skip
def _() -> House:
    """A CANCEL as it should be: 200 to it, 487 to the INVITE, ACK."""
    house = House()
    call = _cancelled(house, 200)
    call.respond(4.05, 487)
    call.nak(4.07)
    outgoing_call(house, 60, "later@phone")
    return house


@case("txn007-near-miss-busy", must_not=["TXN007", "TXN003", *DLG, *ALG],
      outcomes=["cancelled", "completed"])  # fmt: skip
def _() -> House:
    """CANCEL and 486 cross: the CANCEL is answered with 481, and all is over."""
    house = House()
    call = _cancelled(house, 481)
    call.respond(4.01, 486)
    call.nak(4.02)
    outgoing_call(house, 60, "later@phone")
    return house


@case("txn007-refused-and-rings-on", [("TXN007", "unknown", "latent")], ["TXN003", *DLG, *ALG],
      outcomes=["cancelled", "completed"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The CANCEL fits its INVITE and is refused with 481, and the INVITE gets no final response:
    nothing shows that the called end stopped ringing."""
    house = House()
    _cancelled(house, 481)
    outgoing_call(house, 60, "later@phone")
    return house


@case("txn007-refused-and-rings-until-no-answer", [("TXN007", "unknown", "latent")],
      ["TXN003", *DLG, *ALG], outcomes=["cancelled", "completed"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The same, and the INVITE is refused with 480 after 20 s: so long the called end rang."""
    house = House()
    call = _cancelled(house, 481)
    call.respond(24, 480)
    call.nak(24.02)
    outgoing_call(house, 60, "later@phone")
    return house


# ---- redirections ----


def _redirected(follows: str = "") -> House:
    """A call of the phone is redirected with 302. follows: Call-ID of the call to the other
    place."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "moved@phone")
    call.invite(1)
    call.respond(1.1, 302)
    call.nak(1.12)
    if follows:
        outgoing_call(house, 1.3, follows)
    other = House(phone="192.168.1.11", wan_port=40011)
    outgoing_call(other, 60, "other@phone")
    house.lan += other.lan
    house.wan += other.wan
    return house


@case("call-redirected-and-left", must_not=[*DLG, *ALG], outcomes=["rejected", "completed"],
      state="cannot-tell")  # fmt: skip
def _() -> House:
    """The provider sends the phone to another place with 302, and the phone calls nobody then: the
    user hears that the call failed."""
    return _redirected()


@case("call-near-miss-redirection-followed", must_not=[*DLG, *ALG],
      outcomes=["completed", "rejected", "completed"])  # fmt: skip
def _() -> House:
    """The phone follows the redirection with a call of another Call-ID."""
    return _redirected("followed@phone")


def _challenged() -> House:
    house = House()
    call = Outgoing(house, "challenged@phone")
    call.invite(1)
    call.respond(1.1, 407)
    call.nak(1.12)
    outgoing_call(house, 120, "later@phone")
    return house


@case("call-challenged-on-the-lan-alone", must_not=[*DLG, *ALG], one_file="lan",
      outcomes=["rejected", "completed"], state="hurts")  # fmt: skip
def _() -> House:
    """The challenge reached the phone, which sends no credentials: it has none, or wrong ones."""
    return _challenged()


@case("call-near-miss-challenged-on-the-wan-alone", must_not=[*DLG, *ALG], one_file="wan",
      outcomes=["rejected", "completed"], state="hurts")  # fmt: skip
def _() -> House:
    """On the WAN side alone nothing shows whether the phone has sent any: the next step is to
    capture both sides, and not to check the password."""
    return _challenged()
