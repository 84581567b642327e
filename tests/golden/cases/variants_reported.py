# SPDX-License-Identifier: Apache-2.0
"""The golden captures of situations that public bug reports describe: calls, registrations and
subscriptions that failed for a reason which looks like another one."""

from __future__ import annotations

import re
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
    linux_in,
    linux_out,
    outgoing_call,
    register,
    request,
    works_beside,
)

from cases.case import ALG, DLG, case
from cases.rewrite import writes

# ---- a BYE that stopped at this router, and the other end's that is refused with 481 ----


def _stopped_bye(helper: str, delivered: bool, later: float = 0) -> House:
    """The far end hangs up, and the phone's own BYE is refused. delivered: the far end's BYE comes
    to the phone. later: seconds by which the call is longer."""
    house = House(helper)
    register(house, 0, expires=3600)
    call = Outgoing(house, "ghost@phone")
    call.invite(1)
    call.respond(1.03, 100)
    call.ok(3)
    call.ack(3.02)
    bye = call.from_far("BYE")
    if delivered:
        house.out(20.52, answer(200, house.into(20.5, bye)))
    else:
        for after in (0, *LADDER_REQUEST):
            house.into(later + 20 + after, bye, lan=False)
    own = call._request("BYE", 2, "sip:300@203.0.113.5:5060", f";tag={call._tag}")
    at = 20.51 if delivered else later + 40
    house.into(at + 0.03, answer(481, house.out(at, own)))
    return house


@case("dlg008-bye-stopped-in-the-router", [("DLG008", "router", "observed")], DLG)
def _() -> House:
    """The far end's BYE comes to the WAN side and no further: that it never came is not true, and
    the private Contact of the phone is not to blame."""
    return _stopped_bye("", False)


@case("dlg008-bye-stopped-in-the-router-helper", [("DLG008", "router", "observed")],
      [*DLG, "ALG014"])  # fmt: skip
def _() -> House:
    """The same with the kernel's helper, which wrote a public Contact."""
    return _stopped_bye("linux", False)


@case("dlg008-bye-after-the-mapping",
      [("DLG008", "router", "observed"), ("REG005", "router", "latent")], DLG,
      {"shorter-refresh-on-phone": "recommended"})  # fmt: skip
def _() -> House:
    """The far end hangs up after ten minutes in which nothing used the NAT mapping of the phone,
    and the phone makes a new one before the far end gives up."""
    return _stopped_bye("", False, later=600)


@case("dlg008-near-miss-bye-delivered", must_not=["DLG008", "TXN003", *DLG])
def _() -> House:
    """The far end's BYE comes to the phone, and crosses the phone's own: 481 is right."""
    return _stopped_bye("", True)


# ---- a branch that the phone uses again ----


def _register(house: House, at: float, number: int, lenient: bool) -> None:
    """REGISTER, 401, and REGISTER with credentials and the same branch. lenient: the registrar goes
    by CSeq; else it repeats its answer (RFC 3261 section 17.2.3)."""
    nonce = f'nonce="n{number}"'

    def made(cseq: int, more: Sequence[str] = ()) -> bytes:
        return request(
            "REGISTER", "sip:example.net", via=f"{house.phone}:{house.port}",
            branch=f"z9hG4bKsame{number}", call_id="again@phone", cseq=cseq,
            caller="<sip:100@example.net>;tag=r1", contact=house.contact,
            more=["Expires: 300", *more],
        )  # fmt: skip

    seen = house.out(at, made(2 * number + 1))
    asked = answer(401, seen, to_tag="reg", received=house.wan_ip, rport=house.wan_port,
                   more=[f'WWW-Authenticate: Digest realm="example.net", {nonce}'])  # fmt: skip
    house.into(at + 0.03, asked)
    told = (f'Authorization: Digest username="100", realm="example.net", {nonce}, '
            'uri="sip:example.net", response="0123456789abcdef0123456789abcdef"')  # fmt: skip
    seen = house.out(at + 0.05, made(2 * number + 2, [told]))
    if lenient:
        shown = re.search(rb"(?m)^Contact: (.*?)\r$", seen)
        assert shown is not None
        asked = answer(200, seen, to_tag="reg", contact=f"{shown[1].decode()};expires=300",
                       received=house.wan_ip, rport=house.wan_port)  # fmt: skip
    house.into(at + 0.08, asked)


