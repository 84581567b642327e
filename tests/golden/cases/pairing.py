# SPDX-License-Identifier: Apache-2.0
"""Golden cases of pairing: copies that must never be joined, and places that must not be blamed"""

from __future__ import annotations

from craft import House, Outgoing, far_gives_up, outgoing_call, register, request, sdp

from cases.case import ALG, DLG, case


@case(
    "pairing-two-phones-alike",
    must_not=["CAP005", "CAP007", *DLG, *ALG],
    outcomes=["completed", "completed"],
)
def _() -> House:
    """Two phones call through one router at the same moment with the same tags, CSeq and branch,
    and IP ID 0: only the Call-ID tells them apart."""
    house = House(idents=False)
    other = House(phone="192.168.1.11", wan_port=40001, idents=False)
    for one, call_id, late in ((house, "a@home", 0.0), (other, "b@home", 0.00005)):
        call = Outgoing(one, call_id, contact=f"<sip:100@{one.public}>", body=sdp(one.wan_ip))
        made = request(
            "INVITE", "sip:300@example.net", via="198.51.100.2:5060", branch="z9hG4bKsame",
            call_id=call_id, cseq=1, caller="<sip:100@example.net>;tag=same",
            callee="<sip:300@example.net>", contact=call.contact, body=call.body,
        )  # fmt: skip
        call.invited = made
        call.invite(1 + late)
        call.respond(1.3 + late, 180)
        call.ok(3 + late)
        call.ack(3.02 + late)
        call.bye(9 + late)
    house.lan += other.lan
    house.wan += other.wan
    return house


def _changed(*changes: tuple[bytes, bytes], loses: bool = False, house: House | None = None,
             call_id: str = "one@phone") -> House:  # fmt: skip
    """A call of the phone behind a router that writes new for old on the way out, and puts it back
    on the way in. changes: old, new. loses: its ACKs never leave the router. house: it registers
    there before the router begins to do so."""
    early = house is not None
    house = house or House()
    if early:
        register(house, 0)

    def out(message: bytes) -> bytes:
        for old, new in changes:
            message = message.replace(old, new)
        return message

    def back(message: bytes) -> bytes:
        for old, new in changes:
            message = message.replace(new, old)
        return message

    house.out_alg, house.in_alg = out, back
    if not early:
        register(house, 0)
    if loses:
        far_gives_up(house, 1, call_id, acks=True)
    else:
        outgoing_call(house, 1, call_id)
    return house


LOST = [("DLG001", "router", "observed")]


@case("pairing-call-id-changed", LOST, ["DLG002", "DLG004", "CAP005", *ALG], outcomes=["dropped"])
def _() -> House:
    """The router writes another Call-ID: one call, whose ACKs never leave the router."""
    return _changed((b"one@phone", b"two@phone"), loses=True)


@case("pairing-from-tag-changed", LOST, ["DLG002", "DLG004", "CAP005", *ALG], outcomes=["dropped"])
def _() -> House:
    """The same with the tag of the phone in From and To."""
    return _changed((b"tag=p-one-phone", b"tag=p-two-phone"), loses=True)


