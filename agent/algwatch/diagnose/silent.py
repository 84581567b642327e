# SPDX-License-Identifier: Apache-2.0
"""Directions of a call without RTP, and the place of its end."""

from __future__ import annotations

from algwatch.base import address
from algwatch.base.deadlines import NEVER
from algwatch.base.packet import LAN, SIDE_NAMES, UNKNOWN, WAN
from algwatch.compare.media import ALIVE, DEAD, Media, Way
from algwatch.diagnose.known import Known
from algwatch.sip.timers import SECOND

OPEN_EARLIER = (
    "Let the phone (or PBX) send RTP from the answer on, and silence, too (often called RTP "
    "keep-alive), or let the router forward its media ports to it."
)

STILL_HELD = (
    "Ask whether one end still had the call on hold, and look which of the two did not send again."
)


class Dead:
    """A direction without RTP. to_caller; where: a place; what: a clause; looks: (side, RTP there)
    of the proof; lasted: ns, 0 for the whole call; step: the next step if it is a special one."""

    __slots__ = ("lasted", "looks", "step", "to_caller", "what", "where")

    def __init__(self, to_caller: bool, where: str, what: str, looks: list[tuple[int, bool]],
                 lasted: int = 0, step: str = "") -> None:  # fmt: skip
        self.to_caller = to_caller
        self.where = where
        self.what = what
        self.looks = looks
        self.lasted = lasted
        self.step = step


def can_tell(media: Media, known: Known) -> bool:
    """True if uncounted RTP was not there: nothing of the call was lost, and both ends announced to
    send and receive."""
    call = media.call
    if known.lossy(call) or call.partial_anywhere or call.contested:
        return False
    if not media.both_talk or (call.two_sided and call.inbound is None):
        return False
    # With a far end's address in the LAN, media need not cross the router.
    if not call.two_sided:
        return not any(_is_inside(media, side) for side in media.sides)
    told, wrote = media.far(LAN), media.far(WAN)
    return told is None or wrote is None or (
        address.is_unroutable(wrote.now.host) or not address.is_unroutable(told.now.host)
    )  # fmt: skip


def _is_inside(media: Media, side: int) -> bool:
    """True if an announcement from the Internet came to a private address and names a private
    address: both may be in one network."""
    one, two = (media.end(side, caller) for caller in (True, False))
    return one is not None and two is not None and any(
        address.is_unroutable(far.now.host) and not address.is_unroutable(far.now.source)
        and address.is_unroutable(near.now.source)
        for near, far in ((one, two), (two, one))
    )  # fmt: skip


def dead(media: Media, known: Known) -> list[Dead]:
    """The directions without RTP, although both ends announced it."""
    if not can_tell(media, known) or media.until - media.since < DEAD:
        return []
    if media.tracked:
        return _dead_in_table(media)
    if media.call.two_sided:
        return _dead_on_two(media, known)
    return _dead_on_one(media)


def one_way(media: Media, known: Known) -> tuple[bool, int, int] | None:
    """For a call whose INVITE was not captured on every side: RTP came for long to an end that is
    to send and receive, and none went back to its source on any side. An answer to an offer for one
    direction would say so (RFC 3264 section 6.1). Returns whether the direction without RTP is the
    one to the caller, the side with RTP, and its number of packets."""
    call = media.call
    if not call.partial_anywhere or call.contested or media.tracked:
        return None
    if known.capture.lost_at or known.capture.gaps:
        return None
    ends = [(side, caller, end) for side in (LAN, WAN, UNKNOWN) for caller in (True, False)
            if (end := media.end(side, caller)) is not None]  # fmt: skip
    if not all(end.audible and not end.now.ice for _, _, end in ends):
        return None
    for side, caller, _ in ends:
        way = media.to(side, caller)
        back = any(media.to(other, not caller).packets for other in (LAN, WAN, UNKNOWN))
        if side in media.shown and media.is_alive(way) and not back:
            return not caller, side, way.packets
    return None


def _is_silent(media: Media, *ways: Way) -> bool:
    """True if nothing came on any of them. An end that suppresses silence sends a first packet and
    may then be quiet for long: after a packet the wait is four times as long, and twice as long if
    all packets came before a change of the SDP (as a call on hold is resumed)."""
    if not all(media.is_dead(way) for way in ways):
        return False
    last = max(way.last for way in ways)
    waits = (2 if media.changed and last <= media.since else 4) if last else 1
    return media.until - media.since >= waits * DEAD


def _dead_on_one(media: Media) -> list[Dead]:
    """A counted stream has an announced end, and its other end is watched as well: RTP in the other
    direction would have been counted on the same side."""
    found = []
    for side in media.sides:
        for to_caller in (True, False):
            here, other = media.to(side, to_caller), media.to(side, not to_caller)
            if side in media.shown and _is_silent(media, here) and media.is_alive(other):
                whom = "caller" if to_caller else "callee"
                what = f"no RTP went to the {whom}, although the {whom} sent {other.packets}"
                found.append(Dead(to_caller, "unknown", what, [(side, to_caller)]))
    return found if len(found) == 1 else []


