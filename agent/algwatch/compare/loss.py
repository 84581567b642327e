# SPDX-License-Identifier: Apache-2.0
"""Loss: retransmissions between two hosts, and the place of each loss.

Only exchanges with a final success count. A ladder of retransmissions without one shows a message
that is always stopped, ignored or misdelivered, not packet loss. Nothing is counted before the
first retransmission (Transactions.over).
"""

from __future__ import annotations

from algwatch.base import address
from algwatch.base.native.layout import ACK, CANCEL, INVITE, METHOD_NAMES, ROW_TCP
from algwatch.base.packet import LAN, UNKNOWN, WAN
from algwatch.base.sighting import AT, BITS, CALL, STATUS, TXN, Sighting
from algwatch.base.table import CROSSED, Table, Weight
from algwatch.compare.call import Call
from algwatch.compare.captured import Captured
from algwatch.compare.crossing import Crossing
from algwatch.compare.lines import Lines
from algwatch.compare.path import Lost, Path
from algwatch.sip.again import Again
from algwatch.sip.dialog import DialogSet
from algwatch.sip.side import Side
from algwatch.sip.timers import ROUND, SECOND, T2, TIMER_B, WINDOW
from algwatch.sip.transaction import Transaction

# Places of packet loss. LAN: between the phone and this router; WAN: beyond it; UNKNOWN: on either
# side of the only tap.
ROUTER = 3
PLACES = (WAN, LAN, ROUTER, UNKNOWN)

# The copy after a loss is answered at once. A slow answer is no sign of loss.
QUICK = SECOND // 5
# A longer ladder is taken to lead nowhere.
RECOVERS = TIMER_B // 2
COUNTED = 600 * SECOND  # exchanges of this span are counted together
ANSWERS = "2xx"
NOT_COUNTED = (ACK, CANCEL)
MS = SECOND // 1000
EXAMPLES = 2  # of each kind are kept
MOST = 256  # entries of a kind

# The transaction on the other side, the request, and both dialog sets of an INVITE: see _Exchange.
_Found = tuple[Transaction, "Sighting | None", "DialogSet | None", "DialogSet | None"]


class _Exchange:
    """A transaction on the side its request came from (t, side, request), and on the other side
    (left; t itself with one side only). callers, callees: the dialog sets there, for an INVITE.
    place: the side the request went to."""

    __slots__ = ("callees", "callers", "left", "place", "request", "side", "t")

    def __init__(self, t: Transaction, side: int, left: Transaction, request: Sighting | None,
                 callers: DialogSet | None, callees: DialogSet | None) -> None:  # fmt: skip
        self.t = t
        self.side = side
        self.left = left
        self.request = request
        self.callers = callers
        self.callees = callees
        self.place = side if left is t else 1 - side


