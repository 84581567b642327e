# SPDX-License-Identifier: Apache-2.0
"""Golden cases of ordinary houses that look broken: a refusal that hurts nobody, or one whose other
half the capture does not hold."""

from __future__ import annotations

from collections.abc import Sequence

from craft import (
    LADDER_REQUEST,
    START,
    House,
    Incoming,
    Outgoing,
    Packet,
    answer,
    frame,
    outgoing_call,
    register,
    request,
)

from cases.case import ALG, DLG, case
from cases.reports import later

NO = [*DLG, *ALG, "TXN003"]
CREDENTIALS = (
    'Authorization: Digest username="100", realm="example.net", nonce="n", uri="sip:example.net", '
    'response="0123456789abcdef0123456789abcdef"'
)
CHALLENGE = ['WWW-Authenticate: Digest realm="example.net", nonce="n"']


def _since(packets: Sequence[Packet], at: float) -> list[Packet]:
    """Those of a capture that begins at START + at."""
    return [packet for packet in packets if packet[0] >= (START + at) * 1_000_000_000]


def _with_body(made: bytes, kind: str, body: bytes) -> bytes:
    return made.replace(b"Content-Length: 0\r\n\r\n", b"Content-Type: %b\r\nContent-Length: %d"
                        b"\r\n\r\n%b" % (kind.encode(), len(body), body))  # fmt: skip


def _text(kind: str, body: bytes, lan: bool = True, wan: bool = True) -> House:
    """A MESSAGE for the phone, which refuses it with 415. lan, wan: whether each side has it."""
    house = House()
    register(house, 0)
    made = request("MESSAGE", f"sip:100@{house.public}", via="203.0.113.5:5060",
                   branch="z9hG4bKtext", call_id="text@provider", cseq=1)  # fmt: skip
    seen = house.into(1, _with_body(made, kind, body) if kind else made, lan=lan, wan=wan)
    house.out(1.02, answer(415, seen, to_tag="t1"), lan=lan, wan=wan)
    return later(house)


@case("txn003-near-miss-typing-refused", must_not=NO)
def _() -> House:
    """The provider's side tells the phone that somebody types (RFC 3994), which it cannot show."""
    return _text("application/im-iscomposing+xml", b"<isComposing/>")


@case("txn003-near-miss-empty-text-refused", must_not=NO)
def _() -> House:
    """A MESSAGE without a body: a keep-alive, and any answer is a good one."""
    return _text("", b"")


