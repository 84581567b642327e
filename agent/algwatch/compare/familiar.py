"""Familiar rewrites: the same address in the same places, as in a message read before.

A router that rewrites does so with every message. The first of each kind between a phone and a
far side is compared field by field; of the next ones it is asked only whether translating the
packet's own addresses in the entered copy yields the copy that left, byte for byte. Where it does
not, the slow way says why.
"""

from __future__ import annotations

from algwatch.base.sighting import METHOD, STATUS
from algwatch.base.table import Table
from algwatch.compare.crossing import Crossing
from algwatch.compare.rewrite import NORMALISED, rewrites

_END = b"\r\n\r\n"
_LENGTH = b"\r\nContent-Length:"


class Familiar:
    """limit: kinds of message that are remembered."""

    def __init__(self, limit: int) -> None:
        self._kinds: Table[bytes, tuple[frozenset[str], int]] = Table(limit)

    def look(self, crossing: Crossing) -> None:
        """Set `familiar` and `headers` of a rewritten crossing."""
        kind = _kind(crossing)
        known = self._kinds.get(kind)
        if known is not None and _left_behind(crossing) == known[1] and _is_translated(crossing):
            crossing.familiar = True
            crossing.headers = known[0]
            return
        changes = rewrites(crossing)
        crossing.headers = frozenset(
            r.header for r in changes if r.explained and r.explained != NORMALISED
        )
        if all(r.explained and r.linux for r in changes):
            self._kinds.add(kind, (crossing.headers, _left_behind(crossing)))


def _kind(crossing: Crossing) -> bytes:
    row = crossing.entered.row
    way = b"o" if crossing.outbound else b"i"
    return crossing.phone + crossing.remote + way + row[STATUS].to_bytes(2) + bytes((row[METHOD],))


def _left_behind(crossing: Crossing) -> int:
    """How often the entered address still stands in the copy that left: in Call-ID always, in
    Contact never (ALG010), so another number is another kind."""
    ends = crossing.entered.ends
    return crossing.left.payload.count((ends.src if crossing.outbound else ends.dst).encode())


def _is_translated(crossing: Crossing) -> bool:
    entered, left = crossing.entered, crossing.left
    came, went = entered.ends, left.ends
    if crossing.outbound:
        before, before_port, after, after_port = came.src, came.sport, went.src, went.sport
    else:
        before, before_port, after, after_port = came.dst, came.dport, went.dst, went.dport
    old, new = before.encode(), after.encode()
    head, _, body = entered.payload.partition(_END)
    got_head, _, got_body = left.payload.partition(_END)
    if body.replace(old + b"\r\n", new + b"\r\n") != got_body:
        return False
    head = head.replace(b"%s:%d" % (old, before_port), b"%s:%d" % (new, after_port))
    head = head.replace(b"received=" + old, b"received=" + new)
    if before_port != after_port:
        head = head.replace(b"rport=%d" % before_port, b"rport=%d" % after_port)
    if head == got_head:
        return True
    # Content-Length follows the body.
    start, got = head.rfind(_LENGTH), got_head.rfind(_LENGTH)
    if start < 0 or head[:start] != got_head[:got]:
        return False
    _, _, rest = head[start + len(_LENGTH) :].partition(b"\r\n")
    length, _, got_rest = got_head[got + len(_LENGTH) :].partition(b"\r\n")
    return length.strip() == b"%d" % len(got_body) and rest == got_rest