@case("reg001-branch-used-again", [("REG001", "phone", "observed")], DLG,
      {"phone-fix": "recommended"}, [])  # fmt: skip
def _() -> House:
    """The REGISTER with credentials has the branch of the one before, and the registrar repeats its
    401: user name and password are not to blame."""
    house = House("linux")
    for number in range(3):
        _register(house, 60 * number, number, lenient=False)
    return house


@case("reg001-near-miss-branch-used-again", must_not=["REG001", *DLG])
def _() -> House:
    """The same, and the registrar goes by CSeq: the phone is registered, and its call completes."""
    house = House("linux")
    for number in range(3):
        _register(house, 60 * number, number, lenient=True)
    incoming_call(house, 20, "rings@provider")
    return house


# ---- a call to a port that no phone has opened, or from one ----


def _bound(house: House, dport: int = 5060) -> None:
    """The phone keeps its registration and its mapping alive."""
    for number in range(6):
        asked = request(
            "REGISTER", "sip:example.net", via=f"{house.phone}:{house.port}",
            branch=f"z9hG4bKbound{number}", call_id="bound@phone", cseq=number + 1,
            caller="<sip:100@example.net>;tag=r1", contact=house.contact, more=["Expires: 60"],
        )  # fmt: skip
        at = 30 * number
        seen = house.out(at, asked, dport=dport)
        shown = re.search(rb"(?m)^Contact: (.*?)\r$", seen)
        assert shown is not None
        granted = answer(200, seen, to_tag="reg", contact=f"{shown[1].decode()};expires=60",
                         received=house.wan_ip, rport=house.wan_port)  # fmt: skip
        house.into(at + 0.03, granted, sport=dport)


def _called(house: House, port: int, src: str = "") -> None:
    """A call to that port of the WAN address, which no phone gets."""
    call = Incoming(house, "silent@provider", src=src)
    uri = f"sip:100@{house.wan_ip}:{port}".encode()
    for after in (0, *LADDER_INVITE):
        if not call.invited:
            call.invite(40, lan=False, wan_port=port)
            call.invited = re.sub(rb"sip:100@[\d.:]+", uri, call.invited, count=1)
            house.wan.pop()
        call.invite(40 + after, lan=False, wan_port=port)


@case("reg006-call-to-the-port-of-the-contact",
      [("REG006", "provider", "observed"), ("TXN001", "provider", "observed")], [*DLG, *ALG],
      {"enable-rport-stun-outbound": "suspected", "provider-fix-contact": "suspected"},
      ["unanswered"])  # fmt: skip
def _() -> House:
    """The phone leaves with port 1035, its Contact says 5060, and the provider calls its public
    address at port 5060: nobody has opened that one."""
    house = House(wan_port=1035)
    _bound(house)
    _called(house, 5060)
    return house


@case("reg006-call-to-a-port-never-seen",
      [("REG006", "unknown", "observed"), ("TXN001", "unknown", "observed")], [*DLG],
      outcomes=["unanswered"])  # fmt: skip
def _() -> House:
    """The kernel's helper has written port 1035 into the Contact, and the call comes to port 5060:
    nothing shows who took that one from where, and no NAT has to let it in."""
    house = House("linux", wan_port=1035)
    _bound(house)
    _called(house, 5060)
    return house


@case("reg006-call-from-another-port",
      [("REG006", "provider", "observed"), ("TXN001", "provider", "observed")], [*DLG, *ALG],
      {"provider-fix": "suspected"}, ["unanswered"])  # fmt: skip
def _() -> House:
    """The phone has registered at port 7000, and the call comes from port 5060 of the same host."""
    house = House()
    _bound(house, dport=7000)
    _called(house, 5060)
    return house


@case("reg006-call-from-another-port-helper",
      [("REG006", "unknown", "observed"), ("TXN001", "unknown", "observed")], [*DLG],
      outcomes=["unanswered"])  # fmt: skip
def _() -> House:
    """The same with a helper, which may let such a call in, and did not."""
    house = House("linux")
    _bound(house, dport=7000)
    _called(house, 5060)
    return house


@case("reg006-call-from-another-host", [("REG006", "provider", "observed")], ["TXN001", *DLG, *ALG],
      outcomes=["unanswered"])  # fmt: skip
