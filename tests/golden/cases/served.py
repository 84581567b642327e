# SPDX-License-Identifier: Apache-2.0
"""Golden cases of answers that are taken or not: by the port to which the router sends them, by
their Via, and by what comes after them."""

from __future__ import annotations

import re

from craft import (
    LADDER_REQUEST,
    House,
    Outgoing,
    answer,
    incoming_call,
    linux_in,
    outgoing_call,
    register,
    request,
    works_beside,
)

from cases.case import ALG, DLG, case


def _later(house: House, at: float = 70) -> House:
    """Another phone here, so that time goes on."""
    other = House(phone="192.168.1.11", wan=house.wan_ip, wan_port=40011)
    outgoing_call(other, at, "later@phone")
    house.lan += other.lan
    house.wan += other.wan
    return house


def _asked(house: House, via_port: int, rport: bool) -> bytes:
    return request(
        "REGISTER", "sip:example.net", via=f"{house.phone}:{via_port}", branch="z9hG4bKreg1",
        call_id=f"reg@{house.phone}", cseq=1, rport=rport, caller="<sip:100@example.net>;tag=r1",
        contact=house.contact, more=["Expires: 120"],
    )  # fmt: skip


def _answered(house: House, seen: bytes) -> bytes:
    return answer(200, seen, to_tag="reg", contact=f"{house.contact};expires=120")


def _insists(house: House, via_port: int, at: float, requests: int = 11) -> House:
    """A REGISTER with rport that is answered each time, at the port that the router sends to."""
    made = _asked(house, via_port, rport=True)
    for after in (0, *LADDER_REQUEST)[:requests]:
        seen = house.out(at + after, made)
        house.into(at + after + 0.03, _answered(house, seen))
    return house


@case("alg011-register-answered-at-the-port-in-via", [("ALG011", "router", "observed")],
      [*DLG, "REG001", "TXN006"], {"disable-sip-alg": "recommended"},
      ["completed", "completed"])  # fmt: skip
def _() -> House:
    """The phone sends from port 5060, asks for rport and names port 5080 in its Via. The 200 comes
    to its mapping, and the router sends it to port 5080: the phone goes on for 32 s. Another phone
    shows that the provider needs no ALG."""
    house = House()
    house.forced = 5080
    works_beside(house, 0)
    return _later(_insists(house, 5080, 20))


@case("alg011-near-miss-register-taken-in-the-end", must_not=["ALG011", "REG001", "TXN006", *DLG])
def _() -> House:
    """The same phone listens at port 5080, too: the first two responses got lost on the Wi-Fi."""
    house = House()
    house.forced = 5080
    return _later(_insists(house, 5080, 20, requests=3))


@case("alg011-near-miss-register-not-taken", [("REG001", "unknown", "observed")],
      ["ALG011", "TXN006", *DLG])  # fmt: skip
def _() -> House:
    """The 200 comes to the port that the phone asked for, and it goes on all the same: lost behind
    the router, or a fault of the phone."""
    return _later(_insists(House(), 5060, 20))


def _wrong_via(wan_port: int) -> House:
    """The router writes port 5058 into Via; the provider answers there, as the phone does not ask
    for rport, and no mapping is there."""
    house = House(wan_port=wan_port)
    house.out_alg = lambda payload: re.sub(
        rb"(?m)^(Via: SIP/2.0/UDP )[^;]*", rb"\g<1>198.51.100.2:5058", payload
    )
    made = _asked(house, 5060, rport=False)
    for after in (0, *LADDER_REQUEST):
        seen = house.out(20 + after, made)
        house.into(20.03 + after, _answered(house, seen), lan=False, wan_port=5058)
    return _later(house)


@case("alg011-register-answered-at-a-port-of-the-router",
      [("ALG011", "router", "observed"), ("TXN006", "router", "observed"),
       ("REG001", "router", "observed")], DLG, {"disable-sip-alg": "suspected"})  # fmt: skip
def _() -> House:
    """The NAT keeps port 5060, and the router writes 5058 into Via: the 200 goes there, and the
    phone never learns that it is registered."""
    return _wrong_via(5060)


@case("alg011-near-miss-wrong-port-but-rport", [("ALG002", "router", "latent")],
      ["ALG011", "TXN006", "REG001", *DLG])  # fmt: skip
