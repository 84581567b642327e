# SPDX-License-Identifier: Apache-2.0
"""DLG009: the router changed the names of a dialog and did not restore them.

What it sees
    The router writes another Call-ID, tag, branch or CSeq number into the messages of one
    direction, and leaves it in those of the other direction; or it changes the name in some methods
    and not in others, or in one message after others that crossed as they were. It hurts if an
    in-dialog request is refused with 481, if an end does not recognise the response to its request,
    or if an ACK fits nothing at its receiver.

Why it breaks calls
    Both ends know a dialog by its Call-ID and tags, and a transaction by its branch and CSeq. A BYE
    with another Call-ID is answered with 481, and the call goes on for the other user. A response
    with another branch is discarded: the phone repeats its INVITE, and nobody sends the ACK.

What else looks the same
    A router hides the Call-ID and restores it in every message (ALG005): the call completes. A
    B2BUA has a call of its own on each side. Both ends hang up at one moment: 481 is right. An end
    answers 481 to a BYE with the right names: DLG008.

Recommendation
    Turn the SIP ALG off, if the calls of this line work without it.

References
    RFC 3261 sections 8.2.6.2, 12.2.2, 17.1.3.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.compare.call import Call
from algwatch.compare.names import Broken
from algwatch.compare.signs import REWRITTEN
from algwatch.diagnose import cause, renamed
from algwatch.diagnose import lost_ack as lost
from algwatch.diagnose.finding import Evidence, Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import CALL
from algwatch.sip.status_codes import NO_DIALOG

RULE = Rule(
    "DLG009", "names-not-kept", "warning", CALL,
    ("RFC 3261 8.2.6.2", "RFC 3261 12.2.2", "RFC 3261 17.1.3"),
    "The router changed the Call-ID, a tag, the branch or CSeq one way and did not put it back.",
    two_sided=True, when=REWRITTEN,
)  # fmt: skip


def check(call: Call, known: Known) -> Iterator[Finding]:
    if call.names is None:
        return
    one = renamed.broken(call, False) or renamed.broken(call, True)
    if one is None:
        return
    harm, so, more = _harm(call, known)
    to = "from the phone" if one.crossing.outbound else "to the phone"
    knows = "the other end knows" if one.crossing.outbound else "the phone knows"
    if not one.crossing.outbound and " " in one.kind:  # a response
        knows = "the phone had written"
    yield RULE.finding(
        "router", harm,
        f"The router changes the {one.what} of a call and does not keep to it: the {one.kind} "
        f"{to} left with {renamed.name(one.became)}, and {knows} {renamed.name(one.was)}{so}.",
        [*_proof(call, one), *more], call.call_id, cause=cause.ALG,
        call_id=call.call_id, line=known.line_name(call),
    )  # fmt: skip


def _proof(call: Call, one: Broken) -> list[Evidence]:
    """Both copies of the message with the changed name, and of the one with another."""
    proof = []
    changed = call.names.changed.get(one.what) if call.names is not None else None
    for crossing, what in ((changed, "the router changed it here"), (one.crossing, "and not here")):
        if crossing is not None:
            proof.append(evidence(crossing.entered, f"{one.what}: {what}", ""))
            wanted = one.was if crossing is one.crossing else ""
            proof.append(evidence(crossing.left, "as it left the router", wanted))
    return proof


def _harm(call: Call, known: Known) -> tuple[str, str, list[Evidence]]:
    """Harm, a clause about it, and its proof."""
    refused = renamed.refused_bye(call)
    if refused is not None:
        status = NO_DIALOG
        said = f"; the BYE was refused with {status}, as of a call that is not known"
        return "observed", said, [evidence(refused, f"{status} to the BYE", "200")]
    how = lost.lost_ack(call, known)
    if how is not None and renamed.ack_unmatched(call, how) is not None:
        so = "; the ACK was not taken for one"
        if how.how in lost.UNTAKEN:
            so = "; the other end took the 2xx for no answer to its INVITE"
        elif how.how in (lost.ANSWER_STOPPED, lost.NOT_SENT):
            so = "; the phone took the 2xx for no answer to its INVITE"
        if how.dropped(known.now):
            return "observed", f"{so}, and the call was dropped", []
        return "latent", so, []
    caller = None if known.lossy(call) else call.near_caller
    if not call.inbound and caller is not None and renamed.none_taken(caller) and _answered(call):
        return "observed", "; the phone took none for the response to its INVITE", []
    return "latent", "", []


def _answered(call: Call) -> bool:
    """A response came to the phone with a name not its own."""
    one = renamed.broken(call, False)
    return one is not None and one.kind.endswith(" INVITE")
