# SPDX-License-Identifier: Apache-2.0
"""The keeper: writes down the basis of verdicts before they are told, and restores it at the start.

A finding is written to the file before it is told. So a kill at any moment leaves a state with
everything that people or the broker have read. The frame of a finding names the number of its
report in the spool. If the spool has no such report, the process ended between the two and the
finding was never told: the next process drops this frame.

A state is taken only from the same boot of the router, the same version, the same interfaces, and
after at most AWAY without a process. If the SIP helper or the settings of the firewall have
changed, harm and advice have to be found again, and only observations of the lines stay. Ages are
monotonic, so steps of the wall clock do not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from zlib import crc32

from algwatch import __version__
from algwatch.base.clock import PacketClock
from algwatch.base.packet import SIDE_NAMES, Tap
from algwatch.base.plain import Unfit, pack_all, raw, row, rows, unpack_all, whole
from algwatch.base.report import Report
from algwatch.capture.host import alg_of, boot_of
from algwatch.diagnose.finding import Finding
from algwatch.files import FileError
from algwatch.report.lock import Busy, lock
from algwatch.report.state import FORMAT, MOST, StateFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from algwatch.advise.knowledge import Knowledge, Record
    from algwatch.report.spool import Spool

SECOND = 1_000_000_000  # ns
EVERY = 30 * SECOND  # between two checks for changes without a report
AT_LEAST = 600 * SECOND  # the state is written after this time even if unchanged
AWAY = 3600 * SECOND  # an older state does not count
SHARE = 50  # the least pause between two writes, as a multiple of the time of a write
NOBODY = -1  # instead of a number of the spool: told in the log alone
_BEGINS = ["algwatch state", FORMAT, __version__]


class Keeper:
    """knowledge: the state to keep. clock: of the packets. surroundings: the conditions for taking
    anything, and for taking verdicts. number: the spool's number for its next report, NOBODY
    without a spool. say: takes a line about the agent."""

    def __init__(self, path: str, knowledge: Knowledge, clock: PacketClock,
                 surroundings: Callable[[], tuple[list[str], list[str]]],
                 number: Callable[[], int], say: Callable[[str], None]) -> None:  # fmt: skip
        self._file = StateFile(path)
        self.knowledge = knowledge
        self._clock = clock
        self._surroundings = surroundings
        self._number = number
        self._say = say
        self._trouble = False
        self._doubt = NOBODY  # the number in the latest frame
        self._pending: list[Record] = []
        self._untold: list[Finding] = []
        self._sum = -1  # CRC-32 of everything, at the latest write
        self._written = self._due = 0  # ns, monotonic

    def take(self) -> bool:
        """Take the state of an earlier process, if it counts; False: this process begins with
        nothing."""
        taken = False
        try:
            frames = self._file.read()
            if frames:
                self._take(frames)
                taken = True
        except Unfit as problem:
            self._say(f"state {self._file.path} does not count: {problem}")
        except FileError as problem:
            self._say(f"state {problem}; nothing of before the start is known")
        self.knowledge.keep()
        self.write()
        return taken

    def changed(self, reports: Sequence[Report]) -> None:
        """These reports are told next, one after the other."""
        self._pending += self.knowledge.changed(reports)
        self._untold = [r for r in reports if isinstance(r, Finding) and not r.told_before]
        if self._pending and not self._untold:
            self._append(NOBODY)

    def telling(self, finding: Finding) -> None:
        """This finding is told next."""
        if finding in self._untold:
            self._pending.append(self.knowledge.said(finding))
            self._append(self._number())
            self._untold.remove(finding)

    def told(self) -> None:
        """The finding was told, with or without a place in the spool."""
        if self._doubt != NOBODY and self._number() == self._doubt:
            self._append(NOBODY)

    def turn(self) -> None:
        """Call it often."""
        if self._now() >= self._due:
            self.write()

    def write(self) -> None:
        """Write everything, unless the file has the same."""
        began = self._now()
        packed = pack_all(self.knowledge.whole(self._untold))
        self._pending.clear()
        same = self._file.size and self._sum == crc32(packed)
        if not same or began - self._written >= AT_LEAST:
            same_needed, verdicts = self._surroundings()
            header = [*_BEGINS, self._clock.offset, same_needed, verdicts]
            if self._try(lambda: self._file.replace([began, NOBODY, header, packed])):
                self._sum, self._written = crc32(packed), began
        now = self._now()
        self._due = now + max(EVERY, SHARE * (now - began))

    def close(self) -> None:
        """Write the final state."""
        self._untold = []
        self.write()
        self._file.close()

    def _now(self) -> int:
        """ns, monotonic."""
        return self._clock.now() - self._clock.offset

    def _append(self, number: int) -> None:
        """Append the changes, or write everything if they do not fit."""
        if self._trouble:
            return  # until the next check
        self._doubt = number
        body = [self._now(), number, None, pack_all(self._pending)]
        self._sum = -1
        if not self._file.append(body):
            self.write()
            if not self._trouble and not self._file.append(body):
                self._file.forget()
        self._pending.clear()

    def _try(self, write: Callable[[], None]) -> bool:
        try:
            write()
        except OSError as problem:
            if not self._trouble:
                self._trouble = True
                why = problem.strerror or "error"
                self._say(f"state {self._file.path} cannot be kept, a restart begins anew: {why}")
            return False
        if self._trouble:
            self._trouble = False
            self._say(f"state {self._file.path} is kept again")
        return True

    def _take(self, frames: list[list[Any]]) -> None:
        """Unfit: nothing was taken."""
        header = rows(frames[0][2], len(_BEGINS) + 3)
        if header[: len(_BEGINS)] != _BEGINS:
            raise Unfit("another version has written it")
        offset, needed, verdicts = row(header[len(_BEGINS) :], 3)
        here = self._surroundings()
        if needed != here[0]:
            raise Unfit("it is of another boot of this router, or of other interfaces")
        if (number := whole(frames[-1][1], NOBODY)) != NOBODY and self._number() <= number:
            frames.pop()  # the finding was never told
        now = self._now()
        away = now - whole(frames[-1][0], 0, now)
        if away > AWAY:
            raise Unfit(f"nobody has watched for {away // (60 * SECOND)} minutes")
        records = [one for frame in frames for one in unpack_all(raw(frame[3], MOST))]
        shift = self._clock.offset - whole(offset, -(1 << 62), 1 << 62)
        unchanged = verdicts == here[1]
        self.knowledge.recall(records, shift, self._clock.now(), unchanged)
        self._say(
            f"goes on from {away // SECOND} s ago: {len(self.knowledge.in_force.all())} pieces of "
            "advice in force" if unchanged else
            "the SIP helper or the firewall is another one than before the start: "
            "what was advised has to be found again"
        )  # fmt: skip


def opened(path: str, knowledge: Knowledge, taps: list[Tap], clock: PacketClock,
           spool: Spool | None, say: Callable[[str], None]) -> Keeper | None:  # fmt: skip
    """The keeper of a daemon with these taps; None, after a line to the user, if another process
    has the file."""
    try:
        # Held until this process ends; beside the file, which is replaced again and again.
        lock(f"{path}.lock", "state", create=True)
    except Busy as why:
        say(f"state {path} is not kept, a restart begins anew: {why.strerror}")
        return None
    except OSError:
        pass  # the first write tells
    needed = [boot_of(), *sorted(f"{tap.name} {SIDE_NAMES[tap.side]}" for tap in taps)]
    return Keeper(
        path, knowledge, clock, lambda: (needed, alg_of()),
        lambda: NOBODY if spool is None else spool.number, say,
    )  # fmt: skip
