# SPDX-License-Identifier: Apache-2.0
"""Malformed: what is wrong with a message, and whether it came so or became so in the router."""

from __future__ import annotations

from algwatch.base.native.layout import ROW_MALFORMED, ROW_TRUNCATED
from algwatch.base.packet import LAN, WAN
from algwatch.base.sighting import BITS, STATUS, Sighting
from algwatch.compare.crossing import CONTESTED, Crossing
from algwatch.diagnose.known import Known
from algwatch.sip.message import Message

LENGTH = frozenset(("length_short", "length_long", "bad_length"))
# The scanner had no more room, or keep-alives stood in front (RFC 3261 section 7.5): no defects.
NO_DEFECTS = frozenset(("clipped", "leading_crlf"))
# A response repeats Via, From, To, Call-ID and CSeq of its request (section 8.2.6.2) as they are.
ECHOED = frozenset(
    ("bad_via", "bad_cseq", "bad_addr", "duplicate_single", "unterminated_quote",
     "unterminated_angle", "missing_via", "missing_from", "missing_to", "missing_call_id",
     "missing_cseq")
)  # fmt: skip


class Defects:
    """copy: the copy that shows them; found: by name (layout.ANOMALY_NAMES) their offset; made:
    they are not in the copy that entered the router; where: phone, router, provider or unknown."""

    __slots__ = ("copy", "found", "made", "where")

    def __init__(self, copy: Sighting, found: dict[str, int], made: bool, where: str) -> None:
        self.copy = copy
        self.found = found
        self.made = made
        self.where = where


def defects(crossing: Crossing, known: Known) -> Defects | None:
    """Of a crossing, or of the only copy; None without any, and of what nobody here has asked for.
    Those that the router made come first."""
    entered, left = crossing.entered, crossing.left
    if not (entered.row[BITS] | left.row[BITS]) & ROW_MALFORMED:
        return None
    if (entered.row[BITS] | left.row[BITS]) & ROW_TRUNCATED or crossing.matched_by == CONTESTED:
        return None
    alone = crossing.flow_pair is None
    if known.two_sided and alone and entered.side == WAN and crossing.mapping is None:
        return None  # internet scanners send what they like
    came = _of(entered)
    if crossing.both and crossing.rewritten:
        became = {name: at for name, at in _of(left).items() if name not in came}
        if became:
            return Defects(left, became, True, "router")
    if entered.row[STATUS]:
        came = {name: at for name, at in came.items() if name not in ECHOED}
    if not came:
        return None
    where = "unknown"
    if known.two_sided and crossing.outbound == (entered.side == LAN):
        where = "phone" if entered.side == LAN else "provider"
    return Defects(entered, came, False, where)


def _of(copy: Sighting) -> dict[str, int]:
    if not copy.row[BITS] & ROW_MALFORMED:
        return {}
    found = Message(copy.payload).defects
    return {name: at for name, at in found.items() if name not in NO_DEFECTS}
