"""Rule: what a diagnosis declares about itself, and how it says what it saw."""

from __future__ import annotations

from algwatch.base.packet import SIDE_NAMES
from algwatch.base.sighting import Sighting
from algwatch.diagnose.finding import Evidence, Finding

CROSSING = "crossing"  # check(crossing, context) for each crossing with both copies
CALL = "call"  # check(call, context) when a call has to be judged
CAPTURE = "capture"  # check(context) now and then, and at the end


class Rule:
    """id and slug are public API. severity: of its findings when nothing was hurt.
    scope: which check() it has. two_sided: silent without both copies. rfc: sections."""

    __slots__ = ("id", "rfc", "scope", "severity", "slug", "summary", "two_sided")

    def __init__(self, id: str, slug: str, severity: str, scope: str, rfc: tuple[str, ...],
                 summary: str, two_sided: bool = False) -> None:  # fmt: skip
        self.id = id
        self.slug = slug
        self.severity = severity
        self.scope = scope
        self.rfc = rfc
        self.summary = summary
        self.two_sided = two_sided

    def finding(self, where: str, harm: str, call_id: str, summary: str, evidence: list[Evidence],
                key: str, fingerprint: str = "") -> Finding:  # fmt: skip
        """No evidence, no finding: raises ValueError without any (a fault of the rule)."""
        if not evidence:
            raise ValueError(f"{self.id}: a finding without evidence")
        severity = {"observed": "error", "certain": "error", "latent": "warning"}.get(
            harm, self.severity
        )
        if self.scope == CAPTURE:
            severity = self.severity
        first = evidence[0]
        return Finding(self.id, self.slug, severity, where, harm, call_id, first.side, first.at,
                       summary, evidence, f"{self.id}/{key}", fingerprint=fingerprint,
                       cause="capture" if self.scope == CAPTURE else "",
                       symptom=self.id in ("DLG001", "TXN001"))  # fmt: skip


def evidence(copy: Sighting, observed: str, expected: str = "") -> Evidence:
    return Evidence(SIDE_NAMES[copy.side], copy.at, observed, expected, copy.payload)
