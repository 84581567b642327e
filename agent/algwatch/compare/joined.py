# SPDX-License-Identifier: Apache-2.0
"""Joined: one thing on both sides of the router, with the fate of its messages there."""

from __future__ import annotations

from algwatch.base.native.layout import METHOD_NAMES
from algwatch.base.sighting import AT, METHOD, STATUS, Sighting
from algwatch.base.typed import Generic, Protocol, TypeVar
from algwatch.compare.crossing import Crossing, shared
from algwatch.compare.differences import rewrites
from algwatch.compare.flow_pair import FlowPair
from algwatch.compare.names import Names, renames
from algwatch.compare.restored import FROM, left_public


class Part(Protocol):
    """started_at: ns."""

    started_at: int


T = TypeVar("T", bound=Part)

AGAIN = " again"  # behind the label of a second unpaired message of one kind
REWRITTEN = 8  # rewritten messages kept as evidence

# By class of status and method: the label of a message within its call.
_CLASSES = [[f"{c}xx {name}" if c else name for name in METHOD_NAMES] for c in range(10)]
_LABELS = [_CLASSES[status // 100] for status in range(1000)]

_NO_CROSSINGS: dict[str, Crossing] = {}
_NO_FLOW_PAIRS: dict[str, FlowPair] = {}


def _both(own: dict[str, Crossing], more: dict[str, Crossing]) -> dict[str, Crossing]:
    """Without a change to either: the empty one is everybody's."""
    return {**own, **more, **own} if more else own


def label(crossing: Crossing) -> str:
    """ "INVITE", "2xx INVITE", "ACK" ..."""
    return label_of(crossing.entered)


def label_of(copy: Sighting) -> str:
    """The label of one copy, as label() of a crossing."""
    status = copy.row[STATUS]
    return _LABELS[status if status < 1000 else status % 1000][copy.row[METHOD]]


class Joined(Generic[T]):
    """sides: its parts on LAN, WAN and UNKNOWN. keys: hashes of its Call-IDs; several if the router
    changes them.

    By label of the message (see `label`): flow_pairs, of the latest crossing; unpaired: messages
    without their other copy, a second one of its label under this and AGAIN; changed: rewritten
    messages, the first and those not explained by the mapping; misdelivered: inbound messages at
    another LAN port than mapped. headers: fields rewritten according to the mapping, in any
    message; wrote: fields with another address written on the way out; unexplained: a rewrite is
    not explained by the mapping. names: its names on both sides, since the router changed one.
    unrestored: by word of compare/restored.py, the first message to the phone with the public
    address in a field changed by the router. paired: a message of it crossed.
    """

    __slots__ = ("changed", "flow_pairs", "headers", "keys", "misdelivered", "names", "paired",
                 "sides", "two_sided", "unexplained", "unpaired", "unrestored",
                 "wrote")  # fmt: skip

    def __init__(self, key: int, two_sided: bool) -> None:
        self.keys: tuple[int, ...] = (key,)
        self.two_sided = two_sided
        self.sides: list[T | None] = [None, None, None]
        if two_sided:
            self.flow_pairs: dict[str, FlowPair] = {}
            self.changed: dict[str, Crossing] = {}
        else:  # nothing ever crosses
            self.flow_pairs, self.changed = _NO_FLOW_PAIRS, _NO_CROSSINGS
        self.unpaired = self.misdelivered = _NO_CROSSINGS
        self.headers: frozenset[str] = frozenset()
        self.wrote: frozenset[str] = frozenset()
        self.names: Names | None = None
        self.unrestored = _NO_CROSSINGS
        self.unexplained = self.paired = False

    @property
    def key(self) -> int:
        return self.keys[0]

    @property
    def started_at(self) -> int:
        """ns, of its first message."""
        return min(s.started_at for s in self.seen)

    @property
    def seen(self) -> list[T]:
        """The parts of sides with messages, LAN first."""
        lan, wan, one = self.sides
        if one is None and lan is not None:
            return [lan] if wan is None else [lan, wan]
        if lan is None and wan is None and one is not None:
            return [one]
        return [seen for seen in (lan, wan, one) if seen is not None]

    @property
    def flow_pair(self) -> FlowPair | None:
        """The flow pair of any of its messages; None if nothing crossed."""
        if not self.paired:
            return None
        for crossing in self.changed.values():
            return crossing.flow_pair
        for pair in self.flow_pairs.values():
            return pair
        return None

    def attach(self, kind: str, crossing: Crossing) -> None:
        """Attach the fate of a message; kind: its label."""
        pair = crossing.flow_pair
        if pair is None:
            if self.unpaired is _NO_CROSSINGS:
                self.unpaired = {}
            self.unpaired.setdefault(kind if kind not in self.unpaired else kind + AGAIN, crossing)
            return
        if crossing.rewritten:
            self._changed(kind, crossing)
            if self.names is None and not crossing.translated and renames(crossing):
                self.names = Names()
                # Pairing order is not always message order.
                known = self.paired and self.seen
                if known and crossing.entered.row[AT] > self.started_at:
                    self.names.late(kind, crossing)
        self.paired = True
        if self.names is not None:
            self.names.feed(kind, crossing)
        if (self.headers or self.unexplained) and not (crossing.outbound or crossing.translated):
            self._restored(crossing)
        if crossing.expected is not None:
            if self.misdelivered is _NO_CROSSINGS:
                self.misdelivered = {}
            self.misdelivered.setdefault(kind, crossing)

    def knows(self, headers: frozenset[str], outbound: bool) -> bool:
        """A rewritten message of a known kind shows nothing new: it follows the mapping, like a
        kept one. headers: the rewritten fields."""
        if not self.changed or (outbound and not headers <= self.wrote):
            return False
        return headers <= self.headers

    def _changed(self, kind: str, crossing: Crossing) -> None:
        if not crossing.headers <= self.headers:
            self.headers = shared(self.headers | crossing.headers)
        if crossing.outbound and not crossing.headers <= self.wrote:
            self.wrote = shared(self.wrote | crossing.headers)
        if crossing.seen_before and self.changed:
            return  # follows the mapping, like a kept one
        changes = [] if crossing.seen_before else [r for r in rewrites(crossing) if not r.explained]
        wrong = bool(changes)
        if crossing.outbound:
            wrote = {r.header for r in changes if r.field == "address"}
            self.wrote = shared(self.wrote | wrote)
        self.unexplained = self.unexplained or wrong
        room = len(self.changed) < REWRITTEN and kind not in self.changed
        if room and (wrong or not self.changed):
            self.changed[kind] = crossing

    def _restored(self, crossing: Crossing) -> None:
        for what in left_public(crossing):
            header = FROM[what]
            if what not in self.unrestored and (
                header in self.headers
                or any(r.header == header for c in self.changed.values() for r in rewrites(c))
            ):
                self.unrestored = {**self.unrestored, what: crossing}

    def absorb(self, other: Joined[T]) -> bool:
        """Take over the content of another one, proved by a pair to be the same thing. False if
        both saw the same side: they are two things, and nothing is taken."""
        for mine, theirs in zip(self.sides, other.sides, strict=True):
            if mine is not None and theirs is not None and mine is not theirs:
                return False
        for side, theirs in enumerate(other.sides):
            if theirs is not None:
                self.sides[side] = theirs
        self.keys += tuple(key for key in other.keys if key not in self.keys)
        self.unpaired = _both(self.unpaired, other.unpaired)
        self.changed = _both(self.changed, other.changed)
        self.misdelivered = _both(self.misdelivered, other.misdelivered)
        for kind, pair in other.flow_pairs.items():
            self.flow_pairs.setdefault(kind, pair)
        self.headers |= other.headers
        self.wrote |= other.wrote
        self.names = self.names or other.names
        self.unrestored = {**other.unrestored, **self.unrestored}
        self.unexplained = self.unexplained or other.unexplained
        self.paired = self.paired or other.paired
        return True
