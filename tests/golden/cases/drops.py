# SPDX-License-Identifier: Apache-2.0
"""Golden cases of calls that a timer drops, and of subscriptions"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

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
    request,
    sized,
    token,
)

from cases.case import ALG, DLG, PHONE_OR_PROVIDER, answered, case

SILENT = (*DLG, "DLG007", *ALG)

# ---- DLG007: no ACK ----


@case("dlg007-gives-up-after-ten-seconds",
      [("DLG007", "network", "observed"), ("DLG001", "network", "observed")],
      ["DLG002", "DLG004", *ALG], outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """No ACK comes to the phone's 2xx, and the phone waits no longer than 10 s for one."""
    house = House()
    call = answered(house, contact=f"<sip:100@{house.public}>")
    for after in LADDER_2XX[:4]:
        call.ok(3 + after)
    call.phone_bye(13)
    return house


@case("dlg007-gives-up-after-five-seconds",
      [("DLG007", "router", "observed"), ("DLG001", "router", "observed")],
      ["DLG002", "DLG004", *ALG], outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The same after 5 s, and each ACK had come to the WAN side and no further."""
    house = House()
    call = answered(house, contact=f"<sip:100@{house.public}>")
    for after in (0, *LADDER_2XX[:3]):
        call.ok(3 + after)
        call.ack(3.05 + after, lan=False)
    call.phone_bye(8)
    return house


@case("dlg007-64-t1", [("DLG007", "network", "observed"), ("DLG001", "network", "observed")],
      ["DLG002", "DLG004", *ALG], outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """No ACK, and the BYE of RFC 3261 section 13.3.1.4 after 32 s."""
    house = House()
    answered(house, contact=f"<sip:100@{house.public}>").dropped(3)
    return house


@case("dlg007-near-miss-ten-seconds-and-acknowledged", must_not=SILENT)
def _() -> House:
    """The 2xx is acknowledged, and its callee hangs up after 10 s."""
    house = House()
    call = answered(house, contact=f"<sip:100@{house.public}>")
    call.ack(3.05)
    call.phone_bye(13)
    return house


@case("dlg007-near-miss-32-seconds-and-acknowledged", must_not=SILENT)
def _() -> House:
    """The same after 32 s: a coincidence, for its ACK had come."""
    house = House()
    call = answered(house, contact=f"<sip:100@{house.public}>")
    call.ack(3.05)
    call.phone_bye(35)
    return house


# ---- DLG007: no refresh ----


@case("dlg007-phone-never-refreshes", [("DLG007", "phone", "observed")], [*DLG, *ALG],
      {"phone-fix": "recommended"}, ["dropped"])  # fmt: skip
def _() -> House:
    """Session-Expires 1800, to be refreshed by the phone, which never does: the far end hangs up
    1768 s after the answer (RFC 4028 section 10)."""
    call = Timed(House(), "uac")
    call.far_bye(3 + 1768)
    return call.house


@case("dlg007-refresh-never-comes", [("DLG007", "network", "observed")], [*DLG, *ALG],
      outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The far end is to refresh and nothing comes to the WAN side: the phone hangs up after
    Session-Expires less a third of it."""
    call = Timed(House(), "uas", 90)
    call.bye(3 + 60)
    return call.house


@case("dlg007-refresh-never-comes-and-reason", [("DLG007", "network", "observed")], [*DLG, *ALG],
      outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The far end is to refresh. Its refresh never comes here; it hangs up 32 s later and says so
    in the Reason of its BYE."""
    call = Timed(House(), "uas")
    call.far_bye(3 + 932, ['Reason: SIP;cause=408;text="Session timeout"'])
    return call.house


@case("dlg007-refresh-stopped",
      [("DLG007", "router", "observed"), ("TXN001", "router", "observed")], [*DLG, *ALG],
      outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The phone's re-INVITE of 900 s never leaves the router, and the phone hangs up 32 s later:
    the drop after a quarter of an hour."""
    call = Timed(House(), "uac")
    call.refresh(903, "INVITE", LADDER_INVITE, wan=False)
    call.bye(935)
    return call.house


@case("dlg007-refresh-unanswered",
      [("DLG007", "network", "observed"), ("TXN003", "network", "observed")], [*DLG, *ALG],
      outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The phone's UPDATE leaves the router, and nobody answers it."""
    call = Timed(House(), "uac")
    call.refresh(903, "UPDATE", LADDER_REQUEST)
    call.bye(935)
    return call.house


@case("dlg007-refresh-refused", [("DLG007", "provider", "observed")], [*DLG, *ALG],
      outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The far end answers the phone's UPDATE with 481, and the phone hangs up."""
    call = Timed(House(), "uac")
    call.refused(903.1, call.refresh(903), 481)
    call.bye(903.5)
    return call.house


@case("dlg007-near-miss-refused-in-a-gap", [("DLG007", "unknown", "observed")], [*DLG, *ALG],
      outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The WAN capture lacks the phone's UPDATE and has the 481 to it: the router has let it out."""
    call = Timed(House(), "uac")
    before = len(call.house.wan)
    asked = call.refresh(903)
    del call.house.wan[before:]
    call.refused(903.1, asked, 481)
    call.bye(903.5)
    return call.house


@case("dlg007-router-changes-the-timer", [("DLG007", "router", "observed")], [*DLG],
      {"disable-sip-alg": "suspected"}, ["dropped"])  # fmt: skip
def _() -> House:
    """The far end asked the phone to refresh after 1800 s, and the router made it 7200 s."""

    def longer(message: bytes) -> bytes:
        return message.replace(b"Session-Expires: 1800", b"Session-Expires: 7200")

    call = Timed(House(), "uac", alg=longer)
    call.far_bye(3 + 1768)
    return call.house


@case("dlg007-refresh-after-the-mapping",
      [("DLG007", "router", "observed"), ("TXN001", "router", "observed")], [*DLG, *ALG],
      {"shorter-refresh-on-phone": "recommended"}, ["dropped"])  # fmt: skip
def _() -> House:
    """The far end refreshes the session after a quarter of an hour in which nothing used the NAT
    mapping of the phone: neither that nor its BYE comes through."""
    call = Timed(House(), "uas")
    house = call.house
    asked = call.from_far("INVITE", more=[f"Contact: {call.far_contact}"])
    for after in (0, *LADDER_INVITE):
        house.into(903 + after, asked, lan=False)
    bye = call.from_far("BYE", 2, more=['Reason: SIP;cause=408;text="Session timeout"'])
    for after in (0, *LADDER_REQUEST):
        house.into(936 + after, bye, lan=False)
    other = House(phone="192.168.1.11", wan_port=40011)
    register(other, 1000, n=2)
    house.lan += other.lan
    house.wan += other.wan
    return house


def _taken_out(message: bytes) -> bytes:
    """A router that takes out header fields which it does not know."""
    return re.sub(rb"(?m)^(Session-Expires|Require): .*\r\n", b"", message)


@case("dlg007-router-takes-the-timer-out", [("DLG007", "router", "observed")], [*DLG],
      {"disable-sip-alg": "suspected"}, ["dropped"])  # fmt: skip
def _() -> House:
    """The far end asks the phone to refresh the session, and the router takes that out of its 2xx:
    the phone knows of no timer, and the far end hangs up."""
    call = Timed(House(), "uac", alg=_taken_out)
    call.far_bye(3 + 1768)
    return call.house


@case("dlg007-near-miss-taken-out-in-vain", [("DLG007", "unknown", "observed")], [*DLG],
      outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The same router, and the far end is to refresh the session itself: that the phone does not
    know of the timer is not why it does not."""
    call = Timed(House(), "uas", alg=_taken_out)
    call.far_bye(3 + 1768)
    return call.house


@case("dlg007-overdue", [("DLG007", "phone", "latent")], [*DLG, *ALG], outcomes=["ongoing"],
      state="fine")  # fmt: skip
def _() -> House:
    """The capture ends 1400 s after the answer, without a refresh: said before it happens, with the
    seconds that are left."""
    call = Timed(House(), "uac")
    register(call.house, 1403, n=2)
    return call.house


@case("dlg007-near-miss-hung-up-before-half", must_not=SILENT)
def _() -> House:
    """The user hangs up after ten minutes, before any refresh is due."""
    call = Timed(House(), "uac")
    call.bye(603)
    return call.house


@case("dlg007-near-miss-refreshed", must_not=SILENT)
def _() -> House:
    """The phone refreshes with UPDATE, then with a re-INVITE, and hangs up 1768 s after the answer,
    which is 28 s after the latest refresh."""
    call = Timed(House(), "uac")
    call.accept(903.1, call.refresh(903))
    call.accept(1743.1, call.refresh(1743, "INVITE"))
    made = call._request("ACK", 3, call.far_contact.strip("<>"), f";tag={call._tag}", branch="ack2")
    call.house.out(1743.2, made)
    call.bye(1771)
    return call.house


@case("dlg007-near-miss-refreshed-late", must_not=SILENT)
def _() -> House:
    """The refresh comes after three quarters of the interval, which is late and in time."""
    call = Timed(House(), "uac")
    call.accept(1353.1, call.refresh(1353))
    call.bye(1803)
    return call.house


@case("dlg007-near-miss-timer-turned-off", must_not=SILENT)
def _() -> House:
    """The 2xx to the refresh has no Session-Expires: from then on nothing ends the call."""
    call = Timed(House(), "uac")
    call.accept(903.1, call.refresh(903), more=[])
    call.bye(903 + 1768)
    return call.house


# ---- DLG012: NOTIFY ----


class Subscribing:
    """The phone subscribes to its mailbox at 1 s, and the far end accepts."""

    def __init__(self, house: House, contact: str = "") -> None:
        self.house = house
        self.contact = contact or house.contact
        register(house, 0)
        self.seen = b""
        self.subscribe(1, 3600)

    def _ids(self, far: bool) -> dict[str, Any]:
        mine, theirs = "<sip:100@example.net>;tag=s1", "<sip:100@example.net>;tag=mwi"
        return {"caller": theirs, "callee": mine} if far else {"caller": mine, "callee": theirs}

    def subscribe(self, at: float, expires: int) -> None:
        first = not self.seen
        ids = self._ids(False)
        made = request(
            "SUBSCRIBE", "sip:100@example.net", via=f"{self.house.phone}:{self.house.port}",
            branch=f"z9hG4bKsub{expires}", call_id="mwi@phone", cseq=1 if first else 2,
            caller=ids["caller"], callee="<sip:100@example.net>" if first else ids["callee"],
            contact=self.contact, more=["Event: message-summary", f"Expires: {expires}"],
        )  # fmt: skip
        self.seen = self.house.out(at, made)
        self.house.into(at + 0.03, answer(
            200, self.seen, to_tag="mwi", contact=f"<sip:{self.house.provider}:5060>",
            received=self.house.wan_ip, rport=self.house.wan_port, more=[f"Expires: {expires}"],
        ))  # fmt: skip

    def notify(self, at: float, n: int = 1, state: str = "active;expires=3600",
               again: Sequence[float] = (), call_id: str = "mwi@phone", tag: str = "mwi",
               **how: object) -> bytes:  # fmt: skip
        """Returns what the phone gets. tag: of the notifier."""
        ids = self._ids(True)
        ids["caller"] = ids["caller"].replace("tag=mwi", f"tag={tag}")
        made = request(
            "NOTIFY", f"sip:100@{self.house.public}", via=f"{self.house.provider}:5060",
            branch=f"z9hG4bKnot{n}", call_id=call_id, cseq=n, **ids,
            more=["Event: message-summary", f"Subscription-State: {state}"],
        )  # fmt: skip
        seen = b""
        for after in (0, *again):
            seen = self.house.into(at + after, made, **how)  # type: ignore[arg-type]
        return seen


@case("dlg012-private-contact", [("DLG012", "phone", "observed")], ALG, PHONE_OR_PROVIDER, [])
def _() -> House:
    """The phone subscribes to its mailbox with a private Contact, no ALG. The provider accepts, and
    sends its NOTIFY to the private address."""
    one = Subscribing(House())
    register(one.house, 60, n=2)
    return one.house


@case("dlg012-router-adds-a-parameter",
      [("DLG012", "phone", "observed"), ("ALG001", "router", "latent")], ["ALG014"],
      PHONE_OR_PROVIDER, [])  # fmt: skip
def _() -> House:
    """The same, and the router adds ";transport=udp": the address is what the phone wrote."""
    house = House()
    old, new = b"<sip:100@192.168.1.10:5060>", b"<sip:100@192.168.1.10:5060;transport=udp>"
    house.out_alg = lambda made: made.replace(old, new) if made.startswith(b"SUBSCRIBE") else made
    register(Subscribing(house).house, 60, n=2)
    return house


@case("dlg012-notify-stopped", [("DLG012", "router", "observed"), ("TXN003", "router", "latent")],
      ALG, outcomes=[])  # fmt: skip
def _() -> House:
    """The NOTIFY comes to where the SUBSCRIBE came from, and never to the LAN."""
    one = Subscribing(House(), "<sip:100@198.51.100.2:5060>")
    one.notify(1.1, again=LADDER_REQUEST, lan=False)
    register(one.house, 60, n=2)
    return one.house


@case("dlg012-notify-to-another-phone", [("DLG012", "router", "observed")], [*DLG, "ALG014"],
      outcomes=[])  # fmt: skip
def _() -> House:
    """A later NOTIFY is given to another phone, which does not know the subscription."""
    house = House()
    one = Subscribing(house, "<sip:100@198.51.100.2:5060>")
    house.out(1.2, answer(200, one.notify(1.1)))
    house.phone = "192.168.1.11"
    house.out(61.1, answer(481, one.notify(61, 2)))
    return house


@case("dlg012-notify-refused-by-the-phone", [("DLG012", "phone", "observed")], [*DLG, *ALG],
      outcomes=[])  # fmt: skip
def _() -> House:
    """The phone forgot its subscription: nothing was changed on the way."""
    house = House()
    one = Subscribing(house, "<sip:100@198.51.100.2:5060>")
    house.out(1.2, answer(200, one.notify(1.1)))
    house.out(61.1, answer(481, one.notify(61, 2)))
    return house


@case("dlg012-call-id-not-changed-back", [("DLG012", "router", "observed")], [*DLG, "ALG014"],
      {"disable-sip-alg": "suspected"}, [])  # fmt: skip
def _() -> House:
    """The router changes the Call-ID of the SUBSCRIBE and not that of the NOTIFY, so the phone
    does not know it."""

    def out(message: bytes) -> bytes:
        return message.replace(b"Call-ID: mwi@phone", b"Call-ID: mwi@198.51.100.2")

    def back(message: bytes) -> bytes:
        is_response = message.startswith(b"SIP/2.0")
        return message.replace(b"mwi@198.51.100.2", b"mwi@phone") if is_response else message

    house = House()
    house.out_alg, house.in_alg = out, back
    one = Subscribing(house, "<sip:100@198.51.100.2:5060>")
    seen = one.notify(1.1, call_id="mwi@198.51.100.2")
    house.out(1.2, answer(481, seen))
    return house


@case("dlg012-near-miss-forked", must_not=["DLG012", *DLG, *ALG], outcomes=[])
def _() -> House:
    """The SUBSCRIBE was forked: the NOTIFY of a second notifier is refused, which is right."""
    house = House()
    one = Subscribing(house, "<sip:100@198.51.100.2:5060>")
    house.out(1.15, answer(481, one.notify(1.1, tag="other")))
    house.out(1.25, answer(200, one.notify(1.2, 2)))
    house.out(30.1, answer(481, one.notify(30, 3, tag="other")))
    register(house, 60, n=2)
    return house


@case("dlg012-near-miss-notified", must_not=["DLG012", *ALG], outcomes=[])
def _() -> House:
    """A private Contact, and a provider that sends its NOTIFY to where the SUBSCRIBE came from."""
    house = House()
    one = Subscribing(house)
    house.out(1.2, answer(200, one.notify(1.1)))
    register(house, 60, n=2)
    return house


@case("dlg012-near-miss-unsubscribed", must_not=["DLG012", *ALG], outcomes=[])
def _() -> House:
    """The phone ends its subscription, and answers 481 to a NOTIFY that comes after."""
    house = House()
    one = Subscribing(house)
    house.out(1.2, answer(200, one.notify(1.1)))
    one.subscribe(30, 0)
    house.out(30.2, answer(481, one.notify(30.1, 2)))
    register(house, 70, n=2)
    return house


@case("dlg012-near-miss-terminated", must_not=["DLG012", *ALG], outcomes=[])
def _() -> House:
    """The provider ends the subscription, and the phone has no more of it when that is told."""
    house = House()
    one = Subscribing(house)
    house.out(1.2, answer(200, one.notify(1.1)))
    house.out(30.2, answer(481, one.notify(30.1, 2, "terminated;reason=timeout")))
    return house


@case("dlg012-near-miss-capture-ends", must_not=["DLG012", *ALG], outcomes=[])
def _() -> House:
    """The capture ends 20 s after the SUBSCRIBE was accepted."""
    one = Subscribing(House())
    register(one.house, 21, n=2)
    return one.house


# ---- DLG012: transfers ----


def _renaming(house: House) -> None:
    """An ALG that writes its own address into Call-ID, and back; in nothing else."""

    def out(message: bytes) -> bytes:
        return re.sub(rb"(?m)^(Call-ID: .*)@192\.168\.1\.10\r$", rb"\1@198.51.100.2\r", message)

    def back(message: bytes) -> bytes:
        return re.sub(rb"(?m)^(Call-ID: .*)@198\.51\.100\.2\r$", rb"\1@192.168.1.10\r", message)

    house.out_alg, house.in_alg = out, back


def _transfer(house: House, result: str) -> House:
    """The phone calls, then asks a colleague, then connects the two: a REFER in its first call
    with Replaces, which names the second one. result: the sipfrag of the NOTIFY."""
    register(house, 0)
    first = Outgoing(house, "one@192.168.1.10", "<sip:100@198.51.100.2:5060>")
    second = Outgoing(house, "two@192.168.1.10", "<sip:100@198.51.100.2:5060>")
    for at, call in ((1, first), (11, second)):
        call.invite(at)
        call.ok(at + 1)
        call.ack(at + 1.02)
    tags = f"to-tag%3D{second._tag}%3Bfrom-tag%3Dp-{token(second.call_id)}"
    refer = request(
        "REFER", first.far_contact.strip("<>"), via=f"{house.phone}:{house.port}",
        branch="z9hG4bKrefer", call_id=first.call_id, cseq=2,
        caller=f"<sip:100@example.net>;tag=p-{token(first.call_id)}",
        callee=f"<sip:300@example.net>;tag={first._tag}", contact=first.contact,
        more=[f"Refer-To: <sip:400@example.net?Replaces=two%40192.168.1.10%3B{tags}>"],
    )  # fmt: skip
    seen = house.out(20, refer)
    house.into(20.03, answer(202, seen, contact=first.far_contact))
    for n, (state, text) in enumerate((("active", "100 Trying"), ("terminated", result)), 1):
        notify = first.from_far(
            "NOTIFY", n, ["Event: refer", f"Subscription-State: {state}"]
        ).replace(b"z9hG4bKfnotify", b"z9hG4bKfnotify%d" % n)
        fragment = f"SIP/2.0 {text}\r\n".encode()
        notify = sized(notify.replace(b"Content-Length", b"Content-Type: message/sipfrag\r\n"
                                      b"Content-Length") + fragment)  # fmt: skip
        house.out(20 + n + 0.1, answer(200, house.into(20 + n, notify)))
    second.bye(25)
    first.bye(26)
    return house


@case("dlg012-transfer-renamed",
      [("DLG012", "router", "observed")], [*DLG, "ALG014", "ALG015"],
      {"disable-sip-alg": "suspected"}, ["completed", "completed"])  # fmt: skip
def _() -> House:
    """The router changes the Call-ID of each message and not that in Refer-To: the far end looks
    for a dialog that it knows by another name."""
    house = House()
    _renaming(house)
    return _transfer(house, "481 Call/Transaction Does Not Exist")


@case("dlg012-transfer-renamed-wan-first",
      [("DLG012", "router", "observed")], [*DLG, "ALG014", "ALG015"],
      {"disable-sip-alg": "suspected"}, ["completed", "completed"])  # fmt: skip
def _() -> House:
    """The same, and the WAN copies are stamped 1 ms before those in the LAN: the finding names the
    dialog as its phone wrote it all the same."""
    house = House()
    _renaming(house)
    _transfer(house, "481 Call/Transaction Does Not Exist")
    house.wan = [(at - 10**6, data) for at, data in house.wan]
    return house


@case("dlg012-near-miss-transfer-works", must_not=["DLG012", *DLG, *ALG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """An attended transfer that works."""
    return _transfer(House(), "200 OK")


@case("dlg012-near-miss-transfer-refused", must_not=["DLG012", *DLG, *ALG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The colleague is busy."""
    return _transfer(House(), "486 Busy Here")


@case("dlg012-transfer-of-a-dialog-that-is-gone", [("DLG012", "unknown", "latent")],
      [*DLG, *ALG], outcomes=["completed", "completed"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The far end does not find the dialog either, and nothing here changed its name: the transfer
    failed, though both calls completed."""
    return _transfer(House(), "481 Call/Transaction Does Not Exist")


def _picked_up(house: House, name: str) -> House:
    """A call of the phone, which the far end wants to replace by another one."""
    register(house, 0)
    call = Outgoing(house, "held@192.168.1.10", "<sip:100@198.51.100.2:5060>")
    call.invite(1)
    call.ok(2)
    call.ack(2.02)
    other = Incoming(house, "other@far", more=[
        f"Replaces: {name};to-tag=p-{token(call.call_id)};from-tag={call._tag}",
    ])  # fmt: skip
    other.invite(10)
    house.out(10.1, answer(481, other.delivered, to_tag="p-no"))
    made = request(
        "ACK", f"sip:100@{house.public}", via=f"{house.provider}:5060",
        branch=f"z9hG4bKi-{token(other.call_id)}", call_id=other.call_id, cseq=1,
        caller=f"<sip:200@example.net>;tag=c-{token(other.call_id)}",
        callee="<sip:100@example.net>;tag=p-no",
    )  # fmt: skip
    house.into(10.2, made)
    call.bye(30)
    return house


@case("dlg012-replaces-renamed", [("DLG012", "router", "observed")], [*DLG, "ALG014", "ALG015"],
      {"disable-sip-alg": "suspected"}, ["completed", "rejected"])  # fmt: skip
def _() -> House:
    """The far end replaces a call of the phone by the Call-ID that the router has given it."""
    house = House()
    _renaming(house)
    return _picked_up(house, "held@198.51.100.2")


@case("dlg012-near-miss-replaces-gone", must_not=["DLG012", *DLG, *ALG],
      outcomes=["completed", "rejected"], state="hurts")  # fmt: skip
def _() -> House:
    """It names a call that is over, and nothing was changed on the way."""
    return _picked_up(House(), "gone@192.168.1.10")
