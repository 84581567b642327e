# SPDX-License-Identifier: Apache-2.0
"""SDP002: RTP uses another media port or address than announced.

What it sees
    One of five, with both sides captured. RTP for the phone comes to the announced WAN port and not
    to the phone, and the phone's own RTP leaves from another WAN port. Or RTP for the phone comes
    to an unannounced port, and not to the phone. Or the router changed the media address of the far
    end, the phone sends there, and nothing goes to the far end's own address. Or the phone sends
    all its RTP to another endpoint than it was told, as to the address of the session where the
    media section has its own (RFC 4566 section 5.7), or to the one before a re-INVITE. Or the phone
    announced a relay (TURN), the router wrote its own address instead, and the RTP that comes there
    goes no further: possible harm only, if no RTP at all was captured in the LAN. In files alone:
    the router's table of connections has no RTP that goes no further, so live such a call shows no
    more than SDP003.

Why it breaks calls
    A NAT lets in only packets to the source port of the phone's RTP. RTP to another port or host is
    heard by nobody.

What else looks the same
    The kernel's ALG opens the announced port beside the one in use: RTP reaches the phone, and the
    rule stays silent. RTP from another port than announced is legal, and is no finding if it is
    heard (RFC 4961 recommends the same port). A phone sends to where RTP comes from. A media proxy
    on the router changes the far end's address and relays all packets.

Recommendation
    If the phone wrote the port: let it ask STUN from its RTP port or use ICE, or forward a range of
    RTP ports to it. If the router wrote it, try a call of one phone without the ALG.

References
    RFC 3264 section 5.1; RFC 4566 section 5.7; RFC 4961; RFC 8656; net/netfilter/nf_nat_sip.c
    nf_nat_sdp_media().
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
    "SDP002", "media-port", "warning", MEDIA, ("RFC 3264 5.1", "RFC 4961"),
    "RTP uses another port or address than the one that was announced, and is not heard.",
    two_sided=True,
)  # fmt: skip


_NEXT = {
    "phone": "Forward the RTP ports of the phone on the router without changing them, or turn on "
    "ICE on the phone.",
    "router": "Try a call of this phone alone without the router's ALG.",
}


def check(media: Media, known: Known) -> Iterator[Finding]:
    why = audio.fault(media, known)
    if why is None or why.kind != audio.ASTRAY:
        return
    call = media.call
    yield RULE.finding(
        why.where, why.harm, f"One-way audio: {why.what}.", why.proof, call.call_id,
        cause=why.cause, call_id=call.call_id, line=known.line_name(call),
        symptom=why.harm == "latent",
        next_step=_NEXT.get(why.where, "") if why.cause == cause.UNKNOWN else "",
    )  # fmt: skip
