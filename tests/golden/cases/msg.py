# SPDX-License-Identifier: Apache-2.0
"""Golden cases of MSG: messages that are malformed."""

from __future__ import annotations

import re

from craft import (
    LADDER_2XX,
    LADDER_REQUEST,
    House,
    Incoming,
    Outgoing,
    Rewriter,
    incoming_call,
    outgoing_call,
    register,
    sdp,
)

from cases.case import DLG, answered, case

PARTS = (
    b"--b1\r\nContent-Type: application/sdp\r\n\r\n%b\r\n--b1\r\n"
    b"Content-Type: application/pidf+xml\r\n\r\n<presence/>\r\n--b1--\r\n"
)


def _multipart(house: House) -> bytes:
    return PARTS % sdp(house.phone)


def _as_multipart(message: bytes) -> bytes:
    return message.replace(b"application/sdp\r\nContent-Length", b"multipart/mixed;boundary=b1\r\n"
                           b"Content-Length")  # fmt: skip


def _call(house: House, call_id: str, at: float = 1, body: bytes | None = None,
          alg: Rewriter | None = None) -> None:  # fmt: skip
    """A call whose INVITE alone is made by alg on its way out."""
    call = Outgoing(house, call_id, body=body)
    call.invited = _as_multipart(call._request("INVITE", 1, "sip:300@example.net", "",
                                               call.contact, call.body))  # fmt: skip
    if body is None:
        call.invited = call._request("INVITE", 1, "sip:300@example.net", "", call.contact,
                                     call.body)  # fmt: skip
    call.invite(at, alg=alg)
    call.ok(at + 2)
    call.ack(at + 2.02)
    call.bye(at + 6)


def _from_v(message: bytes) -> bytes:
    """mangle_content_len(): the bytes from v= on."""
    length = len(message) - message.index(b"v=0")
    return re.sub(rb"(?m)^Content-Length: \d+", b"Content-Length: %d" % length, message)


@case("msg002-multipart-in-the-router", [("MSG002", "router", "latent")], DLG)
def _() -> House:
    """An INVITE with SDP and a location in a multipart body. The router counts the body from its
    SDP part on, so the provider cuts the last boundary."""
    house = House("linux")
    register(house, 0)
    _call(house, "parts@phone", 5, _multipart(house), lambda m: _from_v(house.out_alg(m)))
    return house


@case("msg002-too-large-from-the-phone", [("MSG002", "phone", "latent")],
      ["MSG001", *DLG])  # fmt: skip
def _() -> House:
    """The phone itself writes a Content-Length that is 4 too large; both copies have it."""
    house = House()
    call = Outgoing(house, "large@phone")
    call.invited = call._request("INVITE", 1, "sip:300@example.net", "", call.contact, call.body)
    call.invited = re.sub(
        rb"(?m)^Content-Length: \d+", b"Content-Length: %d" % (len(call.body) + 4), call.invited
    )
    call.invite(1)
    call.ok(3)
    call.ack(3.02)
    call.bye(7)
    return house


@case("msg002-near-miss-follows-the-body", must_not=["MSG002", "MSG001", *DLG],
      outcomes=["completed", "completed"],
      advice={"keep-sip-alg": "recommended"})  # fmt: skip
def _() -> House:
    """The ALG changes the body and Content-Length with it, and a second call has blanks behind its
    body, as padding."""
    house = House("linux")
    outgoing_call(house, 1, "same@phone", rport=False)
    _call(house, "padded@phone", 20, alg=lambda m: house.out_alg(m) + b"\r\n\r\n")
    return house


def _broken(old: bytes, new: bytes) -> Rewriter:
    return lambda message: message.replace(old, new)


@case("msg001-became-so-in-the-router",
      [("MSG001", "router", "latent"), ("TXN001", "router", "observed")], ["MSG002", *DLG],
      outcomes=["unanswered"])  # fmt: skip
