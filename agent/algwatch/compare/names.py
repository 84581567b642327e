# SPDX-License-Identifier: Apache-2.0
"""Names: what a call is called on each side of a router that rewrites its names.

Both ends know a dialog by its Call-ID and tags (RFC 3261 section 12) and a transaction by its
branch (section 17.1.3). A router may rewrite them only if it puts each back in every message that
comes the other way, and does so in every message alike.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base.native.layout import ACK, BYE
from algwatch.base.sighting import AT, METHOD, STATUS
from algwatch.compare.crossing import BY_ORDER, Crossing
from algwatch.sip.message import Message, to_text

CALL_ID, TAG, BRANCH, CSEQ = "Call-ID", "tag", "branch", "CSeq"
MOST = 32  # names of one call that are compared

_Name = tuple[str, bytes]  # a word above, and the name itself


class Broken:
    """A message that left with a name that the side to which it went does not know. what: a word
    above; was: what that side calls it; became: the name that it left with; kind: label of the
    message; crossing: both of its copies."""

    __slots__ = ("became", "crossing", "kind", "was", "what")

    def __init__(self, what: str, was: str, became: str, kind: str, crossing: Crossing) -> None:
        self.what = what
        self.was = was
        self.became = became
        self.kind = kind
        self.crossing = crossing


class Names:
    """changed: by what, the first message in which the router wrote another name. broken: by what
    and direction (True: outbound), the first message that did not follow."""

    __slots__ = ("_lan", "_wan", "broken", "changed")

    def __init__(self) -> None:
        self._lan: dict[_Name, bytes] = {}  # the name on the LAN, and what it is on the WAN
        self._wan: dict[_Name, bytes] = {}
        self.changed: dict[str, Crossing] = {}
        self.broken: dict[tuple[str, bool], Broken] = {}

    def feed(self, kind: str, crossing: Crossing) -> None:
        """A message that crossed; kind: its label."""
        if crossing.lan is None or crossing.wan is None or _may_be_two(crossing):
            return
        row = crossing.entered.row
        for what, inside, outside in _names(crossing):
            # A router may take the tag out of a response: then no tag is what that side calls it,
            # in the requests that are never sent outside a dialog.
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
        """Messages are not always paired in their order, and a provisional response decides
        nothing."""
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
    """Two responses that only their order has joined may be those of two phones."""
    return crossing.matched_by == BY_ORDER and bool(crossing.entered.row[STATUS])


def _shown(name: bytes) -> str:
    """Without the tag of the end that counts (CSeq): no other name has a space."""
    return to_text(name.partition(b" ")[0])


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
    if vias and len(vias) == len(others):  # else a proxy, whose branches are its own
        yield BRANCH, vias[0].branch, others[0].branch
