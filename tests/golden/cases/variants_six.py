# SPDX-License-Identifier: Apache-2.0
"""Golden cases after public reports, the sixth batch: second answers of one call, calls over
another transport than the registration, a challenged BYE, transfers that name themselves."""

from __future__ import annotations

import re

from craft import (
    LADDER_2XX,
    LADDER_INVITE,
    House,
    Incoming,
    Outgoing,
    answer,
    register,
    request,
    sized,
    tcp_frame,
    token,
)

from cases.case import ALG, DLG, case
from cases.reports import later


def _both_answer(ends: bool) -> House:
    """Two phones behind one router answer a call at once. ends: the caller acknowledges the second
    one, too, and ends it."""
    first, second = House(), House(phone="192.168.1.11", wan_port=40011)
    calls = [Incoming(one, "fork@provider", fixed_contact=f"sip:100@{one.public}")
             for one in (first, second)]  # fmt: skip
    for n, call in enumerate(calls):
        register(call.house, n * 0.5, n=n + 1)
        made = request(
            "INVITE", f"sip:100@{call.house.public}", via="203.0.113.5:5060",
            branch=f"z9hG4bKfork{n}", call_id="fork@provider", cseq=1,
            caller=call._ids()["caller"], contact=call.far,
        )  # fmt: skip
        call.delivered = call.house.into(1, made)
        tag = f"p{n}"
        call.final = answer(200, call.delivered, to_tag=tag, contact=call.contact, body=call.body)
        call.ok(3 + n * 0.01)

    def dialog(n: int, method: str, at: float, cseq: int) -> bytes:
        ids = calls[n]._ids() | {"callee": f"<sip:100@example.net>;tag=p{n}"}
        return calls[n].house.into(at, request(
            method, f"sip:100@{calls[n].house.public}", via="203.0.113.5:5060",
            branch=f"z9hG4bK{method.lower()}{n}", call_id="fork@provider", cseq=cseq, **ids,
        ))  # fmt: skip

    dialog(0, "ACK", 3.05, 1)
    if ends:
        dialog(1, "ACK", 3.06, 1)
        second.out(3.1, answer(200, dialog(1, "BYE", 3.08, 2)))
    else:
        for after in LADDER_2XX:
            calls[1].ok(3.01 + after)
    first.out(60.02, answer(200, dialog(0, "BYE", 60, 2)))
    first.lan += second.lan
    first.wan += second.wan
    return later(first)


