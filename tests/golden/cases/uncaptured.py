# SPDX-License-Identifier: Apache-2.0
"""Golden cases of what one side, or a capture that misses a packet, cannot show."""

from __future__ import annotations

from ipaddress import ip_address

from craft import (
    LADDER_2XX,
    LADDER_INVITE,
    START,
    House,
    Incoming,
    Outgoing,
    Timed,
    answer,
    outgoing_call,
    register,
    request,
    tcp_frame,
)

from cases.case import ALG, CASES, DLG, case
from cases.drops import Subscribing


@case("dlg007-near-miss-refresh-not-captured", must_not=["DLG007", *DLG, *ALG])
def _() -> House:
    """Neither side has the UPDATE of the phone, and both have its 200: so the session was
    refreshed, and the call ends when it would have without."""
    call = Timed(House(), "uac")
    call.accept(903.1, call.refresh(903, lan=False, wan=False))
    call.bye(1803)
    return call.house


@case("dlg007-near-miss-re-invite-not-captured", must_not=["DLG007", *DLG, *ALG])
def _() -> House:
    """The same with a re-INVITE, whose 200 and ACK both sides have."""
    call = Timed(House(), "uac")
    call.accept(903.1, call.refresh(903, "INVITE", lan=False, wan=False))
    call.house.out(903.12, call._request("ACK", 2, call.far_contact.strip("<>"),
                                         f";tag={call._tag}", branch="ack2"))  # fmt: skip
    call.bye(1803)
    return call.house


@case("dlg007-near-miss-callee-re-invite-not-captured", must_not=["DLG007", *DLG, *ALG])
def _() -> House:
    """The re-INVITE is the far end's, whose numbers are its own: it has the CSeq number of the
    INVITE."""
    call = Timed(House(), "uas")
    call.timer[0] = call.timer[0].replace("uas", "uac")
    asked = call.from_far("INVITE")
    made = answer(200, asked, contact=call.contact, body=call.body, more=call.timer)
    call.house.out(903.1, made)
    call.house.into(903.15, call.from_far("ACK"))
    call.bye(1803)
    return call.house


