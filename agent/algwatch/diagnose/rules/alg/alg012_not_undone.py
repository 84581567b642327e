# SPDX-License-Identifier: Apache-2.0
"""ALG012: the router did not restore on the way in what it wrote on the way out.

What it sees
    The router writes its public address into Via, Contact or Record-Route of the phone's messages.
    A response comes to the phone with this address still in Via, or a request inside the call with
    it still in the Request-URI or in the topmost Route. For Call-ID, tags and branch: DLG009.

Why it breaks calls
    A phone must discard a response whose topmost Via is not its own (RFC 3261 section 18.1.2): it
    repeats its request as without an answer. It may refuse a request with a foreign Request-URI
    (404, 481), or ignore it as an ACK, and it forwards a request with a foreign Route.

What else looks the same
    A phone wrote its public address itself (STUN): the router changed nothing on the way out, and
    has nothing to restore. A phone accepts all of it: then it did no harm.

Recommendation
    Turn the SIP ALG off, if the calls of this line work without it.

References
    RFC 3261 sections 12.2.2, 16.4, 18.1.2.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base.quote import host as shown_host
from algwatch.compare.call import Call
from algwatch.compare.crossing import Crossing
from algwatch.compare.differences import rewrites
from algwatch.compare.foreign import foreign_bye
from algwatch.compare.restored import FROM, REQUEST_URI, VIA
from algwatch.compare.signs import REWRITTEN
from algwatch.diagnose import alg, cause, renamed
from algwatch.diagnose import lost_ack as lost
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import CALL
from algwatch.sip.message import Message

RULE = Rule(
    "ALG012", "not-undone", "warning", CALL,
    ("RFC 3261 12.2.2", "RFC 3261 16.4", "RFC 3261 18.1.2"),
    "An address that the router wrote on the way out was not put back on the way in.",
    two_sided=True, when=REWRITTEN,
)  # fmt: skip


def check(call: Call, known: Known) -> Iterator[Finding]:
    for what, crossing in call.unrestored.items():
        if FROM[what] not in call.wrote:
            continue
        harm, so = _harm(call, what, known)
        # The reason for an ignored ACK is less sure than for a refused BYE.
        sure = what != REQUEST_URI or foreign_bye(call) is not None
        pair = crossing.flow_pair
        assert pair is not None
        changed = _written(call, FROM[what])
        proof = [
            evidence(crossing.entered, f"{what} with {pair.wan_host}", ""),
            evidence(crossing.left, f"{what} with {pair.wan_host}", pair.phone),
        ]
        if changed is not None:
            proof[:0] = alg.both_copies(changed, alg.of_header(changed, FROM[what]))
        yield RULE.finding(
            "router", harm,
            f"The router writes {shown_host(pair.wan_host)} into {FROM[what]} on the way out, and "
            f"did not put the phone's own address back: it stands in the {what} of "
            f"{_what(crossing)} that came to the phone{so}.",
            proof, f"{call.call_id if harm == 'observed' else alg.between(crossing)}/{what}",
            cause=cause.ALG, certain=sure and harm == "observed", call_id=call.call_id,
            line=alg.between(crossing),
        )  # fmt: skip


def _written(call: Call, header: str) -> Crossing | None:
    """A message that left with another address in this header field, if still known."""
    for crossing in call.changed.values():
        if crossing.outbound and any(r.header == header for r in rewrites(crossing)):
            return crossing
    return None


def _what(crossing: Crossing) -> str:
    return f"the {alg.kind(crossing)}"


def _harm(call: Call, what: str, known: Known) -> tuple[str, str]:
    if what == VIA:
        how = lost.lost_ack(call, known)
        if how is not None and renamed.ack_unmatched(call, how) is not None:
            return ("observed" if how.dropped(known.now) else "latent"), (
                "; the phone did not take the 2xx for an answer, and sent no ACK"
            )
        caller = None if known.lossy(call) else call.near_caller
        if not call.inbound and caller is not None and renamed.none_taken(caller):
            return "observed", "; the phone took none for the response to its INVITE"
    if what != REQUEST_URI:
        return "latent", ""
    refused = foreign_bye(call)
    if refused is not None:
        return "observed", f"; the phone refused the BYE with {Message(refused.payload).status}"
    how = lost.lost_ack(call, known)
    if how is not None and renamed.ack_foreign(call, how, known) is not None:
        return ("observed" if how.dropped(known.now) else "latent"), "; the phone did not take it"
    return "latent", ""
