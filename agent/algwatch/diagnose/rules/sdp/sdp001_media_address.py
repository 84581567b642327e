# SPDX-License-Identifier: Apache-2.0
"""SDP001: the media address of the phone cannot be reached from the WAN.

What it sees
    The SDP that left on the WAN side names a private or otherwise unroutable address for the
    phone's audio, or one that is not the router's; RTP of the phone leaves, and none comes back on
    either side. Latent when it lasted a second, observed from five seconds on. Live the table of
    connections tells it, for calls of some six seconds and more.

Why it breaks calls
    The far end sends RTP to the address in the SDP (RFC 3264). From beyond the NAT nothing gets to
    a private address: the phone hears nothing, and the other one hears the phone.

What else looks the same
    A provider that sends to where RTP comes from, whatever the SDP says (latching, symmetric RTP,
    RFC 7362): its RTP comes back, and the rule stays silent, as it does for ICE and for a call
    on hold, and for a later call of the same line whose RTP is lost (SDP003). A provider inside
    the same private network. A capture without RTP shows nothing.

Recommendation
    Turn on STUN or ICE on the phone. Turning the ALG off does not help where it left this SDP
    alone. Where the router wrote the address, try a call of one phone without the ALG.

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
