# SPDX-License-Identifier: Apache-2.0
"""NAT002: the NAT maps a phone or PBX to another port than it announces or had.

What it sees
    A LAN address and port leaves with another WAN port than before: a new mapping, or one for each
    destination (symmetric NAT). By itself this is no harm; a new mapping after less than 30 s
    without use may do harm, as a provider may refuse what comes from another port. It hurts if the
    provider sends to a port other than the present one. An INVITE reaches no phone: it came to the
    port in the PBX's own Contact, to a replaced mapping, or from a second host to the port of the
    first. Or an ACK came for a 2xx whose Contact names the WAN address with another port than the
    2xx left with.

Why it breaks calls
    A PBX with a configured public address announces one port, mostly 5060. Without a static mapping
    the NAT may map any other, and opens only this one: calls do not ring, and ringing ones are
    dropped after 32 s because the ACK goes to the announced port.

What else looks the same
    Two phones send from the same port: one of them gets another WAN port, and keeps it. A line
    dialled anew has another address, not only another port (NAT005). A registrar sends a call to
    the old and to the new binding: one of them rings. The router itself wrote the Contact (ALG011).

Recommendation
    For a PBX: a static port mapping for SIP and RTP in both directions (a redirect, and an SNAT
    with the same port). For a phone: rport, and a keep-alive of 30 s for the mapping.

References
    RFC 4787 REQ-1, REQ-3, REQ-5; RFC 3261 section 12.1.1; RFC 3581.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base import address
from algwatch.base.packet import LAN, WAN
from algwatch.base.sighting import AT, Sighting, port_of
from algwatch.compare.call import Call
from algwatch.compare.crossing import Crossing
from algwatch.compare.signs import REPEATED, TROUBLED
from algwatch.diagnose import cause
from algwatch.diagnose import lost_ack as lost
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import CALL, CROSSING
from algwatch.sip.message import Message
from algwatch.sip.timers import SECOND

IDLE = 30 * SECOND  # every NAT keeps a younger mapping

RULE = Rule(
    "NAT002", "port-changed", "info", (CROSSING, CALL),
    ("RFC 4787 REQ-1", "RFC 4787 REQ-3", "RFC 3261 12.1.1"),
    "The NAT gives a phone or PBX another port than it announces, or than it had.",
    two_sided=True, when=REPEATED | TROUBLED,
)  # fmt: skip


def check(thing: Crossing | Call, known: Known) -> Iterator[Finding]:
    if isinstance(thing, Crossing):
        if thing.outbound:
            yield from _made_anew(thing, known)
    elif thing.inbound and not thing.unsolicited and not known.lossy(thing):
        yield from _not_delivered(thing, known)
        yield from _ack_to_announced(thing, known)


def _made_anew(crossing: Crossing, known: Known) -> Iterator[Finding]:
    """No harm yet: reported once for a phone, its port and each of the two kinds."""
    pair = crossing.flow_pair
    if pair is None:
        return
    entry = known.mapping(pair.outside[:18], pair.outside[18:])
    if entry is None or not entry.before:
        return
    was, now = port_of(entry.before), port_of(pair.outside)
    inside = address.joined(pair.phone, port_of(pair.inside))
    harm, why = "none", cause.NONE
    if entry.before[18:34] == pair.outside[18:34]:
        kind, what = "anew", f"before with port {was}: the mapping was made anew"
        old = known.mapping(entry.before[:18], entry.before[18:])
        idle = entry.first_at - old.last_at if old is not None else IDLE
        if idle < IDLE and entry.before[18:] == pair.outside[18:]:
            kind, harm, why = "too-soon", "latent", cause.NAT_PORT
            what += (
                f" after {max(0, idle) // SECOND} s without use, and a provider may refuse what "
                "does not come from the port of the registration"
            )
    else:
        far = address.text(entry.before[18:34], crossing.entered.ends.version)
        kind, what = "symmetric", f"to {far} with port {was}: one mapping a destination"
    yield RULE.finding(
        "router", harm,
        f"{inside} leaves to {pair.far} with port {now} of {pair.wan_host}, "
        f"{'' if kind == 'anew' else 'and '}{what}.",
        [evidence(crossing.left, f"left with port {now}", f"port {was}, as before")],
        f"{inside}/{kind}", cause=why, line=f"{pair.phone} and {pair.far}",
    )  # fmt: skip


def _not_delivered(call: Call, known: Known) -> Iterator[Finding]:
    """An INVITE of a provider stopped here, at an earlier port, or at one announced and never
    mapped."""
    crossing = call.unpaired.get("INVITE")
    if crossing is None or crossing.wan is None or call.sides[LAN] is not None:
        return
    invite = crossing.wan
    new = crossing.mapping is None
    reading = (
        _announced(invite, known) or _of_another(invite, known)
        if new else _replaced(crossing, known)
    )  # fmt: skip
    if reading is None:
        return
    what, line = reading
    ends = invite.ends
    yield RULE.finding(
        "router", "observed",
        f"The INVITE of {ends.src} came to port {ends.dport} of {ends.dst} and reached no phone: "
        f"{what}.",
        [evidence(invite, f"to {ends.receiver}", "to the port of the mapping")],
        call.call_id, cause=cause.NAT_PORT, call_id=call.call_id, line=line,
    )  # fmt: skip


def _replaced(crossing: Crossing, known: Known) -> tuple[str, str] | None:
    """The INVITE's mapping was followed by another one towards the same host."""
    entry, invite = crossing.mapping, crossing.wan
    if entry is None or invite is None:
        return None
    since = known.mapping_since(entry)
    if since is None:
        return None
    key, newest = since
    same_host = key[:16] == invite.packed_ends[16:32] and key[18:34] == invite.packed_ends[:16]
    if not same_host or not entry.last_at < newest.first_at < invite.row[AT]:
        return None
    if invite.row[AT] - entry.last_at < IDLE:
        return None  # it still exists
    version = invite.ends.version
    phone = address.text(entry.inside, version)
    what = f"{phone}, which had that port, leaves with port {port_of(key)} since"
    line = known.line_of(entry.inside[:16], invite.packed_ends[:16])
    return what, line.name if line is not None else ""


