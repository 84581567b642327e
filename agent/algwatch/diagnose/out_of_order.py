# SPDX-License-Identifier: Apache-2.0
"""A request inside a call whose CSeq number is not above the one of an earlier INVITE of its sender
(RFC 3261 sections 12.2.1.1, 12.2.2)."""

from __future__ import annotations

from algwatch.base.packet import LAN, WAN
from algwatch.base.sighting import CSEQ, FROM_TAG, Sighting
from algwatch.compare.call import Call
from algwatch.diagnose import cause
from algwatch.diagnose.reading import Reading

REFUSALS = (400, 500)  # section 12.2.2 asks for 500


def out_of_order(call: Call, asked: Sighting | None) -> Reading | None:
    """asked: a refused request inside a call. Read where its sender wrote it: a router may have
    changed one of the numbers on its way."""
    s = call.sides[asked.side] if asked is not None else None
    d = s.current if s is not None else None
    if asked is None or s is None or d is None:
        return None
    tag, number = asked.row[FROM_TAG], asked.row[CSEQ]
    before = [t.cseq for t in (d.invite, s.invite) if t is not None and t.from_tag == tag]
    if not before or number > max(before):
        return None
    where = "unknown"
    if call.two_sided and call.inbound is not None:
        by_phone = (tag == s.caller_tag) != call.inbound
        if asked.side != (LAN if by_phone else WAN):
            return None
        where = "phone" if by_phone else "provider"
    return Reading(where, cause.of_place(where), (
        f"its CSeq number is {number}, and an INVITE of its sender had {max(before)} before: each "
        "request in a call has to have a higher one (RFC 3261 section 12.2.1.1)"
    ))  # fmt: skip
