# SPDX-License-Identifier: Apache-2.0
"""Golden cases of REG: what a registration agrees on, and how long its mapping lives."""

from __future__ import annotations

import re
from collections.abc import Sequence

from craft import (
    LADDER_INVITE,
    LADDER_REQUEST,
    START,
    House,
    Incoming,
    Outgoing,
    Rewriter,
    answer,
    frame,
    incoming_call,
    register,
    request,
    sdp,
)

from cases.case import ALG, DLG, case

SHORTER = {"shorter-refresh-on-phone": "recommended"}


def _beside(house: House, at: float, n: int = 90) -> None:
    """Another phone here registers with another provider, so that time goes on."""
    other = House(phone="192.168.1.90", wan=house.wan_ip, wan_port=40090, provider="203.0.113.90")
    register(other, at, n=n)
    house.lan += other.lan
    house.wan += other.wan


def _keep_alive(house: House, at: float, payload: bytes = b"\r\n\r\n") -> None:
    house.out(at, payload)


def _lost(house: House, at: float) -> None:
    """An INVITE of the provider that reaches no phone."""
    call = Incoming(house, "lost@provider")
    for after in (0, *LADDER_INVITE):
        call.invite(at + after, lan=False)


@case("reg005-mapping-is-gone",
      [("REG005", "router", "latent"), ("REG005", "router", "observed"),
       ("TXN001", "router", "observed")],
      ["REG006", *DLG, *ALG], SHORTER, outcomes=["completed", "unanswered"])  # fmt: skip
def _() -> House:
    """The phone registers for an hour and is silent then. Ten minutes later the provider's INVITE
    comes to the WAN side seven times, and there is no mapping any more."""
    house = House()
    register(house, 0, expires=3600)
    incoming_call(house, 5, "first@provider", fixed_contact=f"sip:100@{house.public}")
    _lost(house, 600)
    register(house, 650, n=9)
    return house


def _without_nat(kept: bool) -> House:
    """A phone with a public address that is registered for an hour; a call comes after ten minutes
    and reaches no phone. kept: it has sent a keep-alive each 30 s."""
    house = House(phone="192.0.2.10", wan="192.0.2.10")
    register(house, 0, expires=3600)
    incoming_call(house, 5, "first@provider")
    for after in range(30, 600, 30) if kept else ():
        _keep_alive(house, after)
    _lost(house, 600)
    register(house, 650, n=9)
    return house


@case("reg005-firewall-entry-is-gone",
      [("REG005", "router", "observed"), ("TXN001", "router", "observed")],
      ["REG006", *DLG, *ALG], SHORTER, outcomes=["completed", "unanswered"])  # fmt: skip
def _() -> House:
    """No NAT translates the phone (as with IPv6), and a firewall lets in only what was asked for:
    nothing has come by for ten minutes, so it has forgotten the phone."""
    return _without_nat(kept=False)


@case("reg005-near-miss-firewall-entry-kept",
      [("REG006", "router", "observed"), ("TXN001", "router", "observed")],
      ["REG005", *DLG, *ALG], outcomes=["completed", "unanswered"])  # fmt: skip
def _() -> House:
    """The same phone, which keeps its entry open: the silence is not why."""
    return _without_nat(kept=True)


@case("reg005-before-a-call-is-lost", [("REG005", "router", "latent")], [*DLG, *ALG], outcomes=[])
def _() -> House:
    """The phone refreshes every half hour and sends no keep-alive: no call is lost yet."""
    house = House()
    for n, at in enumerate((0, 1800, 3600), 1):
        register(house, at, expires=3600, n=n)
    return house


@case("reg005-said-while-it-is-silent", [("REG005", "router", "latent")], [*DLG, *ALG],
      outcomes=[])  # fmt: skip
def _() -> House:
    """The capture ends before the next refresh; only another phone goes on."""
    house = House()
    register(house, 0, expires=3600)
    _beside(house, 0)
    _beside(house, 100, 91)
    _beside(house, 400, 92)
    return house


@case("reg005-short-refresh-on-a-young-mapping", [("REG005", "router", "latent")], [*DLG, *ALG],
      outcomes=[])  # fmt: skip
def _() -> House:
    """A refresh every 110 s, each over in a moment: the kernel takes none of these mappings for a
    stream, so each lives 60 s. The capture began long before, so the first one was new."""
    house = House()
    _beside(house, 0)
    for n, at in enumerate((300, 410, 520), 1):
        register(house, at, expires=120, n=n)
    return house


@case("reg005-helper-keeps-it", [("REG005", "router", "none"), ("ALG001", "router", "none")],
      [*DLG], outcomes=[])  # fmt: skip
def _() -> House:
    """The same phone behind the kernel's helper, which keeps the mapping for an hour. It is told
    because the ALG cannot be turned off before the phone sends keep-alives."""
    house = House("linux")
    for n, at in enumerate((0, 1800, 3600), 1):
        register(house, at, expires=3600, n=n)
    return house


