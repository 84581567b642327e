# SPDX-License-Identifier: Apache-2.0
"""Calls that reached the wrong phone, or the right one under a name not its own."""

from __future__ import annotations

from algwatch.base import address, quote
from algwatch.base.address import joined
from algwatch.base.packet import LAN, WAN
from algwatch.base.sighting import AT, Sighting, are_copies
from algwatch.compare.binding import Binding, Place, Terms
from algwatch.compare.call import Call
from algwatch.compare.registered import Registered
from algwatch.diagnose import cause
from algwatch.diagnose.known import Known
from algwatch.diagnose.reading import Reading
from algwatch.sip.message import Message, to_text

# A phone's refusals of a call for an unknown user (RFC 3261 sections 8.2.2.1, 21.4, 21.6), and 603:
# some phones send it.
UNKNOWN_HERE = (404, 410, 416, 482, 484, 485, 603, 604)


class Misdirected:
    """reading; lan, wan: the copies of the INVITE; contact: the 200 to the REGISTER it should have
    followed; line: of the phone that registered it, "" if not known."""

    __slots__ = ("contact", "lan", "line", "reading", "wan")

    def __init__(self, reading: Reading, lan: Sighting, wan: Sighting, contact: Sighting,
                 line: str) -> None:  # fmt: skip
        self.reading = reading
        self.lan = lan
        self.wan = wan
        self.contact = contact
        self.line = line


def misdirected(call: Call, known: Known) -> Misdirected | None:
    """For a call into the LAN refused by a phone as for an unknown user, or accepted although it is
    for another phone."""
    inside, outside = call.sides[LAN], call.sides[WAN]
    if not call.inbound or inside is None or outside is None:
        return None
    lan, wan = inside.request, outside.request
    if lan is None or wan is None or not are_copies(lan, wan) or known.lossy(call):
        return None
    strange = inside.rejected in UNKNOWN_HERE
    if not (strange or inside.spoken):
        return None
    bound = _bound(known, lan)
    phone = lan.packed_ends[16:32]
    # Every registration may be read for every call: both loops use parsed results only.
    own = [one for one, agreed in bound if agreed.near.asked.packed_ends[:16] == phone]
    called, asked = _called(Message(lan.payload)), _called(Message(wan.payload))
    if any(called in _terms(one)[0].places for one in own):
        return None
    for one in own:
        if asked in _terms(one)[1].places:
            return _renamed(one, called, lan, wan, known) if strange else None
    # Numbers of a trunk are no Contact: only another phone's Contact shows anything.
    for one, agreed in bound if own else ():
        if agreed.far is not None and _names(asked, agreed.far) and not _shares(one, own):
            found = _wrong_phone(one, own[0], lan, wan, known)
            # A provider that forwards a call may leave the dialled number in it.
            return found if strange or found.reading.where == "router" else None
    return None


def _bound(known: Known, invite: Sighting) -> list[tuple[Registered, Binding]]:
    """Registrations with the host that sent the call, valid at its time."""
    at, host = invite.row[AT], invite.packed_ends[:16]
    return [
        (one, agreed) for one in known.registered()
        if (agreed := one.binding) is not None and agreed.far is not None
        and agreed.at < at < agreed.until
        and agreed.near.asked.packed_ends[16:32] == host
    ]  # fmt: skip


def _names(asked: Place, far: Terms) -> bool:
    """It is a Contact known to the registrar, or has the user of one with a private address: a
    provider replaces these by the source of the REGISTER."""
    return asked in far.places or any(
        contact.user == asked[0] != b"" and address.is_unroutable(contact.host)
        for contact in far.own
    )


def _shares(owner: Registered, own: list[Registered]) -> bool:
    """The phone that got the call has registered this user, or the same number, as well."""
    users = {contact.user for contact in _terms(owner)[0].own}
    return any(
        one.aor == owner.aor or users & {contact.user for contact in _terms(one)[0].own}
        for one in own
    )


def _terms(one: Registered) -> tuple[Terms, Terms, bytes]:
    """The terms as phone and registrar saw them, and the source of the REGISTER on the WAN."""
    agreed = one.binding
    assert agreed is not None and agreed.far is not None
    sent = one.near.transaction.forwarded
    source = sent.request.source if sent is not None and sent.request is not None else b""
    return agreed.near, agreed.far, source


def _wrong_phone(owner: Registered, got: Registered, lan: Sighting, wan: Sighting,
                 known: Known) -> Misdirected:  # fmt: skip
    near, far, source = _terms(owner)
    _, _, other = _terms(got)
    called = wan.ends.receiver
    what = (
        f"it is for {quote.quoted(to_text(Message(lan.payload).request_user))}, which "
        f"{near.asked.ends.src} has registered"
    )
    reading = Reading("unknown", cause.UNKNOWN, f"{what}, and the router gave it to {lan.ends.dst}")
    later = other != source or got.near.accepted_at > owner.near.accepted_at
    if wan.destination == source and later:
        reading = Reading("router", cause.ROUTER, (
            f"{what} from {called}, and the router has given that port to {lan.ends.dst} since"
        ), step=(
            "Let both phones register anew, and more often than the router forgets a mapping; or "
            "give each phone a SIP port of its own, so that none gets the other's."
        ))  # fmt: skip
    elif wan.destination == other != source:
        what += f", and the provider sent it to {called}, from which {lan.ends.dst} has registered"
        reading = Reading("provider", cause.PROVIDER, what)
        asked = _called(Message(wan.payload))
        if asked in far.places and asked[1:] == (wan.ends.dst, wan.ends.dport):
            where, why, by = "phone", cause.PHONE, "it"
            if asked not in near.places:
                where, why, by = "router", cause.ALG, "the router"
            reading = Reading(where, why, f"{what}: so said its Contact, which {by} had written")
    return Misdirected(reading, lan, wan, near.granted, known.line_name(owner))


def _renamed(one: Registered, called: Place, lan: Sighting, wan: Sighting,
             known: Known) -> Misdirected:  # fmt: skip
    """The provider called its known Contact, and the phone got another one."""
    near, _, _ = _terms(one)
    mine = ", ".join(quote.value(joined(c.host, c.port)) for c in near.own[:2])
    name = f"{quote.quoted(to_text(called[0]))} at {quote.value(joined(*called[1:]))}"
    reading = Reading("router", cause.ALG, (
        f"its Request-URI names {name}, and {lan.ends.dst} has registered {mine}: the provider "
        "called what the REGISTER said on the WAN side, and the router did not undo that"
    ))  # fmt: skip
    return Misdirected(reading, lan, wan, near.granted, known.line_name(one))


def _called(message: Message) -> tuple[bytes, str, int]:
    """The Request-URI in the form of `place`."""
    uri = message.request_uri.lower()
    tls = uri[:5] == b"sips:" or b"transport=tls" in uri
    host = message.request_host.lower().rstrip(".")
    return message.request_user, host, message.request_port or (5061 if tls else 5060)
