# SPDX-License-Identifier: Apache-2.0
"""Golden cases of verdicts that were wrong on recorded runs of the lab."""

from __future__ import annotations

from craft import House, Outgoing, answer, outgoing_call, register, request, sdp

from cases.case import ALG, DLG, case
from cases.nat import _joined, _unheard
from cases.qualify import ONCE, REPEATED
from cases.rewrite import _in_vain, _parts

# ---- fingerprint of the helper's Content-Length ----


@case("alg007-near-miss-not-the-helper", [("ALG006", "router", "none")],
      ["ALG007", "DLG009", *DLG])  # fmt: skip
def _() -> House:
    """A router that translates the address in a body of two parts and counts all of it. Nothing is
    damaged, and it is not the kernel's helper, which would have counted from "v=" on."""
    house = House("linux", phone="10.0.0.9")
    register(house, 0)
    call = Outgoing(house, "right@phone")
    call.invite(1, lan=False, wan=False)
    call.invited = _parts(call.invited)
    call.invite(1)
    call.respond(1.05, 100)
    call.respond(1.2, 200, sdp(house.provider, 20000))
    call.ack(1.22)
    call.bye(9)
    return house


# ---- an end that is away for a while ----

ASKED = 4.0  # seconds between two OPTIONS


def _asked(house: House, until: float, away: tuple[float, float],
           queue: bool = False) -> None:  # fmt: skip
    """The provider asks the phone every ASKED seconds. The phone says nothing while it is away:
    what is asked then is repeated, or waits in a queue and is answered later."""
    leave, come = away
    for n in range(int(until / ASKED)):
        at = 5 + ASKED * n
        made = request("OPTIONS", f"sip:100@{house.public}", via=f"{house.provider}:5060",
                       branch=f"z9hG4bKq{n}", call_id=f"q{n}@provider", cseq=1)  # fmt: skip
        for after in ONCE if queue else REPEATED:
            seen = house.into(at + after, made)
            if not leave < at + after < come:
                house.out(at + after + 0.01, answer(200, seen))
                break
        else:
            if queue:
                house.out(come + n / 1000, answer(200, seen))


@case("txn005-near-miss-phone-is-away",
      [("TXN004", "phone", "latent"), ("TXN004", "unknown", "none")],
      ["TXN005", "TXN003", *DLG, *ALG])  # fmt: skip
def _() -> House:
    """A phone is asked every 4 s, and says nothing for 36 s. Each OPTIONS of that time is repeated
    until it answers again: that is one silence, and no packet after another that gets lost."""
    house = House()
    register(house, 0)
    _asked(house, 72, (16, 52))
    outgoing_call(house, 80, "later@phone")
    return house


@case("txn005-many-at-once", [("TXN005", "phone", "observed")],
      ["TXN004", "TXN003", *DLG, *ALG], {"look-for-loss": "recommended"})  # fmt: skip
def _() -> House:
    """Half of the OPTIONS need four tries, several at the same time, and those between them are
    answered at once: the phone is there, and packets get lost."""
    house = House()
    register(house, 0)
    for n in range(24):
        made = request("OPTIONS", f"sip:100@{house.public}", via=f"{house.provider}:5060",
                       branch=f"z9hG4bKq{n}", call_id=f"q{n}@provider", cseq=1)  # fmt: skip
        for after in REPEATED[:4] if n % 2 else ONCE:
            seen = house.into(5 + 1.3 * n + after, made)
        house.out(5 + 1.3 * n + after + 0.01, answer(200, seen))
    outgoing_call(house, 80, "later@phone")
    return house


@case("txn004-answers-late", [("TXN004", "phone", "latent"), ("TXN004", "unknown", "none")],
      ["TXN005", "TXN003", *DLG, *ALG])  # fmt: skip
def _() -> House:
    """A phone is suspended for 36 s, and answers all OPTIONS that were waiting for it then, the
    first of them after Timer F."""
    house = House()
    register(house, 0)
    _asked(house, 60, (16, 52), queue=True)
    outgoing_call(house, 80, "later@phone")
    return house


