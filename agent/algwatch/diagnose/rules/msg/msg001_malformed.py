# SPDX-License-Identifier: Apache-2.0
"""MSG001: a message is malformed.

What it sees
    A message breaks the grammar of SIP: a start line, header field or mandatory field is wrong or
    missing. The finding gives the offset of the first such byte. The two copies tell whether the
    message came so or this router made it so. Content-Length is MSG002.

Why it breaks calls
    A stack answers such a request with 400, or drops it. A response without Via, From, To, Call-ID
    or CSeq belongs to no transaction, so its receiver drops it.

What else looks the same
    Line ends without CR, numbers with quotes and the like are accepted by nearly every stack:
    reported without harm. Empty lines in front of a message are allowed. The capture cut a message
    (CAP011). Internet scanners. A response repeats the faults of its request.

Recommendation
    Came so: report it to the maker of the sending software. Made so by the router: turn off its SIP
    rewriting.

References
    RFC 3261 sections 7, 8.1.1, 8.2.2, 25; RFC 4475.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base.quote import quoted
from algwatch.compare.crossing import Crossing
from algwatch.diagnose import alg, cause, malformed
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import CROSSING
from algwatch.sip.message import Message

RULE = Rule(
    "MSG001", "malformed-message", "warning", CROSSING, ("RFC 3261 7", "RFC 3261 25"),
    "A message is malformed: it came so, or became so in the router.",
)  # fmt: skip

MOST = 4  # defects named in a sentence


def check(crossing: Crossing, known: Known) -> Iterator[Finding]:
    seen = malformed.defects(crossing, known)
    if seen is None:
        return
    found = {name: at for name, at in seen.found.items() if name in malformed.WORDS}
    if not found:
        return
    key = f"{alg.between(crossing)}/{seen.where}/{'+'.join(found)}"
    if known.was_said(RULE.id, key):
        return
    grave = not malformed.GRAVE.keys().isdisjoint(found)
    # The grave ones first, then by offset.
    names = sorted(found, key=lambda name: (name in malformed.LIGHT, found[name]))[:MOST]
    what = ", ".join(f"{malformed.WORDS[name]} (offset {found[name]})" for name in names)
    message = Message(seen.copy.payload)
    if seen.made:
        # Only its call or registration shows the effect.
        harm, so = "latent", "became malformed in this router"
    else:
        harm = "latent" if grave and seen.where != "unknown" else "none"
        so = f"came malformed{_sender(seen.where)}"
    wrong = f"wrong: {', '.join(names)}"
    proof = [evidence(seen.copy, wrong, "the grammar of RFC 3261 section 25")]
    if seen.made:
        proof.insert(0, evidence(crossing.entered, "entered the router without that", ""))
    yield RULE.finding(
        seen.where, harm, f"{quoted(message.start_line, 60)} {so}: {what}.", proof, key,
        cause=cause.of_place(seen.where) if harm != "none" else cause.NONE,
        call_id=alg.call_id(crossing),
        line=alg.between(crossing) if known.two_sided else "",
        severity="" if harm != "none" else "info",
    )  # fmt: skip


def _sender(where: str) -> str:
    return {"phone": " from the phone", "provider": " from the provider's side"}.get(where, "")