def _dead_in_table(media: Media) -> list[Dead]:
    """No packet of the call one way, while the other one is alive. A packet without a flow is not
    in the table, so the place of its end is not known."""
    for inwards in (True, False):
        here = media.inbound if inwards else media.outbound
        there = media.outbound(LAN) if inwards else media.inbound(LAN)
        if media.sides != [LAN, WAN] or here(LAN).packets or here(WAN).packets:
            continue
        if not media.is_alive(there):
            continue
        what = (
            f"the phone sent {there.packets} packets through this router, and none came back"
            if inwards
            else f"{there.packets} packets came to the phone through the router, and none went back"
        )
        to_caller = media.phone_is_caller is inwards
        return [Dead(to_caller, "unknown", what, [(LAN, to_caller), (WAN, to_caller)])]
    return []


def _dead_on_two(media: Media, known: Known) -> list[Dead]:
    if media.sides != [LAN, WAN] or not {LAN, WAN} <= media.shown:
        return []
    found = []
    for inwards in (True, False):
        way = media.inbound if inwards else media.outbound
        came, went = (WAN, LAN) if inwards else (LAN, WAN)
        to_caller = media.phone_is_caller is inwards
        first, second = way(came), way(went)
        looks = [(came, to_caller), (went, to_caller)]
        words = f"{SIDE_NAMES[came].upper()} and not on the {SIDE_NAMES[went].upper()} side"
        whom = "to the phone" if inwards else "of the phone"
        gone = _crosses(media, first, inwards)
        if gone and media.is_alive(first) and media.is_dead(second):
            what = f"RTP {whom} is on the {words}: {first.packets} packets came to the router"
            found.append(Dead(to_caller, "router", what, looks))
        elif gone and _stopped(first, second, known):
            after = max(0, second.last - media.since) // SECOND
            what = f"from {after} s on RTP {whom} is on the {words}"
            found.append(Dead(to_caller, "router", what, looks))
        elif gone and (late := _late(first, second, media, known)):
            what = f"from the answer on RTP {whom} was on the {words}"
            if inwards and _opened(media, second):
                what += ", until the phone sent some itself, which opened the way"
                found.append(Dead(to_caller, "unknown", what, looks, late, OPEN_EARLIER))
            else:
                found.append(Dead(to_caller, "router", what, looks, late))
        elif _is_silent(media, first, second):
            # This direction would have been counted on the side with the other one alive.
            if not media.is_alive(media.outbound(WAN) if inwards else media.inbound(LAN)):
                continue
            if inwards and media.stranger is not None:
                if not media.unsure:
                    who = address.joined(*media.stranger)
                    what = (
                        f"RTP for the phone came from {who} alone, and not on the LAN side: "
                        "nobody announced that port, and the phone sends nothing there"
                    )
                    found.append(Dead(to_caller, "unknown", what, looks))
                continue
            what = "no RTP to the phone ever came" if inwards else "the phone sent no RTP"
            where, step = "network" if inwards else "phone", ""
            if media.changed and (first.packets or second.packets):
                # Its sender may still have the call on hold.
                where, step = "unknown", STILL_HELD
                what += " after the last change of the SDP"
            elif first.packets or second.packets:
                what += " after the call was answered"
            elif inwards:
                what += " to the WAN side"
            found.append(Dead(to_caller, where, what, looks, step=step))
    return found


def _crosses(media: Media, way: Way, inwards: bool) -> bool:
    """It would have been counted behind the router, too: either end of it was announced there, or
    is known from RTP of the other direction."""
    near, told, wrote = media.near(LAN), media.far(LAN), media.far(WAN)
    pair = media.call.flow_pair
    if not way.pairs or near is None or told is None or wrote is None or pair is None:
        return False
    source, destination = way.pairs[0]
    if not inwards:
        return destination == wrote.endpoint
    listens = near.now.host == pair.phone or media.outbound(LAN).packets
    return source == told.endpoint or bool(listens)


def _stopped(first: Way, second: Way, known: Known) -> bool:
    """It went on before the router and not behind it, while both sides were captured."""
    if known.capture.began or known.capture.ended != NEVER:
        return False
    return first.packets >= ALIVE and bool(second.packets) and first.last - second.last >= DEAD


def _late(first: Way, second: Way, media: Media, known: Known) -> int:
    """ns after the answer at which it began behind the router, where it was before the router all
    that time; else 0."""
    if known.capture.began or not second.packets or first.packets - second.packets < ALIVE:
        return 0
    late = second.first - max(first.first, media.since)
    return late if late >= DEAD else 0


def _opened(media: Media, way: Way) -> bool:
    """It began when the phone began to send. A NAT lets in only answers, so it need not let in
    anything before."""
    sent = media.outbound(LAN).first
    return bool(sent) and 0 <= way.first - sent <= SECOND
