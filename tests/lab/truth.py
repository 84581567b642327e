# SPDX-License-Identifier: Apache-2.0
"""Truth: what a scenario declares before any verdict is known, and how a verdict is held to it."""

from __future__ import annotations

import re
from typing import Any

HURTS = ("observed", "certain")
EXIT = {"fine": 0, "hurts": 1, "cannot-tell": 3}
_IPV4 = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])")
_SECTION = re.compile(r"RFC \d+ [\d.]+")
JOINED = ("calls", "call_ids", "people", "addresses")  # facts that a crowd has as well
_PSEUDONYM = re.compile(r"c-[0-9a-f]{12}")


class Must:
    """A finding that has to be there. rule: alternatives with "|" where two rules say the same.
    where, harm: the words of which any one is true.
    """

    def __init__(self, rule: str, where: str = "", harm: str = "") -> None:
        self.rule = rule
        self.rules = rule.split("|")
        self.where = where.split()
        self.harm = harm.split()

    def met_by(self, finding: dict[str, Any]) -> bool:
        return (
            finding["rule"] in self.rules
            and (not self.where or finding["where"] in self.where)
            and (not self.harm or finding["harm"] in self.harm)
        )

    def __str__(self) -> str:
        return (
            f"{self.rule} where {'/'.join(self.where) or 'any'} harm {'/'.join(self.harm) or 'any'}"
        )


class Truth:
    """must: findings that have to be there. harmless: rules that may be there as long as they
    hurt nobody. may: rules that may be there with any harm. Everything else is a false finding.

    advice: action -> states, of which the last word has to be one. may_advise: actions that are
    true as well; "action:state" is true in that state only. Every other action is false;
    disable-sip-alg above all.
    dropped: names of the calls (see facts_of) that die for want of an ACK; ends: name -> words
    of "outcome" and "ack", alternatives with "|", for calls that end otherwise; all others
    complete. live: findings that only the agent on the router can have; filed: those that need
    single packets of RTP, which are in files alone. state: words of which the verdict's is one, ""
    for hurts when a call dropped and fine otherwise. alg: linux, or vendor or upstream where it is
    not this router's kernel.
    """

    def __init__(
        self,
        must: list[Must],
        harmless: str = "",
        may: str = "",
        advice: dict[str, str] | None = None,
        any_of: str = "",
        may_advise: str = "",
        dropped: str = "",
        ends: dict[str, str] | None = None,
        state: str = "",
        alg: str = "linux",
        live: list[Must] | None = None,
        filed: list[Must] | None = None,
    ) -> None:
        self.must = must
        self.live = live or []
        self.filed = filed or []
        self.harmless = harmless.split()
        self.may = may.split()
        self.advice = advice or {}
        self.any_of = any_of.split()
        self.may_advise = may_advise.split()
        self.dropped = dropped.split()
        self.ends = ends or {}
        self.states = (state or ("hurts" if dropped else "fine")).split()
        self.alg = alg

    def of_call(self, name: str) -> tuple[str, str]:
        """Outcome and ACK of the call of this name, alternatives with "|"."""
        if name in self.ends:
            outcome, ack = self.ends[name].split()
            return outcome, ack
        return ("dropped", "missing") if name in self.dropped else ("completed", "seen")

    def allows(self, finding: dict[str, Any]) -> bool:
        """The finding is true, or at least not false."""
        rule, harm = finding["rule"], finding["harm"]
        harmless = rule in self.harmless and harm not in HURTS
        return (
            harmless
            or rule in self.may
            or any(must.met_by(finding) for must in [*self.must, *self.live, *self.filed])
        )


