# SPDX-License-Identifier: Apache-2.0
"""Golden cases of what changes a dialog that is there, or not yet: re-INVITE, UPDATE (DLG010)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from craft import LADDER_2XX, House, Incoming, Outgoing, answer, register, sdp, sized, works_beside

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


@case("dlg010-router-adds-a-parameter",
      [("DLG010", "phone", "observed"), ("DLG001", "network", "observed"),
       ("ALG001", "router", "latent")], _without("DLG010", "DLG001", "ALG001"),
      PHONE_OR_PROVIDER, ["completed", "dropped"])  # fmt: skip
def _() -> House:
    """The same, and the router adds ";transport=udp" to the Contact of that 2xx: the address in it
    is what the phone wrote."""
    house = House()
    old, new = b"<sip:100@192.168.1.10:5060>", b"<sip:100@192.168.1.10:5060;transport=udp>"
    house.out_alg = lambda made: made.replace(old, new) if b"CSeq: 2 INVITE" in made else made
    _asked_again(house, house.contact)
    works_beside(house, 80)
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


@case("dlg010-router-changes-an-update",
      [("DLG010", "router", "observed"), ("DLG008", "unknown", "observed")],
      ["DLG001", "DLG002"], {"disable-sip-alg": "suspected"})  # fmt: skip
def _() -> House:
    """The phone's UPDATE has its public Contact, and the router writes a private one."""
    house = House()

    def wrong(message: bytes) -> bytes:
        if not message.startswith(b"UPDATE"):
            return message
        return message.replace(f"<sip:100@{house.public}>".encode(), b"<sip:100@10.0.0.1:5060>")

    house.out_alg = wrong
    call = _updated(house, True, f"<sip:100@{house.public}>")
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


# ---- DLG013: reliable provisional responses (RFC 3262) ----

LADDER_1XX = (0.5, 1.5, 3.5, 7.5, 15.5, 31.5)  # seconds after it: T1, doubled each time


class Reliable(Outgoing):
    """A call of the phone that offers 100rel."""

    def invite(self, at: float, **how: object) -> None:
        self.invited = self._request(
            "INVITE", 1, "sip:300@example.net", "", self.contact, self.body
        ).replace(b"Max-Forwards", b"Supported: 100rel\r\nMax-Forwards")
        super().invite(at, **how)

    def progress(self, at: float, rseq: int = 1, **how: object) -> None:
        made = answer(183, self.seen, to_tag=self._tag, contact=self.far_contact,
                      more=["Require: 100rel", f"RSeq: {rseq}"],
                      body=sdp(self.house.provider, 20000))  # fmt: skip
        self.house.into(at, made, **how)  # type: ignore[arg-type]

    def prack(self, at: float, rseq: int = 1, **how: object) -> None:
        made = self._request("PRACK", 1 + rseq, self.far_contact.strip("<>"), f";tag={self._tag}",
                             branch=f"prack{rseq}")  # fmt: skip
        made = made.replace(b"Max-Forwards", f"RAck: {rseq} 1 INVITE\r\nMax-Forwards".encode())
        seen = self.house.out(at, made, **how)  # type: ignore[arg-type]
        if not how:
            self.house.into(at + 0.03, answer(200, seen))


def _unpracked(call: Outgoing, **how: object) -> House:
    register(call.house, 0)
    call.invite(1)
    call.respond(1.03, 100)
    for after in (0, *LADDER_1XX):
        Reliable.progress(call, 1.3 + after, **how)  # type: ignore[arg-type]
    call.respond(33.4, 504)
    call.nak(33.42)
    return call.house


@case("dlg013-never-sent", [("DLG013", "phone", "observed")], _without(),
      {"phone-fix": "recommended"}, ["rejected"])  # fmt: skip
def _() -> House:
    """The phone offers 100rel, gets a 183 that asks for PRACK seven times, and never sends one. The
    callee gives up after 32 s."""
    return _unpracked(Reliable(House(), "mute@phone"))


