# SPDX-License-Identifier: Apache-2.0
"""Golden cases of calls that real networks vary: several proxies, PRACK, phones that restart, and
captures of which a part is missing"""

from __future__ import annotations

from collections.abc import Sequence

from craft import (
    LADDER_2XX,
    LADDER_INVITE,
    LADDER_REQUEST,
    House,
    Incoming,
    Outgoing,
    answer,
    incoming_call,
    register,
    request,
    works_beside,
)

from cases.case import ALG, DLG, PHONE_OR_PROVIDER, answered, case
from cases.refresh import LADDER_1XX, Reliable

# ---- PRACK ----


@case("dlg013-prack-stopped",
      [("DLG013", "router", "observed"), ("TXN003", "router", "observed")],
      [*DLG, *ALG], outcomes=["rejected"])  # fmt: skip
def _() -> House:
    """The phone sends its PRACK at once and repeats it: none leaves the router. The callee repeats
    its 183 and refuses the call at the end. The first PRACK comes before the 183 is repeated."""
    house = House()
    register(house, 0)
    call = Reliable(house, "prack@phone")
    call.invite(1)
    call.respond(1.03, 100)
    for after in (0, *LADDER_1XX):
        call.progress(1.3 + after)
    for after in (0, *LADDER_REQUEST):
        call.prack(1.32 + after, wan=False)
    call.respond(33.4, 504)
    call.nak(33.42)
    register(house, 80, n=2)
    return house


@case("dlg013-one-prack", [("DLG013", "network", "observed")], outcomes=["rejected"])
def _() -> House:
    """The phone sends one PRACK, which leaves the router, and the 183 comes again all the same:
    nobody may say that the phone sent none."""
    house = House()
    register(house, 0)
    call = Reliable(house, "once@phone")
    call.invite(1)
    for after in (0, *LADDER_1XX):
        call.progress(1.3 + after)
    call.prack(1.32, wan=True)
    call.respond(33.4, 504)
    call.nak(33.42)
    register(house, 80, n=2)
    return house


# ---- several proxies of a provider ----


def _acked_by(src: str) -> House:
    house = House()
    call = answered(house)
    for after in (0, *LADDER_2XX):
        call.ack(3.03 + after, src=src, lan=False)
    call.dropped(3)
    return house


