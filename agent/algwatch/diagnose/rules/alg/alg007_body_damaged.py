# SPDX-License-Identifier: Apache-2.0
"""ALG007: the router damaged the body of a message.

What it sees
    A message over UDP had a fitting Content-Length when it entered the router, and has a wrong one
    when it left. The Linux helper counts from "v=" to the end of the datagram: too few bytes if SDP
    is one part of several (SIP-I, location). Or a body left with other lines than it had, and no
    c=, o= or m= among them.

Why it breaks calls
    The receiver cuts the body at Content-Length and so loses the closing boundary of the last part;
    or it waits for bytes that never come and answers 400, or discards the message (RFC 3261 section
    18.3). The call is refused, or nobody answers it.

What else looks the same
    A phone or provider writes a wrong Content-Length itself: both copies are wrong (MSG002). A
    Content-Length follows a body made longer or shorter by the router: this is right.

Recommendation
    Turn the SIP ALG off, if the calls of this line work without it.

References
    RFC 3261 sections 7.4, 18.3, 20.14; RFC 2046 section 5.1; net/netfilter/nf_nat_sip.c
    mangle_content_len(), nf_conntrack_sip.c ct_sip_get_sdp_header().
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base.sighting import STATUS
from algwatch.compare import fingerprint as prints
from algwatch.compare.call import Call
from algwatch.compare.crossing import Crossing
from algwatch.compare.differences import rewrites
from algwatch.compare.signs import REWRITTEN
from algwatch.diagnose import alg, cause, malformed
from algwatch.diagnose import lost_ack as lost
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import CALL
from algwatch.sip.message import Message
from algwatch.sip.transaction import UDP

RULE = Rule(
    "ALG007", "body-damaged", "warning", CALL,
    ("RFC 3261 7.4", "RFC 3261 18.3", "RFC 3261 20.14"),
    "The router damaged the body of a message.", two_sided=True, when=REWRITTEN,
)  # fmt: skip

# Refusals of an unreadable body.
_UNREADABLE = (400, 406, 413, 415, 488, 493, 500, 513, 606)


def check(call: Call, known: Known) -> Iterator[Finding]:
    for crossing in call.changed.values() if call.unexplained else ():
        what = _damage(crossing)
        if not what or prints.is_proxy(crossing):
            continue
        kind = alg.kind(crossing)
        harm, so = _harm(call, crossing, known)
        who = prints.looks_like(crossing)
        yield RULE.finding(
            "router", harm,
            f"The router damaged the body of the {kind}: {what}{so}.{alg.whose(who)}",
            [evidence(crossing.entered, "the body as it entered the router", "unchanged"),
             evidence(crossing.left, what, "a body that is whole")],
            f"{call.call_id if harm == 'observed' else alg.between(crossing)}/{kind}",
            cause=cause.ALG, certain=harm == "observed" and _is_cut(crossing), call_id=call.call_id,
            line=alg.between(crossing), fingerprint=who.name,
        )  # fmt: skip


def _damage(crossing: Crossing) -> str:
    """The defect of the left body, a clause; "" without one."""
    came, left = Message(crossing.entered.payload), Message(crossing.left.payload)
    said = _length(left)
    if crossing.left.ends.proto != UDP:
        # Over TCP Content-Length says where a message ends: a longer body goes on behind its end, a
        # shorter one takes bytes of the next message.
        same = said == _length(came) and came.body.endswith(b"\r\n")
        if same and not left.body.endswith(b"\r\n"):
            return f"Content-Length still says {said} bytes, and the body has another length"
        return ""
    if _length(came) in (None, len(came.body)) and said is not None and said != len(left.body):
        return f"Content-Length says {said} bytes, and {len(left.body)} came"
    lines = next((r for r in rewrites(crossing) if r.header == "Body" and r.field == "lines"), None)
    if lines is not None:
        return f"it entered with {lines.before} lines and left with {lines.after}"
    return ""


def _is_cut(crossing: Crossing) -> bool:
    """Content-Length and body disagree, so every receiver misreads the message."""
    left = Message(crossing.left.payload)
    return _length(left) not in (None, len(left.body))


def _length(message: Message) -> int | None:
    text = message.content_length
    return int(text[:9]) if text.isascii() and text.isdigit() else None


def _harm(call: Call, crossing: Crossing, known: Known) -> tuple[str, str]:
    how = lost.lost_ack(call, known) if alg.kind(crossing) == "2xx INVITE" else None
    if how is not None and how.dropped(known.now) and malformed.spoiled_ack(call, how) is not None:
        return "observed", "; it was never acknowledged"
    if crossing.entered.row[STATUS] or alg.kind(crossing) != "INVITE" or call.spoken:
        return "latent", ""
    for s in call.seen:
        if s.rejected in _UNREADABLE:
            return "observed", f"; it was refused with {s.rejected}"
    said = _length(Message(crossing.left.payload))
    short = said is not None and said > len(Message(crossing.left.payload).body)
    silent = all(s.timed_out for s in call.seen) and len(call.seen) > 1
    if short and silent and not known.lossy(call):
        return "observed", "; nobody answered it"
    return "latent", ""