def _() -> House:
    """The router loses the To of an INVITE on its way out, and the provider drops it."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "broken@phone")
    for after in (0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5):
        call.invite(5 + after, alg=_broken(b"To: <sip:300@example.net>\r\n", b""))
    register(house, 60, n=2)
    return house


@case("dlg001-ack-spoiled-in-the-router",
      [("DLG001", "router", "observed"), ("MSG001", "router", "latent")],
      ["DLG002", "DLG004"], {"disable-sip-alg": "suspected"}, ["dropped"])  # fmt: skip
def _() -> House:
    """Every ACK loses its To in the router and is delivered so: the phone is not to blame."""
    house = House()
    call = answered(house, contact=f"<sip:100@{house.public}>")
    for after in (0, *LADDER_2XX):
        call.ack(3.03 + after, alg=_broken(b"To: ", b"Too "))
    call.dropped(3)
    return house


def _cut(taken: bool) -> House:
    """The router cuts the body of the 2xx off and leaves its Content-Length."""
    house = House()
    register(house, 0)
    house.out_alg = lambda m: m.partition(b"v=0")[0] if m.startswith(b"SIP/2.0 200") else m
    call = answered(house)
    if taken:
        call.ack(3.03)
        call.bye(20)
    else:
        call.dropped(3)
    return house


@case("dlg001-answer-cut-in-the-router",
      [("DLG001", "router", "observed"), ("ALG007", "router", "observed")], ["DLG002", "DLG004"],
      {"disable-sip-alg": "suspected"}, ["dropped"])  # fmt: skip
def _() -> House:
    """The far end has to discard such a response (RFC 3261 section 18.3), whatever its Contact."""
    return _cut(False)


@case("alg007-near-miss-answer-cut-and-taken", [("ALG007", "router", "latent")], DLG)
def _() -> House:
    """The same, and the far end takes it: the call lives."""
    return _cut(True)


@case("txn003-bye-spoiled-in-the-router",
      [("TXN003", "router", "observed"), ("MSG001", "router", "latent")], DLG,
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The BYE of the phone loses its From in the router, and the provider drops it."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "spoiled@phone")
    call.invite(1)
    call.ok(3)
    call.ack(3.02)
    bye = call._request("BYE", 2, "sip:300@203.0.113.5", f";tag={call._tag}")
    for after in (0, *LADDER_REQUEST):
        house.out(9 + after, bye, alg=_broken(b"From: ", b"Frm "))
    outgoing_call(house, 60, "later@phone")
    return house


@case("msg001-came-so-from-the-provider", [("MSG001", "provider", "latent")],
      ["MSG002", *DLG], {})  # fmt: skip
def _() -> House:
    """The INVITE of the provider has two CSeq header fields."""
    house = House()
    register(house, 0)
    call = Incoming(house, "twice@provider", contact=f"<sip:100@{house.public}>",
                    more=["CSeq: 1 INVITE"])  # fmt: skip
    call.invite(1)
    call.ok(3)
    call.ack(3.05)
    call.bye(7)
    return house


@case("msg001-light", [("MSG001", "phone", "none")], ["MSG002", "ALG016", *DLG])
def _() -> House:
    """A line of the phone's INVITE ends without CR, which the provider takes: told, and no harm."""
    house = House()
    call = Outgoing(house, "bare@phone")
    made = call._request("INVITE", 1, "sip:300@example.net", "", call.contact, call.body)
    call.invited = made.replace(b"Max-Forwards: 70\r\n", b"Max-Forwards: 70\n")
    call.invite(1)
    call.ok(3)
    call.ack(3.02)
    call.bye(7)
    return house


@case("msg001-near-miss-scanner", must_not=["MSG001", "MSG002", *DLG],
      outcomes=["completed", "unanswered", "completed"])  # fmt: skip
def _() -> House:
    """A scanner sends an INVITE without Call-ID to the WAN; and the phone writes compact and folded
    header fields and an empty line in front of its INVITE, as it may."""
    house = House()
    register(house, 0)
    scan = Incoming(house, "knock@scanner", src="192.0.2.66")
    scan.invite(1, lan=False, alg=None)
    house.wan.pop()
    scan.invited = scan.invited.replace(b"@example.net", b"@198.51.100.2")
    scan.invite(1, lan=False, alg=None)
    broken = scan.invited.replace(b"To: ", b"To ")
    house.into(2, broken, lan=False, src="192.0.2.66")
    call = Outgoing(house, "folded@phone")
    made = call._request("INVITE", 1, "sip:300@example.net", "", call.contact, call.body)
    made = made.replace(b"Content-Length:", b"l:")
    call.invited = b"\r\n" + made.replace(b"Max-Forwards: 70", b"Max-Forwards:\r\n 70")
    call.invite(10)
    call.ok(12)
    call.ack(12.02)
    call.bye(16)
    incoming_call(house, 30, "later@provider", contact=f"<sip:100@{house.public}>")
    return house