@case("txn004-near-miss-one-late", must_not=["TXN004", "TXN005", "TXN003", *DLG, *ALG])
def _() -> House:
    """One OPTIONS is answered after 9 s, and the next one at once: no outage."""
    house = House()
    register(house, 0)
    _asked(house, 60, (16.5, 20), queue=True)
    made = request("OPTIONS", f"sip:100@{house.public}", via=f"{house.provider}:5060",
                   branch="z9hG4bKslow", call_id="slow@provider", cseq=1)  # fmt: skip
    house.out(79, answer(200, house.into(70, made)))
    outgoing_call(house, 90, "later@phone")
    return house


# ---- NAT002: one mapping a destination ----

SECOND_HOST = "203.0.113.80"


def _second_host(same_port: bool) -> House:
    """A phone that registers at one host and has talked to a second one, which calls it at the port
    of the binding."""
    house = House(wan_port=40123)
    register(house, 0)
    second = House(wan_port=40123 if same_port else 40999, provider=SECOND_HOST)
    register(second, 1, n=2)
    outgoing_call(house, 60, "later@phone")
    return _joined(house, second, _called(10))


def _called(at: float) -> House:
    caller = House(wan_port=40123, provider=SECOND_HOST)
    _unheard(caller, at)
    return caller


@case("nat002-call-to-the-port-of-another-host",
      [("NAT002", "router", "observed"), ("REG006", "router", "observed"),
       ("TXN001", "router", "observed")], [*DLG, *ALG],
      {"static-nat-for-pbx": "recommended"}, ["completed", "unanswered"])  # fmt: skip
def _() -> House:
    """A symmetric NAT: the phone leaves to the registrar with one port and to the host that calls
    it with another one. The call comes to the port of the registrar, and no phone gets it."""
    return _second_host(same_port=False)


@case("nat002-near-miss-one-port-for-all",
      [("REG006", "router", "observed"), ("TXN001", "router", "observed")],
      ["NAT002", *DLG, *ALG], outcomes=["completed", "unanswered"])  # fmt: skip
def _() -> House:
    """The same call, and the NAT has given the phone one port for both hosts: the port is right,
    and not why the call stops here."""
    return _second_host(same_port=True)


@case("nat002-near-miss-host-never-asked", [("REG006", "provider", "observed")],
      ["NAT002", *DLG, *ALG], outcomes=["completed", "unanswered"])  # fmt: skip
def _() -> House:
    """The call comes from a host to which the phone has never sent anything: nothing shows that the
    NAT would have given it another port there, and no NAT lets it in."""
    house = House(wan_port=40123)
    register(house, 0)
    outgoing_call(house, 60, "later@phone")
    return _joined(house, _called(10))


# ---- ALG013: how much longer ----


def _first_call(size: int) -> House:
    """A phone with a short address registers, and then sends an INVITE of that size, which does not
    leave the router; it registers again meanwhile."""
    house = House("linux", phone="10.0.0.9")
    register(house, 0)
    _in_vain(house, "gone@phone", 20, size, leaves=False)
    register(house, 25, n=2)
    register(house, 75, n=3)
    return house


@case("alg013-only-registers-before",
      [("ALG013", "router", "observed"), ("TXN001", "router", "observed")],
      ["SIZE001", "ALG008", *DLG], {"smaller-messages-or-tcp": "recommended"},
      ["unanswered"])  # fmt: skip
def _() -> House:
    """The first call of a phone, of 1490 bytes on a line with an MTU of 1492: that the router makes
    its messages longer only a REGISTER has shown."""
    return _first_call(1490)


@case("alg013-near-miss-only-registers-before", [("TXN001", "router", "observed")],
      ["ALG013", "SIZE001", "ALG008", *DLG], outcomes=["unanswered"])  # fmt: skip
def _() -> House:
    """An INVITE that still fits with what the router adds to a REGISTER."""
    return _first_call(1470)
