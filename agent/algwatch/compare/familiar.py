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
_OUT, _IN = b"o", b"i"
_LENGTH = b"\r\nContent-Length:"


class Familiar:
    """limit: kinds of message that are remembered."""

    def __init__(self, limit: int) -> None:
        self._kinds: Table[bytes, tuple[frozenset[str], int]] = Table(limit)
        self._translations: Table[bytes, _Translation] = Table(limit)

    def look(self, crossing: Crossing) -> None:
        """Set `familiar` and `headers` of a rewritten crossing."""
        kind = _kind(crossing)
        known = self._kinds.get(kind)
        how = self._translation(crossing)
        if (
            known is not None
            and crossing.left.payload.count(how.old) == known[1]
            and _is_translated(crossing, how)
        ):
            crossing.familiar = True
            crossing.headers = known[0]
            return
        changes = rewrites(crossing)
        crossing.headers = frozenset(
            r.header for r in changes if r.explained and r.explained != NORMALISED
        )
        if all(r.explained and r.linux for r in changes):
            # How often the entered address still stands in the copy that left: in Call-ID always,
            # in Contact never (ALG010), so another number is another kind.
            self._kinds.add(kind, (crossing.headers, crossing.left.payload.count(how.old)))

    def _translation(self, crossing: Crossing) -> _Translation:
        came, went = crossing.entered, crossing.left
        if crossing.outbound:
            key = came.source + went.source + _OUT + came.packed_ends[47:]
        else:
            key = came.destination + went.destination + _IN + came.packed_ends[47:]
        known = self._translations.get(key)
        if known is None:
            known = _Translation(crossing)
            self._translations.add(key, known)
        return known


class _Translation:
    """The address and port of the entered copy and of the one that left, as they stand in text.
    Made once for each mapping: a crossing costs no formatting."""

    __slots__ = ("hosts", "new", "old", "received", "rports")

    def __init__(self, crossing: Crossing) -> None:
        came, went = crossing.entered.ends, crossing.left.ends
        if crossing.outbound:
            before, before_port, after, after_port = came.src, came.sport, went.src, went.sport
        else:
            before, before_port, after, after_port = came.dst, came.dport, went.dst, went.dport
        self.old, self.new = before.encode(), after.encode()
        self.hosts = b"%s:%d" % (self.old, before_port), b"%s:%d" % (self.new, after_port)
        self.received = b"received=" + self.old, b"received=" + self.new
        self.rports = b"rport=%d" % before_port, b"rport=%d" % after_port


def _kind(crossing: Crossing) -> bytes:
    row = crossing.entered.row
    way = b"o" if crossing.outbound else b"i"
    return crossing.phone + crossing.remote + way + row[STATUS].to_bytes(2) + bytes((row[METHOD],))


def _is_translated(crossing: Crossing, how: _Translation) -> bool:
    head, _, body = crossing.entered.payload.partition(_END)
    got_head, _, got_body = crossing.left.payload.partition(_END)
    if body.replace(how.old + b"\r\n", how.new + b"\r\n") != got_body:
        return False
    head = head.replace(*how.hosts).replace(*how.received).replace(*how.rports)
    if head == got_head:
        return True
    # Content-Length follows the body.
    start, got = head.rfind(_LENGTH), got_head.rfind(_LENGTH)
    if start < 0 or head[:start] != got_head[:got]:
        return False
    _, _, rest = head[start + len(_LENGTH) :].partition(b"\r\n")
    length, _, got_rest = got_head[got + len(_LENGTH) :].partition(b"\r\n")
    return length.strip() == b"%d" % len(got_body) and rest == got_rest
