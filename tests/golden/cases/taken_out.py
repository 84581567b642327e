# SPDX-License-Identifier: Apache-2.0
"""Golden cases of header fields that the router takes out, and of what is missed then."""

from __future__ import annotations

import re
from collections.abc import Sequence

from craft import House, Outgoing, Rewriter, answer, outgoing_call, register, request, works_beside

from cases.case import DLG, case

OFF = {"disable-sip-alg": "recommended"}
TRIAL = {"disable-sip-alg": "suspected"}


def without(name: str) -> Rewriter:
    """A router that takes one header field out."""
    line = re.compile(rb"(?mi)^%s[ \t]*:.*\r\n" % name.encode())
    return lambda payload: line.sub(b"", payload)


def _asked(house: House, method: str, more: Sequence[str], n: int = 1, call_id: str = "lamp@phone",
           ) -> bytes:  # fmt: skip
    return request(
        method, "sip:200@example.net", via=f"{house.phone}:{house.port}",
        branch=f"z9hG4bK{method.lower()}{n}", call_id=call_id, cseq=n,
        caller="<sip:100@example.net>;tag=s1", callee="<sip:200@example.net>",
        contact=house.contact, more=more,
    )  # fmt: skip


def _refused(house: House, at: float, asked: bytes, status: int, more: Sequence[str] = (),
             alg: Rewriter | None = None, back: Rewriter | None = None) -> None:  # fmt: skip
    seen = house.out(at, asked, alg=alg)
    made = answer(status, seen, to_tag="far", received=house.wan_ip, rport=house.wan_port,
                  more=more)  # fmt: skip
    house.into(at + 0.03, made, alg=back)


def _registered() -> House:
    house = House()
    register(house, 0)
    return house


LAMP = ("Event: dialog", "Expires: 3600")


@case("alg018-event", [("ALG018", "router", "observed")], DLG, OFF)
def _() -> House:
    """The router takes Event out of a SUBSCRIBE, and the provider refuses it with 489: the lamp for
    the other phone stays dark. Another phone shows that the provider needs no ALG."""
    house = _registered()
    _refused(house, 1, _asked(house, "SUBSCRIBE", LAMP), 489, alg=without("Event"))
    works_beside(house, 10)
    return house


@case("alg018-near-miss-event-unknown-there", must_not=["ALG018", *DLG], state="cannot-tell")
def _() -> House:
    """The provider does not know this event and refuses it with 489; the router takes User-Agent
    out of the SUBSCRIBE, which nobody misses."""
    house = _registered()
    asked = _asked(house, "SUBSCRIBE", (*LAMP, "User-Agent: phone"))
    _refused(house, 1, asked, 489, alg=without("User-Agent"))
    works_beside(house, 10)
    return house


@case("alg018-near-miss-compact-form", must_not=["ALG018", *DLG], state="cannot-tell")
def _() -> House:
    """The router writes Event in full where the phone wrote its compact form; the provider does not
    know the event."""
    house = _registered()
    asked = _asked(house, "SUBSCRIBE", ("o: dialog", "Expires: 3600"))
    _refused(house, 1, asked, 489, alg=lambda payload: payload.replace(b"\r\no:", b"\r\nEvent:"))
    works_beside(house, 10)
    return house


@case("alg018-near-miss-taken-out-and-accepted", must_not=["ALG018", *DLG])
def _() -> House:
    """The router takes Event out of a SUBSCRIBE, and the provider accepts it and notifies: it has
    one kind of event only."""
    house = _registered()
    _refused(house, 1, _asked(house, "SUBSCRIBE", LAMP), 200, ["Expires: 3600"],
             alg=without("Event"))  # fmt: skip
    _notified(house, 1.1)
    works_beside(house, 10)
    return house


def _notified(house: House, at: float, status: int = 200, alg: Rewriter | None = None) -> None:
    made = request(
        "NOTIFY", f"sip:100@{house.public}", via=f"{house.provider}:5060", branch="z9hG4bKnotify",
        call_id="lamp@phone", cseq=1, caller="<sip:200@example.net>;tag=far",
        callee="<sip:100@example.net>;tag=s1", contact=f"<sip:200@{house.provider}:5060>",
        more=["Event: dialog", "Subscription-State: active;expires=3600"],
    )  # fmt: skip
    seen = house.into(at, made, alg=alg)
    house.out(at + 0.02, answer(status, seen))


