# SPDX-License-Identifier: Apache-2.0
"""DLG010: a re-INVITE or UPDATE changed the remote target to an unreachable address.

What it sees
    A re-INVITE or UPDATE, or its 2xx, has a private or otherwise unroutable Contact, on a side it
    reached from a public address, and a later request got lost. The ACK to this 2xx never came; or
    the phone's BYE went to this address and was never answered; or the phone's BYE was refused
    because the far end had ended the call before, by a BYE that never came.

Why it breaks calls
    Both are target refresh requests: later requests go to the new Contact. The call works until a
    session refresh, a hold or a transfer. Then it drops, or one end stays in it alone.

What else looks the same
    A provider that sends to the source of packets, or a proxy in the route set that knows the way:
    nothing gets lost, no finding. A Contact unreachable from the beginning (DLG002). A refused
    re-INVITE or UPDATE (488, 491) changes no target.

Recommendation
    On the phone: the Contact of a re-INVITE or UPDATE has to be the INVITE's, by STUN or outbound
    (RFC 5626) behind a NAT. If the provider or the router writes it, the finding says so.

References
    RFC 3261 sections 12.2.1.2, 12.2.2, 14; RFC 3311 section 5.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base.packet import LAN, WAN
from algwatch.base.quote import host as shown_host
from algwatch.base.sighting import Sighting
from algwatch.compare.call import Call
from algwatch.compare.signs import REPEATED, TROUBLED
from algwatch.diagnose import cause, route_set
from algwatch.diagnose import lost_ack as lost
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import CALL
from algwatch.sip.message import Message, reach
from algwatch.sip.status_codes import GONE

RULE = Rule(
    "DLG010", "target-refresh", "error", CALL,
    ("RFC 3261 12.2.1.2", "RFC 3261 14", "RFC 3311 5"),
    "A re-INVITE or UPDATE changed the remote target to an address that cannot be reached.",
    two_sided=True, when=REPEATED | TROUBLED,
)  # fmt: skip


def check(call: Call, known: Known) -> Iterator[Finding]:
    inside, outside = call.dialog(LAN), call.dialog(WAN)
    if call.inbound is None or inside is None or outside is None or known.lossy(call):
        return
    own, how = route_set.own_refresh(call), lost.lost_ack(call, known)
    if own is not None:
        bye, gone = outside.bye, outside.bye_status in GONE and not outside.both_ended
        if how is not None and how.how == lost.NEVER_ON_WAN and own is outside.answer:
            harm = "observed" if how.dropped(known.now) else "latent"
            yield _of_phone(call, own, "no ACK to it ever came", None, known, harm)
        elif bye is not None and gone and outside.bye_by_caller != call.inbound:
            so = f"the BYE of the far end never came: that of the phone got {outside.bye_status}"
            yield _of_phone(call, own, so, bye, known, "observed")
    far = outside.moved[1 if call.inbound else 0]
    if far is not None and inside.bye is not None and inside.bye_unanswered:
        host = reach(far.payload)[2] or ""
        gone = route_set.unroutable_request(inside.bye) == (host, "Request-URI")
        if gone and not known.capture.is_late(inside.bye_at):
            yield _of_far(call, far, host, inside.bye, known)


def _of_phone(call: Call, refresh: Sighting, so: str, proof: Sighting | None, known: Known,
              harm: str) -> Finding:  # fmt: skip
    host, message = reach(refresh.payload)[2] or "", Message(refresh.payload)
    lan = call.dialog(LAN)
    copies = [one for one in lan.moved if one is not None] if lan is not None else []
    if lan is not None:
        copies += [one for one in (lan.answer, lan.request) if one is not None]
    mine = next((one for one in copies if _is_copy(one, refresh)), None)
    wrote = (reach(mine.payload)[2] or "") if mine is not None else host
    if route_set.rewrote(call, refresh, "Contact"):
        where, why, whose = "router", cause.ALG, "the router wrote it so"
    elif wrote == host:
        where, why, whose = "phone", cause.NAT_UNHANDLED, "the phone wrote it so"
    else:
        where, why, whose = "unknown", cause.UNKNOWN, "the phone had written another one"
    # The earlier Contact may be anything: a name, or text in brackets.
    before = shown_host(call.wan_contact)
    seen = [evidence(refresh, f"Contact host {host}; before: {before}",
                     "a Contact that can be reached")]  # fmt: skip
    if mine is not None:
        seen.append(evidence(mine, whose, ""))
    if proof is not None:
        seen.append(evidence(proof, "the BYE of the phone", "200"))
    return RULE.finding(
        where, harm,
        f"{_named(message)} changed the Contact of the phone from {before} to {host}, "
        f"which cannot be reached from {refresh.ends.dst}, and {so}; {whose}.",
        seen, f"{call.call_id}/phone", cause=why, certain=where == "router",
        call_id=call.call_id, line=known.line_name(call),
    )  # fmt: skip


def _of_far(call: Call, refresh: Sighting, host: str, bye: Sighting, known: Known) -> Finding:
    return RULE.finding(
        "provider", "observed",
        f"{_named(Message(refresh.payload))} of {refresh.ends.src} changed its Contact to {host}, "
        f"which {bye.ends.src} cannot reach: the BYE went there and was never answered, so the "
        "other end stays in the call.",
        [evidence(refresh, f"Contact host {host}", "a Contact that can be reached"),
         evidence(bye, f"BYE to {host}", "200")],
        f"{call.call_id}/far", cause=cause.PROVIDER, call_id=call.call_id,
        line=known.line_name(call),
    )  # fmt: skip


def _named(message: Message) -> str:
    method = "re-INVITE" if message.method == "INVITE" else "UPDATE"
    return f"The {message.status} to a {method}" if message.status else f"A {method}"


def _is_copy(one: Sighting, other: Sighting) -> bool:
    """True if both are copies of one message, by parts left alone if only the Contact is
    changed."""
    a, b = Message(one.payload), Message(other.payload)
    same = (a.status, a.method, a.cseq) == (b.status, b.method, b.cseq)
    return same and a.from_.tag == b.from_.tag
