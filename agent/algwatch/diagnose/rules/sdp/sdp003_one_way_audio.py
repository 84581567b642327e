# SPDX-License-Identifier: Apache-2.0
"""SDP003: no RTP in one direction, although both ends announced it.

What it sees
    A call lasted five seconds or more since its answer and since the last change of its SDP, and
    both ends announced to send and receive. One direction has RTP (50 packets and more, five
    seconds long), the other one has none from a second after the answer on. With both sides the
    finding names the place: on the WAN and not on the LAN side, never on the WAN, on the LAN and
    not on the WAN side, not sent by the phone; or the second from which, or up to which, the router
    passes nothing. Or the phone was told the WAN address of its own router, sends there, and
    nothing comes back. After a call was resumed, or its SDP changed otherwise, ten seconds without
    any RTP are enough for an end that had sent before; the place is then unknown. If the INVITE was
    not captured: RTP comes to an end that announced to send and receive, and none goes back. This
    is possible harm.
    Live the router's table of connections (conntrack) is read a few times in a call: 50 packets and
    more went one way, and not one ever the other way. This table has no packets that were not let
    in, so the place is unknown.

Why it breaks calls
    One of the two hears nothing, and hangs up.

What else looks the same
    A call on hold (sendonly, recvonly, inactive, an address of 0.0.0.0). Silence suppression and
    comfort noise: few packets, but some (packets in the first second count only after twenty
    seconds without any). A direction that falls silent later counts only if the other side of the
    router still has it. RTP leaves by another, uncaptured WAN interface. Early media, calls of a
    few seconds, audio changed to fax (port 0), ICE with its other addresses. A capture, or a side
    of it, without any RTP proves nothing. Live there is no finding for an offloaded flow (its
    packets are not counted), nor if another flow brings packets to the port of the phone. RTP
    reaches the same phone through another router.

Recommendation
    SDP001 or SDP002 beside it gives the reason. Otherwise look at the place of its end: the phone,
    this router (its firewall and its NAT for UDP), or beyond.

References
    RFC 3264 sections 5.1 and 8.4; RFC 3550.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.compare.media import Media
from algwatch.diagnose import audio, cause, loopback, silent
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule
from algwatch.diagnose.subject import MEDIA

RULE = Rule(
    "SDP003", "one-way-audio", "error", MEDIA, ("RFC 3264 5.1", "RFC 3264 8.4"),
    "No RTP in one direction, although both ends announced it.", symptom=True,
)  # fmt: skip

_NEXT = {
    "router": "Look which rule or NAT entry of the router stops UDP to the media port of the phone "
    "(conntrack -L -p udp).",
    "phone": "Look at microphone, mute and media settings of the phone, and whether its own "
    "network lets UDP out.",
    "network": "Ask the provider whether it sends RTP for this call, and to which address.",
    "unknown": "Capture both sides of the router at the same time, with RTP.",
}


def check(media: Media, known: Known) -> Iterator[Finding]:
    if (half := silent.one_way(media, known)) is not None:
        yield _begun_before(media, known, *half)
        return
    why = audio.fault(media, known)
    call = media.call
    looped = loopback.dead(media, known)
    for dead in looped or silent.dead(media, known):
        mine = why is not None and why.to_caller is dead.to_caller
        where = why.where if why is not None and mine else dead.where
        lost = cause.ROUTER if where == "router" else cause.UNKNOWN
        proof = [look for side, to_caller in dead.looks
                 for look in audio.counted(media, side, (to_caller, not to_caller))]  # fmt: skip
        seconds = (dead.lasted or media.until - media.since) / 1e9
        yield RULE.finding(
            where, "observed",
            f"One-way audio for {seconds:.0f} s: {dead.what}.", proof,
            f"{call.call_id}/{'caller' if dead.to_caller else 'callee'}",
            cause=lost, call_id=call.call_id, line=known.line_name(call),
            next_step=dead.step or ("" if mine else _NEXT[where]),
        )  # fmt: skip


def _begun_before(media: Media, known: Known, to_caller: bool, side: int,
                  packets: int) -> Finding:  # fmt: skip
    call = media.call
    return RULE.finding(
        "unknown", "latent",
        f"One-way audio for {(media.until - media.since) / 1e9:.0f} s: {packets} packets went "
        "one way and none came back; the beginning of the call was not captured.",
        list(audio.counted(media, side, (to_caller, not to_caller))),
        f"{call.call_id}/{'caller' if to_caller else 'callee'}",
        cause=cause.UNKNOWN, call_id=call.call_id, line=known.line_name(call),
        next_step="Call again, and capture from before the call, with RTP.",
    )  # fmt: skip
