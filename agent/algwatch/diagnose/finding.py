# SPDX-License-Identifier: Apache-2.0
"""Finding and Evidence: a rule's result, and the bytes that prove it."""

from __future__ import annotations

from algwatch.base.report import Report

SEVERITIES = ("info", "warning", "error")
HARMS = ("none", "latent", "observed", "certain")
HURTS = ("observed", "certain")
PLACES = ("phone", "router", "provider", "network", "unknown")


class Evidence:
    """One look at the wire: side ("lan", "wan", "unknown"), at (seconds since 1970), observed and
    expected (text), and the verbatim bytes of the message, b"" for counted packets."""

    __slots__ = ("at", "expected", "observed", "payload", "side")

    def __init__(self, side: str, at: float, observed: str, expected: str, payload: bytes) -> None:
        self.side = side
        self.at = at
        self.observed = observed
        self.expected = expected
        self.payload = payload


class Finding(Report):
    """One diagnosis of one event.

    rule: id such as "ALG001"; slug; severity; where; harm: words of the tuples above.
    cause: a word of diagnose/cause.py. certain: the protocol alone proves the cause, so one case is
    enough. symptom: it says that something broke and not why; the finding beside it does.
    line: the phone and the provider it is about, as `Line.name`, or "".
    call_id: Call-ID text, "" if not about one call. side: as in Evidence.
    at: seconds since 1970. summary: one plain sentence. evidence: never empty.
    key: the identity of the finding when it is reported again with more knowledge (a prediction
    that
         came true replaces itself). fingerprint: the likely kind of ALG, ALG rules only.
    predicts: it is a prediction, so any next word on it is news.
    takes_back: it replaces a finding refuted by later calls of its line.
    next_step: how to find out more, one sentence, "" if the advice says it.
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
