# SPDX-License-Identifier: Apache-2.0
"""Golden cases of healthy houses with unusual calls, half of them with a SIP helper at work that
rewrites all of it rightly: none of it is a fault."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from craft import House, answer, frame, register, request, sdp, token

from cases.case import ALG, DLG, case

NO = [*DLG, *[rule for rule in ALG if rule not in ("ALG001", "ALG002", "ALG006", "ALG014")],
      "TXN003", "DLG008", "DLG012", "DLG013", "DLG014", "REG001"]  # fmt: skip
FAR = "203.0.113.5"
Response = tuple[float, int, Sequence[str]]  # seconds after the request, status, header lines
RING_AND_ANSWER: Sequence[Response] = ((0.03, 100, ()), (0.3, 180, ()), (2, 200, ()))
OK: Sequence[Response] = ((0.03, 200, ()),)


def _house(alg: str = "linux", phone: str = "192.168.1.10", wan_port: int = 5060) -> House:
    house = House(alg, phone=phone, wan_port=wan_port)
    for n, at in enumerate((0, 60, 118)):
        register(house, at, n=int(phone.rpartition(".")[2]) + n)
    return house


class Script:
    """A dialog of the phone and a far end. out: the phone begins it."""

    def __init__(self, house: House, call_id: str, out: bool = True) -> None:
        self.house, self.call_id, self.out = house, call_id, out
        self.begun = False
        self.cseq = {True: 0, False: 100}
        self.far = f"<sip:300@{FAR}:5060>"

    def send(self, at: float, method: str, out: bool | None = None,
             responses: Sequence[Response] = OK, body: bytes = b"", more: Sequence[str] = (),
             branch: str = "", cseq: int = 0, kind: str = "") -> bytes:  # fmt: skip
        """One request by the phone (out) or the far end, its responses, and the ACK if it is an
        INVITE. Returns it as the other end gets it."""
        house, out = self.house, self.out if out is None else out
        self.cseq[out] = cseq or self.cseq[out] + 1
        tags = f";tag={'p' if out else 'f'}-x", f";tag={'f' if out else 'p'}-x"
        begins = method == "CANCEL" or (method == "INVITE" and not self.begun)
        names = ("<sip:100@example.net>", "<sip:300@example.net>")[:: 1 if out else -1]
        contacts = (house.contact, self.far)[:: 1 if out else -1]
        media = (sdp(house.phone), sdp(FAR, 20000))[:: 1 if out else -1]
        ids: dict[str, Any] = {
            "via": f"{house.phone}:5060" if out else f"{FAR}:5060", "call_id": self.call_id,
            "caller": names[0] + tags[0],
        }  # fmt: skip
        uri = "sip:300@example.net" if begins else self.far.strip("<>")
        uri = uri if out else f"sip:100@{house.public}"
        branch = branch or f"z9hG4bK{token(self.call_id)}{'p' if out else 'f'}{self.cseq[out]}"
        invites = method == "INVITE"
        made = request(
            method, uri, branch=branch, cseq=self.cseq[out], more=more,
            callee=names[1] + ("" if begins else tags[1]),
            contact=contacts[0] if method not in ("BYE", "CANCEL", "PRACK") else "",
            body=body or (media[0] if invites else b""), **ids,
        )  # fmt: skip
        if kind:
            made = made.replace(b"application/sdp", kind.encode())
        there, back = (house.out, house.into) if out else (house.into, house.out)
        seen = there(at, made)
        for after, status, lines in responses:
            accepts = invites and 100 < status < 300
            back(at + after, answer(
                status, seen, to_tag="" if status == 100 else tags[1][5:], more=lines,
                contact=contacts[1] if accepts else "",
                body=media[1] if invites and status == 200 else b"",
                received=house.wan_ip if out else "", rport=house.wan_port if out else 0,
            ))  # fmt: skip
            self.begun = self.begun or accepts
            if invites and status >= 200:
                target = uri if status >= 300 else self.far.strip("<>") if out else uri
                there(at + after + 0.02, request(
                    "ACK", target, branch=branch + ("a" if status < 300 else ""),
                    cseq=self.cseq[out], callee=names[1] + tags[1], **ids,
                ))  # fmt: skip
        return seen

    def refer(self, at: float, to: str) -> None:
        """The phone transfers the other end, which tells how far that is."""
        self.send(at, "REFER", True, ((0.03, 202, ()),), more=[f"Refer-To: {to}"])
        for n, (state, line) in enumerate((("active;expires=60", b"SIP/2.0 100 Trying\r\n"),
                                           ("terminated;reason=noresource",
                                            b"SIP/2.0 200 OK\r\n"))):  # fmt: skip
            self.send(at + 0.2 + 2 * n, "NOTIFY", False, body=line, kind="message/sipfrag",
                      more=["Event: refer", f"Subscription-State: {state}"])  # fmt: skip


@case("ordinary-attended-transfer", must_not=NO, outcomes=["completed", "completed"])
def _() -> House:
    """The phone calls a third party, and connects it with its caller (RFC 5589 section 7)."""
    house = _house()
    first, second = Script(house, "first@far", out=False), Script(house, "second@phone")
    first.send(5, "INVITE", responses=RING_AND_ANSWER)
    second.send(15, "INVITE", responses=RING_AND_ANSWER)
    first.refer(21, f"<sip:400@{FAR}:5060?Replaces=second%40phone%3Bto-tag%3Df-x%3Bfrom-tag%3Dp-x>")
    second.send(23.4, "BYE", False)
    first.send(23.5, "BYE", True)
    return house


@case("ordinary-transfer-told-too-late", must_not=NO)
def _() -> House:
    """The transferred end hangs up before it tells that the transfer was done, and the phone
    refuses its NOTIFY with 481."""
    house = _house("")
    call = Script(house, "late@far", out=False)
    call.send(5, "INVITE", responses=RING_AND_ANSWER)
    call.send(15, "REFER", True, ((0.03, 202, ()),), more=["Refer-To: <sip:400@example.net>"])
    call.send(15.2, "BYE", False)
    call.send(
        15.5,
        "NOTIFY",
        False,
        ((0.03, 481, ()),),
        body=b"SIP/2.0 200 OK\r\n",
        kind="message/sipfrag",
        more=["Event: refer", "Subscription-State: terminated"],
    )
    return house


@case("ordinary-both-hang-up", must_not=NO)
def _() -> House:
    """The BYEs of both ends cross, and each is refused with 481."""
    house = _house("")
    call = Script(house, "both@phone")
    call.send(5, "INVITE", responses=RING_AND_ANSWER)
    call.send(30, "BYE", True, ((0.03, 481, ()),))
    call.send(30.001, "BYE", False, ((0.03, 481, ()),))
    return house


@case("ordinary-ims", must_not=NO)
def _() -> House:
    """Reliable 183 and 180, each with its PRACK, an UPDATE in between, and a proxy that records
    itself."""
    house = _house()
    call = Script(house, "ims@phone")
    reliable = [["Require: 100rel", f"RSeq: {n}", f"Record-Route: <sip:{FAR};lr>"] for n in (5, 6)]
    call.send(5, "INVITE", responses=((0.03, 100, ()), (0.3, 183, reliable[0]),
                                      (1.2, 180, reliable[1])))  # fmt: skip
    call.send(5.4, "PRACK", more=["RAck: 5 1 INVITE"])
    call.send(5.6, "UPDATE", body=sdp(house.phone))
    call.send(6.3, "PRACK", more=["RAck: 6 1 INVITE"])
    seen = house.out_alg(_first(house, b"INVITE"))
    house.into(9, answer(200, seen, to_tag="f-x", contact=call.far, body=sdp(FAR, 20000),
                         more=reliable[0][2:]))  # fmt: skip
    call.send(9.02, "ACK", responses=(), cseq=1, branch="z9hG4bKacked")
    call.send(40, "BYE", cseq=9)
    return house


def _first(house: House, start: bytes) -> bytes:
    """The first such message of the LAN side."""
    return next(data[42:] for _, data in house.lan if data[42:].startswith(start))


@case("ordinary-answered-twice", must_not=NO)
def _() -> House:
    """Two phones beyond answer the forked call, and the phone hangs up on the second one (RFC 3261
    section 13.2.2.4)."""
    house = _house("")
    call = Script(house, "fork@phone")
    call.send(5, "INVITE", responses=((0.03, 100, ()), (0.3, 180, ()), (4, 200, ())))
    house.into(9.1, answer(200, _first(house, b"INVITE"), to_tag="other",
                           contact=f"<sip:301@{FAR}:5060>", body=sdp(FAR, 20002)))  # fmt: skip
    ids: dict[str, Any] = {
        "via": "192.168.1.10:5060", "call_id": "fork@phone",
        "caller": "<sip:100@example.net>;tag=p-x", "callee": "<sip:300@example.net>;tag=other",
    }  # fmt: skip
    house.out(9.12, request("ACK", f"sip:301@{FAR}:5060", branch="z9hG4bKack2", cseq=1, **ids))
    bye = request("BYE", f"sip:301@{FAR}:5060", branch="z9hG4bKbye2", cseq=2, **ids)
    house.into(9.17, answer(200, house.out(9.14, bye)))
    call.send(30, "BYE", cseq=3)
    return house


@case("ordinary-two-phones-ring", must_not=NO)
def _() -> House:
    """The provider forks a call to two phones here. One answers, and the other one's branch is
    cancelled."""
    one, two = _house(""), _house("", "192.168.1.11", 40011)
    calls = [Script(house, "ring@far", out=False) for house in (one, two)]
    calls[0].send(5, "INVITE", responses=((0.03, 100, ()), (0.2, 180, ()), (3, 200, ())),
                  branch="z9hG4bKone")  # fmt: skip
    calls[1].send(5.001, "INVITE", responses=((0.03, 100, ()), (0.2, 180, ())),
                  branch="z9hG4bKtwo")  # fmt: skip
    seen = _first(two, b"INVITE")
    calls[1].send(8.05, "CANCEL", cseq=101, branch="z9hG4bKtwo")
    two.out(8.1, answer(487, seen, to_tag="q"))
    two.into(8.13, request(
        "ACK", f"sip:100@{two.public}", via=f"{FAR}:5060", branch="z9hG4bKtwo", cseq=101,
        call_id="ring@far", caller="<sip:300@example.net>;tag=f-x",
        callee="<sip:100@example.net>;tag=q",
    ))  # fmt: skip
    calls[0].send(40, "BYE")
    one.lan, one.wan = one.lan + two.lan, one.wan + two.wan
    return one


@case("ordinary-keep-alives", must_not=NO)
def _() -> House:
    """Every kind of keep-alive on the port of SIP: empty packets, CRLF, zeros, letters, STUN."""
    house = _house()
    stun = b"\0\1\0\0\x21\x12\xa4\x42" + bytes(12)
    kinds = (b"", b"\r\n\r\n", b"\0\0\0\0", b"jaK\0", b"hello", stun)
    for n in range(18):
        house.out(3 + n * 6, kinds[n % 6], alg=lambda made: made)
    call = Script(house, "good@phone")
    call.send(30, "INVITE", responses=RING_AND_ANSWER)
    call.send(50, "BYE")
    return house


def _leg(house: House, at: float, ends: tuple[str, str], call_id: str, status: int,
         via: str = "") -> None:  # fmt: skip
    """A call inside the LAN. via: the Via below the topmost one, of a proxy's."""
    src, dst = ends

    def put(after: float, made: bytes, back: bool = False) -> None:
        one, two = (dst, src) if back else (src, dst)
        ident = 0x7000 + len(house.lan)
        house.lan.append((round((1_700_000_000 + at + after) * 1_000_000) * 1000,
                          frame(made, one, 5060, two, 5060, ident=ident)))  # fmt: skip

    def asked(method: str, cseq: int, tag: str, branch: str) -> bytes:
        return request(
            method, f"sip:22@{dst}", via=f"{src}:5060", branch=f"z9hG4bK{src[-2:]}{branch}",
            call_id=call_id, cseq=cseq, caller="<sip:21@pbx.example>;tag=a",
            callee=f"<sip:22@pbx.example>{tag}", more=[via] if via else [],
            contact=f"<sip:21@{src}:5060>" if method == "INVITE" else "",
            body=sdp(src) if method == "INVITE" else b"",
        )  # fmt: skip

    invite = asked("INVITE", 1, "", "i" + token(call_id))
    put(0, invite)
    put(0.3, answer(180, invite, to_tag="b"), back=True)
    put(2, answer(status, invite, to_tag="b", contact=f"<sip:22@{dst}:5060>",
                  body=sdp(dst) if status == 200 else b""), back=True)  # fmt: skip
    put(2.03, asked("ACK", 1, ";tag=b", ("a" if status == 200 else "i") + token(call_id)))
    if status == 200:
        bye = asked("BYE", 2, ";tag=b", "b" + token(call_id))
        put(20, bye)
        put(20.02, answer(200, bye), back=True)


