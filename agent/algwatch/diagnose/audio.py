# SPDX-License-Identifier: Apache-2.0
"""The reason for one-way audio: an address or a port."""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base import address
from algwatch.base.packet import LAN, SIDE_NAMES, WAN
from algwatch.base.sighting import Sighting
from algwatch.base.tracked import Endpoint
from algwatch.compare.line import LATCHES
from algwatch.compare.media import ALIVE, GRACE, End, Media, Way
from algwatch.diagnose import cause
from algwatch.diagnose.finding import Evidence
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import evidence
from algwatch.diagnose.silent import can_tell
from algwatch.sip.message import Message
from algwatch.sip.timers import SECOND

PRIVATE, ASTRAY = "private", "astray"  # the fault: an address (SDP001), a port (SDP002)


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


def fault(media: Media, known: Known) -> Fault | None:
    """The reason for a dead direction, if addresses and ports show it."""
    return known.once(media, _fault)


def _fault(media: Media, known: Known) -> Fault | None:
    if not can_tell(media, known):
        return None
    if not media.call.two_sided:
        return _unreachable_on_one(media)
    if media.sides != [LAN, WAN] or WAN not in media.shown:
        return None
    if not media.tracked and (relay := _relay_overwritten(media)) is not None:
        return relay
    if LAN not in media.shown:
        return None
    if media.tracked:  # packets to another port, or on from a relay, are not in the table
        return _unreachable(media, known)
    return (
        _unreachable(media, known)
        or _wrong_port(media)
        or _redirected(media)
        or _sent_astray(media)
    )


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


def _sent_astray(media: Media) -> Fault | None:
    """The phone sends nothing to the endpoint that it was told, and to none that RTP came from
    (RFC 4961): all goes elsewhere."""
    told, wrote = media.far(LAN), media.far(WAN)
    # RTP of a phone that announced its public address (STUN) is counted on the WAN side alone.
    side = LAN if media.outbound(LAN).packets else WAN
    out = media.outbound(side)
    if told is None or wrote is None or told.endpoint != wrote.endpoint:
        return None
    if not media.is_alive(out) or out.to(told.endpoint):
        return None
    went = out.pairs[0][1]
    heard = {source for one in (LAN, WAN) for (source, _), s in media.inbound(one).streams.items()
             if s.last > media.since + GRACE}  # fmt: skip
    if any(to in heard for _, to in out.pairs) or address.is_unroutable(told.now.host):
        return None
    copy = _message(media, LAN, told)
    of_session = copy is not None and Message(copy.payload).sdp.address == went[0]
    why = ": the address of the session, but the audio has its own" if of_session else ""
    return Fault(
        ASTRAY, not media.phone_is_caller, "phone", cause.PHONE, "observed",
        f"the phone was told {_name(told)} for audio and sends its RTP to {_text(went)} alone{why}",
        [
            said(media, LAN, told, f"tells the phone {_name(told)} for audio", _text(went)),
            *counted(media, side, (not media.phone_is_caller,)),
        ],
    )  # fmt: skip


def _relay_overwritten(media: Media) -> Fault | None:
    """The phone announced an address that can be reached and is no address of here (a TURN relay,
    RFC 8656), the router wrote its own instead, and what comes there goes no further."""
    wrote, near, pair = media.near(LAN), media.near(WAN), media.call.flow_pair
    if wrote is None or near is None or pair is None or near.now.host != pair.wan_host:
        return None
    host, came = wrote.now.host, media.inbound(WAN)
    if host in (pair.phone, pair.wan_host) or address.is_unroutable(host):
        return None
    if not media.is_alive(came) or not came.to(near.endpoint) or media.outbound(WAN).packets:
        return None
    if media.inbound(LAN).packets or media.outbound(LAN).packets:
        return None
    # RTP of another call shows that the LAN side would have it.
    harm = "observed" if LAN in media.shown else "latent"
    return Fault(
        ASTRAY, media.phone_is_caller, "router", cause.UNKNOWN, harm,
        f"the phone announced {_name(wrote)} for audio, as of a relay, and the router made "
        f"{_name(near)} of it: the RTP that comes there goes no further",
        [
            said(media, LAN, wrote, f"left the phone with {_name(wrote)} for audio", "unchanged"),
            said(media, WAN, near, f"left the router with {_name(near)}", _name(wrote)),
            *counted(media, WAN, (media.phone_is_caller,)),
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


__all__ = ["ASTRAY", "PRIVATE", "Fault", "counted", "fault"]
