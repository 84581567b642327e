# SPDX-License-Identifier: Apache-2.0
"""What `analyze` writes beside its output: a page for a browser (--html)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from algwatch import files
from algwatch.base.report import Report
from algwatch.cli import Usage
from algwatch.compare.crossing import Crossing

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from algwatch.cli.analyze import Source
    from algwatch.report.render.html.gathered import Gathered

Watch = Callable[[Crossing], None]


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--html", metavar="FILE", help="also write the report as one page for a browser"
    )


class Beside:
    """Reads what `analyze` prints along. Raises Usage where a file cannot be written."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._html: str = args.html or ""
        self._names = [os.path.basename(name) for name in (*args.lan, *args.wan, *args.files)]
        self._page: Gathered | None = None
        for path in filter(None, (self._html,)):
            if os.path.isdir(path) or not os.path.isdir(os.path.dirname(path) or "."):
                raise Usage(f"{path} cannot be written: its folder is not there, or it is one")

    def reports(self, source: Source, watch: Watch | None = None) -> Iterator[Report]:
        """Those of source, which may begin again."""
        if not self._html:
            return source.reports(watch)
        from algwatch.report.render.html.gathered import Gathered

        self._page = page = Gathered()
        page.ladder.compared = source.quality is None or not source.quality.unrelated

        def both(crossing: Crossing) -> None:
            page.watch(crossing)
            if watch is not None:
                watch(crossing)

        return _fed(source.reports(both), page)

    def write(self, source: Source) -> None:
        """All reports were read. OSError: nothing was written."""
        if self._page is not None:
            from algwatch.report.render.html.page import page

            self._page.settle(source.counts())
            text = page(self._page, self._names, os.urandom(16))
            files.replace(self._html, text.encode("utf-8", "backslashreplace"))


def _fed(reports: Iterator[Report], page: Gathered) -> Iterator[Report]:
    for report in reports:
        page.feed(report)
        yield report
