# SPDX-License-Identifier: Apache-2.0
"""Golden cases of ringing and responses that go elsewhere or get lost behind the tap, and of a call
after a silence."""

from __future__ import annotations

from craft import (
    LADDER_INVITE,
    House,
    Incoming,
    Outgoing,
    answer,
    outgoing_call,
    register,
)

from cases.case import DLG, case


def _after_silence(via_port: int, lan_port: int, **how: int) -> House:
    """A phone without rport that leaves from port 40010 and never registers. After a silence of 70
    s a call comes, and the router sends it to lan_port of the phone."""
    house = House("linux", port=40010, wan_port=40010)
    outgoing_call(house, 1, "first@phone", rport=False)
    call = Incoming(house, "later@provider")
    for after in (0, *LADDER_INVITE):
        call.invite(77 + after, via_port=via_port, lan_port=lan_port)
    outgoing_call(house, 130, "last@phone", rport=False)
    return house


@case("alg011-forced-port-after-a-silence",
      [("ALG011", "router", "observed"), ("TXN001", "router", "observed")], DLG,
      {"disable-sip-alg": "suspected"}, ["completed", "completed", "unanswered"])  # fmt: skip
def _() -> House:
    """The sender names port 5080 in its Via and sends from 5060; the router sends the INVITE to
    port 5080, where nobody is. The phone writes private addresses without rport: keeping the ALG is
    not advised beside that."""
    return _after_silence(5080, 5080)


@case("alg011-near-miss-forward-to-another-port", [("TXN001", "router", "observed")], DLG,
      {"keep-sip-alg": "suspected"}, ["completed", "completed", "unanswered"])  # fmt: skip
def _() -> House:
    """The same at port 5060, where a port forward leads as well: the ALG is not blamed, and keeping
    it is not recommended."""
    return _after_silence(5060, 5060)


def _ringing_elsewhere(requests: int, rport: bool = False, lan_port: int = 5060) -> House:
    """The provider rings a call of the phone for good, and its 180 come to another phone."""
    house, other = House(wan_port=61010), House(phone="192.168.1.11", wan_port=5060)
    register(other, 0, n=2)
    call = Outgoing(house, "unrung@phone", rport=rport)
    for after in (0, *LADDER_INVITE)[:requests]:
        call.invite(5 + after)
        made = answer(180, call.seen, to_tag="f", contact=call.far_contact)
        other.into(5.02 + after, made, lan_port=lan_port)
    outgoing_call(other, 100, "other@phone")
    house.lan += other.lan
    house.wan += other.wan
    return house


@case("txn006-ringing-to-another-phone", [("TXN006", "phone", "observed")], ["TXN001", *DLG],
      {"enable-rport-stun-outbound": "recommended"}, ["completed", "unanswered"])  # fmt: skip
def _() -> House:
    """A phone without rport, to which the NAT gives another port. The 180 go to the port in Via,
    which is another phone's, and the phone sends its INVITE until Timer B."""
    return _ringing_elsewhere(7)


@case("txn006-near-miss-ringing-to-another-phone-once", must_not=["TXN006", "TXN001", *DLG],
      outcomes=["completed", "ongoing"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """Three INVITEs are sent, and no more: it was heard somewhere else."""
    return _ringing_elsewhere(3)


def _ringing_at(lan_port: int) -> House:
    house = House()
    register(house, 0)
    call = Outgoing(house, "unrung@phone")
    for after in (0, *LADDER_INVITE):
        call.invite(5 + after)
        call.respond(5.02 + after, 180, lan_port=lan_port)
    register(house, 100, n=2)
    return house


@case("alg011-ringing-to-a-forced-port", [("ALG011", "router", "observed")], ["TXN001", *DLG],
      {"disable-sip-alg": "suspected"}, ["unanswered"])  # fmt: skip
def _() -> House:
    """The router sends the 180 to port 5080 of the phone, which goes on sending its INVITE."""
    return _ringing_at(5080)


@case("alg011-near-miss-ringing-at-its-port", must_not=["ALG011", "TXN006", *DLG],
      outcomes=["ongoing"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The 180 come to its port, and it goes on all the same: no doing of the router."""
    return _ringing_at(0)


def _bye_again(requests: int) -> House:
    """The router writes its own address into the Via of responses. The BYE is sent again after its
    200 came to the LAN."""
    house = House()
    house.in_alg = lambda made: made.replace(b"UDP 192.168.1.10", b"UDP 198.51.100.2")
    register(house, 0)
    call = Outgoing(house, "ended@phone")
    call.set_up(1)
    for after in (0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5)[:requests]:
        call.bye(20 + after)
    other = House(phone="192.168.1.11", wan_port=40011)
    outgoing_call(other, 100, "other@phone")
    house.lan += other.lan
    house.wan += other.wan
    return house


@case("txn006-bye-via-changed-on-the-way-back", [("TXN006", "router", "observed")], DLG,
      {"disable-sip-alg": "suspected"}, ["completed", "completed"])  # fmt: skip
def _() -> House:
    """The phone takes no such response to its BYE, and goes on for 32 s."""
    return _bye_again(11)


@case("txn006-near-miss-lost-behind-the-tap", must_not=["TXN006", "TXN003", *DLG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The phone takes such responses. One got lost on the Wi-Fi, so it sent its BYE once more."""
    return _bye_again(2)


def _re_invited(requests: int) -> House:
    """A re-INVITE of the phone that nobody answers, sent so often until the far end hangs up."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "again@phone")
    call.set_up(1)
    target, tag = call.far_contact.strip("<>"), f";tag={call._tag}"
    made = call._request("INVITE", 2, target, tag, call.contact, call.body, branch="again")
    for after in (0, *LADDER_INVITE)[:requests]:
        house.out(20 + after, made)
    call.far_bye(32)
    return house


@case("txn001-re-invite-until-the-bye-one-sided", [("TXN001", "unknown", "observed")], DLG,
      one_file="lan")  # fmt: skip
def _() -> House:
    """On the LAN side alone: five copies in 7.5 s, and the far end hangs up four seconds later."""
    return _re_invited(5)


@case("txn001-near-miss-re-invite-before-the-bye", must_not=["TXN001", *DLG], one_file="lan")
def _() -> House:
    """Two copies: the answer may have got lost."""
    return _re_invited(2)
