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
    incoming_call,
    outgoing_call,
    register,
    request,
    works_beside,
)

from cases.case import ALG, DLG, answered, case


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


@case("txn001-cancelled-in-vain", [("TXN001", "router", "observed")], DLG,
      advice={"shorter-refresh-on-phone": "recommended"},
      outcomes=["cancelled", "completed"])  # fmt: skip
def _() -> House:
    """The provider's INVITE stops in the router, and its caller gives up after 10 s: the finding
    says so, not 32 s."""
    house = House()
    register(house, 0)
    call = Incoming(house, "given-up@provider")
    for after in (0, *LADDER_INVITE[:4]):
        call.invite(50 + after, lan=False)
    cancel = call._in_dialog("CANCEL", 1, f"{call.src}:5060", ())
    cancel = cancel.replace(b"cancel", b"inv").replace(b";tag=p-given-up-provider", b"")
    for after in (0, *LADDER_INVITE[:2]):
        house.into(60 + after, cancel, lan=False)
    outgoing_call(house, 120, "later@phone")
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


@case("txn003-bye-refused", [("TXN003", "network", "observed")], [*DLG, *ALG])
def _() -> House:
    """The provider refuses the phone's BYE with 500: the other end stays in the call."""
    house = House()
    call = _dies(house)
    seen = house.out(10, call._request("BYE", 2, "sip:300@203.0.113.5", f";tag={call._tag}"))
    house.into(10.03, answer(500, seen))
    return house


def _asked_in_vain(house: House, keeps: bool = False) -> House:
    """A re-INVITE and then the BYE of the far end come to the router and no further, a quarter of
    an hour after the answer. keeps: the phone sends something every 50 s."""
    register(house, 0)
    for n in range(1, 20) if keeps else ():
        register(house, 50 * n, n=1 + n)
    call = _dies(house)
    for method, cseq, at, ladder in (("INVITE", 1, 900, LADDER_INVITE),
                                     ("BYE", 2, 935, LADDER_REQUEST)):  # fmt: skip
        made = call.from_far(method, cseq)
        for after in (0, *ladder):
            house.into(at + after, made, lan=False)
    outgoing_call(house, 1000, "later@phone")
    return house


@case("txn003-both-requests-of-the-far-end-stopped",
      [("TXN001", "router", "observed"), ("TXN003", "router", "observed")], [*DLG, *ALG],
      {"shorter-refresh-on-phone": "recommended"}, ["completed", "completed"])  # fmt: skip
def _() -> House:
    """Nothing had used the mapping of the phone since the call was answered, so the router has
    forgotten it: both findings name one place and one cause."""
    return _asked_in_vain(House())


