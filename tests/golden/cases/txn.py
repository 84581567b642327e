# SPDX-License-Identifier: Apache-2.0
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
    """A scanner tries WAN port 5060 seven times. There is no mapping for it: unsolicited,
    and nobody's fault."""
    house = House()
    scan = Incoming(house, "knock@scanner", src="192.0.2.66")
    for after in (0, *LADDER_INVITE):
        scan.invite(1 + after, lan=False)
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


def _near_contact(house: House, call_id: str, at: float) -> None:
    """A call whose phone sends from 1024 and names 5060, acknowledged late with the branch of its
    INVITE, and hung up by the phone."""
    call = Incoming(house, call_id, contact=f"<sip:100@{house.phone}:5060>",
                    fixed_contact=f"sip:100@{house.public}")  # fmt: skip
    call.invite(at)
    for after in (0, *LADDER_2XX[:2]):
        call.ok(at + 2 + after)
    ack = call._in_dialog("ACK", 1, f"{call.src}:5060", ()).replace(b"z9hG4bKack-", b"z9hG4bKi-")
    house.into(at + 3.8, ack)
    call.phone_bye(at + 25)


@case("txn008-branch-and-late", [("TXN008", "provider", "latent")], [*DLG, *ALG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """Two calls at a phone that names another port than it sends from. Both are acknowledged late,
    with the branch of the INVITE, and both are hung up by the phone: nothing to advise."""
    house = House(port=1024, wan_port=1024)
    register(house, 0)
    _near_contact(house, "one@provider", 5)
    _near_contact(house, "two@provider", 85)
    return house


# ---- a challenge ----


def _challenged(house: House, status: int, answered: bool) -> House:
    """An INVITE that is challenged, and the one with credentials."""
    call = Outgoing(house, "secret@phone")
    call.invite(1)
    call.respond(1.05, status)
    call.nak(1.06)
    call.invited = call._request(
        "INVITE", 2, "sip:300@example.net", "", call.contact, call.body, branch="again"
    )
    for after in (0,) if answered else (0, *LADDER_INVITE):
        call.invite(1.1 + after)
    if answered:
        call.ok(3)
        house.out(3.02, call._request("ACK", 2, "sip:300@203.0.113.5:5060", f";tag={call._tag}"))
        house.into(20.03, answer(200, house.out(20, call._request(
            "BYE", 3, "sip:300@203.0.113.5:5060", f";tag={call._tag}"
        ))))  # fmt: skip
    outgoing_call(house, 40, "later@phone")
    return house


@case("txn001-challenged-and-unanswered", [("TXN001", "network", "observed")], [*DLG, *ALG],
      outcomes=["completed", "unanswered"])  # fmt: skip
def _() -> House:
    """The INVITE is challenged with 407; the one with credentials leaves the router seven times,
    and nobody answers. It is one call, and it is told."""
    return _challenged(House(), 407, answered=False)


@case("txn001-near-miss-challenged", must_not=["TXN001", "CAP005", *DLG, *ALG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The INVITE is challenged with 401, the one with credentials is answered: one call, no two."""
    return _challenged(House(), 401, answered=True)


# ---- an address that the router no longer has ----


def _dialled_anew(house: House, before: str, after: str) -> House:
    """Another phone here registers from `before`, and later from `after`."""
    for at, n, wan in ((0.0, 11, before), (100.0, 12, after)):
        other = House(phone="192.168.1.11", wan=wan, wan_port=40011, provider=house.provider)
        register(other, at, n=n)
        house.lan += other.lan
        house.wan += other.wan
    return house


def _stale(house: House) -> House:
    register(house, 1)
    call = Outgoing(house, "stale@phone")
    for after in (0, *LADDER_INVITE):
        call.invite(110 + after)
    later = House(phone="192.168.1.11", wan="198.51.100.9", wan_port=40011)
    register(later, 150, n=13)
    house.lan += later.lan
    house.wan += later.wan
    return house


@case("txn001-address-is-gone", [("TXN001", "router", "observed")], [*DLG, *ALG],
      outcomes=["unanswered"])  # fmt: skip
def _() -> House:
    """The line is dialled anew and gets another address. One phone is translated to the new one
    and answered; the flow of the other is still translated to the old one, and its INVITE is never
    answered: the router's doing, no phone's."""
    return _stale(_dialled_anew(House(), "198.51.100.2", "198.51.100.9"))


@case("txn001-near-miss-two-addresses", [("TXN001", "network", "observed")], [*DLG, *ALG],
      outcomes=["unanswered"])  # fmt: skip
def _() -> House:
    """The router has had both addresses all the time, one for each phone: neither is gone."""
    return _stale(_dialled_anew(House(), "198.51.100.9", "198.51.100.9"))


@case("reg001-address-is-gone", [("REG001", "router", "observed")], [*DLG, *ALG],
      {"clear-nat-state": "recommended"}, ["completed"])  # fmt: skip
def _() -> House:
    """The same, and it is the REGISTER that leaves with the old address and is not answered."""
    house = _dialled_anew(House(), "198.51.100.2", "198.51.100.9")
    register(house, 1)
    made = request(
        "REGISTER", "sip:example.net", via=f"{house.phone}:5060", branch="z9hG4bKreg1b",
        call_id=f"reg1@{house.phone}", cseq=2, caller="<sip:100@example.net>;tag=r1",
        contact=house.contact, more=["Expires: 120"],
    )  # fmt: skip
    for after in (0, *LADDER_REQUEST):
        house.out(110 + after, made)
    later = House(phone="192.168.1.11", wan="198.51.100.9", wan_port=40011)
    outgoing_call(later, 150, "later@phone")
    house.lan += later.lan
    house.wan += later.wan
    return house


# ---- requests that come to the WAN side only, in a dialog that is known ----


def _from_elsewhere(
    house: House, method: str, src: str = "192.0.2.77", known: bool = True
) -> House:
    """A call of the phone, and then a request in it from another host, which no NAT lets in."""
    call = Outgoing(house, "moved@phone")
    if known:
        call.invite(1)
        call.ok(3)
        call.ack(3.02)
    made = request(
        method, f"sip:100@{house.public}", via=f"{src}:5060", branch=f"z9hG4bKfar-{method.lower()}",
        call_id=call.call_id if known else "nobody@knows", cseq=1,
        caller=f"<sip:300@example.net>;tag={call._tag}",
        callee="<sip:100@example.net>;tag=p-moved-phone",
        contact=f"<sip:300@{src}:5060>" if method == "INVITE" else "",
    )  # fmt: skip
    for after in (0, *(LADDER_INVITE if method == "INVITE" else LADDER_REQUEST)):
        house.into(20 + after, made, src=src, lan=False)
    if known and method == "INVITE":
        call.bye(60)
    outgoing_call(house, 70, "later@phone")
    return house


@case("txn003-bye-from-another-host", [("TXN003", "unknown", "observed")], [*DLG, *ALG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The BYE of a call that is known comes from a host to which no phone has sent anything. It is
    not unsolicited: the phone stays in a call that the other end has left."""
    return _from_elsewhere(House(), "BYE")


@case("txn001-re-invite-from-another-host", [("TXN001", "router", "observed")], [*DLG, *ALG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The same with a re-INVITE: the call is known, so it is not unsolicited."""
    return _from_elsewhere(House(), "INVITE")


@case("txn003-near-miss-bye-of-a-stranger", must_not=["TXN003", *DLG, *ALG],
      outcomes=["completed", "unknown"])  # fmt: skip
def _() -> House:
    """A BYE from a host that nobody knows, in a dialog that nobody knows: unsolicited."""
    return _from_elsewhere(House(), "BYE", known=False)
