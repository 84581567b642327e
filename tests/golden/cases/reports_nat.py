# SPDX-License-Identifier: Apache-2.0
"""Golden cases after public reports of routers and NATs: a watched trunk whose port forward is
gone, BYEs that name no call, messages cut in front of the router, ports named and not used, audio
that comes late."""

from __future__ import annotations

import struct
from ipaddress import ip_address

from craft import (
    LADDER_2XX,
    LADDER_INVITE,
    House,
    Incoming,
    Outgoing,
    Packet,
    answer,
    incoming_call,
    register,
    request,
    sdp,
)

from cases.case import ALG, DLG, PHONE_OR_PROVIDER, answered, case
from cases.reports import later
from cases.sdp import SDP, Audio, called

NO = [*DLG, *ALG]

# ---- a peer that asks with OPTIONS through a port forward, and no phone has sent it anything ----


def _asked(house: House, at: float, n: int, host: str, crosses: bool) -> None:
    asked = request(
        "OPTIONS", f"sip:gw@{house.public}", via=f"{host}:5060", branch=f"z9hG4bKo{n}",
        call_id=f"ask{n}@{host}", cseq=1, caller=f"<sip:pbx@{host}>;tag=o{n}",
        callee=f"<sip:gw@{house.public}>",
    )  # fmt: skip
    for after in (0,) if crosses else (0, 0.5, 1.5, 3.5):
        seen = house.into(at + after, asked, lan=crosses)
    if crosses:
        house.out(at + 0.01, answer(200, seen, to_tag=f"g{n}"))


def _watched(answered_ones: int, every: float, calls: float, asks: int = 8) -> House:
    """OPTIONS of a host outside, of which the first are answered and the others stop in the router.
    calls: of it, from this moment on, stop as well. asks: OPTIONS that stop."""
    house = House(phone="192.168.1.18")
    for n in range(answered_ones + asks):
        _asked(house, every * n, n, house.provider, n < answered_ones)
    call = Incoming(house, "dead@provider")
    for after in (0, *LADDER_INVITE):
        call.invite(calls + after, lan=False)
    return later(house, calls + 60)


@case("txn004-watched-trunk",
      [("TXN004", "router", "latent"), ("REG006", "router", "observed")], NO,
      outcomes=["unanswered", "completed"])  # fmt: skip
def _() -> House:
    """A PBX behind a port forward never registers, and its peer asks every ten seconds whether it
    is there. The forward breaks: neither OPTIONS nor calls get through any more."""
    return _watched(20, 10, 212)


@case("txn004-watched-trunk-called-late",
      [("TXN004", "router", "latent"), ("REG006", "router", "observed")], ["REG005", *NO],
      outcomes=["unanswered", "completed"])  # fmt: skip
def _() -> House:
    """The same watched once a minute, and the call comes 140 s after the last OPTIONS that got
    through. The way was closed a minute after it, as often as it had been open before: the silence
    is not why."""
    return _watched(8, 60, 560)


@case("reg005-trunk-called-after-a-silence",
      [("REG005", "router", "observed")], ["REG006", *NO],
      {"shorter-refresh-on-phone": "recommended"}, ["unanswered", "completed"])  # fmt: skip
def _() -> House:
    """The peer asks no more, and calls 200 s later: nothing has used the mapping meanwhile."""
    return _watched(8, 10, 270, asks=0)


@case("txn004-near-miss-scanner-banned", must_not=["TXN004", "REG006", "TXN001", *NO],
      outcomes=["unanswered", "completed"])  # fmt: skip
def _() -> House:
    """A scanner asks three times in six seconds, is answered, and is banned by the firewall."""
    return _watched(3, 3, 60)


