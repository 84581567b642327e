# SPDX-License-Identifier: Apache-2.0
"""DLG012: a transfer names an unknown dialog, or a NOTIFY cannot arrive.

What it sees
    A REFER with Replaces in its Refer-To failed (its NOTIFY reports 481, 404 or another failure),
    or an INVITE with Replaces was refused with 481, and the router had given the named dialog
    another Call-ID or tag on the side of the search. A REFER was refused, or a transfer failed, for
    a reason other than a person's, or its Replaces names the call of the REFER itself. A SUBSCRIBE
    was accepted and got no NOTIFY in 32 s; the finding tells how far NOTIFY requests came. Or a
    NOTIFY was refused with 481 or 482 although the subscription lived, or the call of its REFER; or
    with 500 because its CSeq number is not above the one before. Or the refresh of a subscription
    was refused, and the phone did not subscribe anew in 32 s.

Why it breaks calls
    An attended transfer ends in 481, with the caller between the two phones. Without NOTIFY the
    lamps for new messages (MWI) and for other phones (BLF) stay dark: the NOTIFY goes to the
    Contact of the SUBSCRIBE, a private address or another phone's.

What else looks the same
    481 to a NOTIFY after the phone has ended its subscription (Expires: 0) or left the call of its
    REFER, after one with the state terminated, or from a second notifier of a forked SUBSCRIBE; or
    to that of a phone that was restarted and has subscribed anew. A NOTIFY without a subscription
    (old PBXs send them). A REFER with Refer-Sub: false, and any REFER without NOTIFY: not all
    phones send it. A transfer refused for another reason than the name, such as 486 or 603. An
    unanswered REFER: TXN003.

Recommendation
    For a private Contact: rport, STUN or outbound on the phone, or a provider that sends to the
    source of packets. For a changed Call-ID or tag: turn off the ALG of the router.

References
    RFC 6665 sections 4.1.2.4, 4.1.3, 4.2.2; RFC 3515 section 2.4; RFC 3891 section 3.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base import address
from algwatch.base.packet import LAN, WAN
from algwatch.base.quote import host as shown_host
from algwatch.base.quote import quoted, somebody
from algwatch.base.sighting import AT, Sighting, are_copies
from algwatch.compare.call import Call
from algwatch.compare.crossing import Crossing
from algwatch.compare.line import Line
from algwatch.compare.replaces import replaced
from algwatch.compare.subscribed import Subscribed
from algwatch.diagnose import cause, misrouted
from algwatch.diagnose.finding import Evidence, Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.reading import Reading
from algwatch.diagnose.refused_notify import contact_of, refused_here
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import SUBSCRIPTION
from algwatch.sip.message import Message, to_text
from algwatch.sip.status_codes import CHALLENGES, NO_FAULT
from algwatch.sip.subscription import Subscription
from algwatch.sip.target import same_endpoint
from algwatch.sip.timers import ROUND, TIMER_F

RULE = Rule(
    "DLG012", "subscription-broken", "warning", SUBSCRIPTION,
    ("RFC 6665 4.1.2.4", "RFC 6665 4.1.3", "RFC 3515 2.4", "RFC 3891 3"),
    "A transfer names a dialog that is not known by that name, or a NOTIFY cannot arrive.",
)  # fmt: skip

# The reason is a person, a dialled number, or two crossing re-INVITEs.
DECLINED = (*NO_FAULT, 491)
DEAF = "No NOTIFY came in 32 s after the SUBSCRIBE was accepted"
NONE_CAME = "none came to this router's WAN side"
UNKNOWN_NAME = (404, 481)  # a Replaces without a matching dialog; 404 from some B2BUAs


def check(thing: Subscribed | Call, known: Known) -> Iterator[Finding]:
    if isinstance(thing, Call):
        yield from _replaces(thing, known)
        return
    if thing.near.is_refer:
        yield from _refer(thing, known)
    else:
        yield from _lapsed(thing, known)
        yield from _subscribe(thing, known)


def _lapsed(one: Subscribed, known: Known) -> Iterator[Finding]:
    """A refresh was refused, and the phone did not subscribe anew."""
    refused, side = one.near.lapsed, one.near.side
    request = refused.request if refused is not None else None
    if refused is None or request is None or one.outbound is False or one.is_over:
        return
    if refused is not one.near.transaction:
        return  # it tries again
    if min(known.now, one.until[side]) - refused.final_at < TIMER_F or known.made_anew(one):
        return  # it may still do so, or has
    proof = [evidence(request, "the refresh", "200, or a new SUBSCRIBE after it")]
    if refused.response is not None:
        proof.append(evidence(refused.response, f"refused with {refused.status}", "200"))
    yield RULE.finding(
        "unknown", "observed",
        f"The subscription to {somebody(one.to)} was not renewed: its refresh was refused with "
        f"{refused.status}, and its subscriber did not subscribe anew (RFC 6665 section 4.1.2.2).",
        proof, f"{one.call_id}/lapsed", cause=cause.REFUSED, call_id=one.call_id,
        line=known.line_name(one),
        next_step="Restart the phone, so that it subscribes anew; if this happens again, ask the "
        f"provider why it refuses with {refused.status} (481: its server was restarted), and the "
        "maker of the phone why it gives up.",
    )  # fmt: skip


def _replaces(call: Call, known: Known) -> Iterator[Finding]:
    """An INVITE with Replaces, refused by its callee."""
    if call.inbound is None or not call.paired:
        return
    s = call.sides[LAN if call.inbound else WAN]
    if s is None or s.request is None:
        return
    shown = known.renamed(s.request, call.inbound)
    if shown is None:
        return
    yield RULE.finding(
        "router", "observed",
        f"The call to {somebody(call.to)} was to replace another one (Replaces) and was refused "
        f"with {s.rejected}: {_renamed(shown)}.",
        [evidence(s.request, "names the dialog", "the name that its callee knows"),
         *_both(shown)],
        f"{call.call_id}/replaces", cause=cause.ALG, call_id=call.call_id,
        line=known.line_name(call),
    )  # fmt: skip


def _refer(one: Subscribed, known: Known) -> Iterator[Finding]:
    refused = one.result or one.near.status
    copy = one.copy(WAN if one.outbound else LAN) or one.near.request
    if copy is None:
        return
    if refused < 300 and one.refused is not None and not _hung_up(one.refused, known):
        yield from _notify_refused(one, one.refused, known)
        return
    if refused not in UNKNOWN_NAME or replaced(copy.payload) is None:
        if refused >= 400 and refused not in (*CHALLENGES, *DECLINED):
            yield _failed(one, copy, refused, known)
        return
    shown = None
    if one.outbound is not None:
        shown = known.renamed(copy, not one.outbound)
    wanted, refer = replaced(copy.payload), Message(copy.payload)
    own = refer.call_id, frozenset((refer.from_.tag, refer.to.tag))
    if wanted == own:
        yield _itself(one, copy, refused, known)
        return
    proof = [evidence(copy, "names the dialog in Refer-To", "the name that is known there")]
    told = next((s.notify for s in one.seen if s.notify is not None), None)
    if told is not None:
        proof.append(evidence(told, f"the transfer ended with {refused}", "200"))
    what = "no dialog has the name in it, and nothing shows that this router changed it"
    if shown is not None:
        proof += _both(shown)
        what = _renamed(shown)
    yield RULE.finding(
        "router" if shown else "unknown", "observed" if shown else "latent",
        f"The transfer (REFER to {somebody(one.to)}) ended with {refused}: {what}.",
        proof, f"{one.call_id}/refer", cause=cause.ALG if shown else cause.UNKNOWN,
        call_id=one.call_id, line=known.line_name(one), symptom=not shown,
    )  # fmt: skip


def _itself(one: Subscribed, copy: Sighting, refused: int, known: Known) -> Finding:
    """A REFER within a call, to replace this very call: nobody can be connected so."""
    where = "unknown"
    if one.two_sided and one.paired and one.outbound is not None:
        where = "phone" if one.outbound else "provider"
    return RULE.finding(
        where, "observed",
        f"The transfer (REFER to {somebody(one.to)}) ended with {refused}: its Replaces names the "
        "call that the REFER was sent in, not the one to the transfer target.",
        [evidence(copy, "the REFER", "the Call-ID and tags of the other call in Replaces")],
        f"{one.call_id}/refer", cause=cause.of_place(where), call_id=one.call_id,
        line=known.line_name(one),
    )  # fmt: skip


def _failed(one: Subscribed, copy: Sighting, refused: int, known: Known) -> Finding:
    proof = [evidence(copy, "the REFER", "202")]
    told = next((s.notify for s in one.seen if s.notify is not None), None)
    what = f"was refused with {refused}"
    if one.result and told is not None:
        proof.append(evidence(told, f"the transfer ended with {refused}", "200"))
        what = f"was accepted, and the transfer ended with {refused}"
    return RULE.finding(
        "unknown", "observed", f"The REFER to {somebody(one.to)} {what}.", proof,
        f"{one.call_id}/refer", cause=cause.REFUSED, call_id=one.call_id,
        line=known.line_name(one), symptom=True,
        next_step="Ask whoever refused the transfer what that status stands for there.",
    )  # fmt: skip


def _renamed(shown: Crossing) -> str:
    assert shown.lan is not None and shown.wan is not None
    lan, wan = Message(shown.lan.payload), Message(shown.wan.payload)
    what, one, two = "Call-ID", lan.call_id, wan.call_id
    if one == two:
        what, one, two = "From tag", lan.from_.tag, wan.from_.tag
    if one == two:
        what, one, two = "To tag", lan.to.tag, wan.to.tag
    return (
        f"the router had changed the {what} of the dialog that it names, {quoted(to_text(one))} in "
        f"the LAN and {quoted(to_text(two))} on the WAN"
    )


def _both(shown: Crossing) -> list[Evidence]:
    copies = (shown.lan, shown.wan)
    return [evidence(c, "the dialog that is named", "one name on both sides")
            for c in copies if c is not None]  # fmt: skip


def _subscribe(one: Subscribed, known: Known) -> Iterator[Finding]:
    deaf, refused, late = one.is_deaf(known.now), one.refused, one.disordered
    if one.outbound is False or one.is_over or not (deaf or refused or late):
        return
    proof = []
    if late is not None and late.failed is not None and late.failed.request is not None:
        where = "provider" if one.outbound and one.paired else "unknown"
        reading = Reading(where, cause.of_place(where), (
            f"its CSeq number is {late.failed.cseq}, and a NOTIFY had {late.number} before (RFC "
            "3261 section 12.2.2)"
        ))  # fmt: skip
        said = "A NOTIFY was refused with 500"
        proof.append(evidence(late.failed.request, f"CSeq {late.failed.cseq}",
                              f"a number above {late.number}"))  # fmt: skip
    elif refused is not None:
        yield from _notify_refused(one, refused, known)
        return
    else:
        reading = _deaf(one, known)
        said = DEAF
    hurt = bool(late) or reading.cause != cause.UNKNOWN
    yield from _told(one, said, reading, proof, hurt, known)


def _notify_refused(one: Subscribed, refused: Subscription, known: Known) -> Iterator[Finding]:
    reading, failed = refused_here(one), refused.failed
    if reading is None or (reading.where != "router" and known.made_anew(one)):
        return
    if failed is None or failed.request is None:
        return
    proof = [evidence(failed.request, "the NOTIFY", "200")]
    if failed.response is not None:
        proof.append(evidence(failed.response, f"refused with {failed.status}", "200"))
    said = f"A NOTIFY was refused with {failed.status} although the subscription lived"
    yield from _told(one, said, reading, proof, True, known)


def _hung_up(refused: Subscription, known: Known) -> bool:
    """The call of a REFER was over when its NOTIFY came: most phones forget it with the call."""
    request = refused.failed.request if refused.failed is not None else None
    call = known.call(request) if request is not None else None
    if call is None or request is None:
        return True
    return any(s.bye_at and s.bye_at < request.row[AT] + ROUND for s in call.seen)


def _told(one: Subscribed, said: str, reading: Reading, proof: list[Evidence], hurt: bool,
          known: Known) -> Iterator[Finding]:  # fmt: skip
    near = one.near
    if near.request is not None:
        what = "the REFER" if near.is_refer else "the SUBSCRIBE"
        proof.append(evidence(near.request, what, "a NOTIFY"))
    if near.accepted is not None:
        proof.append(evidence(near.accepted, "accepted", "a NOTIFY at once (RFC 6665 4.2.1.2)"))
    if proof:
        yield RULE.finding(
            reading.where, "observed" if hurt else "latent",
            f"{said} (subscription to {somebody(one.to)}): {reading.what}.", proof,
            f"{one.call_id}/notify", cause=reading.cause, call_id=one.call_id,
            line=known.line_name(one), symptom=not hurt,
        )  # fmt: skip


def instead(said: Finding, line: Line) -> Finding:
    """The provider has since been seen to find the phone past its private Contact."""
    return RULE.finding(
        "network", "latent", f"{DEAF}: {NONE_CAME}.", said.evidence, said.key.partition("/")[2],
        cause=cause.UNKNOWN, call_id=said.call_id, line=said.line, symptom=True,
    )  # fmt: skip


def _deaf(one: Subscribed, known: Known) -> Reading:
    """The place of the lost NOTIFY of an accepted SUBSCRIBE."""
    wan, lan = one.sides[WAN], one.sides[LAN]
    if not one.two_sided or wan is None or lan is None or not one.outbound:
        return Reading("unknown", cause.UNKNOWN, "none is on this side of the router")
    lost = wan.request is not None and known.capture.lost_by(wan.request)
    if lost or known.capture.is_late(wan.accepted_at or lan.started_at):
        return Reading("unknown", cause.UNKNOWN, "not all of it was captured")
    shown, wrote = contact_of(wan.request), contact_of(lan.request)
    if wan.notify is None:
        if shown is None or wan.request is None:
            return Reading("network", cause.UNKNOWN, NONE_CAME)
        line = known.line(one)
        if line is not None and known.finds_phone(line):
            return Reading("network", cause.UNKNOWN, NONE_CAME)
        if address.is_unreachable(shown.host) and not address.is_unroutable(wan.request.ends.dst):
            if wrote is None or not are_copies(lan.request, wan.request):
                return Reading("network", cause.UNKNOWN, NONE_CAME)
            if same_endpoint(wrote, shown):
                return Reading("phone", cause.of_contact(shown.host), (
                    f"the phone's Contact was {shown_host(shown.host)} on the WAN, where nobody "
                    "can send to, and neither end handled the NAT"
                ))  # fmt: skip
            return Reading("router", cause.ALG, (
                f"the router made the Contact {shown_host(shown.host)}, where nobody can send to"
            ))  # fmt: skip
        return Reading("network", cause.UNKNOWN, NONE_CAME)
    if "NOTIFY" not in one.unpaired or wan.request is None:
        return Reading("unknown", cause.UNKNOWN, "it is not known what became of it")
    went, came = wan.notify.ends, wan.request.ends
    if (went.dst, went.dport) == (came.src, came.sport):
        what = "it came to this router and was given to no phone"
        return misrouted.given_to_no_phone(wan.notify, known, what)
    what = f"it was sent to {went.receiver}, but the SUBSCRIBE came from {came.sender}"
    if shown is None or (shown.host, shown.port or 5060) != (went.dst, went.dport):
        return Reading("provider", cause.PROVIDER, what)
    if wrote is None or not are_copies(lan.request, wan.request):
        return Reading("unknown", cause.UNKNOWN, f"{what}, as its Contact said")
    if same_endpoint(wrote, shown):
        return Reading("phone", cause.NAT_UNHANDLED, f"{what}, as its Contact said")
    return Reading(
        "router", cause.ALG, f"{what}, as its Contact said, which the router had written"
    )
