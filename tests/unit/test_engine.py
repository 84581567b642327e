# SPDX-License-Identifier: Apache-2.0
"""Rules are isolated from each other, and each thing is said once."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from algwatch.advise import actions
from algwatch.base.table import Table
from algwatch.compare.comparison import Comparison
from algwatch.compare.limits import ROUTER
from algwatch.diagnose import cause
from algwatch.diagnose import engine as engines
from algwatch.diagnose.engine import Engine
from algwatch.diagnose.finding import Evidence, Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule
from algwatch.diagnose.subject import CALL, CAPTURE

SAID = Rule("XXX001", "said", "info", CAPTURE, (), "Said.")
SHOWN = [(CAPTURE, None)]


def finding(harm: str, summary: str = "s", rule: str = "XXX001", key: str = "k",
            cause: str = "") -> Finding:  # fmt: skip
    proof = [Evidence("lan", 1.0, "observed", "expected", b"bytes")]
    return Finding(rule, "said", "info", "router", harm, "", "lan", 1.0, summary, proof,
                   f"{rule}/{key}", cause=cause)  # fmt: skip


def engine(monkeypatch: pytest.MonkeyPatch, *checks: object, strict: bool = False) -> Engine:
    rules = [SimpleNamespace(RULE=Rule(f"XXX00{i}", "said", "info", CAPTURE, (), "Said."),
                             check=check) for i, check in enumerate(checks)]  # fmt: skip
    monkeypatch.setattr(engines, "RULES", rules)
    said: Table[int, int] = Table(16)
    known = Known(Comparison(True, ROUTER, False, None), said)
    ticks = iter(range(1000))
    return Engine(known, said, strict, lambda: next(ticks))


def test_a_rule_that_fails_is_counted_and_hides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: None, known: Known) -> None:
        raise ZeroDivisionError

    made = engine(monkeypatch, broken, lambda _, known: [finding("none")])
    assert len(made.feed(SHOWN)) == 1
    made.feed(SHOWN)
    assert made.failures == {"XXX000": 2}


def test_tests_see_what_a_rule_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: None, known: Known) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        engine(monkeypatch, broken, strict=True).feed(SHOWN)


def test_the_same_is_said_once_and_worse_is_said_again(monkeypatch: pytest.MonkeyPatch) -> None:
    harms = iter(["none", "none", "latent", "certain", "certain", "observed", "latent"])
    made = engine(monkeypatch, lambda _, known: [finding(next(harms))])
    said = [[f.harm for f in made.feed(SHOWN)] for _ in range(7)]
    assert said == [["none"], [], ["latent"], ["certain"], [], ["observed"], []]


def test_a_capture_finding_is_said_again_with_other_words(monkeypatch: pytest.MonkeyPatch) -> None:
    words = iter(["one", "one", "two"])
    made = engine(
        monkeypatch, lambda _, known: [finding("none", next(words), "CAP007", cause="capture")]
    )
    assert [len(made.feed(SHOWN)) for _ in range(3)] == [1, 0, 1]


def test_no_evidence_no_finding() -> None:
    with pytest.raises(ValueError, match="without evidence"):
        SAID.finding("router", "none", "said", [], "k")


def test_a_cause_that_is_in_no_list_is_a_fault_of_the_rule() -> None:
    proof = [Evidence("lan", 1.0, "observed", "expected", b"bytes")]
    rule = Rule("XXX001", "said", "info", CALL, (), "Said.")
    with pytest.raises(ValueError, match="is no cause"):
        rule.finding("router", "none", "said", proof, "k", cause="bad luck")


def test_each_rule_is_counted_and_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    made = engine(monkeypatch, lambda _, known: [finding("none")])
    made.feed([*SHOWN, *SHOWN])
    meter = made.meters["XXX000"]
    assert (meter.shown, meter.found, meter.failures, meter.ns) == (2, 1, 0, 2)


def test_rules_cannot_set_what_they_are_told() -> None:
    known = Known(Comparison(True, ROUTER, False, None), {})
    with pytest.raises(AttributeError):
        known.now = 1  # type: ignore[misc]


@pytest.mark.parametrize("word", cause.CAUSES)
def test_every_cause_has_an_action_or_a_reason_why_not(word: str) -> None:
    assert (word in actions.BY_CAUSE) != (word in actions.NO_ACTION)
    for action, _ in actions.BY_CAUSE.get(word, ()):
        assert action in actions.ACTIONS


def test_a_rule_about_several_kinds_of_thing_is_shown_all_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown: list[object] = []
    both = Rule("XXX000", "said", "info", (CALL, CAPTURE), (), "Said.")

    def check(thing: object, known: Known) -> list[Finding]:
        shown.append(thing)
        return []

    rules = [SimpleNamespace(RULE=both, check=check)]
    monkeypatch.setattr(engines, "RULES", rules)
    made = Engine(Known(Comparison(True, ROUTER, False, None), {}), Table(16))
    made.feed([(CALL, "call"), (CAPTURE, None)])
    assert shown == ["call", None] and made.meters["XXX000"].shown == 2
    assert both.subject == "call, capture"
