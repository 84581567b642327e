# SPDX-License-Identifier: Apache-2.0
"""Golden cases of rewriters other than the kernel's: names of a dialog, routes, identities, and
what is not put back (ALG003 to ALG005, ALG012, DLG009)"""

from __future__ import annotations

import re
from ipaddress import ip_address

from craft import (
    LADDER_2XX,
    LADDER_INVITE,
    LADDER_REQUEST,
    START,
    House,
    Incoming,
    Outgoing,
    Packet,
    Rewriter,
    answer,
    fragmented,
    frame,
    incoming_call,
    outgoing_call,
    register,
    request,
    sdp,
    sized,
    token,
    untouched,
    works_beside,
)

from cases.case import ALG, DLG, answered, case

INSIDE, OUTSIDE = b"one@192.168.1.10", b"one@198.51.100.2"
CALL_ID = INSIDE.decode()


def writes(*changes: tuple[bytes, bytes], but: bytes = b"never") -> Rewriter:
    """A router that writes new for old in every message that does not begin with `but`."""

    def rewrite(message: bytes) -> bytes:
        for old, new in () if message.startswith(but) else changes:
            message = message.replace(old, new)
        return message

    return rewrite


def unheard(house: House, call_id: str = CALL_ID) -> Outgoing:
    """A call of a phone that takes no response for its own."""
    call = Outgoing(house, call_id)
    for after in (0, *LADDER_INVITE):
        call.invite(1 + after)
        call.respond(1.03 + after, 100)
    for after in (0, *LADDER_2XX):
        call.ok(3 + after)
    return call


def far_bye(call: Outgoing, at: float, status: int, *changes: tuple[bytes, bytes]) -> None:
    """The far end's BYE, with the names that it knows, and what the phone says."""
    seen = call.house.into(at, writes(*changes)(call.from_far("BYE")))
    call.house.out(at + 0.02, answer(status, seen))


# ---- DLG009, ALG005 ----

HIDDEN = (INSIDE, OUTSIDE)
BY_PHONE = ["DLG002", "DLG004", "DLG006", "DLG008", "CAP005", "ALG014", "ALG015"]


@case("dlg009-call-id-not-put-back",
      [("DLG009", "router", "observed"), ("DLG001", "router", "observed"),
       ("TXN001", "router", "observed"), ("ALG005", "router", "none")],
      [*BY_PHONE, "ALG012"], {"disable-sip-alg": "suspected"}, ["dropped"])  # fmt: skip
def _() -> House:
    """Scenario 24, of the Juniper type: the router hides the LAN address in the Call-ID and leaves
    the hidden one in all that comes back. The phone repeats its INVITE, sends no ACK, and refuses
    the BYE: one call, and the phone is innocent."""
    house = House()
    register(house, 0)
    house.out_alg = writes(HIDDEN)
    far_bye(unheard(house), 35, 481, HIDDEN)
    return house


@case("dlg009-bye-refused", [("DLG009", "router", "observed")], BY_PHONE,
      {"disable-sip-alg": "suspected"})  # fmt: skip
def _() -> House:
    """The same with a phone that finds its responses by their branch. The call is acknowledged;
    the BYE of the far end has a Call-ID that the phone does not know, and is refused with 481."""
    house = House()
    register(house, 0)
    house.out_alg = writes(HIDDEN)
    call = Outgoing(house, CALL_ID)
    call.set_up(1)
    far_bye(call, 20, 481, HIDDEN)
    call.bye(60)
    return house


@case("dlg009-tag-not-put-back",
      [("DLG009", "router", "observed"), ("ALG005", "router", "latent")], BY_PHONE,
      {"disable-sip-alg": "suspected"})  # fmt: skip
def _() -> House:
    """The tag of the phone instead. The provider sends its BYE to where packets come from although
    it saw a private Contact, so the line works without the ALG: one call is no proof yet."""
    house = House()
    register(house, 0)
    tag = (b"tag=p-one-phone", b"tag=q-one-phone")
    house.out_alg = writes(tag)
    call = Outgoing(house, "one@phone")
    call.set_up(1)
    far_bye(call, 20, 481, tag)
    call.bye(60)
    return house


@case("dlg009-branch-not-put-back",
      [("DLG009", "router", "observed"), ("DLG001", "router", "observed"),
       ("ALG005", "router", "latent")],
      [*BY_PHONE, "ALG002"], {"disable-sip-alg": "suspected"}, ["dropped"])  # fmt: skip
def _() -> House:
    """The branch instead: the phone must discard each response."""
    house = House()
    register(house, 0)
    house.out_alg = writes((b"branch=z9hG4bKinvite", b"branch=z9hG4bKnat"))
    call = unheard(house, "one@phone")
    seen = house.into(35, call.from_far("BYE"), lan=False)
    assert seen
    return house


@case("dlg009-ack-left-out",
      [("DLG009", "router", "observed"), ("DLG001", "router", "observed")], BY_PHONE,
      {"disable-sip-alg": "suspected"}, ["dropped"])  # fmt: skip
def _() -> House:
    """The Call-ID is changed and put back in all messages but the ACK, which means nothing to the
    far end: it repeats its 2xx and hangs up after 32 s."""
    house = House()
    register(house, 0)
    house.out_alg = writes(HIDDEN, but=b"ACK")
    house.in_alg = writes(HIDDEN[::-1])
    call = Outgoing(house, CALL_ID)
    call.invite(1)
    call.respond(1.03, 100)
    for after in (0, *LADDER_2XX):
        call.ok(3 + after)
        call.ack(3.02 + after)
    far_bye(call, 35, 200, HIDDEN)
    return house


@case("dlg009-callee-tag",
      [("DLG009", "router", "observed"), ("DLG001", "router", "observed")], BY_PHONE,
      {"disable-sip-alg": "suspected"}, ["dropped"])  # fmt: skip