@case("reg005-near-miss-keep-alive", must_not=["REG005", *DLG, *ALG], outcomes=[])
def _() -> House:
    """The same half hours with two line ends every 100 s."""
    house = House()
    for n, at in enumerate((0, 1800), 1):
        register(house, at, expires=3600, n=n)
        for k in range(1, 18):
            _keep_alive(house, at + 100 * k)
    return house


@case("reg005-near-miss-stun-keep-alive", must_not=["REG005", *DLG, *ALG], outcomes=[])
def _() -> House:
    """STUN on the flow of the registration (RFC 5626 section 3.5.2)."""
    house = House()
    for n, at in enumerate((0, 1200), 1):
        register(house, at, expires=3600, n=n)
        for k in range(1, 40):
            _keep_alive(house, at + 29 * k, b"\0\1\0\0\x21\x12\xa4\x42" + bytes([n, k, *range(10)]))
    return house


@case("reg005-near-miss-refreshed-in-time", must_not=["REG005", *DLG, *ALG], outcomes=[])
def _() -> House:
    """A refresh every 170 s."""
    house = House()
    for n in range(1, 6):
        register(house, 170 * n, expires=300, n=n)
    return house


@case("reg005-near-miss-this-nat-waits-longer", must_not=["REG005", *DLG, *ALG])
def _() -> House:
    """No keep-alive and half an hour of silence, and a call that came after ten minutes of it was
    delivered: this NAT is not one of those."""
    house = House()
    register(house, 0, expires=3600)
    incoming_call(house, 600, "late@provider", fixed_contact=f"sip:100@{house.public}")
    register(house, 1800, expires=3600, n=2)
    return house


@case("reg005-near-miss-switched-off", must_not=["REG005", *DLG, *ALG], outcomes=[])
def _() -> House:
    """The phone takes itself off the registrar, and comes back an hour later."""
    house = House()
    register(house, 0, expires=120)
    register(house, 60, expires=0, n=2)
    register(house, 3600, expires=120, n=3)
    return house


@case("reg005-near-miss-provider-keeps-it-open", must_not=["REG005", *DLG, *ALG], outcomes=[])
def _() -> House:
    """The provider sends four zero bytes every 30 s."""
    house = House()
    for n, at in enumerate((0, 900), 1):
        register(house, at, expires=3600, n=n)
        for k in range(1, 29):
            house.into(at + 30 * k, bytes(4))
    return house


NONCE = "8f2c"
CHALLENGE = 'WWW-Authenticate: Digest realm="example.net", nonce="{nonce}", opaque="77", qop="auth"'
CREDENTIALS = (
    'Authorization: Digest username="100", realm="example.net", nonce="{nonce}", '
    'uri="sip:example.net", response="{response}", opaque="77", qop=auth, cnonce="c1", nc=00000001'
)


def _asks(house: House, n: int, *, credentials: str = "", expires: int = 120, contact: str = "",
          more: Sequence[str] = ()) -> bytes:  # fmt: skip
    """The n-th REGISTER of one phone. credentials: their nonce."""
    signed = CREDENTIALS.format(nonce=credentials, response=f"ab{n:030x}")
    return request(
        "REGISTER", "sip:example.net", via=f"{house.phone}:{house.port}", branch=f"z9hG4bKround{n}",
        call_id=f"rounds@{house.phone}", cseq=n, caller="<sip:100@example.net>;tag=r1",
        callee="<sip:100@example.net>", contact=contact or house.contact,
        more=[*([signed] if credentials else ()), f"Expires: {expires}", *more],
    )  # fmt: skip


def _says(house: House, at: float, status: int, seen: bytes, contact: str = "",
          more: Sequence[str] = ()) -> None:  # fmt: skip
    house.into(at, answer(status, seen, to_tag=f"t{at:.0f}", contact=contact, more=more,
                          received=house.wan_ip, rport=house.wan_port))  # fmt: skip


def _challenges(house: House, at: float, seen: bytes, nonce: str = NONCE, stale: bool = False,
                ) -> None:  # fmt: skip
    made = CHALLENGE.format(nonce=nonce) + (", stale=true" if stale else "")
    _says(house, at, 401, seen, more=[made])


def _contact(seen: bytes, expires: int = 120) -> str:
    """The Contact of a REGISTER as a registrar repeats it."""
    found = re.search(rb"(?m)^Contact: (.*?)\r$", seen)
    assert found is not None
    return f"{found[1].decode()};expires={expires}"


def _accepted(house: House, at: float, n: int, contact: str = "", expires: int = 120,
              **how: object) -> None:  # fmt: skip
    """One REGISTER and its 200, which lists `contact` or what was asked for."""
    seen = house.out(at, _asks(house, n, **how))  # type: ignore[arg-type]
    _says(house, at + 0.03, 200, seen, contact or _contact(seen, expires))


def _changes(old: bytes, new: bytes) -> Rewriter:
    return lambda message: message.replace(old, new)


# ---- REG002 ----


