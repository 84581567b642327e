# SPDX-License-Identifier: Apache-2.0
"""docs/advice.md says how sure each advice is, and every advice is as sure as it says."""

from __future__ import annotations

import json
import re
from pathlib import Path

from algwatch.advise.actions import BY_CAUSE, DISABLE, KEEP, NO_ACTION
from algwatch.diagnose.cause import CAUSES

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "advice.md").read_text()
Row = tuple[str, str, str, float]  # cause, action, state, confidence


def table() -> list[Row]:
    rows = re.findall(r"^\| ([a-z-]+) \| ([a-z-]+) \| (\w+).* \| (0\.\d+) \|$", TEXT, re.M)
    return [(cause, action, state, float(sure)) for cause, action, state, sure in rows]


def test_every_cause_is_in_the_document_with_its_actions() -> None:
    plain = [(cause, action, "recommended", sure) for cause, some in BY_CAUSE.items()
             for action, sure in some if action not in (DISABLE, KEEP)]  # fmt: skip
    assert [row for row in table() if row[1] not in (DISABLE, KEEP)] == plain, TEXT
    for cause in CAUSES:
        told = f"- `{cause or '(none)'}`: {NO_ACTION.get(cause)}.\n" in TEXT
        assert told == (cause in NO_ACTION), cause


def test_every_advice_of_the_golden_captures_is_as_sure_as_the_document_says() -> None:
    known = {row[1:] for row in table()}
    # Where the place is not known, half as sure.
    known |= {(action, "suspected", sure / 2) for _, action, _, sure in table()
              if action not in (DISABLE, KEEP)}  # fmt: skip
    given = set()
    for path in (ROOT / "tests" / "golden").glob("*/expected.json"):
        for advice in json.loads(path.read_text())["advice"]:
            given.add((advice["action"], advice["state"], advice["confidence"]))
    assert given <= known
    assert {action for action, _, _ in given} >= {DISABLE, KEEP}
