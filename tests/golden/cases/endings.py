# SPDX-License-Identifier: Apache-2.0
"""Golden cases of how calls and registrations end where no ALG is at fault: a BYE that nobody
answers or that a proxy refuses, a refresh that is given up, a CANCEL that crosses the answer."""

from __future__ import annotations

from craft import (
    LADDER_2XX,
    LADDER_REQUEST,
    House,
    Incoming,
    Outgoing,
    Timed,
    answer,
    incoming_call,
    outgoing_call,
    register,
    request,
    sdp,
)

from cases.alg import contact_port_kept
from cases.case import ALG, DLG, PHONE_OR_PROVIDER, case

NO = (*DLG, "DLG007", "DLG008", "TXN001", "TXN003", *ALG)


def _without(*rules: str) -> list[str]:
    return [rule for rule in NO if rule not in rules]


def _talks(house: House, call_id: str = "ends@phone", **how: str) -> Outgoing:
    call = Outgoing(house, call_id, **how)  # type: ignore[arg-type]
    call.set_up(1, rings=0.2)
    return call


# ---- a BYE at the end of a capture ----


def _bye_at_the_end(times: int, answered: bool = False) -> House:
    house = House()
    call = _talks(house)
    made = call._request("BYE", 2, "sip:300@203.0.113.5", f";tag={call._tag}")
    seen, at = b"", 0.0
    for after in (0, *LADDER_REQUEST)[:times]:
        at = 10 + after
        seen = house.out(at, made)
    if answered:
        house.into(at + 0.03, answer(200, seen))
    return house


@case("txn003-near-miss-nobody-answers-at-the-end", must_not=NO, outcomes=["unknown"],
      state="cannot-tell")  # fmt: skip
def _() -> House:
    """The phone's BYE leaves the router eleven times, and the capture ends with the last of them:
    Timer F is not over, nobody has answered, and nobody knows whether the call ended."""
    return _bye_at_the_end(11)


@case("txn003-near-miss-nobody-answers-one-sided", [("CAP001", "unknown", "none")], NO,
      outcomes=["unknown"], one_file="lan", state="cannot-tell")  # fmt: skip
def _() -> House:
    """The same on the LAN side alone."""
    return _bye_at_the_end(11)


@case("txn003-near-miss-answered-at-last", must_not=NO)
def _() -> House:
    """The same BYE, sent three times and answered then: a packet was lost, and the call ended."""
    return _bye_at_the_end(3, answered=True)


@case("txn003-near-miss-bye-is-the-last-packet", must_not=NO)
def _() -> House:
    """The BYE crosses the router once, and the capture ends with it, as captures do that somebody
    stops when the call is over."""
    return _bye_at_the_end(1)


# ---- DLG007: a refresh that is refused ----