def _leaves_contact(alg: Rewriter) -> Rewriter:
    """What the ALG does to all but Contact."""
    line = re.compile(rb"(?m)^Contact: .*$")

    def rewrite(message: bytes) -> bytes:
        contact = line.search(message)
        return line.sub(lambda _: contact[0], alg(message)) if contact else alg(message)

    return rewrite


@case("reg002-router-changes-it-one-way", [("REG002", "router", "latent")], DLG, outcomes=[])
def _() -> House:
    """The router writes its own address into the Contact of the REGISTER and does not undo it in
    the 200."""
    house = House("linux")
    house.in_alg = _leaves_contact(house.in_alg)
    for n in range(1, 4):
        _accepted(house, 60 * n, n)
    return house


@case("reg002-phone-insists", [("REG002", "router", "observed")], DLG,
      {"disable-sip-alg": "suspected"}, outcomes=[])  # fmt: skip
def _() -> House:
    """The same, and the phone takes itself for not registered: it registers again each second."""
    house = House("linux")
    house.in_alg = _leaves_contact(house.in_alg)
    for n in range(1, 7):
        _accepted(house, n, n)
    return house


@case("reg002-registrar-answers-with-the-public-address", [("REG002", "provider", "none")],
      [*DLG, *ALG], outcomes=[])  # fmt: skip
def _() -> House:
    """The registrar lists the address that it saw. The phone takes no notice and refreshes in
    time."""
    house = House()
    for n in range(1, 4):
        _accepted(house, 60 * n, n, f"<sip:100@{house.public}>;expires=120")
    return house


@case("reg002-registrar-answers-and-phone-insists", [("REG002", "provider", "observed")],
      [*DLG, *ALG], {"provider-fix": "recommended"}, outcomes=[])  # fmt: skip
def _() -> House:
    """The same registrar and a phone that looks for its own Contact: it registers each second."""
    house = House()
    for n in range(1, 7):
        _accepted(house, n, n, f"<sip:100@{house.public}>;expires=120")
    return house


@case("reg002-one-sided", [("REG002", "unknown", "none"), ("CAP001", "unknown", "none")], DLG,
      one_file="lan", outcomes=[])  # fmt: skip
def _() -> House:
    """The LAN side alone does not show who made it so."""
    house = House("linux")
    house.in_alg = _leaves_contact(house.in_alg)
    _accepted(house, 0, 1)
    return house


@case("reg002-near-miss-several-bindings", must_not=["REG002", "REG003", *DLG, *ALG], outcomes=[])
def _() -> House:
    """The 200 lists those of two other phones first."""
    house = House()
    others = "<sip:100@192.0.2.8:5061>;expires=900, <sip:100@192.0.2.9>;expires=20, "
    for n in range(1, 4):
        _accepted(house, 60 * n, n, f"{others}{house.contact};expires=120")
    return house


@case("reg002-near-miss-default-port-and-parameters",
      must_not=["REG002", *DLG, *ALG], outcomes=[])  # fmt: skip
def _() -> House:
    """The registrar leaves out :5060 and adds parameters of its own."""
    house = House()
    _accepted(house, 0, 1, f"<sip:100@{house.phone};received=x>;q=0.5;expires=120")
    return house


@case("reg002-near-miss-helper-undoes-it", [("ALG001", "router", "none")], ["REG002", *DLG],
      outcomes=[])  # fmt: skip
def _() -> House:
    """The kernel's helper changes both."""
    house = House("linux")
    for n in range(1, 4):
        _accepted(house, 60 * n, n)
    return house


@case("reg002-near-miss-outbound-and-gruu", must_not=["REG002", "REG003", *DLG, *ALG], outcomes=[])
def _() -> House:
    """Outbound with an instance and GRUUs (RFC 5626, 5627), Path and Service-Route. The registrar
    knows the phone by its instance and answers with another address."""
    house = House()
    instance = '+sip.instance="<urn:uuid:00000000-0000-1000-8000-000a95a0e128>"'
    mine = f"<sip:100@{house.phone}:5060;ob>;reg-id=1;{instance}"
    gruu = 'pub-gruu="sip:100@example.net;gr=urn:uuid:0";temp-gruu="sip:tgruu.7@example.net;gr"'
    seen = house.out(0, _asks(house, 1, contact=mine, more=["Supported: path, outbound, gruu"]))
    _says(house, 0.03, 200, seen, f"<sip:100@{house.public};ob>;reg-id=1;{instance};{gruu};"
          "expires=120", more=["Path: <sip:edge.example.net;lr;ob>", "Require: outbound",
                               "Service-Route: <sip:core.example.net;lr>"])  # fmt: skip
    return house


@case("reg002-near-miss-removed", must_not=["REG001", "REG002", "REG003", *DLG, *ALG], outcomes=[])
def _() -> House:
    """The phone removes its binding; later all of them. The 200 lists what is left."""
    house = House()
    _accepted(house, 0, 1)
    seen = house.out(90, _asks(house, 3, expires=0))
    _says(house, 90.03, 200, seen, "<sip:100@192.0.2.9>;expires=20")
    seen = house.out(120, _asks(house, 4, expires=0, contact="*"))
    _says(house, 120.03, 200, seen)
    return house


