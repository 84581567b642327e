"""Sentences about one call, one registration or one finding, for people."""

from __future__ import annotations

from algwatch.compare.summary import CallSummary, RegistrationSummary
from algwatch.diagnose.finding import HURTS, Finding
from algwatch.report.render import status
from algwatch.report.render.ladder import DELIVERED, MISSING, STOPPED, CallLadder

LONGEST = 400  # characters of a rule's sentence that are kept
NAME = 80  # characters of a name from the wire

# Worst first: what hurt, what will, what may.
HARMS = ("observed", "certain", "latent", "none")
PLACES = {"phone": "the phone", "router": "this router", "provider": "the provider",
          "network": "the network beyond this router"}  # fmt: skip

OUTCOMES = {
    "completed": "The call completed",
    "dropped": "The call was answered and then dropped",
    "cancelled": "The call was cancelled before anybody answered",
    "unanswered": "Nobody ever answered the INVITE",
    "ongoing": "The call goes on at the end of what was captured",
    "unknown": "What became of the call cannot be told from what was captured",
}
DROPPED = {
    DELIVERED: ", although its ACK was seen to pass",
    STOPPED: ", because its ACK got lost",
    MISSING: ", because no ACK came",
}
UNSOLICITED = ("It was unsolicited: no phone here has sent its sender anything, and nothing of it "
               "crossed the router.")  # fmt: skip
ENDS = {"accepted": "was accepted", "refused": "was refused", "unanswered": "was never answered",
        "challenged": "was asked for credentials, and nothing came of it",
        "unknown": "was not seen to end"}  # fmt: skip


class Brief:
    """A finding without its evidence: as much of it as people are told, its sentence bounded."""

    __slots__ = ("call_id", "cause", "harm", "line", "next_step", "rule", "severity", "slug",
                 "summary", "symptom", "where")  # fmt: skip

    def __init__(self, finding: Finding) -> None:
        self.rule = finding.rule
        self.slug = finding.slug
        self.severity = finding.severity
        self.where = finding.where
        self.harm = finding.harm
        self.call_id = finding.call_id
        self.line = finding.line
        self.cause = finding.cause
        self.symptom = finding.symptom
        self.summary = cut(finding.summary, LONGEST)
        self.next_step = cut(finding.next_step, LONGEST)

    @property
    def hurts(self) -> bool:
        return self.harm in HURTS


def cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."


def quoted(text: str) -> str:
    """Text from the wire inside a sentence of ours."""
    return f'"{cut(text, NAME)}"'


def several(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("s" if number != 1 else "")


def listed(parts: list[str]) -> str:
    """a; a and b; a, b and c."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def named_call(call: CallSummary) -> str:
    """A sentence about a call without a ladder above it, with who called whom."""
    who = f"The call from {quoted(call.from_)} to {quoted(call.to)}"
    if call.outcome == "rejected":
        return f"{who} was refused with {status.in_words(call.status)}."
    if call.outcome == "unanswered":
        return f"{who} was never answered."
    if call.outcome == "dropped":
        return f"{who} was answered and then dropped."
    if call.outcome == "ongoing":
        return f"{who} was not decided when the capture ended."
    return f"It cannot be told from what was captured how {_lower(who)} ended."


def named_registration(registration: RegistrationSummary) -> str:
    ended = ENDS.get(registration.outcome, registration.outcome)
    if registration.status and registration.outcome != "accepted":
        ended = ended.replace("refused", f"refused with {status.in_words(registration.status)}")
        ended = ended.replace("credentials", f"credentials ({registration.status})")
    return f"The registration of {quoted(registration.aor)} {ended}."


def call_story(summary: CallSummary | None, found: list[Brief], ladder: CallLadder,
               two_sided: bool) -> tuple[str, str]:  # fmt: skip
    """The sentence under a ladder, and its style. found: findings about the call, worst first.
    It says nothing that the ladder does not show."""
    inside = any(step.lan is not None for step in ladder.steps)
    if summary is not None and summary.unsolicited and not inside:
        return UNSOLICITED, "dim"
    outcome = summary.outcome if summary is not None else "unknown"
    text = _ended(outcome, summary, ladder)
    harm = found[0].harm if found else "none"
    if found and found[0].hurts:
        return f"{text}{_blame(outcome, [f for f in found if f.hurts])}.", "bold red"
    dead = outcome in ("dropped", "unanswered") or (
        outcome == "rejected" and summary is not None and status.is_fault(summary.status)
    )
    text += _changes(ladder, two_sided, harm, dead or outcome == "unknown")
    if dead:
        return text + ".", "bold red"
    good = outcome == "completed" and harm == "none"
    return text + ".", "bold green" if good else "bold yellow" if harm == "latent" else "bold"


def _ended(outcome: str, summary: CallSummary | None, ladder: CallLadder) -> str:
    if outcome == "rejected" and summary is not None:
        return f"The call was refused with {status.in_words(summary.status)}"
    if outcome == "dropped":
        return OUTCOMES[outcome] + DROPPED.get(ladder.ack, "")
    return OUTCOMES.get(outcome, f"The call ended as {outcome}")


def _blame(outcome: str, hurting: list[Brief]) -> str:
    """Where the cause lies. A symptom says that something broke, and no more than where."""
    first = next((f for f in hurting if not f.symptom), hurting[0])
    place = PLACES.get(first.where)
    but = " and yet was hurt" if outcome == "completed" else ""
    name = f"({first.rule} {first.slug})"
    if not place:
        return f"{but}; where cannot be told from this {name}"
    if first.symptom:
        return f"{but}; the trouble lies with {place}, and its cause is not known {name}"
    return f"{but}; the cause lies with {place} {name}"


def _changes(ladder: CallLadder, two_sided: bool, harm: str, unclear: bool) -> str:
    """What the router did to the call. unclear: nothing shows that it did no harm."""
    if not two_sided:
        return "; only one side was captured, so what the router changed is not known"
    if not ladder.paired:
        return "; no message of it was seen on both sides, so what the router changed is not known"
    whole = ladder.paired == ladder.messages
    if not ladder.rewritten:
        below = "; what may do harm stands below" if harm == "latent" else ""
        what = "" if whole else " of what was seen on both sides"
        return f", and the router changed nothing{what}{below}"
    whose = "its" if whole else "the"
    where = "" if whole else " that were seen on both sides"
    text = f", and the router changed {ladder.rewritten} of {whose} {ladder.paired} messages{where}"
    if harm == "latent":
        return text + ": that may do harm"
    return text if unclear else text + ", which did no harm"


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
