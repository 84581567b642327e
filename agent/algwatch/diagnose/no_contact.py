# SPDX-License-Identifier: Apache-2.0
"""A 2xx to INVITE without Contact: its caller has no target for the ACK."""

from __future__ import annotations

import re

from algwatch.base.packet import LAN, WAN
from algwatch.base.sighting import Sighting, are_copies
from algwatch.compare.call import Call
from algwatch.diagnose import cause
from algwatch.diagnose import lost_ack as lost
from algwatch.diagnose.misrouted import Reading
from algwatch.sip.message import Message

_CONTACT = re.compile(rb"(?im)^(?:contact|m)[ \t]*:")
# The ACK came from nowhere, went nowhere, or has a target guessed by its sender.
_READINGS = (lost.NEVER_ON_WAN, lost.NOT_SENT, lost.ONE_SIDED, lost.IGNORED, lost.BEYOND)


def reading(call: Call, how: lost.LostAck) -> Reading | None:
    """The origin of a 2xx without Contact and ACK (RFC 3261 section 12.1.1); None if the 2xx has
    one, malformed or not, or an earlier 2xx of the dialog had."""
    d = how.dialog
    answer = d.answer
    if how.how not in _READINGS or answer is None or d.established_at < d.answered_at:
        return None
    what = "the 2xx has no Contact, so its caller does not know where to send the ACK"
    if not call.two_sided:
        return Reading("unknown", cause.UNKNOWN, what) if _is_without(answer) else None
    entered_by, left_by = (LAN, WAN) if call.answered_inside else (WAN, LAN)
    came, went = call.dialog(entered_by), call.dialog(left_by)
    entered = came.answer if came is not None else None
    left = went.answer if went is not None else None
    if entered is None or left is None:
        return None
    if not _is_without(left):
        return _put_in(entered, left)
    if not _is_without(entered):
        if not are_copies(entered, left):
            return Reading("unknown", cause.UNKNOWN, what)
        return Reading("router", cause.ALG, f"{what}: the router took it out")
    if call.answered_inside:
        return Reading("phone", cause.PHONE, what)
    return Reading("provider", cause.PROVIDER, what)


def _put_in(entered: Sighting, left: Sighting) -> Reading | None:
    """For a 2xx that entered without a Contact and left with one: its author."""
    if not _is_without(entered) or not are_copies(entered, left):
        return None
    contacts, ends = Message(left.payload).contacts, left.ends
    if contacts and (contacts[0].host, contacts[0].port or 5060) == (ends.src, ends.sport):
        return None  # the far end got the right target for the ACK
    return Reading("unknown", cause.UNKNOWN, "the 2xx had no Contact, and the router put one in "
                   f"that is not {ends.src}:{ends.sport}, from where it left")  # fmt: skip


def _is_without(copy: Sighting) -> bool:
    return _CONTACT.search(copy.payload.partition(b"\r\n\r\n")[0]) is None
