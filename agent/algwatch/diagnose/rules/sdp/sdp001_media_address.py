# SPDX-License-Identifier: Apache-2.0
"""SDP001: the media address of the phone is unreachable from the WAN.

What it sees
    The SDP on the WAN side names a private or otherwise unroutable address for the phone's audio,
    or one other than the router's. RTP of the phone leaves, and none comes back on either side.
    Latent after a second, observed from five seconds on. Live the table of connections shows it,
    for calls of some six seconds and more.

Why it breaks calls
    The far end sends RTP to the address in the SDP (RFC 3264). No packet from beyond the NAT
    reaches a private address: the phone hears nothing, and the other end hears the phone.

What else looks the same
    A provider sends to the source of RTP, whatever the SDP says (latching, symmetric RTP, RFC
    7362): its RTP comes back, and the rule stays silent, also for a later call of the same line
    with lost RTP (SDP003). The rule is silent for ICE and for a call on hold. A provider inside the
    same private network. A capture without RTP shows nothing.

Recommendation
    Turn on STUN or ICE on the phone. Turning the ALG off does not help if it left this SDP alone.
    If the router wrote the address, try a call of one phone without the ALG.

References
    RFC 3264 section 5.1; RFC 8866 section 5.7; RFC 4961; RFC 7362.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.compare.media import Media
from algwatch.diagnose import audio, cause
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule
from algwatch.diagnose.subject import MEDIA

RULE = Rule(
    "SDP001", "media-address", "warning", MEDIA, ("RFC 3264 5.1", "RFC 8866 5.7", "RFC 7362"),
    "The media address of the phone cannot be reached from the WAN, and no RTP comes back.",
)  # fmt: skip


_NEXT = "Try a call of this phone alone without the router's ALG, which wrote that address."


def check(media: Media, known: Known) -> Iterator[Finding]:
    why = audio.fault(media, known)
    if why is None or why.kind != audio.PRIVATE:
        return
    call = media.call
    yield RULE.finding(
        why.where, why.harm, f"One-way audio: {why.what}.", why.proof, call.call_id,
        cause=why.cause, call_id=call.call_id, line=known.line_name(call),
        next_step=_NEXT if why.cause == cause.UNKNOWN else "",
    )  # fmt: skip
