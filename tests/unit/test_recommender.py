# SPDX-License-Identifier: Apache-2.0
"""Which findings become advice, for which lines, and when it is told again or withdrawn."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from algwatch.advise import actions
from algwatch.advise.advice import Advice
from algwatch.advise.recommend import CROSSED_NOTHING, LIMIT, PLACE_UNKNOWN, Recommender, Told
from algwatch.compare import line as words
from algwatch.compare.line import Line
from algwatch.compare.lines import Lines
from algwatch.diagnose import cause
from algwatch.diagnose.finding import Evidence, Finding

OWN = (words.RPORT_ASKED, words.ACCEPTED)


@dataclass
class Known:
    """Lines by hand, and what is advised of them."""

    lines: Lines = field(default_factory=lambda: Lines(1000))
    two_sided: bool = True

    def __post_init__(self) -> None:
        self.recommender = Recommender(self.lines, self.two_sided)

    def line(self, phone: str = "phone", remote: str = "provider", *seen: str) -> Line:
        made = Line(phone, remote, self.lines.fresh)
        for word in seen or OWN:
            made.observe(word, None, 1)
        self.lines.table.add(f"{phone} {remote}".encode(), made)
        return made

    def said(self, *findings: Finding) -> list[tuple[str, str, str]]:
        return told(self.recommender.feed(list(findings)))


def told(advice: list[Advice]) -> list[tuple[str, str, str]]:
    return [(a.action, a.state, a.subject) for a in advice]


def finding(why: str, line: Line | None, rule: str = "ALG011", at: float = 0.0, *,
            where: str = "router", certain: bool = False) -> Finding:  # fmt: skip
    harm = "none" if why == cause.ALG_NEEDED else "observed"
    return Finding(
        rule, "", "error", where, harm, f"call{at}", "lan", at, f"{rule} at {at}",
        [Evidence("lan", at, "seen", "expected", b"")], "", cause=why, certain=certain,
        line=line.name if line is not None else "",
    )  # fmt: skip


def harm(line: Line | None, rule: str = "ALG011", at: float = 0.0, *, where: str = "router",
         certain: bool = False) -> Finding:  # fmt: skip
    return finding(cause.ALG, line, rule, at, where=where, certain=certain)


def needed(line: Line) -> Finding:
    return finding(cause.ALG_NEEDED, line, "ALG015")


# ---- turning it off ----


def test_harm_is_advised_of_where_the_router_did_it_on_a_line_that_is_known() -> None:
    known = Known()
    line = known.line()
    gone = Line("evicted", "provider")
    assert known.said(harm(None)) == known.said(harm(gone)) == []
    assert known.said(harm(line, where="provider")) == []
    assert known.said(harm(line)) == [("disable-sip-alg", "suspected", line.name)]


def test_all_harmed_phones_of_a_provider_hear_that_it_handles_the_nat() -> None:
    known = Known()
    one, two, three = (known.line(phone) for phone in ("one", "two", "three"))
    known.said(harm(one, certain=True), harm(two, certain=True))
    three.observe(words.NAT_HANDLED, None, 2)
    off = "disable-sip-alg", "recommended"
    assert told(known.recommender.refresh()) == [(*off, one.name), (*off, two.name)]
    assert not known.lines.fresh
    assert known.recommender.refresh() == []


def test_the_latest_harm_is_told_first_and_what_the_protocol_proves_before_it() -> None:
    known = Known()
    line = known.line()
    feed = known.recommender.feed
    (first,) = feed([harm(line, "DLG001", 1)])
    assert first.for_ == ["DLG001 at 1"]
    (second,) = feed([harm(line, "ALG012", 2)])
    assert second.for_ == ["ALG012 at 2", "DLG001 at 1"]
    line.observe(words.NAT_HANDLED, None, 3)
    (third,) = feed([harm(line, "DLG001", 70)])
    assert third.for_[:2] == ["DLG001 at 70", "ALG012 at 2"]
    assert (third.state, third.confidence) == ("recommended", 0.8)
    (surer,) = feed([harm(line, "ALG012", 80, certain=True)])
    assert surer.for_[:2] == ["ALG012 at 80", "DLG001 at 70"]
    assert (surer.state, surer.confidence) == ("recommended", 0.9)
    assert feed([harm(line, "DLG001", 90)]) == []


def test_what_lines_with_other_providers_showed_speaks_against_it() -> None:
    known = Known()
    line = known.line()
    known.line("phone", "another", *OWN, words.DROPS_UNTOUCHED)
    known.line("stranger", "anyone", words.DROPS_UNTOUCHED)
    line.observe(words.DROPS_UNTOUCHED, None, 1)
    line.observe(words.WORKS_UNTOUCHED, None, 1)
    (advice,) = known.recommender.feed([harm(line)])
    dropped = [why for why in advice.against if "dropped with nothing rewritten" in why]
    assert dropped == [
        "1 call to this phone dropped with nothing rewritten",
        "1 call of phone and another dropped with nothing rewritten",
    ]


def test_a_phone_with_many_lines_pays_for_its_room() -> None:
    known = Known()
    quiet = known.line("quiet")
    known.said(harm(quiet), needed(quiet))
    for n in range(LIMIT):
        loud = known.line("loud", f"far{n}")
        known.recommender.feed([harm(loud)])
    assert quiet.name in known.recommender.harm


# ---- keeping it ----


def keep(known: Known, line: Line) -> Advice:
    given = known.recommender.feed([needed(line)])
    (advice,) = (one for one in given if one.action == "keep-sip-alg")
    return advice


def test_it_is_kept_for_a_line_that_drops_without_it_whatever_it_did() -> None:
    known = Known()
    line = known.line("phone", "provider", *OWN, words.DROPS_UNTOUCHED)
    assert known.said(harm(line)) == []
    assert keep(known, line).state == "recommended"


def test_keeping_it_is_withdrawn_where_the_provider_is_seen_to_handle_the_nat() -> None:
    known = Known()
    line = known.line()
    keep(known, line)
    line.observe(words.NAT_HANDLED, None, 2)
    (gone,) = known.recommender.reconsider(line)
    assert (gone.action, gone.state, gone.confidence) == ("keep-sip-alg", "none", 0.0)
    assert any("not to its private Contact" in why for why in gone.against)


def test_keeping_it_is_withdrawn_with_the_latest_harm_as_the_reason() -> None:
    known = Known()
    line = known.line()
    keep(known, line)
    known.recommender.feed([harm(line, "ALG012", 1)])
    line.observe(words.NAT_HANDLED, None, 2)
    assert known.said(harm(line, "DLG001", 2)) == [("disable-sip-alg", "suspected", line.name)]
    keeping = known.recommender._of_line(line)[0]
    assert keeping.state == "none" and keeping.against == ["DLG001 at 2"]


def test_keeping_it_is_doubted_for_each_line_that_it_hurts() -> None:
    known = Known()
    line, one, two = (known.line(phone) for phone in ("phone", "one", "two"))
    known.said(harm(one))
    first = keep(known, line)
    assert (first.state, first.confidence) == ("suspected", 0.5)
    assert first.against == ["it hurts another line: ALG011 at 0.0"]
    again = [a for a in known.recommender.feed([harm(two, at=1)]) if a.action == "keep-sip-alg"]
    assert len(again) == 1 and len(again[0].against) == 2


@pytest.mark.parametrize("seen", [(words.RPORT_ASKED,), (*OWN, words.DROPS_UNTOUCHED)])
def test_nor_by_lines_of_anyone_nor_by_one_that_drops_without_it(seen: tuple[str, ...]) -> None:
    known = Known()
    line = known.line()
    other = known.line("other", "another", *seen)
    known.said(harm(other))
    assert keep(known, line).state == "recommended"


# ---- what follows from the cause alone ----


def test_what_is_sure_stays_so_when_it_is_seen_again_at_an_unknown_place() -> None:
    known = Known()
    line = known.line()
    why = cause.PROVIDER_CONTACT

    def again(rule: str, where: str) -> list[tuple[str, list[str]]]:
        advice = known.recommender.feed([finding(why, line, rule, where=where)])
        return [(a.state, a.against) for a in advice]

    assert again("DLG001", "unknown") == [("suspected", [PLACE_UNKNOWN])]
    assert again("DLG002", "unknown") == [("suspected", [PLACE_UNKNOWN])]
    assert again("DLG003", "provider") == [("recommended", [])]
    assert again("DLG004", "unknown") == [("recommended", [])]


@pytest.mark.parametrize("two_sided", [True, False])
def test_what_crossed_nothing_is_only_suspected_where_both_sides_were_seen(two_sided: bool) -> None:
    known = Known(two_sided=two_sided)
    (advice,) = known.recommender.feed([finding(cause.PROVIDER, None)])
    assert advice.state == ("suspected" if two_sided else "recommended")
    assert advice.against == ([CROSSED_NOTHING] if two_sided else [])


def test_rport_is_advised_for_a_via_without_it_whatever_the_others_ask() -> None:
    known = Known()
    line = known.line()
    (advice,) = known.recommender.feed([finding(cause.NO_RPORT, line)])
    assert advice.action == actions.ENABLE_RPORT
    assert advice.title == "" and advice.against == []


@pytest.mark.parametrize("always", [True, False])
def test_stun_is_left_only_to_a_phone_that_asks_for_rport_always(always: bool) -> None:
    known = Known()
    line = known.line("phone", "provider", *OWN, *([] if always else [words.RPORT_MISSING]))
    (advice, _) = known.recommender.feed([finding(cause.NAT_UNHANDLED, line, "DLG002")])
    assert advice.action == actions.ENABLE_RPORT
    assert bool(advice.title) is always


def test_advice_is_not_withdrawn_when_its_reason_is_seen_again() -> None:
    """Only a finding that takes another one back withdraws it."""
    known = Known()
    line = known.line()
    first = Finding("DLG002", "", "error", "phone", "observed", "a", "wan", 0.0, "no ACK", [], "a",
                    cause=cause.NAT_UNHANDLED, line=line.name)  # fmt: skip
    again = Finding("DLG002", "", "warning", "phone", "latent", "b", "wan", 9.0, "no ACK yet", [],
                    "b", cause=cause.NAT_UNHANDLED, line=line.name)  # fmt: skip
    assert {state for _, state, _ in known.said(first)} == {"recommended"}
    assert known.said(again) == []
    again.takes_back = True
    assert {state for _, state, _ in known.said(again)} == {"none"}


def test_harm_that_is_taken_back_is_no_reason_to_turn_it_off() -> None:
    known = Known()
    line = known.line("phone", "provider", *OWN, words.WORKS_UNTOUCHED)
    said = harm(line)
    assert [action for action, _, _ in known.said(said)] == [actions.DISABLE]
    other = Finding(said.rule, "", "info", "router", "none", said.call_id, "lan", 1.0, "is not so",
                    [], said.key, cause=cause.NONE, line=line.name)  # fmt: skip
    other.takes_back = True
    assert known.said(other) == [(actions.DISABLE, "none", line.name)]


def test_where_only_the_proof_is_taken_back_the_harm_that_is_left_is_a_suspicion() -> None:
    known = Known()
    line = known.line("phone", "provider", *OWN, words.WORKS_UNTOUCHED)
    sure = harm(line, "ALG012", 1, certain=True)
    known.said(harm(line, "DLG001", 2), sure)
    back = Finding("ALG012", "", "info", "router", "none", sure.call_id, "lan", 3.0, "is not so",
                   [], sure.key, cause=cause.NONE, line=line.name)  # fmt: skip
    back.takes_back = True
    (advice,) = known.recommender.feed([back])
    assert (advice.action, advice.state) == (actions.DISABLE, "suspected")
    assert advice.for_[0] == "DLG001 at 2"


def test_a_line_that_is_hurt_and_needs_it_makes_others_doubt_both_ways() -> None:
    """Its second word is the first of its kind, and speaks against what others were told."""
    known = Known()
    line, other = known.line(), known.line("other")
    other.observe(words.WORKS_UNTOUCHED, None, 1)
    off = actions.DISABLE
    assert (off, "recommended", other.name) in known.said(harm(other, certain=True))
    known.said(harm(line))
    assert (off, "suspected", other.name) in known.said(needed(line))


def test_a_line_with_a_first_observation_is_noted_for_the_file_of_what_is_known() -> None:
    known = Known()
    known.lines.unkept = {}
    line = known.line()
    known.recommender.refresh()
    assert known.lines.unkept == {line.name: line}


@pytest.mark.parametrize("line_known", [True, False])
def test_another_process_goes_on_with_harm_reasons_and_words(line_known: bool) -> None:
    known, then = Known(), Known()
    line, same = known.line(), then.line()
    why = cause.PROVIDER_CONTACT
    known.said(harm(line, "DLG001", 1.0), finding(why, line, "DLG002", 1.0, where="provider"))
    plain = known.recommender.to_plain(line.name)
    then.recommender.recall(Told(plain, 0.0), same if line_known else None)
    assert then.said(finding(why, same, "DLG002", 1.0, where="provider")) == []
    (again,) = then.recommender.feed([finding(why, same, "DLG003", 2.0, where="provider")])
    assert again.for_ == ["DLG003 at 2.0", "DLG002 at 1.0"]
    (advice,) = then.recommender.feed([harm(same, "ALG012", 2.0)])
    harmed = [one for one in advice.for_ if " at " in one and one.startswith(("DLG", "ALG"))]
    assert harmed == (["ALG012 at 2.0", "DLG001 at 1.0"] if line_known else ["ALG012 at 2.0"])