def _() -> House:
    """The phone has registered with one host of its provider, and another one of that network
    sends the call, to the address of record of that phone."""
    house = House()
    _bound(house)
    _called(house, 5060, src="203.0.113.66")
    return house


@case("reg006-call-from-another-host-no-nat", [("REG006", "provider", "observed")],
      ["TXN001", *DLG, *ALG], outcomes=["unanswered"])  # fmt: skip
def _() -> House:
    """The same with a public address in the LAN, as with IPv6: the router translates nothing, and
    its firewall lets in only answers."""
    house = House(phone="198.51.100.10", wan="198.51.100.10")
    _bound(house)
    _called(house, 5060, src="203.0.113.66")
    return house


@case("reg006-near-miss-no-nat-and-another-address", must_not=["REG006", "TXN001", *DLG, *ALG],
      outcomes=["unanswered"])  # fmt: skip
def _() -> House:
    """The call goes to another address than the phone has registered."""
    house = House(phone="198.51.100.10", wan="198.51.100.10")
    _bound(house)
    house.wan_ip = "198.51.100.11"
    _called(house, 5060, src="203.0.113.66")
    return house


@case("reg006-near-miss-scanner-guesses-the-user", must_not=["REG006", "TXN001", *DLG, *ALG],
      outcomes=["unanswered"])  # fmt: skip
def _() -> House:
    """A scanner in the provider's network tries the same user at the WAN address: it does not know
    the address of record."""
    house = House()
    _bound(house)
    call = Incoming(house, "scan@example", src="203.0.113.66")
    call.invite(40, lan=False)
    house.wan.pop()
    call.invited = call.invited.replace(b"@example.net", f"@{house.wan_ip}".encode())
    for after in (0, *LADDER_INVITE):
        call.invite(40 + after, lan=False)
    return house


# ---- a call for another phone ----


def _neighbour(user: str) -> House:
    """Two phones, the second of which leaves with port 1024; a call for `user` comes to the port of
    the first one, which refuses it."""
    house, other = House(), House(phone="192.168.1.11", wan_port=1024)
    register(house, 0)
    asked = request(
        "REGISTER", "sip:example.net", via="192.168.1.11:5060", branch="z9hG4bKother",
        call_id="other@phone", cseq=1, caller="<sip:101@example.net>;tag=r2",
        callee="<sip:101@example.net>", contact="<sip:101@192.168.1.11:5060>",
        more=["Expires: 120"],
    )  # fmt: skip
    seen = other.out(1, asked)
    other.into(1.03, answer(200, seen, to_tag="reg", received=other.wan_ip, rport=other.wan_port,
                            contact="<sip:101@192.168.1.11:5060>;expires=120"))  # fmt: skip
    call = Incoming(house, "wrong@provider")
    call.invite(10, lan=False)
    house.wan.pop()
    call.invited = call.invited.replace(b"INVITE sip:100@", f"INVITE sip:{user}@".encode())
    call.invite(10)
    house.out(10.1, answer(404, call.delivered, to_tag="not-me"))
    ack = call._in_dialog("ACK", 1, "203.0.113.5:5060", ())
    house.into(10.13, ack.replace(b"z9hG4bKack-wrong-provider", b"z9hG4bKi-wrong-provider"))
    house.lan += other.lan
    house.wan += other.wan
    return house


@case("reg006-call-to-the-port-of-another-phone", [("REG006", "provider", "observed")],
      [*DLG, *ALG], {"provider-fix": "recommended"}, ["rejected"])  # fmt: skip
def _() -> House:
    """Both phones show a private Contact with port 5060, and the provider calls the second one at
    the port from which the first one has registered."""
    return _neighbour("101")


@case("reg006-near-miss-number-of-nobody", must_not=["REG006", *DLG, *ALG], outcomes=["rejected"])
def _() -> House:
    """The same call for a number that no phone here has registered: refused as on a trunk."""
    return _neighbour("4930123")


# ---- a 2xx without Contact ----


def _without_contact(house: House, keeps: bool = False) -> House:
    """An incoming call whose 2xx has no Contact, and no ACK follows. keeps: the phone wrote one,
    and the router takes it out."""
    register(house, 0)
    call = Incoming(house, "nowhere@provider")
    call.invite(1)
    call.ringing(1.2)
    contact = re.compile(rb"(?m)^Contact: .*\r\n")
    call.ok(3)
    house.lan.pop()
    house.wan.pop()
    if keeps:
        house.out_alg = lambda message: contact.sub(b"", message)
    else:
        call.final = contact.sub(b"", call.final)
    call.ok(3)
    call.dropped(3)
    return house


