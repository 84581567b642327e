# SPDX-License-Identifier: Apache-2.0
"""DLG008: one end ended the call, and the other did not learn of it.

What it sees
    A BYE in an established dialog is refused with 481, while no BYE of the other end was seen, or
    one stopped on the other side of this router. Or it is refused with 404, 408 or 410 by a proxy
    that cannot find the other end: it may still be in the call, or gone. The router is at fault if
    it had written something else than the Contact of the end that gets it into the Request-URI, or
    into that Contact before; its sender if that is the sender's own address, or if its Route is
    another one than in the call before. Or the end that refused it sends a BYE of its own later. Or
    a BYE is challenged (401, 407), and none with credentials follows in 32 s, or before a BYE of
    the other end 5 s later. Or a re-INVITE or UPDATE is refused with 481, without a BYE of either
    end in the 5 s after it.

Why it breaks calls
    The end left behind talks to nobody until its user hangs up. A PBX or a trunk may count the
    call, and bill it, for hours. If the phone had shown a private Contact and nobody handled the
    NAT, the other end's BYE went to this address and was lost.

What else looks the same
    Both ends hang up at the same moment: each sees the other's BYE, and 481 is right. The call was
    transferred. The other end's BYE came with another Call-ID. The WAN address changed during the
    call: the BYE went to the old one. The BYE went to another server than the call: its 481 tells
    nothing about the other end. A BYE with credentials was not captured (CAP002), or is unanswered
    (TXN003). The phone got another LAN address in the call, or left out the Route of its BYE, and
    the other end did not know it. The TCP connection of the call broke: the other end was
    restarted, and the address of the phone is no reason. A BYE to the URI that was called, without
    a Route: the other end may not tell it for one of this call. A private Contact is no cause if
    the provider was seen to find the phone past it.

Recommendation
    On the phone: rport, STUN or outbound (RFC 5626). At the provider: fix the Contact of endpoints
    behind NAT. For a challenge: check user name and password, and check that the phone answers the
    challenge of a BYE at all.

References
    RFC 3261 sections 12.2.2, 15.1.2, 22.2; RFC 3581; RFC 5626.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base import quote
from algwatch.base.native.layout import ROW_TCP
from algwatch.base.packet import LAN, WAN
from algwatch.base.sighting import AT, BITS, FROM_TAG, Sighting
from algwatch.compare.call import Call
from algwatch.compare.foreign import foreign_bye
from algwatch.compare.line import Line
from algwatch.compare.signs import TROUBLED
from algwatch.diagnose import (
    cause,
    in_house,
    misrouted,
    moved,
    other_server,
    renamed,
    retargeted,
    route_set,
)
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.reading import Reading
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.rules.dlg.dlg002_private_contact import (
    cause_of,
    nat_is_beyond,
    private_contact,
)
from algwatch.diagnose.subject import CALL
from algwatch.diagnose.to_itself import bye_by_another_route, bye_to_itself, bye_without_tag
from algwatch.sip.dialog import Dialog, DialogSet
from algwatch.sip.message import Message, to_text
from algwatch.sip.status_codes import GONE, NO_DIALOG
from algwatch.sip.timers import T4, TIMER_F

RULE = Rule(
    "DLG008", "ghost-dialog", "error", CALL, ("RFC 3261 15.1.2", "RFC 3261 12.2.2"),
    "One end had ended the call, and the other one did not hear of it.", when=TROUBLED,
)  # fmt: skip

NO_BYE = "the other end no longer has the call, and no BYE of it was seen"
FORGOTTEN = "the other end does not know the call any more, and no BYE of it was seen"
RESTARTED = (
    "Look in the log of the end that refused it: it may have been restarted in the middle of the "
    "call."
)
ASKS_FOR_BYE = (
    "Let the end that asked for credentials take a BYE of its calls without them: it knows the "
    "call by its tags."
)
KEPT = (
    "the other end did not take it for one of this call, and still had the call: its own BYE came "
    "later"
)


def check(call: Call, known: Known) -> Iterator[Finding]:
    given_up = _given_up(call, known)
    if given_up is not None:
        yield given_up
        return
    if call.disowned is not None:
        yield from _disowned(call, call.disowned, known)
        return
    if any(s.current is not None and 200 <= s.current.bye_status < 300 for s in call.seen):
        return  # an earlier BYE was accepted, and the other side does not show it
    for s in call.seen:
        d = s.current
        if d is None or d.bye_status not in GONE or not d.confirmed:
            continue
        if d.both_ended and not d.refused_first:
            continue
        if d.bye is None or renamed.refused_bye(call) or foreign_bye(call):
            continue  # the router had made it a stranger's (DLG009, ALG012)
        retargeted_bye = _retargeted(call, known, d, outward=False)
        if retargeted_bye is not None:
            yield retargeted_bye
            return
        for own, right in (
            (bye_without_tag(call), "with the tags of both ends"),
            (bye_to_itself(call, d.bye_by_caller),
             "with the Contact of the other end in its Request-URI"),
            (bye_by_another_route(call, d.bye_by_caller), "with the Route of the ACK"),
        ):  # fmt: skip
            if own is not None:
                yield _by_its_sender(call, known, d, *own, right)
                return
        if (changed := _retargeted(call, known, d, outward=True)) is not None:
            yield changed
            return
        other_name = known.other_name(d.bye)
        if other_name:
            yield _named_otherwise(call, known, d, d.bye, other_name)
            return
        # The phone sent this BYE, and the other end's would have been seen.
        phone = d.bye_by_caller != call.inbound and not known.lossy(call)
        where, why, so = "unknown", cause.UNKNOWN, ""
        said = NO_BYE
        line = known.line(call)
        shown = line.shown if line is not None and not known.finds_phone(line) else None
        host = step = ""
        elsewhere = None if d.refused_first else _other_bye(call, s)
        if elsewhere is not None:
            said = "the BYE of the other end came only to the other side of this router"
            if "BYE" in call.unpaired and not known.lossy(call):
                what = "the BYE of the other end came to this router, which did not send it on"
                reading = misrouted.given_to_no_phone(elsewhere, known, what)
                where, why, said = reading.where, reading.cause, reading.what
        elif d.refused_first:
            said = KEPT
        elif phone and (new := moved.sends_from_elsewhere(call, d.bye)) is not None:
            said, step = new.what, new.step
        elif d.bye_status != NO_DIALOG:
            said = "the other end was not found, and may still be in the call"
        elif phone and (went := other_server.elsewhere(call, d.bye, known)):
            said = f"it left for {went}, which has no such call"
            step = other_server.NEXT
        elif phone and (other := in_house.came_back_for(call, d.bye, "BYE")):
            said = f"it came back for {other}, a phone here, which did not take it for this call"
        elif phone and (dialled := route_set.dialled(d.bye)):
            said, step = f"the other end no longer has the call, or {dialled}", route_set.DIALLED
        elif phone and (no_route := route_set.unrouted(d.bye, line)):
            said, step = f"the other end no longer has the call, or {no_route}", route_set.UNROUTED
        elif call.two_sided and call.inbound is not None and phone and (old := _moved(call)):
            where = "network"
            so += f": this router's WAN address was {old} when the call began, and is another now"
        elif call.two_sided and call.inbound is not None and phone and _reconnected(call, d.bye):
            where = "network"
            so += ": the TCP connection of the call was not used any more, so the other end may "
            so += "have been restarted"
            step = "Look in the log of the provider's server for a restart in the middle of the "
            step += "call."
        elif call.two_sided and call.inbound is not None and phone:
            where = "network"
            if shown is not None:
                host = private_contact(shown, True, nat_is_beyond(call))
            if route_set.own_refresh(call) is not None:
                where, host = "unknown", ""  # DLG010 names the author of the new Contact
                so += ": the Contact of the phone had been changed meanwhile"
            elif not host and (again := _announced_again(call)):
                where = "unknown"
                so += (
                    f": the phone had sent its Contact {again} once more in the call, and a BYE "
                    "may have gone there"
                )
            if host and shown is not None:
                why = cause_of(call, host, shown)
                where = "provider" if why == cause.NAT_UNHANDLED else "phone"
                so += f": the phone's Contact was {host} on the WAN, where nobody can send to"
        proof = [evidence(d.bye, "the BYE", "200")]
        if d.bye_response is not None:
            proof.append(evidence(d.bye_response, f"refused with {d.bye_status}", "200"))
        if elsewhere is not None:
            proof.append(evidence(elsewhere, "the BYE of the other end", "its copy on both sides"))
        if host and shown is not None:
            proof.append(evidence(shown, f"Contact host {host}", "an address to send to"))
        yield RULE.finding(
            where, "observed",
            f"The BYE was refused with {d.bye_status}: {said}{so}.",
            proof, call.call_id, cause=why, call_id=call.call_id, line=line.name if line else "",
            next_step=step,
        )  # fmt: skip
        return


def _announced_again(call: Call) -> str:
    """The private Contact in the latest target refresh of the phone, on the WAN; "" without one. A
    provider may handle the NAT in the first INVITE, and not in this."""
    d = call.dialog(WAN)
    own = d.moved[0 if call.inbound else 1] if d is not None else None
    return private_contact(own, True, nat_is_beyond(call)) if own is not None else ""


def instead(said: Finding, line: Line) -> Finding:
    """The provider has since been seen to find the phone past its private Contact."""
    return RULE.finding(
        "network", said.harm, f"The BYE was refused with {NO_DIALOG}: {NO_BYE}.", said.evidence,
        said.key.partition("/")[2], cause=cause.UNKNOWN, call_id=said.call_id, line=said.line,
    )  # fmt: skip


def _disowned(call: Call, refusal: Sighting, known: Known) -> Iterator[Finding]:
    """A re-INVITE or UPDATE was refused with 481, and nobody has hung up. Its sender may have ended
    the call silently (RFC 3261 section 12.2.1.2)."""
    s = call.sides[refusal.side]
    if known.now - refusal.row[AT] < T4 or known.lossy(call) or s is None:
        return  # a BYE of the other end may be on its way
    method = quote.method(Message(refusal.payload).method)
    asked = "A re-INVITE" if method == "INVITE" else f"The {method}"
    from_phone = (refusal.row[FROM_TAG] == s.caller_tag) != call.inbound
    beyond = call.two_sided and call.inbound is not None and from_phone
    if call.unexplained or call.names is not None:
        beyond = False  # the router changed the dialog's names for the other end
    lan = call.dialog(LAN)
    sent = lan.refused[0] if lan is not None and lan.refused is not None else None
    new = moved.sends_from_elsewhere(call, sent) if from_phone else None
    yield RULE.finding(
        "network" if beyond and new is None else "unknown", "latent",
        f"{asked} in the call to {quote.somebody(call.to)} was refused with {NO_DIALOG}: "
        f"{FORGOTTEN if new is None else new.what}.",
        [evidence(refusal, f"refused with {NO_DIALOG}", "200")], call.call_id, cause=cause.UNKNOWN,
        call_id=call.call_id, line=known.line_name(call), symptom=True,
        next_step=RESTARTED if new is None else new.step,
    )  # fmt: skip


def _retargeted(call: Call, known: Known, d: Dialog, outward: bool) -> Finding | None:
    """The BYE came to the other end of the call with an address other than its Contact, written by
    the router. outward: the phone sent it."""
    lan, wan = call.dialog(LAN), call.dialog(WAN)
    if lan is None or wan is None or call.inbound is None or not (lan.bye and wan.bye):
        return None
    if outward != (d.bye_by_caller != call.inbound):
        return None
    if outward:
        reading = retargeted.on_the_way_out(call, lan.bye, wan.bye)
        what, came, left = "The BYE of the phone was refused", lan.bye, wan.bye
    else:
        reading = retargeted.by_request_uri(call, lan.bye, wan.bye)
        what, came, left = "The phone refused the BYE of the other end", wan.bye, lan.bye
    if reading is None:
        return None
    to = "left" if outward else "came to the phone"
    return RULE.finding(
        reading.where, "observed", f"{what} with {d.bye_status}: {reading.what}.",
        [evidence(came, "the BYE as it came", ""),
         evidence(left, f"as it {to}", "with the Contact of the end that gets it")],
        call.call_id, cause=reading.cause, call_id=call.call_id, line=known.line_name(call),
    )  # fmt: skip


def _by_its_sender(call: Call, known: Known, d: Dialog, bye: Sighting,
                   reading: Reading, right: str) -> Finding:  # fmt: skip
    """right: how the BYE would have to be."""
    proof = [evidence(bye, "the BYE", right)]
    if d.bye_response is not None:
        proof.append(evidence(d.bye_response, f"refused with {d.bye_status}", "200"))
    return RULE.finding(
        reading.where, "observed", f"The BYE was refused with {d.bye_status}: {reading.what}.",
        proof, call.call_id, cause=reading.cause, call_id=call.call_id,
        line=known.line_name(call),
    )  # fmt: skip


def _named_otherwise(call: Call, known: Known, d: Dialog, bye: Sighting,
                     other: bytes) -> Finding:  # fmt: skip
    """The BYE of the other end had the tags of this call and another Call-ID."""
    return RULE.finding(
        "network" if call.two_sided else "unknown", "observed",
        f"The BYE was refused with {d.bye_status}: the other end no longer has the call. Its own "
        "BYE had come with the tags of this call and another Call-ID, "
        f"{quote.quoted(to_text(other))}, and was refused as well.",
        [evidence(bye, "the BYE", "with the Call-ID that the BYE of the other end had")],
        call.call_id, cause=cause.UNKNOWN, call_id=call.call_id, line=known.line_name(call),
        next_step="Ask the provider which Call-ID it has seen in this call: if it is not the one "
        "that left here, a device in between (an ALG in a router or modem in front) changes it.",
    )  # fmt: skip


def _reconnected(call: Call, bye: Sighting) -> bool:
    """The BYE left over another TCP connection than the one of the INVITE. A phone keeps one as
    long as it stands (RFC 3261 section 18), and over it the other end finds a phone behind NAT."""
    began, left = call.flow_pairs.get("INVITE"), call.flow_pairs.get("BYE")
    if began is None or left is None or not bye.row[BITS] & ROW_TCP:
        return False
    return began.line == left.line and began.inside != left.inside


def _moved(call: Call) -> str:
    """The first WAN address of the call, if its BYE left with another one; else ""."""
    began, left = call.flow_pairs.get("INVITE"), call.flow_pairs.get("BYE")
    if began is None or left is None or began.wan_host == left.wan_host:
        return ""
    return began.wan_host


def _other_bye(call: Call, near: DialogSet) -> Sighting | None:
    """The BYE of the other end, seen on the other side of the router and not on near."""
    for s in call.seen:
        d = s.current
        if s is not near and d is not None and d.both_ended:
            unpaired = call.unpaired.get("BYE")
            return unpaired.entered if unpaired is not None else d.bye
    return None


def _given_up(call: Call, known: Known) -> Finding | None:
    """The BYE was challenged on every side with the call, and never sent with credentials."""
    every = [s.current for s in call.seen if s.current is not None]
    if len(every) != len(call.seen) or known.lossy(call):
        return None
    for d in every:
        if not (d.bye_given_up and d.confirmed) or (d.both_ended and not d.refused_first):
            return None
        if known.now - d.bye_at < TIMER_F and not d.refused_first:
            return None
        if known.capture.is_late(d.bye_at):
            return None
    d = every[0]
    if d.bye is None or d.bye_response is None:
        return None
    known_ends = call.two_sided and call.inbound is not None
    phone = known_ends and d.bye_by_caller != call.inbound
    status, line = Message(d.bye_response.payload).status, known.line(call)
    return RULE.finding(
        "phone" if phone else "unknown", "observed",
        f"The BYE was asked for credentials ({status}), and none with them was sent: the other end "
        "may still be in the call.",
        [evidence(d.bye, "the BYE", "a BYE with credentials after the challenge"),
         evidence(d.bye_response, f"asked for credentials with {status}", "")],
        call.call_id, cause=cause.REFUSED, call_id=call.call_id, line=line.name if line else "",
        next_step="Check the user name and the password that the phone has, and whether it answers "
        "the challenge of a BYE." if phone or not known_ends else ASKS_FOR_BYE,
    )  # fmt: skip