@case("ordinary-pbx-and-its-phones", must_not=NO,
      outcomes=["completed", "completed", "rejected", "rejected", "completed"])  # fmt: skip
def _() -> House:
    """A PBX in the LAN, whose phones call each other through it: both halves of each call are on
    the LAN alone. Its trunk leaves through the router."""
    house = _house(phone="192.168.1.5")
    pbx = house.phone
    for n, status in enumerate((200, 486)):
        for half, ends in enumerate(((f"192.168.1.2{n}", pbx), (pbx, f"192.168.1.3{n}"))):
            _leg(house, 5 + n + half / 100, ends, f"half{n}{half}@lan", status)
    call = Script(house, "trunk@phone")
    call.send(40, "INVITE", responses=RING_AND_ANSWER)
    call.send(55, "BYE")
    return house


@case("ordinary-starts-with-an-asterisk", must_not=NO)
def _() -> House:
    """A phone removes all its old bindings when it starts (Contact: *), and is challenged first."""
    house = House()
    for n, status in enumerate((401, 200)):
        made = request(
            "REGISTER", "sip:example.net", via="192.168.1.10:5060", branch=f"z9hG4bKoff{n}",
            call_id="off@phone", cseq=n + 1, caller="<sip:100@example.net>;tag=p",
            callee="<sip:100@example.net>", contact="*", more=["Expires: 0"],
        )  # fmt: skip
        challenge = ['WWW-Authenticate: Digest realm="example.net", nonce="n"']
        house.into(0.03 + n / 10, answer(status, house.out(n / 10, made), to_tag="r",
                                         more=challenge[n:]))  # fmt: skip
    register(house, 1)
    register(house, 60, n=2)
    call = Script(house, "fine@phone")
    call.send(5, "INVITE", responses=RING_AND_ANSWER)
    call.send(20, "BYE")
    return house


@case("ordinary-gives-way", must_not=NO)
def _() -> House:
    """Both ends ask for hold at once and refuse each other (491). One asks again, and later for
    T.38, which the other one refuses with 488."""
    house = _house()
    call = Script(house, "glare@phone")
    call.send(5, "INVITE", responses=RING_AND_ANSWER)
    call.send(15, "INVITE", False, ((0.04, 491, ()),))
    call.send(15.005, "INVITE", True, ((0.04, 491, ()),))
    call.send(17, "INVITE", False)
    fax = sdp(FAR, 20002).replace(b"audio 20002 RTP/AVP 8", b"image 20002 udptl t38")
    call.send(25, "INVITE", False, ((0.04, 488, ()),), body=fax)
    call.send(40, "BYE")
    return house
