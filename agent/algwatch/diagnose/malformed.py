# SPDX-License-Identifier: Apache-2.0
"""Malformed: the defects of a message, and their origin: its sender or this router."""

from __future__ import annotations

from algwatch.base.native.layout import ROW_MALFORMED, ROW_TRUNCATED
from algwatch.base.packet import LAN, WAN
from algwatch.base.sighting import BITS, STATUS, Sighting, are_copies
from algwatch.compare.call import Call
from algwatch.compare.crossing import CONTESTED, Crossing
from algwatch.diagnose import cause
from algwatch.diagnose import lost_ack as lost
from algwatch.diagnose.known import Known
from algwatch.diagnose.lost_ack import LostAck
from algwatch.diagnose.reading import Reading
from algwatch.sip.message import Message

LENGTH = frozenset(("length_short", "length_long", "bad_length"))
# Scanner out of room, or keep-alives in front (RFC 3261 section 7.5): no defects.
NO_DEFECTS = frozenset(("clipped", "leading_crlf"))
# A response repeats these fields of its request unchanged (section 8.2.6.2).
ECHOED = frozenset(
    ("bad_via", "bad_cseq", "bad_addr", "duplicate_single", "unterminated_quote",
     "unterminated_angle", "missing_via", "missing_from", "missing_to", "missing_call_id",
     "missing_cseq")
)  # fmt: skip

# No stack can process a message with one of these.
GRAVE = {
    "bad_start_line": "its start line is malformed",
    "bad_version": "its SIP version is not 2.0",
    "no_header_end": "no empty line ends its header",
    "bad_cseq": "its CSeq is malformed",
    "bad_via": "a Via is malformed",
    "missing_via": "it has no Via",
    "missing_from": "it has no From",
    "missing_to": "it has no To",
    "missing_call_id": "it has no Call-ID",
    "missing_cseq": "it has no CSeq",
    "duplicate_single": "a header field that may come once comes twice",
    "method_mismatch": "its CSeq names another method",
    "unterminated_quote": "a quoted string does not end",
    "unterminated_angle": "an angle bracket does not close",
    "bad_status": "its status code is malformed",
}
LIGHT = {
    "bad_header_line": "a header line has no name or no colon",
    "bare_lf": "a line ends without CR",
    "bare_cr": "a CR stands alone",
    "nul_byte": "a NUL byte is in it",
    "bad_addr": "an address is malformed",
    "bad_number": "a number is malformed",
}
WORDS = GRAVE | LIGHT
# A response with one of these is discarded, a request refused or discarded (section 18.3).
CUT = {
    "length_short": "its Content-Length is longer than its body",
    "bad_length": "its Content-Length is no number",
}
SPOILS = GRAVE | CUT


class Defects:
    """copy: the copy with the defects; found: by name (layout.ANOMALY_NAMES) their offset; made:
    they are not in the copy that entered the router; where: phone, router, provider or unknown."""

    __slots__ = ("copy", "found", "made", "where")

    def __init__(self, copy: Sighting, found: dict[str, int], made: bool, where: str) -> None:
        self.copy = copy
        self.found = found
        self.made = made
        self.where = where


def defects(crossing: Crossing, known: Known) -> Defects | None:
    """Defects of a crossing, or of its only copy; None without any, and for unsolicited messages.
    Defects made by the router come first."""
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


def spoiled(entered: Sighting | None, left: Sighting | None) -> Reading | None:
    """The reading of a message not processed by its receiver because this router had made it
    malformed; None if it left as well as it came. The part of the router at fault is not known."""
    if entered is None or left is None or not left.row[BITS] & ROW_MALFORMED:
        return None
    if not are_copies(entered, left):
        return None
    if (entered.row[BITS] | left.row[BITS]) & ROW_TRUNCATED:
        return None
    came = _of(entered)
    made = [name for name in _of(left) if name in SPOILS and name not in came]
    if not made:
        return None
    return Reading("router", cause.ROUTER, f"this router made it malformed: {SPOILS[made[0]]}")


def unreadable(entered: Sighting | None, left: Sighting | None) -> Reading | None:
    """The same, also for one that came so to this router: its receiver is right to drop it."""
    if (made := spoiled(entered, left)) is not None:
        return made
    if entered is None or left is None or not are_copies(entered, left):
        return None
    if (entered.row[BITS] | left.row[BITS]) & ROW_TRUNCATED:
        return None
    stays = _of(left)
    echoed = ECHOED if entered.row[STATUS] else ()
    came = [name for name in _of(entered) if name in SPOILS and name in stays]
    came = [name for name in came if name not in echoed]
    if not came:
        return None
    if entered.side == LAN:
        return Reading("phone", cause.PHONE, f"the phone sent it malformed: {SPOILS[came[0]]}")
    return Reading(
        "network", cause.UNKNOWN, f"it came to this router malformed: {SPOILS[came[0]]}",
        step="Ask the provider whether it sends this message whole: if it does, a device in front "
        "of this router (a modem, a second router) cuts or spoils it.",
    )  # fmt: skip


def spoiled_ack(call: Call, how: LostAck) -> Reading | None:
    """spoiled() for an ACK that was delivered or sent on, and for a 2xx without an ACK."""
    return spoiled(*_copies(call, how))


def unreadable_ack(call: Call, how: LostAck) -> Reading | None:
    """unreadable() for the same."""
    return unreadable(*_copies(call, how))


def _copies(call: Call, how: LostAck) -> tuple[Sighting | None, Sighting | None]:
    """Both copies of the message without which there is no ACK, as it entered and as it left."""
    lan, wan = call.dialog(LAN), call.dialog(WAN)
    if lan is None or wan is None:
        return None, None
    inside = call.answered_inside
    if how.how in (lost.IGNORED, lost.BEYOND):
        return (wan.ack, lan.ack) if inside else (lan.ack, wan.ack)
    if how.how == lost.NOT_SENT and not inside:
        return wan.answer, lan.answer
    if how.how in lost.UNTAKEN:
        return lan.answer, wan.answer
    return None, None


def _of(copy: Sighting) -> dict[str, int]:
    if not copy.row[BITS] & ROW_MALFORMED:
        return {}
    found = Message(copy.payload).defects
    return {name: at for name, at in found.items() if name not in NO_DEFECTS}
