# SPDX-License-Identifier: Apache-2.0
"""Audio between two phones of one house by the WAN address of their router, which has to turn it
round (hairpinning, RFC 4787 section 6)."""

from __future__ import annotations

from algwatch.base.packet import LAN, WAN
from algwatch.compare.media import DEAD, Media
from algwatch.diagnose import silent
from algwatch.diagnose.known import Known

NEXT = (
    "Turn on NAT loopback (hairpin NAT) for UDP on the router, or let the phones here call each "
    "other through a PBX or a provider that relays their audio."
)


def dead(media: Media, known: Known) -> list[silent.Dead]:
    """The RTP of the phone goes to the WAN address of its own router, and none comes back. Such RTP
    never crosses the WAN side, so this side need not show any."""
    pair, far = media.call.flow_pair, media.far(LAN)
    if pair is None or far is None or not media.call.two_sided or media.tracked:
        return []
    if far.now.host != pair.wan_host or pair.wan_host == pair.phone:
        return []
    out, back = media.outbound(LAN), media.inbound(LAN)
    if media.outbound(WAN).packets or media.inbound(WAN).packets or not out.pairs:
        return []
    if media.until - media.since < DEAD or not silent.can_tell(media, known):
        return []
    if out.pairs[0][1] != far.endpoint or not media.is_alive(out) or not media.is_dead(back):
        return []
    to_caller = media.phone_is_caller
    what = (
        f"the phone sent {out.packets} packets to {pair.wan_host}, the address of this router "
        "itself, as it was told, and none came back: the other phone seems to be here, too"
    )
    return [silent.Dead(to_caller, "unknown", what, [(LAN, to_caller)], step=NEXT)]