def _() -> House:
    """An incoming call: the router changes the phone's tag in the 2xx and leaves the changed one in
    the ACK, which the phone does not take."""
    house = House()
    register(house, 0)
    tag = (b"tag=p-one-provider", b"tag=q-one-provider")
    house.out_alg = writes(tag)
    call = Incoming(house, "one@provider")
    call.invite(1)
    call.ringing(1.2)
    made = writes(tag)
    for after in (0, *LADDER_2XX):
        call.ok(3 + after)
        call.ack(3.03 + after, alg=made)
    house.wan = [(at, made(data) if b"ACK sip" in data else data) for at, data in house.wan]
    call.phone_bye(35)
    return house


UNTAGGED = b"To: <sip:300@example.net>\r\n"
TAGGED = b"To: <sip:300@example.net>;tag=f-one-192-168-1-10\r\n"


def _tag_taken_out(put_back: bool) -> House:
    """The router takes the To tag out of the 2xx, so the ACK and the BYE of the phone have none."""
    house = House()
    register(house, 0)
    house.in_alg = writes((TAGGED, UNTAGGED))
    if put_back:
        house.out_alg = writes((UNTAGGED, TAGGED), but=b"INVITE")
    call = Outgoing(house, CALL_ID)
    call.invite(1)
    call.respond(1.03, 100)
    uri = call.far_contact.strip("<>")
    for after in (0,) if put_back else (0, *LADDER_2XX[:4]):
        call.ok(3 + after)
        house.out(3.02 + after, call._request("ACK", 1, uri, ""))
    seen = house.out(12, call._request("BYE", 2, uri, ""))
    house.into(12.03, answer(200 if put_back else 481, seen))
    return house


@case("dlg009-tag-taken-out", [("DLG009", "router", "observed")], BY_PHONE,
      {"disable-sip-alg": "suspected"})  # fmt: skip
def _() -> House:
    """The far end takes neither the ACK for one nor the BYE for one of its call, and refuses that
    with 481. The private Contact of the phone has nothing to do with it."""
    return _tag_taken_out(False)


@case("dlg009-near-miss-tag-put-back", [("ALG005", "router", "latent")],
      ["DLG009", *BY_PHONE, *DLG])  # fmt: skip
def _() -> House:
    """The same router puts it back into both."""
    return _tag_taken_out(True)


COUNTED = (b"CSeq: 1 INVITE", b"CSeq: 101 INVITE")


@case("dlg009-cseq-not-put-back",
      [("DLG009", "router", "observed"), ("DLG001", "router", "observed")], BY_PHONE,
      {"disable-sip-alg": "suspected"}, ["dropped"])  # fmt: skip
def _() -> House:
    """The router counts the INVITEs of the phone anew. Responses come with its own count, so the
    phone takes none for its own and sends no ACK."""
    house = House()
    register(house, 0)
    house.out_alg = writes(COUNTED)
    call = unheard(house)
    far_bye(call, 35, 481)
    return house


@case("dlg009-near-miss-cseq-put-back", [("ALG005", "router", "latent")],
      ["DLG009", *BY_PHONE, *DLG])  # fmt: skip
def _() -> House:
    """The same router puts the count of the phone back into responses, and counts the ACK too."""
    house = House()
    register(house, 0)
    house.out_alg = writes(COUNTED, (b"CSeq: 1 ACK", b"CSeq: 101 ACK"))
    house.in_alg = writes(COUNTED[::-1])
    outgoing_call(house, 1, CALL_ID)
    return house


@case("dlg009-near-miss-register", [("REG001", "router", "observed"), ("ALG005", "router", "none")],
      ["DLG009", *BY_PHONE], {"disable-sip-alg": "suspected"})  # fmt: skip
def _() -> House:
    """The Call-ID of a REGISTER is not put back in its 200: the phone repeats the REGISTER until it
    gives up. No dialog, so REG001 says it. A call that nothing was rewritten of goes well."""
    house = House()
    house.out_alg = writes((b"reg1@192.168.1.10", b"reg1@198.51.100.2"))
    asked = request(
        "REGISTER", "sip:example.net", via="192.168.1.10:5060", branch="z9hG4bKreg1",
        call_id="reg1@192.168.1.10", cseq=1, caller="<sip:100@example.net>;tag=r1",
        contact=house.contact, more=["Expires: 120"],
    )  # fmt: skip
    for after in (0, *LADDER_REQUEST):
        seen = house.out(after, asked)
        house.into(after + 0.03, answer(200, seen, to_tag="reg", contact=house.contact,
                                        received=house.wan_ip, rport=5060))  # fmt: skip
    outgoing_call(house, 60, "later@phone", body=sdp(house.wan_ip))
    return house


@case("dlg009-near-miss-phone-takes-it",
      [("DLG009", "router", "latent"), ("ALG005", "router", "none")], BY_PHONE)  # fmt: skip
def _() -> House:
    """The Call-ID is not put back, and this phone looks at branches and tags only: nobody was
    hurt, and nothing is advised."""
    house = House()
    register(house, 0)
    house.out_alg = writes(HIDDEN)
    call = Outgoing(house, CALL_ID)
    call.set_up(1)
    far_bye(call, 20, 200, HIDDEN)
    return house


@case("alg005-put-back", [("ALG005", "router", "none")],
      ["DLG009", "ALG012", "ALG014", *DLG])  # fmt: skip
def _() -> House:
    """The router hides the LAN address in each Call-ID and puts it back on the way in: the calls
    complete, and nothing is advised."""
    house = House()
    end = b"\r\nCSeq"
    hidden = (b"@192.168.1.10" + end, b"@198.51.100.2" + end)
    house.out_alg, house.in_alg = writes(hidden), writes(hidden[::-1])
    register(house, 0)
    outgoing_call(house, 1, CALL_ID)
    return house


