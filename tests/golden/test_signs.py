# SPDX-License-Identifier: Apache-2.0
"""A rule that does not read a call for want of signs would have found nothing in it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from algwatch.__main__ import main
from algwatch.compare.call import Call
from algwatch.compare.signs import signs
from algwatch.diagnose.engine import Engine
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.subject import CALL, Event
from sample import some

HERE = Path(__file__).parent
PARTS = 4


def arguments(folder: Path) -> list[list[str]]:
    """What to analyze of a case: both sides, and each file by itself."""
    files = sorted(folder.glob("*.pcap*"))
    sides = {file.stem: str(file) for file in files}
    found = [[str(file)] for file in files]
    if {"lan", "wan"} <= sides.keys():
        found.append(["--lan", sides["lan"], "--wan", sides["wan"]])
    return found


@pytest.mark.parametrize("part", range(PARTS))
def test_no_rule_misses_a_call(part: int, monkeypatch: pytest.MonkeyPatch,
                               capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    feed, skipped = Engine.feed, 0

    def watched(engine: Engine, events: Iterable[Event]) -> list[Finding]:
        nonlocal skipped
        events = list(events)
        for subject, thing in events:
            if subject == CALL and isinstance(thing, Call):
                shown = engine._of_calls[signs(thing)]
                for rule in engine._rules[CALL]:
                    if rule not in shown:
                        skipped += 1
                        missed = [*rule[0](thing, engine.known)]
                        assert not missed, f"{missed[0].rule} does not read {thing.call_id}"
        return feed(engine, events)

    monkeypatch.setattr(Engine, "feed", watched)
    for folder in some(sorted(HERE.glob("*/")), PARTS)[part::PARTS]:
        for files in arguments(folder):
            main(["analyze", "--json", *files])
            capsys.readouterr()
    assert skipped