# ---- REG003 ----


@case("reg003-longer-than-granted", [("REG003", "router", "latent")], ["REG002", *DLG],
      outcomes=[])  # fmt: skip
def _() -> House:
    """The registrar grants 60 s; the router makes it 3600 s for the phone."""
    house = House()
    house.in_alg = _changes(b"expires=60", b"expires=3600")
    for n in range(1, 4):
        seen = house.out(50 * n, _asks(house, n))
        _says(house, 50 * n + 0.03, 200, seen, _contact(seen, 60))
    return house


@case("reg003-refreshed-too-late", [("REG003", "router", "observed")], ["REG002", *DLG],
      {"disable-sip-alg": "suspected"}, outcomes=[])  # fmt: skip
def _() -> House:
    """The same, and the phone registers again after 170 s: for 110 s nobody could call it."""
    house = House()
    house.in_alg = _changes(b"expires=60", b"expires=3600")
    for n in range(1, 4):
        seen = house.out(170 * n, _asks(house, n))
        _says(house, 170 * n + 0.03, 200, seen, _contact(seen, 60))
    return house


@case("reg003-header-made-shorter", [("REG003", "router", "none")], ["REG002", *DLG], outcomes=[])
def _() -> House:
    """The router makes the phone ask for 60 s: it has to refresh more often, and does."""
    house = House()
    house.out_alg = _changes(b"Expires: 120", b"Expires: 60")
    for n in range(1, 4):
        seen = house.out(30 * n, _asks(house, n))
        _says(house, 30 * n + 0.03, 200, seen, _contact(seen, 60))
    return house


@case("reg003-too-brief-for-the-registrar", [("REG003", "router", "observed")], ["REG001", *DLG],
      {"disable-sip-alg": "suspected"}, outcomes=[])  # fmt: skip
def _() -> House:
    """The registrar wants 300 s at least, the phone asks for 600 s, and the router makes it 60 s
    each time."""
    house = House()
    house.out_alg = _changes(b"Expires: 600", b"Expires: 60")
    _accepted(house, 0, 1, expires=60)
    for n in range(2, 7):
        seen = house.out(10 * n, _asks(house, n, expires=600))
        _says(house, 10 * n + 0.03, 423, seen, more=["Min-Expires: 300"])
    return house


@case("reg003-near-miss-registrar-grants-less", must_not=["REG002", "REG003", *DLG, *ALG],
      outcomes=[])  # fmt: skip
def _() -> House:
    """The phone asks for 3600 s and the registrar grants 60 s: both copies say so."""
    house = House()
    for n in range(1, 4):
        seen = house.out(50 * n, _asks(house, n, expires=3600))
        _says(house, 50 * n + 0.03, 200, seen, _contact(seen, 60))
    return house


@case("reg003-near-miss-min-expires", must_not=["REG001", "REG003", *DLG, *ALG], outcomes=[])
def _() -> House:
    """The registrar refuses 120 s as too brief; two seconds later the phone asks for 300 s."""
    house = House()
    seen = house.out(0, _asks(house, 1))
    _says(house, 0.03, 423, seen, more=["Min-Expires: 300"])
    _accepted(house, 2, 2, expires=300)
    return house


# ---- REG004 and REG001: credentials ----


def _tries(house: House, rounds: int, stale: bool = False, signs: bool = True, at: float = 0,
           n: int = 1, every: float = 2) -> None:  # fmt: skip
    """REGISTER and 401, again and again, each with a fresh nonce."""
    nonce = ""
    for k in range(rounds):
        made = _asks(house, n + k, credentials=nonce if signs else "")
        seen = house.out(at + every * k, made)
        nonce = f"{NONCE}{k}"
        _challenges(house, at + every * k + 0.03, seen, nonce, stale and k > 0)


@case("reg004-nonce-changed", [("REG004", "router", "observed")], ["REG001", *DLG],
      {"disable-sip-alg": "suspected"}, outcomes=[])  # fmt: skip
def _() -> House:
    """The router writes the nonce in capitals on its way in: no response fits."""
    house = House()
    _accepted(house, 0, 1)
    house.in_alg = _changes(b'nonce="8f2c', b'nonce="8F2C')
    _tries(house, 6, at=30, n=2)
    return house


@case("reg004-digest-uri-changed", [("REG004", "router", "observed")], ["REG001", *DLG],
      {"disable-sip-alg": "suspected"}, outcomes=[])  # fmt: skip
def _() -> House:
    """The router writes its address into the uri of the credentials, and the registrar says 403."""
    house = House()
    for n in range(1, 5):
        _accepted(house, 20 * n, n)
    house.out_alg = _changes(b'uri="sip:example.net"', b'uri="sip:198.51.100.2"')
    seen = house.out(130, _asks(house, 6, credentials=NONCE))
    _says(house, 130.03, 403, seen)
    _beside(house, 170)
    return house