@case("dlg013-not-offered", [("DLG013", "provider", "observed")], _without(),
      {"provider-fix": "recommended"}, ["rejected"])  # fmt: skip
def _() -> House:
    """The same to a phone that did not offer 100rel: the provider must not ask for PRACK."""
    return _unpracked(Outgoing(House(), "plain@phone"))


@case("dlg013-stopped-in-the-router", [("DLG013", "router", "observed")], _without("ALG008"),
      outcomes=["rejected"])  # fmt: skip
def _() -> House:
    """The 183 comes to the WAN side seven times and never to the LAN."""
    return _unpracked(Reliable(House(), "eaten@phone"), lan=False)


@case("dlg013-router-takes-rseq-out", [("DLG013", "router", "observed")], _without(),
      {"disable-sip-alg": "suspected"}, ["rejected"])  # fmt: skip
def _() -> House:
    """The router takes RSeq and Require out of the 183: the phone need not acknowledge that."""
    house = House()
    house.in_alg = lambda message: re.sub(rb"(?m)^(RSeq|Require): .*\r\n", b"", message)
    return _unpracked(Reliable(house, "bare@phone"))


@case("txn003-prack-to-a-rewritten-contact",
      [("TXN003", "router", "observed"), ("ALG001", "router", "latent")],
      [*DLG, "DLG013"], outcomes=["rejected"])  # fmt: skip
def _() -> House:
    """The router writes another address into the Contact of each 183, and the PRACK goes there: the
    far end never gets it."""
    house = House()
    house.in_alg = lambda message: message.replace(b"@203.0.113.5:5060>", b"@10.9.9.9:5060>")
    register(house, 0)
    call = Reliable(house, "astray@phone")
    call.invite(1)
    for after in (0, *LADDER_1XX):
        call.progress(1.3 + after)
    call.far_contact = "<sip:300@10.9.9.9:5060>"
    for after in (0, *LADDER_2XX):
        call.prack(1.32 + after, dst="10.9.9.9")
    call.respond(33.3, 504)
    call.nak(33.32)
    register(house, 50, n=9)
    return house


def _reliable(house: House) -> Reliable:
    register(house, 0)
    call = Reliable(house, "early@phone")
    call.invite(1)
    call.respond(1.03, 100)
    call.progress(1.3)
    call.prack(1.32)
    return call


@case("dlg013-near-miss-prack", must_not=["DLG013", "TXN003", *_without()])
def _() -> House:
    """Two reliable provisional responses, each with its PRACK, an UPDATE of the early dialog, and a
    call that is answered 40 s later."""
    house = House()
    call = _reliable(house)
    asked = call._request("UPDATE", 9, call.far_contact.strip("<>"), f";tag={call._tag}",
                          contact=call.contact, body=call.body)  # fmt: skip
    house.into(2.03, answer(200, house.out(2, asked), contact=call.far_contact))
    call.progress(10, rseq=2)
    call.prack(10.02, rseq=2)
    call.ok(41)
    call.ack(41.02)
    call.bye(60)
    return house


@case("dlg013-near-miss-slow", must_not=["DLG013", "TXN003", *_without()])
def _() -> House:
    """The first two PRACKs are late: the 183 comes three times."""
    house = House()
    register(house, 0)
    call = Reliable(house, "slow@phone")
    call.invite(1)
    for after in (0, 0.5, 1.5):
        call.progress(1.3 + after)
    call.prack(3)
    call.ok(10)
    call.ack(10.02)
    call.bye(20)
    return house


