# SPDX-License-Identifier: Apache-2.0
"""Draws the ladders of the guide from golden captures: `make docs` writes docs/guide/img."""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from algwatch.cli.glance import TwoSided  # noqa: E402
from algwatch.cli.source import Source  # noqa: E402
from algwatch.report.render.html.drawn import drawing  # noqa: E402
from algwatch.report.render.html.gathered import Gathered  # noqa: E402
from cases import CASES  # noqa: E402

FOLDER = HERE.parents[1] / "docs" / "guide" / "img"
# Name of the picture: the golden case, and what it shows in a sentence.
PICTURES = {
    "after-32-seconds": ("dlg007-64-t1", "A call whose ACK never comes ends after 32 seconds."),
    "after-10-seconds": ("dlg007-gives-up-after-ten-seconds",
                         "A phone that waits ten seconds for the ACK ends the call."),
    "after-5-seconds": ("dlg007-gives-up-after-five-seconds",
                        "A phone that waits five seconds for the ACK ends the call."),
    "private-contact": ("dlg002-private-contact",
                        "The Contact in the 200 OK is a private address, and no ACK comes."),
    "no-record-route": ("dlg004-missing-record-route",
                        "The proxy did not stay in the way of the call, and the ACK is lost."),
    "refused": ("txn002-ack-stopped", "A refusal is sent again until its ACK comes."),
    "provider-handles-nat": ("dlg002-near-miss-provider-handles-nat",
                             "The provider sends to where packets come from, and the call works."),
    "other-port": ("alg011-ack-to-another-phone",
                   "The router hands the ACK to a port at which nobody is."),
    "port-of-before": ("nat002-call-to-the-port-of-before",
                       "The provider calls the port that the phone had before."),
    "announced-port": ("nat002-ack-to-the-announced-port",
                       "The ACK comes to the announced port, and the NAT has another."),
    "one-side": ("cap001-one-sided", "One side alone does not show what the router changed."),
    "rewritten": ("alg001-contact", "The router rewrites the Contact, and the call completes."),
}  # fmt: skip


def drawn() -> dict[str, str]:
    """Every picture by its file name."""
    return {f"{name}.svg": _picture(case, about) for name, (case, about) in PICTURES.items()}


def _picture(name: str, about: str) -> str:
    case, folder = CASES[name], str(HERE / name)
    words = case.arguments(folder)
    files = [words[0]] if case.one_file else []
    lan, wan = ([], []) if files else ([words[1]], [words[3]])
    source = Source(files, lan, wan, [5060, 5080])
    with contextlib.redirect_stderr(io.StringIO()):
        source.check()
        try:
            gathered = _gathered(source)
        except TwoSided:
            source.survey()
            gathered = _gathered(source)
    ladder = gathered.ladder
    shown = gathered.shown()
    call = next((one for one in shown if one.hurts), shown[0])
    return f"{drawing(call, ladder.two_sided, ladder.newest, about, alone=True)}\n"


def _gathered(source: Source) -> Gathered:
    gathered = Gathered()
    for report in source.reports(gathered.watch):
        gathered.feed(report)
    gathered.settle(source.counts())
    return gathered


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for file, text in drawn().items():
        (FOLDER / file).write_text(text, encoding="utf-8")