@case("reg004-request-uri-changed", [("REG004", "router", "observed")], ["REG001", *DLG],
      {"disable-sip-alg": "suspected"}, outcomes=[])  # fmt: skip
def _() -> House:
    """The router changes the Request-URI and not the uri that was signed."""
    house = House()
    for n in range(1, 5):
        _accepted(house, 20 * n, n)
    house.out_alg = _changes(b"REGISTER sip:example.net ", b"REGISTER sip:203.0.113.5 ")
    seen = house.out(130, _asks(house, 6, credentials=NONCE))
    _says(house, 130.03, 400, seen)
    _beside(house, 170)
    return house


def _takes_out(name: bytes) -> Rewriter:
    return lambda message: re.sub(rb"(?m)^" + name + rb": .*\r\n", b"", message)


@case("reg004-credentials-taken-out", [("REG004", "router", "observed")], ["REG001", *DLG],
      {"disable-sip-alg": "suspected"}, outcomes=[])  # fmt: skip
def _() -> House:
    """The phone answers each challenge, and the router takes its Authorization out: the password is
    not wrong."""
    house = House()
    _accepted(house, 0, 1)
    house.out_alg = _takes_out(b"Authorization")
    _tries(house, 6, at=30, n=2)
    return house


@case("reg004-challenge-taken-out", [("REG004", "router", "observed")], ["REG001", *DLG],
      {"disable-sip-alg": "suspected"}, outcomes=[])  # fmt: skip
def _() -> House:
    """The router takes the challenge out of each 401, and the phone has nothing to answer."""
    house = House()
    _accepted(house, 0, 1)
    house.in_alg = _takes_out(b"WWW-Authenticate")
    _tries(house, 6, at=30, n=2, signs=False)
    return house


def _calls_in_vain(house: House, status: int) -> House:
    """A call of the phone that is challenged, and refused when it comes with credentials."""
    _accepted(house, 0, 1)
    call = Outgoing(house, "asked@phone")
    call.invite(5)
    call.respond(5.03, 407)
    call.nak(5.04)
    made = call._request("INVITE", 2, "sip:300@example.net", "", call.contact, call.body, "again")
    signed = (b'Proxy-Authorization: Digest username="100", realm="r", nonce="n", '
              b'uri="sip:300@example.net", response="abc"\r\nCSeq: 2')  # fmt: skip
    seen = house.out(5.1, made.replace(b"CSeq: 2", signed))
    house.into(5.13, answer(status, seen, to_tag="no"))
    house.out(5.14, call._request("ACK", 2, "sip:300@example.net", ";tag=no", branch="again"))
    return house


@case("reg004-credentials-of-a-call-taken-out", [("REG004", "router", "observed")], [*DLG],
      {"disable-sip-alg": "suspected"}, ["rejected"])  # fmt: skip
def _() -> House:
    """The router takes the credentials out of the INVITE: the password is not wrong."""
    house = House()
    house.out_alg = _takes_out(b"Proxy-Authorization")
    return _calls_in_vain(house, 407)


@case("reg004-credentials-of-a-call-changed", [("REG004", "router", "observed")], [*DLG],
      {"disable-sip-alg": "suspected"}, ["rejected"])  # fmt: skip
def _() -> House:
    """The router writes its address into the uri of the credentials of an INVITE."""
    house = House()
    house.out_alg = _changes(b'uri="sip:300@example.net"', b'uri="sip:300@198.51.100.2"')
    return _calls_in_vain(house, 403)


@case("reg004-near-miss-call-refused", must_not=["REG004", *DLG], outcomes=["rejected"],
      state="hurts")  # fmt: skip
def _() -> House:
    """The router changes the Request-URI of the INVITE, and the provider says 403: it may do so for
    many reasons."""
    house = House()
    house.out_alg = _changes(b"INVITE sip:300@example.net ", b"INVITE sip:300@203.0.113.5 ")
    return _calls_in_vain(house, 403)


@case("reg004-near-miss-date-taken-out", [("REG001", "unknown", "observed")], ["REG004", *DLG],
      outcomes=[])  # fmt: skip
def _() -> House:
    """The router takes out another header field; the password is wrong."""
    house = House()
    house.out_alg = _takes_out(b"Max-Forwards")
    _tries(house, 6)
    return house


@case("reg004-near-miss-changed-and-accepted", must_not=["REG001", "REG004", *DLG], outcomes=[])
def _() -> House:
    """The router changes opaque, and the registrar does not mind."""
    house = House()
    house.out_alg = _changes(b'opaque="77"', b'opaque="78"')
    seen = house.out(0, _asks(house, 1))
    _challenges(house, 0.03, seen)
    _accepted(house, 0.1, 2, credentials=NONCE)
    return house


@case("reg004-near-miss-order-and-quotes", [("REG001", "unknown", "observed")], ["REG004", *DLG],
      outcomes=[])  # fmt: skip
def _() -> House:
    """The router writes white space into credentials, which nobody signs; the password is wrong."""
    house = House()
    house.out_alg = _changes(b', nonce="', b',  nonce = "')
    _tries(house, 6)
    return house