def _subscribed(status: int, alg: Rewriter) -> House:
    house = _registered()
    _refused(house, 1, _asked(house, "SUBSCRIBE", LAMP), 200, ["Expires: 3600"])
    _notified(house, 1.1, status, alg)
    works_beside(house, 10)
    return house


@case("alg018-subscription-state", [("ALG018", "router", "observed")], DLG, OFF)
def _() -> House:
    """The router takes Subscription-State out of a NOTIFY, and the phone refuses it with 400: the
    subscription dies."""
    return _subscribed(400, without("Subscription-State"))


@case("alg018-near-miss-notify-taken", must_not=["ALG018", *DLG])
def _() -> House:
    """The router takes Subscription-State out of a NOTIFY, and the phone takes it all the same."""
    return _subscribed(200, without("Subscription-State"))


@case("alg018-refer-to", [("ALG018", "router", "observed")], DLG, OFF)
def _() -> House:
    """The router takes Refer-To out of a REFER, and the provider refuses it with 400."""
    house = _registered()
    asked = _asked(house, "REFER", ["Refer-To: <sip:300@example.net>"], call_id="refer@phone")
    _refused(house, 1, asked, 400, alg=without("Refer-To"))
    works_beside(house, 10)
    return house


@case("alg018-near-miss-refer-refused", [("DLG012", "unknown", "observed")], ["ALG018", *DLG])
def _() -> House:
    """The provider refuses a REFER that nobody has touched with 400."""
    house = _registered()
    asked = _asked(house, "REFER", ["Refer-To: <sip:300@example.net>"], call_id="refer@phone")
    _refused(house, 1, asked, 400)
    works_beside(house, 10)
    return house


def _extension(supported: Sequence[str], alg: Rewriter | None) -> House:
    """A REGISTER that is refused with 421, because its registrar wants Path."""
    house = House()
    asked = _asked(house, "REGISTER", [*supported, "Expires: 120"], call_id="reg1@phone")
    _refused(house, 0, asked, 421, ["Require: path"], alg=alg)
    works_beside(house, 10)
    return house


@case("alg018-option-tag", [("ALG018", "router", "observed")], ["REG001", *DLG], TRIAL)
def _() -> House:
    """The router takes Supported out of a REGISTER, and the registrar asks in vain for the
    extension that stood in it."""
    return _extension(["Supported: path, outbound"], without("Supported"))


@case("alg018-near-miss-extension-not-there", [("REG001", "unknown", "observed")],
      ["ALG018", *DLG])  # fmt: skip
def _() -> House:
    """The phone does not support the extension that the registrar asks for; the router takes out
    another one."""
    return _extension(["Supported: timer"], without("Supported"))


@case("alg018-min-expires", [("ALG018", "router", "observed")], ["REG001", *DLG], TRIAL)
def _() -> House:
    """The registrar refuses a time as too brief and says which one is long enough; the router takes
    that out, and the phone gives up."""
    house = House()
    asked = _asked(house, "REGISTER", ["Expires: 60"], call_id="reg1@phone")
    _refused(house, 0, asked, 423, ["Min-Expires: 300"], back=without("Min-Expires"))
    works_beside(house, 40)
    return house


@case("alg018-near-miss-too-brief", [("REG001", "unknown", "observed")], ["ALG018", *DLG])
def _() -> House:
    """The same 423 reaches the phone as it is, and the phone gives up all the same."""
    house = House()
    asked = _asked(house, "REGISTER", ["Expires: 60"], call_id="reg1@phone")
    _refused(house, 0, asked, 423, ["Min-Expires: 300"])
    works_beside(house, 40)
    return house


