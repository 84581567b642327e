# SPDX-License-Identifier: Apache-2.0
"""A BYE that its own sender addressed to itself."""

from __future__ import annotations

from algwatch.base import address
from algwatch.base.address import joined
from algwatch.base.packet import LAN, WAN
from algwatch.base.quote import value
from algwatch.base.sighting import Sighting
from algwatch.compare.call import Call
from algwatch.diagnose import cause, retargeted
from algwatch.diagnose.misrouted import Reading
from algwatch.sip.message import Message
from algwatch.sip.target import endpoint

_AUTHORS = {"phone": "the phone", "provider": "the far end", "unknown": "its sender"}


def bye_to_itself(call: Call, by_caller: bool) -> tuple[Sighting, Reading] | None:
    """The BYE of a call as its sender wrote it, with the sender's own address in the Request-URI
    instead of the Contact of the other end (RFC 3261 section 12.2.1.1); None for any other.
    by_caller: of the call."""
    two_sided = call.two_sided and call.inbound is not None
    if two_sided:
        phone = by_caller != call.inbound
        d = call.dialog(LAN if phone else WAN)
    else:
        d = next((s.current for s in call.seen if s.current is not None), None)
    sent = d.bye if d is not None else None
    if sent is None:
        return None
    message, ends = Message(sent.payload), sent.ends
    wrote = endpoint(message.request_host, message.request_port)
    own = endpoint(ends.src, ends.sport)
    # Beyond a NAT another phone may have the same host. Over TCP the source port is no listener's.
    if wrote[0] != own[0] or (wrote[1] != own[1] and not two_sided):
        return None
    if two_sided:
        where = "phone" if phone else "provider"
    elif address.is_unroutable(ends.src) and not address.is_unroutable(ends.dst):
        where = "phone"
    else:
        where = "unknown"
    told = retargeted.by_contact(call, sent) if where == "phone" else None
    return sent, told or Reading(where, cause.of_place(where), (
        f"{_AUTHORS[where]} wrote its own address into the Request-URI, "
        f"{value(joined(*wrote[:2]))}, and not the Contact of the other end"
    ))  # fmt: skip