@case("alg005-near-miss-linux", [("ALG014", "router", "none")],
      ["ALG004", "ALG005", "ALG012", "DLG009", *DLG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The kernel's ALG leaves the LAN address in the Call-ID and changes no other name."""
    house = House("linux")
    register(house, 0)
    outgoing_call(house, 1, CALL_ID)
    incoming_call(house, 12, "in@provider")
    return house


# ---- ALG012 ----


def _left(*starts: bytes, house: House) -> Rewriter:
    """The kernel's ALG on the way in, which leaves lines that begin so as they came."""
    whole = house.in_alg

    def rewrite(message: bytes) -> bytes:
        old, new = message.split(b"\r\n"), whole(message).split(b"\r\n")
        return b"\r\n".join(o if o.startswith(starts) else n for o, n in zip(old, new, strict=True))

    return rewrite


@case("alg012-via",
      [("ALG012", "router", "observed"), ("DLG001", "router", "observed")],
      ["DLG002", "DLG009", "ALG011", "ALG014", "ALG015"], {"disable-sip-alg": "suspected"},
      ["dropped"])  # fmt: skip
def _() -> House:
    """The Via of the phone is rewritten on the way out and not put back in the responses, which
    the phone must discard."""
    house = House("linux")
    register(house, 0)
    house.in_alg = _left(b"Via", house=house)
    call = unheard(house, "one@phone")
    call.far_bye(35)
    return house


def _via_left(rport: bool) -> House:
    """The Via of the phone is rewritten by the mapping, which has another port, and not put back.
    The provider sends to where packets come from, past a private Contact."""
    house = House(wan_port=40123)
    house.out_alg = writes((b"SIP/2.0/UDP 192.168.1.10:5060", b"SIP/2.0/UDP 198.51.100.2:40123"))
    incoming_call(house, 1, "in@provider", fixed_contact=f"sip:100@{house.public}")
    call = Outgoing(house, "one@phone", rport=rport)
    for after in (0, *LADDER_INVITE):
        call.invite(20 + after)
        call.respond(20.03 + after, 100)
    for after in (0, *LADDER_2XX):
        call.ok(22 + after)
    call.far_bye(54)
    return house


@case("alg012-via-of-another-port",
      [("ALG012", "router", "observed"), ("DLG001", "router", "observed")],
      ["DLG002", "DLG009", "ALG014"], {"disable-sip-alg": "recommended"},
      ["completed", "dropped"])  # fmt: skip
def _() -> House:
    """A phone with rport: without the ALG its responses find it."""
    return _via_left(rport=True)


@case("alg012-near-miss-no-way-back",
      [("ALG012", "router", "observed"), ("DLG001", "router", "observed")],
      ["DLG002", "DLG009", "ALG014"], {"disable-sip-alg": "suspected"},
      ["completed", "dropped"])  # fmt: skip
def _() -> House:
    """A phone without rport: without the ALG its responses would go to port 5060 of the WAN side,
    which the NAT has not given to it. What comes to it in calls shows nothing of that."""
    return _via_left(rport=False)


def _bye_to_the_router(status: int) -> tuple[House, Outgoing]:
    """Contact is rewritten, and the BYE comes to the phone with the public address in its
    Request-URI. status: of its response."""
    house = House("linux")
    register(house, 0)
    house.in_alg = _left(b"BYE", house=house)
    call = Outgoing(house, "one@phone")
    call.set_up(1)
    far_bye(call, 20, status)
    return house, call


@case("alg012-request-uri", [("ALG012", "router", "observed")],
      ["DLG001", "DLG008", "DLG009", "ALG014", "ALG015"],
      {"disable-sip-alg": "suspected"})  # fmt: skip
def _() -> House:
    """Contact is rewritten, and the BYE comes to the phone with the public address in its
    Request-URI: this phone does not own that, and says 404."""
    house, call = _bye_to_the_router(404)
    call.bye(60)
    return house


def _ignores_foreign(first_taken: bool) -> House:
    """Contact is rewritten, and no ACK to a 2xx of the phone has its own address in the Request-URI
    again. first_taken: in a call before, the phone takes it."""
    house = House("linux")
    register(house, 0)
    house.in_alg = _left(b"ACK", b"BYE", house=house)
    if first_taken:
        incoming_call(house, 1, "before@provider")
    call = answered(house, "ignored@provider", 10)
    for after in (0, *LADDER_2XX):
        call.ack(12.03 + after)
    call.dropped(12)
    return house


@case("alg012-ack-with-a-foreign-request-uri",
      [("ALG012", "router", "observed"), ("DLG001", "router", "observed")],
      ["DLG002", "DLG006"], {"disable-sip-alg": "suspected"}, ["dropped"])  # fmt: skip
def _() -> House:
    """The phone ignores it and repeats its 2xx until it drops the call."""
    return _ignores_foreign(False)


@case("alg012-near-miss-foreign-request-uri-taken-before",
      [("ALG012", "router", "latent"), ("DLG001", "phone", "observed")],
      ["DLG002", "DLG006"], outcomes=["completed", "dropped"])  # fmt: skip
def _() -> House:
    """The phone has taken such an ACK before: why it ignores this one is not known."""
    return _ignores_foreign(True)


def _refuses_foreign(provider_writes: bool) -> House:
    """The same, and nothing is rewritten for another phone of the house. provider_writes: the
    requests to that one name where its packets come from, and not its private Contact."""
    house, call = _bye_to_the_router(404)
    call.bye(60)
    other = House(phone="192.168.1.77", wan_port=40077)
    register(other, 80, n=77)
    named = f"sip:100@{other.public}" if provider_writes else ""
    incoming_call(other, 81, "beside@provider", fixed_contact=named)
    house.lan += other.lan
    house.wan += other.wan
    return house


@case("alg012-request-uri-of-the-provider", [("ALG012", "router", "observed")],
      ["DLG001", "DLG008", "DLG009"], {"disable-sip-alg": "suspected"},
      ["completed", "completed"])  # fmt: skip
def _() -> House:
    """The provider writes the public address into the Request-URI by itself: without the ALG this
    phone gets the same BYE."""
    return _refuses_foreign(True)


@case("alg012-near-miss-request-uri-of-the-phone", [("ALG012", "router", "observed")],
      ["DLG001", "DLG008", "DLG009"], {"disable-sip-alg": "recommended"},
      ["completed", "completed"])  # fmt: skip
def _() -> House:
    """The provider keeps the Contact of the phone in the Request-URI: without the ALG the BYE names
    this phone."""
    return _refuses_foreign(False)


@case("alg012-near-miss-taken", [("ALG012", "router", "latent")],
      ["DLG001", "DLG008", "DLG009", "ALG014"])  # fmt: skip
def _() -> House:
    """The same with a phone that goes by the user in the Request-URI."""
    return _bye_to_the_router(200)[0]


@case("alg012-near-miss-stun", must_not=["ALG012", "DLG009", *DLG])
def _() -> House:
    """The phone writes its public address itself (STUN): it stays there in all that comes back, as
    it should."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "stun@phone", contact=f"<sip:100@{house.public}>",
                    body=sdp(house.wan_ip))  # fmt: skip
    call.invited = request(
        "INVITE", "sip:300@example.net", via=house.public, branch="z9hG4bKinvite-stun-phone",
        call_id="stun@phone", cseq=1, caller="<sip:100@example.net>;tag=p-stun-phone",
        callee="<sip:300@example.net>", contact=call.contact, body=call.body,
    )  # fmt: skip
    call.set_up(1)
    call.far_bye(9)
    return house


@case("alg012-near-miss-another-port", must_not=["ALG012", *DLG],
      must=[("DLG008", "unknown", "observed")], outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The far end leaves the port of the NAT mapping out of the Request-URI of its BYE, so it is
    not what the kernel's ALG has to put back, and the phone says 404."""
    house = House("linux", wan_port=1024)
    register(house, 0)
    call = Outgoing(house, "one@phone")
    call.invite(1)
    call.respond(1.03, 100)
    call.ok(3)
    call.ack(3.02)
    far_bye(call, 10, 404, (b"BYE sip:100@198.51.100.2:1024", b"BYE sip:100@198.51.100.2"))
    call.bye(60)
    works_beside(house, 100)
    return house


@case("alg012-near-miss-stun-port", [("ALG001", "router", "latent")], ["ALG012", *DLG],
      outcomes=["completed", "completed"], state="hurts")  # fmt: skip
def _() -> House:
    """A phone that wrote its public address itself; the router writes the port of its mapping and
    puts the phone's own back. The phone refuses a BYE for a reason of its own."""
    house = House(wan_port=1024)
    register(house, 0)
    port = (b"198.51.100.2:5060", b"198.51.100.2:1024")
    house.out_alg, house.in_alg = writes(port), writes(port[::-1])
    call = Outgoing(house, "stun@phone", contact="<sip:100@198.51.100.2:5060>",
                    body=sdp(house.wan_ip))  # fmt: skip
    call.set_up(1)
    far_bye(call, 9, 481)
    call.bye(60)
    works_beside(house, 100)
    return house


def _rings_on(house: House, late: bool) -> House:
    """The phone takes what comes without a look at Via. late: answered after 40 s, else cancelled.
    Another phone lives with no ALG in its way."""
    register(house, 0)
    call = Outgoing(house, "ring@phone")
    call.invite(10)
    call.respond(10.03, 100)
    call.respond(10.3, 180)
    if late:
        call.ok(50)
        call.ack(50.02)
        call.bye(60)
    else:
        call.cancel(50)
        call.respond(50.05, 487)
        call.nak(50.07)
    works_beside(house, 80)
    return house


@case("alg012-near-miss-answered-late", [("ALG012", "router", "latent")], ["TXN001", *DLG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """Via is rewritten and not put back. The phone is not strict: it sends its INVITE once, rings
    on for 40 s, and is answered."""
    house = House("linux")
    house.in_alg = _left(b"Via", house=house)
    return _rings_on(house, True)


@case("alg012-near-miss-cancelled-late", [("ALG012", "router", "latent")], ["TXN001", *DLG],
      outcomes=["completed", "cancelled"])  # fmt: skip
def _() -> House:
    """The same call, cancelled after 40 s."""
    house = House("linux")
    house.in_alg = _left(b"Via", house=house)
    return _rings_on(house, False)


@case("txn006-near-miss-answered-late", [("ALG002", "router", "latent")],
      ["TXN001", "TXN006", *DLG], outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """A router that writes its own address into the Via of responses only, and the same phone."""
    house = House()
    own = (b"Via: SIP/2.0/UDP 192.168.1.10", b"Via: SIP/2.0/UDP 198.51.100.2")
    house.in_alg = lambda made: writes(own)(made) if made.startswith(b"SIP/2.0") else made
    return _rings_on(house, True)


@case("dlg009-near-miss-answered-late", [("DLG009", "router", "latent")], ["TXN001", *DLG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """A router that changes the branch of the INVITE and does not put it back, and the same
    phone."""
    house = House()
    house.out_alg = writes((b"branch=z9hG4bKinvite", b"branch=z9hG4bKnat"))
    return _rings_on(house, True)


def _challenged_in_vain(house: House) -> House:
    """The phone takes the 401, and nothing comes to its INVITE with credentials. Later calls of
    this phone and of another one live."""
    register(house, 0)
    call = Outgoing(house, "one@phone")
    call.invite(10)
    call.respond(10.03, 401)
    call.nak(10.05)
    for after in (0, *LADDER_INVITE):
        house.out(
            10.1 + after,
            call._request(
                "INVITE", 2, "sip:300@example.net", "", call.contact, call.body, branch="inv2"
            ),
        )
    outgoing_call(house, 60, "fine@phone")
    works_beside(house, 80)
    register(house, 130, n=2)
    return house


@case("alg012-near-miss-challenge-taken",
      [("ALG012", "router", "latent"), ("TXN001", "network", "observed")], [*DLG],
      outcomes=["completed", "completed", "unanswered"])  # fmt: skip
def _() -> House:
    """Via is rewritten and not put back, which the phone does not mind: it took the challenge. That
    its second INVITE was never answered is another matter."""
    house = House("linux")
    house.in_alg = _left(b"Via", house=house)
    return _challenged_in_vain(house)


@case("dlg009-near-miss-challenge-taken",
      [("DLG009", "router", "latent"), ("TXN001", "network", "observed")], [*DLG],
      outcomes=["completed", "completed", "unanswered"])  # fmt: skip
def _() -> House:
    """The same of the branch."""
    house = House()
    house.out_alg = writes((b"branch=z9hG4bKinvite", b"branch=z9hG4bKnat"))
    return _challenged_in_vain(house)


# ---- ALG003, ALG004 ----


@case("alg003-identities", [("ALG003", "router", "none"), ("ALG014", "router", "none")],
      ["ALG001", "ALG002", "ALG012", *DLG])  # fmt: skip
def _() -> House:
    """A vendor's ALG that writes the router's address into P-Asserted-Identity, and puts it back:
    a name only, and the call completes."""
    house = House()
    register(house, 0)
    name = (b"P-Asserted-Identity: <sip:100@192.168.1.10>",
            b"P-Asserted-Identity: <sip:100@198.51.100.2>")  # fmt: skip
    house.out_alg, house.in_alg = writes(name), writes(name[::-1])
    call = Outgoing(house, "name@phone", body=sdp(house.wan_ip))
    call.invited = request(
        "INVITE", "sip:300@example.net", via="192.168.1.10:5060",
        branch="z9hG4bKinvite-name-phone", call_id="name@phone", cseq=1,
        caller="<sip:100@example.net>;tag=p-name-phone", callee="<sip:300@example.net>",
        contact=call.contact, body=call.body, more=[name[0].decode()],
    )  # fmt: skip
    call.set_up(1)
    call.bye(9)
    return house


@case("alg003-user", [("ALG003", "router", "latent")], ["ALG014", *DLG], outcomes=["rejected"])
def _() -> House:
    """The router writes another user into the Request-URI of a call that comes in, and the phone
    says 404: it is not shown that the other user is why, so nothing is advised."""
    house = House()
    register(house, 0)
    house.in_alg = writes((b"INVITE sip:100@", b"INVITE sip:line1@"))
    call = Incoming(house, "user@provider")
    call.invite(1)
    house.out(1.1, answer(404, call.delivered, to_tag="p-user-provider"))
    nak = call._in_dialog("ACK", 1, f"{call.src}:5060", ())
    house.into(1.15, nak.replace(b"z9hG4bKack", b"z9hG4bKi"))
    return house


@case("alg003-near-miss-domain", [("ALG001", "router", "none")], ["ALG003", "ALG004", *DLG])
def _() -> House:
    """The kernel's ALG, an outgoing call, and host names in From, To and Request-URI: these stay as
    they are."""
    house = House("linux")
    register(house, 0)
    outgoing_call(house, 1, "domain@phone")
    return house


def _routed(house: House, call_id: str) -> Outgoing:
    """A call of a PBX that records its own route."""
    call = Outgoing(house, call_id)
    call.invited = request(
        "INVITE", "sip:300@example.net", via="192.168.1.10:5060",
        branch=f"z9hG4bKinvite-{call_id.replace('@', '-')}", call_id=call_id, cseq=1,
        caller=f"<sip:100@example.net>;tag=p-{call_id.replace('@', '-')}",
        callee="<sip:300@example.net>", contact=call.contact, body=sdp(house.wan_ip),
        more=["Record-Route: <sip:192.168.1.10:5060;lr>"],
    )  # fmt: skip
    call.set_up(1)
    return call


ROUTE = (b"Route: <sip:192.168.1.10:5060;lr>", b"Route: <sip:198.51.100.2:5060;lr>")


@case("alg004-record-route", [("ALG004", "router", "none"), ("ALG014", "router", "none")],
      ["ALG012", "ALG001", *DLG])  # fmt: skip
def _() -> House:
    """Scenario 25, of the Juniper type: Record-Route is rewritten on the way out, and the Route of
    the BYE on the way in."""
    house = House()
    register(house, 0)
    house.out_alg, house.in_alg = writes(ROUTE), writes(ROUTE[::-1])
    call = _routed(house, "route@phone")
    made = call.from_far("BYE", more=["Route: <sip:198.51.100.2:5060;lr>"])
    house.out(20.02, answer(200, house.into(20, made)))
    return house


@case("alg004-not-put-back", [("ALG004", "router", "none"), ("ALG012", "router", "latent")],
      ["ALG014", *DLG])  # fmt: skip
def _() -> House:
    """The same, and the Route of the BYE is left as it came. This PBX takes it."""
    house = House()
    register(house, 0)
    house.out_alg = writes(ROUTE)
    call = _routed(house, "route@phone")
    made = call.from_far("BYE", more=["Route: <sip:198.51.100.2:5060;lr>"])
    house.out(20.02, answer(200, house.into(20, made)))
    return house


@case("alg004-near-miss-left-alone", must_not=["ALG004", "ALG012", *ALG])
def _() -> House:
    """A private Record-Route that no ALG touches: what the router left alone it did not write."""
    house = House()
    register(house, 0)
    call = _routed(house, "route@phone")
    made = call.from_far("BYE", more=["Route: <sip:192.168.1.10:5060;lr>"])
    house.out(20.02, answer(200, house.into(20, made)))
    return house


# ---- ALG007 ----


def _parts(message: bytes) -> bytes:
    """The same with SDP as one of two parts (SIP-I)."""
    head, _, body = message.partition(b"\r\n\r\n")
    head = head.replace(b"application/sdp", b"multipart/mixed;boundary=unique-1")
    return sized(
        head + b"\r\n\r\n--unique-1\r\nContent-Type: application/sdp\r\n\r\n" + body
        + b"\r\n--unique-1\r\nContent-Type: application/isup\r\n\r\n\x01\x00\x60\r\n"
        + b"--unique-1--\r\n"
    )  # fmt: skip


def _counts_from_v(message: bytes) -> bytes:
    """Content-Length as the kernel's helper counts it: from "v=" to the end of the datagram."""
    at = message.find(b"\r\nv=") + 2
    if b"multipart" not in message:
        return message
    return re.sub(rb"(?m)^(Content-Length: )\d+", rb"\g<1>%d" % (len(message) - at), message)


def _several_parts(call_id: str, count: Rewriter, status: int) -> House:
    """An INVITE with a body of two parts, and what the provider says to it."""
    house = House("linux")
    register(house, 0)
    whole = house.out_alg
    house.out_alg = lambda message: count(whole(message))
    call = Outgoing(house, call_id)
    call.invite(1, lan=False, wan=False)
    call.invited = _parts(call.invited)
    call.invite(1)
    call.respond(1.05, 100)
    call.respond(1.2, status, sdp(house.provider, 20000) if status == 200 else b"")
    if status == 200:
        call.ack(1.22)
        call.bye(9)
    else:
        call.nak(1.22)
    return house


@case("alg007-several-parts", [("ALG007", "router", "observed")],
      ["ALG014", "DLG009", *DLG], {"disable-sip-alg": "suspected"}, ["rejected"])  # fmt: skip
def _() -> House:
    """Scenario 9: the kernel's helper counts Content-Length from "v=" on, so the body of two parts
    is cut before its last boundary, and the provider says 400."""
    return _several_parts("parts@phone", _counts_from_v, 400)


@case("alg007-near-miss-taken", [("ALG007", "router", "latent")], ["ALG014", "DLG009", *DLG])
def _() -> House:
    """The same with a provider that takes it: the call completes."""
    return _several_parts("parts@phone", _counts_from_v, 200)


@case("alg007-near-miss-counted-right", [("ALG001", "router", "none")],
      ["ALG007", "DLG009", *DLG], outcomes=["rejected"], state="hurts")  # fmt: skip
def _() -> House:
    """A helper that counts the whole body. The provider refuses the call all the same, and the
    body is not why."""
    return _several_parts("parts@phone", untouched, 488)


@case("alg007-lines-lost", [("ALG007", "router", "observed")],
      ["ALG014", "DLG009", *DLG], {"disable-sip-alg": "suspected"}, ["rejected"])  # fmt: skip
def _() -> House:
    """A vendor's ALG drops a line of the SDP and counts what is left: the provider says 488."""
    house = House()
    register(house, 0)
    house.out_alg = lambda message: sized(message.replace(b"t=0 0\r\n", b""))
    call = Outgoing(house, "lines@phone", body=sdp(house.wan_ip))
    call.invite(1)
    call.respond(1.05, 100)
    call.respond(1.2, 488)
    call.nak(1.22)
    return house


# ---- SIZE001, ALG013 ----


def _filled(call: Outgoing, size: int) -> None:
    """Its INVITE as an IP packet of so many bytes."""
    call.invite(0, lan=False, wan=False)
    missing = size - 28 - len(call.invited) - len(b"X-Fill: \r\n")
    line = b"X-Fill: " + b"x" * missing + b"\r\nMax-Forwards"
    call.invited = call.invited.replace(b"Max-Forwards", line, 1)


def _in_vain(house: House, call_id: str, at: float, size: int, leaves: bool = True) -> None:
    call = Outgoing(house, call_id)
    _filled(call, size)
    for after in (0, *LADDER_INVITE):
        call.invite(at + after, wan=leaves)


def _of_size(*sizes: int, alg: bool = False, leaves: bool = True, answered: int = 0,
             mtu: int = 1500) -> House:  # fmt: skip
    """A short call that works, calls with an INVITE of that size that nobody answers, and another
    registration. alg: of the kernel, for a phone with a short address. answered: size of the INVITE
    of a call that works before. mtu: of the WAN."""
    house = House("linux", phone="10.0.0.9") if alg else House()
    register(house, 0)
    outgoing_call(house, 1, "short@phone")
    if answered:
        call = Outgoing(house, "long@phone")
        _filled(call, answered)
        call.invite(10)
        call.respond(10.3, 180)
        call.ok(11)
        call.ack(11.02)
        call.bye(15)
    for n, size in enumerate(sizes):
        _in_vain(house, f"gone{n}@phone", 20 + 60 * n, size, leaves)
        register(house, 25 + 60 * n, n=2 + n)
        register(house, 75 + 60 * n, n=20 + n)
    house.lan, house.wan = fragmented(house.lan), fragmented(house.wan, mtu)
    return house


SMALLER = {"smaller-messages-or-tcp": "recommended"}
SIZE = ["SIZE001", "ALG013"]


@case("size001-beyond", [("SIZE001", "network", "observed"), ("TXN001", "network", "observed")],
      ["ALG013", "ALG008", *DLG], SMALLER, ["unanswered", "unanswered", "completed"])  # fmt: skip
def _() -> House:
    """The INVITE of a phone with many codecs travels in two IP fragments. It leaves the router and
    is never answered; a short call and each registration are."""
    return _of_size(1700, 1700)


@case("size001-router", [("SIZE001", "router", "observed"), ("TXN001", "router", "observed")],
      ["ALG013", "ALG008", *DLG], SMALLER, ["unanswered", "completed"])  # fmt: skip
def _() -> House:
    """The same, and the fragments do not leave the router."""
    return _of_size(1700, leaves=False)


@case("size001-near-miss-short", [("TXN001", "network", "observed")], [*SIZE, *DLG],
      outcomes=["unanswered", "completed"])  # fmt: skip
def _() -> House:
    """An INVITE of one packet that nobody answers: size is not why."""
    return _of_size(1400)


@case("size001-near-miss-answered-before", [("TXN001", "network", "observed")], [*SIZE, *DLG],
      outcomes=["unanswered", "completed", "completed"])  # fmt: skip
def _() -> House:
    """An INVITE in fragments was answered on this line: fragments do arrive."""
    return _of_size(1700, answered=1700)


@case("size001-near-miss-provider-gone", [("TXN001", "network", "observed")], [*SIZE, *DLG],
      outcomes=["unanswered", "completed"])  # fmt: skip
def _() -> House:
    """An INVITE in fragments, after which the provider answers nothing at all."""
    house = House()
    register(house, 0)
    outgoing_call(house, 1, "short@phone")
    _in_vain(house, "gone@phone", 20, 1700)
    asked = request(
        "REGISTER", "sip:example.net", via="192.168.1.10:5060", branch="z9hG4bKreg2",
        call_id="reg2@192.168.1.10", cseq=2, caller="<sip:100@example.net>;tag=r1",
        contact=house.contact, more=["Expires: 120"],
    )  # fmt: skip
    for after in (0, *LADDER_REQUEST):
        house.out(25 + after, asked)
    house.out(70, asked.replace(b"reg2", b"reg3"))
    house.lan, house.wan = fragmented(house.lan), fragmented(house.wan)
    return house


@case("alg013-grew-into-fragments",
      [("ALG013", "router", "observed"), ("TXN001", "network", "observed")],
      ["SIZE001", "ALG008", *DLG], SMALLER, ["unanswered", "completed"])  # fmt: skip
def _() -> House:
    """The NAT gives the phone a longer address: an INVITE of 1490 bytes grows past the MTU of 1492
    and leaves in two fragments, which nobody answers."""
    return _of_size(1490, alg=True, mtu=1492)


@case("alg013-black-hole",
      [("ALG013", "router", "observed"), ("TXN001", "router", "observed")],
      ["SIZE001", "ALG008", *DLG], SMALLER, ["unanswered", "completed"])  # fmt: skip
def _() -> House:
    """Scenario 11: the same with a router that must not fragment: it never leaves."""
    return _of_size(1490, alg=True, leaves=False, mtu=1492)


@case("alg013-near-miss-fits", [("TXN001", "router", "observed")], [*SIZE, "ALG008", *DLG],
      outcomes=["unanswered", "completed"])  # fmt: skip
def _() -> House:
    """An INVITE that would fit after it has grown, and does not leave the router either."""
    return _of_size(1450, alg=True, leaves=False, mtu=1492)


# ---- ALG009 ----

GATEWAY = "192.168.1.1"


def _on(packets: list[Packet], at: float, payload: bytes, src: str, dst: str, ttl: int) -> None:
    packets.append((round((START + at) * 1e9), frame(payload, src, 5060, dst, 5060, ttl, 77)))


def _invite(call_id: str, via: str, user: str, tag: str, host: str) -> bytes:
    return request(
        "INVITE", f"sip:{user}@example.net", via=f"{via}:5060", branch=f"z9hG4bK{tag}",
        call_id=call_id, cseq=1, caller=f"<sip:100@example.net>;tag={tag}",
        callee=f"<sip:{user}@example.net>", contact=f"<sip:100@{via}:5060>", body=sdp(host),
    )  # fmt: skip


def _whole(packets: list[Packet], at: float, invite: bytes, near: str, far: str,
           ttls: tuple[int, int], alter: Rewriter = untouched) -> None:  # fmt: skip
    """A call on one tap, from near to far. ttls: of the packets of each. alter: what becomes of
    the requests."""
    invite = alter(invite)
    tag = re.search(rb";tag=(\w+)", invite)
    assert tag is not None
    _on(packets, at, invite, near, far, ttls[0])
    ok = answer(200, invite, to_tag=f"to{tag[1].decode()}", contact=f"<sip:300@{far}:5060>",
                body=sdp(far, 20000))  # fmt: skip
    _on(packets, at + 1, ok, far, near, ttls[1])
    for method, late, cseq in (("ACK", 1.1, 1), ("BYE", 5.0, 2)):
        made = request(
            method, f"sip:300@{far}:5060", via=f"{near}:5060",
            branch=f"z9hG4bK{method}{tag[1].decode()}", cseq=cseq,
            call_id=re.search(rb"Call-ID: (.*)\r", invite)[1].decode(),  # type: ignore[index]
            caller=f"<sip:100@example.net>;tag={tag[1].decode()}",
            callee=f"<sip:300@example.net>;tag=to{tag[1].decode()}",
        )  # fmt: skip
        made = alter(made)
        _on(packets, at + late, made, near, far, ttls[0])
    _on(packets, at + 5.1, answer(200, made), far, near, ttls[1])


NOT_ALG = ["ALG001", "ALG002", "ALG003", "ALG004", "ALG005", "ALG006", "ALG010", "ALG011", "ALG012",
           "ALG014", "ALG015", "DLG009"]  # fmt: skip


@case("alg009-b2bua", [("ALG009", "router", "none")], [*NOT_ALG, *DLG],
      outcomes=["completed", "completed"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """Scenario 28: a PBX on the router. The phone calls it, and it calls the provider, with names
    of its own."""
    house = House()
    _whole(house.lan, 1, _invite("in@phone", house.phone, "300", "a1", house.phone), house.phone,
           GATEWAY, (64, 64))  # fmt: skip
    _whole(house.wan, 1.05, _invite("out@pbx", house.wan_ip, "300", "b1", house.wan_ip),
           house.wan_ip, house.provider, (64, 60))  # fmt: skip
    return house


def _own_call(at: float, user: str) -> House:
    """The phone calls the PBX, and its own call is seen by a log in the output hook, too."""
    house = House()
    _whole(house.lan, 1, _invite("in@phone", house.phone, "300", "a1", house.phone), house.phone,
           GATEWAY, (64, 64))  # fmt: skip
    own: list[Packet] = []
    _whole(own, at, _invite("out@pbx", GATEWAY, user, "b1", GATEWAY), GATEWAY, house.provider,
           (64, 60))  # fmt: skip
    house.lan += own
    inside, outside = (ip_address(host).packed for host in (GATEWAY, house.wan_ip))
    house.wan += [(when, data.replace(inside, outside)) for when, data in own]
    return house


@case("alg009-b2bua-own-call-twice", [("ALG009", "router", "none")], [*NOT_ALG, *DLG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The call of the PBX with the provider has two copies with one TTL: nobody forwarded it."""
    return _own_call(1.05, "300")


@case("alg009-near-miss-own-call-of-another", must_not=["ALG009", *NOT_ALG, *DLG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """A phone port of the router calls somebody else a minute later: another call."""
    return _own_call(61, "400")


@case("alg009-near-miss-two-calls", must_not=["ALG009", *NOT_ALG, *DLG],
      outcomes=["completed", "completed"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The same packets a minute apart, to two users: nothing shows that they are of one call."""
    house = House()
    _whole(house.lan, 1, _invite("in@phone", house.phone, "300", "a1", house.phone), house.phone,
           GATEWAY, (64, 64))  # fmt: skip
    _whole(house.wan, 61, _invite("out@pbx", house.wan_ip, "400", "b1", house.wan_ip),
           house.wan_ip, house.provider, (64, 60))  # fmt: skip
    return house


@case("alg009-proxy", [("ALG009", "router", "none")], [*NOT_ALG, *DLG], state="cannot-tell")
def _() -> House:
    """A proxy on the router (siproxd): one call, with a Via more and another Contact on the WAN."""
    house = House()
    invite = _invite("one@phone", house.phone, "300", "a1", house.phone)

    def proxied(message: bytes) -> bytes:
        branch = token(message[:6].decode()).encode()
        own = b"Via: SIP/2.0/UDP 198.51.100.2:5060;branch=z9hG4bKproxy-" + branch + b"\r\nVia"
        changed = message.replace(b"Via", own, 1)
        return changed.replace(b"<sip:100@192.168.1.10:5060>", b"<sip:100@198.51.100.2:5060>")

    _whole(house.lan, 1, invite, house.phone, GATEWAY, (64, 64))
    _whole(house.wan, 1.05, invite, house.phone, house.provider, (64, 60), proxied)
    house.wan = [(at, data.replace(ip_address(house.phone).packed, ip_address(house.wan_ip).packed))
                 for at, data in house.wan]  # fmt: skip
    return house


@case("alg009-forwarding-proxy", [("ALG009", "router", "none")], [*NOT_ALG, *DLG])
def _() -> House:
    """A transparent proxy that keeps each datagram's IP ID and TTL: its copies are paired, and what
    it changed is no ALG's doing."""
    house = House()
    register(house, 0)
    own = b"Via: SIP/2.0/UDP 198.51.100.2:5060;branch=z9hG4bKproxy"

    def out(message: bytes) -> bytes:
        if message.startswith(b"SIP/2.0"):
            return message
        return message.replace(b"Via:", own + b"\r\nVia:", 1)

    house.out_alg = out
    house.in_alg = lambda m: re.sub(re.escape(own) + rb"[^\r]*\r\n", b"", m, count=1)
    call = Outgoing(house, "one@phone", rport=False, body=sdp(house.wan_ip))
    call.set_up(1)
    call.bye(9)
    return house


@case("alg009-agent", [("ALG009", "router", "none")], [*NOT_ALG, *DLG],
      outcomes=["completed", "completed"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """Scenario 29: the router has an agent of its own (FXS) on WAN port 5060, which takes a call.
    A LAN phone works beside it."""
    house = House(port=5062, wan_port=5062)
    register(house, 0)
    outgoing_call(house, 1, "lan@phone", body=sdp(house.wan_ip))
    _whole(house.wan, 20, _invite("fxs@provider", house.provider, "200", "p1", house.provider),
           house.provider, house.wan_ip, (60, 64))  # fmt: skip
    register(house, 60, n=2)
    return house


@case("alg009-busy", [("ALG009", "router", "observed")], [*NOT_ALG[:-1], *DLG],
      {"disable-sip-alg": "suspected"}, outcomes=["completed", "rejected"])  # fmt: skip
def _() -> House:
    """Scenario 27, of the QuickSec type: the router takes the phone's INVITE and answers 486 in the
    provider's name. The 486 has a TTL with which hosts begin, and never came to the WAN."""
    house = House()
    register(house, 0)
    outgoing_call(house, 1, "before@phone", body=sdp(house.wan_ip))
    call = Outgoing(house, "busy@phone")
    call.invite(20, wan=False)
    busy = answer(486, call.invited, to_tag="none")
    _on(house.lan, 20.01, busy, house.provider, house.phone, 64)
    house.out(20.02, call._request("ACK", 1, "sip:300@example.net", ";tag=none", branch="invite"),
              wan=False)  # fmt: skip
    register(house, 60, n=2)
    return house


@case("alg009-near-miss-provider-says-busy", must_not=["ALG009", *NOT_ALG, *DLG],
      outcomes=["completed", "rejected"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The same 486 with the TTL of the provider's other packets: it has passed this router, and its
    WAN copy was not captured."""
    house = House()
    register(house, 0)
    outgoing_call(house, 1, "before@phone", body=sdp(house.wan_ip))
    call = Outgoing(house, "busy@phone")
    call.invite(20, wan=False)
    _on(house.lan, 20.3, answer(486, call.invited, to_tag="none"), house.provider, house.phone, 59)
    house.out(20.32, call._request("ACK", 1, "sip:300@example.net", ";tag=none", branch="invite"),
              wan=False)  # fmt: skip
    register(house, 60, n=2)
    return house
