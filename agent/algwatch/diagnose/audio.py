# SPDX-License-Identifier: Apache-2.0
"""One-way audio: the place of its end, and the address or port behind it."""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base import address
from algwatch.base.deadlines import NEVER
from algwatch.base.packet import LAN, SIDE_NAMES, WAN
from algwatch.base.sighting import Sighting
from algwatch.base.tracked import Endpoint
from algwatch.compare.line import LATCHES
from algwatch.compare.media import ALIVE, DEAD, End, Media, Way
from algwatch.diagnose import cause
from algwatch.diagnose.finding import Evidence
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import evidence
from algwatch.sip.message import Message
from algwatch.sip.timers import SECOND

PRIVATE, ASTRAY = "private", "astray"  # the fault: an address (SDP001), a port (SDP002)


class Dead:
    """A direction without RTP. to_caller; where: a place; what: a clause; looks: (side, RTP there)
    of the proof."""

    __slots__ = ("looks", "to_caller", "what", "where")

    def __init__(self, to_caller: bool, where: str, what: str,
                 looks: list[tuple[int, bool]]) -> None:  # fmt: skip
        self.to_caller = to_caller
        self.where = where
        self.what = what
        self.looks = looks


class Fault:
    """The reason. kind: a word above; to_caller: the direction; where, cause, harm: as in Finding;
    what: a sentence."""

    __slots__ = ("cause", "harm", "kind", "proof", "to_caller", "what", "where")

    def __init__(self, kind: str, to_caller: bool, where: str, cause: str, harm: str, what: str,
                 proof: list[Evidence]) -> None:  # fmt: skip
        self.kind = kind
        self.to_caller = to_caller
        self.where = where
        self.cause = cause
        self.harm = harm
        self.what = what
        self.proof = proof


# ---- directions ----


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


def _is_silent(media: Media, *ways: Way) -> bool:
    """True if nothing came on any of them. An end that suppresses silence sends a first packet and
    may then be quiet for long: after a packet the wait is four times as long."""
    if not all(media.is_dead(way) for way in ways):
        return False
    return not any(way.packets for way in ways) or media.until - media.since >= 4 * DEAD


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
        elif _is_silent(media, first, second):
            # This direction would have been counted on the side with the other one alive.
            if not media.is_alive(media.outbound(WAN) if inwards else media.inbound(LAN)):
                continue
            what = "no RTP to the phone ever came" if inwards else "the phone sent no RTP"
            if first.packets or second.packets:
                what += " after the call was answered"
            elif inwards:
                what += " to the WAN side"
            found.append(Dead(to_caller, "network" if inwards else "phone", what, looks))
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


def fault(media: Media, known: Known) -> Fault | None:
    """The reason for a dead direction, if addresses and ports show it."""
    return known.once(media, _fault)


def _fault(media: Media, known: Known) -> Fault | None:
    if not can_tell(media, known):
        return None
    if not media.call.two_sided:
        return _unreachable_on_one(media)
    if media.sides != [LAN, WAN] or not {LAN, WAN} <= media.shown:
        return None
    if media.tracked:  # packets to another port, or on from a relay, are not in the table
        return _unreachable(media, known)
    return _unreachable(media, known) or _wrong_port(media) or _redirected(media)


# ---- an address that cannot be reached ----


def _harm(media: Media, out: Way) -> str:
    """observed: the other end was heard long enough without an answer; latent: for a second; else
    ""."""
    if media.is_alive(out):
        return "observed"
    return "latent" if out.packets >= ALIVE and media.lasted(out) >= SECOND - SECOND // 20 else ""


def _unreachable_on_one(media: Media) -> Fault | None:
    for side in media.sides:
        for caller in (True, False):
            one, two = media.end(side, caller), media.end(side, not caller)
            if one is None or two is None or side not in media.shown or side == LAN:
                continue
            host, public = one.now.host, not address.is_unroutable(one.now.source)
            if not address.is_unroutable(host) or not public or address.is_unroutable(two.now.host):
                continue
            harm = _harm(media, media.to(side, not caller))
            if media.to(side, caller).packets or not harm:
                continue
            what = (
                f"{_name(one)} was announced for audio behind a NAT, from where "
                f"{media.to(side, not caller).packets} packets came and to where none goes back"
            )
            return Fault(PRIVATE, caller, "unknown", cause.MEDIA_NAT, harm, what, [
                said(media, side, one, f"announces {_name(one)} for audio",
                     "an address that can be reached"),
                *counted(media, side, (True, False)),
            ])  # fmt: skip
    return None


def _unreachable(media: Media, known: Known) -> Fault | None:
    """The phone's media address on the WAN side is unreachable, and no RTP comes: not even from a
    provider that sends to the source of RTP (latching, RFC 7362). A provider that latched in an
    earlier call of this line does not need the address: then it is no reason."""
    near, far, wrote = media.near(WAN), media.far(WAN), media.near(LAN)
    pair, out = media.call.flow_pair, media.outbound(WAN)
    if near is None or far is None or wrote is None or pair is None:
        return None
    host, line = near.now.host, known.line(media.call)
    if host == pair.wan_host or address.is_unroutable(far.now.host):
        return None
    if line is not None and line.count(LATCHES):
        return None
    if not address.is_unroutable(host) and address.is_unroutable(pair.wan_host):
        return None  # perhaps the address of another NAT in front
    if any(source[0] == host for source, _ in out.pairs):
        return None  # media use another path
    harm = _harm(media, out)
    if media.inbound(WAN).packets or media.inbound(LAN).packets or not harm:
        return None
    kept = wrote.now.host == host
    who = "the phone wrote it so" if kept else f"the phone had written {wrote.now.host}"
    kind = "cannot be reached from there" if address.is_unroutable(host) else (
        f"is not {pair.wan_host}, from where its RTP comes")  # fmt: skip
    what = (
        f"the SDP that left for {pair.far} names {host} for audio, which {kind}, and no RTP comes "
        f"back: {who}"
    )
    where, why = ("phone", cause.MEDIA_NAT) if kept else ("router", cause.UNKNOWN)
    return Fault(
        PRIVATE, media.phone_is_caller, where, why, harm, what, [
            said(media, WAN, near, f"announces {_name(near)} for audio", f"{pair.wan_host}"),
            said(media, LAN, wrote, f"left the phone with {_name(wrote)}", ""),
            *counted(media, WAN, (True, False)),
        ],
    )  # fmt: skip