@case("txn003-text-to-a-phone-in-a-gap-of-the-wan", [("TXN003", "unknown", "latent")],
      [*DLG, *ALG], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The WAN capture lacks a text message for a phone that takes none: no phone here sent it."""
    return _text("text/plain", b"hello", wan=False)


def _asked(house: House, at: float, method: str, call_id: str, status: int, n: int = 1,
           more: Sequence[str] = (), dst: str = "") -> None:  # fmt: skip
    """A request of the phone to its own account, and its final response."""
    made = request(
        method, "sip:example.net" if method == "REGISTER" else "sip:100@example.net",
        via="192.168.1.10:5060", branch=f"z9hG4bK{n}-{call_id[:5]}", call_id=call_id, cseq=n,
        caller="<sip:100@example.net>;tag=p1", callee="<sip:100@example.net>",
        contact=house.contact, more=["Event: message-summary", "Expires: 3600", *more],
    )  # fmt: skip
    if method == "REGISTER":
        made = made.replace(b"Event: message-summary\r\n", b"")
    granted = f"{house.contact};expires=3600" if method == "REGISTER" and status == 200 else ""
    house.into(at + 0.03, answer(
        status, house.out(at, made, dst=dst), to_tag="far", contact=granted,
        more=CHALLENGE if status == 401 else ["Expires: 3600"] if status == 200 else (),
    ), src=dst)  # fmt: skip


def _told(house: House, at: float, call_id: str) -> None:
    """The NOTIFY of a subscription."""
    made = request(
        "NOTIFY", f"sip:100@{house.public}", via="203.0.113.5:5060", branch="z9hG4bKtold",
        call_id=call_id, cseq=1, caller="<sip:100@example.net>;tag=far",
        callee="<sip:100@example.net>;tag=p1",
        more=["Event: message-summary", "Subscription-State: active;expires=3600"],
    )  # fmt: skip
    house.out(at + 0.02, answer(200, house.into(at, made)))


@case("txn003-near-miss-credentials-in-another-dialog", must_not=[*NO, "DLG012"])
def _() -> House:
    """A SUBSCRIBE is challenged, and the phone sends the one with credentials under another
    Call-ID."""
    house = House()
    register(house, 0)
    _asked(house, 5, "SUBSCRIBE", "first@phone", 401)
    _asked(house, 5.1, "SUBSCRIBE", "other@phone", 200, more=[CREDENTIALS])
    _told(house, 5.3, "other@phone")
    return later(house)


@case("reg001-near-miss-credentials-in-another-dialog", must_not=[*NO, "REG001"],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """So does a phone with its REGISTER."""
    house = House()
    _asked(house, 0, "REGISTER", "first@phone", 401)
    _asked(house, 0.1, "REGISTER", "other@phone", 200, more=[CREDENTIALS])
    outgoing_call(house, 10, "fine@phone")
    return later(house, 60)


@case("reg001-near-miss-next-server-in-another-dialog", [("REG001", "provider", "latent")], NO,
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The first server refuses the REGISTER with 503, and the second one takes another."""
    house = House()
    _asked(house, 0, "REGISTER", "first@phone", 503)
    _asked(house, 0.1, "REGISTER", "other@phone", 200, dst="203.0.113.6")
    outgoing_call(house, 10, "fine@phone")
    return later(house, 60)


@case("dlg012-near-miss-lan-begins-at-the-refusal", must_not=[*NO, "DLG012"])
def _() -> House:
    """The server has forgotten a subscription and refuses its refresh with 481. The LAN capture
    begins then, and holds the new subscription of the phone."""
    house = House()
    register(house, 0)
    _asked(house, 5, "SUBSCRIBE", "first@phone", 200)
    _told(house, 5.2, "first@phone")
    again = request(
        "SUBSCRIBE", "sip:203.0.113.5:5060", via="192.168.1.10:5060", branch="z9hG4bKagain",
        call_id="first@phone", cseq=2, caller="<sip:100@example.net>;tag=p1",
        callee="<sip:100@example.net>;tag=far", contact=house.contact,
        more=["Event: message-summary", "Expires: 3600"],
    )  # fmt: skip
    house.into(40.03, answer(481, house.out(40, again)))
    _asked(house, 40.3, "SUBSCRIBE", "other@phone", 200)
    _told(house, 40.5, "other@phone")
    register(house, 60, n=2)
    house = later(house)
    house.lan = _since(house.lan, 40.03)
    return house


@case("call-near-miss-callers-without-a-name", must_not=NO, outcomes=["rejected", "completed"])
def _() -> House:
    """The user takes no anonymous calls, and the phone refuses one with 433 (RFC 5079)."""
    house = House()
    register(house, 0)
    call = Incoming(house, "hidden@provider")
    call.invite(5)
    house.out(5.2, answer(433, call.delivered, to_tag="p"))
    ack = call._in_dialog("ACK", 1, "203.0.113.5:5060", ()).replace(b"bKack-", b"bKi-")
    house.into(5.23, ack.replace(b";tag=p-hidden-provider", b";tag=p"))
    return later(house)


def _fax(begins: float) -> House:
    """The far end asks for T.38 in a call and is refused with 488, so the fax stays audio. Both
    captures begin at this time."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "fax@phone")
    call.set_up(5)
    again = call.from_far("INVITE", 5, [f"Contact: {call.far_contact}"])
    house.out(10.05, answer(488, house.into(10, again)))
    ack = again.replace(b"INVITE sip", b"ACK sip").replace(b" INVITE\r\n", b" ACK\r\n")
    house.into(10.08, ack)
    call.far_bye(60)
    house = later(house)
    house.lan, house.wan = _since(house.lan, begins), _since(house.wan, begins)
    return house


@case("call-near-miss-fax-refused-before-the-capture-knows-the-call", must_not=NO,
      outcomes=["unknown", "completed"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The captures begin in the call, so a re-INVITE is its first message: the 488 refuses T.38,
    and not the call."""
    return _fax(9)


@case("call-near-miss-fax-refused", must_not=NO, outcomes=["completed", "completed"])
def _() -> House:
    """The same, captured from the beginning."""
    return _fax(0)


@case("dlg008-near-miss-first-bye-not-captured", must_not=[*NO, "DLG008"],
      outcomes=["completed", "completed"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The phone sends two BYEs, and the WAN capture lacks the one that was accepted: the 481 to the
    other one is right, and no Contact is to blame."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "twice@phone")
    call.set_up(5)
    for cseq, status in ((2, 200), (3, 481)):
        made = call._request("BYE", cseq, "sip:300@203.0.113.5:5060", f";tag={call._tag}",
                             branch=f"bye{cseq}")  # fmt: skip
        seen = house.out(18 + cseq, made, wan=cseq == 3)
        house.into(18.03 + cseq, answer(status, seen), wan=cseq == 3)
    return later(house)


@case("txn003-near-miss-settings-by-multicast", must_not=NO)
def _() -> House:
    """A new phone asks by multicast for a server with its settings, as many makers do, and this
    house has none. No router forwards that."""
    house = House()
    register(house, 0)
    group = "224.0.1.75"
    made = request(
        "SUBSCRIBE", f"sip:MAC%3a0004136@{group}", via="192.168.1.10:5060", branch="z9hG4bKplug",
        call_id="plug@phone", cseq=1, caller=f"<sip:MAC%3a0004136@{group}>;tag=p1",
        callee=f"<sip:MAC%3a0004136@{group}>", contact="<sip:192.168.1.10:5060>",
        more=['Event: ua-profile;profile-type="device"', "Expires: 0"],
    )  # fmt: skip
    for n, after in enumerate((0, *LADDER_REQUEST)):
        data = frame(made, house.phone, 5060, group, 5060, ident=0x5000 + n)
        house.lan.append((round((START + 5 + after) * 1_000_000) * 1000, data))
    return later(house)


def _timed_out(rings: bool) -> House:
    """A call of the phone that its provider ends with 408 after half a minute."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "nobody@phone")
    call.invite(5)
    call.respond(5.05, 100)
    if rings:
        call.respond(5.5, 180)
    call.respond(35, 408)
    call.nak(35.02)
    return later(house)


@case("call-near-miss-rings-until-408", must_not=NO, outcomes=["rejected", "completed"])
def _() -> House:
    """It rings, and nobody answers it: some servers say 408 then."""
    return _timed_out(True)


@case("call-times-out-without-ringing", must_not=NO, outcomes=["rejected", "completed"],
      state="hurts")  # fmt: skip
def _() -> House:
    """No phone rings: the callee was not found."""
    return _timed_out(False)


SCANNER = "192.0.2.66"


@case("call-scanner-at-the-phone", must_not=NO, outcomes=["completed", "rejected"],
      state="cannot-tell")  # fmt: skip
def _() -> House:
    """A port of the router is open for everybody, and the phone refuses a call of a scanner with
    403. A provider that never asks a phone to register would look the same."""
    house = House()
    register(house, 0)
    call = Incoming(house, "x", src=SCANNER)
    call.invite(5)
    house.out(5.1, answer(403, call.delivered, to_tag="p"), dst=SCANNER)
    ack = call._in_dialog("ACK", 1, f"{SCANNER}:5060", ()).replace(b"bKack-", b"bKi-")
    house.into(5.13, ack.replace(b";tag=p-x", b";tag=p"), src=SCANNER)
    return later(house)


def _guessed(known: bool) -> House:
    """REGISTER requests from outside, with a password. known: it is the right one."""
    house = House()
    register(house, 0)
    for n, status in enumerate((401, 200 if known else 401, 0 if known else 403)):
        if status:
            made = request(
                "REGISTER", "sip:198.51.100.2", via=f"{SCANNER}:5060", branch=f"z9hG4bKguess{n}",
                call_id="guess@far", cseq=n + 1, caller="<sip:120@198.51.100.2>;tag=s",
                callee="<sip:120@198.51.100.2>", contact=f"<sip:120@{SCANNER}:5060>",
                more=["Expires: 300", *([CREDENTIALS] if n else [])],
            )  # fmt: skip
            house.out(5.02 + n, answer(
                status, house.into(5 + n, made, src=SCANNER), to_tag="p",
                contact=f"<sip:120@{SCANNER}:5060>;expires=300" if status == 200 else "",
                more=CHALLENGE if status == 401 else (),
            ), dst=SCANNER)  # fmt: skip
    return later(house)


@case("reg001-near-miss-scanner-guesses-a-password", must_not=[*NO, "REG001"])
def _() -> House:
    """A port is open for everybody, and a scanner tries to register at the PBX behind it."""
    return _guessed(False)


@case("reg001-near-miss-phone-outside", must_not=[*NO, "REG001"])
def _() -> House:
    """A phone outside registers at the PBX here, with success."""
    return _guessed(True)
