# SPDX-License-Identifier: Apache-2.0
"""Golden cases of what changes a dialog that is there, or not yet: re-INVITE, UPDATE (DLG010)."""

from __future__ import annotations

from craft import LADDER_2XX, House, Incoming, Outgoing, answer, register, sdp

from cases.case import ALG, DLG, PHONE_OR_PROVIDER, answered, case

NO = [*DLG, "DLG003", "DLG005", "DLG006", "DLG010", "DLG011", "TXN001"]


def _without(*rules: str) -> list[str]:
    return [rule for rule in (*NO, *ALG) if rule not in rules]


# ---- DLG010 ----


def _asked_again(house: House, contact: str, lives: bool = False,
                 status: int = 200) -> Incoming:  # fmt: skip
    """A call to a phone with a public Contact (STUN). The far end sends a re-INVITE, and the phone
    answers with this Contact."""
    register(house, 0)
    call = answered(house, contact=f"<sip:100@{house.public}>")
    call.ack(3.05)
    again = call._in_dialog("INVITE", 2, f"{call.src}:5060", [f"Contact: {call.far}"])
    seen = house.into(30, again)
    final = answer(status, seen, contact=contact if status == 200 else "",
                   body=sdp(house.phone) if status == 200 else b"")  # fmt: skip
    if status != 200:
        house.out(30.2, final)
        nak = call._in_dialog("ACK", 2, f"{call.src}:5060", [])
        house.into(30.23, nak.replace(b"z9hG4bKack-", b"z9hG4bKinvite-"))
        call.bye(60)
        return call
    for after in (0,) if lives else (0, *LADDER_2XX):
        house.out(30.2 + after, final)
    if lives:
        ack = call._in_dialog("ACK", 2, f"{call.src}:5060", [])
        house.into(30.23, ack.replace(b"z9hG4bKack-", b"z9hG4bKagain-"))
        call.bye(60)
    else:
        call.phone_bye(62.2)
    return call


@case("dlg010-answer-to-a-re-invite",
      [("DLG010", "phone", "observed"), ("DLG001", "network", "observed")],
      _without("DLG010", "DLG001"), PHONE_OR_PROVIDER, ["dropped"])  # fmt: skip
def _() -> House:
    """The phone shows its public address in its INVITE's 2xx, and its private one in the 2xx to a
    re-INVITE. The ACK to that never comes, and the call drops in the middle."""
    house = House()
    _asked_again(house, house.contact)
    return house


@case("dlg010-near-miss-provider-knows-the-way", must_not=_without())
def _() -> House:
    """The same, with a provider that sends to where the 2xx came from."""
    house = House()
    _asked_again(house, house.contact, lives=True)
    return house


@case("dlg010-near-miss-public-and-lost", [("DLG001", "network", "observed")],
      _without("DLG001"), outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The Contact stays public, and the ACK to the re-INVITE is lost."""
    house = House()
    _asked_again(house, f"<sip:100@{house.public}>")
    return house


@case("dlg010-near-miss-refused", must_not=_without())
def _() -> House:
    """The re-INVITE is refused with 488: the dialog is as it was, and goes on."""
    house = House()
    _asked_again(house, house.contact, status=488)
    return house


@case("dlg010-router-writes-it",
      [("DLG010", "router", "observed"), ("DLG001", "network", "observed")],
      [*DLG[1:], "DLG005", "DLG006"], {"disable-sip-alg": "suspected"}, ["dropped"])  # fmt: skip
def _() -> House:
    """The phone shows its public address both times; in the 2xx to the re-INVITE the router writes
    a private one."""
    house = House()

    def wrong(message: bytes) -> bytes:
        if b"CSeq: 2 INVITE" not in message or not message.startswith(b"SIP/2.0 200"):
            return message
        return message.replace(f"<sip:100@{house.public}>".encode(), b"<sip:100@10.0.0.1:5060>")

    house.out_alg = wrong
    _asked_again(house, f"<sip:100@{house.public}>")
    return house


def _updated(house: House, by_phone: bool, contact: str) -> Outgoing:
    """A call of a phone with a public Contact, and an UPDATE of one end with this Contact."""
    register(house, 0)
    call = Outgoing(house, "updated@phone", contact=f"<sip:100@{house.public}>")
    call.invite(1)
    call.ok(3)
    call.ack(3.02)
    if by_phone:
        target = call.far_contact.strip("<>")
        asked = call._request("UPDATE", 2, target, f";tag={call._tag}", contact=contact)
        seen = house.out(30, asked)
        house.into(30.03, answer(200, seen, contact=call.far_contact))
    else:
        seen = house.into(30, call.from_far("UPDATE", more=[f"Contact: {contact}"]))
        house.out(30.02, answer(200, seen, contact=call.contact))
    return call


@case("dlg010-update-of-the-phone",
      [("DLG010", "phone", "observed"), ("DLG008", "unknown", "observed")],
      _without("DLG010"), PHONE_OR_PROVIDER)  # fmt: skip
def _() -> House:
    """The phone's UPDATE has its private Contact. The far end hangs up, its BYE goes there, and the
    phone's own BYE is refused with 481."""
    house = House()
    call = _updated(house, True, house.contact)
    bye = call._request("BYE", 3, call.far_contact.strip("<>"), f";tag={call._tag}")
    house.into(90.03, answer(481, house.out(90, bye)))
    return house


@case("dlg010-near-miss-update", must_not=[*_without(), "DLG008"])
def _() -> House:
    """The same UPDATE, and the far end's BYE comes to where the UPDATE came from."""
    house = House()
    _updated(house, True, house.contact).far_bye(90)
    return house


@case("dlg010-update-of-the-far-end",
      [("DLG010", "provider", "observed"), ("TXN003", "unknown", "observed")],
      _without("DLG010"), {"provider-fix": "recommended"})  # fmt: skip
def _() -> House:
    """The far end's UPDATE has a private Contact: the phone's BYE goes there, to nobody."""
    house = House()
    call = _updated(house, False, "<sip:300@10.1.1.1:5060>")
    bye = call._request("BYE", 3, "sip:300@10.1.1.1:5060", f";tag={call._tag}")
    for after in (0, *LADDER_2XX):
        house.out(60 + after, bye, dst="10.1.1.1")
    register(house, 120, n=2)
    return house
