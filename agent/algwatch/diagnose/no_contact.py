# SPDX-License-Identifier: Apache-2.0
"""A 2xx to INVITE without Contact: its caller does not know where to send the ACK."""

from __future__ import annotations

import re

from algwatch.base.packet import LAN, WAN
from algwatch.base.sighting import Sighting
from algwatch.compare.call import Call
from algwatch.diagnose import cause
from algwatch.diagnose import lost_ack as lost
from algwatch.diagnose.misrouted import Reading

_CONTACT = re.compile(rb"(?im)^(?:contact|m)[ \t]*:")
# The ACK came from nowhere, or went nowhere.
_READINGS = (lost.NEVER_ON_WAN, lost.NOT_SENT, lost.ONE_SIDED)


def reading(call: Call, how: lost.LostAck) -> Reading | None:
    """Who left Contact out of the 2xx that no ACK followed (RFC 3261 section 12.1.1); None where
    the 2xx has one, malformed or not, or an earlier one of the dialog had."""
    answer = how.dialog.answer
    if how.how not in _READINGS or answer is None or how.dialog.confirmed:
        return None
    what = "the 2xx has no Contact, so its caller does not know where to send the ACK"
    if not call.two_sided:
        return Reading("unknown", cause.UNKNOWN, what) if _is_without(answer) else None
    copies = [d.answer for side in (LAN, WAN) if (d := call.dialog(side)) is not None]
    lacking = [copy is not None and _is_without(copy) for copy in copies]
    if len(lacking) != 2 or not any(lacking):
        return None
    if not all(lacking):
        return Reading("router", cause.ALG, f"{what}: the router took it out")
    if call.answered_inside:
        return Reading("phone", cause.PHONE, what)
    return Reading("provider", cause.PROVIDER, what)


def _is_without(copy: Sighting) -> bool:
    return _CONTACT.search(copy.payload.partition(b"\r\n\r\n")[0]) is None
