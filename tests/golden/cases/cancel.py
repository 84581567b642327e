# SPDX-License-Identifier: Apache-2.0
"""Golden cases of CANCEL races (TXN007), of callers that give up (TXN009), and of redirections."""

from __future__ import annotations

from craft import House, Incoming, Outgoing, answer, incoming_call, outgoing_call, register

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


@case("call-redirected-on-the-lan-alone", must_not=[*DLG, *ALG], one_file="lan",
      outcomes=["rejected", "completed"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The LAN side alone shows as well that the phone calls nobody then."""
    return _redirected()


@case("call-redirected-on-the-wan-alone", must_not=[*DLG, *ALG], one_file="wan",
      outcomes=["rejected", "completed"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """So does the WAN side, where the caller has registered."""
    return _redirected()


@case("call-near-miss-redirection-followed-on-the-lan-alone", must_not=[*DLG, *ALG],
      one_file="lan", outcomes=["completed", "rejected", "completed"])  # fmt: skip
def _() -> House:
    """The phone follows it."""
    return _redirected("followed@phone")


def _forwarded() -> House:
    house = House()
    register(house, 0)
    call = Incoming(house, "forward@provider", fixed_contact=f"sip:100@{house.public}")
    call.invite(5)
    house.out(5.1, answer(302, call.delivered, to_tag="fwd", contact="<sip:555@example.net>"))
    made = call._in_dialog("ACK", 1, f"{call.src}:5060", ())
    house.into(5.15, made.replace(b"z9hG4bKack-", b"z9hG4bKi-").replace(b"tag=p-forward-provider",
                                                                        b"tag=fwd"))  # fmt: skip
    return house


@case("call-near-miss-forwarded", must_not=[*DLG, *ALG], outcomes=["rejected"])
def _() -> House:
    """The phone forwards its calls with 302: nobody refused this one."""
    return _forwarded()


@case("call-near-miss-forwarded-on-the-lan-alone", must_not=[*DLG, *ALG], one_file="lan",
      outcomes=["rejected"])  # fmt: skip
def _() -> House:
    """The same on the LAN side alone: its caller goes elsewhere, and nothing of that comes here."""
    return _forwarded()


@case("call-near-miss-forwarded-on-the-wan-alone", must_not=[*DLG, *ALG], one_file="wan",
      outcomes=["rejected"])  # fmt: skip
def _() -> House:
    """The same on the WAN side alone."""
    return _forwarded()


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


# ---- TXN009: a call that never rang ----

QUIET = [*DLG, *ALG, "TXN001", "TXN007"]
GIVEN_UP = ["cancelled"]


def _patient(house: House, waits: float, *rings: float, **how: bool) -> House:
    """The phone calls, gets 100, and hangs up. rings: when 180 comes; how: on which taps that
    is."""
    register(house, 0)
    call = Outgoing(house, "quiet@phone")
    call.invite(1)
    call.respond(1.03, 100)
    for after in rings:
        call.respond(1 + after, 180, **how)  # type: ignore[arg-type]
    call.cancel(1 + waits)
    call.respond(1.05 + waits, 487)
    call.nak(1.07 + waits)
    return house


@case("txn009-nothing-rings", [("TXN009", "network", "observed")], QUIET, outcomes=GIVEN_UP)
def _() -> House:
    """The provider says 100 and nothing else, and after 45 s the caller hangs up."""
    return _patient(House(), 45)


@case("txn009-ringing-stopped-in-the-router", [("TXN009", "router", "observed")], QUIET,
      outcomes=GIVEN_UP)  # fmt: skip
def _() -> House:
    """The 180 comes to the WAN side twice, and the phone never hears it."""
    return _patient(House(), 45, 2, 30, lan=False)


@case("txn009-one-ringing-lost", [("TXN009", "unknown", "observed")], QUIET, outcomes=GIVEN_UP)
def _() -> House:
    """It comes once: a packet lost on the LAN side of the router, or by its capture, looks the
    same as one that the router stops."""
    return _patient(House(), 45, 2, lan=False)


@case("txn009-one-sided", [("TXN009", "unknown", "observed"), ("CAP001", "unknown", "none")],
      QUIET, outcomes=GIVEN_UP, one_file="lan")  # fmt: skip
def _() -> House:
    """The LAN side alone: nothing shows where the call was held."""
    return _patient(House(), 45)


@case("txn009-near-miss-hangs-up-soon", must_not=["TXN009", *QUIET], outcomes=GIVEN_UP)
def _() -> House:
    """The caller thinks better of it after 4 s."""
    return _patient(House(), 4)


@case("txn009-near-miss-rings-late", must_not=["TXN009", *QUIET], outcomes=GIVEN_UP)
def _() -> House:
    """The other end rings after 12 s, and nobody takes the call."""
    return _patient(House(), 45, 12)


def _silent_phone(house: House, reason: str = "") -> House:
    """A phone that is called says 100 and no more, and the provider cancels the call after 30 s."""
    register(house, 0)
    call = Incoming(house, "quiet@provider")
    call.invite(1)
    house.out(1.05, answer(100, call.delivered))
    more = [reason] if reason else []
    cancel = call._in_dialog("CANCEL", 1, "203.0.113.5:5060", more)
    cancel = cancel.replace(b"z9hG4bKcancel", b"z9hG4bKi").replace(b";tag=p-quiet-provider", b"")
    house.out(31.02, answer(200, house.into(31, cancel)))
    house.out(31.03, answer(487, call.delivered, to_tag=call._tag))
    house.into(31.1, call._in_dialog("ACK", 1, "203.0.113.5:5060", ()).replace(
        b"z9hG4bKack", b"z9hG4bKi"))  # fmt: skip
    return house


@case("txn009-phone-does-not-ring", [("TXN009", "phone", "observed")], QUIET, outcomes=GIVEN_UP)
def _() -> House:
    """The call reaches the phone, which says 100 and does not ring."""
    return _silent_phone(House())


@case("txn009-near-miss-taken-elsewhere", must_not=["TXN009", *QUIET], outcomes=GIVEN_UP)
def _() -> House:
    """Another phone has taken the call, as the CANCEL says."""
    return _silent_phone(House(), 'Reason: SIP;cause=200;text="Call completed elsewhere"')
