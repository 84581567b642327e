"""Rules are isolated from each other, and each thing is said once."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from algwatch.compare.line import Lines
from algwatch.diagnose import engine as engines
from algwatch.diagnose.context import Context
from algwatch.diagnose.engine import Engine
from algwatch.diagnose.finding import Evidence, Finding
from algwatch.diagnose.rule import CAPTURE, Rule

CALLS = Rule("XXX001", "said", "info", CAPTURE, (), "Said.")


def finding(harm: str, summary: str = "s", rule: str = "XXX001", key: str = "k") -> Finding:
    proof = [Evidence("lan", 1.0, "observed", "expected", b"bytes")]
    return Finding(rule, "said", "info", "router", harm, "", "lan", 1.0, summary, proof,
                   f"{rule}/{key}")  # fmt: skip


def engine(monkeypatch: pytest.MonkeyPatch, *checks: object, strict: bool = False) -> Engine:
    rules = [SimpleNamespace(RULE=Rule(f"XXX00{i}", "said", "info", CAPTURE, (), "Said."),
                             check=check) for i, check in enumerate(checks)]  # fmt: skip
    monkeypatch.setattr(engines, "RULES", rules)
    return Engine(Context(True, Lines(4)), strict)


def test_a_rule_that_fails_is_counted_and_hides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Context) -> None:
        raise ZeroDivisionError

    made = engine(monkeypatch, broken, lambda _: finding("none"))
    assert len(made.capture()) == 1
    made.capture()
    assert made.failures == {"XXX000": 2}


def test_tests_see_what_a_rule_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Context) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        engine(monkeypatch, broken, strict=True).capture()


def test_the_same_is_said_once_and_worse_is_said_again(monkeypatch: pytest.MonkeyPatch) -> None:
    harms = iter(["none", "none", "latent", "certain", "certain", "observed", "latent"])
    made = engine(monkeypatch, lambda _: finding(next(harms)))
    said = [[f.harm for f in made.capture()] for _ in range(7)]
    assert said == [["none"], [], ["latent"], ["certain"], [], ["observed"], []]


def test_a_capture_finding_is_said_again_with_other_words(monkeypatch: pytest.MonkeyPatch) -> None:
    words = iter(["one", "one", "two"])
    made = engine(monkeypatch, lambda _: finding("none", next(words), "CAP007"))
    assert [len(made.capture()) for _ in range(3)] == [1, 0, 1]


def test_no_evidence_no_finding() -> None:
    with pytest.raises(ValueError, match="without evidence"):
        CALLS.finding("router", "none", "", "said", [], "k")
