# SPDX-License-Identifier: Apache-2.0
"""Stream: one direction of a TCP connection with SIP, as far as captured.

Messages are framed by Content-Length (RFC 3261 section 18.3). Bytes are kept as runs without a gap.
Every run that may begin a message is read by itself, because the bytes missing in front of it may
come late, or may never have been captured. If they come, the runs join, and the earlier run decides
the beginnings of messages. A message is told when its last segment comes, or never: told late, it
would look held back by the router.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from itertools import pairwise
from operator import attrgetter

from algwatch.capture.filter import START_WORDS
from algwatch.capture.flows import NONE
from algwatch.capture.fragments import BASE_COST, MOST_PARTS, PART_COST
from algwatch.capture.run import LONGEST, RUN_COST, Run

WINDOW = 262144  # bytes; the most a segment may be ahead of the earlier ones
REPEATED = 65536  # bytes back: a segment in this range is a repetition, else of a new connection
SILENCE = 32_000_000_000  # ns, 64*T1: the request is dead then (RFC 3261 section 17.1.1.2)
HOLE = 5_000_000_000  # ns to wait for a segment: TCP has sent it again by then
# Told messages kept behind an unknown beginning, and behind a hole: they may turn out to be the
# body of a late message.
MOST_TOLD, MOST_BEHIND = 8, 32

# Standing of an offset, as the beginning of a message. ANY: nothing is missing in front of it.
# SOUND: bytes are missing in front of it, so a valid start line is needed. INSIDE: it is in a body.
ANY, SOUND, INSIDE = range(3)

_LINE_ENDS = re.compile(rb"[\r\n]+")
_START_LINE = re.compile(rb"[\r\n]*(?:SIP/2\.0 [1-6][0-9][0-9] |[!-~]+ [!-~]+ SIP/2\.0\r?\n)")
# A start line behind the end of a lost message: ACK foINVITE sip:b SIP/2.0.
_LATER_START = re.compile(
    rb"SIP/2\.0 [1-6][0-9][0-9] |(?:INVITE|ACK|BYE|CANCEL|REGISTER|OPTIONS|PRACK|UPDATE|INFO"
    rb"|MESSAGE|SUBSCRIBE|NOTIFY|REFER|PUBLISH) [!-~]+ SIP/2\.0\r?\n"
)
_VIA = b"SIP/2.0/"  # the rest of a Via, not a status line
_WORDS = frozenset(START_WORDS)
_begin = attrgetter("begin")


class Stream:
    """The runs of one direction, in order.

    base: the sequence number of place 0. known: all bytes in front of it were read, so an earlier
    segment is a repetition. at: ns. too_long: messages too long for a row. lost: messages given up
    with a part missing. holes: missing bytes in front of received ones; TCP does not go on without
    them, so the capture lost them. overlap: bytes of the latest segment that contradict earlier
    ones, if it brings new bytes as well; the receiver keeps the earlier ones. seam: place of these
    new bytes, None without such a segment; a message across it is a mixture, and framing goes
    wrong behind it. latest: of the told messages. flow, tap: of its rows.
    """

    __slots__ = ("base", "cost", "floor", "flow", "holes", "latest", "lost", "overlap", "runs",
                 "seam", "since", "tap", "too_long", "touched")  # fmt: skip

    def __init__(self, base: int, known: bool, at: int) -> None:
        self.base = base
        self.floor: int | None = 0 if known else None  # everything was read up to this place
        self.runs: list[Run] = []
        self.touched = at
        self.since = 0  # ns; something may be missing since then; 0: nothing is
        self.too_long = self.lost = self.holes = self.flow = self.tap = 0
        self.overlap = b""
        self.latest = NONE
        self.seam: int | None = None
        self.cost = BASE_COST

    @property
    def end(self) -> int:
        """ns; then it is given up."""
        return self.touched + SILENCE

    def place(self, seq: int) -> int:
        """Places are sequence numbers that never wrap (RFC 9293 section 3.4)."""
        mark = self._lowest()
        return mark + ahead(seq, self.base + mark)

    def seq(self, place: int) -> int:
        return (self.base + place) & 0xFFFFFFFF

    def is_near(self, place: int) -> bool:
        """Can a segment at this place belong to this connection?"""
        return -REPEATED <= place - self._lowest() <= WINDOW

    def _lowest(self) -> int:
        if self.floor is not None:
            return self.floor
        return self.runs[0].begin if self.runs else 0

    @property
    def read_up_to(self) -> int | None:
        """Place behind the last told message, None without one."""
        ends = [end for run in self.runs for end in run.told.values()]
        if self.floor is not None:
            ends.append(self.floor)
        return max(ends, default=None)

    @property
    def unread(self) -> bool:
        return any(run.unread for run in self.runs)

    def has(self, place: int, end: int) -> bool:
        """Did all bytes from place to end come before?"""
        if self.floor is not None and end <= self.floor:
            return True
        return any(run.begin <= place and end <= run.end for run in self.runs)

    def standing(self, place: int) -> int:
        """ANY, SOUND or INSIDE."""
        standing = ANY
        if self.floor is not None and place != self.floor:
            standing = SOUND if place > self.floor else INSIDE
        for run in self.runs:
            if run.begin >= place:
                break
            if not run.reading:
                continue
            start = run.begin + run.at
            if start == place:
                return ANY
            if place < start:
                return INSIDE
            inside = start < run.end and place < max(run.end + 1, start + run.need)
            if inside and not (place == run.end and self._is_over(run, place)):
                return INSIDE
            standing = SOUND
        return standing

    def add(self, place: int, data: bytes, starts: bool, told: bool = False) -> bool:
        """Take a segment. starts: a message may begin at its first byte; told: it is a message
        already told. Returns False if it contradicts earlier bytes."""
        end, runs = place + len(data), self.runs
        floor = place if self.floor is None else self.floor
        if place >= floor and (not runs or place == runs[-1].end):  # in order, as most are
            self._put(place, data, starts)
            if told and runs[-1].end == end:
                self._tell(runs[-1], place + line_ends(data), end)
            return True
        first, torn = place, b""
        at = place = max(place, floor)
        gaps = []
        for run in self.runs:
            if run.begin >= end:
                break
            if run.end <= at:
                continue
            low, high = max(run.begin, at), min(run.end, end)
            old = run.data[low - run.begin : high - run.begin]
            if old != data[low - first : high - first]:
                torn = data[low - first : high - first]
            if run.begin > at:
                gaps.append((at, run.begin))
            at = run.end
        if at < end:
            gaps.append((at, end))
        for low, high in gaps:
            self._put(low, data[low - first : high - first], starts and low == first)
        if told:
            place = max(place, first + line_ends(data))
            for run in self.runs:
                if run.begin <= place < run.end:
                    self._tell(run, place, end)
        # A segment of known bytes only is repeated by TCP, whatever its differences.
        self.overlap = torn if gaps else b""
        if self.overlap:
            self.seam = gaps[0][0]
        return not torn

    def _put(self, place: int, data: bytes, starts: bool) -> None:
        runs = self.runs
        index = bisect_right(runs, place, key=_begin)
        run = runs[index - 1] if index else None
        if run is not None and starts and run.end == place and self._is_over(run, place):
            run.reading = False
        if run is not None and run.end == place and (run.reading or not starts):
            run.data += data
            run.end += len(data)
        elif len(runs) < MOST_PARTS:
            reading = place == self.floor or (starts and not self._is_broken(place, data))
            run = Run(place, data, reading)
            runs.insert(index, run)
            index += 1
            self.cost += RUN_COST
        else:
            return
        self.cost += len(data)
        while index < len(runs) and runs[index].begin == run.end:
            after = runs[index]
            if after.reading and self._is_over(run, after.begin):
                run.reading = False
            if after.reading and not run.reading:
                break  # only a read run takes in another read run
            del runs[index]
            run.data += after.data
            run.end = after.end
            run.told.update(after.told)
            self.cost -= RUN_COST

    def _is_over(self, run: Run, place: int) -> bool:
        """May a message begin at place, the end of the run? Yes, if the run cannot go on with a
        message."""
        if not run.reading or self._ends_at(place, run):
            return True
        if ends := _LINE_ENDS.match(run.data, run.at):
            run.skip(ends.end() - run.at)
        if run.at == len(run.data):
            return False
        broken = not run.told and self._is_broken(run.begin, run.data[run.at :])
        if may_start(run.data, run.at) and not broken:
            return False
        return not _skip_end(run)

    def _ends_at(self, place: int, run: Run) -> bool:
        """Does the run lie in the body of an earlier run's message that ends at place?"""
        for one in self.runs:
            if one.begin >= run.begin:
                return False
            if one.reading and one.need and one.begin + one.at + one.need == place:
                return True
        return False

    def _is_broken(self, place: int, data: bytes | bytearray) -> bool:
        """Does data begin, behind missing bytes, with a line that begins no message? A run read
        from there would lose the messages behind this line."""
        has_line = b"\n" in data.lstrip(b"\r\n")
        return has_line and not is_sound(data) and self.standing(place) == SOUND

    def next_message(self, run: Run) -> bytes | None:
        """The next untold message of a run that is not INSIDE another message; None without one."""
        data = run.data
        while run.unread:
            told = run.told.get(run.begin + run.at)
            if told is not None and told <= run.end:
                run.skip(told - run.begin - run.at)
            elif ends := _LINE_ENDS.match(data, run.at):  # between messages: RFC 3261 section 7.5
                run.skip(ends.end() - run.at)  # bytes, because TCP may cut a pair in two
            elif not may_start(data, run.at):
                # No start line: go on at the next one.
                run.reading = _skip_end(run)
            elif not run.is_whole():
                return None
            elif run.need > LONGEST:
                self._lose(run)
            else:
                here = run.begin + run.at
                in_step = run.told and any(end <= here for end in run.told.values())
                standing = ANY if in_step else self.standing(run.begin)
                if standing == INSIDE:
                    return None
                if not in_step and _skip_end(run):
                    continue
                if standing == SOUND and not is_sound(data, run.at):
                    run.reading = False
                    return None
                end = here + run.need
                with memoryview(data) as view:
                    message = bytes(view[run.at : run.at + run.need])
                self._tell(run, here, end)
                run.skip(run.need)
                if self.seam is None or not here < self.seam < end:
                    return message
                self.lost += 1
        return None

    def _tell(self, run: Run, place: int, end: int) -> None:
        if place not in run.told:
            self.cost += PART_COST
        run.told[place] = end

    def _lose(self, run: Run) -> None:
        """Give up a message of too many bytes, and the bytes in front of it."""
        self.too_long += 1
        run.reading = False
        self.floor = run.begin if self.floor is None else max(self.floor, run.begin)

    def _gaps(self) -> int:
        """Places with bytes missing. Runs may also meet: one that began with a keep-alive is not
        read, and the message behind it is. Behind an overlap framing misses bytes there."""
        runs = self.runs
        met = 0
        if self.seam is None:
            met = sum(one.end == two.begin for one, two in pairwise(runs))
        return len(runs) - 1 - met + (self.floor is not None and self.floor < runs[0].begin)

    def settle(self, at: int) -> None:
        """Free the bytes read and no longer needed. at: ns."""
        self.touched = at
        runs = self.runs
        if runs and (self.is_stale(at) or self._is_full()):
            # The missing bytes do not come: go on behind them.
            last = runs[-1]
            if self.standing(last.begin) == INSIDE:
                last.reading = False
            self.holes += self._gaps()
            self.floor = last.begin
        floor = self.floor
        if floor is None:
            self.since = self.since or at
            return
        while runs and runs[0].begin <= floor:
            run = runs[0]
            if run.begin < floor or not run.reading:
                self.lost += run.unread
                used = len(run.data)
            else:
                used = run.at
            floor = max(floor, run.begin + used)
            self.cost -= used + PART_COST * len(run.told)
            if used < len(run.data):
                del run.data[:used]
                run.begin, run.at, run.told = floor, 0, {}
                run.searched = max(0, run.searched - used)
                break
            self.cost -= RUN_COST
            del runs[0]
        self.floor = floor
        self.since = (self.since or at) if runs and runs[-1].begin > floor else 0

    def is_stale(self, at: int) -> bool:
        """Were missing bytes awaited for longer than HOLE? at: ns."""
        return 0 < self.since < at - HOLE

    def _is_full(self) -> bool:
        """Did more bytes come behind the missing ones than one message can hold?"""
        last = self.runs[-1]
        if not last.reading and len(last.data) > LONGEST:
            return True
        unknown = self.floor is None and len(self.runs) == 1
        return len(last.told) > (MOST_TOLD if unknown else MOST_BEHIND)


