# SPDX-License-Identifier: Apache-2.0
"""An INVITE for a phone with an open mapping, at another port than mapped or from another port than
the mapping's. The NAT need not let it in: RFC 4787 REQ-8 allows it to drop the second kind, and
OpenWrt does."""

from __future__ import annotations

from algwatch.base import address
from algwatch.base.packet import LAN, WAN
from algwatch.base.sighting import AT, Sighting
from algwatch.compare import silence
from algwatch.compare.binding import Binding
from algwatch.compare.call import Call
from algwatch.compare.crossing import SHORTEST
from algwatch.compare.line import REWRITTEN
from algwatch.diagnose import cause
from algwatch.diagnose.known import Known
from algwatch.diagnose.misrouted import elsewhere, over_tcp
from algwatch.diagnose.reading import Reading
from algwatch.diagnose.recapture import SILENT
from algwatch.sip.message import Address, Message
from algwatch.sip.target import same_endpoint


class Owner:
    """The phone an INVITE is for. agreed: its binding; left: its REGISTER on the WAN side; line:
    the name of its line. idle: ns, nothing had used its mapping for so long, if it may have
    expired."""

    __slots__ = ("agreed", "helped", "idle", "left", "line")

    def __init__(self, agreed: Binding, left: Sighting, line: str, helped: bool, idle: int
                 ) -> None:  # fmt: skip
        self.idle = idle
        self.agreed = agreed
        self.left = left
        self.line = line
        self.helped = helped


def owner(call: Call, known: Known) -> Owner | None:
    """The phone here with the user of an undelivered INVITE, registered with the host that sent it;
    None without one, or if its mapping may have expired."""
    return known.once(call, _owner)


def _owner(call: Call, known: Known) -> Owner | None:
    crossing = silence.undelivered(call, known.capture)
    if crossing is None or crossing.wan is None or crossing.mapping is not None:
        return None
    return _of(crossing.wan, known, None)


def owner_elsewhere(call: Call, known: Known) -> Owner | None:
    """The same for an INVITE of a host contacted by no phone here. A provider calling from a second
    proxy shows facts unknown to a stranger: its To names the domain of the account (not an address
    anybody can try), and it comes from the network of the registrar or has the address of record
    and the registered Contact."""
    s = call.sides[WAN]
    if not call.unsolicited or call.sides[LAN] is not None or s is None or known.lossy(call):
        return None
    invite = s.request
    if invite is None or not (s.timed_out or s.cancelled_at):
        return None
    to = Message(invite.payload).to
    return None if address.is_literal(to.host) else _of(invite, known, to)


def _of(invite: Sighting, known: Known, to: Address | None) -> Owner | None:
    """to: of an INVITE from another host than the registrar, else None. Several phones may have one
    user: the INVITE is for the one at its destination port, else the owner is unknown. A PBX is
    called by numbers that are no Contact: at the port of its mapping."""
    user = Message(invite.payload).request_user
    found: dict[bytes, Owner] = {}
    for one in known.registered():
        agreed, sent = one.binding, one.near.transaction.forwarded
        if agreed is None or agreed.far is None or sent is None or sent.request is None:
            continue
        left, named = sent.request, any(contact.user == user for contact in agreed.far.own)
        if not (named or invite.destination == left.source) or invite.row[AT] > agreed.until:
            continue
        host, registrar = invite.packed_ends[:16], left.packed_ends[16:32]
        if to is not None:
            account = Message(agreed.near.asked.payload).to
            if account.host.lower() != to.host.lower():
                continue
            near = address.in_one_network(host, registrar, invite.packed_ends[47])
            if not (near or (account.user == to.user and named and _is_at(invite, agreed, left))):
                continue
        elif host != registrar:
            continue
        asked, idle = one.near.transaction.request, 0
        if asked is not None and asked.source == left.source:  # no NAT here
            if to is None or invite.destination != left.source:
                continue
        else:
            idle = _idle(invite, left, known)
            if idle < 0 or (to is None and idle > SHORTEST):
                continue
        line = known.line(one)
        helped = line is not None and bool(line.helped or line.count(REWRITTEN))
        found[left.source] = Owner(agreed, left, line.name if line is not None else "", helped,
                                   idle if idle > SHORTEST else 0)  # fmt: skip
    if len(found) == 1:
        return next(iter(found.values()))
    return found.get(invite.destination)


def _is_at(invite: Sighting, agreed: Binding, left: Sighting) -> bool:
    """The Request-URI is the Contact that was registered, or where the REGISTER came from."""
    message, ends = Message(invite.payload), left.ends
    where = message.request_host, message.request_port or 5060
    shown = agreed.far.own if agreed.far is not None else []
    return where == (ends.src, ends.sport) or any(
        where == (contact.host, contact.port or 5060) for contact in shown
    )


