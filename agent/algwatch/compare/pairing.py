# SPDX-License-Identifier: Apache-2.0
"""Pairing: two sightings of one message become a Crossing.

Three keys are tried in this order (Crossing.matched_by): identity, IPv4 ID, order within a known
mapping. Identity is tried at once. The other two are fallbacks (compare/partner.py), tried after
the window on the sightings still unpaired.
"""

from __future__ import annotations

from collections import deque

from algwatch.base.deadlines import NEVER
from algwatch.base.native.layout import ROW_DIRECTED, ROW_OUTGOING
from algwatch.base.packet import LAN
from algwatch.base.sighting import (
    AT,
    BITS,
    CALL,
    FLOW,
    PAIR,
    TO_TAG,
    TTL,
    Row,
    Sighting,
)
from algwatch.base.table import Table
from algwatch.compare.alike import (
    is_for_neighbour,
    is_one,
    is_spent,
    may_cross,
)
from algwatch.compare.contests import Contests
from algwatch.compare.crossing import (
    BY_IP_ID,
    BY_ORDER,
    IDENTITY,
    Crossing,
    Usual,
    alone,
    is_outbound,
    whole,
)
from algwatch.compare.flow_pair import FlowPair
from algwatch.compare.gaps import Gaps
from algwatch.compare.mapping import Mappings
from algwatch.compare.missed import Missed
from algwatch.compare.own_flows import OwnFlows
from algwatch.compare.partner import choose, fallback
from algwatch.compare.waiting import Waiting
from algwatch.sip.timers import SECOND, WINDOW
from algwatch.sip.unsolicited import Unsolicited

_EARLIEST = -WINDOW
_ALONE = 64  # more in one window are a flood