@case("pairing-branch-changed", [*LOST, ("ALG005", "router", "latent")],
      ["DLG002", "DLG004", "CAP005"], outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The same with the branch of every Via of the phone."""
    return _changed((b"branch=z9hG4bK", b"branch=z9hG4bKnat"), loses=True)


@case("pairing-cseq-changed", LOST, ["DLG002", "DLG004", "CAP005", *ALG], outcomes=["dropped"])
def _() -> House:
    """The same with the number in CSeq."""
    return _changed((b"CSeq: ", b"CSeq: 7"), loses=True)


@case("pairing-near-miss-call-id-changed", must_not=["CAP005", *DLG, *ALG])
def _() -> House:
    """The router writes another Call-ID, and the call is acknowledged: one call, no two halves."""
    return _changed((b"one@phone", b"two@phone"))


BRANCH, CALL_ID = (b"branch=z9hG4bK", b"branch=z9hG4bKnat"), (b"one@phone", b"two@phone")
TAG = (b"tag=p-one-phone", b"tag=pbx-7")


@case("pairing-call-id-and-branch-changed", LOST, ["DLG002", "DLG004", "CAP005"],
      outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The router writes another Call-ID and another branch: the datagram and its tags are what
    shows that it is one call."""
    return _changed(BRANCH, CALL_ID, loses=True)


@case("pairing-both-changed-and-no-ip-id", LOST, ["DLG002", "DLG004", "CAP005"],
      outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The same with IP ID 0: the tags, on a mapping that a registration has shown."""
    return _changed(BRANCH, CALL_ID, loses=True, house=House(idents=False))


def _two_alike(phone: str, wan_port: int) -> House:
    """Two calls at one moment with equal tags, whose Call-IDs and branches the router changes."""
    one = _changed(BRANCH, CALL_ID, house=House(idents=False))
    other = House(phone=phone, wan_port=wan_port, idents=False)
    two = _changed(BRANCH, (b"One@phone", b"Two@phone"), house=other, call_id="One@phone")
    same = (b"p-One-phone", b"p-one-phone"), (b"f-One-phone", b"f-one-phone")
    for mine, theirs in ((one.lan, two.lan), (one.wan, two.wan)):
        for at, data in theirs:
            for old, new in same:
                data = data.replace(old, new)
            mine.append((at + 50_000, data))
    return one


@case("pairing-near-miss-two-phones-alike-both-changed", must_not=[*DLG, "ALG011", "TXN001"],
      outcomes=["completed"] * 4, state="cannot-tell")  # fmt: skip
def _() -> House:
    """Two phones call at one moment with equal tags and IP ID 0: nothing shows which WAN copy is
    whose, so no two are joined."""
    return _two_alike("192.168.1.11", 40001)


@case("pairing-near-miss-two-calls-alike-both-changed", must_not=[*DLG, "ALG011", "TXN001"],
      outcomes=["completed"] * 4, state="cannot-tell")  # fmt: skip
def _() -> House:
    """The same of two calls that come from one address and port."""
    return _two_alike("192.168.1.10", 5060)


@case("pairing-near-miss-b2bua", must_not=[*DLG, "ALG011"],
      outcomes=["completed", "completed"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """Call-ID, branch and the tag of the phone differ: a B2BUA on the router, which has calls of
    its own on either side, even where its datagrams look forwarded."""
    return _changed(BRANCH, CALL_ID, TAG)


def _sent_twice(second: bytes) -> House:
    """A call whose router changes every branch, without IP IDs; everything up to the ACK is sent
    once more 100 ms later. second: the port of the media in the second INVITE."""
    house = House(idents=False)
    register(house, 0)
    house.out_alg = lambda made: made.replace(b"branch=z9hG4bK", b"branch=z9hG4bKr-")
    house.in_alg = lambda made: made.replace(b"branch=z9hG4bKr-", b"branch=z9hG4bK")
    call = Outgoing(house, "twice@phone", contact=f"<sip:100@{house.public}>",
                    body=sdp(house.wan_ip))  # fmt: skip
    call.invite(1)
    call.invited = call.invited.replace(b"m=audio 16384", b"m=audio " + second)
    call.invite(1.1)
    for later in (0, 0.1):
        call.respond(1.3 + later, 180)
    for later in (0, 0.1):
        call.ok(3 + later)
    for later in (0, 0.1):
        call.ack(3.12 + later)
    call.bye(9)
    return house


@case("pairing-sent-again-at-once", [("ALG005", "router", "latent")],
      [*DLG, "TXN001", "TXN005", "ALG008", "ALG011"])  # fmt: skip
def _() -> House:
    """Copies of one message that was sent again within the window have the same bytes: any of them
    stands for any other, and none is missing."""
    return _sent_twice(b"16384")


@case("pairing-near-miss-other-bytes-at-once", must_not=[*DLG, "TXN001", "ALG008", "ALG011"],
      state="cannot-tell")  # fmt: skip
def _() -> House:
    """The second INVITE has another body: which copy is whose is not known."""
    return _sent_twice(b"16386")
