# SPDX-License-Identifier: Apache-2.0
"""TXN008: the ACK to a 2xx has a wrong branch, tag or CSeq.

What it sees
    An ACK to a 2xx reuses the branch of its INVITE, on every captured hop or on one, has another To
    tag than the 2xx, or another CSeq number than its INVITE.

Why it breaks calls
    The ACK to a 2xx is a transaction of its own. With the INVITE's branch it belongs, for a strict
    phone, to the INVITE transaction, already over: the phone goes on repeating its 2xx and ends the
    call after 32 s. Many phones accept such an ACK, and the call lives.

What else looks the same
    The ACK to a refusal (3xx to 6xx) must have the INVITE's branch. An SBC changes To tags hop by
    hop, and ACKs with them: acknowledged, a warning.

Recommendation
    Report it to the maker of the sending software.

References
    RFC 3261 sections 8.1.1.7, 12.2.1.1, 13.2.2.4, 17.1.1.3.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base.quote import somebody
from algwatch.compare import ack as acks
from algwatch.compare.call import Call
from algwatch.compare.signs import TROUBLED
from algwatch.diagnose import cause, odd_ack
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence, times
from algwatch.diagnose.subject import CALL
from algwatch.sip.dialog import BY_BRANCH, Dialog, DialogSet

RULE = Rule(
    "TXN008", "odd-ack", "warning", CALL,
    ("RFC 3261 8.1.1.7", "RFC 3261 12.2.1.1", "RFC 3261 13.2.2.4"),
    "The ACK to a 2xx is not as it has to be: its branch, its To tag or its CSeq number.",
    when=TROUBLED,
)  # fmt: skip

ODD = {
    BY_BRANCH: "has the branch of its INVITE, and should have one of its own",
    "to-tag": "has another To tag than the 2xx",
}


def check(call: Call, known: Known) -> Iterator[Finding]:
    found = _odd(call, known.lossy(call) or known.capture.gaps)
    if found is None:
        yield from _one_hop(call, known)
        return
    s, d, what = found
    ack = d.ack or d.stray_ack
    if ack is None:
        return
    where = odd_ack.place(call, d)
    ignored = acks.ignored(s, d, known.now) or (d.stray_ack is not None and not d.acked_at)
    if ignored and acks.dropped(s, d, known.now):
        harm, so = "observed", ", and the callee goes on as if none had come"
    else:
        harm, so = "latent", ""
    proof = [evidence(ack, f"the ACK {what}", "a branch of its own, the tags of the dialog")]
    if d.request is not None:
        proof.append(evidence(d.request, "the INVITE"))
    if d.answer is not None:
        proof.append(evidence(d.answer, f"the 2xx, sent {times(d.answers)}"))
    yield RULE.finding(
        where, harm, f"The ACK to the 2xx of {somebody(call.to)} {what}{so}.", proof, call.call_id,
        cause=cause.of_place(where), call_id=call.call_id,
        line=known.line_name(call),
    )  # fmt: skip


def _one_hop(call: Call, known: Known) -> Iterator[Finding]:
    """An ACK that was right on one hop and wrong on another, or wrong when repeated."""
    for s in call.seen:
        d = s.current
        if d is None or d.odd_copy is None:
            continue
        ends, line = d.odd_copy.ends, known.line(call)
        yield RULE.finding(
            "unknown", "latent",
            f"One ACK to the 2xx of {somebody(call.to)}, from {ends.src} to {ends.dst}, "
            f"{ODD[BY_BRANCH]}; another one was right.",
            [evidence(d.odd_copy, f"the ACK {ODD[BY_BRANCH]}", "a branch of its own")],
            call.call_id, cause=cause.UNKNOWN, call_id=call.call_id,
            line=line.name if line else "",
        )  # fmt: skip
        return


def _odd(call: Call, lossy: bool) -> tuple[DialogSet, Dialog, str] | None:
    for s in call.seen:
        d = s.current
        if d is None:
            continue
        if d.odd in ODD:
            return s, d, ODD[d.odd]
        if d.stray_ack is not None and not d.acked_at and not lossy:  # its INVITE may be unseen
            return s, d, "has another CSeq number than its INVITE"
    return None
