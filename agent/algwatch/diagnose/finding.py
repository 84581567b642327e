# SPDX-License-Identifier: Apache-2.0
"""Finding and Evidence: a rule's result, and the bytes that prove it."""

from __future__ import annotations

from algwatch.base.plain import Unfit, real, row, text, truth, word
from algwatch.base.report import Report
from algwatch.diagnose import cause

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SEVERITIES = ("info", "warning", "error")
HARMS = ("none", "latent", "observed", "certain")
HURTS = ("observed", "certain")
PLACES = ("phone", "router", "provider", "network", "unknown")
SIDES = ("lan", "wan", "unknown")
MOST_TEXT = 4096  # characters of a text that outlives the process


class Evidence:
    """One look at the wire: side ("lan", "wan", "unknown"), at (seconds since 1970), observed and
    expected (text), and the verbatim bytes of the message, b"" for counted packets. ends: addresses
    and ports of its packet (aw_ends), b"" where unknown."""

    __slots__ = ("at", "ends", "expected", "observed", "payload", "side")

    def __init__(self, side: str, at: float, observed: str, expected: str, payload: bytes,
                 ends: bytes = b"") -> None:  # fmt: skip
        self.side = side
        self.at = at
        self.observed = observed
        self.expected = expected
        self.payload = payload
        self.ends = ends


class Finding(Report):
    """One diagnosis of one event.

    rule: id such as "ALG001"; slug; severity; where; harm: words of the tuples above.
    cause: a word of diagnose/cause.py. certain: the protocol alone proves the cause, so one case is
    enough. symptom: it says that something broke and not why; the finding beside it does.
    line: the phone and the provider it is about, as `Line.name`, or "".
    call_id: Call-ID text, "" if not about one call. side: as in Evidence.
    at: seconds since 1970. summary: one plain sentence. evidence: never empty.
    key: the identity of the finding when it is reported again with more knowledge (a prediction
    that came true replaces itself). fingerprint: the likely kind of ALG, ALG rules only.
    predicts: it is a prediction, so any next word on it is news.
    takes_back: it replaces a finding refuted by later calls of its line.
    told_before: an earlier process has told it; it is news for this process alone.
    next_step: how to find out more, one sentence, "" if the advice says it.
    """

    __slots__ = ("at", "call_id", "cause", "certain", "evidence", "fingerprint", "harm", "key",
                 "line", "next_step", "predicts", "rule", "severity", "side", "slug", "summary",
                 "symptom", "takes_back", "told_before", "where")  # fmt: skip
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
        self.takes_back = self.told_before = False

    @property
    def hurts(self) -> bool:
        return self.harm in HURTS

    def shift(self, seconds: float) -> None:
        self.at += seconds
        for look in self.evidence:
            look.at += seconds

    def to_plain(self) -> list[Any]:
        """Without the messages: of the evidence the first words stay."""
        first = self.evidence[0]
        return [
            *(_shortened(getattr(self, name)) for name in _TEXTS),
            *(getattr(self, name) for name in _TRUTHS),
            float(self.at), first.side, float(first.at),
            _shortened(first.observed), _shortened(first.expected),
        ]  # fmt: skip


_WORDS = {"severity": SEVERITIES, "where": PLACES, "harm": HARMS, "side": SIDES}
_TEXTS = ("rule", "slug", "severity", "where", "harm", "call_id", "side", "summary", "key",
          "fingerprint", "cause", "line", "next_step")  # fmt: skip
_TRUTHS = ("certain", "symptom", "predicts")


def finding_from_plain(value: object) -> Finding:
    """What Finding.to_plain gave. Unfit."""
    some = row(value, len(_TEXTS) + len(_TRUTHS) + 5)
    at, side, seen, observed, expected = some[-5:]
    texts = {
        name: word(one, _WORDS[name]) if name in _WORDS else text(one, MOST_TEXT)
        for name, one in zip(_TEXTS, some, strict=False)
    }
    truths = {name: truth(one) for name, one in zip(_TRUTHS, some[len(_TEXTS) : -5], strict=True)}
    if texts["cause"] not in cause.CAUSES:
        raise Unfit("no cause")
    look = Evidence(
        word(side, SIDES), real(seen), text(observed, MOST_TEXT), text(expected, MOST_TEXT), b""
    )
    return Finding(**texts, **truths, at=real(at), evidence=[look])  # type: ignore[arg-type]


def _shortened(value: str) -> str:
    return value if len(value) <= MOST_TEXT else value[: MOST_TEXT - 1] + "\u2026"
