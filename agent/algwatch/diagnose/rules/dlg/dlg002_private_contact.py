# SPDX-License-Identifier: Apache-2.0
"""DLG002: the Contact of a 2xx is unreachable from the other side.

What it sees
    A 2xx to INVITE with a private or otherwise unroutable Contact on the WAN side (RFC 1918, RFC
    6598, link-local, unique local, 464XLAT; a name outside the public DNS, as localhost; or IPv6 to
    a far end with IPv4), no ACK for it, and the 2xx repeated; also where the ISP translates and not
    this router (DS-Lite). Or such a 2xx from beyond, without a Record-Route, to a call of the
    phone.

Why it breaks calls
    The ACK goes to the Contact of the 2xx (the remote target). Nobody beyond the NAT can send to a
    private address: the ACK is lost, and the callee ends the call after 32 s. The NAT was handled
    neither by the phone (rport, STUN, outbound) nor by an ALG nor by the provider.

What else looks the same
    A provider that ignores the Contact and sends to the source of the 2xx: its calls complete.
    After one such call a missing ACK has another cause, and this rule stays silent. A provider
    inside the same private network. A PBX in the LAN recorded as proxy: only this proxy has to
    reach the Contact (DLG005). A Contact reachable until a re-INVITE changed it (DLG010). A
    reachable Contact replaced by the router (ALG001, ALG011). A phone that asks for rport, and a
    router that changes received or rport: the phone cannot know its public address, and no place is
    named.

Recommendation
    On the phone: rport, STUN or outbound (RFC 5626). At the provider: fix the Contact of endpoints
    behind NAT. Turning the ALG off does not help: it left this Contact alone. Without a NAT, as
    with IPv6, the phone has to write the address that its packets come from.

References
    RFC 3261 sections 12.1.2, 13.2.2.4; RFC 3581; RFC 5626.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base import address
from algwatch.base.packet import LAN, WAN
from algwatch.base.quote import quoted, somebody
from algwatch.base.sighting import Sighting, are_copies
from algwatch.compare.call import Call
from algwatch.compare.line import RPORT_SPOILED, Line
from algwatch.compare.signs import REPEATED, TROUBLED
from algwatch.diagnose import after_refusal, cause, malformed, misrouted_ack, renamed, route_set
from algwatch.diagnose import lost_ack as lost
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.reading import Reading
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.stranger import called_by_stranger
from algwatch.diagnose.subject import CALL
from algwatch.sip.dialog import Dialog
from algwatch.sip.message import Message, to_text

RULE = Rule(
    "DLG002", "private-contact", "error", CALL,
    ("RFC 3261 12.1.2", "RFC 3261 13.2.2.4", "RFC 3581", "RFC 5626"),
    "The Contact of a 2xx is a private address, so the ACK cannot come back through the NAT.",
    when=REPEATED | TROUBLED,
)  # fmt: skip

ALONE = "Let the phone, or the router's firewall, accept calls of the phone's provider alone."


def check(call: Call, known: Known) -> Iterator[Finding]:
    how = lost.lost_ack(call, known)
    if how is not None and (reading := route_set.unroutable_contact(call, how)) is not None:
        yield _of_far(call, how, reading, known)
        return
    if how is None or how.how not in (lost.NEVER_ON_WAN, lost.ONE_SIDED, lost.STOPPED_INBOUND):
        return
    if how.how == lost.STOPPED_INBOUND and misrouted_ack.of_stranger(call) is None:
        return
    outside = call.sides[WAN] if call.two_sided else how.side
    answer = outside.current.answer if outside is not None and outside.current is not None else None
    if answer is None or (not call.two_sided and answer.side == LAN):
        return
    if malformed.unreadable_ack(call, how) is not None or renamed.answer_unknown(call, how):
        return  # nobody could read it, or it was no answer to anything
    if after_refusal.reading(call, how) is not None:
        return  # DLG001
    if how.dialog.stray_ack is not None:
        return  # the far end knows where to send it, and not its CSeq number
    host = private_contact(answer, call.two_sided, nat_is_beyond(call))
    if not host or (outside is not None and _is_behind_a_proxy(outside.current)):
        return
    lan = call.dialog(LAN)
    if lan is not None and _is_the_routers(lan.answer, answer):
        return
    ends = answer.ends
    line = known.line(call)
    again, stranger = how.dialog.confirmed, False
    if again and route_set.own_refresh(call) is not None:
        return  # the earlier Contact was reachable; this is a target refresh (DLG010)
    if not again and (known.finds_phone(line) if line is not None else known.reached(answer)):
        return
    proof = [evidence(answer, f"Contact: {quoted(_contact(answer))}", f"an address for {ends.dst}")]
    if lan is not None and lan.answer is not None:
        same = _contact(lan.answer) == _contact(answer)
        said = "the phone wrote it so" if same else "the phone wrote another Contact"
        proof.append(evidence(lan.answer, said, ""))
    if again:
        where, why = "provider", cause.PROVIDER_CONTACT
        so = "the ACK of an earlier 2xx of this call had come: the provider handled the NAT once"
    elif stranger := called_by_stranger(call, known):
        where, why, so = "network", cause.UNKNOWN, "its caller is a stranger to the phone"
    else:
        where, why, so = "phone", cause_of(call, host, answer), "nobody handled the NAT"
        if why == cause.PRIVATE_NAME:
            so = "the phone has to write an address there, and not a name known to itself alone"
        elif why == cause.NAT_UNHANDLED and _is_kept_from_knowing(line):
            where = "unknown"
            so += (
                ", and this router changed received and rport in the phone's messages, which tell "
                "a phone its public address"
            )
        elif why == cause.PHONE:
            so = f"the phone has to write the address that its packets come from, {ends.src}"
    went = "left for" if call.two_sided else "went to"
    yield RULE.finding(
        where if call.two_sided else "unknown",
        "observed" if how.dropped(known.now) else "latent",
        f"The 2xx {went} {ends.dst} with the Contact {host}, "
        f"which cannot be reached from there, and no ACK came: {so}.",
        proof, call.call_id, cause=why, call_id=call.call_id, line=line.name if line else "",
        next_step=ALONE if stranger else "",
    )  # fmt: skip


def instead(said: Finding, line: Line) -> Finding:
    """The provider has since been seen to find the phone past its private Contact."""
    return RULE.finding(
        "unknown", "none",
        f"The provider was seen to find {line.phone} past its private Contact since, so that is "
        "not why no ACK came.",
        said.evidence, said.key.partition("/")[2], cause=cause.NONE, call_id=said.call_id,
        line=said.line, severity="info",
    )  # fmt: skip


def _of_far(call: Call, how: lost.LostAck, reading: Reading, known: Known) -> Finding:
    """The 2xx of a callee beyond this router."""
    lan, line = call.dialog(LAN), known.line(call)
    assert lan is not None and lan.answer is not None
    answer = lan.answer
    proof = [evidence(answer, f"Contact: {quoted(_contact(answer))}",
                      f"an address for {answer.ends.dst}")]  # fmt: skip
    wan = call.dialog(WAN)
    if wan is not None and wan.answer is not None:
        proof.append(evidence(wan.answer, f"on the WAN: {quoted(_contact(wan.answer))}", ""))
    if lan.ack is not None:
        proof.append(evidence(lan.ack, f"the ACK went to {lan.ack.ends.dst}", "delivered"))
    return RULE.finding(
        reading.where, "observed" if how.dropped(known.now) else "latent",
        f"The 2xx of {somebody(call.to)} came from {answer.ends.src}, and the ACK cannot reach "
        f"its sender: {reading.what}.",
        proof, call.call_id, cause=reading.cause, certain=reading.cause == cause.ALG,
        call_id=call.call_id, line=line.name if line else "",
    )  # fmt: skip


def private_contact(message: Sighting, two_sided: bool, nat_beyond: bool = False) -> str:
    """The Contact host if unreachable for the far side of this WAN message, else "". nat_beyond:
    see nat_is_beyond()."""
    contacts = Message(message.payload).contacts
    host, ends = contacts[0].host if contacts else "", message.ends
    if not address.is_unreachable(host) and not (":" not in ends.dst and address.is_ipv6(host)):
        return ""  # the last: behind a NAT64, the far end may have IPv4 only
    # Inside one private network, or before the NAT, a private Contact is right.
    if address.is_unroutable(ends.dst) or (ends.src == host and not nat_beyond):
        return ""
    if not two_sided and address.is_unroutable(ends.src):
        return ""
    return host


def nat_is_beyond(call: Call) -> bool:
    """This router does not translate the private address of the phone, so somebody further on does
    (the ISP, with DS-Lite: RFC 6333), and the far end sees another one."""
    pair = call.flow_pair
    if not call.two_sided or pair is None or pair.translated or pair.phone != pair.wan_host:
        return False
    return address.is_unroutable(pair.phone) and not address.is_unroutable(pair.far)


def _is_the_routers(entered: Sighting | None, left: Sighting) -> bool:
    """It wrote this Contact in place of a reachable one, or of none (ALG001, ALG011)."""
    if entered is None or not are_copies(entered, left):
        return False
    wrote = Message(entered.payload).contacts
    if not wrote:
        return True
    same = wrote[0].host == Message(left.payload).contacts[0].host
    return not same and not address.is_unroutable(wrote[0].host)


def cause_of(call: Call, host: str, shown: Sighting) -> str:
    """Of an unreachable Contact. Without a NAT, the phone could write its own global IPv6 address.
    host: of the Contact in shown, on the WAN."""
    pair = call.flow_pair
    if not call.two_sided or pair is None:
        return cause.NAT_UNHANDLED
    if address.is_private_name(host):
        # The router may have written a changed one.
        return cause.NAT_UNHANDLED if call.changed else cause.PRIVATE_NAME
    own = ":" in host and ":" in shown.ends.src and not address.is_unroutable(shown.ends.src)
    return cause.PHONE if own and pair.phone == pair.wan_host else cause.NAT_UNHANDLED


def _is_behind_a_proxy(d: Dialog | None) -> bool:
    """A proxy in the LAN recorded itself: only this proxy has to reach the Contact."""
    return d is not None and bool(route_set.proxies_ahead(d))


def _is_kept_from_knowing(line: Line | None) -> bool:
    """The router changes received and rport. The Linux helper does so, too, and writes the public
    address into each Contact that names the phone's own port."""
    return line is not None and bool(line.count(RPORT_SPOILED)) and not line.linux


def _contact(message: Sighting) -> str:
    contacts = Message(message.payload).contacts
    return to_text(contacts[0].all) if contacts else ""