@case("reg001-wrong-password", [("REG001", "unknown", "observed")], ["REG004", *DLG, *ALG],
      outcomes=[])  # fmt: skip
def _() -> House:
    """401 to each REGISTER, with credentials for the nonce before it and without stale; the router
    changes nothing."""
    house = House()
    _tries(house, 6)
    return house


@case("reg001-accepted-before", [("REG001", "unknown", "observed")], ["REG004", *DLG, *ALG],
      outcomes=[])  # fmt: skip
def _() -> House:
    """The same of a phone that was accepted a minute before: a password that it has cannot be told
    from a nonce that is too old."""
    house = House()
    _accepted(house, 0, 1, credentials=NONCE)
    _tries(house, 6, at=60, n=2)
    return house


@case("reg001-too-slow-for-its-nonce", [("REG001", "unknown", "observed")], ["REG004", *DLG, *ALG],
      outcomes=[])  # fmt: skip
def _() -> House:
    """The phone answers each challenge after 17 s: its password may be right."""
    house = House()
    _tries(house, 5, every=17)
    return house


@case("reg001-no-credentials", [("REG001", "phone", "observed")], ["REG004", *DLG, *ALG],
      outcomes=[])  # fmt: skip
def _() -> House:
    """The phone repeats its REGISTER after each 401 and never sends credentials."""
    house = House()
    _tries(house, 4, signs=False)
    return house


@case("reg001-challenge-not-taken", [("REG001", "unknown", "observed")], ["REG004", *DLG, *ALG],
      outcomes=[], one_file="wan")  # fmt: skip
def _() -> House:
    """The WAN side: each REGISTER comes again to the end although it was challenged at once. The
    phone does not get the challenge, so it is not said to send no credentials."""
    house = House()
    for k in range(4):
        for after in (0, *LADDER_REQUEST):
            seen = house.out(1 + 40 * k + after, _asks(house, 1 + k))
            _challenges(house, 1.03 + 40 * k + after, seen, f"{NONCE}{k}", False)
    return house


@case("reg001-near-miss-challenge-taken", [("REG001", "unknown", "observed")],
      ["REG004", *DLG, *ALG], outcomes=[], one_file="wan")  # fmt: skip
def _() -> House:
    """The WAN side of a phone that takes each challenge and sends no credentials, or of a router
    that drops the REGISTERs which have them."""
    house = House()
    _tries(house, 4, signs=False)
    return house


def _office(stops: float, comes_back: float = 0) -> House:
    """Two phones that register each minute for ten minutes; one stops at `stops`."""
    house, other = House(), House(phone="192.168.1.11", wan_port=40011)
    for n in range(1, 11):
        seen = other.out(60 * n, _asks(other, n).replace(b"sip:100@", b"sip:101@"))
        _says(other, 60 * n + 0.03, 200, seen, _contact(seen))
        if 60 * n < stops or (comes_back and 60 * n >= comes_back):
            _accepted(house, 60 * n + 1, n)
    house.lan += other.lan
    house.wan += other.wan
    return house


@case("reg001-stopped-registering", [("REG001", "phone", "latent")], [*DLG, *ALG], outcomes=[])
def _() -> House:
    """One of two phones does not register any more after two minutes."""
    return _office(stops=130)


@case("reg001-near-miss-others-stop-as-well", must_not=["REG001", *DLG, *ALG], outcomes=[])
def _() -> House:
    """Nobody registers any more; the capture goes on with a call of another provider."""
    house = House()
    for n in range(1, 4):
        _accepted(house, 60 * n, n)
    _beside(house, 60)
    other = House(phone="192.168.1.90", wan=house.wan_ip, wan_port=40090, provider="203.0.113.90")
    for k in range(1, 60):
        _keep_alive(house, 180 + 20 * k)
        other.out(180 + 20 * k, b"\r\n\r\n")
    house.lan += other.lan
    house.wan += other.wan
    return house


@case("reg001-near-miss-comes-back", must_not=["REG001", *DLG, *ALG], outcomes=[])
def _() -> House:
    """It comes back before the capture ends."""
    return _office(stops=130, comes_back=590)


@case("reg001-near-miss-took-itself-off", must_not=["REG001", *DLG, *ALG], outcomes=[])
def _() -> House:
    """It removed its binding before it stopped."""
    house = _office(stops=130)
    seen = house.out(140, _asks(house, 9, expires=0))
    _says(house, 140.03, 200, seen)
    return house


@case("reg001-near-miss-stale-nonce", must_not=["REG001", "REG004", *DLG, *ALG], outcomes=[])
def _() -> House:
    """Each refresh comes with the nonce of the last one: 401 with stale=true, and again with the
    new nonce: 200."""
    house = House()
    for k in range(4):
        seen = house.out(60 * k, _asks(house, 2 * k + 1, credentials=f"old{k}"))
        _challenges(house, 60 * k + 0.03, seen, f"old{k + 1}", stale=True)
        _accepted(house, 60 * k + 0.1, 2 * k + 2, credentials=f"old{k + 1}")
    return house