@case("txn003-near-miss-mapping-in-use",
      [("TXN001", "router", "observed"), ("TXN003", "router", "observed")], [*DLG, *ALG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The same, and the mapping is in use: it is not the NAT that stops them."""
    return _asked_in_vain(House(), keeps=True)


@case("txn003-bye-to-the-mapping-of-before", [("TXN003", "router", "observed")],
      ["DLG008", *DLG, *ALG], outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The router starts anew in the middle of a call and gives the phone another port. The far end,
    which does not know that, hangs up."""
    house = House()
    register(house, 0)
    bye = _dies(house).from_far("BYE")
    for after in (0, *LADDER_REQUEST):
        house.into(70 + after, bye, lan=False)
    later = House(wan_port=61000)
    register(later, 50, n=2)
    outgoing_call(later, 110, "later@phone")
    house.lan += later.lan
    house.wan += later.wan
    return house


@case("txn003-response-to-bye-stopped", [("TXN003", "router", "observed")], [*DLG, *ALG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The phone answers the BYE of the far end each time that it comes, and no response leaves the
    router."""
    house = House()
    register(house, 0)
    call = _dies(house)
    made = call.from_far("BYE")
    for after in (0, *LADDER_REQUEST):
        seen = house.into(20 + after, made)
        house.out(20.02 + after, answer(200, seen), wan=False)
    outgoing_call(house, 100, "later@phone")
    return house


@case("txn003-options-unanswered", [("TXN003", "network", "latent")], [*DLG, *ALG],
      state="cannot-tell")  # fmt: skip
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


@case("txn008-to-tag-and-wrong-port",
      [("TXN008", "provider", "observed"), ("DLG001", "provider", "observed"),
       ("ALG011", "router", "latent")],
      ["DLG002", "DLG004"], {"provider-fix": "recommended"},
      ["completed", "completed", "dropped"])  # fmt: skip
def _() -> House:
    """Every ACK has the To tag of no dialog, and the kernel's ALG sends it to the port in its Via,
    where no phone is. On its own port the phone would not have taken it either: the wrong port is
    told, and the call is not laid to it."""
    house = House("linux")
    works_beside(house, 0)
    register(house, 20)
    incoming_call(house, 21, "good@provider")
    call = answered(house, "guess@provider", 40)
    ack = call._in_dialog("ACK", 1, f"{call.src}:5080", ()).replace(b"p-guess", b"q-guess")
    for after in (0, *LADDER_2XX):
        house.into(42.03 + after, ack, lan_port=5080)
    call.dropped(42)
    return house


@case("txn008-to-tag-changed-in-the-router",
      [("TXN008", "router", "observed"), ("DLG001", "router", "observed")],
      ["DLG002", "DLG004"], {"disable-sip-alg": "suspected"}, ["dropped"])  # fmt: skip
def _() -> House:
    """Every ACK comes with the tag of the phone and is delivered with another one."""
    house = House()
    register(house, 0)
    call = answered(house, "odd@provider")
    house.in_alg = lambda m: m.replace(b"=p-odd", b"=q-odd") if m.startswith(b"ACK") else m
    for after in (0, *LADDER_2XX):
        call.ack(3.03 + after)
    call.dropped(3)
    return house


@case("txn008-near-miss-to-tag-of-the-phone",
      [("TXN008", "phone", "observed"), ("DLG001", "phone", "observed")],
      ["DLG002", "DLG004", *ALG], {"phone-fix": "recommended"}, ["dropped"])  # fmt: skip
def _() -> House:
    """The phone itself writes another To tag into its ACK: neither the router nor the network has
    lost it."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "odd@phone")
    call.invite(1)
    call.respond(1.3, 180)
    made = call._request("ACK", 1, "sip:300@203.0.113.5:5060", ";tag=q-odd")
    for after in (0, *LADDER_2XX):
        call.ok(3 + after)
        house.out(3.02 + after, made)
    call.far_bye(35)
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


def _challenged(house: House, status: int, taken: bool) -> House:
    """An INVITE that is challenged, and the one with credentials."""
    call = Outgoing(house, "secret@phone")
    call.invite(1)
    call.respond(1.05, status)
    call.nak(1.06)
    call.invited = call._request(
        "INVITE", 2, "sip:300@example.net", "", call.contact, call.body, branch="again"
    )
    for after in (0,) if taken else (0, *LADDER_INVITE):
        call.invite(1.1 + after)
    if taken:
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
    return _challenged(House(), 407, taken=False)


@case("txn001-near-miss-challenged", must_not=["TXN001", "CAP005", *DLG, *ALG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The INVITE is challenged with 401, the one with credentials is answered: one call, no two."""
    return _challenged(House(), 401, taken=True)


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
      {"clear-nat-state": "recommended"}, ["unanswered"])  # fmt: skip
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


def _from_another_port(opened: float) -> House:
    """The far end of a call sends its BYE from a port of its own, to which the phone sends
    something at that time."""
    house = House()
    call = Outgoing(house, "port@phone")
    call.invite(1)
    call.ok(3)
    call.ack(3.02)
    for after in (0, *LADDER_REQUEST):
        house.into(60 + after, call.from_far("BYE"), sport=5090, lan=False)
    asked = request("OPTIONS", "sip:203.0.113.5:5090", via="192.168.1.10:5060", branch="z9hG4bKask",
                    call_id="ask@phone", cseq=1)  # fmt: skip
    house.into(opened + 0.03, answer(200, house.out(opened, asked, dport=5090), to_tag="o"),
               sport=5090)  # fmt: skip
    outgoing_call(house, 110, "later@phone")
    return house


@case("txn003-bye-from-a-port-opened-later", [("TXN003", "provider", "observed")], [*DLG, *ALG],
      {"provider-fix": "suspected"}, ["completed", "completed"])  # fmt: skip
def _() -> House:
    """No NAT had to let in the BYE when it came: nothing had been sent to that port."""
    return _from_another_port(80)


@case("txn003-near-miss-bye-from-an-open-port", [("TXN003", "router", "observed")], [*DLG, *ALG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The phone had sent something to that port just before."""
    return _from_another_port(45)


@case("txn001-re-invite-from-another-host", [("TXN001", "unknown", "observed")], [*DLG, *ALG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The same with a re-INVITE: the call is known, so it is not unsolicited."""
    return _from_elsewhere(House(), "INVITE")


@case("txn003-near-miss-bye-of-a-stranger", must_not=["TXN003", *DLG, *ALG],
      outcomes=["completed", "unknown"])  # fmt: skip
def _() -> House:
    """A BYE from a host that nobody knows, in a dialog that nobody knows: unsolicited."""
    return _from_elsewhere(House(), "BYE", known=False)


def _far_bye_on_wan(house: House, at: float) -> House:
    """A call, and the far side's BYE from `at` on, which comes to the WAN side only."""
    register(house, 0)
    call = Outgoing(house, "left@phone")
    call.invite(1)
    call.ok(3)
    call.ack(3.02)
    made = request(
        "BYE", f"sip:100@{house.public}", via=f"{house.provider}:5060", branch="z9hG4bKfar-bye",
        call_id=call.call_id, cseq=1, caller=f"<sip:300@example.net>;tag={call._tag}",
        callee="<sip:100@example.net>;tag=p-left-phone",
    )  # fmt: skip
    for after in (0, *LADDER_REQUEST):
        house.into(at + after, made, lan=False)
    return house


@case("txn003-near-miss-bye-at-the-end", [("CAP005", "unknown", "none")], ["TXN003", *DLG, *ALG],
      outcomes=["unknown"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The far side's BYE comes to the WAN side eleven times, the LAN never shows it, and the
    capture ends with the last of them: nobody knows whether the call ended, so it gets no
    all-clear."""
    return _far_bye_on_wan(House(), 15)


# ---- requests that were sent once over UDP, and whose response nobody captured ----


@case("txn003-near-miss-sent-once", must_not=["TXN003", *DLG, *ALG],
      outcomes=["unknown", "completed"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The phone sends its BYE once, and no response is captured. Over UDP it would have sent it
    again, so one came: nobody is to blame, and how the call ended is not known."""
    house = House()
    call = _dies(house)
    house.out(10, call._request("BYE", 2, "sip:300@203.0.113.5", f";tag={call._tag}"))
    outgoing_call(house, 50, "later@phone")
    return house


@case("txn003-bye-sent-twice", [("TXN003", "network", "observed")], [*DLG, *ALG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The same with a BYE that is repeated: the phone did not hear an answer."""
    house = House()
    call = _dies(house)
    for after in (0, 0.5):
        house.out(10 + after, call._request("BYE", 2, "sip:300@203.0.113.5", f";tag={call._tag}"))
    outgoing_call(house, 50, "later@phone")
    return house


@case("reg001-near-miss-sent-once", must_not=["REG001", *DLG, *ALG], state="cannot-tell")
def _() -> House:
    """A REGISTER that is challenged; the one with credentials is sent once, and no response to it
    is captured: nobody knows whether it was accepted."""
    house = House()
    for n in (1, 2):
        seen = house.out(n, request(
            "REGISTER", "sip:example.net", via=f"{house.phone}:5060", branch=f"z9hG4bKonce{n}",
            call_id="once@phone", cseq=n, caller="<sip:100@example.net>;tag=r1",
            contact=house.contact, more=["Expires: 120"],
        ))  # fmt: skip
        if n == 1:
            house.into(1.03, answer(401, seen))
    outgoing_call(house, 50, "later@phone")
    return house


@case("txn001-responses-of-the-phone-stopped", [("TXN001", "router", "observed")], [*DLG, *ALG],
      outcomes=["unanswered", "completed"])  # fmt: skip
def _() -> House:
    """The provider's INVITE is delivered, the phone rings, and nothing that it says leaves the
    router: the finding says which side the responses came to."""
    house = House()
    register(house, 0)
    call = Incoming(house, "eaten@provider")
    for after in (0, *LADDER_INVITE):
        call.invite(5 + after)
        ring = answer(180, call.delivered, to_tag=call._tag, contact=call.contact)
        house.out(5.2 + after, ring, wan=False)
    outgoing_call(house, 60, "later@phone")
    return house


def _bye_challenged(house: House, later: float = 50) -> Outgoing:
    call = _dies(house)
    house.into(10.03, answer(407, house.out(10, _bye(call, 1))))
    outgoing_call(house, later, "later@phone")
    return call


def _bye(call: Outgoing, n: int) -> bytes:
    return call._request("BYE", 1 + n, "sip:300@203.0.113.5", f";tag={call._tag}",
                         branch=f"bye{n}")  # fmt: skip


@case("dlg008-bye-challenged-and-given-up", [("DLG008", "phone", "observed")],
      ["TXN003", *DLG, *ALG], outcomes=["unknown", "completed"])  # fmt: skip
def _() -> House:
    """The phone's BYE is challenged with 407, and it sends no other: the far end stays in the
    call."""
    return _bye_challenged(House()).house


@case("dlg008-near-miss-bye-challenged", must_not=["TXN003", "DLG008", *DLG, *ALG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The same, and the BYE with credentials is accepted."""
    call = _bye_challenged(House())
    call.house.into(11.03, answer(200, call.house.out(11, _bye(call, 2))))
    return call.house


@case("dlg008-near-miss-bye-challenged-at-the-end", must_not=["TXN003", "DLG008", *DLG, *ALG],
      outcomes=["unknown", "completed"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The same, and the capture ends 30 s after the challenge: credentials may yet come."""
    return _bye_challenged(House(), 34).house


@case("dlg008-near-miss-bye-with-credentials-stopped", [("TXN003", "router", "observed")],
      ["DLG008", *DLG, *ALG], outcomes=["unknown", "completed"])  # fmt: skip
def _() -> House:
    """The BYE with credentials never leaves the router: the phone did not give up."""
    call = _bye_challenged(House(), 60)
    for after in (0, *LADDER_REQUEST):
        call.house.out(11 + after, _bye(call, 2), wan=False)
    return call.house


# ---- TXN002 ----


def _refused(house: House, count: int = 11, acks: int = 0, out: bool = True, into: bool = True,
             slow: float = 0.02) -> House:  # fmt: skip
    """A call that is refused with 486, `count` times. acks: how many of those the phone
    acknowledges, `slow` seconds later; out: its ACKs leave the router; into: the refusals reach
    the phone."""
    register(house, 0)
    call = Outgoing(house, "busy@phone")
    call.invite(1)
    call.respond(1.02, 100)
    ack = call._request("ACK", 1, "sip:300@example.net", f";tag={call._tag}", branch="invite")
    for n, after in enumerate((0, *LADDER_2XX)[:count]):
        call.respond(2 + after, 486, lan=into)
        if n < acks:
            house.out(2 + slow + after, ack, wan=out)
    outgoing_call(house, 60, "later@phone")
    return house


@case("txn002-phone-sends-no-ack", [("TXN002", "phone", "latent")], [*DLG, *ALG],
      outcomes=["rejected", "completed"])  # fmt: skip
def _() -> House:
    """The 486 comes to the phone eleven times, which acknowledges none of them."""
    return _refused(House())


@case("txn002-ack-stopped", [("TXN002", "router", "latent")], [*DLG, *ALG],
      outcomes=["rejected", "completed"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The phone acknowledges each 486, and no ACK leaves the router."""
    return _refused(House(), acks=11, out=False)


@case("txn002-ack-lost-beyond", [("TXN002", "network", "latent")], [*DLG, *ALG],
      outcomes=["rejected", "completed"])  # fmt: skip
def _() -> House:
    """The phone acknowledges each 486, its ACKs leave the router, and the 486 still comes."""
    return _refused(House(), acks=11)


@case("txn002-refusal-stopped", [("TXN002", "router", "observed")], [*DLG, *ALG],
      outcomes=["rejected", "completed"])  # fmt: skip
def _() -> House:
    """No 486 reaches the phone: its user waits for an answer that was given."""
    return _refused(House(), into=False)


@case("txn002-one-sided", [("TXN002", "unknown", "latent"), ("CAP001", "unknown", "none")],
      [*DLG, *ALG], outcomes=["rejected", "completed"], one_file="lan")  # fmt: skip
def _() -> House:
    """The phone acknowledges no 486, on the LAN side alone."""
    return _refused(House())


@case("txn002-near-miss-one-ack-lost", must_not=["TXN002", *DLG, *ALG],
      outcomes=["rejected", "completed"])  # fmt: skip
def _() -> House:
    """The 486 comes twice, because one ACK was lost beyond the router."""
    return _refused(House(), 2, acks=2)


@case("txn002-near-miss-slow-ack", must_not=["TXN002", *DLG, *ALG],
      outcomes=["rejected", "completed"])  # fmt: skip
def _() -> House:
    """The phone needs 1.6 s for its first ACK: the 486 comes three times, and no more."""
    return _refused(House(), 3, acks=1, slow=1.6)