def _() -> House:
    """The router writes port 5058 into Via, and the phone asks for rport: the 200 goes to where the
    REGISTER came from, and the router puts its Via back."""
    house = House()
    house.out_alg = lambda payload: payload.replace(b"192.168.1.10:5060;", b"198.51.100.2:5058;")
    house.in_alg = lambda payload: payload.replace(b"198.51.100.2:5058;", b"192.168.1.10:5060;")
    seen = house.out(20, _asked(house, 5060, rport=True))
    house.into(20.03, _answered(house, seen))
    return _later(house)


# ---- ALG015: a phone that is at the forced port only ----


def _elsewhere(alg: str) -> House:
    """A phone that sends from port 49152 and listens at 5060, which Via and Contact name."""
    house = House(alg, port=49152, wan_port=49152)
    house.forced = 5060
    if alg:
        house.in_alg = linux_in(house.phone, 5060, house.wan_ip, house.wan_port)
    made = _asked(house, 5060, rport=False).replace(b":49152>", b":5060>")
    seen = house.out(0, made)
    house.into(0.03, _answered(house, seen))
    return house


@case("alg015-served-at-the-forced-port", [("ALG015", "router", "none")], [*DLG, "ALG011"],
      {"keep-sip-alg": "recommended"}, ["completed", "completed"])  # fmt: skip
def _() -> House:
    """The router sends to port 5060 what comes for the phone, and there it listens: without the
    helper everything would come to port 49152."""
    house = _elsewhere("linux")
    contact = f"<sip:100@{house.phone}:5060>"
    incoming_call(house, 1, "in@provider", contact=contact, rport=False,
                  fixed_contact=f"sip:100@{house.public}")  # fmt: skip
    outgoing_call(house, 12, "out@phone", contact=contact, rport=False)
    return house


@case("alg015-near-miss-port-forward", must_not=["ALG015", "ALG011", *DLG],
      outcomes=["completed"])  # fmt: skip
def _() -> House:
    """A port forward does the same and no message is rewritten: that is no ALG."""
    house = _elsewhere("")
    incoming_call(house, 1, "in@provider", contact=f"<sip:100@{house.phone}:5060>", rport=False,
                  fixed_contact=f"sip:100@{house.public}")  # fmt: skip
    return house