@case("reg001-too-brief-again", [("REG001", "unknown", "observed")], ["ALG018", "REG003", *DLG])
def _() -> House:
    """The phone asks for the refused time again and again."""
    house = House()
    for n in range(4):
        asked = _asked(house, "REGISTER", ["Expires: 60"], n + 1, "reg1@phone")
        _refused(house, 30 * n, asked, 423, ["Min-Expires: 300"])
    works_beside(house, 150)
    return house


def _by_way_of(route: str, back: Rewriter | None, other: str = "") -> House:
    """A registration with Service-Route, and a call that is refused with 403. other: another
    provider, which refuses it."""
    house = House()
    asked = _asked(house, "REGISTER", ["Expires: 120"], call_id="reg1@phone")
    seen = house.out(0, asked)
    made = answer(200, seen, to_tag="reg", contact=f"{house.contact};expires=120", more=[route],
                  received=house.wan_ip, rport=house.wan_port)  # fmt: skip
    house.into(0.03, made, alg=back)
    asked_of = House(provider=other or house.provider)
    call = Outgoing(asked_of, "refused@phone")
    call.invite(30)
    call.respond(30.1, 403)
    call.nak(30.12)
    house.lan += asked_of.lan
    house.wan += asked_of.wan
    return house


SERVICE_ROUTE = "Service-Route: <sip:orig@203.0.113.5;lr>"


@case("alg018-service-route", [("ALG018", "router", "observed")], DLG, TRIAL,
      ["rejected"])  # fmt: skip
def _() -> House:
    """The router takes Service-Route out of the 200 to the REGISTER, so the call goes without
    Route, and the proxy refuses it with 403."""
    return _by_way_of(SERVICE_ROUTE, without("Service-Route"))


@case("alg018-taken-back", [("ALG018", "router", "none")], DLG, state="hurts",
      outcomes=["rejected", "completed"])  # fmt: skip
def _() -> House:
    """The same, and the next call goes without Route: the one before was refused for another
    reason."""
    house = _by_way_of(SERVICE_ROUTE, without("Service-Route"))
    outgoing_call(house, 60, "then@phone")
    return house


@case("alg018-near-miss-goes-without-route", must_not=["ALG018", *DLG], state="hurts",
      outcomes=["completed", "rejected"])  # fmt: skip
def _() -> House:
    """The same with the calls in the other order."""
    house = _by_way_of(SERVICE_ROUTE, without("Service-Route"))
    outgoing_call(house, 10, "before@phone")
    return house


@case("alg018-near-miss-route-of-another-provider", must_not=["ALG018", *DLG], state="hurts",
      outcomes=["rejected"])  # fmt: skip
def _() -> House:
    """The router takes out the Service-Route of one provider, and another one refuses a call."""
    return _by_way_of(SERVICE_ROUTE, without("Service-Route"), "203.0.113.99")


@case("alg018-near-miss-proxy-takes-its-own", must_not=["ALG018", *DLG], state="cannot-tell")
def _() -> House:
    """A proxy on the router takes out the credentials that were meant for it, and the provider
    refuses the SUBSCRIBE with 403 (RFC 3261 section 22.3)."""
    house = _registered()
    own = b"Via: SIP/2.0/UDP 198.51.100.2:5060;branch=z9hG4bKown\r\n"
    take = without("Proxy-Authorization")
    asked = _asked(house, "SUBSCRIBE", (*LAMP, 'Proxy-Authorization: Digest realm="router.lan"'))
    _refused(
        house,
        1,
        asked,
        403,
        alg=lambda payload: take(payload).replace(b"Via:", own + b"Via:", 1),
        back=lambda payload: re.sub(rb"Via: [^\r]*z9hG4bKown[^\r]*\r\n", b"", payload),
    )
    works_beside(house, 10)
    return house


@case("alg018-near-miss-type-of-no-body", must_not=["ALG018", *DLG], state="cannot-tell")
def _() -> House:
    """The router takes out the Content-Type of a SUBSCRIBE without a body, which is refused with
    400 for another reason."""
    house = _registered()
    asked = _asked(house, "SUBSCRIBE", (*LAMP, "Content-Type: application/simple-filter+xml"))
    _refused(house, 1, asked, 400, alg=without("Content-Type"))
    works_beside(house, 10)
    return house


