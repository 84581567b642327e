# SPDX-License-Identifier: Apache-2.0
"""Golden cases of ALG: what the router changed"""

from __future__ import annotations

import re
from collections.abc import Callable

from craft import (
    LADDER_2XX,
    LADDER_INVITE,
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
    sdp,
    sized,
    works_beside,
)

from cases.case import ALG, DLG, PHONE_OR_PROVIDER, answered, case

# ---- ALG001, ALG002, ALG006, ALG010 ----


@case("alg001-contact", [("ALG001", "router", "none")], [*DLG, "ALG002", "ALG006", "ALG011"])
def _() -> House:
    """An ALG that rewrites only Contact, and by the mapping."""
    house = House()
    house.out_alg = _only(b"Contact: ", house.out_alg, linux_out(*_four(house)))
    house.in_alg = _only(b"Contact: ", house.in_alg, linux_in(*_four(house)))
    register(house, 0)
    incoming_call(house, 1, "contact@provider", body=sdp(house.wan_ip))
    return house


def _four(house: House) -> tuple[str, int, str, int]:
    return house.phone, house.port, house.wan_ip, house.wan_port


def _only(start: bytes, keep: Callable[[bytes], bytes],
          change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:  # fmt: skip
    """An ALG that changes only lines that begin so, without touching the body."""

    def rewrite(message: bytes) -> bytes:
        old, new = keep(message).split(b"\r\n"), change(message).split(b"\r\n")
        assert len(old) == len(new)
        return b"\r\n".join(
            n if o.startswith(start) and i else o
            for i, (o, n) in enumerate(zip(old, new, strict=True))
        )

    return rewrite


@case("alg001-near-miss-domain-contact", [("ALG002", "router", "none")], [*DLG, "ALG001", "ALG011"])
def _() -> House:
    """The Contact is a host name, which the kernel's ALG leaves alone; Via and
    SDP it rewrites."""
    house = House("linux")
    outgoing_call(house, 1, "name@phone", contact="<sip:100@phone.example.org>",
                  far_contact="<sip:300@203.0.113.5:5060>")  # fmt: skip
    return house


@case("alg002-via", [("ALG002", "router", "none")], [*DLG, "ALG001", "ALG006", "ALG011"])
def _() -> House:
    """An ALG that rewrites only Via, out and back in; the phone itself writes a public Contact
    and SDP (STUN)."""
    house = House()
    house.out_alg = _only(b"Via: ", house.out_alg, linux_out(*_four(house)))
    house.in_alg = _only(b"Via: ", house.in_alg, linux_in(*_four(house)))
    outgoing_call(house, 1, "via@phone", contact=f"<sip:100@{house.public}>",
                  body=sdp(house.wan_ip))  # fmt: skip
    return house


@case("alg002-near-miss-provider-adds-received", must_not=[*DLG, *ALG])
def _() -> House:
    """No ALG. The provider fills received and rport in: the Via of its responses differs from
    the request's, and is the same on both sides of the router."""
    house = House(wan_port=40123)
    register(house, 0)
    outgoing_call(house, 1, "echo@phone", contact=f"<sip:100@{house.public}>",
                  body=sdp(house.wan_ip))  # fmt: skip
    return house


@case("alg006-sdp", [("ALG006", "router", "none")], [*DLG, "ALG001", "ALG002", "ALG011"])
def _() -> House:
    """An SDP-only ALG: c= and o= become the public address, Content-Length follows."""
    house = House()
    whole = linux_out(*_four(house))

    def only_body(message: bytes) -> bytes:
        head, _, _ = message.partition(b"\r\n\r\n")
        return sized(head + b"\r\n\r\n" + whole(message).partition(b"\r\n\r\n")[2])

    house.out_alg = only_body
    outgoing_call(house, 1, "body@phone", contact=f"<sip:100@{house.public}>")
    return house


@case("alg006-near-miss-public-sdp", [("ALG001", "router", "none")], [*DLG, "ALG006", "ALG011"])
def _() -> House:
    """The kernel's ALG is on, and the phone writes the public address into its SDP itself."""
    house = House("linux")
    outgoing_call(house, 1, "stun@phone", body=sdp(house.wan_ip))
    return house


@case("alg010-via-without-contact", [("ALG010", "router", "latent"), ("ALG002", "router", "none")],
      [*DLG, "ALG001", "ALG011", "ALG014"])  # fmt: skip
def _() -> House:
    """The Contact names another port than the phone sends from: the kernel rewrites Via and SDP
    and leaves the Contact private. The provider sends to the source anyway and the call lives."""
    house = House("linux")
    private = f"<sip:100@{house.phone}:5070>"
    call = Outgoing(house, "half@phone", contact=private)
    call.set_up(1)
    call.bye(9)
    return house


@case("alg010-near-miss-whole", [("ALG014", "router", "none")], [*DLG, "ALG010", "ALG011"])
def _() -> House:
    """Via, Contact and SDP all rewritten; the private address is left in the Call-ID only, where
    no NAT writes."""
    house = House("linux")
    register(house, 0)
    outgoing_call(house, 1, f"whole@{house.phone}")
    return house


# ---- ALG011: forced destination port, Contact with a wrong port ----


def _forced(call: Incoming, at: float = 3) -> None:
    """The ACKs carry Via :5080, so the kernel sends them to phone:5080."""
    for after in (0, *LADDER_2XX):
        call.ack(at + 0.03 + after, via_port=5080, lan_port=5080)
    call.dropped(at)


@case("alg011-forced-port",
      [("ALG011", "router", "observed"), ("DLG001", "router", "observed")],
      ["DLG002", "DLG004", "ALG014", "ALG015"], {"disable-sip-alg": "recommended"},
      ["completed", "dropped"])  # fmt: skip
def _() -> House:
    """Scenario 6b: INVITE with Via :5060, ACK with Via :5080. On the WAN it comes to the phone's
    mapping, on the LAN it leaves to port 5080, where nobody is; the 2xx is repeated, the call
    drops after 32 s. Another phone of this router, on a flow that no helper touches, shows that the
    provider handles a private Contact."""
    house = House("linux")
    works_beside(house, 0)
    register(house, 20)
    _forced(answered(house, at=21), 23)
    return house


@case("alg011-forced-port-follows-contact",
      [("ALG011", "router", "observed"), ("DLG001", "router", "observed")],
      ["DLG002", "DLG004", "ALG014", "ALG015"], {"disable-sip-alg": "suspected"},
      ["dropped"])  # fmt: skip
def _() -> House:
    """The same with a provider that fills in rport and was never seen to handle a private Contact:
    rport shows where responses go, and nothing of where the ACK would. Only a trial can tell."""
    house = House("linux")
    register(house, 0)
    _forced(answered(house))
    return house


@case("alg011-near-miss-follows-contact-helper-off",
      [("DLG002", "phone", "observed"), ("DLG001", "network", "observed")],
      ["ALG011", "ALG014", "ALG015"], PHONE_OR_PROVIDER, ["dropped"])  # fmt: skip
def _() -> House:
    """The same provider with the helper off: it sends the ACK to the private Contact, and the call
    drops either way. Turning the ALG off would not have helped."""
    house = House()
    register(house, 0)
    answered(house).dropped(3)
    return house


@case("alg011-forced-port-nothing-known",
      [("ALG011", "router", "observed"), ("DLG001", "router", "observed")],
      ["DLG002", "DLG004", "ALG014", "ALG015"], {"disable-sip-alg": "suspected"},
      ["dropped"])  # fmt: skip
def _() -> House:
    """The same of a phone without rport, of whose provider nothing is known: it is the ALG, and
    whether the call would live without it only a trial can tell."""
    house = House("linux")
    register(house, 0, rport=False)
    _forced(answered(house, rport=False))
    return house


@case("alg011-near-miss-translated-port", [("ALG014", "router", "none")],
      [*DLG, "ALG010", "ALG011"],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The NAT gave the phone WAN port 40123: the ports differ between the two copies of every
    message, in headers and payload, and that is the mapping."""
    house = House("linux", wan_port=40123)
    register(house, 0)
    incoming_call(house, 1, "in@provider")
    outgoing_call(house, 12, "out@phone")
    return house


@case("alg011-near-miss-forced-but-answered", [("ALG011", "router", "latent")], DLG)
def _() -> House:
    """The router sends the provider's messages to port 5080, where this phone listens too
    (made for phones that answer on their Via port): the call lives. A wrong port, no harm, and
    no advice."""
    house = House("linux")
    register(house, 0)
    call = answered(house)
    call.ack(3.05, via_port=5080, lan_port=5080)
    call.phone_bye(9)
    return house


@case("alg011-near-miss-served-at-its-contact", must_not=["ALG011", *DLG],
      outcomes=["completed", "completed", "rejected"])  # fmt: skip
def _() -> House:
    """A phone that sends from port 49152 and listens on the port in its Via and its Contact, 5060:
    the router sends everything there, and each call lives or is refused."""
    house = House(port=49152, wan_port=49152)
    house.forced = 5060
    contact = f"<sip:100@{house.phone}:5060>"
    register(house, 0)
    served = incoming_call(house, 1, "in@provider", contact=contact,
                           fixed_contact=f"sip:100@{house.public}")  # fmt: skip
    assert served.answered
    outgoing_call(house, 12, "out@phone", contact=contact)
    busy = Outgoing(house, "refused@phone", contact=contact)
    busy.invite(30)
    busy.respond(31, 486)
    busy.nak(31.02)
    return house


@case("alg011-near-miss-later-ack-right", [("ALG011", "router", "latent")], ["DLG001", "DLG002"])
def _() -> House:
    """The first ACK goes to port 5080, the one to the repeated 2xx to the phone's own port: the
    2xx stops and the call lives for a minute. Nothing was hurt, so nothing is advised."""
    house = House("linux")
    register(house, 0)
    call = answered(house)
    call.ack(3.03, via_port=5080, lan_port=5080)
    call.ok(3.5)
    call.ack(3.55)
    call.bye(63)
    return house


def contact_port_kept(house: House) -> None:
    """A vendor's ALG that writes the phone's own port behind the public address."""
    whole = linux_out(*_four(house))
    wrong = re.compile(rb"(?m)^(Contact: .*?):%d" % house.wan_port)
    house.out_alg = lambda message: wrong.sub(rb"\g<1>:%d" % house.port, whole(message))


def _ack_to_contact(house: House, call_id: str, at: float) -> None:
    call = answered(house, call_id, at)
    for after in (0, *LADDER_2XX):
        call.ack(at + 2.05 + after, lan=False, wan_port=house.port)
    call.dropped(at + 2)


@case("alg011-contact-port",
      [("ALG011", "router", "observed"), ("DLG001", "router", "observed")],
      ["DLG002", "DLG004", "ALG014", "ALG015"], {"disable-sip-alg": "suspected"},
      ["dropped"])  # fmt: skip
def _() -> House:
    """Harm class A2: the mapping is port 40123, and the ALG writes :5060 into the Contact. The
    ACK comes to WAN port 5060, where there is no mapping. Harmful and the router's doing, seen
    once; and a provider that goes where the Contact says may go to the private one without the
    ALG: only suspected."""
    house = House("linux", wan_port=40123)
    contact_port_kept(house)
    register(house, 0)
    _ack_to_contact(house, "a2@provider", 2)
    return house


@case("alg011-contact-port-twice",
      [("ALG011", "router", "observed"), ("DLG001", "router", "observed")],
      ["DLG002", "DLG004", "ALG014", "ALG015"], {"disable-sip-alg": "suspected"},
      ["dropped", "dropped"])  # fmt: skip
def _() -> House:
    """The same twice, 100 s apart: independent. The provider fills rport in, but both ACKs went
    where the Contact says, so its NAT handling is not proved: still the trial decides."""
    house = House("linux", wan_port=40123)
    contact_port_kept(house)
    register(house, 0)
    _ack_to_contact(house, "a2-one@provider", 2)
    _ack_to_contact(house, "a2-two@provider", 102)
    return house


@case("alg011-contact-port-works-without",
      [("ALG011", "router", "observed"), ("DLG001", "router", "observed")],
      ["DLG002", "DLG004", "ALG015"], {"disable-sip-alg": "recommended"},
      ["dropped", "dropped", "completed"])  # fmt: skip
def _() -> House:
    """Twice, 100 s apart, after a call of the same phone and provider that lived with nothing
    rewritten and a private Contact: independent, and the counterfactual was seen."""
    house = House(wan_port=40123)
    register(house, 0)
    incoming_call(house, 1, "w@provider", fixed_contact=f"sip:100@{house.public}")
    house.out_alg = linux_out(*_four(house))
    house.in_alg = linux_in(*_four(house))
    contact_port_kept(house)
    _ack_to_contact(house, "a2-one@provider", 21)
    _ack_to_contact(house, "a2-two@provider", 121)
    return house


# ---- whose witness counts, and of which call ----


@case("alg011-witness-comes-later",
      [("ALG011", "router", "observed"), ("DLG001", "router", "observed")],
      ["DLG002", "DLG004", "ALG014", "ALG015"], {"disable-sip-alg": "recommended"},
      ["completed", "dropped"])  # fmt: skip
def _() -> House:
    """The call dies of a forced port first, so a trial is advised. Half a minute later the phone
    beside it shows that the provider handles a private Contact: the same advice is told again,
    surer and with its new reasons."""
    house = House("linux")
    register(house, 0)
    _forced(answered(house), 3)
    works_beside(house, 60)
    return house


def _beside_without_rport(house: House, call_id: str = "drop@provider") -> None:
    works_beside(house, 10)
    _forced(answered(house, call_id, at=21, rport=False), 23)


@case("alg011-other-phone-asks-rport",
      [("ALG011", "router", "observed"), ("DLG001", "router", "observed")],
      ["DLG002", "DLG004", "ALG014", "ALG015"], {"disable-sip-alg": "suspected"},
      ["completed", "dropped"])  # fmt: skip
def _() -> House:
    """The phone does not ask for rport, and the NAT gave it another port. That a phone beside it,
    which asks for rport, works with nothing rewritten is no witness for this one: without the ALG
    its responses would go to the port in its Via, where no mapping is."""
    house = House("linux", wan_port=40123)
    register(house, 0, rport=False)
    _beside_without_rport(house)
    return house


@case("alg011-needed-and-harmful",
      [("ALG011", "router", "observed"), ("DLG001", "router", "observed"),
       ("ALG015", "router", "none")],
      ["DLG002", "DLG004", "ALG014"], {"disable-sip-alg": "suspected"},
      ["completed", "completed", "dropped"])  # fmt: skip
def _() -> House:
    """The same after a call of this phone that lived because of the rewriting. The ALG carries one
    call and kills another: a trial tells, and nobody is told to keep the ALG beside it."""
    house = House("linux", wan_port=40123)
    register(house, 0, rport=False)
    incoming_call(house, 1, "carried@provider", rport=False)
    _beside_without_rport(house)
    return house


@case("alg011-other-contact-meanwhile",
      [("ALG011", "router", "observed"), ("DLG001", "router", "observed")],
      ["DLG002", "DLG004", "ALG015"], {"disable-sip-alg": "suspected"},
      ["dropped", "completed"])  # fmt: skip
def _() -> House:
    """During a call with a rewritten Contact the phone registers with one of another port, which
    the ALG leaves private. The BYE goes to the Contact that this call showed: nothing shows that
    the provider handles a private one."""
    house = House("linux")
    register(house, 0)
    call = answered(house, "meanwhile@provider")
    call.ack(3.05)
    asked = request(
        "REGISTER", "sip:example.net", via=f"{house.phone}:5060", branch="z9hG4bKreg2",
        call_id=f"reg2@{house.phone}", cseq=2, caller="<sip:100@example.net>;tag=r1",
        contact=f"<sip:100@{house.phone}:5070>", more=["Expires: 120"],
    )  # fmt: skip
    seen = house.out(10, asked)
    house.into(10.03, answer(200, seen, to_tag="reg", received=house.wan_ip, rport=5060,
                             contact=f"<sip:100@{house.phone}:5070>;expires=120"))  # fmt: skip
    call.bye(20)
    register(house, 30, n=3)
    _forced(answered(house, at=31), 33)
    return house


@case("alg011-public-contact-before",
      [("ALG011", "router", "observed"), ("DLG001", "router", "observed")],
      ["DLG002", "DLG004", "ALG014", "ALG015"], {"disable-sip-alg": "suspected"},
      ["dropped", "completed"])  # fmt: skip
def _() -> House:
    """A call with a public Contact (STUN) lived with nothing rewritten, and the phone registered
    with its private one only afterwards: no call with a private Contact was seen to work."""
    house = House()
    call = Incoming(house, "public@provider", contact=f"<sip:100@{house.public}>",
                    body=sdp(house.wan_ip))  # fmt: skip
    call.invite(1)
    call.ok(3)
    call.ack(3.05)
    register(house, 10)
    call.bye(20)
    house.out_alg = linux_out(*_four(house))
    house.in_alg = linux_in(*_four(house))
    register(house, 70, n=2)
    _forced(answered(house, at=81), 83)
    return house


@case("alg011-contact-port-reached-before",
      [("ALG011", "router", "latent"), ("DLG001", "network", "observed")],
      ["DLG002", "DLG004", "ALG014", "ALG015"], {},
      ["completed", "dropped", "dropped", "completed"])  # fmt: skip
def _() -> House:
    """The mapping is port 40123, the ALG writes :5060 into the Contact, and a call whose ACK came
    there was delivered. Two later calls lose their ACK before it comes to the WAN side: the wrong
    port is not why. ALG001's own wrong Contact is told, and harmed nobody."""
    house = House("linux", wan_port=40123)
    contact_port_kept(house)
    works_beside(house, 0)
    register(house, 5)
    call = answered(house, "reached@provider", 10)
    call.ack(12.05, wan_port=house.port)
    call.phone_bye(18)
    for call_id, at in (("lost-one@provider", 30), ("lost-two@provider", 130)):
        answered(house, call_id, at).dropped(at + 2)
    return house


# ---- ALG014, ALG015 ----


@case("alg014-benign",
      [("ALG014", "router", "none"), ("ALG001", "router", "none"), ("ALG002", "router", "none"),
       ("ALG006", "router", "none")],
      [*DLG, "ALG010", "ALG011", "ALG015"], outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """Scenario 2: the kernel's ALG, rport, calls both ways, everything put back on the way in."""
    house = House("linux")
    register(house, 0)
    incoming_call(house, 1, "in@provider")
    outgoing_call(house, 12, "out@phone")
    return house


@case("alg014-near-miss-refused", [("ALG001", "router", "none")],
      [*DLG, "ALG014", "ALG015", "ALG011"],
      outcomes=["rejected"])  # fmt: skip
def _() -> House:
    """Consistent rewriting of a call that was refused: nothing shows yet that calls complete."""
    house = House("linux")
    register(house, 0)
    call = Outgoing(house, "busy@phone")
    call.invite(1)
    call.respond(1.2, 486)
    call.nak(1.22)
    return house


@case("alg015-helpful", [("ALG015", "router", "none")], [*DLG, "ALG014", "ALG011"],
      {"keep-sip-alg": "recommended"}, ["completed", "completed"])  # fmt: skip
def _() -> House:
    """Scenario 3: neither the phone (no rport) nor the provider knows about NAT; the calls live
    because of the ALG."""
    house = House("linux")
    register(house, 0, rport=False, expires=3600)
    incoming_call(house, 1, "in@provider", rport=False)
    outgoing_call(house, 12, "out@phone", rport=False)
    return house


@case("alg015-near-miss-provider-handles-nat", [("ALG001", "router", "none")], [*DLG, "ALG015"],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """A phone without rport whose first call lived with nothing rewritten (the ALG was turned on
    afterwards): the provider handles the NAT by itself, nobody needs the ALG."""
    house = House()
    register(house, 0, rport=False)
    incoming_call(house, 1, "before@provider", rport=False, fixed_contact=f"sip:100@{house.public}")
    house.out_alg = linux_out(*_four(house))
    house.in_alg = linux_in(*_four(house))
    register(house, 20, rport=False, n=2)
    incoming_call(house, 21, "with@provider", rport=False)
    return house


# ---- ALG008 ----


def _swallowed(body: bytes, alg: str = "linux", again: tuple[float, ...] = LADDER_INVITE) -> House:
    """A call that works, then one whose INVITE has that body and never leaves the router."""
    house = House(alg)
    register(house, 0)
    outgoing_call(house, 1, "works@phone")
    call = Outgoing(house, "gone@phone", body=body)
    for after in (0, *again):
        call.invite(20 + after, wan=False)
    register(house, 60, n=2)
    return house


NAMED = b"v=0\r\no=fax 7 7 IN IP4 fax.example.org\r\ns=-\r\nc=IN IP4 192.168.1.10\r\nt=0 0\r\n"


@case("alg008-host-name-in-origin",
      [("ALG008", "router", "observed"), ("TXN001", "router", "observed")], DLG,
      {"disable-sip-alg": "suspected"}, ["unanswered", "completed"])  # fmt: skip
def _() -> House:
    """The o= line has a host name, which is legal. The kernel's helper, which rewrites all other
    messages of this line, drops the INVITE seven times."""
    return _swallowed(NAMED + b"m=audio 16384 RTP/AVP 8\r\n")


@case("alg008-media-port",
      [("ALG008", "router", "observed"), ("TXN001", "router", "observed")], DLG,
      {"disable-sip-alg": "suspected"}, ["unanswered", "completed"])  # fmt: skip
def _() -> House:
    """The media port is below 1024."""
    return _swallowed(sdp("192.168.1.10", 900))


@case("alg008-near-miss-no-helper", [("TXN001", "router", "observed")], ["ALG008", *DLG],
      outcomes=["unanswered", "completed"])  # fmt: skip
def _() -> House:
    """The same INVITE on a line of which nothing is rewritten: the router stopped it, and no helper
    is shown to be at work."""
    return _swallowed(NAMED + b"m=audio 16384 RTP/AVP 8\r\n", alg="")


@case("alg008-near-miss-no-reason", [("TXN001", "router", "observed")], ["ALG008", *DLG],
      outcomes=["unanswered", "completed"])  # fmt: skip
def _() -> House:
    """The helper is at work, and nothing in the INVITE is known to make it drop a message."""
    return _swallowed(sdp("192.168.1.10"))


@case("alg008-near-miss-like-let-through", [("TXN001", "router", "observed")], ["ALG008", *DLG],
      outcomes=["completed", "unanswered", "completed"])  # fmt: skip
def _() -> House:
    """The helper has let an INVITE with the same body through and rewritten it: whatever stopped
    the later one, it is not the host name in its o= line."""
    body = NAMED + b"m=audio 16384 RTP/AVP 8\r\n"
    house = _swallowed(body)
    outgoing_call(house, 10, "again@phone", body=body)
    return house


@case("alg008-near-miss-sent-once", [], ["ALG008", *DLG],
      outcomes=["unanswered", "completed"], state="hurts")  # fmt: skip
def _() -> House:
    """Nobody sends the INVITE again, as one does that gets no response: its response was not
    captured, or what was captured is not what was sent."""
    return _swallowed(NAMED + b"m=audio 16384 RTP/AVP 8\r\n", again=())


def _swallowed_inbound(host: str, alg: str = "linux", sport: int = 5060) -> House:
    """A call that works, then one from the provider with this host in its SDP, stopped here."""
    house = House(alg)
    register(house, 0)
    incoming_call(house, 1, "works@provider")
    call = Incoming(house, "gone@provider")
    call.invited = request(
        "INVITE", f"sip:100@{house.public}", via=f"{call.src}:{sport}", branch="z9hG4bKi-gone",
        call_id=call.call_id, cseq=1, caller=call._ids()["caller"], contact=call.far,
        body=sdp(host, 20000),
    )  # fmt: skip
    for after in (0, *LADDER_INVITE):
        call.invite(20 + after, lan=False, sport=sport)
    register(house, 60, n=2)
    return house


@case("alg008-inbound-host-name",
      [("ALG008", "router", "observed"), ("TXN001", "router", "observed")], DLG,
      {"disable-sip-alg": "suspected"}, ["unanswered", "completed"])  # fmt: skip
def _() -> House:
    """The provider's INVITE has a host name as SDP address. It comes through the mapping of the
    phone seven times, and the helper drops each."""
    return _swallowed_inbound("media.example.net")


@case("alg008-near-miss-inbound-no-reason", [("TXN001", "router", "observed")], ["ALG008", *DLG],
      outcomes=["unanswered", "completed"])  # fmt: skip
def _() -> House:
    """The same with an address in its SDP."""
    return _swallowed_inbound("203.0.113.5")


@case("alg008-near-miss-inbound-from-another-port", [("TXN001", "unknown", "observed")],
      ["ALG008", *DLG], outcomes=["unanswered", "completed"])  # fmt: skip
def _() -> House:
    """The same from a port to which the phone has sent nothing: every NAT drops it."""
    return _swallowed_inbound("media.example.net", sport=5062)


def _swallowed_answer(host: str, alg: str = "linux") -> House:
    """A call that works, then one whose 2xx has this host in its SDP and is stopped here."""
    house = House(alg)
    register(house, 0)
    outgoing_call(house, 1, "works@phone")
    call = Outgoing(house, "gone@phone")
    call.invite(20)
    call.respond(20.2, 180)
    for after in (0, *LADDER_2XX):
        call.respond(22 + after, 200, sdp(host, 20000), lan=False)
    call.far_bye(54)
    register(house, 60, n=2)
    return house


@case("alg008-inbound-answer-host-name",
      [("ALG008", "router", "observed"), ("DLG001", "router", "observed")], ["DLG002", "DLG004"],
      {"disable-sip-alg": "suspected"}, ["dropped", "completed"])  # fmt: skip
def _() -> House:
    """The 2xx to the phone's INVITE has a host name as SDP address, and the helper drops it."""
    return _swallowed_answer("media.example.net")


@case("alg008-near-miss-inbound-answer-no-helper", [("DLG001", "router", "observed")],
      ["ALG008", "DLG002", "DLG004"], outcomes=["dropped", "completed"])  # fmt: skip
def _() -> House:
    """The same where nothing is rewritten."""
    return _swallowed_answer("media.example.net", alg="")


@case("alg011-near-miss-ack-from-another-port",
      [("ALG011", "router", "latent"), ("DLG001", "provider", "observed")],
      ["DLG002", "DLG004", "ALG014", "ALG015"], {},
      ["dropped"])  # fmt: skip
def _() -> House:
    """The same wrong port in the Contact, but the provider sends its ACKs to the mapping all the
    same, from another port than its INVITE: every NAT drops them, and the Contact did no harm."""
    house = House("linux", wan_port=40123)
    contact_port_kept(house)
    register(house, 0)
    call = answered(house, "a2@provider", 2)
    for after in (0, *LADDER_2XX):
        call.ack(4.05 + after, lan=False, sport=5062, via_port=5062)
    call.dropped(4)
    return house
