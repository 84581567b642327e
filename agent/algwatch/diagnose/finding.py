# SPDX-License-Identifier: Apache-2.0
"""Finding and Evidence: what a rule says, and the bytes that prove it."""

from __future__ import annotations

from algwatch.base.report import Report

SEVERITIES = ("info", "warning", "error")
HARMS = ("none", "latent", "observed", "certain")
HURTS = ("observed", "certain")
PLACES = ("phone", "router", "provider", "network", "unknown")


class Evidence:
    """One look at the wire: side ("lan", "wan", "unknown"), at (seconds since 1970), what was
    observed, what was expected (text), and the verbatim bytes of the message, b"" of what was
    counted and not seen."""

    __slots__ = ("at", "expected", "observed", "payload", "side")

    def __init__(self, side: str, at: float, observed: str, expected: str, payload: bytes) -> None:
        self.side = side
        self.at = at
        self.observed = observed
        self.expected = expected
        self.payload = payload


class Finding(Report):
    """One diagnosis of one thing that happened.

    rule: id such as "ALG001"; slug; severity; where; harm: words of the tuples above.
    cause: a word of diagnose/cause.py. certain: the protocol alone proves the cause, so one case
    is enough. symptom: it says that something broke and not why; the finding beside it does.
    line: the phone and the provider that it is about, as `Line.name`, "" of none.
    call_id: Call-ID text, "" when it is not about one call. side: as in Evidence.
    at: seconds since 1970. summary: one plain sentence. evidence: never empty.
    key: what makes it the same finding when it is said again with more knowledge (a prediction
         that came true replaces itself). fingerprint: whose ALG it looks like, ALG rules only.
    predicts: it tells what will happen, so the next word on it is news, whatever it is.
    takes_back: it stands for one that later calls of its line have shown to be wrong.
    next_step: what to do so that more can be told, one sentence, "" where the advice says it.
    """

    __slots__ = ("at", "call_id", "cause", "certain", "evidence", "fingerprint", "harm", "key",
                 "line", "next_step", "predicts", "rule", "severity", "side", "slug", "summary",
                 "symptom", "takes_back", "where")  # fmt: skip
    kind = "finding"

    def __init__(
        self,
        rule: str,
        slug: str,
        severity: str,
        where: str,
        harm: str,
        call_id: str,
        side: str,
        at: float,
        summary: str,
        evidence: list[Evidence],
        key: str,
        *,
        fingerprint: str = "",
        cause: str = "",
        certain: bool = False,
        symptom: bool = False,
        line: str = "",
        next_step: str = "",
        predicts: bool = False,
    ) -> None:
        self.rule = rule
        self.slug = slug
        self.severity = severity
        self.where = where
        self.harm = harm
        self.call_id = call_id
        self.side = side
        self.at = at
        self.summary = summary
        self.evidence = evidence
        self.key = key
        self.fingerprint = fingerprint
        self.cause = cause
        self.certain = certain
        self.symptom = symptom
        self.line = line
        self.next_step = next_step
        self.predicts = predicts
        self.takes_back = False

    @property
    def hurts(self) -> bool:
        return self.harm in HURTS

    def shift(self, seconds: float) -> None:
        self.at += seconds
        for look in self.evidence:
            look.at += seconds
