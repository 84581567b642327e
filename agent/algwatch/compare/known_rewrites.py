# SPDX-License-Identifier: Apache-2.0
"""KnownRewrites: rewrites of the same addresses in the same places as in an earlier message.

A router that rewrites treats every message alike. The first of each kind between a phone and a far
side is compared field by field. For later ones one question is left: does translating the packet's
own addresses in the entered copy yield the left copy, byte for byte (see FlowPair.explains)? If
not, compare/differences.py finds the reason.
"""

from __future__ import annotations

from algwatch.base.sighting import METHOD, STATUS, Row
from algwatch.base.table import Table
from algwatch.compare.crossing import Crossing, shared
from algwatch.compare.differences import rewrites
from algwatch.compare.flow_pair import FlowPair
from algwatch.compare.rewrite import NORMALISED

_Kind = tuple[bytes, bool, int, int]  # phone and far side, outbound, status, method


class KnownRewrites:
    """limit: kinds of message remembered."""

    def __init__(self, limit: int) -> None:
        # By kind: the rewritten header fields, and the count of the entered address in the left
        # copy. It always stays in Call-ID and never in Contact (ALG010), so another count is
        # another kind.
        self.kinds: Table[_Kind, tuple[frozenset[str], int]] = Table(limit)

    def look(self, crossing: Crossing) -> None:
        """Set `seen_before` and `headers` of a rewritten crossing."""
        pair, row, left = crossing.flow_pair, crossing.entered.row, crossing.left.payload
        assert pair is not None
        headers = self.of(pair, row, left) if crossing.translated else None
        if headers is not None:
            crossing.seen_before = True
            crossing.headers = headers
            return
        changes = rewrites(crossing)
        crossing.headers = shared(frozenset(
            r.header for r in changes if r.explained and r.explained != NORMALISED
        ))  # fmt: skip
        if all(r.explained and r.linux for r in changes):
            self.kinds.add(_kind(pair, row), (crossing.headers, left.count(pair.old)))

    def of(self, pair: FlowPair, row: Row, left: bytes) -> frozenset[str] | None:
        """The rewritten fields of a translated message, if one of its kind was known. row: of
        either copy; left: the bytes that left."""
        known = self.kinds.get(_kind(pair, row))
        return known[0] if known is not None and left.count(pair.old) == known[1] else None


def _kind(pair: FlowPair, row: Row) -> _Kind:
    return pair.line, pair.outbound, row[STATUS], row[METHOD]
