# SPDX-License-Identifier: Apache-2.0
"""Golden cases after public reports of phones, PBXs and providers: numbers and branches used again,
routes that lead nowhere, offers changed on the way, registrations renewed too late."""

from __future__ import annotations

from collections.abc import Sequence

from craft import (
    LADDER_INVITE,
    LADDER_REQUEST,
    House,
    Incoming,
    Outgoing,
    answer,
    fragmented,
    outgoing_call,
    register,
    request,
    sdp,
    sized,
)

from cases.case import ALG, DLG, answered, case
from cases.reports import later

NO = [*DLG, *ALG]
FAR = "sip:200@203.0.113.5:5060"


def _of_phone(call: Incoming, method: str, cseq: int, branch: str, body: bytes = b"",
              more: Sequence[str] = ()) -> bytes:  # fmt: skip
    """A request of the called phone inside the call."""
    ids = call._ids()
    return request(
        method, FAR, via="192.168.1.10:5060", branch=f"z9hG4bK{branch}", call_id=call.call_id,
        cseq=cseq, caller=ids["callee"], callee=ids["caller"], body=body, more=more,
        contact=call.house.contact if method == "INVITE" else "",
    )  # fmt: skip


# ---- a CSeq number used again ----


def _resumed(cseq: int, method: str = "BYE") -> House:
    """Hold works, and the next request of the phone inside the call is not answered. cseq: its
    number; the hold had 1."""
    house = House()
    register(house, 0)
    call = answered(house, "again@provider")
    call.ack(3.05)
    hold = house.out(10, _of_phone(call, "INVITE", 1, "hold", sdp(house.phone) + b"a=sendonly\r\n"))
    house.into(10.03, answer(
        200, hold, contact=call.far, body=sdp(house.provider, 20000) + b"a=recvonly\r\n"
    ))  # fmt: skip
    house.out(10.05, _of_phone(call, "ACK", 1, "holdack"))
    body = sdp(house.phone) if method == "INVITE" else b""
    resume = _of_phone(call, "INVITE", cseq, "resume", sdp(house.phone))
    for after in (0, *LADDER_INVITE):
        house.out(20 + after, resume)
    for after in (0, *LADDER_REQUEST):
        house.out(60 + after, _of_phone(call, "BYE", cseq + (cseq > 1), "bye", body))
    return later(house, 120)


@case("txn003-number-used-again", [("TXN003", "phone", "observed")], NO,
      {"phone-fix": "recommended"}, ["completed", "completed"])  # fmt: skip
def _() -> House:
    """A phone gives each request inside a call the number 1. The far end takes the resume and the
    BYE for the hold that it has answered, and is silent."""
    return _resumed(1)