@case("dlg001-ack-of-a-neighbour", [("DLG001", "provider", "observed")], ["DLG002", *ALG],
      outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The INVITE comes from one address of the provider and each ACK from the next one, to the
    right port of the WAN: it finds the phone in spite of its Contact, and the NAT stops it."""
    return _acked_by("203.0.113.6")


@case("dlg001-near-miss-ack-of-a-stranger",
      [("DLG001", "network", "observed"), ("DLG002", "phone", "observed")], ALG,
      PHONE_OR_PROVIDER, ["dropped"])  # fmt: skip
def _() -> House:
    """The same from a network that the call names nowhere: it may be anybody's."""
    return _acked_by("192.0.2.66")


# ---- captures of which a part is missing ----


@case("reg001-near-miss-wan-fell-silent", must_not=["REG001"], outcomes=[], state="cannot-tell")
def _() -> House:
    """The phone was registered. From then on its REGISTERs, with another Call-ID, are on the LAN
    alone, and the WAN capture holds nothing more: the router may have swallowed them, or that
    capture was over. No all-clear."""
    house = House()
    register(house, 0)
    other = House()
    for at, number in ((60, 2), (160, 3)):
        register(other, at, n=number)
        asked = other.lan[-2][1]
        for after in (0, *LADDER_REQUEST):
            ns = round((at + after) * 1e9)
            house.lan.append((house.lan[0][0] + ns, asked))
    return house


# ---- one side alone ----


def _forced(house: House, again: Sequence[float]) -> Incoming:
    """The 2xx comes again with another port in its Via: the router takes that port for the far
    end's since the first ACK."""
    call = answered(house, contact=f"<sip:100@{house.public}>")
    call.ack(3.03, via_port=54532, lan=False)
    for after in again:
        call.ok(3 + after, alg=lambda m: m.replace(b".5:5060;rport", b".5:54532;rport"))
        call.ack(3.03 + after, via_port=54532, lan=False)
    return call


@case("dlg001-wan-alone-via-rewritten", [("DLG001", "unknown", "observed")],
      ["DLG002", "DLG004", *ALG], outcomes=["dropped"], one_file="wan")  # fmt: skip
def _() -> House:
    """The WAN side alone: an ACK follows each 2xx, which comes again to the end, and from the
    second on has another port in its Via. It is the same 2xx."""
    house = House()
    _forced(house, LADDER_2XX).phone_bye(35)
    return house


@case("dlg001-near-miss-wan-alone-via-rewritten", must_not=DLG, one_file="wan")
def _() -> House:
    """The same with a single repetition, as the first ACK crosses it, and a call that lives."""
    house = House()
    _forced(house, LADDER_2XX[:1]).bye(60)
    return house


def _registers(again: Sequence[float], answer_after: float) -> House:
    """The WAN side: a REGISTER that comes again, and a 200 to each."""
    house = House()
    asked = request("REGISTER", "sip:example.net", via="198.51.100.2:5060", branch="z9hG4bKdeaf",
                    call_id="deaf@phone", cseq=1, caller="<sip:100@example.net>;tag=r1",
                    contact=f"<sip:100@{house.public}>", more=["Expires: 120"])  # fmt: skip
    granted = answer(200, asked, to_tag="reg", contact=f"<sip:100@{house.public}>;expires=120")
    for after in (0, *again):
        house.out(after, asked, lan=False)
        house.into(after + answer_after, granted, lan=False)
    incoming_call(house, 60, "later@provider")
    return house


@case("reg001-answer-never-taken", [("REG001", "unknown", "observed")], ["TXN003"],
      one_file="wan")  # fmt: skip
def _() -> House:
    """The WAN side alone: each REGISTER has its 200 at once, and yet it comes again to the end."""
    return _registers(LADDER_REQUEST, 0.03)


@case("txn003-near-miss-slow-way", must_not=["TXN003", "REG001"], one_file="wan")
def _() -> House:
    """The same near the registrar, at the end of a long way: three REGISTERs come after the first
    200, and none later."""
    return _registers((0.5, 1.5, 3.5), 0.01)


# ---- no NAT ----


@case("reg006-routed", [("REG006", "router", "observed"), ("TXN001", "router", "observed")],
      ["REG005", *ALG], outcomes=["unanswered"])  # fmt: skip
def _() -> House:
    """A router without NAT, as with IPv6: the INVITE is sent to the phone's own address and is
    stopped, by a filter for one."""
    house = House(phone="198.51.100.77", wan="198.51.100.77")
    register(house, 0)
    call = Incoming(house, "routed@provider")
    for after in (0, *LADDER_INVITE):
        call.invite(30 + after, lan=False)
    register(house, 90, n=2)
    return house


# ---- BYE ----


def _byes(times: int) -> House:
    house = House()
    register(house, 0)
    call = Outgoing(house, "twice@phone")
    call.set_up(1, rings=0.2)
    made = call._request("BYE", 2, call.far_contact.strip("<>"), f";tag={call._tag}")
    for number in range(times):
        seen = house.out(20 + 0.5 * number, made)
    house.into(20.01 + 0.5 * number, answer(500, seen))
    register(house, 80, n=2)
    return house


@case("txn003-bye-taken-before", [("TXN003", "network", "latent")], [*DLG, *ALG],
      state="cannot-tell")  # fmt: skip
def _() -> House:
    """The far end answers the BYE only when it comes again, with 500 (out of order): it took the
    first one, or it stays in the call."""
    return _byes(2)


@case("txn003-bye-refused-at-once", [("TXN003", "network", "observed")], [*DLG, *ALG])
def _() -> House:
    """The same at the first BYE: the far end stays in the call."""
    return _byes(1)


# ---- a phone that restarts ----


@case("reg-near-miss-restart", must_not=["REG001", "REG002", "REG005", "REG006", "NAT002", *ALG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """A phone restarts and registers the same address of record with another Call-ID and from
    another port. A call before and one after that."""
    house = House()
    register(house, 0, expires=600)
    incoming_call(house, 5, "before@provider")
    after = House(port=5071, wan_port=5071)
    register(after, 60, expires=600, n=2)
    incoming_call(after, 70, "restarted@provider",
                  fixed_contact=f"sip:100@{after.public}")  # fmt: skip
    house.lan += after.lan
    house.wan += after.wan
    return house


# ---- a port at which the phone is not ----


def _silent(asked_contact: str) -> House:
    """The phone registers that Contact. Two minutes later an INVITE to it is sent to port 5080."""
    house = House()
    asked = request("REGISTER", "sip:example.net", via="192.168.1.10:5060", branch="z9hG4bKreg",
                    call_id="reg@phone", cseq=1, contact=asked_contact,
                    more=["Expires: 600"])  # fmt: skip
    seen = house.out(0, asked)
    house.into(0.03, answer(200, seen, to_tag="r", contact=f"{asked_contact};expires=600",
                            received=house.wan_ip, rport=house.wan_port))  # fmt: skip
    call = Incoming(house, "late@provider")
    for after in (0, *LADDER_INVITE):
        call.invite(120 + after, lan_port=5080)
    works_beside(house, 180)
    return house


@case("txn001-sent-to-another-port-late", [("TXN001", "router", "observed")],
      outcomes=["completed", "unanswered"])  # fmt: skip
def _() -> House:
    """An INVITE comes long after the last packet of the phone, and is sent to a port that the phone
    neither uses nor announces: it is not the phone that did not answer."""
    return _silent("<sip:100@192.168.1.10:5060>")


@case("txn001-near-miss-sent-to-the-port-in-contact", [("TXN001", "phone", "observed")],
      outcomes=["completed", "unanswered"])  # fmt: skip
def _() -> House:
    """The same, to a phone that has registered that port."""
    return _silent("<sip:100@192.168.1.10:5080>")
