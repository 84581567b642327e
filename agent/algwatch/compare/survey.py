# SPDX-License-Identifier: Apache-2.0
"""Survey: a first pass over two captures, to learn whether they can be compared.

It collects the identity of every message, bounded, and reports a Quality: do the clocks differ, are
the sides exchanged, was one capture given twice, or are the captures unrelated?
"""

from __future__ import annotations

from algwatch.base.native.layout import KIND_CUT, KIND_SIP, ROW
from algwatch.base.packet import LAN, WAN, Batch
from algwatch.base.sighting import PAIR, Sighting
from algwatch.compare.clock_offset import DELAY, Match, measure
from algwatch.compare.copies import Copy, is_same, keeps_an_end, match_copies
from algwatch.compare.missing import missing
from algwatch.compare.must_cross import SLACK, Traffic, exchanged, unrelated
from algwatch.compare.one_way import one_way
from algwatch.compare.quality import Quality
from algwatch.compare.sides_check import Votes
from algwatch.compare.spans import Seen, note_spans
from algwatch.sip.timers import SECOND

IDENTITIES = 4096  # of one side remembered
SAMPLE = 1024  # messages on both sides examined, over the whole capture
COPIES = 16  # of one identity remembered: more than a 2xx without ACK has
EXAMPLES = 256  # messages of one side with their bytes remembered
SAME_CLOCK = 5 * SECOND // 1000  # the largest difference of two readings of one clock
SAME_DRIFT = 5e-6
SAME_SPAN = 60 * SECOND
NEARLY_ALL = 0.9  # of the shared messages are the same packets
Shared = list[tuple[list[Copy], list[Copy]]]  # the copies of each message, LAN and WAN


