# SPDX-License-Identifier: Apache-2.0
"""Asked: the request that a response answers."""

from __future__ import annotations

from algwatch.base.sighting import CALL, CSEQ, FROM_TAG, METHOD, TXN, Sighting
from algwatch.sip.side import Side


def request_of(response: Sighting, sides: list[Side]) -> Sighting | None:
    """The request of a response, as seen on the same side; None if its bytes are gone. A
    response with another Via than its request is found by its Call-ID; one with another Call-ID
    by the rest."""
    side, row = sides[response.side], response.row
    call = row[CALL]
    t = side.transactions.table.get(row[TXN] ^ call)
    if t is not None and t.request is not None:
        return t.request
    s, r = side.dialogs.table.get(call), side.registrations.table.get(call)
    some = [r.request] if r is not None else []
    if s is not None:
        some += [s.request, *[d.request for d in s.dialogs]]
    for one in some:
        if one is None or (one.row[METHOD], one.row[CSEQ]) != (row[METHOD], row[CSEQ]):
            continue
        if one.row[TXN] == row[TXN] or one.row[FROM_TAG] == row[FROM_TAG]:
            return one
    if s is None or s.request is None:  # no request had this Call-ID
        return _asked_by_another_name(response, sides)
    return None


def _asked_by_another_name(response: Sighting, sides: list[Side]) -> Sighting | None:
    """The request with the Via, CSeq and From tag of a response with an unused Call-ID. Reads
    every call: for rare use."""
    side, row = sides[response.side], response.row
    for some in (side.dialogs.table.values(), side.registrations.table.values()):
        for one in some:
            request = one.request
            if request is None or request.row[CALL] == row[CALL]:
                continue
            asked = request.row
            if (asked[TXN], asked[METHOD], asked[CSEQ], asked[FROM_TAG]) == (
                row[TXN], row[METHOD], row[CSEQ], row[FROM_TAG]
            ) and request.source == response.destination:  # fmt: skip
                return request
    return None