class Pairing:
    """Pairs the sightings of both sides.

    limit: of the waiting sightings (compare/waiting.py).
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
        self.missed = Missed(mappings)
        # By side, ns: its capture began and ended there (compare/spans.py).
        self._began, self._ended = [-WINDOW, -WINDOW], [NEVER, NEVER]
        self.gaps = Gaps(), Gaps()  # by side
        # Sightings of which the other copy was not captured; the reader empties the list.
        self.outside: list[Sighting] = []
        self.waiting = Waiting(limit, unsolicited)
        self.own: OwnFlows | None = None
        self._contests = Contests(self._withdraw)
        self.contest = self._contests.contest
        self.lan_only = self.wan_only = self.rewritten = self.unsolicited = 0
        self.undecided = self._number = self._withdrawn = 0
        # Call-ID hashes: original to changed by the router, and back.
        self._aliases: Table[int, int] = Table(limit)
        # By side, the latest rows without a partner.
        self._alone: tuple[deque[Row], deque[Row]] = (deque(maxlen=_ALONE), deque(maxlen=_ALONE))

    @property
    def paired(self) -> int:
        return self._number - self._withdrawn

    @property
    def due(self) -> int:
        """ns; advance() does nothing before it."""
        due = [side[0].row[AT] + WINDOW for side in self.waiting.queues if side]
        due += [doubt.at + WINDOW for doubt in self._contests.doubts[:1]]
        return min(due, default=NEVER)

    def feed(self, side: int, seen: list[Sighting]) -> list[Crossing | Usual]:
        """side: LAN or WAN; seen: its sightings in capture order. Returns completed crossings."""
        crossings: list[Crossing | Usual] = []
        waiting = self.waiting
        other, more = waiting.first[1 - side], waiting.more[1 - side]
        own, queue = waiting.first[side], waiting.queues[side]
        find, put_back, wait = other.pop, other.__setitem__, own.setdefault
        between, renews, accept = self._between, self.mappings.renews, self._accept
        pairs, inside, doubts = self._flow_pairs.get, side == LAN, self._doubts
        room = waiting.limit // 4
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
                        # _between(), inlined for the usual case.
                        lan, wan = (row, theirs) if inside else (theirs, row)
                        flow_pair = pairs(lan[FLOW] << 32 | wan[FLOW])
                        usual = False
                        if flow_pair is not None:
                            entered, bits = flow_pair.outbound is inside, row[BITS]
                            differ = bits ^ theirs[BITS]
                            if differ & ROW_OUTGOING:
                                usual = (not bits & ROW_OUTGOING) is entered
                            elif not (differ or bits & ROW_DIRECTED):
                                ttl, other_ttl = row[TTL], theirs[TTL]
                                usual = ttl > other_ttl > 0 if entered else other_ttl > ttl > 0
                            if usual and not 0 <= lan[AT] - flow_pair.agreed < SECOND:
                                if inside:
                                    usual = flow_pair.is_of(copy, first)
                                else:
                                    usual = flow_pair.is_of(first, copy)
                                if usual:
                                    flow_pair.agreed = -SECOND
                        if not usual:
                            flow_pair = between(*((copy, first) if inside else (first, copy)))
                        if flow_pair is not None:
                            if flow_pair.outbound is inside:
                                passed = (flow_pair, copy, first)
                            else:
                                passed = (flow_pair, first, copy)
                            _, entered_copy, left = passed
                            same = copy.payload == first.payload
                            sure = explained = same or flow_pair.explains(
                                entered_copy.payload, left.payload
                            )
                            if not same and sure:
                                sure = flow_pair.one_far_end and row[TO_TAG] == theirs[TO_TAG]
                            known = flow_pair.agreed >= 0
                            if sure and (
                                known or renews(flow_pair, lan[AT], left.row[AT], not same)
                            ):
                                self._number = copy.paired = first.paired = self._number + 1
                                if same:
                                    copy.payload = first.payload  # kept once
                                else:
                                    self.rewritten += 1
                                crossings.append(passed)
                                continue
                            if not known and doubts(passed):
                                pass  # the copy that is expected may still come
                            else:
                                crossing = whole(passed)
                                crossing.rewritten = not same
                                crossing.translated = not same and explained
                                if sure or is_one(crossing):
                                    crossings.append(accept(crossing))
                                    if same:
                                        copy.payload = first.payload
                                    if crossing.expected is not None or not explained:
                                        held = waits(crossing) or held
                                    continue
                    put_back(pair, first)
            if len(queue) >= room and not waiting.has_room(queue, copy):
                continue
            queue.append(copy)
            if wait(pair, copy) is not copy:
                waiting.more[side].setdefault(pair, []).append(copy)
        if held:
            contests.queue += [whole(one) if isinstance(one, tuple) else one for one in crossings]
            return []
        return crossings

    def bound(self, side: int, began: int, ended: int) -> None:
        """The capture of that side (LAN or WAN) began and ended there (ns)."""
        self._began[side], self._ended[side] = began, ended

    def advance(self, now: int) -> list[Crossing]:
        """now: both taps have passed this moment (ns). A sighting older than the window is paired
        by a fallback key, or becomes a crossing with one copy."""
        horizon = now - WINDOW
        crossings = self._contests.undisputed(horizon)
        lan, wan = self.waiting.queues
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
            self.waiting.forget(copy)
            partner, key = self._partner(copy, own, other)
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
                or self.missed.at[1 - copy.side] == NEVER  # one direction was not captured
                or self.gaps[1 - copy.side].hides(copy)
            ):
                self.outside.append(copy)
                continue
            if partner is None and (
                since <= self.missed.copy(copy, 1 - copy.side)
                or self.waiting.turned_away.has(copy.row, now)
                or (self.own is not None and self.own.hides(copy))
            ):
                continue
            if key == BY_ORDER and since <= self.missed.near(copy):
                continue  # a rival of the two may be among the missing copies
            if partner is None:
                crossing = alone(copy, bool(copy.row[BITS] & ROW_OUTGOING))
                known = self.mappings.towards(copy)  # only inbound
                if known is not None:
                    crossing.mapping, crossing.used_at = known, known.note_stopped(copy.row[AT])
                if copy.side == LAN:
                    self.lan_only += not is_for_neighbour(copy)
                elif self.waiting.is_unsolicited(copy):
                    self.unsolicited += 1
                else:
                    self.wan_only += 1
                    if self.own is not None and self.waiting.is_sent(copy):
                        self.own.note_sent(copy)
                crossings.append(crossing)
            else:
                crossings.append(self._matched(copy, partner, key))
        return crossings

    def _matched(self, copy: Sighting, partner: Sighting, key: str) -> Crossing:
        """The crossing of two copies joined by a fallback key."""
        self.waiting.forget(partner)
        one, two = copy.row[CALL], partner.row[CALL]
        if one != two:
            self._aliases.add(one, two)
            self._aliases.add(two, one)
        lan, wan = (copy, partner) if copy.side == LAN else (partner, copy)
        pair = self._between(lan, wan)
        assert pair is not None
        return self._accept(self._crossing(pair, lan, wan, key))

    def finish(self) -> list[Crossing]:
        """The capture is over: try the fallback keys on the waiting sightings. The rest is neither
        paired nor missing, see Waiting.copies()."""
        crossings = self._contests.undisputed(NEVER)
        lan, wan = self.waiting.queues
        for copy in self.waiting.copies():
            if copy.paired:
                continue
            own, other = (lan, wan) if copy.side == LAN else (wan, lan)
            partner, key = self._partner(copy, own, other)
            if partner is not None and (key == BY_IP_ID or not self._lost_recently(copy)):
                self.waiting.forget(copy)
                crossings.append(self._matched(copy, partner, key))
        self.undecided = self.waiting.undecided()
        return crossings

    def _partner(
        self, copy: Sighting, own: deque[Sighting], other: deque[Sighting]
    ) -> tuple[Sighting | None, str]:
        alone = self._alone[1 - copy.side]
        partner, key, contested = fallback(copy, own, other, alone, self.mappings)
        if contested:
            for one in contested:
                self.waiting.forget(one)
            self._contests.contested([copy, *contested])
        return partner, key

    def _lost_recently(self, copy: Sighting) -> bool:
        return copy.row[AT] - WINDOW <= self.missed.near(copy)

    def _between(self, lan: Sighting, wan: Sighting) -> FlowPair | None:
        """The flow pair of two copies, None if both came in, or both went out."""
        if not may_cross(lan.row, wan.row):
            return None
        return self.mappings.flow_pair(lan, wan, is_outbound(lan, wan))

    def _doubts(self, passed: Usual) -> bool:
        """True if the router is known to send such a message elsewhere, or from another address. A
        ring knows that it sent the second copy."""
        row = passed[2].row
        return not row[BITS] & ROW_DIRECTED and self.mappings.doubts(passed[0], row[AT])

    @staticmethod
    def _crossing(pair: FlowPair, lan: Sighting, wan: Sighting, matched_by: str) -> Crossing:
        if lan.payload == wan.payload:
            wan.payload = lan.payload  # kept once
        crossing = whole((pair, lan, wan) if pair.outbound else (pair, wan, lan))
        crossing.matched_by = matched_by
        if crossing.rewritten:
            crossing.translated = pair.explains(crossing.entered.payload, crossing.left.payload)
        return crossing

    def _accept(self, crossing: Crossing) -> Crossing:
        """Count a crossing."""
        self._number = crossing.entered.paired = crossing.left.paired = self._number + 1
        if crossing.rewritten:
            self.rewritten += 1
        pair = crossing.flow_pair
        if pair is not None and pair.agreed < 0:
            lan, wan = crossing.lan, crossing.wan
            assert lan is not None and wan is not None
            crossing.expected = self.mappings.learn(
                pair, lan.row[AT], wan.row[AT], crossing.rewritten
            )
        return crossing

    def _withdraw(self, crossing: Crossing) -> None:
        """Withdraw a contradicted crossing."""
        self._withdrawn += 1
        self.rewritten -= crossing.rewritten

    def _among(self, copy: Sighting, candidates: list[Sighting]) -> Crossing | None:
        """The crossing of copy and one candidate. Equal candidates that contradict each other yield
        None, set copy.paired, and are left out."""
        row = copy.row
        found: list[tuple[Crossing, Sighting]] = []
        for other in candidates:
            theirs = other.row
            if row[CALL] != theirs[CALL] or not _EARLIEST <= row[AT] - theirs[AT] <= WINDOW:
                continue
            lan, wan = (copy, other) if copy.side == LAN else (other, copy)
            pair = self._between(lan, wan)
            if pair is None:
                continue
            crossing = self._crossing(pair, lan, wan, IDENTITY)
            if pair.agreed < 0 and self._doubts((pair, crossing.entered, crossing.left)):
                continue
            if not crossing.rewritten or is_one(crossing):
                found.append((crossing, other))
        if not found:
            return None
        crossing, partner, found, rivals = choose(copy, candidates, found, self.mappings)
        if rivals:
            for rival in rivals:
                self.waiting.forget(rival)
            self._contests.contested(rivals)
            self._contests.doubt(row, crossing, False)
            if any(rival is o for rival in rivals for _, o in found):
                self.waiting.forget(partner)
                self._contests.contested([partner, copy])
                return None
        self.waiting.forget(partner)
        return self._accept(crossing)