@case("dlg011-both-phones-are-here", [("DLG011", "network", "observed")],
      ["DLG001", "DLG002", *ALG], outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """Each phone has a branch of its own. The second one repeats its 2xx in vain."""
    return _both_answer(ends=False)


@case("dlg011-near-miss-both-phones-are-here", must_not=[*DLG, "DLG011", *ALG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The caller ends the second dialog at once."""
    return _both_answer(ends=True)


def _refused_first(tag: str) -> House:
    """An INVITE is refused with 421, and answered three seconds later by a phone that registered.
    tag: To tag of the refusal, where it is another."""
    house = House()
    register(house, 0)
    call = Incoming(house, "twice@provider")
    call.invite(1)
    house.out(1.02, answer(421, call.delivered, to_tag=tag or call._tag))
    house.into(1.06, request(
        "ACK", f"sip:100@{house.public}", via="203.0.113.5:5060",
        branch=f"z9hG4bKi-{token(call.call_id)}", call_id=call.call_id, cseq=1,
        caller=call._ids()["caller"], callee=f"<sip:100@example.net>;tag={tag or call._tag}",
    ))  # fmt: skip
    call.ok(4)
    call.dropped(4)
    register(house, 60, n=2)
    return house


@case("dlg001-after-its-own-refusal", [("DLG001", "phone", "observed")], ["DLG002", *ALG],
      {"phone-fix": "recommended"}, ["dropped"])  # fmt: skip
def _() -> House:
    """The phone refuses a call and answers it all the same: for its caller the call is over."""
    return _refused_first("")


@case("dlg001-near-miss-refused-by-another", [("DLG001", "network", "observed"),
      ("DLG002", "phone", "observed")], ALG,
      {"enable-rport-stun-outbound": "recommended", "provider-fix-contact": "recommended"},
      ["dropped"])  # fmt: skip
def _() -> House:
    """The refusal has another To tag: it is of another phone behind the same proxy (RFC 3261
    section 16.7), and the Contact is what keeps the ACK away."""
    return _refused_first("other")


def _called_over_udp(registered: str) -> House:
    """A phone registers over TCP or UDP from port 49152; an INVITE comes to that port over UDP."""
    house = House(port=49152, wan_port=49152)
    for n, at in enumerate(range(0, 200, 40), 1):
        asked = request(
            "REGISTER", "sip:example.net", via="192.168.1.10:49152", branch=f"z9hG4bKreg{n}",
            call_id="reg@phone", cseq=n, caller="<sip:100@example.net>;tag=r1",
            contact=f"<sip:100@192.168.1.10:49152;transport={registered}>", more=["Expires: 120"],
        )  # fmt: skip
        seen = house.out(at, asked)
        shown = re.search(rb"(?m)^Contact: (.*?)\r$", seen)
        assert shown is not None
        house.into(at + 0.03, answer(200, seen, to_tag="reg", received=house.wan_ip, rport=49152,
                                     contact=f"{shown[1].decode()};expires=120"))  # fmt: skip
    if registered == "tcp":
        house.lan, house.wan = _over_tcp(house.lan), _over_tcp(house.wan)
    call = Incoming(house, "udp@provider")
    for after in (0, *LADDER_INVITE):
        call.invite(90 + after, lan=False)
    return later(house, 200)


def _over_tcp(packets: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    made, sent = [], {True: 7000, False: 7000}
    for at, data in packets:
        payload = data[42:].replace(b"SIP/2.0/UDP", b"SIP/2.0/TCP")
        src, dst = (".".join(map(str, data[i : i + 4])) for i in (26, 30))
        sport, dport = (int.from_bytes(data[i : i + 2], "big") for i in (34, 36))
        out = dport == 5060
        ident = int.from_bytes(data[18:20], "big")
        made.append((at, tcp_frame(payload, src, sport, dst, dport, sent[out], ident)))
        sent[out] += len(payload)
    return made


@case("reg006-over-another-transport", [("REG006", "provider", "observed"),
      ("TXN001", "provider", "observed")], [*DLG, *ALG], {"provider-fix": "suspected"},
      ["completed", "unanswered"])  # fmt: skip
def _() -> House:
    """The phone has a TCP connection to its provider, which calls it over UDP."""
    return _called_over_udp("tcp")


@case("reg006-near-miss-over-the-same-transport", [("REG006", "router", "observed")],
      [*DLG, *ALG], outcomes=["completed", "unanswered"])  # fmt: skip
def _() -> House:
    """The phone has registered over UDP: its mapping is there, and this router keeps the call."""
    return _called_over_udp("udp")


def _bye_challenged(then: float) -> House:
    """The phone asks the far end for credentials in place of taking its BYE. then: seconds until
    its own user hangs up."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "asks@phone")
    call.set_up(1)
    asked = 'WWW-Authenticate: Digest realm="example.net", nonce="n1"'
    seen = house.into(20, call.from_far("BYE"))
    house.out(20.02, answer(401, seen, more=[asked]))
    own = call._request("BYE", 2, call.far_contact.strip("<>"), f";tag={call._tag}")
    house.into(20.03 + then + 0.03, answer(481, house.out(20.03 + then, own)))
    return later(house)


@case("dlg008-bye-challenged-and-hung-up-later", [("DLG008", "unknown", "observed")], [*DLG, *ALG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """Its user hears nothing, and hangs up after 25 s: the other end has forgotten the call."""
    return _bye_challenged(25)


@case("dlg008-near-miss-bye-challenged-and-crossed", must_not=["DLG008", *DLG, *ALG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """Both users hang up at the same moment."""
    return _bye_challenged(0.1)


@case("dlg012-transfer-of-itself", [("DLG012", "phone", "observed")], [*DLG, *ALG],
      {"phone-fix": "recommended"}, ["completed", "completed"])  # fmt: skip
def _() -> House:
    """The Replaces of a REFER names the call that the REFER is sent in."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "one@192.168.1.10")
    call.set_up(1)
    tags = f"to-tag%3D{call._tag}%3Bfrom-tag%3Dp-{token(call.call_id)}"
    refer = call._request("REFER", 2, call.far_contact.strip("<>"), f";tag={call._tag}",
                          call.contact)  # fmt: skip
    named = f"Refer-To: <sip:400@example.net?Replaces=one%40192.168.1.10%3B{tags}>"
    seen = house.out(20, refer.replace(b"Max-Forwards", f"{named}\r\nMax-Forwards".encode()))
    house.into(20.03, answer(202, seen, contact=call.far_contact))
    state = ["Event: refer", "Subscription-State: terminated;reason=noresource",
             "Content-Type: message/sipfrag"]  # fmt: skip
    notify = sized(call.from_far("NOTIFY", 1, state) + b"SIP/2.0 404 Not Found\r\n")
    house.out(22.02, answer(200, house.into(22, notify)))
    made = call._request("BYE", 3, call.far_contact.strip("<>"), f";tag={call._tag}")
    house.into(40.03, answer(200, house.out(40, made)))
    return later(house)


def _notified(ended: bool) -> House:
    """The NOTIFY overtakes the 2xx to its SUBSCRIBE, and the phone takes it for a loop. ended: it
    ends the subscription."""
    house = House()
    register(house, 0)
    phone = "<sip:100@example.net>;tag=s1"
    seen = house.out(1, request(
        "SUBSCRIBE", "sip:200@example.net", via="192.168.1.10:5060", branch="z9hG4bKsub",
        call_id="lamp@phone", cseq=1, contact=house.contact,
        more=["Event: dialog", "Expires: 300"], caller=phone, callee="<sip:200@example.net>",
    ))  # fmt: skip
    made = request(
        "NOTIFY", "sip:100@192.168.1.10:5060", via="203.0.113.5:5060", branch="z9hG4bKnot",
        call_id="lamp@phone", cseq=1, caller="<sip:200@example.net>;tag=n1", callee=phone,
        more=["Event: dialog",
              f"Subscription-State: {'terminated' if ended else 'active;expires=300'}"],
    )  # fmt: skip
    house.out(1.03, answer(482, house.into(1.02, made)))
    house.into(1.05, answer(200, seen, to_tag="n1", contact="<sip:200@203.0.113.5:5060>",
                            received=house.wan_ip, rport=5060, more=["Expires: 300"]))  # fmt: skip
    return later(house)


@case("dlg012-notify-taken-for-a-loop", [("DLG012", "phone", "observed")], [*DLG, *ALG])
def _() -> House:
    """Its notifier drops the subscription: the lamp stays dark."""
    return _notified(ended=False)


@case("dlg012-near-miss-last-notify-taken-for-a-loop", must_not=["DLG012", *DLG, *ALG])
def _() -> House:
    """The NOTIFY ends the subscription anyway."""
    return _notified(ended=True)