def _announced(invite: Sighting, known: Known) -> tuple[str, str] | None:
    """A phone or PBX here has this address and port in its Contact and leaves with another."""
    ends = invite.ends
    for line in known.lines_at(ends.src):
        shown = line.shown
        if shown is None or line.private_contact or shown.row[AT] > invite.row[AT]:
            continue
        left = shown.ends
        if left.src == ends.dst and _contact(shown) == (ends.dst, ends.dport) != (
            left.src, left.sport,
        ):  # fmt: skip
            what = (
                f"{line.phone} announces it in its Contact, and the NAT lets it leave with port "
                f"{left.sport}"
            )
            return what, line.name
    return None


def _of_another(invite: Sighting, known: Known) -> tuple[str, str] | None:
    """A symmetric NAT: the port is mapped towards another host, and the phone leaves to this host
    from a port of its own."""
    found = known.mapping_elsewhere(invite)
    if found is None:
        return None
    entry, far, mapped = found
    version = invite.ends.version
    phone, host = address.text(entry.inside, version), address.text(far[:16], version)
    what = (
        f"it is the port with which {phone} leaves to {host}; to {invite.ends.src} it leaves with "
        f"port {port_of(mapped)}, one mapping a destination"
    )
    line = known.line_of(entry.inside[:16], far[:16])
    return what, line.name if line is not None else ""


def _ack_to_announced(call: Call, known: Known) -> Iterator[Finding]:
    """An ACK stopped here, because the phone itself wrote this router's WAN address with another
    port than mapped."""
    how = lost.lost_ack(call, known)
    lan, wan = call.dialog(LAN), call.dialog(WAN)
    if how is None or how.how not in (lost.STOPPED_INBOUND, lost.WRONG_PHONE):
        return
    if lan is None or wan is None:
        return
    if lan.answer is None or wan.answer is None or wan.ack is None:
        return
    left, ack = wan.answer.ends, wan.ack.ends
    wrote = _contact(lan.answer)
    if wrote != _contact(wan.answer) or wrote != (ack.dst, ack.dport):
        return
    if wrote[0] != left.src or wrote[1] == left.sport or lan.answer.ends.src == left.src:
        return
    yield RULE.finding(
        "phone", "observed" if how.dropped(known.now) else "latent",
        f"The ACK came to {ack.receiver}, as the phone announces in its Contact, and the "
        f"NAT has given it port {left.sport}.",
        [
            evidence(wan.answer, f"left with {left.sender}",
                     f"{wrote[0]}:{wrote[1]}, as its Contact says"),
            evidence(wan.ack, f"ACK to {ack.receiver}", ""),
        ],
        call.call_id, cause=cause.NAT_PORT, call_id=call.call_id,
        line=known.line_name(call),
    )  # fmt: skip


def _contact(copy: Sighting) -> tuple[str, int]:
    contacts = Message(copy.payload).contacts
    return (contacts[0].host.strip("[]"), contacts[0].port or 5060) if contacts else ("", 0)
