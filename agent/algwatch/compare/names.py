# SPDX-License-Identifier: Apache-2.0
"""Names: the Call-ID, tags, branches and CSeq of a call on each side of a router that rewrites
them.

Both ends know a dialog by its Call-ID and tags (RFC 3261 section 12) and a transaction by its
branch (section 17.1.3). A router may rewrite them only if it restores each in every message of the
other direction, and treats every message alike.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base.native.layout import ACK, BYE
from algwatch.base.sighting import AT, METHOD, STATUS, TO_TAG
from algwatch.compare.crossing import BY_ORDER, Crossing
from algwatch.sip.message import Message, to_text

CALL_ID, TAG, BRANCH, CSEQ = "Call-ID", "tag", "branch", "CSeq"
MOST = 32  # names of one call compared

_Name = tuple[str, bytes]  # a word above, and the name itself


class Broken:
    """A message that left with a name unknown to its side. what: a word above; was: this side's own
    name; became: the name in the message; kind: label of the message; crossing: both of its
    copies."""

    __slots__ = ("became", "crossing", "kind", "was", "what")

    def __init__(self, what: str, was: str, became: str, kind: str, crossing: Crossing) -> None:
        self.what = what
        self.was = was
        self.became = became
        self.kind = kind
        self.crossing = crossing


class Names:
    """changed: by what, the first message with a name rewritten by the router. broken: by what and
    direction (True: outbound), the first message that broke the rewriting."""

    __slots__ = ("_lan", "_wan", "broken", "changed")

    def __init__(self) -> None:
        self._lan: dict[_Name, bytes] = {}  # the name on the LAN: its name on the WAN
        self._wan: dict[_Name, bytes] = {}
        self.changed: dict[str, Crossing] = {}
        self.broken: dict[tuple[str, bool], Broken] = {}

    def late(self, kind: str, crossing: Crossing) -> None:
        """The first message with a rewritten name, after others that crossed with all of theirs.
        Its receiver knows those by the name that they share with it."""
        if crossing.lan is None or crossing.wan is None or _may_be_two(crossing):
            return
        for what, inside, outside in _shared(crossing):
            if inside and outside and inside != outside:
                became, was = (outside, inside) if crossing.outbound else (inside, outside)
                self._note(Broken(what, _shown(was), _shown(became), kind, crossing))

    def feed(self, kind: str, crossing: Crossing) -> None:
        """A message crossed; kind: its label."""
        if crossing.lan is None or crossing.wan is None or _may_be_two(crossing):
            return
        row = crossing.entered.row
        for what, inside, outside in _names(crossing):
            # A router may take the tag out of a response. This side then has no tag, also in
            # requests inside the dialog.
            whole = bool(inside and outside)
            if not whole and (what != TAG or not (row[STATUS] or row[METHOD] in (ACK, BYE))):
                continue
            one, two = self._lan.get((what, inside)), self._wan.get((what, outside))
            if one == outside and two == inside:
                continue
            if one is None and two is None:
                if inside != outside and (whole or row[STATUS]):
                    self.changed.setdefault(what, crossing)
                    if len(self._lan) < MOST:
                        self._lan[what, inside] = outside
                        self._wan[what, outside] = inside
                continue
            if crossing.outbound:
                was, became = one, outside
            else:
                was, became = two, inside
            if was is not None:
                self._note(Broken(what, _shown(was), _shown(became), kind, crossing))

    def _note(self, one: Broken) -> None:
        """Pairing order is not always message order, and a provisional response decides nothing."""
        if 0 < one.crossing.entered.row[STATUS] < 200:
            return
        key = one.what, one.crossing.outbound
        first = self.broken.get(key)
        if first is None or one.crossing.entered.row[AT] < first.crossing.entered.row[AT]:
            self.broken[key] = one


def renames(crossing: Crossing) -> bool:
    """True if the router changed a name in this message."""
    if crossing.lan is None or crossing.wan is None or _may_be_two(crossing):
        return False
    return any(one != two for _, one, two in _names(crossing))


def _may_be_two(crossing: Crossing) -> bool:
    """Two responses joined only by their order may be those of two phones."""
    return crossing.matched_by == BY_ORDER and bool(crossing.entered.row[STATUS])


def _shown(name: bytes) -> str:
    """Without the tag of the counting end (CSeq): no other name has a space."""
    return to_text(name.partition(b" ")[0])


def _shared(crossing: Crossing) -> Iterator[tuple[str, bytes, bytes]]:
    """As _names(): those that earlier messages of the call had. A response has the names of its
    request, but for the To tag. A request inside the dialog has its tags."""
    row, tags = crossing.entered.row, 0
    for what, inside, outside in _names(crossing):
        if what == TAG:
            tags += 1
            if tags == 1 if row[STATUS] else row[TO_TAG]:
                yield what, inside, outside
        elif what == CALL_ID or row[STATUS]:
            yield what, inside, outside


def _names(crossing: Crossing) -> Iterator[tuple[str, bytes, bytes]]:
    """The kind of name, and the name on the LAN and on the WAN."""
    assert crossing.lan is not None and crossing.wan is not None
    a, b = Message(crossing.lan.payload), Message(crossing.wan.payload)
    yield CALL_ID, a.call_id, b.call_id
    yield TAG, a.from_.tag, b.from_.tag
    yield TAG, a.to.tag, b.to.tag
    # Each end counts its own requests.
    yield CSEQ, b"%d %s" % (a.cseq, a.from_.tag), b"%d %s" % (b.cseq, a.from_.tag)
    vias, others = a.vias, b.vias
    if vias and len(vias) == len(others):  # else a proxy with branches of its own
        yield BRANCH, vias[0].branch, others[0].branch
