# SPDX-License-Identifier: Apache-2.0
"""Rule: a diagnosis' declaration of itself, and the maker of its findings."""

from __future__ import annotations

from algwatch.base.packet import SIDE_NAMES
from algwatch.base.sighting import Sighting
from algwatch.diagnose import cause as causes
from algwatch.diagnose.finding import Evidence, Finding
from algwatch.diagnose.subject import CAPTURE

_SEVERITY = {"observed": "error", "certain": "error", "latent": "warning"}


class Rule:
    """id and slug are public API. severity: of its findings without harm. subject, subjects: words
    of diagnose/subject.py, as text and one by one; several if one fault shows in things of several
    kinds. two_sided: silent without both copies. symptom: it says that something broke and not why.
    rfc: sections. when: signs of a call (compare/signs.py), at least one of them needed for a
    finding; 0: it reads every call shown."""

    __slots__ = ("id", "rfc", "severity", "slug", "subject", "subjects", "summary", "symptom",
                 "two_sided", "when")  # fmt: skip

    def __init__(self, id: str, slug: str, severity: str, subject: str | tuple[str, ...],
                 rfc: tuple[str, ...], summary: str, two_sided: bool = False,
                 symptom: bool = False, when: int = 0) -> None:  # fmt: skip
        self.id = id
        self.slug = slug
        self.severity = severity
        self.subjects = (subject,) if isinstance(subject, str) else subject
        self.subject = ", ".join(self.subjects)
        self.rfc = rfc
        self.summary = summary
        self.two_sided = two_sided
        self.symptom = symptom
        self.when = when

    def finding(self, where: str, harm: str, summary: str, evidence: list[Evidence], key: str, *,
                cause: str = "", call_id: str = "", certain: bool = False, fingerprint: str = "",
                line: str = "", next_step: str = "", severity: str = "", predicts: bool = False,
                symptom: bool | None = None) -> Finding:  # fmt: skip
        """key: the identity of the finding, within this rule. severity, symptom: if not the rule's
        own (or, severity, by the harm). Raises ValueError without evidence, or for an unlisted
        cause (faults of the rule)."""
        if not evidence:
            raise ValueError(f"{self.id}: a finding without evidence")
        if cause not in causes.CAUSES:
            raise ValueError(f"{self.id}: {cause!r} is no cause")
        capture = self.subject == CAPTURE
        usual = self.severity if capture else _SEVERITY.get(harm, self.severity)
        severity = severity or usual
        first = evidence[0]
        return Finding(
            self.id, self.slug, severity,
            where, harm, call_id, first.side, first.at, summary, evidence, f"{self.id}/{key}",
            cause=causes.CAPTURE if capture else cause, certain=certain,
            symptom=self.symptom if symptom is None else symptom, fingerprint=fingerprint,
            line=line, next_step=next_step, predicts=predicts,
        )  # fmt: skip


def evidence(copy: Sighting, observed: str, expected: str = "") -> Evidence:
    return Evidence(SIDE_NAMES[copy.side], copy.at, observed, expected, copy.payload,
                    copy.packed_ends)  # fmt: skip


def times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
