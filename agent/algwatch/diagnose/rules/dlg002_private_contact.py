"""DLG002: the Contact of a 2xx cannot be reached from the other side.

What it sees
    A 2xx to INVITE whose Contact on the WAN side is a private or otherwise unroutable address
    (RFC 1918, RFC 6598, link-local), no ACK that comes for it, and the 2xx repeated.

Why it breaks calls
    The ACK goes to the Contact of the 2xx (the remote target). From the other side of the NAT
    nobody can send to a private address: the ACK is lost and the callee ends the call after 32 s.
    Nobody handled the NAT: not the phone (rport, STUN, outbound), not an ALG, not the provider.

What else looks the same
    A provider that ignores the Contact and sends to where the 2xx came from: its calls complete,
    and once one did, an ACK that is missing was lost otherwise and this rule stays silent. A
    provider inside the same private network.

Recommendation
    On the phone: rport, STUN or outbound (RFC 5626). At the provider: fix the Contact of
    endpoints behind NAT. Turning the ALG off does not help: it left this Contact alone.

References
    RFC 3261 sections 12.1.2, 13.2.2.4; RFC 3581; RFC 5626.
"""

from __future__ import annotations

from algwatch.base import address
from algwatch.base.packet import LAN, WAN
from algwatch.compare.call import Call
from algwatch.diagnose import lost_ack as lost
from algwatch.diagnose.context import Context
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.rule import CALL, Rule, evidence
from algwatch.sip.message import Message

RULE = Rule(
    "DLG002", "private-contact", "error", CALL,
    ("RFC 3261 12.1.2", "RFC 3261 13.2.2.4", "RFC 3581", "RFC 5626"),
    "The Contact of a 2xx is a private address, so the ACK cannot come back through the NAT.",
)  # fmt: skip


def check(call: Call, context: Context) -> Finding | None:
    how = lost.lost_ack(call, context)
    if how is None or how.how not in (lost.NEVER_ON_WAN, lost.ONE_SIDED):
        return None
    outside = call.dialogs[WAN] if call.two_sided else how.dialog
    answer = outside.answer if outside is not None else None
    if answer is None or (not call.two_sided and answer.side == LAN):
        return None
    contacts = Message(answer.payload).contacts
    if not contacts or not address.is_unroutable(contacts[0].host):
        return None
    host, ends = contacts[0].host, answer.ends
    # Inside one private network, or seen before the NAT, a private Contact is right.
    if address.is_unroutable(ends.dst) or ends.src == host:
        return None
    if not call.two_sided and address.is_unroutable(ends.src):
        return None
    invite = call.flow_pairs.get("INVITE")
    if invite is not None and context.lines.of(invite).completed_untouched:
        return None  # this provider finds the phone in spite of its Contact
    contact = contacts[0].all.decode("utf-8", "replace")
    proof = [evidence(answer, f"Contact: {contact}", f"an address that {ends.dst} can reach")]
    lan = call.dialogs[LAN]
    if lan is not None and lan.answer is not None:
        same = Message(lan.answer.payload).contacts
        unchanged = bool(same) and same[0].all == contacts[0].all
        said = "the phone wrote it so" if unchanged else "the phone wrote another Contact"
        proof.append(evidence(lan.answer, said, ""))
    harm = "observed" if how.dropped(context.now) else "latent"
    return RULE.finding(
        "phone" if call.two_sided else "unknown", harm, call.call_id,
        f"The 2xx left for {ends.dst} with the Contact {host}, which cannot be reached from "
        "there, and no ACK came: nobody handled the NAT.",
        proof, call.call_id,
    )  # fmt: skip