@case("alg018-near-miss-no-service-route", must_not=["ALG018", *DLG], state="hurts",
      outcomes=["rejected"])  # fmt: skip
def _() -> House:
    """The router takes out a Server that nobody misses; the proxy refuses the call with 403 all the
    same."""
    return _by_way_of("Server: registrar", without("Server"))


def _cut_short(alg: Rewriter | None) -> House:
    """A re-INVITE that is refused with 400, and whose phone hangs up at once."""
    house = _registered()
    call = Outgoing(house, "cut@phone")
    call.invite(1)
    call.ok(3)
    call.ack(3.02)
    target, tag = call.far_contact.strip("<>"), f";tag={call._tag}"
    made = call._request("INVITE", 2, target, tag, call.contact, call.body, branch="again")
    seen = house.out(20, made, alg=alg)
    house.into(20.03, answer(400, seen, received=house.wan_ip, rport=house.wan_port))
    house.out(20.04, call._request("ACK", 2, target, tag, branch="again"))
    made = call._request("BYE", 3, target, tag)
    house.into(20.13, answer(200, house.out(20.1, made)))
    works_beside(house, 30)
    return house


@case("alg018-re-invite", [("ALG018", "router", "observed")], ["DLG014", *DLG], OFF,
      ["completed", "completed"])  # fmt: skip
def _() -> House:
    """The router takes Contact out of a re-INVITE; it is refused with 400, and the phone hangs up
    at once. Another phone shows that the provider needs no ALG."""
    return _cut_short(without("Contact"))


@case("alg018-near-miss-re-invite", [("DLG014", "unknown", "observed")], ["ALG018", *DLG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The same re-INVITE, which the router leaves as it is."""
    return _cut_short(None)


# ---- REG002: the Contact of a registration ----


def _bound(contact: str, listed: str, alg: Rewriter | None = None, expires: int = 120) -> House:
    """A REGISTER with this Contact, and the Contact that its 200 lists."""
    house = House()
    asked = request(
        "REGISTER", "sip:example.net", via=f"{house.phone}:{house.port}", branch="z9hG4bKreg1",
        call_id="reg1@phone", cseq=1, caller="<sip:100@example.net>;tag=r1", contact=contact,
        more=[f"Expires: {expires}"],
    )  # fmt: skip
    seen = house.out(0, asked, alg=alg)
    house.into(0.03, answer(200, seen, to_tag="reg", contact=listed, received=house.wan_ip,
                            rport=house.wan_port))  # fmt: skip
    works_beside(house, 10)
    return house


MINE = "<sip:100@192.168.1.10:5060>"
CONTACT = ["REG002", "REG003", *DLG]


@case("reg002-contact-taken-out",
      [("REG002", "router", "observed"), ("ALG001", "router", "latent")],
      ["REG003", *DLG], OFF)  # fmt: skip
def _() -> House:
    """The router takes the Contact out of a REGISTER: the registrar takes it for a question and
    answers that there is no binding. The phone shows that it is registered, and does not ring."""
    return _bound(MINE, "", without("Contact"))


@case("reg002-contact-taken-out-later",
      [("REG002", "router", "latent"), ("ALG001", "router", "latent")],
      ["REG003", *DLG])  # fmt: skip
def _() -> House:
    """The same, and the binding from before the capture is there still."""
    return _bound(MINE, f"{MINE};expires=40", without("Contact"))


@case("reg002-near-miss-a-question", must_not=CONTACT)
def _() -> House:
    """The phone itself asks which bindings there are, and there is none."""
    return _bound("", "")


@case("reg002-near-miss-takes-itself-off", must_not=CONTACT)
def _() -> House:
    """The phone takes its binding off, and the 200 lists none."""
    return _bound(MINE, "", expires=0)


@case("reg002-no-binding-listed", [("REG002", "provider", "latent")], DLG, state="cannot-tell")
def _() -> House:
    """The 200 to a REGISTER lists no binding, although nobody has touched either of them: the
    registrar has none, or forgets to list it."""
    return _bound(MINE, "")
