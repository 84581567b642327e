# SPDX-License-Identifier: Apache-2.0
"""A 2xx to INVITE without Contact, or with one nobody can read: its caller has no target for the
ACK."""

from __future__ import annotations

import re

from algwatch.base import address
from algwatch.base.packet import LAN, WAN
from algwatch.base.sighting import Sighting, are_copies
from algwatch.compare.call import Call
from algwatch.diagnose import cause
from algwatch.diagnose import lost_ack as lost
from algwatch.diagnose.reading import Reading
from algwatch.sip.message import Message, to_text

_CONTACT = re.compile(rb"(?im)^(?:contact|m)[ \t]*:")
# The ACK came from nowhere, went nowhere, or has a target guessed by its sender.
_READINGS = (lost.NEVER_ON_WAN, lost.NOT_SENT, lost.ONE_SIDED, lost.IGNORED, lost.BEYOND)

NONE = "no Contact"
BARE = "a Contact with an IPv6 address without brackets"
CUT = "a Contact with an incomplete IPv6 address"


def reading(call: Call, how: lost.LostAck) -> Reading | None:
    """The origin of a 2xx without Contact and ACK (RFC 3261 section 12.1.1); None if the 2xx has
    one, or an earlier 2xx of the dialog had."""
    d = how.dialog
    answer = d.answer
    if how.how not in _READINGS or answer is None or d.established_at < d.answered_at:
        return None
    if not call.two_sided:
        fault = _fault(answer)
        return Reading("unknown", cause.UNKNOWN, _so(fault)) if fault else None
    entered_by, left_by = (LAN, WAN) if call.answered_inside else (WAN, LAN)
    came, went = call.dialog(entered_by), call.dialog(left_by)
    entered = came.answer if came is not None else None
    left = went.answer if went is not None else None
    if entered is None or left is None:
        return None
    fault = _fault(left)
    if not fault:
        return _put_in(entered, left)
    what = _so(fault)
    if not _fault(entered):
        if not are_copies(entered, left):
            return Reading("unknown", cause.UNKNOWN, what)
        did = "took it out" if fault == NONE else "wrote it so"
        return Reading("router", cause.ALG, f"{what}: the router {did}")
    if call.answered_inside:
        return Reading("phone", cause.PHONE, what)
    return Reading("provider", cause.PROVIDER, what)


def _so(fault: str) -> str:
    return f"the 2xx has {fault}, so its caller does not know where to send the ACK"


def _put_in(entered: Sighting, left: Sighting) -> Reading | None:
    """For a 2xx that entered without a Contact and left with one: its author."""
    if not _is_without(entered) or not are_copies(entered, left):
        return None
    contacts, ends = Message(left.payload).contacts, left.ends
    if contacts and (contacts[0].host, contacts[0].port or 5060) == (ends.src, ends.sport):
        return None  # the far end got the right target for the ACK
    return Reading("unknown", cause.UNKNOWN, "the 2xx had no Contact, and the router put one in "
                   f"that is not {ends.sender}, from where it left")  # fmt: skip


def _is_without(copy: Sighting) -> bool:
    head = copy.payload.partition(b"\r\n\r\n")[0]
    # As most write it, found for a tenth of the price.
    return head.find(b"\nContact:") < 0 and _CONTACT.search(head) is None


def _fault(copy: Sighting) -> str:
    if _is_without(copy):
        return NONE
    contacts = Message(copy.payload).contacts
    if not contacts:
        return ""
    host = contacts[0].uri.partition(b":")[2].partition(b";")[0].rpartition(b"@")[2]
    if host[:1] == b"[":
        inner, closed, _ = host[1:].partition(b"]")
        return "" if closed and address.is_ipv6(to_text(inner)) else CUT
    return BARE if host.count(b":") > 1 and b"[" not in host else ""
