# SPDX-License-Identifier: Apache-2.0
"""Pairing: two sightings of one message become a Crossing.

Three keys are tried in this order (Crossing.matched_by): identity, IPv4 ID, order within a known
mapping. Identity is tried at once. The other two are fallbacks, tried after the window on the
sightings still unpaired. A fallback never joins two calls: it also needs one surviving identity
part (docs/decisions/0003-pairing-keys.md).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from algwatch.base import address
from algwatch.base.deadlines import NEVER
from algwatch.base.native.layout import ROW_DIRECTED, ROW_OUTGOING
from algwatch.base.packet import LAN, WAN
from algwatch.base.sighting import (
    AT,
    BITS,
    CALL,
    CSEQ,
    FLOW,
    IP_ID,
    PAIR,
    TO_TAG,
    TTL,
    Row,
    Sighting,
)
from algwatch.base.table import FRESH, STRANGE, Table, Weight, choose
from algwatch.compare.alike import (
    are_alike,
    are_two_answers,
    contradicts,
    is_one,
    is_spent,
    may_cross,
    same_datagram,
    same_tags,
    without_id,
)
from algwatch.compare.contests import Contests
from algwatch.compare.crossing import (
    BY_IP_ID,
    BY_ORDER,
    IDENTITY,
    UNTOUCHED,
    Crossing,
    alone,
    is_outbound,
)
from algwatch.compare.mapping import Mappings
from algwatch.compare.own_flows import OwnFlows
from algwatch.compare.turned_away import TurnedAway
from algwatch.sip.timers import SECOND, TIMER_F, WINDOW
from algwatch.sip.unsolicited import Unsolicited

_EARLIEST = -WINDOW
_ALONE = 64  # more in one window are a flood

_new = object.__new__


class Pairing:
    """Pairs the sightings of both sides.

    limit: sightings of one side that wait at once; unsolicited ones get a quarter of it. Beyond it
    some are evicted (base/table.py). An evicted sighting is counted in `dropped`, and is neither
    paired nor reported missing. The same holds for its copy on the other side
    (compare/turned_away.py), and for the other copy of a message that was not captured. weigh:
    grade and host of a sighting, unsolicited or not.
    own: flows of programs on the router itself: the log may show one direction alone.
    contest: contradicted packets, since the last time it was emptied.
    paired, rewritten: crossings. lan_only, wan_only: messages without their other copy. Messages
    between two hosts of the LAN (a phone and its PBX) do not count: no router forwards them.
    unsolicited: such messages on the WAN side, not counted in wan_only. undecided, once finished:
    messages without their other copy, although their own side was captured for Timer F after them.
    """

    def __init__(
        self, mappings: Mappings, limit: int, unsolicited: Unsolicited | None = None
    ) -> None:
        self.mappings = mappings
        self._flow_pairs = mappings.flow_pairs
        self._unsolicited = unsolicited
        self._lost_at = [-WINDOW, -WINDOW]  # by side, ns: copies up to here may be missing
        # By side, ns: its capture began and ended there (compare/spans.py).
        self._began, self._ended = [-WINDOW, -WINDOW], [NEVER, NEVER]
        self.outside: list[Sighting] = []  # sightings outside of it; the reader empties the list
        self.limit = limit
        self.weigh: Callable[[Sighting, bool], Weight] = _unweighed
        self.turned_away = TurnedAway()
        self.own: OwnFlows | None = None
        self.dropped = 0
        self._contests = Contests(self._withdraw)
        self.contest = self._contests.contest
        self.lan_only = self.wan_only = self.rewritten = self.unsolicited = 0
        self.undecided = self._number = self._withdrawn = 0
        # Call-ID hashes: original to changed by the router, and back.
        self._aliases: Table[int, int] = Table(limit)
        self._waiting: tuple[deque[Sighting], deque[Sighting]] = (deque(), deque())
        # By side, the latest rows without a partner.
        self._alone: tuple[deque[Row], deque[Row]] = (deque(maxlen=_ALONE), deque(maxlen=_ALONE))
        # By side and hash: the oldest sighting, and later ones with the same hash (rare).
        self._first: tuple[dict[int, Sighting], dict[int, Sighting]] = ({}, {})
        self._more: tuple[dict[int, list[Sighting]], dict[int, list[Sighting]]] = ({}, {})

    @property
    def paired(self) -> int:
        return self._number - self._withdrawn

    @property
    def due(self) -> int:
        """ns; advance() does nothing before it."""
        due = [side[0].row[AT] + WINDOW for side in self._waiting if side]
        due += [doubt.at + WINDOW for doubt in self._contests.doubts[:1]]
        return min(due, default=NEVER)

    def feed(self, side: int, seen: list[Sighting]) -> list[Crossing]:
        """side: LAN or WAN; seen: its sightings in capture order. Returns completed crossings."""
        crossings: list[Crossing] = []
        other, more = self._first[1 - side], self._more[1 - side]
        own, waiting = self._first[side], self._waiting[side]
        find, put_back, wait = other.pop, other.__setitem__, own.setdefault
        cross, accept = self._crossing, self._accept
        room = self.limit // 4
        aliases, contests = self._aliases, self._contests
        doubtful, waits = contests.doubtful, contests.waits
        held = bool(contests.queue)
        for copy in seen:
            row = copy.row
            pair = row[PAIR]
            if doubtful and pair in doubtful and contests.leaves_out(copy):
                continue
            first = find(pair, None)
            if first is not None:
                if pair in more:
                    put_back(pair, first)
                    found = self._among(copy, [first, *more[pair]])
                    if found is not None:
                        crossings.append(found)
                        held = waits(found) or held
                    if copy.paired:
                        continue
                else:
                    theirs = first.row
                    call = row[CALL]
                    same = call == theirs[CALL] or (
                        aliases and aliases.get(call, call) == theirs[CALL]
                    )
                    if same and _EARLIEST <= row[AT] - theirs[AT] <= WINDOW:
                        crossing = cross(copy, first, IDENTITY)
                        if crossing is not None and (not crossing.rewritten or is_one(crossing)):
                            # _accept(), inlined for the usual case.
                            flow_pair = crossing.flow_pair
                            if crossing.rewritten or flow_pair is None or flow_pair.agreed < 0:
                                crossings.append(accept(crossing))
                                if crossing.expected is not None or (
                                    crossing.rewritten and not crossing.translated
                                ):
                                    held = waits(crossing) or held
                                continue
                            crossings.append(crossing)
                            self._number = copy.paired = first.paired = self._number + 1
                            continue
                    put_back(pair, first)
            if len(waiting) >= room and not self._has_room(waiting, copy):
                self.dropped += 1
                self.turned_away.add(row)
                continue
            waiting.append(copy)
            if wait(pair, copy) is not copy:
                self._more[side].setdefault(pair, []).append(copy)
        if held:
            contests.queue += crossings
            return []
        return crossings

    def _has_room(self, waiting: deque[Sighting], copy: Sighting) -> bool:
        """True if copy may wait with these. Some of them may be evicted for it."""
        if len(waiting) >= self.limit:
            self.tidy()
            if len(waiting) >= self.limit:
                there = list(waiting)
                weights = [self.weigh(one, self.is_unsolicited(one)) for one in there]
                going = set(choose(weights, self.limit, max(1, self.limit // 4)))
                for i in going:
                    self._forget(there[i])
                    self.turned_away.add(there[i].row)
                self.dropped += len(going)
                waiting.clear()
                waiting.extend(one for i, one in enumerate(there) if i not in going)
        return len(waiting) * 4 < self.limit or not self.is_unsolicited(copy)

    def tidy(self) -> None:
        """Drop copies already paired."""
        for waiting in self._waiting:
            there = [copy for copy in waiting if not copy.paired]
            waiting.clear()
            waiting.extend(there)

    def evict(self, copy: Sighting) -> None:
        """Evict a waiting sighting."""
        self._waiting[copy.side].remove(copy)
        self._forget(copy)
        self.turned_away.add(copy.row)
        self.dropped += 1

    def lost(self, side: int, at: int) -> None:
        """Copies of that side (LAN or WAN) may be missing up to `at` (ns)."""
        self._lost_at[side] = max(self._lost_at[side], at)

    def bound(self, side: int, began: int, ended: int) -> None:
        """The capture of that side (LAN or WAN) began and ended there (ns)."""
        self._began[side], self._ended[side] = began, ended

    def advance(self, now: int) -> list[Crossing]:
        """now: both taps have passed this moment (ns). A sighting older than the window is paired
        by a fallback key, or becomes a crossing with one copy."""
        horizon = now - WINDOW
        crossings = self._contests.undisputed(horizon)
        lan, wan = self._waiting
        for side in lan, wan:
            while side and side[0].paired:
                side.popleft()
        while lan or wan:
            if lan and (not wan or lan[0].row[AT] <= wan[0].row[AT]):
                own, other = lan, wan
            else:
                own, other = wan, lan
            copy = own[0]
            if not copy.paired and copy.row[AT] > horizon:
                break
            own.popleft()
            if copy.paired:
                continue
            self._forget(copy)
            partner, key = self._fallback(copy, own, other)
            if copy.paired:
                continue
            if partner is None:
                self._alone[copy.side].append(copy.row)
                if is_spent(copy):
                    continue
            since = copy.row[AT] - WINDOW
            if partner is None and (
                since <= self._began[1 - copy.side]
                or copy.row[AT] + WINDOW >= self._ended[1 - copy.side]
            ):
                self.outside.append(copy)
                continue
            if partner is None and (
                since <= self._lost_at[1 - copy.side]
                or self.turned_away.has(copy.row, now)
                or (self.own is not None and self.own.hides(copy))
            ):
                continue
            if key == BY_ORDER and since <= max(self._lost_at):
                continue  # a rival of the two may be among the missing copies
            if partner is None:
                crossing = alone(copy, bool(copy.row[BITS] & ROW_OUTGOING))
                known = self.mappings.of(copy.destination, copy.source)  # only inbound
                if known is not None:
                    crossing.mapping, crossing.used_at = known, known.used_at
                if copy.side == LAN:
                    self.lan_only += not _is_for_neighbour(copy)
                elif self.is_unsolicited(copy):
                    self.unsolicited += 1
                else:
                    self.wan_only += 1
                crossings.append(crossing)
            else:
                crossings.append(self._matched(copy, partner, key))
        return crossings

    def _matched(self, copy: Sighting, partner: Sighting, key: str) -> Crossing:
        """The crossing of two copies joined by a fallback key."""
        self._forget(partner)
        one, two = copy.row[CALL], partner.row[CALL]
        if one != two:
            self._aliases.add(one, two)
            self._aliases.add(two, one)
        crossing = self._crossing(copy, partner, key)
        assert crossing is not None
        return self._accept(crossing)

    def finish(self) -> list[Crossing]:
        """The capture is over: try the fallback keys on the waiting sightings. The rest is neither
        paired nor missing, see waiting()."""
        crossings = self._contests.undisputed(NEVER)
        lan, wan = self._waiting
        for copy in self.waiting():
            if copy.paired:
                continue
            own, other = (lan, wan) if copy.side == LAN else (wan, lan)
            partner, key = self._fallback(copy, own, other)
            if partner is not None and (key == BY_IP_ID or not self._lost_recently(copy)):
                self._forget(copy)
                crossings.append(self._matched(copy, partner, key))
        self.undecided = sum(self._undecided(side) for side in self._waiting)
        return crossings

    def _undecided(self, waiting: deque[Sighting]) -> int:
        end = max((copy.row[AT] for copy in waiting), default=0) - TIMER_F
        return sum(
            not (copy.paired or copy.row[AT] > end or is_spent(copy) or self.is_unsolicited(copy))
            and not _is_for_neighbour(copy)
            for copy in waiting
        )

    def _lost_recently(self, copy: Sighting) -> bool:
        return copy.row[AT] - WINDOW <= max(self._lost_at)

    def is_unsolicited(self, copy: Sighting) -> bool:
        return copy.side == WAN and self._unsolicited is not None and self._unsolicited.sent(copy)

    def waiting(self) -> list[Sighting]:
        """Sightings without their other copy yet, oldest first. After finish(): unknown."""
        both = [copy for side in self._waiting for copy in side if not copy.paired]
        return sorted(both, key=lambda copy: copy.row[AT])

    def _crossing(self, copy: Sighting, partner: Sighting, matched_by: str) -> Crossing | None:
        """None if both came in, or both went out."""
        if copy.side == LAN:
            lan, wan = copy, partner
        else:
            lan, wan = partner, copy
        a, b = lan.row, wan.row
        # is_outbound() and Mappings.flow_pair(), inlined for the usual case.
        if a[TTL] == b[TTL] or a[BITS] != b[BITS] or a[BITS] & ROW_DIRECTED:
            if not may_cross(a, b):
                return None
            outbound = is_outbound(lan, wan)
        else:
            outbound = a[TTL] > b[TTL]
        pair = self._flow_pairs.get(a[FLOW] << 32 | b[FLOW])
        if pair is None or pair.outbound is not outbound:
            pair = self.mappings.flow_pair(lan, wan, outbound)
        elif not 0 <= a[AT] - pair.agreed < SECOND:
            if pair.is_of(lan, wan):
                pair.agreed = -SECOND
            else:
                pair = self.mappings.flow_pair(lan, wan, outbound)
        # The constructor would cost three times the instructions.
        crossing = _new(Crossing)
        crossing.lan = lan
        crossing.wan = wan
        if outbound:
            crossing.entered = lan
            crossing.left = wan
        else:
            crossing.entered = wan
            crossing.left = lan
        crossing.outbound = outbound
        crossing.matched_by = matched_by
        crossing.flow_pair = pair
        crossing.expected = crossing.changes = None
        crossing.rewritten = crossing.translated = crossing.seen_before = False
        crossing.headers = UNTOUCHED
        if copy.payload == partner.payload:
            copy.payload = partner.payload  # kept once
        else:
            crossing.rewritten = True
            crossing.translated = pair.explains(crossing.entered.payload, crossing.left.payload)
        return crossing

    def _accept(self, crossing: Crossing) -> Crossing:
        """Count a crossing."""
        self._number += 1
        crossing.entered.paired = crossing.left.paired = self._number
        if crossing.rewritten:
            self.rewritten += 1
        pair = crossing.flow_pair
        if pair is not None and pair.agreed < 0:
            self.mappings.learn(crossing)
        return crossing

    def _withdraw(self, crossing: Crossing) -> None:
        """Withdraw a contradicted crossing."""
        self._withdrawn += 1
        self.rewritten -= crossing.rewritten

    def _forget(self, copy: Sighting) -> None:
        first, more = self._first[copy.side], self._more[copy.side]
        pair = copy.row[PAIR]
        others = more.get(pair)
        if others is None:
            if first.get(pair) is copy:
                del first[pair]
            return
        if first[pair] is copy:
            first[pair] = others.pop(0)
        else:
            others.remove(copy)
        if not others:
            del more[pair]

    def _among(self, copy: Sighting, candidates: list[Sighting]) -> Crossing | None:
        """The crossing of copy and one candidate: the one with its bytes, else with its To tag,
        then with its IPv4 ID, else the first. Equal candidates that contradict each other yield
        None, set copy.paired, and are left out."""
        row = copy.row
        found: list[tuple[Crossing, Sighting]] = []
        for other in candidates:
            theirs = other.row
            if row[CALL] != theirs[CALL] or not _EARLIEST <= row[AT] - theirs[AT] <= WINDOW:
                continue
            crossing = self._crossing(copy, other, IDENTITY)
            if crossing is not None and (not crossing.rewritten or is_one(crossing)):
                found.append((crossing, other))
        if not found:
            return None
        # A message to another far end has a copy of its own.
        found = [
            f for f in found if f[0].flow_pair is not None and f[0].flow_pair.one_far_end
        ] or found
        # So has one of another sender. The NAT decides.
        if any(o.source != candidates[0].source for o in candidates):
            found = [f for f in found if self._is_mapped(copy, f[1])] or found
        every = found
        for better in (
            [f for f in found if not f[0].rewritten],
            [f for f in found if row[TO_TAG] == f[1].row[TO_TAG]],
        ):
            if better:
                found = better
                break
        found = [f for f in found if row[IP_ID] and row[IP_ID] == f[1].row[IP_ID]] or found
        crossing, partner = found[0]
        rivals = [
            o for _, o in every if o is not partner and contradicts(partner, o, crossing.outbound)
        ]
        # Several senders of one message, and one has crossed: do not learn the NAT from it.
        if not self._is_mapped(copy, partner):
            rivals += [
                o for _, o in found
                if o.source != partner.source and o.destination == partner.destination
            ]  # fmt: skip
        if rivals:
            for rival in rivals:
                self._forget(rival)
            self._contests.contested(rivals)
            self._contests.doubt(row, crossing, False)
            if any(rival is o for rival in rivals for _, o in found):
                self._forget(partner)
                self._contests.contested([partner, copy])
                return None
        self._forget(partner)
        return self._accept(crossing)

    def _fallback(
        self, copy: Sighting, own: deque[Sighting], other: deque[Sighting]
    ) -> tuple[Sighting | None, str]:
        near = [o for o in other if not o.paired and are_alike(copy.row, o.row)]
        same = [o for o in near if same_datagram(copy, o) and not self._is_contradicted(copy, o)]
        if any(contradicts(same[0], o, False) for o in same[1:]):
            for one in same:
                self._forget(one)
            self._contests.contested([copy, *same])
            return None, ""
        if same:
            return same[0], BY_IP_ID
        # The partner may also be one of the other side that stayed alone.
        row = copy.row
        if any(are_alike(row, o) or same_tags(row, o) for o in self._alone[1 - copy.side]):
            return None, ""
        near = [o for o in near if o.row[CSEQ] == copy.row[CSEQ] and not are_two_answers(copy, o)]
        mapped = [o for o in near if self._is_mapped(copy, o)]
        # Order decides only with one message of this kind on each side, however often it was sent.
        rivals = [o for o in own if not o.paired and o is not copy and are_alike(copy.row, o.row)]
        if _are_again(mapped) and _are_again([copy, *rivals]):
            return mapped[0], BY_ORDER
        # Forwarded to another far end: unchanged, with nothing alike on either side.
        whole = [o for o in near if o.row[PAIR] == copy.row[PAIR] and o.row[CALL] == copy.row[CALL]]
        if len(whole) == 1 == len(near) and not rivals:
            return whole[0], IDENTITY
        # Call-ID and branch changed at once: one datagram with its own tags. A B2BUA makes new tags
        # and datagrams.
        alike = [o for o in other if not o.paired and same_tags(copy.row, o.row)]
        sure = [o for o in alike if same_datagram(copy, o) and not self._is_contradicted(copy, o)]
        if len(sure) == 1:
            return sure[0], BY_IP_ID
        # Without IP IDs: the same tags on a known mapping, with nothing alike on either side.
        rivals = [o for o in own if o is not copy and not o.paired and same_tags(copy.row, o.row)]
        if not (_are_again(alike) and _are_again([copy, *rivals])):
            return None, ""
        found = alike[0]
        if without_id(copy, found) and self._is_mapped(copy, found):
            return found, BY_ORDER
        return None, ""

    def _is_contradicted(self, one: Sighting, two: Sighting) -> bool:
        lan, wan = (one, two) if one.side == LAN else (two, one)
        return self.mappings.contradicts(lan, wan, is_outbound(lan, wan))

    def _is_mapped(self, one: Sighting, two: Sighting) -> bool:
        lan, wan = (one, two) if one.side == LAN else (two, one)
        if lan.destination == wan.destination:
            return self.mappings.is_known(lan.source, wan.source, wan.destination)
        if lan.source == wan.source:
            return self.mappings.is_known(lan.destination, wan.destination, wan.source)
        return False


def _unweighed(copy: Sighting, unsolicited: bool) -> Weight:
    return STRANGE if unsolicited else FRESH, copy.packed_ends[:16]


def _are_again(some: list[Sighting]) -> bool:
    """True if these are one message, retransmitted within the window: any stands for any other.
    False for none."""
    return bool(some) and all(
        o.payload == some[0].payload and o.row[FLOW] == some[0].row[FLOW] for o in some[1:]
    )


def _is_for_neighbour(copy: Sighting) -> bool:
    """True for a LAN message between two hosts of one network."""
    ends = copy.packed_ends
    return copy.side == LAN and address.in_one_network(ends[:16], ends[16:32], ends[47])