@case("txn003-near-miss-number-rises", [("TXN003", "network", "observed")], NO,
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The same silence, and each number is one above the one before."""
    return _resumed(2)


# ---- requests that name a hop nobody can reach from here ----


def _routed(*route: str) -> House:
    """The BYE of a called phone gets no response. route: as the Record-Route of its INVITE."""
    house = House()
    register(house, 0)
    recorded = [f"Record-Route: <{uri};lr>" for uri in route]
    call = Incoming(house, "routed@provider", more=recorded)
    call.invite(1)
    call.ringing(1.2)
    call.ok(3)
    call.ack(3.05)
    bye = _of_phone(call, "BYE", 1, "bye", more=[f"Route: <{uri};lr>" for uri in route])
    for after in (0, *LADDER_REQUEST):
        house.out(20 + after, bye)
    return later(house)


@case("txn003-route-to-loopback", [("TXN003", "unknown", "observed")], NO,
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """A border controller records itself with its loopback address. The phone sends its BYE to its
    outbound proxy with that Route, and nobody takes it."""
    return _routed("sip:127.0.0.1:5065", "sip:203.0.113.5")


@case("txn003-near-miss-route-to-proxy", [("TXN003", "network", "observed")], NO,
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The same with a Route that leads to the provider."""
    return _routed("sip:203.0.113.5")


# ---- an INVITE in fragments, and nothing shorter since ----


@case("txn001-left-in-fragments", [("TXN001", "network", "observed")], ["SIZE001", *NO],
      outcomes=["unanswered", "completed"])  # fmt: skip
def _() -> House:
    """A tunnel makes two fragments of an INVITE with many codecs, and nobody answers. A short
    REGISTER was accepted before, and none was sent since: so it is not sure that size is why."""
    house = House()
    register(house, 0, expires=3600)
    call = Outgoing(house, "long@phone", body=sdp(house.phone) + b"a=x:" + b"y" * 950 + b"\r\n")
    for after in (0, *LADDER_INVITE):
        call.invite(5 + after)
    house.wan = fragmented(house.wan, 1400)
    return later(house)


# ---- INVITEs with credentials in the transaction of the challenge ----


def _credentials(branch: str) -> House:
    """branch: of the INVITE with credentials."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "again@phone")
    call.invite(1)

    def challenge(at: float, asked: bytes) -> None:
        house.into(at, answer(
            401, asked, to_tag="box", received=house.wan_ip, rport=5060,
            more=['WWW-Authenticate: Digest realm="box",nonce="n1",algorithm=MD5'],
        ))  # fmt: skip

    challenge(1.03, call.seen)
    call.nak(1.04)
    shown = (
        b'Authorization: Digest username="u",realm="box",nonce="n1",uri="sip:300@example.net",'
        b'response="0123456789abcdef0123456789abcdef",algorithm=MD5\r\nMax-Forwards'
    )
    made = call.invited.replace(b"CSeq: 1", b"CSeq: 2").replace(b"Max-Forwards", shown, 1)
    made = made.replace(b"z9hG4bKinvite", f"z9hG4bK{branch}".encode())
    for after in (0, 0.5, 1.5, 3.5):
        seen = house.out(1.1 + after, made)
        challenge(1.13 + after, call.seen if branch == "invite" else seen)
        if branch != "invite":
            house.out(1.15 + after, call._request(
                "ACK", 2, "sip:300@example.net", ";tag=box", branch=branch
            ))  # fmt: skip
            break
    return later(house)


@case("txn002-branch-used-again", [("TXN002", "phone", "observed")], NO,
      {"phone-fix": "recommended"}, ["rejected", "completed"])  # fmt: skip
def _() -> House:
    """The INVITE with credentials has a new number and the branch of the one before: the registrar
    takes it for that one and repeats its 401. The password is right."""
    return _credentials("invite")


@case("txn002-near-miss-wrong-password", must_not=["TXN002", *NO], state="hurts",
      outcomes=["rejected", "completed"])  # fmt: skip
def _() -> House:
    """The same with a branch of its own: the credentials are refused."""
    return _credentials("second")


@case("call-challenged-by-the-phone", must_not=["REG004", *NO], state="hurts",
      outcomes=["rejected", "completed"])  # fmt: skip
def _() -> House:
    """A PBX behind this router asks a call of its provider for credentials, because it comes from
    an address of the provider that it does not know: the password of the phone is not why."""
    house = House()
    register(house, 0)
    call = Incoming(house, "stranger@sbc")
    call.invite(10)
    house.out(10.02, answer(
        401, call.delivered, to_tag="pbx",
        more=['WWW-Authenticate: Digest realm="pbx",nonce="n",algorithm=MD5'],
    ))  # fmt: skip
    house.into(10.05, request(
        "ACK", "sip:100@198.51.100.2:5060", via="203.0.113.5:5060",
        branch="z9hG4bKi-stranger-sbc", call_id="stranger@sbc", cseq=1,
        caller=call._ids()["caller"], callee="<sip:100@example.net>;tag=pbx",
    ))  # fmt: skip
    return later(house)


# ---- a fax offer that the router changed ----


def _fax(line: bytes) -> House:
    """The offer of T.38 leaves with this media line and is refused, and the fax hangs up."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "fax@phone")
    call.invite(1)
    call.ok(3)
    call.ack(3.02)
    offer = sdp(house.phone).replace(b"m=audio 16384 RTP/AVP 8", b"m=image 16400 udptl t38")
    to, tag = "sip:300@203.0.113.5:5060", f";tag={call._tag}"
    asked = call._request("INVITE", 2, to, tag, house.contact, offer, branch="fax")
    seen = house.out(
        5, asked, alg=lambda made: sized(made.replace(b"m=image 16400 udptl t38", line))
    )
    house.into(5.04, answer(488, seen))
    house.out(5.06, call._request("ACK", 2, to, tag, branch="fax"))
    house.into(5.23, answer(200, house.out(5.2, call._request("BYE", 3, to, tag))))
    return later(house)


@case("dlg014-offer-changed", [("DLG014", "unknown", "observed")], DLG,
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The router writes another protocol into the offer of T.38, which is refused with 488. Many
    providers refuse T.38 anyway: only a trial without the ALG shows what it was."""
    return _fax(b"m=image 16400 RTP/AVP t38")


@case("dlg014-near-miss-port-changed", [("DLG014", "unknown", "observed")], DLG,
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The router gives the same offer another port, as a NAT may."""
    return _fax(b"m=image 36400 udptl t38")


# ---- registrations renewed too late ----


def _renewed(*times: float) -> House:
    """REGISTERs of one phone that asks for 600 s and is granted 60."""
    house = House()
    for n, at in enumerate(times, 1):
        asked = request(
            "REGISTER", "sip:example.net", via="192.168.1.10:5060", branch=f"z9hG4bKreg{n}",
            call_id="reg@phone", cseq=n, caller="<sip:100@example.net>;tag=r1",
            contact=house.contact, more=["Expires: 600"],
        )  # fmt: skip
        house.into(at + 0.03, answer(
            200, house.out(at, asked), to_tag="reg", contact=f"{house.contact};expires=60",
            received=house.wan_ip, rport=5060,
        ))  # fmt: skip
    outgoing_call(house, times[-1] + 1, "then@phone")
    return house


@case("reg001-renewed-too-late", [("REG001", "phone", "latent")], NO, state="cannot-tell")
def _() -> House:
    """The provider grants a tenth of the time that the phone asks for, and the phone does not look
    at what it got: nine minutes of ten nobody can call it."""
    return _renewed(0, 550, 1100)


@case("reg001-near-miss-renewed-late-once", must_not=["REG001", *NO])
def _() -> House:
    """A phone was without power for some minutes, and in time ever since."""
    return _renewed(0, 50, 600, 650)