@case("dlg001-no-contact-in-the-2xx", [("DLG001", "phone", "observed")], ["DLG002", *ALG],
      {"phone-fix": "recommended"}, ["dropped"])  # fmt: skip
def _() -> House:
    """The phone answers without Contact (RFC 3261 section 12.1.1), so the far end does not know
    where to send its ACK: the network has lost none."""
    return _without_contact(House())


@case("dlg001-contact-taken-out", [("DLG001", "router", "observed")], ["DLG002"],
      {"disable-sip-alg": "suspected"}, ["dropped"])  # fmt: skip
def _() -> House:
    """The phone wrote a Contact, and the router took it out."""
    return _without_contact(House(), keeps=True)


@case("dlg001-contact-taken-out-and-guessed", [("DLG001", "router", "observed")],
      ["DLG002", "DLG006"], {"disable-sip-alg": "suspected"}, ["dropped"])  # fmt: skip
def _() -> House:
    """The same, and the far end guesses the address: the phone does not take its ACK."""
    house = House()
    register(house, 0)
    call = Incoming(house, "guessed@provider", fixed_contact=f"sip:100@{house.public}")
    call.invite(1)
    call.ringing(1.2)
    house.out_alg = lambda message: re.sub(rb"(?m)^Contact: .*\r\n", b"", message)
    for after in (0, *LADDER_2XX):
        call.ok(3 + after)
        call.ack(3.03 + after)
    call.phone_bye(35)
    return house