@case("dlg013-near-miss-rings-on", must_not=["DLG013", *_without()])
def _() -> House:
    """A proxy sends 180 without RSeq each 20 s for a minute: nobody has to acknowledge those."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "rings@phone")
    call.invite(1)
    for at in (1.3, 21, 41, 61):
        call.respond(at, 180)
    call.ok(65)
    call.ack(65.02)
    call.bye(80)
    return house


# ---- re-INVITE ----


@case("re-invite-near-miss-glare", must_not=["TXN008", *_without()])
def _() -> House:
    """Both ends send a re-INVITE at the same moment. The phone refuses with 491, the far end
    answers 200; the phone's ACK has the number of its own re-INVITE (RFC 3261 section 14)."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "glare@phone")
    call.invite(1)
    call.ok(3)
    call.ack(3.02)
    target = call.far_contact.strip("<>")
    mine = call._request("INVITE", 2, target, f";tag={call._tag}", call.contact, call.body,
                         branch="again")  # fmt: skip
    sent = house.out(20, mine)
    seen = house.into(20.01, call.from_far("INVITE", more=[f"Contact: {call.far_contact}"]))
    house.out(20.02, answer(491, seen))
    nak = call.from_far("ACK").replace(b"z9hG4bKfack-", b"z9hG4bKfinvite-")
    house.into(20.05, nak)
    house.into(20.3, answer(200, sent, contact=call.far_contact, body=sdp(house.provider, 20000)))
    house.out(20.32, call._request("ACK", 2, target, f";tag={call._tag}", branch="ack2"))
    house.into(20.8, call.from_far("OPTIONS", 4))
    call.far_bye(60)
    return house


