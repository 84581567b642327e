"""KnownRewrites rewrites: the same address in the same places, as in a message read before.

A router that rewrites does so with every message. The first of each kind between a phone and a
far side is compared field by field; of the next ones it is asked only whether translating the
packet's own addresses in the entered copy yields the copy that left, byte for byte (see
FlowPair.explains). Where it does not, the slow way says why.
"""

from __future__ import annotations

from algwatch.base.sighting import METHOD, STATUS
from algwatch.base.table import Table
from algwatch.compare.crossing import Crossing
from algwatch.compare.rewrite import NORMALISED, rewrites

_Kind = tuple[bytes, bool, int, int]  # phone and far side, outbound, status, method


class KnownRewrites:
    """limit: kinds of message that are remembered."""

    def __init__(self, limit: int) -> None:
        # By kind: what was rewritten, and how often the entered address still stands in the copy
        # that left: in Call-ID always, in Contact never (ALG010), so that another number is
        # another kind.
        self._kinds: Table[_Kind, tuple[frozenset[str], int]] = Table(limit)

    def look(self, crossing: Crossing) -> None:
        """Set `familiar` and `headers` of a rewritten crossing."""
        way, row, left = crossing.flow_pair, crossing.entered.row, crossing.left.payload
        assert way is not None
        kind = (way.peer, way.outbound, row[STATUS], row[METHOD])
        known = self._kinds.get(kind)
        if known is not None and crossing.translated and left.count(way.old) == known[1]:
            crossing.seen_before = True
            crossing.headers = known[0]
            return
        changes = rewrites(crossing)
        crossing.headers = frozenset(
            r.header for r in changes if r.explained and r.explained != NORMALISED
        )
        if all(r.explained and r.linux for r in changes):
            self._kinds.add(kind, (crossing.headers, left.count(way.old)))