class Score:
    """Counts of a verdict held to its truth, and every fault as one sentence."""

    def __init__(self) -> None:
        self.true = 0
        self.false = 0
        self.missed = 0
        self.faults: list[str] = []
        self.false_disable = 0
        self.rules: dict[str, list[int]] = {}  # rule -> [true, false, missed]

    def count(self, rule: str, column: int) -> None:
        """column: 0 true, 1 false, 2 missed."""
        self.rules.setdefault(rule, [0, 0, 0])[column] += 1

    def add(self, other: Score) -> None:
        self.true += other.true
        self.false += other.false
        self.missed += other.missed
        self.faults += other.faults
        self.false_disable += other.false_disable
        for rule, counts in other.rules.items():
            mine = self.rules.setdefault(rule, [0, 0, 0])
            mine[:] = [a + b for a, b in zip(mine, counts, strict=True)]

    @property
    def precision(self) -> float:
        said = self.true + self.false
        return self.true / said if said else 1.0

    @property
    def recall(self) -> float:
        there = self.true + self.missed
        return self.true / there if there else 1.0


def with_crowd(facts: dict[str, Any]) -> dict[str, Any]:
    """The facts of a run, those of its crowd among them."""
    crowd = facts.get("crowd", {})
    return facts | {key: facts.get(key, []) + crowd.get(key, []) for key in JOINED}


def judge(truth: Truth, facts: dict[str, Any], verdict: dict[str, Any]) -> Score:
    """Holds a verdict (the object of `analyze --json`, or as much of it as came over MQTT) to
    the truth and to the names that were drawn. An MQTT verdict has no "calls" and no "verdict".
    """
    score, facts = Score(), with_crowd(facts)
    findings = verdict["findings"]
    for must in truth.must + (truth.filed if "calls" in verdict else truth.live):
        if any(must.met_by(f) for f in findings):
            score.true += 1
        else:
            score.missed += 1
            score.count(must.rule, 2)
            score.faults.append(f"missing: {must}")
    for finding in findings:
        allowed = truth.allows(finding)
        score.count(finding["rule"], 0 if allowed else 1)
        if not allowed:
            score.false += 1
            score.faults.append(f"false: {_name(finding)}: {finding['summary']}")
        _judge_alg(truth, finding, score)
    _judge_advice(truth, verdict["advice"], score)
    if "calls" in verdict:
        _judge_calls(truth, facts, verdict["calls"], score)
        _judge_state(truth, verdict, score)
    _judge_names(facts, verdict, score)
    return score


def _name(finding: dict[str, Any]) -> str:
    return f"{finding['rule']} where {finding['where']} harm {finding['harm']}"


def _judge_alg(truth: Truth, finding: dict[str, Any], score: Score) -> None:
    """Whose ALG it is: that of the kernel in the lab's router unless the truth says otherwise."""
    if not finding["rule"].startswith("ALG"):
        return
    if finding["where"] != "router" and truth.alg != "upstream":
        score.faults.append(f"no ALG but the router's: {_name(finding)}")
    other = re.search("not the linux helper", finding["summary"], re.IGNORECASE)
    if other and truth.alg == "linux":
        score.faults.append(f"it is the Linux helper: {finding['rule']}: {finding['summary']}")
    named = any(finding["rule"] in must.rules for must in truth.must)
    # What is rewritten by the mapping alone looks like the Linux helper; the fault itself does not.
    if truth.alg != "linux" and named and finding.get("fingerprint", "") == "Linux nf_nat_sip":
        score.faults.append(f"not the Linux helper: {finding['rule']}: {finding['summary']}")


def _judge_advice(truth: Truth, advice: list[dict[str, Any]], score: Score) -> None:
    given = {a["action"]: a["state"] for a in advice if a["state"] != "none"}
    for action, states in truth.advice.items():
        if given.get(action) in states.split():
            score.true += 1
        else:
            score.missed += 1
            score.faults.append(f"missing advice: {action} {states}, got {given}")
    if truth.any_of:
        if any(action in given for action in truth.any_of):
            score.true += 1
        else:
            score.missed += 1
            score.faults.append(f"missing advice: one of {truth.any_of}, got {given}")
    for action, state in given.items():
        true = [*truth.advice, *truth.any_of, *truth.may_advise]
        if action not in true and f"{action}:{state}" not in true:
            score.false += 1
            score.false_disable += action == "disable-sip-alg"
            score.faults.append(f"false advice: {action} {given[action]}")