@case("reg006-near-miss-trunk-never-registers", must_not=["REG006", "TXN001", *NO],
      outcomes=["completed", "unanswered", "completed"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """A trunk that neither registers nor asks with OPTIONS: one call comes by the port forward, the
    next one does not. Scanners call so as well, so nobody is blamed, and there is no all-clear."""
    house = House(phone="192.168.1.18")
    incoming_call(house, 1, "before@provider", fixed_contact=f"sip:gw@{house.public}")
    call = Incoming(house, "dead@provider")
    for after in (0, *LADDER_INVITE):
        call.invite(80 + after, lan=False)
    return later(house, 150)


# ---- BYEs that name no call ----


def _untagged(by_phone: bool, bare: bool = False) -> House:
    """A BYE without its From tag is refused with 481. bare: no message of that end has one."""
    house = House()
    register(house, 0)
    if by_phone:
        call = answered(house, "untagged@call")
        call.ack(3.05)
        made = request(
            "BYE", "sip:200@203.0.113.5:5060", via="192.168.1.10:5060", branch="z9hG4bKbye",
            call_id="untagged@call", cseq=1, caller="<sip:100@example.net>",
            callee=call._ids()["caller"],
        )  # fmt: skip
        house.into(20.03, answer(481, house.out(20, made)))
        return later(house)
    out = Outgoing(house, "untagged@call")
    out.invite(1)
    made = answer(
        200, out.seen, to_tag="" if bare else out._tag, contact=out.far_contact,
        body=sdp(house.provider, 20000), received=house.wan_ip, rport=5060,
    )  # fmt: skip
    house.into(3, made)
    tag = "" if bare else f";tag={out._tag}"
    house.out(3.02, out._request("ACK", 1, "sip:300@203.0.113.5:5060", tag))
    made = out.from_far("BYE").replace(f";tag={out._tag}".encode(), b"")
    house.out(20.02, answer(481, house.into(20, made), to_tag="none"))
    return later(house)


@case("dlg008-far-bye-without-tag", [("DLG008", "provider", "observed")], NO,
      {"provider-fix": "recommended"}, ["completed", "completed"])  # fmt: skip
def _() -> House:
    """The provider leaves the tag out of the From of its BYE: the phone knows no such call."""
    return _untagged(False)


@case("dlg008-bye-without-tag", [("DLG008", "phone", "observed")], NO,
      {"phone-fix": "recommended"}, ["completed", "completed"])  # fmt: skip
def _() -> House:
    """The phone leaves the tag out of the From of its BYE: the provider refuses it, and the far end
    stays in the call. Nobody beyond this router has lost a call."""
    return _untagged(True)


@case("dlg008-near-miss-never-a-tag", [("DLG008", "unknown", "observed")], NO,
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """A far end as old as RFC 2543 never writes a tag. Its BYE names the call as well as it can,
    and that the phone refuses it has another reason."""
    return _untagged(False, bare=True)


def _named(tag: str) -> House:
    """The BYE of the far end comes with another Call-ID and is refused, and so is the phone's own
    later. tag: of the far end in its BYE."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "named@192.168.1.10")
    call.invite(1)
    call.ok(3)
    call.ack(3.02)
    other = call.from_far("BYE").replace(b"named@192.168.1.10", b"named@198.51.100.2")
    other = other.replace(call._tag.encode(), tag.encode() or call._tag.encode())
    house.out(20.02, answer(481, house.into(20, other)))
    made = call._request("BYE", 2, "sip:300@203.0.113.5:5060", f";tag={call._tag}")
    house.into(60.03, answer(481, house.out(60, made)))
    return later(house)


@case("dlg008-bye-with-another-call-id", [("DLG008", "network", "observed")], NO,
      outcomes=["completed", "unknown", "completed"])  # fmt: skip
def _() -> House:
    """A modem in front hides private addresses in the Call-ID of what goes out and puts them back
    in responses, and not in the BYE of the far end. So the phone never learns that the call is
    over, and its own BYE is refused: its private Contact is not to blame for that."""
    return _named("")


@case("dlg008-near-miss-bye-of-another-call", [("DLG008", "provider", "observed")], NO,
      PHONE_OR_PROVIDER, ["completed", "unknown", "completed"])  # fmt: skip
def _() -> House:
    """The BYE that was refused before has other tags: it was of another call."""
    return _named("stranger")


# ---- a 2xx that came cut to this router ----


def _cut(taken: bool) -> House:
    house = House()
    register(house, 0)
    call = Outgoing(house, "cut@phone")
    call.invite(1)
    made = answer(200, call.seen, to_tag=call._tag, contact=call.far_contact,
                  body=sdp(house.provider, 20000), received=house.wan_ip, rport=5060)  # fmt: skip
    for after in (0,) if taken else (0, *LADDER_2XX):
        house.into(3 + after, made[:-50])
    if taken:
        call.ack(3.02)
    call.far_bye(35.2)
    return later(house)


@case("dlg001-answer-cut-beyond", [("DLG001", "network", "observed")], NO[1:],
      outcomes=["dropped", "completed"])  # fmt: skip
def _() -> House:
    """The 200 comes to this router shorter than its Content-Length says. The phone has to drop it,
    so that it sends no ACK is no fault of the phone."""
    return _cut(False)


@case("dlg001-near-miss-cut-and-acknowledged", [("MSG002", "provider", "latent")], NO,
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The phone is content with the same 200."""
    return _cut(True)


# ---- DS-Lite: this router puts IPv4 into IPv6, and the ISP translates ----


def _softwire(packet: Packet, wan: str) -> Packet:
    """RFC 6333."""
    at, data = packet
    home, isp = (ip_address(one).packed for one in ("2001:db8:a::1", "2001:db8:b::1"))
    ends = home + isp if data[26:30] == ip_address(wan).packed else isp + home
    return at, data[:12] + b"\x86\xdd" + struct.pack("!IHBB", 6 << 28, len(data) - 14, 4, 64) + (
        ends + data[14:]
    )  # fmt: skip


def _ds_lite(found: bool) -> House:
    house = House(wan="192.168.1.10")
    for n, at in enumerate((0, 90), 1):
        asked = request(
            "REGISTER", "sip:example.net", via="192.168.1.10:5060", branch=f"z9hG4bKreg{n}",
            call_id="reg@phone", cseq=n, caller="<sip:100@example.net>;tag=r1",
            contact=house.contact, more=["Expires: 120"],
        )  # fmt: skip
        house.into(at + 0.03, answer(
            200, house.out(at, asked), to_tag="reg", contact=f"{house.contact};expires=120",
            received="198.51.100.77", rport=61000,
        ))  # fmt: skip
    if found:
        incoming_call(house, 1, "lite@provider")
    else:
        answered(house, "lite@provider").dropped(3)
    house.wan = [_softwire(packet, house.wan_ip) for packet in house.wan]
    return house


@case("dlg002-ds-lite", [("DLG002", "phone", "observed")], ["NAT005", *ALG], PHONE_OR_PROVIDER,
      ["dropped"])  # fmt: skip
def _() -> House:
    """The NAT is the ISP's, behind a tunnel: nothing is translated here, and all the same the
    Contact leaves with an address that nobody can send to."""
    return _ds_lite(False)


@case("dlg002-near-miss-ds-lite-and-found", must_not=["NAT005", *NO])
def _() -> House:
    """The same line with a provider that sends to where packets come from."""
    return _ds_lite(True)


# ---- ports ----


def _unheard(port: int, via_port: int) -> House:
    """The phone sends its responses to port 5060 of the far end. port: the source of the INVITE;
    via_port: the one in its Via."""
    house = House(wan_port=40057)
    register(house, 0)
    call = Incoming(house, "unheard@provider", rport=False)
    for after in (0, *LADDER_INVITE):
        call.invite(10 + after, via_port=via_port, sport=port)
    for after in (0, *LADDER_2XX):
        call.ok(12 + after)
    return later(house)


@case("dlg001-answered-at-another-port", [("DLG001", "phone", "observed")], NO[1:],
      {"phone-fix": "recommended"}, ["completed", "dropped"])  # fmt: skip
def _() -> House:
    """The INVITE comes from port 8061 with this port in its Via, and the phone responds to the
    well-known one: nobody beyond this router loses anything."""
    return _unheard(8061, 8061)


@case("dlg001-near-miss-answered-at-the-port-in-via", [("DLG001", "network", "observed")], NO[1:],
      outcomes=["completed", "dropped"])  # fmt: skip
def _() -> House:
    """The INVITE comes from port 8061 and names 5060 in its Via, without rport: the phone does what
    RFC 3261 demands."""
    return _unheard(8061, 5060)


def _listens(taken: bool) -> House:
    """The provider sends from port 5061, and its Contact names none."""
    house = House()
    call = Outgoing(house, "port@phone", far_contact="<sip:300@203.0.113.5>")
    call.invite(1, dport=5061)
    for after in (0,) if taken else (0, *LADDER_2XX):
        call.ok(3 + after, sport=5061)
        call.ack(3.02 + after)
    house.out(35.02, answer(200, house.into(35, call.from_far("BYE"), sport=5061)), dport=5061)
    return later(house)


@case("dlg001-contact-names-another-port", [("DLG001", "network", "observed")], NO[1:],
      outcomes=["dropped", "completed"])  # fmt: skip
def _() -> House:
    """The ACK goes to port 5060, as a Contact without a port demands, and the 200 comes again."""
    return _listens(False)


@case("dlg001-near-miss-listens-at-the-port-in-contact", must_not=["DLG001", *NO],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The same provider listens at port 5060 as well."""
    return _listens(True)


def _another(gap: float) -> House:
    """An INVITE leaves with another port than the REGISTER before, and is refused."""
    house, other = House(wan_port=41836), House(wan_port=55191)
    register(house, 0, expires=1800)
    call = Outgoing(other, "port@phone")
    call.invite(gap)
    call.respond(gap + 0.05, 403)
    call.nak(gap + 0.06)
    house.lan += other.lan
    house.wan += other.wan
    return later(house, gap + 60)


@case("nat002-port-for-each-request", [("NAT002", "router", "latent")], NO, state="hurts",
      outcomes=["rejected", "completed"])  # fmt: skip
def _() -> House:
    """A router that bundles several lines gives each request another port: ten seconds after the
    REGISTER the provider refuses the INVITE with 403, as from a stranger."""
    return _another(10)


@case("nat002-near-miss-made-anew-after-silence", [("NAT002", "router", "none")], NO, state="hurts",
      outcomes=["rejected", "completed"])  # fmt: skip
def _() -> House:
    """The same after five minutes of silence: any NAT makes a new mapping then."""
    return _another(300)


# ---- audio that comes late ----


def _late(sends: float, wan: float = 3.1, lan: float = 18.1) -> House:
    """sends: when the phone begins to send RTP; wan, lan: when that to the phone begins there."""
    house = House()
    register(house, 0)
    called(house, 40)
    audio = Audio(house)
    audio.into(wan, lan, lan=False)
    audio.into(lan, 40)
    audio.out(sends, 40)
    return house


@case("sdp003-until-the-phone-sends", [("SDP003", "unknown", "observed")],
      ["SDP001", "SDP002", *DLG])  # fmt: skip
def _() -> House:
    """A PBX that forwards a call sends no RTP for fifteen seconds, and so long the NAT lets none
    in."""
    return _late(18)


@case("sdp003-opens-late", [("SDP003", "router", "observed")], ["SDP001", "SDP002", *DLG])
def _() -> House:
    """The phone sends from the beginning, and the router lets nothing in for fifteen seconds."""
    return _late(3.1)


@case("sdp003-near-miss-begins-late", must_not=[*SDP, *DLG])
def _() -> House:
    """The far end itself begins to send after fifteen seconds: a queue without music."""
    return _late(3.1, wan=18, lan=18)
