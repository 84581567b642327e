# SPDX-License-Identifier: Apache-2.0
"""Every golden capture gives the verdict that the specification demands, to the byte."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from algwatch.__main__ import main
from algwatch.diagnose.rules import RULES
from cases import CASES
from examples import EXAMPLES, written
from generate import captures, readme

HERE = Path(__file__).resolve().parent
EXIT = {"fine": 0, "hurts": 1, "cannot-tell": 3}
# What no file tells: what the router said of itself (tests/unit/test_host.py).
LIVE = {"CAP006", "ALG017", "NAT006"}


def analyze(*arguments: str) -> tuple[int, str, str]:
    """`algwatch analyze --json ...` as typed: exit status, standard output and error."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(["analyze", "--json", *arguments])
    return status, out.getvalue(), err.getvalue()


def faults(name: str, status: int, verdict: dict[str, Any]) -> list[str]:
    """Differences of the verdict from the hand-written truth."""
    case = CASES[name]
    said = [(f["rule"], f["where"], f["harm"]) for f in verdict["findings"]]
    wrong = [f"missing {must}, said: {said}" for must in case.must if must not in said]
    wrong += [f"{rule} must be silent" for rule, _, _ in said if rule in case.must_not]
    advice = {a["action"]: a["state"] for a in verdict["advice"]}
    if advice != case.advice:
        wrong.append(f"advice {advice} instead of {case.advice}")
    outcomes = [c["outcome"] for c in sorted(verdict["calls"], key=lambda c: str(c["call_id"]))]
    if outcomes != case.outcomes:
        wrong.append(f"outcomes {outcomes} instead of {case.outcomes}")
    state = verdict["verdict"]["state"]
    if state != case.state:
        wrong.append(f"state {state} instead of {case.state}: {verdict['verdict']['why']}")
    if status != EXIT[state]:
        wrong.append(f"exit status {status} with the state {state}")
    return wrong


@pytest.mark.parametrize("name", CASES)
def test_the_captures_are_what_the_generator_makes(name: str) -> None:
    made = captures(CASES[name])
    for file, data in made.items():
        path = HERE / name / file
        assert path.exists() and path.read_bytes() == data, f"make golden-update writes {path}"
    assert (HERE / name / "README.md").read_text() == readme(CASES[name])


@pytest.mark.parametrize("name", CASES)
def test_the_verdict_is_the_one_that_the_specification_demands(
    name: str, request: pytest.FixtureRequest
) -> None:
    assert (HERE / name).is_dir(), "make golden-update writes the captures of a new case"
    status, text, errors = analyze(*CASES[name].arguments(str(HERE / name)))
    assert errors == ""
    verdict = json.loads(text)
    assert not faults(name, status, verdict)
    expected = HERE / name / "expected.json"
    if request.config.getoption("--golden-update"):
        expected.write_text(json.dumps(verdict, indent=1, ensure_ascii=False) + "\n")
    assert verdict == json.loads(expected.read_text()), "make golden-update accepts the change"


def test_every_rule_has_a_capture_that_fires_it_and_a_near_miss_that_must_not() -> None:
    fired = {rule for case in CASES.values() for rule, _, _ in case.must}
    for module in RULES:
        rule = module.RULE.id
        assert (rule in fired) != (rule in LIVE), rule
        if rule in LIVE:
            continue
        near = [n for n in CASES if n.startswith(f"{rule.lower()}-near-miss-")]
        assert near, rule
        # A wrong port that hurts nobody still is a wrong port: ALG011's other near miss.
        assert any(rule in CASES[n].must_not for n in near), rule


def test_no_golden_folder_is_left_over() -> None:
    folders = {p.name for p in HERE.iterdir() if (p / "expected.json").exists()}
    assert folders == set(CASES)


def test_the_examples_of_explain_are_what_the_captures_show_today() -> None:
    assert Path(EXAMPLES).read_text(encoding="utf-8") == written(), "run: make docs"