@case("alg015-near-miss-asks-for-rport", must_not=["ALG015", *DLG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """A phone that asks for rport has to listen where it sends from as well (RFC 3581)."""
    house = House("linux", port=49152, wan_port=49152)
    house.forced = 5060
    register(house, 0)
    contact = f"<sip:100@{house.phone}:5060>"
    incoming_call(house, 1, "in@provider", contact=contact,
                  fixed_contact=f"sip:100@{house.public}")  # fmt: skip
    outgoing_call(house, 12, "out@phone", contact=contact)
    return house


# ---- taken all the same ----


def _acked_late(house: House, bye: float) -> House:
    """A call whose 2xx comes four times, at 0, 0.5, 1.5 and 3.5 s, each acknowledged, and whose
    callee hangs up bye seconds after the first of them."""
    call = Outgoing(house, "late@phone")
    call.invite(1)
    call.respond(1.2, 180)
    for after in (0, 0.5, 1.5, 3.5):
        call.ok(3 + after)
        call.ack(3.02 + after)
    call.far_bye(3 + bye)
    return _later(house, 20)


@case("dlg001-near-miss-hung-up-after-a-late-ack", must_not=["DLG001", "DLG007", *ALG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """Only the fourth ACK comes through: the 2xx that was due 7.5 s after the answer never comes,
    and half a second later the callee hangs up."""
    return _acked_late(House(), 8)


@case("dlg001-given-up-before-the-next-answer", [("DLG001", "network", "observed")], ALG,
      outcomes=["dropped", "completed"])  # fmt: skip
def _() -> House:
    """The callee hangs up when the next 2xx was not yet due: nothing shows that an ACK came
    through, and four 2xx show that three did not."""
    return _acked_late(House(), 7)


def _stun_registers(house: House, requests: int, response_at: int) -> House:
    """A phone that writes its public address. The helper maps the Via of the 200 to the private
    one."""
    made = request(
        "REGISTER", "sip:example.net", via=house.public, branch="z9hG4bKreg1",
        call_id=f"reg@{house.phone}", cseq=1, caller="<sip:100@example.net>;tag=r1",
        contact=f"<sip:100@{house.public}>", more=["Expires: 120"],
    )  # fmt: skip
    for n, after in enumerate((0, *LADDER_REQUEST)[:requests]):
        seen = house.out(after, made)
        if n >= response_at:
            house.into(
                after + 0.03,
                answer(200, seen, to_tag="reg", contact=f"<sip:100@{house.public}>;expires=120"),
            )
    return _later(house)


@case("reg001-near-miss-via-mapped-and-taken", must_not=["REG001", "REG002", "TXN006", *DLG])
def _() -> House:
    """The 200 to the second REGISTER comes with another Via than the phone wrote, and the phone is
    content with it: it asks no more."""
    return _stun_registers(House("linux"), 2, 1)


@case("reg001-via-mapped-and-not-taken",
      [("REG001", "router", "observed"), ("TXN006", "router", "observed")], DLG,
      {"disable-sip-alg": "suspected"})  # fmt: skip
def _() -> House:
    """The same of a strict phone, which drops a response with a Via that it has not written."""
    return _stun_registers(House("linux"), 11, 0)


# ---- ALG016: another Call-ID beyond this router ----


def _renamed(out: bytes, bye: bytes, phone_ends: bool = False) -> House:
    """A call of the phone of which the other end writes that Call-ID in its responses and BYE."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "own@192.168.1.10")
    call.invite(1)
    call.seen = call.seen.replace(b"own@192.168.1.10", out)
    call.respond(1.3, 180)
    call.ok(3)
    call.ack(3.02)
    if phone_ends:
        call.bye(8)
    made = call.from_far("BYE").replace(b"own@192.168.1.10", bye)
    house.into(9, made)
    house.out(9.02, answer(200 if bye == b"own@192.168.1.10" else 481, made))
    return _later(house)


@case("alg016-call-id-not-put-back", [("ALG016", "network", "observed")], ALG,
      {"outer-router": "recommended"}, ["completed", "ongoing", "completed"],
      state="hurts")  # fmt: skip
def _() -> House:
    """A device in front of this router changes the Call-ID of what goes out and does not put it
    back. The phone is not strict about responses, but refuses the BYE with 481."""
    return _renamed(b"own@203.0.113.99", b"own@203.0.113.99")


@case("alg016-near-miss-bye-of-another-call", must_not=["ALG016", *ALG],
      outcomes=["completed", "unknown", "ongoing"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The responses repeat the Call-ID; a BYE of a call that the phone does not know is refused."""
    return _renamed(b"own@192.168.1.10", b"other@203.0.113.99")


# ---- ALG008: a REGISTER that the helper drops ----


def _quoted(alg: str, *, before: bool = False, quoted: bool = True, taken: int = 0) -> House:
    """A REGISTER with its expires in quotes that never leaves the router. before: a call of the
    same phone went well; taken: how many such REGISTER requests went through before."""
    house = House(alg)
    for n in range(taken):
        seen = house.out(n, _with_expires(house, n, quoted))
        house.into(n + 0.03, answer(200, seen, to_tag="reg"))
    if before:
        outgoing_call(house, 5, "before@phone")
    made = _with_expires(house, 9, quoted)
    for after in (0, *LADDER_REQUEST):
        house.out(20 + after, made, wan=False)
    return _later(house)


def _with_expires(house: House, n: int, quoted: bool) -> bytes:
    expires = '"600"' if quoted else "600"
    return request(
        "REGISTER", "sip:example.net", via=f"{house.phone}:{house.port}", branch=f"z9hG4bKreg{n}",
        call_id=f"reg@{house.phone}", cseq=1 + n, caller="<sip:100@example.net>;tag=r1",
        contact=f"{house.contact};expires={expires}",
    )  # fmt: skip


@case("alg008-register-with-quoted-expires",
      [("ALG008", "router", "observed"), ("REG001", "router", "observed")], DLG,
      {"disable-sip-alg": "suspected"}, ["completed", "completed"])  # fmt: skip
def _() -> House:
    """The helper rewrites the calls of this phone and drops its REGISTER, whose Contact has its
    expires in quotes."""
    return _quoted("linux", before=True)


@case("alg008-near-miss-register-without-quotes", [("REG001", "router", "observed")],
      ["ALG008", *DLG], outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The same without quotes: nothing in the REGISTER is known to make the helper drop it."""
    return _quoted("linux", before=True, quoted=False)


@case("alg008-near-miss-register-like-let-through", [("REG001", "router", "observed")],
      ["ALG008", *DLG], outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The helper has let a REGISTER with quotes through before."""
    return _quoted("linux", before=True, taken=1)


@case("alg008-near-miss-register-and-no-helper", [("REG001", "unknown", "observed")],
      ["ALG008", *DLG])  # fmt: skip
def _() -> House:
    """No other message of this line crosses, so no helper is shown to be at work: REG001 names the
    quotes, and blames nobody."""
    return _quoted("")