# ---- a port or address that is not the one in use ----


def _wrong_port(media: Media) -> Fault | None:
    """RTP for the phone stops at the WAN side: its announced port, or its real destination, is not
    the source port of the phone's own RTP."""
    near, wrote, pair = media.near(WAN), media.near(LAN), media.call.flow_pair
    came, out = media.inbound(WAN), media.outbound(WAN)
    if near is None or wrote is None or pair is None or not out.pairs:
        return None
    if not media.is_alive(came) or media.inbound(LAN).packets or not media.is_alive(out):
        return None
    left = {source for source, _ in out.pairs}
    went = {destination for _, destination in came.pairs}
    if left & went or near.now.host != pair.wan_host:
        return None
    real, used = sorted(left)[0], sorted(went)[0]
    proof = [
        said(media, WAN, near, f"announces {_name(near)} for audio", _text(real)),
        *counted(media, WAN, (True, False)), *counted(media, LAN, (media.phone_is_caller,)),
    ]  # fmt: skip
    if near.endpoint in left:
        return Fault(ASTRAY, media.phone_is_caller, "provider", cause.PROVIDER, "observed", (
            f"RTP for the phone comes to {_text(used)}, but {_name(near)} was announced and is "
            "where the phone's own RTP leaves"
        ), proof)  # fmt: skip
    if near.endpoint not in went:
        return None
    if near.endpoint == wrote.endpoint:
        where, who = "phone", "as the phone wrote it"
    else:
        where, who = "router", f"where the phone had written {_name(wrote)}"
    return Fault(
        ASTRAY, media.phone_is_caller, where, cause.UNKNOWN, "observed",
        f"{_name(near)} was announced for audio, {who}, but the phone's RTP leaves from "
        f"{_text(real)}: what comes to the announced port does not reach the phone", proof,
    )  # fmt: skip


def _redirected(media: Media) -> Fault | None:
    """The phone sends to the address in the SDP it got. The far end wrote another one, and nothing
    goes there. RTP that leaves the router for a third address comes from a media relay: the router
    changed the address on purpose."""
    told, wrote = media.far(LAN), media.far(WAN)
    if told is None or wrote is None or told.endpoint == wrote.endpoint:
        return None
    out = media.outbound(LAN)
    if (
        not media.is_alive(out)
        or not out.to(told.endpoint)
        or any(destination != told.endpoint for _, destination in media.outbound(WAN).pairs)
    ):
        return None
    return Fault(
        ASTRAY, not media.phone_is_caller, "router", cause.ALG, "observed",
        f"the far end announced {_name(wrote)} for audio and the router made {_name(told)} of it: "
        "the phone sends its RTP there, and none goes to the far end",
        [
            said(media, WAN, wrote, f"came with {_name(wrote)} for audio", "unchanged"),
            said(media, LAN, told, f"left the router with {_name(told)}", _name(wrote)),
            *counted(media, LAN, (not media.phone_is_caller,)),
            *counted(media, WAN, (not media.phone_is_caller,)),
        ],
    )  # fmt: skip


# ---- evidence ----


def counted(media: Media, side: int, to_caller: tuple[bool, ...]) -> Iterator[Evidence]:
    """Evidence of the RTP counted on a side, by direction."""
    for caller in to_caller:
        way, whom = media.to(side, caller), "caller" if caller else "callee"
        at = (way.last or media.until) / 1e9
        seen = "in the table of connections, " if media.tracked else ""
        seen += f"RTP to the {whom}: {way.packets} packets, {way.octets} bytes"
        if way.pairs:
            source, destination = way.pairs[0]
            seconds = (way.last - way.first) / 1e9
            seen += f", {_text(source)} to {_text(destination)}, for {seconds:.1f} s"
        yield Evidence(SIDE_NAMES[side], at, seen, "RTP both ways", b"")


def said(media: Media, side: int, end: End, observed: str, expected: str) -> Evidence:
    """The message with the announcement, if its bytes are still there."""
    copy = _message(media, side, end)
    if copy is not None:
        return evidence(copy, observed, expected)
    return Evidence(SIDE_NAMES[side], end.now.at / 1e9, observed, expected, b"")


def _message(media: Media, side: int, end: End) -> Sighting | None:
    s = media.call.sides[side]
    d = s.current if s is not None else None
    if s is None or d is None:
        return None
    for copy in (d.request, d.answer, d.ack, s.request, *media.call.announced):
        if copy is not None and copy.side == side and _announces(copy, end.endpoint):
            return copy
    return None


def _announces(copy: Sighting, endpoint: Endpoint) -> bool:
    sdp = Message(copy.payload).sdp
    return any((m.address or sdp.address, m.port) == endpoint for m in sdp.media)


def _text(endpoint: Endpoint) -> str:
    return address.joined(*endpoint)


def _name(end: End) -> str:
    return _text(end.endpoint)


__all__ = ["ASTRAY", "PRIVATE", "Dead", "Fault", "counted", "dead", "fault"]
