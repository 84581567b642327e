# SPDX-License-Identifier: Apache-2.0
"""Files of `analyze` beside its output: a page for a browser (--html), and the packets of the
calls with harm (--pcap)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from algwatch import files
from algwatch.base.packet import LAN, SIDE_NAMES, WAN
from algwatch.base.report import Report
from algwatch.cli import Usage, complain
from algwatch.compare.crossing import Crossing

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from algwatch.cli.source import Source
    from algwatch.report.render.html.gathered import Gathered
    from algwatch.report.traced import Traced

Watch = Callable[[Crossing], None]


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--html", metavar="FILE", help="also write the report as one page for a browser"
    )
    parser.add_argument(
        "--pcap", metavar="FILE",
        help="also save the packets of the calls that hurt, both sides, as pcapng",
    )  # fmt: skip
    parser.add_argument(
        "--pcap-of", metavar="WORD", default="",
        help="with --pcap: in place of those the calls with WORD in their Call-ID, or of which "
        "the rule WORD says something",
    )  # fmt: skip


class Beside:
    """Reads along with the output of `analyze`. Raises Usage if a file cannot be written."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._html: str = args.html or ""
        self._pcap: str = args.pcap or ""
        self._word: str = args.pcap_of
        self._inputs = [*args.lan, *args.wan, *args.files]
        self._page: Gathered | None = None
        self._traced: Traced | None = None
        self._whole = False  # every report was read
        if self._word and not self._pcap:
            raise Usage("--pcap-of needs --pcap FILE")
        for path in filter(None, (self._html, self._pcap)):
            if os.path.isdir(path) or not os.path.isdir(os.path.dirname(path) or "."):
                raise Usage(f"{path} cannot be written: its folder is not there, or it is one")
            if os.path.exists(path) and not os.path.isfile(path):
                raise Usage(f"{path} is no regular file: name one, or a new one")
            if any(os.path.exists(i) and _same(i, path) for i in self._inputs):
                raise Usage(f"{path} is what is read: name another file")

    def reports(self, source: Source, watch: Watch | None = None) -> Iterator[Report]:
        """The reports of source. A restart of source calls this again."""
        self._whole = False
        watches = [watch] if watch is not None else []
        feeds: list[Callable[[Report], None]] = []
        if self._html:
            from algwatch.report.render.html.gathered import Gathered

            self._page = page = Gathered()
            page.ladder.compared = source.quality is None or source.quality.compared
            watches.append(page.watch)
            feeds.append(page.feed)
        if self._pcap:
            from algwatch.report.traced import Traced

            self._traced = traced = Traced()
            watches.append(traced.watch)
            feeds.append(traced.feed)
        if not feeds:
            return source.reports(watch)

        def each(crossing: Crossing) -> None:
            for one in watches:
                one(crossing)

        return self._fed(source.reports(each), feeds)

    def _fed(self, reports: Iterator[Report],
             feeds: list[Callable[[Report], None]]) -> Iterator[Report]:  # fmt: skip
        for report in reports:
            for feed in feeds:
                feed(report)
            yield report
        self._whole = True

    def write(self, source: Source, ports: list[int]) -> None:
        """Writes nothing before all reports were read. OSError: nothing was written."""
        if not self._whole:
            return
        if self._page is not None:
            from algwatch.report.render.html.page import page

            self._page.settle(source.counts())
            names = [os.path.basename(name) for name in self._inputs]
            text = page(self._page, names, os.urandom(16))
            files.replace(self._html, text.encode("utf-8", "backslashreplace"))
        if self._traced is not None:
            self._save(self._traced, source, ports)

    def _save(self, traced: Traced, source: Source, ports: list[int]) -> None:
        from algwatch.cli.saved import Saved, as_one
        from algwatch.report.render.sentences import several

        quality = source.quality
        chosen = traced.chosen(self._word, quality is not None and quality.is_incomplete)
        if not chosen.pairs:
            what = f"nothing has {self._word!r}" if self._word else "nothing hurts"
            hint = "" if self._word else "; --pcap-of CALL-ID chooses a call"
            complain(f"{self._pcap} was not written: {what}{hint}")
            return
        # Two sides without a common message do not show in one file how they belong together.
        related = quality is None or (quality.compared and quality.pairs > 0)
        one = related or LAN not in [side for _, side in source.again()]
        if one and as_one(source.again(), chosen):
            number = Saved(chosen, ports).write(self._pcap, source.again())
            complain(f"{self._pcap}: {several(number, 'packet')} saved")
            return
        stem, end = os.path.splitext(self._pcap)
        for side in LAN, WAN:
            path = f"{stem}.{SIDE_NAMES[side]}{end}"
            mine = [(file, of) for file, of in source.again() if of == side]
            number = Saved(chosen, ports).write(path, mine)
            complain(f"{path}: {several(number, 'packet')} saved; one file would not show how "
                     "the sides were captured, so each has a file")  # fmt: skip


def _same(one: str, other: str) -> bool:
    return os.path.exists(other) and os.path.samefile(one, other)
