# SPDX-License-Identifier: Apache-2.0
"""Did the attack gain anything? Every fault is one sentence; none is what should be."""

from __future__ import annotations

from typing import Any

from algwatch.report.privacy import Privacy
from lab.agent import verdict_of
from lab.truth import judge

from .stage import Attempt, Outcome

END = 3.5  # seconds from SIGTERM to the end


def faults_of(attempt: Attempt, outcome: Outcome) -> list[str]:
    faults = list(outcome.faults)
    if not faults:
        faults += _false(attempt, outcome)
        faults += _cost(attempt, outcome)
    faults += _leaks(outcome)
    return faults


def _false(attempt: Attempt, outcome: Outcome) -> list[str]:
    """Faults of the reports: untrue ones, and true ones that are missing."""
    facts = outcome.facts
    verdict = verdict_of(outcome.reports)
    known = dict(facts, addresses=[*facts["addresses"], *facts["strangers"]])
    privacy = Privacy(outcome.key)
    drawn = {privacy.call_id(call_id) for call_id in facts["call_ids"]}
    faults = []
    own = []
    for finding in verdict["findings"]:
        known_call = finding["call_id"] in drawn
        if known_call and finding["rule"] in attempt.latent and finding["harm"] == "latent":
            continue
        if known_call or not (finding["call_id"] or _is_theirs(finding, facts)):
            own.append(finding)
        elif not attempt.is_true_of_others(finding):
            faults.append(
                f"false, of the attacker's own messages: {finding['rule']} where "
                f"{finding['where']} harm {finding['harm']}: {finding['summary']}"
            )
    verdict["findings"] = [f for f in own if f["call_id"] or f["rule"] not in attempt.may]
    return faults + judge(attempt.truth, known, verdict).faults


def _is_theirs(finding: dict[str, Any], facts: dict[str, Any]) -> bool:
    """A finding without a call whose line is that of no phone that was drawn."""
    phones = [facts["phone"][0], facts.get("other_phone", ["-"])[0]]
    line: str = finding.get("line", "")
    return bool(line) and line.partition(" ")[0] not in phones


def _cost(attempt: Attempt, outcome: Outcome) -> list[str]:
    faults = []
    first, most, last = outcome.memory
    if most - first > attempt.grows:
        faults.append(f"memory: {first} kB at the start, {most} kB at most, {last} kB at the end")
    if len(outcome.log) > attempt.lines:
        faults.append(f"{len(outcome.log)} lines of log, at most {attempt.lines} are fine")
    if outcome.ended > END:
        faults.append(f"its end took {outcome.ended:.1f} s")
    if outcome.status != 0:
        faults.append(f"it ended with status {outcome.status}")
    faults += [f"it complained: {line}" for line in outcome.log if "Traceback" in line]
    return faults


def _texts(value: Any) -> list[bytes]:
    """All that a payload says, names of fields included."""
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in _texts(part)]
    if isinstance(value, list | tuple):
        return [text for part in value for text in _texts(part)]
    return [value] if isinstance(value, bytes) else [str(value).encode()]


def _leaks(outcome: Outcome) -> list[str]:
    """Names that the lab drew or the attempt chose, in what left the router or was logged."""
    sent = b"\n".join(text for report in outcome.reports for text in _texts(report))
    log = "\n".join(outcome.log).encode()
    faults = []
    for secret in [*outcome.facts.get("people", []), *outcome.facts.get("secrets", [])]:
        for where, text in (("sent over MQTT", sent), ("written to the log", log)):
            if secret.encode().lower() in text.lower():
                faults.append(f"{secret!r} was {where}")
    return faults