def _judge_calls(
    truth: Truth, facts: dict[str, Any], calls: list[dict[str, Any]], score: Score
) -> None:
    said = {c["call_id"]: c for c in calls}
    drawn = {c["call_id"]: c["name"] for c in facts["calls"]}
    for stranger in said.keys() - drawn - set(facts.get("noise", [])):
        score.false += 1
        score.faults.append(f"a call that was not made: {stranger}")
    for call_id, name in sorted(drawn.items()):
        call = said.get(call_id)
        got = (call["outcome"], call["ack"]) if call else None
        truly = truth.of_call(name)
        if got and all(a in b.split("|") for a, b in zip(got, truly, strict=True)):
            score.true += 1
        else:
            score.missed += 1
            score.faults.append(f"call {call_id} ({name}): {got}, truly {', '.join(truly)}")


def _judge_state(truth: Truth, verdict: dict[str, Any], score: Score) -> None:
    """The state of the whole capture; the exit status says the same."""
    state = verdict["verdict"]["state"]
    if state in truth.states:
        score.true += 1
    else:
        score.missed += 1
        score.faults.append(
            f"state {state}, truly {' or '.join(truth.states)}: {verdict['verdict']['why']}"
        )
    if "exit" in verdict and verdict["exit"] != EXIT[state]:
        score.faults.append(f"exit status {verdict['exit']} with the state {state}")


def _judge_names(facts: dict[str, Any], verdict: dict[str, Any], score: Score) -> None:
    """Addresses, and for findings about a call its Call-ID, must be those that were drawn."""
    over_mqtt = "calls" not in verdict
    for finding in verdict["findings"]:
        said = finding["call_id"]
        drawn = [c for c in facts["call_ids"] if _names(said, c, over_mqtt)]
        if said and not drawn:
            score.faults.append(f"{finding['rule']} names a Call-ID nobody drew: {said}")
        text = finding["summary"] + " ".join(
            f" {e['observed']} {e['expected']}" for e in finding["evidence"]
        )
        for address in set(_IPV4.findall(_SECTION.sub("", text))) - set(facts["addresses"]):
            score.faults.append(f"{finding['rule']} names an address nobody drew: {address}")
        _judge_words(facts, finding["rule"], text, score)
        dead = facts["dead_call_ids"]
        blames = finding["rule"].startswith("DLG") or finding["harm"] in HURTS
        if blames and said and dead and not set(drawn) & set(dead):
            score.faults.append(f"{finding['rule']} blames the wrong call: {said}")
    for advice in verdict["advice"]:
        if advice["state"] == "none":
            continue
        _judge_words(facts, advice["action"], " ".join(advice["for"]), score)
        phones = facts.get("phones") or [facts["phone"][0]]
        about = advice["subject"].partition(" and ")[0]  # "" where nothing crossed the router
        if about not in phones:
            score.faults.append(f"{advice['action']} is about the wrong phone: {advice['subject']}")
    if over_mqtt:
        # One call, one pseudonym: otherwise nobody could join the reports about it.
        said_of_dead = {f["call_id"] for f in verdict["findings"] if f["rule"].startswith("DLG")}
        if len(said_of_dead) > max(1, len(facts["dead_call_ids"])):
            score.faults.append(f"one call under several names: {sorted(said_of_dead)}")


def _judge_words(facts: dict[str, Any], about: str, text: str, score: Score) -> None:
    """Words that a finding, or the reasons for an advice, must have."""
    for word in facts["must_name"].get(about, []):
        if not re.search(rf"(?<!\d){re.escape(word)}(?!\d)", text):
            score.faults.append(f"{about} does not name {word}: {text}")


def _names(said: str, drawn: str, over_mqtt: bool) -> bool:
    """Over MQTT the local part of a Call-ID is a pseudonym and the host stays."""
    if said == drawn:
        return True
    if not over_mqtt or not _PSEUDONYM.match(said):
        return False
    return said.partition("@")[1:] == drawn.partition("@")[1:]
