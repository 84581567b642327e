"""Golden cases of TXN: transactions"""

from __future__ import annotations

from craft import (
    LADDER_2XX,
    LADDER_INVITE,
    LADDER_REQUEST,
    House,
    Incoming,
    Outgoing,
    answer,
    outgoing_call,
    register,
    request,
)

from cases.case import ALG, DLG, case


def _unanswered(house: House, **how: object) -> House:
    call = Outgoing(house, "silent@phone")
    for after in (0, *LADDER_INVITE):
        call.invite(1 + after, **how)
    outgoing_call(house, 36, "later@phone")  # so that Timer B passes inside the capture
    return house


@case("txn001-lost-in-the-router", [("TXN001", "router", "observed")], DLG,
      outcomes=["completed", "unanswered"])  # fmt: skip
def _() -> House:
    """The INVITE and its six retransmissions are on the LAN and never on the WAN side. That the
    provider is reached over this WAN is known before: the phone registers there."""
    house = House()
    register(house, 0)
    return _unanswered(house, wan=False)


@case("txn001-lost-beyond", [("TXN001", "network", "observed")], DLG,
      outcomes=["completed", "unanswered"])  # fmt: skip
def _() -> House:
    """The INVITE leaves the router seven times, and nobody answers."""
    return _unanswered(House())


@case("txn001-near-miss-provisional", must_not=["TXN001", *DLG], outcomes=["completed", "ongoing"],
      state="cannot-tell")  # fmt: skip
def _() -> House:
    """The last INVITE but one is answered with 180 (a provisional response ends Timer B), and
    then it rings for long: nobody knows yet how it ends."""
    house = House()
    call = Outgoing(house, "slow@phone")
    for after in (0, *LADDER_INVITE[:-1]):
        call.invite(1 + after)
    call.respond(1 + 15.6, 180)
    outgoing_call(house, 36, "later@phone")
    return house


@case("txn001-near-miss-scanner", must_not=["TXN001", "CAP005", *DLG, *ALG],
      outcomes=["unanswered", "completed"])  # fmt: skip
def _() -> House:
    """A scanner knocks on WAN port 5060 seven times. There is no mapping for it: unsolicited,
    and nobody's fault."""
    house = House()
    knock = Incoming(house, "knock@scanner", src="192.0.2.66")
    for after in (0, *LADDER_INVITE):
        knock.invite(1 + after, lan=False)
    outgoing_call(house, 36, "later@phone")
    return house


# ---- TXN003 ----


def _dies(house: House, call_id: str = "bye@phone") -> Outgoing:
    call = Outgoing(house, call_id)
    call.invite(1)
    call.ok(3)
    call.ack(3.02)
    return call


@case("txn003-bye-unanswered", [("TXN003", "network", "observed")], [*DLG, *ALG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The phone's BYE leaves the router eleven times and nobody answers it."""
    house = House()
    call = _dies(house)
    made = call._request("BYE", 2, "sip:300@203.0.113.5", f";tag={call._tag}")
    for after in (0, *LADDER_REQUEST):
        house.out(10 + after, made)
    outgoing_call(house, 50, "later@phone")
    return house


@case("txn003-bye-refused", [("TXN003", "unknown", "observed")], [*DLG, *ALG])
def _() -> House:
    """The provider refuses the phone's BYE with 500: the other end stays in the call."""
    house = House()
    call = _dies(house)
    seen = house.out(10, call._request("BYE", 2, "sip:300@203.0.113.5", f";tag={call._tag}"))
    house.into(10.03, answer(500, seen))
    return house


@case("txn003-options-unanswered", [("TXN003", "network", "latent")], [*DLG, *ALG])
def _() -> House:
    """OPTIONS of the phone that nobody answers: told, as it may hurt later."""
    house = House()
    made = request("OPTIONS", "sip:example.net", via=f"{house.phone}:5060", branch="z9hG4bKping",
                   call_id="ping@phone", cseq=1)  # fmt: skip
    for after in (0, *LADDER_REQUEST):
        house.out(1 + after, made)
    outgoing_call(house, 40, "later@phone")
    return house


@case("txn003-near-miss-late-answer", must_not=["TXN003", *DLG, *ALG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The BYE is answered at its last retransmission but one."""
    house = House()
    call = _dies(house)
    made = call._request("BYE", 2, "sip:300@203.0.113.5", f";tag={call._tag}")
    for after in (0, *LADDER_REQUEST[:-1]):
        seen = house.out(10 + after, made)
    house.into(10.03 + LADDER_REQUEST[-2], answer(200, seen))
    outgoing_call(house, 50, "later@phone")
    return house


# ---- TXN008 ----


def _odd_ack(house: House, call_id: str, old: bytes, new: bytes, ignored: bool) -> None:
    call = Incoming(house, call_id, contact=f"<sip:100@{house.public}>")
    call.invite(1)
    call.ok(3)
    ack = call._in_dialog("ACK", 1, f"{call.src}:5060", ()).replace(old, new)
    for after in (0, *LADDER_2XX) if ignored else (0,):
        house.into(3.05 + after, ack)
    if ignored:
        call.dropped(3)
    else:
        call.bye(20)


@case("txn008-branch-of-the-invite",
      [("TXN008", "provider", "observed"), ("DLG001", "provider", "observed")],
      ["DLG002", "DLG004", *ALG], {"provider-fix": "recommended"}, ["dropped"])  # fmt: skip
def _() -> House:
    """Every ACK has the branch of the INVITE. It reaches the phone, which takes it for a part of
    that transaction and goes on repeating its 2xx."""
    house = House()
    _odd_ack(house, "odd@provider", b"z9hG4bKack-", b"z9hG4bKi-", ignored=True)
    return house


@case("txn008-branch-and-accepted", [("TXN008", "provider", "latent")], [*DLG, *ALG])
def _() -> House:
    """The same ACK at a phone that takes it: acknowledged, and told as a warning."""
    house = House()
    _odd_ack(house, "odd@provider", b"z9hG4bKack-", b"z9hG4bKi-", ignored=False)
    return house


@case("txn008-to-tag-of-an-sbc", [("TXN008", "provider", "latent")], [*DLG, *ALG])
def _() -> House:
    """An SBC changes To tags hop by hop, and forgets to put this one back in its ACK."""
    house = House()
    _odd_ack(house, "odd@provider", b";tag=p-odd-provider", b";tag=sbc", ignored=False)
    return house


@case("txn008-near-miss-refused", must_not=["TXN008", *DLG, *ALG], outcomes=["rejected"])
def _() -> House:
    """The ACK to a 486 has the branch of the INVITE, as it has to (RFC 3261 section 17.1.1.3)."""
    house = House()
    call = Outgoing(house, "busy@phone")
    call.invite(1)
    call.respond(1.2, 486)
    call.nak(1.21)
    return house
