# SPDX-License-Identifier: Apache-2.0
"""MSG002: Content-Length and the body disagree.

What it sees
    A datagram, captured whole, has a Content-Length that is no number, or larger or smaller than
    its body. The two copies tell whether it came so or this router made it so.

Why it breaks calls
    With too large a Content-Length, a request is answered with 400 and a response is dropped (RFC
    3261 section 18.3). With too small a one, the receiver cuts the body: it loses media lines, or
    the last boundary of a multipart body.

What else looks the same
    Blank or zero bytes behind the body: padding, missed by nobody. Other bytes behind a body with a
    final line end: reported without harm, since it may be whole. TCP, because Content-Length
    decides the message there. A message cut by the capture (CAP011).

Recommendation
    Came so: report it to the maker of the sending software. Made so by the router: turn the SIP ALG
    off. The Linux helper counts a multipart body from its SDP part on.

References
    RFC 3261 sections 18.3, 20.14; net/netfilter/nf_nat_sip.c, mangle_content_len().
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base import quote
from algwatch.base.native.layout import ROW_TCP, SIP
from algwatch.base.quote import quoted
from algwatch.base.sighting import BITS
from algwatch.compare.crossing import Crossing
from algwatch.diagnose import alg, cause, malformed
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import CROSSING
from algwatch.sip.message import Message

RULE = Rule(
    "MSG002", "content-length", "warning", CROSSING, ("RFC 3261 18.3", "RFC 3261 20.14"),
    "Content-Length and the body disagree: it came so, or became so in the router.",
)  # fmt: skip

PADDING = b"\0 \t\r\n"
CAME = {
    "router": "it became so in this router",
    "phone": "it came so from the phone",
    "provider": "it came so from the provider's side",
    "unknown": "it came so",
}


def check(crossing: Crossing, known: Known) -> Iterator[Finding]:
    seen = malformed.defects(crossing, known)
    if seen is None or seen.copy.row[BITS] & ROW_TCP:
        return
    found = malformed.LENGTH & seen.found.keys()
    if not found:
        return
    message = Message(seen.copy.payload)
    declared, have = message.content_length, len(message.body)
    high, low = message.scanned[SIP.CONTENT_LENGTH : SIP.CONTENT_LENGTH + 2]
    within, beyond = message.body[: high << 16 | low], message.body[high << 16 | low :]
    if "length_long" in found and not beyond.strip(PADDING):
        return
    # A body with a final line end may be whole, and the rest foreign (RFC 4475 section 3.1.1.7).
    whole = "length_long" in found and (not within or within.endswith(b"\n"))
    key = f"{alg.between(crossing)}/{seen.where}/{min(found)}"
    if known.was_said(RULE.id, key):
        return
    # Many receivers accept it all the same.
    harm = "none" if whole or seen.where == "unknown" else "latent"
    so = CAME[seen.where]
    says = f"Content-Length {quote.value(declared)}, body of {have} bytes"
    proof = [evidence(seen.copy, says, f"Content-Length {have}")]
    if seen.made:
        was = Message(crossing.entered.payload)
        entered = f"Content-Length {quote.value(was.content_length)}, body of {len(was.body)} bytes"
        proof.insert(0, evidence(crossing.entered, entered, "both agree"))
    yield RULE.finding(
        seen.where, harm,
        f"Content-Length of {quoted(message.start_line, 60)} says {quote.value(declared)}, and its "
        f"body has {have} bytes: {so}{_so_what(found)}.",
        proof, key,
        cause=cause.of_place(seen.where) if harm != "none" else cause.NONE,
        call_id=alg.call_id(crossing),
        line=alg.between(crossing) if known.two_sided else "",
        severity="" if harm != "none" else "info",
    )  # fmt: skip


def _so_what(found: frozenset[str]) -> str:
    if "length_long" in found:
        return "; its receiver has to cut the body there"
    return "; its receiver has to refuse or drop it"
