# SPDX-License-Identifier: Apache-2.0
"""ALG009: the router itself made a message, or has calls of its own.

What it sees
    One of three. A response on one side alone whose TTL (64, 128 or 255) shows that no router has
    forwarded it: the router answered. A call whose messages have one Via more beyond the router: a
    proxy (siproxd). Two calls begin together, one on each side, to the same user, and such a TTL
    shows the router as an end of one: a B2BUA. The call with the provider may have two copies, if
    the router's own messages are logged: both with one TTL, as nobody forwarded them. None of these
    is an ALG, and their messages are not two copies of one.

Why it breaks calls
    It need not: a PBX, an adapter for analog phones (FXS) or a proxy on the router does its work.
    But an ALG that cannot open a port may answer "busy" in the provider's name. It ends calls the
    provider would have accepted.

What else looks the same
    A response whose other copy was not captured: it has passed a router, and its TTL tells. A
    provider one hop away with a first TTL of 65. An outgoing call of the router's own agent in a
    file without directions.

Recommendation
    None for a proxy, a B2BUA or an agent. If the router refuses calls in the provider's name: turn
    the SIP ALG off, if the calls of this line work without it.

References
    RFC 3261 sections 6 (B2BUA), 8.1.3.3, 16.6; RFC 1812 section 5.3.1.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base.native.layout import ROW_FRAGMENTED, ROW_OUTGOING
from algwatch.base.packet import LAN, WAN
from algwatch.base.quote import somebody
from algwatch.base.sighting import BITS, STATUS, TTL, Sighting, came_in
from algwatch.compare import fingerprint as prints
from algwatch.compare.call import Call
from algwatch.compare.crossing import Crossing
from algwatch.compare.signs import REWRITTEN, TROUBLED
from algwatch.diagnose import cause
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import CALL
from algwatch.sip.message import Message, via_count
from algwatch.sip.timers import SECOND

RULE = Rule(
    "ALG009", "made-by-router", "info", CALL,
    ("RFC 3261 6", "RFC 3261 8.1.3.3", "RFC 3261 16.6"),
    "The router itself made a message, or has calls of its own.", two_sided=True,
    when=REWRITTEN | TROUBLED,
)  # fmt: skip

_INITIAL = (64, 128, 255)  # first TTLs of hosts
TOGETHER = 2 * SECOND  # a B2BUA makes its second call at once


def check(call: Call, known: Known) -> Iterator[Finding]:
    if call.unsolicited or known.lossy(call):
        return
    found = _proxy(call, known) or _b2bua(call, known) or _answered(call, known)
    if found is not None:
        yield found


def _proxy(call: Call, known: Known) -> Finding | None:
    lan, wan = _request(call, LAN, known), _request(call, WAN, known)
    changed = call.changed.get("INVITE")
    if (lan is None or wan is None) and changed is not None:
        if changed.translated:
            return None  # nothing but addresses differs
        lan, wan = changed.lan, changed.wan  # an answered call has only these left
    if lan is None or wan is None or not _adds_via(call, lan, wan):
        return None
    return RULE.finding(
        "router", "none",
        f"The call to {somebody(call.to)} passes a SIP proxy on the router, which adds a Via of "
        "its own: what it changes is no ALG's doing.",
        [evidence(lan, "the INVITE in the LAN", ""), evidence(wan, "the INVITE on the WAN", "")],
        f"proxy/{lan.ends.src} and {wan.ends.dst}", call_id=call.call_id, fingerprint=prints.PROXY,
    )  # fmt: skip


def _adds_via(call: Call, lan: Sighting, wan: Sighting) -> bool:
    """One copy has the Vias of the other one behind one more."""
    # Most calls have as many on both sides: this cheap test comes first.
    if via_count(lan.payload) == via_count(wan.payload):
        return False
    if call.paired and not any(prints.is_proxy(c) for c in call.changed.values()):
        return False
    one, two = Message(lan.payload), Message(wan.payload)
    short, long = sorted((one.vias, two.vias), key=len)
    if not short or len(long) != len(short) + 1 or one.cseq != two.cseq:
        return False
    return all(a.branch == b.branch for a, b in zip(short, long[1:], strict=True))


def _request(call: Call, side: int, known: Known) -> Sighting | None:
    """Its INVITE on this side; an answered call has kept only an unpaired one."""
    s = call.sides[side]
    if s is not None and s.request is not None:
        return s.request
    if not known.capture.alone:
        return None
    return next((one.invite for one in known.capture.alone
                 if one.call is call and one.invite.side == side), None)  # fmt: skip


def _b2bua(call: Call, known: Known) -> Finding | None:
    """Two calls begin together; the finding is about the LAN's."""
    if call.paired or call.sides[WAN] is not None:
        return None
    lan = _request(call, LAN, known)
    if lan is None:
        return None
    for other in known.capture.alone:
        wan = other.invite
        if wan.side != WAN or not other.is_apart:
            continue
        if abs(other.started_at - call.started_at) > TOGETHER or not _same_callee(lan, wan):
            continue
        # The router's own packets have their first TTL on each side.
        answer = _answer(call, LAN)
        made = answer is not None and _may_be_made(answer)
        if not (made or _may_be_made(wan) or lan.row[BITS] & ROW_OUTGOING):
            continue
        return RULE.finding(
            "router", "none",
            f"The call to {somebody(call.to)} has a call of its own on the WAN: a PBX, SBC or "
            "other B2BUA on the router. There are no two copies to compare.",
            [evidence(lan, "the INVITE in the LAN", ""),
             evidence(wan, "another INVITE to the same user on the WAN", "")],
            f"b2bua/{lan.ends.src} and {wan.ends.dst}", call_id=call.call_id, fingerprint="B2BUA",
        )  # fmt: skip
    return None