@case("re-invite-near-miss-both-491", must_not=["TXN008", "TXN002", *_without()])
def _() -> House:
    """Both ends refuse with 491, and the far end tries again two seconds later, with success."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "glare@phone")
    call.invite(1)
    call.ok(3)
    call.ack(3.02)
    target = call.far_contact.strip("<>")
    sent = house.out(20, call._request("INVITE", 2, target, f";tag={call._tag}", call.contact,
                                       call.body, branch="again"))  # fmt: skip
    seen = house.into(20.01, call.from_far("INVITE", more=[f"Contact: {call.far_contact}"]))
    house.out(20.02, answer(491, seen))
    house.into(20.04, answer(491, sent))
    house.into(20.05, call.from_far("ACK").replace(b"z9hG4bKfack-", b"z9hG4bKfinvite-"))
    house.out(20.06, call._request("ACK", 2, target, f";tag={call._tag}", branch="again"))
    again = call.from_far("INVITE", 2, more=[f"Contact: {call.far_contact}"])
    seen = house.into(22, again.replace(b"z9hG4bKfinvite-", b"z9hG4bKfagain-"))
    house.out(22.1, answer(200, seen, contact=call.contact, body=sdp(house.phone)))
    house.into(22.13, call.from_far("ACK", 2).replace(b"z9hG4bKfack-", b"z9hG4bKfack2-"))
    call.far_bye(60)
    return house


# ---- DLG014 ----


def _asks(call: Outgoing, at: float, method: str, status: int, cseq: int = 2,
          more: Sequence[str] = ()) -> None:  # fmt: skip
    """The phone asks to change the session, and is answered with this status."""
    target, tag = call.far_contact.strip("<>"), f";tag={call._tag}"
    branch = f"{method.lower()}{cseq}"
    made = call._request(method, cseq, target, tag, call.contact, call.body, branch=branch)
    seen = call.house.out(at, made)
    call.house.into(at + 0.05, answer(
        status, seen, contact=call.far_contact if status == 200 else "",
        body=sdp(call.house.provider, 20000) if status == 200 else b"",
        received=call.house.wan_ip, rport=call.house.wan_port, more=more,
    ))  # fmt: skip
    if method == "INVITE":
        after = branch if status >= 300 else f"ack{cseq}"
        call.house.out(at + 0.06, call._request("ACK", cseq, target, tag, branch=after))


def _talks() -> Outgoing:
    house = House()
    register(house, 0)
    call = Outgoing(house, "asks@phone")
    call.set_up(1, rings=0.1)
    return call


def _hangs_up(call: Outgoing, at: float) -> House:
    call.bye(at)
    return call.house


@case("dlg014-re-invite-refused", [("DLG014", "unknown", "observed")], _without())
def _() -> House:
    """The phone asks for other media with a re-INVITE, is refused with 488, and hangs up."""
    call = _talks()
    _asks(call, 20, "INVITE", 488)
    return _hangs_up(call, 20.1)


@case("dlg014-far-end-gives-up", [("DLG014", "unknown", "observed")], _without())
def _() -> House:
    """The phone refuses a re-INVITE of the provider with 405, and the provider hangs up."""
    call = _talks()
    asked = call.from_far("INVITE", more=["Contact: <sip:300@203.0.113.5:5060>"])
    call.house.out(20.05, answer(405, call.house.into(20, asked)))
    nak = call.from_far("ACK").replace(b"z9hG4bKfack", b"z9hG4bKfinvite")
    call.house.into(20.07, nak)
    call.far_bye(20.2)
    return call.house


@case("dlg014-update-refused", [("DLG014", "unknown", "observed")], _without())
def _() -> House:
    """The same with an UPDATE and 500."""
    call = _talks()
    _asks(call, 20, "UPDATE", 500)
    return _hangs_up(call, 20.1)


@case("dlg014-near-miss-goes-on", must_not=["DLG014", *_without()])
def _() -> House:
    """The re-INVITE is refused with 488, and the users talk for ten seconds more."""
    call = _talks()
    _asks(call, 20, "INVITE", 488)
    return _hangs_up(call, 30)


@case("dlg014-near-miss-other-end-hangs-up", must_not=["DLG014", *_without()])
def _() -> House:
    """The re-INVITE is refused with 488, and the other end hangs up just then."""
    call = _talks()
    _asks(call, 20, "INVITE", 488)
    call.far_bye(20.3)
    return call.house


@case("dlg014-near-miss-asked-in-another-way", must_not=["DLG014", *_without()])
def _() -> House:
    """An UPDATE is refused with 405, the phone asks with a re-INVITE, and hangs up then."""
    call = _talks()
    _asks(call, 20, "UPDATE", 405)
    _asks(call, 20.1, "INVITE", 200, cseq=3)
    return _hangs_up(call, 20.4)


@case("dlg014-near-miss-transfers", must_not=["DLG014", *_without()])
def _() -> House:
    """The hold is refused with 488, the phone transfers the call all the same, and leaves it."""
    call = _talks()
    house = call.house
    _asks(call, 20, "INVITE", 488)
    target, tag = call.far_contact.strip("<>"), f";tag={call._tag}"
    made = call._request("REFER", 3, target, tag, call.contact)
    made = made.replace(b"Max-Forwards", b"Refer-To: <sip:400@example.net>\r\nMax-Forwards")
    house.into(20.13, answer(202, house.out(20.1, made), contact=call.far_contact))
    more = ["Event: refer", "Subscription-State: terminated;reason=noresource",
            "Content-Type: message/sipfrag"]  # fmt: skip
    told = house.into(20.2, sized(call.from_far("NOTIFY", more=more) + b"SIP/2.0 200 OK\r\n"))
    house.out(20.22, answer(200, told))
    return _hangs_up(call, 20.3)


@case("dlg014-near-miss-asked-too-soon", must_not=["DLG014", *_without()])
def _() -> House:
    """The far end has not answered the re-INVITE before this one (500 with Retry-After, RFC 3261
    section 14.2), and the phone hangs up."""
    call = _talks()
    _asks(call, 20, "INVITE", 500, more=["Retry-After: 5"])
    return _hangs_up(call, 20.3)


@case("dlg014-near-miss-declined", must_not=["DLG014", *_without()])
def _() -> House:
    """Somebody declines the re-INVITE (603: video), and the phone hangs up."""
    call = _talks()
    _asks(call, 20, "INVITE", 603)
    return _hangs_up(call, 20.3)