@case("reg001-near-miss-several-rounds", must_not=["REG001", "REG004", *DLG, *ALG], outcomes=[])
def _() -> House:
    """An old nonce, a fresh one that a second server does not know, and then the right one."""
    house = House()
    _tries(house, 2)
    _accepted(house, 4, 3, credentials=f"{NONCE}1")
    return house


# ---- REG006: the wrong phone ----


def _refused(house: House, at: float, uri: str = "", status: int = 404, wan_port: int = 0,
             alg: Rewriter | None = None) -> None:  # fmt: skip
    """An INVITE of the provider that the phone refuses, and the ACK."""
    call = Incoming(house, "refused@provider")
    call.invited = request(
        "INVITE", uri or f"sip:100@{house.public}", via=f"{house.provider}:5060",
        branch="z9hG4bKi-refused", call_id=call.call_id, cseq=1, contact=call.far,
    )  # fmt: skip
    call.invite(at, wan_port=wan_port, alg=alg)
    sent = house.out(at + 0.1, answer(status, call.delivered, to_tag="no"))
    assert sent
    house.into(at + 0.15, call.invited.replace(b"INVITE", b"ACK").replace(
        b"To: <sip:100@example.net>", b"To: <sip:100@example.net>;tag=no"), alg=alg)  # fmt: skip


def _two_phones(first_port: int, then: int) -> tuple[House, House]:
    """100 registers from a WAN port. Then the NAT forgets, 101 registers first and gets it."""
    house = House(wan_port=first_port)
    _accepted(house, 0, 1, expires=600)
    other = House(phone="192.168.1.11", wan_port=then)
    seen = other.out(200, _asks(other, 1).replace(b"sip:100@", b"sip:101@"))
    _says(other, 200.03, 200, seen, _contact(seen, 600))
    return house, other


@case("reg006-wrong-phone-after-a-flush", [("REG006", "router", "observed")], [*DLG, *ALG],
      outcomes=["rejected"])  # fmt: skip
def _() -> House:
    """100 has registered from WAN port 5060. The router loses its NAT state, 101 sends first and
    gets that port: the provider's call for 100 rings at 101, which refuses it with 404."""
    house, other = _two_phones(5060, 5060)
    _refused(other, 210, f"sip:100@{house.phone}:5060")
    house.lan += other.lan
    house.wan += other.wan
    return house


@case("reg006-provider-calls-the-wrong-phone",
      [("REG006", "provider", "observed"), ("REG005", "router", "latent")], [*DLG, *ALG],
      {"provider-fix": "recommended"}, outcomes=["rejected"])  # fmt: skip
def _() -> House:
    """Both phones have ports of their own, and the provider sends the call for 100 to that of
    101."""
    house, other = _two_phones(5060, 40011)
    _refused(other, 210, f"sip:100@{house.phone}:5060")
    house.lan += other.lan
    house.wan += other.wan
    return house


@case("reg006-contact-of-another-phone", [("REG006", "router", "observed")], DLG,
      {"disable-sip-alg": "suspected"}, ["rejected"])  # fmt: skip
def _() -> House:
    """The router writes the WAN port of another phone into the Contact of the REGISTER. The
    provider calls what it was told, and 101 refuses the call for 100: no fault of the provider."""
    house, other = House(wan_port=40011), House(phone="192.168.1.11")
    house.out_alg = lambda message: message.replace(
        b"Contact: <sip:100@192.168.1.10:5060>", b"Contact: <sip:100@198.51.100.2:5060>"
    )
    house.in_alg = lambda message: message.replace(
        b"Contact: <sip:100@198.51.100.2:5060>", b"Contact: <sip:100@192.168.1.10:5060>"
    )
    _accepted(house, 0, 1, expires=600)
    seen = other.out(1, _asks(other, 1).replace(b"sip:100@", b"sip:101@"))
    _says(other, 1.03, 200, seen, _contact(seen, 600))
    _refused(other, 10, "sip:100@198.51.100.2:5060")
    house.lan += other.lan
    house.wan += other.wan
    return house


def _answers(other: House, uri: str) -> None:
    """A call of the provider for that URI, which the other phone takes, and which ends well."""
    call = Incoming(other, "taken@provider", fixed_contact=f"sip:101@{other.public}")
    call.invited = request(
        "INVITE", uri, via=f"{other.provider}:5060", branch="z9hG4bKi-taken",
        call_id=call.call_id, cseq=1, caller="<sip:200@example.net>;tag=c-taken", contact=call.far,
        body=sdp(other.provider, 20000),
    )  # fmt: skip
    call.invite(210)
    call.ringing(210.1)
    call.ok(212)
    call.ack(212.05)
    call.bye(230)


@case("reg006-wrong-phone-answers", [("REG006", "router", "observed")], [*DLG, *ALG],
      outcomes=["completed"])  # fmt: skip
