# SPDX-License-Identifier: Apache-2.0
"""Golden cases of a phone that gets another LAN address in mid call, and of two phones with one
account."""

from __future__ import annotations

from craft import (
    LADDER_2XX,
    LADDER_INVITE,
    LADDER_REQUEST,
    House,
    Incoming,
    Outgoing,
    Timed,
    answer,
    register,
)

from cases.case import ALG, DLG, case
from cases.reports import later

NO = ["DLG002", "DLG004", *ALG]
TWO = ["completed", "completed"]


def _talks() -> tuple[House, House, Outgoing]:
    """A phone in a call, and the same phone under its next address."""
    house, moved = House(), House(phone="192.168.1.30", wan_port=52000)
    register(house, 0)
    call = Outgoing(house, "moving@phone")
    call.set_up(1, rings=0.1)
    return house, moved, call


def _both(house: House, other: House) -> House:
    house.lan += other.lan
    house.wan += other.wan
    return later(house, 130)


def _phone_hangs_up(status: int) -> House:
    """By its new address. status: of the answer, 0 = none."""
    house, moved, call = _talks()
    register(moved, 20, n=7)
    bye = call._request("BYE", 2, call.far_contact.strip("<>"), f";tag={call._tag}")
    bye = bye.replace(b"192.168.1.10", b"192.168.1.30")
    for after in (0, *LADDER_REQUEST)[: 1 if status else None]:
        seen = moved.out(40 + after, bye)
        if status:
            moved.into(40.03, answer(status, seen, received=moved.wan_ip, rport=moved.wan_port))
    return _both(house, moved)


@case("txn003-bye-from-another-lan-address", [("TXN003", "unknown", "observed")], [*NO, *DLG],
      outcomes=TWO)  # fmt: skip
def _() -> House:
    """The phone moves to another LAN address and hangs up; its provider does not answer what comes
    from another port than the call. The network between is not blamed."""
    return _phone_hangs_up(0)


@case("dlg008-bye-from-another-lan-address", [("DLG008", "unknown", "observed")], [*NO, *DLG],
      outcomes=TWO)  # fmt: skip
def _() -> House:
    """The same refused with 481: not for the private Contact of the phone."""
    return _phone_hangs_up(481)


@case("txn003-near-miss-bye-from-another-lan-address", must_not=["TXN003", "DLG008", *NO, *DLG],
      outcomes=TWO)  # fmt: skip
def _() -> House:
    """The provider takes it."""
    return _phone_hangs_up(200)


def _far_hangs_up(delivered: bool, registers: bool = True) -> House:
    house, moved, call = _talks()
    if registers:
        register(moved, 20, n=7)
    bye = call.from_far("BYE")
    for after in (0, *LADDER_REQUEST):
        house.into(40 + after, bye, lan=delivered)
    return _both(house, moved)


@case("txn003-bye-to-the-address-of-before", [("TXN003", "unknown", "observed")], [*NO, *DLG],
      outcomes=TWO)  # fmt: skip
def _() -> House:
    """The far end hangs up: its BYE goes to the old address, where nobody is any more."""
    return _far_hangs_up(True)


@case("txn003-bye-for-the-address-of-before", [("TXN003", "unknown", "observed")], [*NO, *DLG],
      outcomes=TWO)  # fmt: skip
def _() -> House:
    """The router finds nobody at the old address (ARP) and sends nothing on: it did nothing
    wrong."""
    return _far_hangs_up(False)


@case("txn003-near-miss-bye-to-a-phone-that-stays", [("TXN003", "phone", "observed")],
      [*NO, *DLG], outcomes=TWO)  # fmt: skip
def _() -> House:
    """Nobody has registered the account from elsewhere: the phone does not answer."""
    return _far_hangs_up(True, registers=False)


@case("dlg001-answer-to-the-address-of-before",
      [("DLG001", "unknown", "observed")], NO, outcomes=["dropped", "completed"])  # fmt: skip
def _() -> House:
    """The phone moves while it rings, and the 2xx goes to its old address."""
    house, moved = House(), House(phone="192.168.1.30", wan_port=52000)
    register(house, 0)
    call = Outgoing(house, "moving@phone")
    call.invite(1)
    call.respond(1.1, 180)
    register(moved, 2, n=7)
    for after in (0, *LADDER_2XX):
        call.ok(3 + after)
    call.far_bye(35)
    return _both(house, moved)


