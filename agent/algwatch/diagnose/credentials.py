# SPDX-License-Identifier: Apache-2.0
"""Credentials changed by the router between the two copies of a message."""

from __future__ import annotations

from algwatch.base.packet import LAN, WAN
from algwatch.base.sighting import Sighting, are_copies
from algwatch.compare.call import Call
from algwatch.compare.registered import Registered
from algwatch.sip import digest
from algwatch.sip.message import Message, to_text

REFUSED = (401, 403, 407)


class Damage:
    """before, after: the copies. fields: name, and the value before and after. gone: names of
    header fields taken out by the router. signed: the digest covers one of the fields, or one is
    gone, so it cannot fit."""

    __slots__ = ("after", "before", "fields", "gone", "signed")

    def __init__(self, before: Sighting, after: Sighting, fields: list[tuple[str, str, str]],
                 gone: list[str]) -> None:  # fmt: skip
        self.before = before
        self.after = after
        self.fields = fields
        self.gone = gone
        self.signed = bool(gone) or any(name in digest.SIGNED for name, _, _ in fields)


def damage(registered: Registered) -> Damage | None:
    """For a registration refused or challenged: the router's change of its challenge or its
    credentials; None without a change, or with one side only."""
    exchange = registered.exchange
    if exchange is None or exchange.left is None or not exchange.outbound:
        return None
    near, far = exchange.entered, exchange.left
    copies = [(near.request, far.request), (far.response, near.response)]
    # The challenge answered by the credentials, if it is kept.
    copies += [(c.entered, c.left) for c in registered.changed.values() if c.both]
    found = [_changed(*both) for both in copies if are_copies(*both)]
    made = [one for one in found if one is not None]
    return next((one for one in made if one.signed), made[0] if made else None)


def damage_in_call(call: Call) -> Damage | None:
    """The same for a phone's call refused for its credentials, if these cannot fit any more. A
    proxy may refuse a call for many reasons, so a changed Request-URI alone is no proof."""
    lan, wan = call.sides[LAN], call.sides[WAN]
    if lan is None or wan is None or call.inbound is not False or wan.rejected not in REFUSED:
        return None
    for before, after in ((lan.request, wan.request), (wan.response, lan.response)):
        if before is None or after is None or not are_copies(before, after):
            continue
        one, two = Message(before.payload), Message(after.payload)
        made = Damage(before, after, digest.changed(one, two), digest.taken_out(one, two))
        if made.signed:
            return made
    return None


def _changed(before: Sighting | None, after: Sighting | None) -> Damage | None:
    if before is None or after is None or before.payload == after.payload:
        return None
    one, two = Message(before.payload), Message(after.payload)
    fields = digest.changed(one, two)
    mine = digest.parameters(one, digest.CREDENTIALS)
    uri = to_text(one.request_uri)
    signed = any(p.get("uri") == uri for p in mine) and not any(f[0] == "uri" for f in fields)
    if signed and one.request_uri != two.request_uri:
        # The registrar compares both (RFC 3261 section 22.4, RFC 2617 section 3.2.2.5).
        fields.append(("Request-URI", uri, to_text(two.request_uri)))
    gone = digest.taken_out(one, two)
    return Damage(before, after, fields, gone) if fields or gone else None