class Losses:
    """Finished transactions in, paths to judge out. limit: paths followed."""

    def __init__(self, calls: Table[int, Call], sides: list[Side], lines: Lines,
                 captured: Captured, limit: int) -> None:  # fmt: skip
        self._calls = calls
        self._sides = sides
        self._lines = lines
        self._captured = captured
        self.table: Table[bytes, Path] = Table(limit, _weigh)

    def unpaired(self, crossing: Crossing) -> None:
        """The other copy of this message never came."""
        copy = crossing.entered
        t = self._sides[copy.side].transactions.table.get(copy.row[TXN] ^ copy.row[CALL])
        if t is None or t.unsolicited or t.method == ACK or copy.row[BITS] & ROW_TCP:
            return  # TCP sends again what a router loses: a capture lacks the other copy
        status = copy.row[STATUS]
        first = t.final_at if status >= 200 else t.provisional_at if status else t.at
        if 0 < copy.row[AT] - first < ROUND:
            return  # no sender repeats itself so soon: this router sent it twice
        if t.again is None:  # the first copy: others may follow
            t.again = Again()
        t.again.stopped += 1

    def feed(self) -> list[Path]:
        """Count finished transactions; the paths with news."""
        news: dict[int, Path] = {}
        captured = self._captured
        # Around a capture loss, an answer may have passed unseen.
        began = max(captured.began, captured.lost_at) + WINDOW
        ended = captured.ended - T2
        for side in self._sides:
            over = side.transactions.over
            if over:
                since = side.transactions.counts_from
                for t in over:
                    if t.copy or t.last_at <= since or t.method in NOT_COUNTED:
                        continue
                    if t.unsolicited or not t.requests or t.at <= began or t.last_at >= ended:
                        continue
                    path = self._count(t, side.side)
                    if path is not None:
                        news[id(path)] = path
                over.clear()
        return list(news.values())

    def finish(self) -> list[Path]:
        """The capture is over, so answered transactions are, too; all paths."""
        for side in self._sides:
            transactions = side.transactions
            if transactions.over is not None:
                transactions.over += [t for t in transactions.table.values() if t.finals]
        self.feed()
        return list(self.table.values())

    def _count(self, t: Transaction, side: int) -> Path | None:
        """Count an exchange; returns its path if a message of it was repeated."""
        found = self._invite(t, side) if t.method == INVITE else self._other(t)
        if found is None:
            return None
        left, request, callers, callees = found
        ends = request.packed_ends if request is not None else t.ends
        if not ends:
            return None
        path = self._path(t, side, left, ends)
        if t.last_at - path.since > COUNTED:
            path.clear(t.at)
        if t.last_at > path.until:
            path.until = t.last_at
        again = _is_repeated(path, t, left)
        answer = callers is not None and _is_answer_repeated(path, left, callers, callees)
        if not again and not answer:
            return None
        made = _Exchange(t, side, left, request, callers, callees)
        if again:
            _request(path, made)
        if answer:
            _answer(path, made)
        return path

    def _other(self, t: Transaction) -> _Found | None:
        if not self._captured.two_sided:
            return t, t.request, None, None
        left = t.forwarded
        if left is None or left.request is None:
            return None
        return left, t.request, None, None

    def _invite(self, t: Transaction, side: int) -> _Found | None:
        """Take the dialog sets from the call."""
        call = self._calls.get(t.call)
        s = call.sides[side] if call is not None else None
        if call is None or s is None or call.misdelivered or call.contested:
            return None
        left, far = t, s
        if self._captured.two_sided:
            if call.inbound is None or not call.paired:
                return None
            inward = call.inbound == (t.from_tag == s.caller_tag)
            other = call.sides[1 - side]
            if inward != (side == WAN) or other is None:
                return None
            twin = _twin(t, s, other)
            if twin is None:
                return None
            left, far = twin, other
        d, request = s.current, t.request
        if d is not None and d.invite is t:
            request = d.request
        elif s.invite is t:
            request = s.request
        return left, request, s, far

    def _path(self, t: Transaction, side: int, left: Transaction, ends: bytes) -> Path:
        """The path of a transaction whose request had these addresses."""
        two = self._captured.two_sided
        near, far = ends[:16], ends[16:32]
        if two:
            if side == WAN:
                went = left.ends if left.request is None else left.request.packed_ends
                near, far = went[16:32], near
        elif far < near:
            near, far = far, near
        path = self.table.get(near + far)
        if path is None:
            version = ends[47]
            path = Path(address.text(near, version), address.text(far, version), t.at)
            self.table.add(near + far, path)
        if two and path.line is None:
            path.line = self._lines.find(near, far)
        return path


def _weigh(key: bytes, path: Path) -> Weight:
    return CROSSED, key[:16]


def _twin(t: Transaction, s: DialogSet, other: DialogSet) -> Transaction | None:
    """The transaction of an INVITE on the other side."""
    by_caller = t.from_tag == s.caller_tag
    one = other.invite
    same = one is not None and one.cseq == t.cseq  # as of most calls
    if one is not None and same and (one.from_tag == other.caller_tag) == by_caller:
        return one
    answered = [d.invite for d in other.dialogs]
    for one in (*other.branches.values(), *answered):
        if one is None or one.cseq != t.cseq:
            continue
        if (one.from_tag == other.caller_tag) == by_caller:
            return one
    return None