def _same_callee(one: Sighting, two: Sighting) -> bool:
    """The same user, with or without a prefix to dial."""
    a, b = sorted((Message(one.payload).to.user, Message(two.payload).to.user), key=len)
    return len(a) >= 3 and b.endswith(a)


def _answer(call: Call, side: int) -> Sighting | None:
    s = call.sides[side]
    d = s.current if s is not None else None
    return (d.answer if d is not None else None) or (s.response if s is not None else None)


def _may_be_made(copy: Sighting) -> bool:
    """By its TTL, and by its direction if known: another host of the LAN can send with a far end's
    address, but its packet comes in. A packet that left in fragments may have come in as more
    fragments than are reassembled here."""
    row = copy.row
    return row[TTL] in _INITIAL and not came_in(copy) and not row[BITS] & ROW_FRAGMENTED


def _answered(call: Call, known: Known) -> Finding | None:
    """A response that left the router and never came to it."""
    for kind, crossing in call.unpaired.items():
        copy, asked = crossing.entered, _request(call, crossing.entered.side, known)
        if not kind.endswith(" INVITE") or asked is None or kind.startswith("1xx"):
            continue
        if not _may_be_made(copy) or copy.destination != asked.source:
            continue
        inside = copy.side == LAN
        if not _comes_from_router(call, asked, copy, known):
            continue
        return _told(call, kind, crossing, asked, inside)
    return None


def _comes_from_router(call: Call, asked: Sighting, copy: Sighting, known: Known) -> bool:
    """The answered INVITE went to the router, or through it. In the LAN the response has the
    address of a far end known to phones here; on the WAN it has this router's."""
    if copy.side == LAN:
        return known.line_of(asked.packed_ends[:16], copy.packed_ends[:16]) is not None
    return known.is_wan_address(copy.packed_ends[:16])


def _told(call: Call, kind: str, crossing: Crossing, asked: Sighting, inside: bool) -> Finding:
    copy = crossing.entered
    status = copy.row[STATUS]
    refused = inside and status >= 300
    line = f"{copy.ends.dst} and {copy.ends.src}" if inside else ""
    if refused:
        what = (
            f"The router refused the call to {somebody(call.to)} with {status} in the name of "
            f"{copy.ends.src}, which never said so on the WAN side"
        )
    else:
        what = (
            f"An agent of the router itself (a phone adapter, PBX or SBC) answered the call to "
            f"{somebody(call.to)} with {status}: no phone here did"
        )
    return RULE.finding(
        "router", "observed" if refused else "none",
        f"{what}; its TTL of {copy.row[TTL]} says that no router has forwarded it.",
        [evidence(asked, "the INVITE", ""),
         evidence(copy, f"{status} with a TTL of {copy.row[TTL]}, on this side only", "")],
        f"{call.call_id}/{kind}" if refused else f"agent/{copy.ends.sender}",
        cause=cause.ALG if refused else cause.NONE, call_id=call.call_id, line=line,
    )  # fmt: skip
