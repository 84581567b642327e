# SPDX-License-Identifier: Apache-2.0
"""What is known of lines as plain values, for the process that comes after this one.

Messages stay behind: a line that comes back is as one that has shed them for want of room
(`Line.shed`). Times are ns of packet time; whoever reads them knows how far the clock of the new
process is from that of the old one.
"""

from __future__ import annotations

from algwatch.base import address
from algwatch.base.plain import Unfit, raw, row, rows, text, truth, whole, word
from algwatch.compare import line as words
from algwatch.compare.line import Line, Observation
from algwatch.compare.lines import Lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

WEEK = 7 * 86_400 * 10**9  # ns
COUNTS = 1 << 40  # nothing happens more often
_SHORT = 32  # characters of a word
_SECONDS = 1_000_000_000  # that a registrar may grant: nine digits
_METHODS = 255

WORDS = frozenset((
    words.RPORT_ASKED, words.RPORT_MISSING, words.NO_WAY_BACK, words.RPORT_ANSWERED,
    words.PRIVATE_CONTACT, words.KEEPALIVE, words.NAT_HANDLED, words.URI_REPLACED,
    words.FOLLOWS_PHONE, words.WORKS_UNTOUCHED, words.DROPS_UNTOUCHED, words.WORKS_REWRITTEN,
    words.REACHED_REWRITTEN, words.REWRITTEN, words.REACHED_AT_PROXY, words.URI_REFUSED,
    words.LATCHES, words.SPOILED, words.OVERLAPS, words.WITHOUT_ROUTE, words.ACCEPTED,
    words.RECORDS, words.DIES_HERE, words.RPORT_SPOILED,
))  # fmt: skip
# These speak for turning the ALG off. The provider may have changed since, so they count for a week
# behind a restart. Those that speak against it, and those that doubt them, never get old.
AGES = frozenset((words.WORKS_UNTOUCHED, words.NAT_HANDLED))

_TRUTHS = ("answered", "private_contact", "_rewritten", "linux", "silence_helped", "silence_told",
           "fragments_answered")  # fmt: skip
_NUMBERS = ("messages", "expires", "silence", "silence_limit", "silent_since", "grew")
_TIME = _NUMBERS.index("silent_since")


def line_to_plain(key: bytes, line: Line) -> list[Any]:
    """key: the addresses of both ends, 16 bytes each, as in Lines."""
    return [
        key, ":" in line.phone, ":" in line.remote,
        [getattr(line, name) for name in _TRUTHS],
        [getattr(line, name) for name in _NUMBERS],
        sorted(line.in_fragments), sorted(line.passed),
        [[name, one.count, one.last_at] for name, one in line.seen.items()],
    ]  # fmt: skip


def line_from_plain(value: object, shift: int, now: int, lines: Lines) -> tuple[bytes, Line, bool]:
    """The key of a line in `lines`, the line, which is not in there yet, and whether something of
    it counts no more. shift: ns, to be added to its times; now: ns, which none of them is behind.
    Unfit."""
    key, near, far, truths, numbers, fragments, passed, seen = row(value, 8)
    if len(raw(key, 32)) != 32:
        raise Unfit("no addresses")
    # From the bytes, so that both are addresses: they get into lines that people type.
    phone = address.text(key[:16], 6 if truth(near) else 4)
    remote = address.text(key[16:], 6 if truth(far) else 4)
    line = Line(phone, remote, lines.fresh)
    for name, one in zip(_TRUTHS, row(truths, len(_TRUTHS)), strict=True):
        setattr(line, name, truth(one))
    for name, one in zip(_NUMBERS, row(numbers, len(_NUMBERS)), strict=True):
        setattr(line, name, whole(one))
    line.expires = whole(line.expires, 0, _SECONDS)
    if line.silent_since:
        line.silent_since = _moved(numbers[_TIME], shift, now)
    line.in_fragments = frozenset(whole(one, 0, _METHODS) for one in rows(fragments, 16))
    line.passed = frozenset(text(one, _SHORT) for one in rows(passed, 16))
    aged = False
    for one in rows(seen, len(WORDS)):
        name, count, at = row(one, 3)
        last_at = _moved(at, shift, now)
        if word(name, WORDS) in AGES and now - last_at > WEEK:
            aged = True
            continue
        made = Observation(None, last_at)
        made.count = whole(count, 1, COUNTS)
        line.seen[name] = made
    return key, line, aged


def _moved(at: object, shift: int, now: int) -> int:
    moved = whole(at) + shift
    if moved > now:
        raise Unfit("later than now")
    return moved