def _add(some: list[Lost], lost: Lost) -> None:
    if len(some) >= EXAMPLES:
        lost.example = None
    if len(some) < MOST:
        some.append(lost)


def _is_repeated(path: Path, t: Transaction, left: Transaction) -> bool:
    """Count a request and its answers; True if it was repeated."""
    tries = path.of(METHOD_NAMES[t.method])
    tries.all += 1
    if t.again is None or (t.requests < 2 and not t.again.stopped):
        first, final = left.provisional_at, left.final_at  # answered_at, inlined
        answered = first if first and (first < final or not final) else final
        tries.quick += answered - left.at <= QUICK
        return False
    tries.again += 1
    return True


def _is_answer_repeated(path: Path, left: Transaction, callers: DialogSet,
                        callees: DialogSet | None) -> bool:  # fmt: skip
    """Count the 2xx to an INVITE and its ACK; True if the 2xx was repeated."""
    d = callees.current if callees is not None else None
    if d is None or d.invite is not left or callers.current is None or not d.acked_at or d.odd:
        return False
    tries = path.of(ANSWERS)
    tries.all += 1
    if d.answers < 2:
        tries.quick += d.acked_at - d.answered_at <= QUICK
        return False
    tries.again += 1
    return True


def _request(path: Path, made: _Exchange) -> None:
    """Place the losses behind a repeated request."""
    t, left = made.t, made.left
    name = METHOD_NAMES[t.method]
    tries, again, beyond = path.of(name), t.again, left.again
    assert again is not None
    path.repeats[made.side] += t.requests - 1
    if left is not t:
        path.repeats[made.place] += max(0, left.requests - 1)
    if again.last_at - t.at > RECOVERS or not _was_heard(made):
        return
    sent = f"the {name} was sent {t.requests} times"
    stopped = again.stopped + (beyond.stopped if beyond is not None and left is not t else 0)
    if stopped:
        what = f"{sent}, and {stopped} of its copies or answers never left this router"
        _add(tries.sure, Lost(ROUTER, stopped, t.requests, what, made.request))
    if beyond is not None and beyond.early and left.answered_at - beyond.early_at <= QUICK:
        after = (left.answered_at - beyond.early_at) // MS
        what = f"{sent}, and the first answer came {after} ms after a repetition"
        _add(tries.early, Lost(made.place, beyond.early, beyond.early + 1, what, made.request,
                               left.at, left.answered_at))  # fmt: skip
    if again.late and again.gap >= ROUND:
        what = f"{sent}, once {again.gap // MS} ms after an answer had gone by"
        _add(tries.late, Lost(made.side, again.late, again.late + 1, what, made.request))


def _was_heard(made: _Exchange) -> bool:
    """The sender of the request heard an answer in the end."""
    t, again = made.t, made.t.again
    if made.callers is None:
        return again is None or t.last_at > again.last_at or not again.last_at
    d = made.callers.current
    return bool(t.acked_at or (d is not None and d.invite is t and d.acked_at))


def _answer(path: Path, made: _Exchange) -> None:
    """Place the losses behind a repeated 2xx: its own copies or the ACKs."""
    assert made.callees is not None and made.callers is not None
    d, mine = made.callees.current, made.callers.current
    assert d is not None and mine is not None
    tries = path.of(ANSWERS)
    for side, dialog in {made.place: d, made.side: mine}.items():
        path.repeats[side] += dialog.repeats
    # The exchange went through only if an ACK came after the last 2xx.
    if d.acked_last < d.answer_last or d.answer_last - d.answered_at > RECOVERS:
        return
    late, wait = d.answer_last - d.acked_at, d.acked_at - d.answer_last
    sent = f"the 2xx was sent {d.answers} times"
    if late >= ROUND:
        what = f"{sent}, the last time {late // MS} ms after an ACK had gone by"
        _add(tries.late, Lost(made.place, 1, d.answers, what, d.answer))
    elif 0 <= wait <= QUICK:
        what = f"{sent}, and an ACK came {wait // MS} ms after the last one"
        _add(tries.early, Lost(made.side, d.repeats, d.answers, what, d.answer, d.answered_at,
                               d.acked_at))  # fmt: skip
