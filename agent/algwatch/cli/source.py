# SPDX-License-Identifier: Apache-2.0
"""Source: capture files in, the pipeline's reports out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from algwatch.base.native.rows import Counts
from algwatch.base.native.rtp import Rtp
from algwatch.base.packet import LAN, UNKNOWN, WAN, Batch, Tap
from algwatch.base.quote import quoted
from algwatch.base.report import Report
from algwatch.capture import series
from algwatch.capture.batches import by_tap
from algwatch.capture.interfaces import sides_of
from algwatch.capture.merged import Merged
from algwatch.capture.order import Timeline
from algwatch.capture.packets import NFLOG
from algwatch.capture.pcap import CaptureFile
from algwatch.capture.picked import Picked
from algwatch.capture.read import MOST_PACKETS, Stop, start_of
from algwatch.capture.shift import Shift
from algwatch.capture.spool import LIMIT, Spool, room, spool
from algwatch.cli import Usage, complain
from algwatch.cli.alone import EachAlone
from algwatch.cli.glance import Glance
from algwatch.cli.progress import Progress
from algwatch.compare.crossing import Crossing
from algwatch.compare.media import Counted
from algwatch.compare.quality import Quality
from algwatch.compare.sides import Sides
from algwatch.compare.split import split
from algwatch.compare.survey import Survey
from algwatch.diagnose.finding import Finding
from algwatch.pipeline import Pipeline

NAMED = 12  # interfaces listed in a complaint
NOT_SIP = ("tls", "stun", "other", "not_ip")  # packet counts, reported if not zero


_SIDE = {side: re.compile(rf"(?:^|[^a-z]){word}(?![a-z])[^/]*$", re.I)
         for side, word in ((LAN, "lan"), (WAN, "wan"))}  # fmt: skip


class Source:
    """The files as batches for one pipeline. problems: damaged files. quality: the comparison of
    the named LAN and WAN files, None without both: are they both sides of one router? interfaces:
    names of LAN and WAN interfaces. most: packets read at once. keylog: file with keys of TLS.
    notes: sentences about text logs, after reading. picked: a filter of the packets, None for all.
    progress: shows the progress.

    The interfaces of a pcapng file may tell the sides by their names. Other files without a named
    side are taken for one-sided until a message shows up on two flows. Then reports() raises
    TwoSided, `survey` reads the files once more to learn each flow's side, and reports() begins
    again and splits them. Most files are one-sided and are read once.
    """

    def __init__(self, files: Sequence[str], lan: Sequence[str], wan: Sequence[str],
                 ports: Sequence[int], interfaces: tuple[Sequence[str], Sequence[str]] = ((), ()),
                 most: int = MOST_PACKETS, keylog: str = "") -> None:  # fmt: skip
        self.stop = Stop()
        self.notes: list[str] = []
        self.picked: Picked | None = None
        self.progress = Progress(False, False)
        self.most_spooled = LIMIT
        self._spools: dict[str, Spool] = {}
        self.interrupted = False
        self.problems: list[str] = []
        self._ports = ports
        self._ports_of: dict[str, list[int]] = {}  # of what was decrypted, by its name
        self._paths: dict[str, list[str]] = {}  # of a series, by its name
        self._files, self._named = self._expanded(files, lan, wan)
        self._interfaces = interfaces
        self._keylog = keylog
        self._most = most
        self._sides: Sides | None = None
        self.quality: Quality | None = None
        self._survey: Survey | None = None  # of sides that cannot be read twice
        self._scanned = Counts()
        self._rtp = Rtp()
        self._numbers: dict[str, dict[str, int]] = {}
        self._reassembly: dict[str, int] = {}  # non-zero counts only: most captures have none
        self._opened: list[CaptureFile] = []
        self._limits: dict[str, int] = {}  # of an interrupted survey: packets by path

    def _expanded(self, files: Sequence[str], lan: Sequence[str],
                  wan: Sequence[str]) -> tuple[list[str], list[Tap]]:  # fmt: skip
        """Names of files and of series without a side; taps for those with one."""
        found = []
        for names in files, lan, wan:
            groups = series.grouped([one for name in names for one in series.expanded(name)])
            for group in groups:
                self._paths[series.named(group)] = group
            found.append([series.named(group) for group in groups])
        unnamed, near, far = found
        if not near and not far:
            near, far = ([n for n in unnamed if _SIDE[side].search(n)] for side in (LAN, WAN))
            if near and far and len(near) + len(far) == len(unnamed) and len(files) == 1:
                unnamed = []  # a folder with files of both sides
            else:
                near = far = []
        return unnamed, [Tap(name, LAN) for name in near] + [Tap(name, WAN) for name in far]

    def separate(self) -> None:
        """The files of an assumed series overlap in time: treat each alone."""
        paths, self._paths = self._paths, {}
        self._files = [path for name in self._files for path in paths.get(name, [name])]
        self._named = [
            Tap(path, tap.side) for tap in self._named for path in paths.get(tap.name, [tap.name])
        ]

    def need_twice(self, what: str) -> None:
        """Usage if the files cannot be read twice. what: the option with this need."""
        if any(one.open for one in self._spools.values()):
            raise Usage(f"{what} read twice, and this pipe is too long: save it to a file")

    def check(self) -> None:
        """Read the pipes (the rest of a too long one comes later). Check that the named files are
        both sides of one router, and correct exchanged sides, clock skew, and a capture named
        twice. If a clock was set meanwhile, only the LAN side is judged. A file readable only once
        is surveyed while it is judged."""
        if self._keylog:
            self._decrypt()
        names = [*(tap.name for tap in self._named), *self._files]
        names = [n for n in names if len(self._paths.get(n, ())) < 2 and n not in self._spools]
        pipes = [name for name in dict.fromkeys(names) if start_of(name) is None]
        if pipes:
            self.most_spooled = room(self.most_spooled)
            self._spools |= spool(pipes, self.stop, self.most_spooled)
        if any(one.open for one in self._spools.values()):
            complain(f"more than {self.most_spooled >> 20} MB through a pipe: it is read "
                  "once, and two sides in it are not told apart; save it to a file")  # fmt: skip
        if {tap.side for tap in self._named} != {LAN, WAN}:
            self._survey_one()
            return
        survey = Survey()
        if any(tap.name in self._spools and self._spools[tap.name].open for tap in self._named):
            self._survey = survey
            return
        opened, _ = self._open()
        # In turns, not by time: the clock skew may exceed the length of the captures.
        files = [iter(file) for file in opened[: len(self._named)]]
        while files and survey.settled is None:
            for file in files[:]:
                batch = next(file, None)
                if batch is None:
                    files.remove(file)
                else:
                    log = any(one.linktype == NFLOG for one in opened[batch.tap].interfaces)
                    survey.logged = survey.logged or log
                    survey.feed(self._named[batch.tap].side, batch)
        self.quality = quality = survey.settled or survey.finish()
        if quality.same:
            kept = WAN if quality.wan_kept else LAN
            self._files += [tap.name for tap in self._named if tap.side == kept]
            self._named = []
            return
        if quality.exchanged:
            turned = [Tap(tap.name, 1 - tap.side) for tap in self._named]
            self._named = sorted(turned, key=lambda tap: tap.side)
        if quality.unsteady:
            self._named = [tap for tap in self._named if tap.side == LAN]

    def _decrypt(self) -> None:
        """What was in TLS joins the side of its file. CaptureError."""
        from algwatch.capture.decrypted import TLS_PORT, decrypted

        keylog, self._keylog = self._keylog, ""
        told = 0
        for name, side in [*((tap.name, tap.side) for tap in self._named),
                           *((name, UNKNOWN) for name in self._files)]:  # fmt: skip
            found = decrypted(self._paths.get(name, [name]), keylog, self._ports, self.stop)
            if not found.size:
                continue
            told += 1
            self._spools[found.path] = found
            self._ports_of[found.path] = [*self._ports, TLS_PORT]
            if side == UNKNOWN:
                self._files.append(found.path)
            else:
                self._named.append(Tap(found.path, side))
        self._named.sort(key=lambda tap: tap.side)
        if not told and not self.stop.requested:
            complain(f"{keylog}: no SIP in TLS could be decrypted with it: the keys must be of "
                     "these connections, and the capture must hold their beginning")  # fmt: skip

    def survey(self) -> None:
        """Learn the side of every flow in the files without a named side."""
        sides = Sides()
        files, _ = self._open()
        count = len(self._named)
        for batch in Merged([file for file in files[count:] if not file.sides]):
            sides.survey(batch)
        self._sides = sides
        self._survey_one()

    def _survey_one(self) -> None:
        """Ask one file with both sides in it what two files are asked, but for clocks and names."""
        if self._named or len(self._files) != 1 or any(one.open for one in self._spools.values()):
            return
        (file,), _ = self._open()
        sides, survey = self._sides, Survey()
        if not file.sides and sides is None:
            return
        for batch in file:
            for part in by_tap(batch) if sides is None else split(batch, sides, 0):
                if part.count and part.tap != UNKNOWN:
                    survey.feed(part.tap, part)
            if survey.settled is not None:
                break
        quality = survey.settled or survey.finish()
        if quality.is_incomplete and not quality.is_odd:
            self.quality = quality

    def reports(self, watch: Callable[[Crossing], None] | None = None) -> Iterator[Report]:
        """All reports of the pipeline on these files, in order."""
        files, taps = self._open()
        media = self._media(taps)
        if self.quality is not None and self.quality.silent is not None:
            # One side alone is judged.
            silent = self.quality.silent
            taps = [Tap(tap.name, UNKNOWN if tap.side == silent else tap.side) for tap in taps]
        pipeline: Pipeline | EachAlone
        if self.quality is not None and self.quality.unrelated:
            pipeline = EachAlone(taps, len(self._named), watch, self.quality, media)
        else:
            pipeline = Pipeline(taps, watch=watch, quality=self.quality, media=media)
        if self._survey is None:
            yield from self._told(pipeline, files, taps)
            yield from pipeline.finish()
        else:
            said = list(self._told(pipeline, files, taps))
            quality = self._survey.finish(late=True)
            pipeline.judge(quality)
            said += pipeline.finish()
            yield from (r for r in said if not quality.misleading or _is_one_sided(r))
        self._numbers = pipeline.counts()
        self._warn(files)
        for rule, failures in pipeline.failures.items():
            complain(f"rule {rule} failed {failures} times: please report")

    def _media(self, taps: list[Tap]) -> Counted:
        """A surveyed file has both sides in one tap."""
        sides = [tap.side for tap in taps]
        shifts: list[Shift | None] = [None] * len(taps)
        for file in self._opened:
            if self._sides is not None and not file.sides and file.tap >= len(self._named):
                sides[file.tap] = UNKNOWN
            shifts[file.tap] = file.shift
        return Counted(self._rtp, sides, shifts)

    def _warn(self, files: list[CaptureFile]) -> None:
        for problem in self.problems:
            complain(f"{problem}; what was readable is reported")
        self.notes = [f"{file.path}: {one}" for file in files for one in file.remarks]
        for file in files:
            if not file.packets and not file.remarks:
                complain(
                    f"{file.path}: no packet {'of it is picked' if self.picked else 'is in it'}"
                )
        self.interrupted = self.interrupted or self.stop.requested
        if self.interrupted:
            complain("interrupted; what was read is reported")

    def _told(self, pipeline: Pipeline | EachAlone, files: list[CaptureFile],
              taps: list[Tap]) -> Iterator[Report]:  # fmt: skip
        timeline = Timeline(pipeline, len(taps))
        for batch in self._batches(files):
            if batch.count:
                yield from timeline.feed(batch)
            elif not self._ends_early(batch.tap):
                timeline.end(batch.tap, batch.watermark)
        yield from timeline.finish()

    def _ends_early(self, tap: int) -> bool:
        """True if the other side was captured longer, so time goes on."""
        if self.quality is None or tap >= len(self._named):
            return False
        return self.quality.ended[self._named[tap].side] > 0

    def counts(self) -> dict[str, dict[str, int]]:
        """The parts "capture", "crossings" and "evicted" (see Pipeline.counts) of the finished
        reports."""
        scanned = self._scanned.as_dict()
        capture = {
            "packets": scanned["packets"],
            **self._numbers["capture"],
            "malformed": scanned["malformed"],
            "truncated": scanned["truncated"],
            **{name: scanned[name] for name in (*NOT_SIP, "forged") if scanned[name]},
            **self._reassembly,
        }
        numbers = {**self._numbers, "capture": capture}
        if capture["packets"] and not capture["sip_messages"]:
            numbers["unread"] = self._named_packets()
        return {name: part for name, part in numbers.items() if part or name != "unread"}

    def _named_packets(self) -> dict[str, int]:
        """What the packets are, of files that can be read once more."""
        from algwatch.cli.unread import unread

        if self.interrupted or any(one.open for one in self._spools.values()):
            return {}
        scanned = self._scanned  # opening the files begins another
        found = unread([file for file, _ in self.again()], self._ports)
        self._scanned = scanned
        return found

    def _open(self) -> tuple[list[CaptureFile], list[Tap]]:
        """All files, and a tap for each; three (LAN, WAN, UNKNOWN) for one with both sides."""
        if self.stop.requested:  # during an earlier pass: read as far as it did
            self.interrupted = True
            self._limits = {file.path: max(file.packets, 1) for file in self._opened}
            self.stop.begin()
        for file in self._opened:
            file.close()
        self._opened = files = []
        self._scanned = Counts()
        self._rtp = Rtp()
        taps: list[Tap] = []
        for number, name in enumerate([tap.name for tap in self._named] + self._files):
            ports = self._ports_of.get(name, self._ports)
            file = CaptureFile(name, len(taps), ports, self._scanned, self.stop, self._most,
                               self._spools.get(name), self._rtp,
                               self._paths.get(name, ()))  # fmt: skip
            files.append(file)
            file.picked = self.picked
            file.limit = self._limits.get(name, 0)
            if number < len(self._named):
                taps.append(self._named[number])
                continue
            names = [one.name for one in file.interfaces]
            file.sides = sides_of(names, *self._interfaces) or {}
            both = file.sides or self._sides is not None
            taps += [Tap(name, side) for side in ((LAN, WAN, UNKNOWN) if both else (UNKNOWN,))]
        self._check_interfaces(files[len(self._named) :])
        offset = self.quality.offset if self.quality is not None else None
        if offset is not None and offset.matters:
            for file, tap in zip(files, self._named, strict=False):
                file.shift = offset.lan if tap.side == WAN else None
        return files, taps

    def again(self) -> list[tuple[CaptureFile, int]]:
        """The files, opened once more, each with its named side."""
        files, taps = self._open()
        named = len(self._named)
        return [(f, taps[f.tap].side if n < named else UNKNOWN) for n, f in enumerate(files)]

    def _check_interfaces(self, files: list[CaptureFile]) -> None:
        there = {one.name for file in files for one in file.interfaces if one.name}
        for name in (*self._interfaces[0], *self._interfaces[1]):
            if name not in there:
                # The names come from the file, so they are not trusted.
                names = ", ".join(quoted(one, 40) for one in sorted(there)[:NAMED])
                hint = f"the interfaces are: {names}{', ...' if len(there) > NAMED else ''}"
                if not there:
                    hint = "none has names of interfaces: name whole files with --lan and --wan"
                raise Usage(f"no file has an interface {name}; {hint}")

    def _batches(self, files: list[CaptureFile]) -> Iterator[Batch]:
        """Batches of one tap each. A batch without rows ends the capture of its tap."""
        merged = Merged(files)
        sides = self._sides
        self.progress.begin(sum(file.size for file in files))
        unnamed = {file.tap: file for file in files[len(self._named) :]}
        glance = Glance() if sides is None and all(file.regular for file in files) else None
        for batch in merged:
            self.progress.at(sum([file.done for file in files]), self._scanned.struct.packets)
            file = unnamed.get(batch.tap)
            if file is None:
                if self._survey is not None:
                    self._survey.feed(self._named[batch.tap].side, batch)
                yield batch
            elif not batch.count:
                for side in (LAN, WAN, UNKNOWN) if file.sides or sides is not None else (0,):
                    yield Batch(b"", b"", b"", 0, batch.tap + side, batch.watermark)
            elif file.sides:
                yield from by_tap(batch)
            elif sides is not None:
                yield from (one for one in split(batch, sides, batch.tap) if one.count)
            else:
                if glance is not None:
                    glance.look(batch)
                yield batch
        self.problems = merged.problems
        self._reassembly = merged.reassembly()


def _is_one_sided(report: Report) -> bool:
    """True if the report holds without a valid comparison of the two sides."""
    if isinstance(report, Finding):
        return report.harm == "none" and report.where == "unknown"
    return report.kind in ("call", "registration")
