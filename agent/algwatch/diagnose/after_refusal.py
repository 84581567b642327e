# SPDX-License-Identifier: Apache-2.0
"""A 2xx to an INVITE that its callee had refused before: the call is over for its caller."""

from __future__ import annotations

from algwatch.base.sighting import AT, CSEQ, FLOW, FROM_TAG, STATUS, TO_TAG
from algwatch.compare.call import Call
from algwatch.diagnose import cause
from algwatch.diagnose import lost_ack as lost
from algwatch.diagnose.reading import Reading

_READINGS = (lost.NEVER_ON_WAN, lost.NOT_SENT, lost.BEYOND, lost.ONE_SIDED)


def reading(call: Call, how: lost.LostAck) -> Reading | None:
    """The author of a 2xx without an ACK, if it has refused the same INVITE: a server transaction
    sends one final response (RFC 3261 section 17.2.1), and its caller may not hear another. The
    2xx of another phone has another To tag (section 16.7 step 5). None otherwise."""
    refusal, answer = how.side.response, how.dialog.answer
    if how.how not in _READINGS or refusal is None or answer is None:
        return None
    one, two = refusal.row, answer.row
    if one[STATUS] < 300 or one[AT] >= two[AT] or one[CSEQ] != two[CSEQ]:
        return None
    same_ends = (one[FLOW], one[FROM_TAG]) == (two[FLOW], two[FROM_TAG])
    if not (same_ends and two[TO_TAG] and one[TO_TAG] == two[TO_TAG]):
        return None
    what = f"its sender had refused the same INVITE with {one[STATUS]} before"
    if not call.two_sided or call.answered_inside is None:
        return Reading("unknown", cause.UNKNOWN, what)
    where = "phone" if call.answered_inside else "provider"
    return Reading(where, cause.of_place(where), what)
