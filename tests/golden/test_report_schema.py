# SPDX-License-Identifier: Apache-2.0
"""docs/report.schema.json holds what `analyze` prints for programs."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from algwatch import pipeline
from algwatch.advise.actions import ACTIONS
from algwatch.cli.source import Source
from algwatch.compare.limits import Limits
from algwatch.diagnose.cause import CAUSES
from algwatch.report.render.json import write_json, write_ndjson

HERE = Path(__file__).resolve().parent
SCHEMA = json.loads((HERE.parents[1] / "docs" / "report.schema.json").read_text())
LINE = {"$defs": SCHEMA["$defs"], **SCHEMA["$defs"]["line_of_ndjson"]}
WHOLE = jsonschema.Draft202012Validator(SCHEMA)


def faults(validator: Any, value: object) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_every_golden_report_is_as_the_schema_says() -> None:
    reports = sorted(HERE.glob("*/expected.json"))
    assert len(reports) > 500
    for path in reports:
        report = json.loads(path.read_text())
        assert not faults(WHOLE, report), path
        assert {f["cause"] for f in report["findings"]} <= {*CAUSES}
        assert {a["action"] for a in report["advice"]} <= {*ACTIONS}


def test_a_report_that_differs_is_refused() -> None:
    report = json.loads((HERE / "dlg001-never-on-wan" / "expected.json").read_text())
    changes: tuple[dict[str, Any], ...] = (
        {"more": 1}, {"schema": 2}, {"notes": []}, {"calls": [{**report["calls"][0], "x": 1}]},
        {"findings": [{**report["findings"][0], "harm": "much"}]},
    )  # fmt: skip
    for change in changes:
        assert faults(WHOLE, {**report, **change})


@pytest.mark.parametrize("room", [4096, 2])
def test_lines_of_ndjson_are_the_same_report(room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "LAPTOP", Limits(room, 4096, 4096, 1024))
    files = [str(HERE / "lab" / "6b-on" / f"{side}.pcap") for side in ("lan", "wan")]
    texts = []
    for write in (write_json, write_ndjson):
        source = Source([], files[:1], files[1:], [5060])
        out = io.StringIO()
        write(source.reports(), source.counts, out, lambda: ["a note"])
        texts.append(out.getvalue())
    whole = json.loads(texts[0])
    assert not faults(WHOLE, whole)
    assert ("evicted" in whole) == (room == 2)
    validator = jsonschema.Draft202012Validator(LINE)
    lines = [json.loads(line) for line in texts[1].splitlines()]
    assert not [fault for line in lines for fault in faults(validator, line)]
    for name in "call", "registration", "finding":
        assert [line[name] for line in lines if name in line] == whole[f"{name}s"]
    assert [line["advice"] for line in lines if "advice" in line] == whole["advice"]
    assert lines[-1] == {"verdict": whole["verdict"]}
    assert {"note": "a note"} in lines