@case("dlg007-refused-re-invite-not-captured", [("DLG007", "unknown", "observed")], [*DLG, *ALG],
      outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The uncaptured re-INVITE is refused with 500: the phone did try, and nothing shows what the
    far end got."""
    call = Timed(House(), "uac")
    call.refused(903.1, call.refresh(903, "INVITE", lan=False, wan=False), 500)
    call.far_bye(3 + 1768)
    return call.house


@case("reg001-near-miss-credentials-not-captured", must_not=["REG001", *DLG, *ALG], outcomes=[])
def _() -> House:
    """Neither side has the REGISTER with credentials, and both have its 200."""
    house = House()

    def asked(n: int) -> bytes:
        return request(
            "REGISTER", "sip:example.net", via=f"{house.phone}:{house.port}",
            branch=f"z9hG4bKcred{n}", call_id="cred@phone", cseq=n, contact=house.contact,
            caller="<sip:100@example.net>;tag=r1",
        )  # fmt: skip

    house.into(0.03, answer(401, house.out(0, asked(1)), to_tag="a"))
    seen = house.out(0.05, asked(2), lan=False, wan=False)
    house.into(0.08, answer(200, seen, to_tag="b", contact=f"{house.contact};expires=120"))
    other = House(phone="192.168.1.11", wan_port=40011)
    register(other, 200, n=9)
    house.lan += other.lan
    house.wan += other.wan
    return house


@case("dlg012-near-miss-notify-not-captured", must_not=["DLG012", *DLG, *ALG], outcomes=[])
def _() -> House:
    """Neither side has the NOTIFY, and both have its 200: so it arrived in spite of the private
    Contact."""
    house = House()
    one = Subscribing(house)
    house.out(1.2, answer(200, one.notify(1.1, lan=False, wan=False)))
    register(house, 60, n=2)
    return house


@case("dlg012-near-miss-2xx-not-captured", must_not=["DLG012", *DLG, *ALG], outcomes=[])
def _() -> House:
    """The SUBSCRIBE was forked, and its 2xx is on neither side: nobody knows of which notifier the
    refused NOTIFY is."""
    house = House()
    one = Subscribing(house, "<sip:100@198.51.100.2:5060>")
    for tap in (house.lan, house.wan):
        tap[:] = [packet for packet in tap if b"SUBSCRIBE\r\n" not in packet[1]
                  or b"SIP/2.0 200" not in packet[1]]  # fmt: skip
    house.out(1.15, answer(481, one.notify(1.1, tag="other")))
    register(house, 60, n=2)
    return house


def _alone(name: str) -> House:
    return CASES[name].make()


@case("dlg012-near-miss-forked-one-sided", must_not=["DLG012", *DLG, *ALG], outcomes=[],
      one_file="wan")  # fmt: skip
def _() -> House:
    """The WAN side alone of a forked SUBSCRIBE: the refused NOTIFY has the tag of another
    notifier."""
    return _alone("dlg012-near-miss-forked")


@case("txn003-bye-of-a-stranger-one-sided", [("TXN003", "unknown", "latent")], [*DLG, *ALG],
      outcomes=["completed", "unknown"], one_file="wan", state="cannot-tell")  # fmt: skip
def _() -> House:
    """The WAN side alone does not show whether anybody here has the call of a BYE whose beginning
    was not captured: it hurts nobody as far as is known."""
    return _alone("txn003-near-miss-bye-of-a-stranger")


@case("sdp003-near-miss-media-inside-the-lan-one-sided", must_not=["SDP003", *DLG],
      one_file="lan")  # fmt: skip
def _() -> House:
    """The LAN side alone: the SDP from the Internet names another phone here, so media need not
    cross the router."""
    return _alone("sdp003-near-miss-media-inside-the-lan")


@case("txn005-in-the-house-one-sided", [("TXN005", "unknown", "observed")], [*DLG, *ALG],
      {"look-for-loss": "suspected"}, one_file="wan")  # fmt: skip
def _() -> House:
    """The WAN side alone of a line that loses packets between phone and router: one side does not
    show where."""
    return _alone("txn005-loss-in-the-house")


# ---- SIP over TCP, of which packets are missing in the capture (CAP002) ----


def _over_tcp(missing: int, late: float = 0) -> House:
    """Three registrations and two calls over one TCP connection. missing: number of the response
    that is not captured, from 0; late: TCP sends that one again so many seconds later."""
    house = House()
    register(house, 0, expires=60)
    outgoing_call(house, 6, "one@tcp")
    register(house, 20, expires=60, n=2)
    outgoing_call(house, 30, "two@tcp")
    register(house, 70, expires=60, n=3)
    sent = {"phone": 1000, "far": 1000}
    kept, responses, again = [], 0, []
    for at, data in house.lan:
        payload = data[42:].replace(b"SIP/2.0/UDP", b"SIP/2.0/TCP")
        outward = data[26:30] == ip_address(house.phone).packed
        ends = (house.phone, 5060, house.provider, 5060)
        ends = ends if outward else (ends[2], 5060, ends[0], 5060)
        who = "phone" if outward else "far"
        made = tcp_frame(payload, *ends, sent[who], 7)
        sent[who] += len(payload)
        responses += not outward
        if outward or responses != missing + 1:
            kept.append((at, made))
        elif late:
            again.append((at + round(late * 1e9), made))
    house.lan = kept + again
    return house


@case("cap002-tcp-goes-on", [("CAP002", "unknown", "none"), ("CAP001", "unknown", "none")],
      ["REG001", "TXN003", *DLG, "DLG007"], outcomes=["completed", "completed"], one_file="lan",
      state="cannot-tell")  # fmt: skip
def _() -> House:
    """SIP over TCP: the 200 to a REGISTER is not in the capture, and TCP goes on behind it, as it
    does only when its receiver has it. The registration did not fail."""
    return _over_tcp(5)


@case("cap002-bye-over-tcp", [("CAP002", "unknown", "none"), ("CAP001", "unknown", "none")],
      ["REG001", "TXN003", *DLG, "DLG007"], outcomes=["completed", "completed"], one_file="lan",
      state="cannot-tell")  # fmt: skip
def _() -> House:
    """The same with the 200 to a BYE."""
    return _over_tcp(4)


@case("cap002-near-miss-tcp-sent-again", [("CAP001", "unknown", "none")],
      ["CAP002", "REG001", "TXN003", *DLG], outcomes=["completed", "completed"],
      one_file="lan")  # fmt: skip
def _() -> House:
    """The same segment got lost on the line, and TCP sent it again: all of it is in the capture."""
    return _over_tcp(4, late=0.4)


def _not_delivered(src: str = "") -> House:
    """A call that reaches no phone, before the phone registers and calls."""
    house = House()
    call = Incoming(house, "dead@provider", src=src)
    for after in (0, *LADDER_INVITE):
        call.invite(1 + after, lan=False)
    register(house, 40)
    outgoing_call(house, 42, "good@phone")
    return house


@case("reg006-near-miss-capture-began-late", must_not=["REG006", *DLG, *ALG],
      outcomes=["unanswered", "completed"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The provider calls before the capture shows anything from the phone: nothing tells whether
    the router had to let it in, and the call is dead."""
    return _not_delivered()


@case("reg006-near-miss-scanner-before-the-phone", must_not=["REG006", *DLG, *ALG],
      outcomes=["unanswered", "completed"])  # fmt: skip
def _() -> House:
    """The same INVITE from a host that is no provider of a phone here."""
    return _not_delivered("192.0.2.66")


# ---- captures that begin inside a call ----


def _answered_before(begins: float, acks: bool = True, cancelled: bool = False) -> House:
    """A call of the phone at 2 s whose 2xx of 4 s is repeated to the end, or a cancelled one with
    its refusal. begins: of the capture. acks: the first 2xx is acknowledged."""
    house = House()
    call = Outgoing(house, "before@phone")
    call.invite(2)
    call.respond(2.2, 180)
    if cancelled:
        call.cancel(8)
        call.respond(8.1, 487)
        call.nak(8.12)
    else:
        for after in (0, *LADDER_2XX):
            call.ok(4 + after)
        if acks:
            call.ack(4.02)
        call.far_bye(36)
    for n in range(2):
        register(house, 40 + 40 * n, n=n + 1)
    for tap in (house.lan, house.wan):
        tap[:] = [one for one in tap if one[0] >= (START + begins) * 10**9]
    return house


@case("dlg001-begun-after-the-ack", [("DLG001", "unknown", "observed")],
      ["DLG002", "DLG004", "TXN008", *ALG], outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The capture begins between the ACK to the first 2xx and its repetitions. The callee never got
    that ACK, and nothing shows where it was lost: the phone did send it."""
    return _answered_before(4.1)


@case("dlg001-begun-while-it-rings", [("DLG001", "phone", "observed")],
      ["DLG002", "DLG004", "TXN008", *ALG], outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The capture begins with the 180, so it has the first 2xx, and the phone sends no ACK."""
    return _answered_before(2.1, acks=False)


@case("call-near-miss-begun-after-the-cancel", [("CAP005", "unknown", "none")],
      ["TXN001", "TXN002", "TXN007", "TXN009", *DLG, *ALG], outcomes=["cancelled"])  # fmt: skip
def _() -> House:
    """The capture begins between the CANCEL and its 200: the call was taken back, and all that is
    to be seen of it is right."""
    return _answered_before(8.02, cancelled=True)


# ---- a re-INVITE in vain, until somebody hangs up ----


def _hung_up_meanwhile(repeats: int) -> House:
    """The phone asks for a hold, the provider does not answer, and hangs up."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "hold@phone")
    call.invite(1)
    call.respond(1.2, 180)
    call.ok(2)
    call.ack(2.02)
    target = call.far_contact.strip("<>")
    made = call._request("INVITE", 2, target, f";tag={call._tag}", call.contact, call.body, "hold")
    for after in (0, *LADDER_INVITE)[: repeats + 1]:
        house.out(10 + after, made)
    call.far_bye(10 + LADDER_INVITE[repeats - 1] + 0.2)
    register(house, 60, n=2)
    return house


@case("txn001-hold-in-vain-until-the-bye", [("TXN001", "network", "observed")],
      [*DLG, *ALG, "DLG014"])  # fmt: skip
def _() -> House:
    """The re-INVITE is sent five times in 7.5 s, and nobody answers it."""
    return _hung_up_meanwhile(4)


@case("txn001-hold-in-vain-on-the-lan-alone", [("TXN001", "unknown", "observed")],
      [*DLG, *ALG, "DLG014"], one_file="lan")  # fmt: skip
def _() -> House:
    """The LAN side alone."""
    return _hung_up_meanwhile(4)


@case("txn001-near-miss-hung-up-at-once", must_not=["TXN001", "DLG014", *DLG, *ALG])
def _() -> House:
    """The provider hangs up after the first repetition: its 2xx may have been on the way."""
    return _hung_up_meanwhile(1)