class Survey:
    """Batches of both sides go into `feed`, in any order. `finish` returns the quality; settled:
    the same, as soon as enough was seen of captures that fit together.

    logged: the LAN side is the router's log of its own messages (NFLOG). Without translation they
    leave with the same addresses and TTL, so equal packets are two copies then.

    Bounded: if a side has too many identities, only those with a hash ending in a zero bit are
    kept, then in two, and so on. Both sides keep the same ones, over the whole capture.
    """

    def __init__(self) -> None:
        self.settled: Quality | None = None
        self.logged = False
        self._enough = SAMPLE
        self._copies: tuple[dict[int, list[Copy]], dict[int, list[Copy]]] = ({}, {})
        self._masks = [0, 0]
        self._examples: tuple[dict[int, Sighting], dict[int, Sighting]] = ({}, {})
        self._example_masks = [0, 0]
        self._messages = [0, 0]
        self._cut = [False, False]  # by side: messages were not captured whole
        self._common = 0
        # By side, ns: its first row, and the end of its data so far.
        self._first, self._last = [0, 0], [0, 0]
        # By side, ns: earlier rows are skipped. Two agreeing clocks may still drift apart, visible
        # only after a while.
        self._skip_to = [0, 0]
        # By side, ns: the first and last message of each time that was read.
        self._read: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
        self._skipped = [True, True]

    def feed(self, side: int, batch: Batch) -> None:
        """side: LAN or WAN, as it was named."""
        self._last[side] = max(self._last[side], batch.watermark)
        if batch.watermark < self._skip_to[side]:
            self._skipped[side] = True
            return
        begun = at = 0
        own, other, mask = self._copies[side], self._copies[1 - side], self._masks[side]
        examples, buffer, ends = self._examples[side], batch.buffer, batch.ends
        for i, row in enumerate(ROW.iter_unpack(batch.rows)):
            (at, _, call, pair, _, from_tag, _, cseq, start, length, status, ip_id, bits, kind,
             method, ttl, _) = row  # fmt: skip
            if at < self._first[side] or not self._first[side]:
                self._first[side] = at
            begun = begun or at
            if kind != KIND_SIP:
                self._cut[side] |= kind == KIND_CUT
                continue
            self._messages[side] += 1
            if pair & mask:
                continue
            payload, packed = bytes(buffer[start : start + length]), ends[48 * i : 48 * i + 48]
            kind = from_tag << 56 | cseq << 24 | method << 16 | status
            copy = Copy(at, pair, call, kind, ip_id, ttl, bits, hash(payload), packed)
            copies = own.get(copy.identity)
            if copies is None:
                own[copy.identity] = [copy]
                self._common += copy.identity in other
                if not pair & self._example_masks[side]:
                    examples[copy.identity] = Sighting(row, side, payload, packed)
            elif len(copies) < COPIES:
                copies.append(copy)
        if at and self._skipped[side]:
            self._read[side].append((begun, at))
            self._skipped[side] = False
        elif at:
            self._read[side][-1] = self._read[side][-1][0], at
        self._make_room(side)
        if self._common >= self._enough and self.settled is None:
            self._look(batch.watermark)

    def _look(self, now: int) -> None:
        quality = self._judge(False)
        if _is_settled(quality):
            self._note_spans(quality, over=False)
            self.settled = quality
        elif _is_one_clock(quality):
            self._skip_to = [now + SAME_SPAN] * 2
        self._enough = self._common + SAMPLE // 4

    def _make_room(self, side: int) -> None:
        own, other, examples = self._copies[side], self._copies[1 - side], self._examples[side]
        while len(own) > IDENTITIES:
            self._masks[side] = mask = self._masks[side] << 1 | 1
            # Messages on both sides stay while they leave room.
            gone = [i for i, copies in own.items() if copies[0].pair & mask and i not in other]
            if len(own) - len(gone) > IDENTITIES // 2:
                gone = [i for i, copies in own.items() if copies[0].pair & mask]
            for identity in gone:
                del own[identity]
        while len(examples) > EXAMPLES:
            self._example_masks[side] = mask = self._example_masks[side] << 1 | 1
            for identity in [i for i, copy in examples.items() if copy.row[PAIR] & mask]:
                del examples[identity]

    def finish(self, late: bool = False) -> Quality:
        """late: the captures cannot be read again."""
        quality = self._judge(late)
        if not late:
            # With more messages, an earlier end of the survey depends on the size of batches.
            self._note_spans(quality, over=self._common < SAMPLE)
        return quality

    def _judge(self, late: bool) -> Quality:
        quality = Quality()
        quality.late = late
        if not all(self._messages):
            for side in (LAN, WAN):
                if self._messages[1 - side] and not (self._messages[side] or self._cut[side]):
                    quality.silent = side
            return quality
        shared = self._shared()
        quality.pairs = len(shared)
        if not shared:
            self._relate(quality)
            self._note_ways(quality, shared)
            if quality.exchanged and not late:
                quality.exchange()
            return quality
        every = shared
        shared = shared[:: -(-len(shared) // SAMPLE)]
        equal = sum(1 for lan, wan in shared if is_same(lan, wan))
        quality.same = not self.logged and equal >= NEARLY_ALL * len(shared)
        quality.wan_kept = self._messages[WAN] > self._messages[LAN]
        votes = Votes()
        matches: list[Match] = []
        for lan, wan in shared:
            match, inside, outside = match_copies(lan, wan)
            if match.candidates and max(len(lan), len(wan)) < COPIES:  # all copies are known
                matches.append(match)
            votes.add(inside.header, outside.header, inside.method, inside.status)
        quality.exchanged = votes.exchanged and not quality.same
        quality.offset = measure(matches)
        quality.unsteady = bool(matches) and quality.offset is None and not quality.same
        for lan, wan in shared:
            quality.lan = self._examples[LAN].get(lan[0].identity)
            quality.wan = self._examples[WAN].get(wan[0].identity)
            if quality.lan is not None and quality.wan is not None:
                break
        self._note_ways(quality, every)
        if quality.exchanged and not late:
            quality.exchange()
        return quality

    def _note_ways(self, quality: Quality, shared: Shared) -> None:
        """Of the sides as they are named, read as what they are."""
        routed = sum(lan[0].ttl != wan[0].ttl for lan, wan in shared)
        # A hook that logs the messages of the router itself may see one direction only.
        if quality.same or 2 * routed < len(shared):
            return
        for named in (LAN, WAN):
            own, other = (self._copies[one].values() for one in (named, 1 - named))
            side = 1 - named if quality.exchanged else named
            quality.one_way[named] = not self._cut[named] and one_way(own, other, side)
        if shared and not any((*quality.one_way, *self._cut, quality.unsteady)):
            self._note_gaps(quality, shared)

    def _note_gaps(self, quality: Quality, shared: Shared) -> None:
        lan, wan = self._copies
        if mask := max(self._masks):  # compare only identities kept by both sides
            lan, wan = ({key: copies for key, copies in side.items() if not copies[0].pair & mask}
                        for side in (lan, wan))  # fmt: skip
        offset, (inside, outside) = quality.offset, self._read
        if offset is not None and offset.matters:
            wan = {key: [copy._replace(at=offset.lan(copy.at)) for copy in copies]
                   for key, copies in wan.items()}  # fmt: skip
            outside = [(offset.lan(first), offset.lan(last)) for first, last in outside]
        if mask or wan is not self._copies[WAN]:
            shared = [(lan[one[0].identity], wan[other[0].identity]) for one, other in shared
                      if one[0].identity in lan and other[0].identity in wan]  # fmt: skip
        quality.gaps = missing(lan, wan, shared, COPIES, (inside, outside))
        for side, gaps in enumerate(quality.gaps):
            if gaps.first is not None:
                gaps.example = self._example(1 - side, [gaps.first.identity])

    def _shared(self) -> Shared:
        """The copies of each message on both sides. If an ALG has changed Call-ID or branch, the
        other one identifies the message, and an endpoint must be the same."""
        lan, wan = self._copies
        found = [(copies, wan[identity]) for identity, copies in lan.items() if identity in wan]
        rest = [copies for identity, copies in lan.items() if identity not in wan]
        parts: dict[tuple[int, ...], list[Copy]] = {}
        for identity, copies in wan.items():
            if rest and identity not in lan:
                for part in copies[0].parts:
                    parts.setdefault(part, copies)
        for copies in rest:
            for part in copies[0].parts:
                other = parts.get(part)
                if other is not None and keeps_an_end(copies[0], other[0]):
                    found.append((copies, other))
                    break
        return found

    def _note_spans(self, quality: Quality, over: bool) -> None:
        """over: both captures were read to their ends."""
        offset = quality.offset
        if quality.same or offset is None:
            return
        sides = [LAN, WAN] if not quality.exchanged else [WAN, LAN]
        first, last = ([some[side] for side in sides] for some in (self._first, self._last))
        if offset.matters:
            first[WAN], last[WAN] = offset.lan(first[WAN]), offset.lan(last[WAN])
        apart = [abs(some[LAN] - some[WAN]) > SLACK for some in (first, last)]
        if not (apart[0] or (over and apart[1])):
            return
        shift = offset.lan if offset.matters else None
        seen = [
            Seen(Traffic(self._copies[side].values()), first[i], last[i], self._examples[side],
                 shift if i == WAN else None)
            for i, side in enumerate(sides)
        ]  # fmt: skip
        note_spans(quality, seen[LAN], seen[WAN], over)

    def _relate(self, quality: Quality) -> None:
        mask = max(self._masks)  # compare only identities kept by both sides
        lan, wan = (
            Traffic(copies for copies in side.values() if not copies[0].pair & mask)
            for side in self._copies
        )
        sides = (LAN, WAN)
        if exchanged(lan, wan):
            quality.exchanged = True
            quality.lan, quality.wan = self._example(LAN, []), self._example(WAN, [])
            if quality.late:
                return
            lan, wan, sides = wan, lan, (WAN, LAN)
        verdict = unrelated(lan, wan)
        if verdict is None:
            return
        quality.unrelated = True
        quality.asked, quality.together = verdict.asked, verdict.together
        found = self._example(sides[0], verdict.lan), self._example(sides[1], verdict.wan)
        quality.lan, quality.wan = found[sides[0]], found[sides[1]]

    def _example(self, side: int, wanted: list[int]) -> Sighting | None:
        examples = self._examples[side]
        return next((examples[pair] for pair in wanted if pair in examples),
                    next(iter(examples.values()), None))  # fmt: skip


def _is_settled(quality: Quality) -> bool:
    """Two captures of one clock, for long enough to show no drift: the rest is alike."""
    if quality.same:
        return True
    if any(gaps.missing for gaps in quality.gaps):
        return False  # all that was stopped has to be known
    offset = quality.offset
    return (
        _is_one_clock(quality)
        and offset is not None
        and offset.span >= SAME_SPAN
        and abs(offset.slope) <= SAME_DRIFT
    )


def _is_one_clock(quality: Quality) -> bool:
    """True if the clocks agree so far."""
    offset = quality.offset
    return offset is not None and abs(offset.ns) <= SAME_CLOCK and offset.spread <= 10 * DELAY