@case("dlg007-refused-and-given-up", [("DLG007", "phone", "observed")], _without("DLG007"),
      outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The phone refuses the re-INVITE with which the far end refreshes the session (488), and the
    far end hangs up at once. It need not, and some do."""
    call = Timed(House(), "uas")
    made = call.from_far("INVITE", 1, ["Contact: <sip:300@203.0.113.5:5060>"])
    seen = call.house.into(903, made)
    call.house.out(903.05, answer(488, seen))
    call.house.into(903.08, made.replace(b"INVITE", b"ACK"))
    call.far_bye(903.3)
    return call.house


@case("dlg007-update-not-known", [("DLG007", "unknown", "observed")], _without("DLG007"),
      outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The phone does not know UPDATE (501), and the far end, which may not have looked at its
    Allow, hangs up."""
    call = Timed(House(), "uas")
    seen = call.house.into(903, call.from_far("UPDATE", 1))
    call.house.out(903.02, answer(501, seen))
    call.far_bye(903.3)
    return call.house


@case("dlg007-near-miss-refreshed-otherwise", must_not=NO)
def _() -> House:
    """The far end refreshes with a re-INVITE when its UPDATE was refused with 501."""
    call = Timed(House(), "uas")
    house = call.house
    seen = house.into(903, call.from_far("UPDATE", 1))
    house.out(903.02, answer(501, seen))
    made = call.from_far("INVITE", 2, ["Contact: <sip:300@203.0.113.5:5060>", *call.timer])
    seen = house.into(903.2, made)
    house.out(903.3, answer(200, seen, contact=call.contact, body=sdp(house.phone),
                            more=call.timer))  # fmt: skip
    house.into(903.35, call.from_far("ACK", 2))
    call.far_bye(1500)
    return house


@case("dlg007-near-miss-hold-refused-and-hung-up", must_not=NO)
def _() -> House:
    """The phone's hold is refused with 488 long before a refresh is due, and its user hangs up a
    second later: nothing shows that a timer had to do with it."""
    call = Timed(House(), "uas")
    call.refused(100.1, call.refresh(100, "INVITE"), 488)
    call.house.out(100.12, call._request("ACK", 2, "sip:300@203.0.113.5", f";tag={call._tag}",
                                         branch="invite1"))  # fmt: skip
    call.bye(101)
    return call.house


# ---- the reason of a BYE ----


def _ended_for(reason: str) -> House:
    house = House()
    register(house, 0)
    _talks(house).far_bye(47, [f"Reason: {reason}"])
    return house


@case("dlg007-near-miss-network-failed", must_not=NO, state="cannot-tell")
def _() -> House:
    """The far end ends the call because its network is out of order (Q.850 cause 38): nobody hung
    up, so the call gets no all-clear, and nothing here shows whose fault it was."""
    return _ended_for('Q.850;cause=38;text="NETWORK_OUT_OF_ORDER"')


@case("dlg007-near-miss-refused-elsewhere", must_not=NO, state="cannot-tell")
def _() -> House:
    """The same with the status of a re-INVITE that somebody else refused."""
    return _ended_for('SIP ;cause=481 ;text="Call leg does not exist"')


@case("dlg007-near-miss-hung-up-by-people", must_not=NO)
def _() -> House:
    """Reasons of calls that people end: busy elsewhere, and normal clearing."""
    return _ended_for('SIP;cause=486;text="Busy Here", Q.850;cause=31;text="Normal, unspecified"')


# ---- DLG008: what the refusal of a BYE says ----


@case("dlg008-proxy-does-not-know", [("DLG008", "unknown", "observed")], _without("DLG008"))
def _() -> House:
    """A proxy refuses the phone's BYE with 404, as one does that finds no Route it knows. The
    phone's Contact is private, and it is not to blame: nobody says that the other end hung up."""
    house = House()
    register(house, 0)
    call = _talks(house)
    made = call._request("BYE", 2, "sip:300@203.0.113.5", f";tag={call._tag}")
    house.into(20.03, answer(404, house.out(20, made)))
    return house


def _own_address(by_phone: bool, alg: str = "", uri: str = "") -> House:
    """A BYE with the address of its own sender in the Request-URI, refused with 481."""
    house = House(alg)
    register(house, 0)
    call = _talks(house)
    if by_phone:
        made = call._request("BYE", 2, uri or f"sip:100@{house.phone}:5060", f";tag={call._tag}")
        house.into(30.03, answer(481, house.out(30, made)))
    else:
        made = call.from_far("BYE")
        made = made.replace(made.split(b" ")[1], b"sip:300@203.0.113.5:5060", 1)
        house.out(30.02, answer(481, house.into(30, made)))
    return house


@case("dlg008-phone-calls-itself", [("DLG008", "phone", "observed")], [*DLG, "DLG007"],
      {"phone-fix": "recommended"})  # fmt: skip
def _() -> House:
    """The phone writes its own Contact into the Request-URI of its BYE instead of the far end's,
    and the provider knows no such call there. Its private Contact is not why."""
    return _own_address(True)


@case("dlg008-phone-calls-itself-helper", [("DLG008", "phone", "observed")], [*DLG, "DLG007"],
      {"phone-fix": "recommended"})  # fmt: skip
def _() -> House:
    """The same behind a helper, which makes the WAN address of it."""
    return _own_address(True, "linux")


@case("dlg008-far-end-calls-itself", [("DLG008", "provider", "observed")], _without("DLG008"),
      {"provider-fix": "recommended"})  # fmt: skip
def _() -> House:
    """The provider's BYE has the provider's own address in the Request-URI, and the phone refuses
    it."""
    return _own_address(False)


@case("dlg008-near-miss-calls-the-far-end", [("DLG008", "provider", "observed")], [*DLG, "DLG007"],
      PHONE_OR_PROVIDER)  # fmt: skip
def _() -> House:
    """The phone's BYE goes to the far end's Contact: the far end had hung up, and its BYE went to
    the private Contact of the phone."""
    return _own_address(True, uri="sip:300@203.0.113.5:5060")


# ---- a CANCEL that crosses the answer ----


def _cancelled_and_dropped(alg: str) -> House:
    """The call is taken elsewhere: the CANCEL crosses this phone's 2xx, and no ACK comes."""
    house = House(alg)
    register(house, 0)
    call = Incoming(house, "elsewhere@provider")
    call.invite(1)
    call.ringing(1.2)
    call.ok(5)
    made = request(
        "CANCEL", f"sip:100@{house.public}", via="203.0.113.5:5060",
        branch="z9hG4bKi-elsewhere-provider", call_id=call.call_id, cseq=1,
        caller=call._ids()["caller"],
        more=['Reason: SIP;cause=200;text="Call completed elsewhere"'],
    )  # fmt: skip
    house.out(5.03, answer(200, house.into(5.01, made)))
    for after in LADDER_2XX:
        call.ok(5 + after)
    call.phone_bye(37)
    return house


@case("dlg001-caller-cancelled", [("DLG001", "unknown", "observed")],
      [*_without("DLG001", "DLG007"), "ALG001"], outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The CANCEL of the far end crosses the 2xx, and no ACK comes. The Contact of that 2xx is
    private, and was not asked for: its caller had left before it got the 2xx."""
    return _cancelled_and_dropped("")


@case("dlg001-caller-cancelled-one-sided",
      [("DLG001", "unknown", "observed"), ("CAP001", "unknown", "none")],
      _without("DLG001", "DLG007"), outcomes=["dropped"], one_file="wan")  # fmt: skip
def _() -> House:
    """The same on the WAN side alone."""
    return _cancelled_and_dropped("")


# ---- a re-INVITE that is never acknowledged, behind an ALG that errs ----


@case("alg011-near-miss-re-invite-came", [("ALG011", "router", "latent"),
      ("DLG001", "network", "observed")], ["DLG002", "DLG004", "ALG014", "ALG015"],
      outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The ALG writes a port into the Contact that is not the mapping's, and the far end does not
    follow it: ACK and re-INVITE come to the phone. The ACK to the re-INVITE's 2xx never comes to
    the WAN side. The port is not why."""
    house = House("linux", wan_port=40123)
    contact_port_kept(house)
    register(house, 0)
    call = Incoming(house, "again@provider", fixed_contact="sip:100@198.51.100.2:40123")
    call.invite(1)
    call.ok(3)
    call.ack(3.05)
    asked = call._in_dialog("INVITE", 2, "203.0.113.5:5060", [f"Contact: {call.far}"])
    seen = house.into(30, asked)
    for after in (0, *LADDER_2XX):
        house.out(30.1 + after, answer(200, seen, contact=house.contact, body=sdp(house.phone)))
    call.phone_bye(62.1)
    return house


@case("alg011-near-miss-no-ack-at-any-port", [("ALG011", "router", "latent"),
      ("DLG001", "network", "observed")], ["DLG002", "DLG004", "ALG014", "ALG015"],
      outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The same ALG, and a first call of which no ACK comes. To the wrong port it would have come to
    the WAN side as well, because the address is this router's."""
    house = House("linux", wan_port=40123)
    contact_port_kept(house)
    register(house, 0)
    call = Incoming(house, "silent@provider")
    call.invite(1)
    call.ok(3)
    call.dropped(3)
    return house


@case("alg011-near-miss-ack-at-the-mapping", [("ALG011", "router", "latent"),
      ("DLG001", "router", "observed")], ["DLG002", "DLG004", "ALG014", "ALG015"],
      outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The same ALG, and an ACK that comes to the mapping and is stopped in the router, by a
    firewall: whatever the ALG wrote, the far end did not follow it."""
    house = House("linux", wan_port=40123)
    contact_port_kept(house)
    register(house, 0)
    call = Incoming(house, "stopped@provider", fixed_contact="sip:100@198.51.100.2:40123")
    call.invite(1)
    call.ok(3)
    for after in (0, *LADDER_2XX):
        call.ack(3.05 + after, lan=False)
    call.dropped(3)
    return house


# ---- calls that need no router ----


@case("pairing-near-miss-phone-and-its-pbx", must_not=NO, outcomes=["completed", "completed"])
def _() -> House:
    """A phone calls through a PBX in the LAN: the tap of the LAN shows the call between these two
    as well, which no router forwards. Nothing is missing on the WAN side."""
    house = House()
    register(house, 0)
    outgoing_call(house, 3, "out@pbx")
    desk = House(phone="192.168.1.33", wan="192.168.1.33", provider=house.phone)
    outgoing_call(desk, 2.9, "in@desk")
    house.lan += desk.lan
    return house


# ---- REG001: a phone that takes itself off ----


def _takes_itself_off(house: House, at: float, contact: str, status: int) -> None:
    made = request(
        "REGISTER", "sip:example.net", via=f"{house.phone}:{house.port}", branch="z9hG4bKoff",
        call_id="boot@phone", cseq=1, caller="<sip:100@example.net>;tag=b1", contact=contact,
        more=["Expires: 0"],
    )  # fmt: skip
    house.into(at + 0.03, answer(status, house.out(at, made)))


@case("reg001-near-miss-not-taken-off", must_not=["REG001", *NO])
def _() -> House:
    """A phone that starts takes its old binding off, which the registrar refuses (400), then
    registers and is called: it has lost nothing."""
    house = House()
    _takes_itself_off(house, 0, house.contact, 400)
    register(house, 30)
    incoming_call(house, 40, "after@provider", fixed_contact=f"sip:100@{house.public}")
    return house


@case("reg001-near-miss-all-not-taken-off", must_not=["REG001", *NO], state="cannot-tell",
      outcomes=[])  # fmt: skip
def _() -> House:
    """The same with "*", and nothing after it: nobody knows whether it is registered."""
    house = House()
    _takes_itself_off(house, 0, "*", 403)
    return house


@case("txn001-re-invite-until-the-bye", [("TXN001", "router", "observed")], [*DLG],
      outcomes=["completed"])  # fmt: skip
def _() -> House:
    """The router stops a re-INVITE of the phone, and the other end hangs up 6 s later."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "one@phone")
    call.set_up(1)
    again = call._request("INVITE", 2, "sip:300@203.0.113.5:5060", f";tag={call._tag}",
                          contact=house.contact, branch="again")  # fmt: skip
    for after in (0, 0.5, 1.5, 3.5):
        house.out(10 + after, again, wan=False)
    call.far_bye(16)
    register(house, 90, n=2)
    return house


@case("txn001-near-miss-hangs-up-at-once", must_not=["TXN001", *DLG])
def _() -> House:
    """The other end hangs up half a second after a re-INVITE of the phone, and never answers it."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "one@phone")
    call.set_up(1)
    again = call._request("INVITE", 2, "sip:300@203.0.113.5:5060", f";tag={call._tag}",
                          contact=house.contact, branch="again")  # fmt: skip
    house.out(10, again)
    house.out(10.5, again)
    call.far_bye(10.6)
    register(house, 90, n=2)
    return house