def _refused_re_invite(phone: str, wan_port: int) -> House:
    """481 to a re-INVITE that the phone sends from this address."""
    house = House()
    call = Timed(house, "uac", call_id="moving@phone")
    house.phone, house.wan_port = phone, wan_port
    call.refused(20.03, call.refresh(20, "INVITE"), 481)
    uri, tag = call.far_contact.strip("<>"), f";tag={call._tag}"
    house.out(20.05, call._request("ACK", 2, uri, tag, branch="invite1"))
    return later(house, 100)


@case("dlg008-re-invite-from-another-lan-address", [("DLG008", "unknown", "latent")],
      [*NO, *DLG], outcomes=["unknown", "completed"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The phone moves, and its re-INVITE is refused as of an unknown call: the network is not to
    blame, and the other end need not have forgotten the call."""
    return _refused_re_invite("192.168.1.99", 40099)


@case("dlg008-near-miss-re-invite-from-the-same-address", [("DLG008", "network", "latent")],
      [*NO, *DLG], outcomes=["unknown", "completed"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The phone stays where it is."""
    return _refused_re_invite("192.168.1.10", 5060)


def _answers_from_elsewhere(phone: str, port: int, moves_back: bool) -> House:
    """The phone repeats its 2xx from a new place. moves_back: the ACK goes there, too."""
    house = House()
    register(house, 0)
    call = Incoming(house, "moving@provider", contact=f"<sip:100@{house.public}>")
    call.invite(1)
    call.ringing(1.2)
    call.ok(3)
    if not moves_back:
        call.ack(3.05)
    for after in LADDER_2XX[: 2 if moves_back else None]:
        house.phone, house.port, house.wan_port = phone, port, 40099
        call.ok(3 + after)
        if not moves_back:
            house.phone, house.port, house.wan_port = "192.168.1.10", 5060, 5060
            call.ack(3.05 + after)
    house.phone, house.port, house.wan_port = phone, port, 40099
    if moves_back:
        call.ack(4.55)
    call.phone_bye(60 if moves_back else 35)
    return house


@case("dlg001-answers-from-another-lan-address",
      [("DLG001", "unknown", "observed")], NO, outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The phone moves when it has answered, and repeats its 2xx from its next address. Each ACK is
    delivered to the old one: nobody between is to blame."""
    return _answers_from_elsewhere("192.168.1.99", 5060, moves_back=False)


@case("dlg001-answers-from-another-port",
      [("DLG001", "unknown", "observed")], NO, outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The same with another port of the same address."""
    return _answers_from_elsewhere("192.168.1.10", 5080, moves_back=False)


@case("dlg001-near-miss-answers-from-another-lan-address", must_not=[*NO, *DLG])
def _() -> House:
    """The ACK follows the phone."""
    return _answers_from_elsewhere("192.168.1.99", 5060, moves_back=True)


def _two_phones(wan_port: int, speaks: bool) -> House:
    """Two phones with one account. The call for the second comes to WAN port 5060 before that
    sends anything, and reaches nobody. speaks: it registers later."""
    house = House(wan_port=40010)
    second = House(phone="192.168.1.11", wan_port=wan_port)
    register(house, 0)
    call = Incoming(House(phone="192.168.1.11"), "forked@provider")
    for after in (0, *LADDER_INVITE):
        call.invite(10 + after, lan=False)
    if speaks:
        register(second, 60, n=2)
    second.wan += call.house.wan
    return _both(house, second)


@case("reg006-call-to-a-phone-that-speaks-late",
      [("REG006", "unknown", "observed"), ("TXN001", "unknown", "observed")], [*NO, *DLG],
      outcomes=["unanswered", "completed"])  # fmt: skip
def _() -> House:
    """The second phone registers from that port a minute later. So the provider did not take the
    port from the Contact of the first one, as it seemed until then."""
    return _two_phones(5060, speaks=True)


@case("reg006-near-miss-call-to-a-phone-at-another-port",
      [("REG006", "provider", "observed"), ("TXN001", "provider", "observed")], [*NO, *DLG],
      {"enable-rport-stun-outbound": "suspected", "provider-fix-contact": "suspected"},
      ["unanswered", "completed"])  # fmt: skip
def _() -> House:
    """The second phone leaves with another port: nobody was ever at the port that was called."""
    return _two_phones(40011, speaks=True)