@case("dlg001-near-miss-contact-kept-and-ignored", [("DLG001", "phone", "observed")], ["DLG002"],
      outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The Contact is there, and the phone takes no ACK all the same."""
    house = House()
    register(house, 0)
    call = Incoming(house, "kept@provider")
    call.invite(1)
    call.ringing(1.2)
    for after in (0, *LADDER_2XX):
        call.ok(3 + after)
        call.ack(3.03 + after)
    call.phone_bye(35)
    return house


def _puts_in(house: House, uri: bytes) -> House:
    """A call whose 2xx has no Contact when it enters the router, and this one when it leaves."""
    house.out_alg = lambda message: (
        message if b"\r\nContact:" in message
        else message.replace(b"Content-Length", b"Contact: <%b>\r\nContent-Length" % uri)
    )  # fmt: skip
    return _without_contact(house)


@case("dlg001-near-miss-contact-put-in", [("DLG001", "network", "observed")], ["DLG002"],
      outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The phone answers without Contact, and the router writes one: the far end was told where to
    send its ACK, and none came."""
    return _puts_in(House(), b"sip:100@198.51.100.2:5060")


@case("dlg001-private-contact-put-in", [("DLG001", "unknown", "observed")], ["DLG002"],
      outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The same, with an address of the LAN: without the router the far end would not have known
    either where to send its ACK."""
    return _puts_in(House(), b"sip:100@192.168.1.10:5060")


@case("alg011-contact-made-private", [("ALG011", "router", "observed")], ["DLG002"],
      {"disable-sip-alg": "suspected"}, ["dropped"])  # fmt: skip
def _() -> House:
    """The phone announces its mapping, and the router writes its address in the LAN over that."""
    house = House(wan_port=40123)
    house.out_alg = writes((b"198.51.100.2:40123", b"192.168.1.10:5060"))
    call = Incoming(house, "undone@provider", contact="<sip:100@198.51.100.2:40123>")
    call.invite(1)
    call.ok(3)
    call.dropped(3)
    return house


# ---- an ACK to a refusal with another branch ----


def _misbranched(house: House, stops: bool) -> House:
    """A call that is refused with 404; the phone's ACK has a branch of its own. stops: the far end
    takes it all the same."""
    register(house, 0)
    call = Outgoing(house, "refused@phone")
    call.invite(1)
    call.respond(1.02, 100)
    for number, after in enumerate((0,) if stops else (0, *LADDER_2XX)):
        call.respond(2 + after, 404)
        house.out(2.02 + after, call._request(
            "ACK", 1, "sip:300@example.net", f";tag={call._tag}", branch=f"other{number}"
        ))  # fmt: skip
    outgoing_call(house, 60, "answered@phone")
    return house


@case("txn002-ack-with-another-branch", [("TXN002", "phone", "latent")], [*DLG, *ALG],
      outcomes=["completed", "rejected"])  # fmt: skip
def _() -> House:
    """The far end repeats its 404, because no ACK has the branch of the INVITE: the phone did send
    one each time, and the call is over."""
    return _misbranched(House(), stops=False)


@case("txn002-near-miss-ack-with-another-branch", must_not=["TXN002", *DLG, *ALG],
      outcomes=["completed", "rejected"])  # fmt: skip
def _() -> House:
    """The same, and the far end takes it."""
    return _misbranched(House(), stops=True)


# ---- a transfer that is refused, and subscriptions that died ----


def _refer(house: House, status: int) -> House:
    """In a call of the phone, a REFER that is refused."""
    register(house, 0)
    call = Outgoing(house, "moved@phone")
    call.invite(1)
    call.ok(3)
    call.ack(3.02)
    made = request(
        "REFER", call.far_contact.strip("<>"), via=f"{house.phone}:{house.port}",
        branch="z9hG4bKrefer", call_id=call.call_id, cseq=2,
        caller="<sip:100@example.net>;tag=p-moved-phone",
        callee=f"<sip:300@example.net>;tag={call._tag}", contact=call.contact,
        more=["Refer-To: sip:400@example.net"],
    )  # fmt: skip
    house.into(10.03, answer(status, house.out(10, made)))
    bye = call._request("BYE", 3, call.far_contact.strip("<>"), f";tag={call._tag}")
    house.into(20.03, answer(200, house.out(20, bye)))
    return house


@case("dlg012-refer-refused", [("DLG012", "unknown", "observed")], [*DLG, *ALG])
def _() -> House:
    """The far end refuses the REFER with 400: the user wanted a transfer and got none."""
    return _refer(House(), 400)


@case("dlg012-near-miss-refer-declined", must_not=["DLG012", *DLG, *ALG])
def _() -> House:
    """The far end does not want to be transferred: 603."""
    return _refer(House(), 603)


def _lamp(house: House, notified: int) -> House:
    """A phone subscribes to the lamp of a colleague and gets a NOTIFY; the next one comes
    `notified` times. It has calls before and after."""
    register(house, 0)
    incoming_call(house, 2, "before@provider", fixed_contact=f"sip:100@{house.public}")
    asked = request(
        "SUBSCRIBE", "sip:200@example.net", via=f"{house.phone}:{house.port}",
        branch="z9hG4bKlamp", call_id="lamp@phone", cseq=1,
        caller="<sip:100@example.net>;tag=l1", callee="<sip:200@example.net>",
        contact=house.contact, more=["Event: dialog", "Expires: 600"],
    )  # fmt: skip
    house.into(20.03, answer(200, house.out(20, asked), to_tag="l2", more=["Expires: 600"]))
    for cseq, times in ((1, 1), (2, notified)):
        told = request(
            "NOTIFY", f"sip:100@{house.public}", via="203.0.113.5:5060",
            branch=f"z9hG4bKtold{cseq}", call_id="lamp@phone", cseq=cseq,
            caller="<sip:200@example.net>;tag=l2", callee="<sip:100@example.net>;tag=l1",
            more=["Event: dialog", "Subscription-State: active;expires=600"],
        )  # fmt: skip
        for after in (0, *LADDER_REQUEST)[:times]:
            seen = house.into(20.1 + 20 * (cseq - 1) + after, told)
        if times == 1:
            house.out(20.2 + 20 * (cseq - 1), answer(200, seen))
    incoming_call(house, 100, "later@provider", fixed_contact=f"sip:100@{house.public}")
    return house


@case("txn003-notify-unanswered", [("TXN003", "phone", "latent")], [*DLG, *ALG],
      outcomes=["completed", "completed"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The phone does not answer a NOTIFY, so its subscription is over and the lamp stays as it is:
    not all is well, though each call completed."""
    return _lamp(House(), 11)


@case("txn003-near-miss-notify-answered", must_not=["TXN003", "DLG012", *DLG, *ALG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """It answers both."""
    return _lamp(House(), 1)


# ---- one side: a re-INVITE that nobody answers ----


def _refreshed(house: House, tries: int) -> House:
    """A call in which the far end sends a re-INVITE, `tries` times, and hangs up."""
    register(house, 0)
    call = Outgoing(house, "refresh@phone")
    call.invite(1)
    call.ok(3)
    call.ack(3.02)
    again = call.from_far("INVITE", 1, ["Contact: <sip:300@203.0.113.5:5060>"])
    for after in (0, *LADDER_INVITE)[:tries]:
        seen = house.into(30 + after, again)
    if tries == 1:
        house.out(30.02, answer(200, seen, contact=house.contact))
        house.into(30.05, call.from_far("ACK", 1))
    seen = house.into(64, call.from_far("BYE", 2))
    house.out(64.02, answer(200, seen))
    register(house, 70, n=2)
    return house


@case("txn001-re-invite-one-sided",
      [("TXN001", "unknown", "observed"), ("CAP001", "unknown", "none")], DLG,
      one_file="wan")  # fmt: skip
def _() -> House:
    """The WAN side alone: a re-INVITE in a call that was acknowledged is no scanner's."""
    return _refreshed(House(), 7)


@case("txn001-near-miss-re-invite-one-sided", [("CAP001", "unknown", "none")], ["TXN001", *DLG],
      one_file="wan")  # fmt: skip
def _() -> House:
    """It is answered."""
    return _refreshed(House(), 1)


# ---- an ACK that goes to another phone ----


def _two_phones(written: str, wan_port: int = 5060) -> House:
    """Two phones, the second of which leaves with port 1024, and its Contact names port `wan_port`
    of the router, where the first one is. A call to the second one is answered, and each ACK goes
    to where the Contact says. written: who wrote that, "router" or "phone"."""
    first, second = House(), House(phone="192.168.1.11", wan_port=1024)
    public = f"<sip:100@{second.wan_ip}:{wan_port}>"
    if written == "router":
        second.out_alg = linux_out("192.168.1.11", 5060, second.wan_ip, wan_port)
        second.in_alg = linux_in("192.168.1.11", 5060, second.wan_ip, wan_port)
    register(first, 0)
    register(second, 1, n=2)
    call = Incoming(second, "other@provider", public if written == "phone" else "",
                    fixed_contact=public.strip("<>"))  # fmt: skip
    call.invite(10)
    call.ringing(10.2)
    call.ok(12)
    if wan_port == 1024:
        call.ack(12.05)
        call.bye(20)
    else:
        for after in (0, *LADDER_2XX):
            first.into(12.05 + after, call._in_dialog("ACK", 1, "203.0.113.5:5060", ()))
        call.dropped(12)
    works_beside(first, 60)
    first.lan += second.lan
    first.wan += second.wan
    return first


@case("alg011-ack-to-another-phone",
      [("ALG011", "router", "observed"), ("DLG001", "router", "observed")], ["DLG002", "DLG004"],
      {"disable-sip-alg": "suspected"}, ["completed", "dropped"])  # fmt: skip
def _() -> House:
    """The router writes the port of the first phone into the Contact of the second one, so the
    first one gets its ACK: the second one is not to blame for repeating its 2xx."""
    return _two_phones("router")


@case("dlg001-ack-to-another-phone",
      [("DLG001", "phone", "observed"), ("NAT002", "phone", "observed")], ["DLG002", "DLG004"],
      {"static-nat-for-pbx": "recommended"}, ["completed", "dropped"])  # fmt: skip
def _() -> House:
    """The second phone itself announces that port of the router."""
    return _two_phones("phone")


@case("alg011-near-miss-ack-to-its-phone", must_not=["ALG011", *DLG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The router writes the port that its NAT has given, and the ACK comes to the right phone."""
    return _two_phones("router", 1024)


# ---- a call during which the router dials anew ----


@case("dlg008-address-changed", [("DLG008", "network", "observed")], [*DLG, *ALG])
def _() -> House:
    """The WAN address changes during a call. The phone's BYE leaves with the new one and is
    refused: that of the far end went to the old one, whatever the Contact was."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "long@phone")
    call.invite(1)
    call.respond(1.03, 100)
    call.ok(3)
    call.ack(3.02)
    house.wan_ip = "198.51.100.77"
    register(house, 40, n=2)
    bye = call._request("BYE", 2, call.far_contact.strip("<>"), f";tag={call._tag}")
    house.into(60.03, answer(481, house.out(60, bye)))
    return house