def _idle(invite: Sighting, left: Sighting, known: Known) -> int:
    """ns from the latest use of the mapping of the REGISTER to the INVITE; -1 if it is not known.
    The phone may have registered again meanwhile, and the mapping tells its age. left: the REGISTER
    on the WAN side."""
    entry = known.mapping(left.source, left.destination)
    if entry is None or entry.first_at >= invite.row[AT]:
        return -1
    return max(0, invite.row[AT] - entry.used_at)


def reading(call: Call, known: Known) -> Reading | None:
    """The reason the router let in no INVITE for this phone; None without proof, or if it was to
    let it in."""
    undelivered = silence.undelivered(call, known.capture)
    if undelivered is not None and known.is_elsewhere(undelivered.entered):
        return elsewhere(undelivered.entered)
    if undelivered is not None and (kept := over_tcp(undelivered.entered)) is not None:
        return kept
    found = owner(call, known)
    if found is None:
        return _unmapped(call, known)
    invite = call.unpaired["INVITE"].wan
    assert invite is not None
    came, went = invite.ends, found.left.ends
    if invite.destination != found.left.source:
        if known.mapping_elsewhere(invite) is not None:
            return None  # the port is open, towards another host (NAT002)
        return _other_port(found, came.dst, came.dport, went.src, went.sport)
    if came.proto != went.proto:
        return _other_transport(found)
    what = f"it came from port {came.sport}, and the phone has registered at port {went.dport}"
    if found.helped:
        # The kernel's helper expects calls from any port of the registrar (sip_direct_signalling).
        what += ": the NAT need not let that in, and this router's SIP helper, which may, did not"
        return Reading("unknown", cause.UNKNOWN, what)
    return Reading(
        "provider", cause.PROVIDER,
        f"{what}: no phone was seen to send anything to port {came.sport}, so the NAT need not let "
        "it in",
    )  # fmt: skip


def opened_since(phone: str) -> str:
    """A clause, of a call at a port that nobody was seen to use before it."""
    return (
        f"{phone} was first seen to use that port later, so the call was for that phone, and this "
        "router had not opened the port for it, or no longer"
    )


def _unmapped(call: Call, known: Known) -> Reading | None:
    """For an INVITE to a port that nobody here was seen to open towards its host: a firewall need
    not let it in, and the port may have been opened before the capture."""
    crossing = silence.undelivered(call, known.capture)
    if crossing is None or crossing.wan is None or crossing.mapping is not None:
        return None
    invite = crossing.wan
    if known.line_of(invite.packed_ends[16:32], invite.packed_ends[:16]) is not None:
        return None  # to the address of a phone here, which no NAT changes
    went = invite.ends
    if not known.is_wan_address(invite.packed_ends[16:32]):
        return Reading("unknown", cause.UNKNOWN, f"nobody here was seen to use {went.dst}")
    what = f"no phone was seen to open {went.receiver} towards {went.src}"
    return Reading("unknown", cause.UNKNOWN, f"{what}, so this router need not let it in")


def _other_transport(found: Owner) -> Reading:
    """For an INVITE over UDP to a phone that has registered over TCP (RFC 3261 section 19.1.1): its
    connection is the only way in."""
    what = "it came over UDP, and the phone has registered over TCP, so no NAT need let it in"
    asks = any(b"transport=tcp" in one.uri_params.lower() for one in found.agreed.near.own)
    if asks:
        return Reading("provider", cause.PROVIDER, f"{what}: the Contact asks for TCP")
    return Reading("unknown", cause.UNKNOWN, what, step=(
        "Let the phone write transport=tcp into its Contact, or register over UDP."
    ))  # fmt: skip


def _other_port(found: Owner, host: str, port: int, mapped: str, mapped_port: int
                ) -> Reading | None:  # fmt: skip
    came, at = address.joined(host, port), address.joined(mapped, mapped_port)
    what = f"it came to {came}, and the phone is at {at}"
    far, near = found.agreed.far, found.agreed.near
    if far is not None and len(far.contacts) > len(far.own):
        return Reading("unknown", cause.UNKNOWN, (
            f"{what}, but the registrar has other Contacts of its account, so the call may be for "
            "another phone"
        ), step=SILENT[LAN])  # fmt: skip
    shown = far.own[0] if far is not None and far.own else None
    # Anybody may send to another host: only what came to the mapping's own proves its port.
    if host == mapped and shown is not None and (shown.port or 5060) == port and near.own:
        if same_endpoint(near.own[0], shown):
            if not address.is_unroutable(shown.host):
                return None  # the phone wrote a public address itself (NAT002)
            return Reading(
                "provider", cause.NAT_UNHANDLED,
                f"{what}: the provider took the port from the phone's Contact and not from where "
                "its packets come from",
            )  # fmt: skip
        return Reading("router", cause.ALG, f"{what}: the router has written that port into the "
                       "Contact")  # fmt: skip
    return Reading("unknown", cause.UNKNOWN, f"{what}: nobody here was seen to open that port")