def _() -> House:
    """As after the flush, but 101 takes every call: it talks to somebody who called 100."""
    house, other = _two_phones(5060, 5060)
    _answers(other, f"sip:100@{house.phone}:5060")
    house.lan += other.lan
    house.wan += other.wan
    return house


@case("reg006-near-miss-forwarded", [("REG005", "router", "latent")], ["REG006", *DLG, *ALG],
      outcomes=["completed"])  # fmt: skip
def _() -> House:
    """100 has its calls forwarded to 101, and the provider sends them to the port of 101 with the
    number in them that was dialled."""
    house, other = _two_phones(5060, 40011)
    _answers(other, f"sip:100@{other.public}")
    house.lan += other.lan
    house.wan += other.wan
    return house


@case("reg006-request-uri-not-undone", [("REG006", "router", "observed")], DLG,
      {"disable-sip-alg": "suspected"}, outcomes=["rejected"])  # fmt: skip
def _() -> House:
    """The router wrote its own address into the Contact of the REGISTER, and leaves it in the
    Request-URI of the call: a strict phone refuses it with 404."""
    house = House("linux")
    _accepted(house, 0, 1)
    _refused(house, 10, alg=lambda message: message)
    return house


@case("reg006-near-miss-trunk-without-that-number", must_not=["REG006", *DLG, *ALG],
      outcomes=["rejected"])  # fmt: skip
def _() -> House:
    """A PBX has registered 100, is called by a number, and has none of that name."""
    house = House()
    _accepted(house, 0, 1)
    _refused(house, 10, "sip:0302223@example.net")
    return house


@case("reg006-near-miss-refused-by-its-user", must_not=["REG006", *DLG, *ALG],
      outcomes=["rejected"])  # fmt: skip
def _() -> House:
    """The phone declines a call to its own Contact."""
    house = House()
    _accepted(house, 0, 1)
    _refused(house, 10, f"sip:100@{house.phone}:5060", 603)
    return house


@case("reg006-near-miss-helper-undoes-it", must_not=["REG006", *DLG], outcomes=["rejected"])
def _() -> House:
    """The kernel's helper puts the phone's Contact into the Request-URI; there is no such user."""
    house = House("linux")
    _accepted(house, 0, 1)
    _refused(house, 10)
    return house


# ---- REG007 ----


def _qualify(house: House, at: float, *, wan_port: int = 0, lan: bool = True) -> bytes:
    """OPTIONS of the provider; returns what the phone gets."""
    made = request(
        "OPTIONS", f"sip:100@{house.phone}:5060", via=f"{house.provider}:5060",
        branch=f"z9hG4bKq{at:.0f}", call_id=f"q{at:.0f}@provider", cseq=1,
        caller="<sip:ping@example.net>;tag=q", callee="<sip:100@example.net>",
    )  # fmt: skip
    return house.into(at, made, lan=lan, wan_port=wan_port)


def _router_says(house: House, at: float, seen: bytes, wan_port: int) -> None:
    """A response of the router's own, with the TTL that hosts begin with."""
    made = frame(answer(200, seen, to_tag="router"), house.wan_ip, wan_port, house.provider, 5060)
    house.wan.append(((START * 1_000_000 + round(at * 1_000_000)) * 1000, made))


@case("reg007-router-answers-options", [("REG007", "router", "latent")], [*DLG, *ALG], outcomes=[],
      state="cannot-tell")  # fmt: skip
def _() -> House:
    """The provider asks each minute whether the phone is there, at the port of its mapping. The
    router answers, and nothing comes to the LAN."""
    house = House()
    _accepted(house, 0, 1)
    for at in (30, 90):
        _router_says(house, at + 0.001, _qualify(house, at, lan=False), 5060)
        _accepted(house, at + 30, int(at))
    return house


@case("reg007-near-miss-phone-answers", must_not=["REG007", *DLG, *ALG], outcomes=[])
def _() -> House:
    """The phone answers."""
    house = House()
    _accepted(house, 0, 1)
    for at in (30, 90):
        house.out(at + 0.01, answer(200, _qualify(house, at), to_tag="phone"))
        _accepted(house, at + 30, int(at))
    return house


@case("reg007-near-miss-router-has-phone-ports", must_not=["REG007", *DLG, *ALG], outcomes=[],
      state="cannot-tell")  # fmt: skip
def _() -> House:
    """The router has an account of its own on port 5060; the phone was given port 40123."""
    house = House(wan_port=40123)
    _accepted(house, 0, 1)
    for at in (30, 90):
        seen = _qualify(house, at, lan=False, wan_port=5060)
        _router_says(house, at + 0.001, seen, 5060)
        _accepted(house, at + 30, int(at))
    return house


@case("reg007-near-miss-answer-of-the-phone-not-captured",
      must_not=["REG007", *DLG, *ALG], outcomes=[], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The response crossed the router, and its copy in the LAN is missing: its TTL is 63."""
    house = House()
    _accepted(house, 0, 1)
    house.out(30.01, answer(200, _qualify(house, 30), to_tag="phone"), lan=False)
    _accepted(house, 60, 2)
    return house