def _skip_end(run: Run) -> bool:
    """Skip the end of a lost message in front of a start line. False without such a line."""
    data, at = run.data, run.at
    if not may_start(data, at):
        for start in range(at + 1, min(at + 4, len(data))):  # RINVITE
            if may_start(data, start):
                run.skip(start - at)
                return True
    found = _LATER_START.search(data, at, data.find(b"\n", at) + 1)
    if found is None or found.start() == at:
        return False
    run.skip(found.start() - at)
    return True


def line_ends(data: bytes) -> int:
    """Bytes of keep-alives in front of a message."""
    return len(data) - len(data.lstrip(b"\r\n"))


def may_start(data: bytes | bytearray, at: int = 0) -> bool:
    """Could a message begin there? Fewer than four bytes may be its beginning."""
    start = bytes(data[at : at + 8])
    if len(start) >= 4:
        return start[:4] in _WORDS and start != _VIA
    return any(word.startswith(start) for word in START_WORDS)


def is_sound(data: bytes | bytearray, at: int = 0) -> bool:
    """Does a valid start line begin there (RFC 3261 sections 7.1 and 7.2)?"""
    return _START_LINE.match(data, at) is not None


def ahead(seq: int, base: int) -> int:
    """The distance of seq ahead of base, modulo 2^32 (RFC 9293 section 3.4)."""
    return ((seq - base + 0x80000000) & 0xFFFFFFFF) - 0x80000000
