"""Finding and Evidence: what a rule says, and the bytes that prove it."""

from __future__ import annotations

SEVERITIES = ("info", "warning", "error")
HARMS = ("none", "latent", "observed", "certain")
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


class Finding:
    """One diagnosis of one thing that happened.

    rule: id such as "ALG001"; slug; severity; where; harm: words of the tuples above.
    call_id: Call-ID text, "" when it is not about one call. side: as in Evidence.
    at: seconds since 1970. summary: one plain sentence. evidence: never empty.
    key: what makes it the same finding when it is said again with more knowledge (a prediction
         that came true replaces itself). fingerprint: whose ALG it looks like, ALG rules only.
    """

    __slots__ = ("at", "call_id", "evidence", "fingerprint", "harm", "key", "rule", "severity",
                 "side", "slug", "summary", "where")  # fmt: skip

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
        fingerprint: str = "",
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
