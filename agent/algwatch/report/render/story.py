# SPDX-License-Identifier: Apache-2.0
"""The sentence under the ladder of a call."""

from __future__ import annotations

from algwatch.compare.summary import CallSummary
from algwatch.report.render import status
from algwatch.report.render.ladder import DELIVERED, MISSING, STOPPED, CallLadder
from algwatch.report.render.sentences import Brief

# Worst first: past, future, possible harm.
HARMS = ("observed", "certain", "latent", "none")
PLACES = {"phone": "the phone", "router": "this router", "provider": "the provider",
          "network": "the network beyond this router"}  # fmt: skip
ROUTER = ("router", "unknown")  # places of a change by the router that may do harm

OUTCOMES = {
    "completed": "The call completed",
    "dropped": "The call was answered and then dropped",
    "cancelled": "The call was cancelled before anybody answered",
    "unanswered": "Nobody ever answered the INVITE",
    "ongoing": "The call goes on at the end of the capture",
    "unknown": "The outcome of the call cannot be told from this capture",
}
DROPPED = {
    DELIVERED: ", although its ACK was seen to pass",
    STOPPED: ", because its ACK got lost",
    MISSING: ", because no ACK came",
}
UNSOLICITED = ("It was unsolicited: no phone here had sent its sender anything before, and nothing "
               "of it crossed the router.")  # fmt: skip


def call_story(summary: CallSummary | None, found: list[Brief], ladder: CallLadder,
               two_sided: bool) -> tuple[str, str]:  # fmt: skip
    """The sentence under a ladder, and its style. found: findings about the call, worst first. It
    adds nothing to the ladder's facts."""
    inside = any(step.lan is not None for step in ladder.steps)
    hurts = bool(found) and found[0].hurts  # then it is the router's own call that died
    if summary is not None and summary.unsolicited and not inside and not hurts:
        return UNSOLICITED, "dim"
    outcome = summary.outcome if summary is not None else "unknown"
    text = _ended(outcome, summary, ladder)
    harm = found[0].harm if found else "none"
    by_router = any(f.harm == "latent" and f.where in ROUTER for f in found)
    if hurts:
        return f"{text}{_blame(outcome, [f for f in found if f.hurts])}.", "bold red"
    dead = outcome in ("dropped", "unanswered") or (
        outcome == "rejected"
        and summary is not None
        and status.is_fault(summary.status, summary.rang)
    )
    text += _changes(ladder, two_sided, harm, by_router, dead or outcome == "unknown")
    if dead:
        return text + ".", "bold red"
    good = outcome == "completed" and harm == "none"
    return text + ".", "bold green" if good else "bold yellow" if harm == "latent" else "bold"


def _ended(outcome: str, summary: CallSummary | None, ladder: CallLadder) -> str:
    if outcome == "rejected" and summary is not None:
        return f"The call was {status.refused(summary.status)}"
    if outcome == "dropped":
        return OUTCOMES[outcome] + DROPPED.get(ladder.ack, "")
    return OUTCOMES.get(outcome, f"The call ended as {outcome}")


def _blame(outcome: str, hurting: list[Brief]) -> str:
    """The place of the cause. A symptom gives the place of the trouble and no cause."""
    causes = [f for f in hurting if not f.symptom] or hurting[:1]
    first = next((f for f in causes if f.where in PLACES), causes[0])
    place = PLACES.get(first.where)
    but = " and yet was hurt" if outcome == "completed" else ""
    name = f"({first.rule} {first.slug})"
    if not place:
        return f"{but}; where cannot be told from this {name}"
    if first.symptom:
        return f"{but}; the trouble lies with {place}, and its cause is not known {name}"
    return f"{but}; the cause lies with {place} {name}"


def _changes(ladder: CallLadder, two_sided: bool, harm: str, by_router: bool,
             unclear: bool) -> str:  # fmt: skip
    """The changes by the router. harm: the worst of the findings; by_router: one of these changes
    may do harm. unclear: nothing proves them harmless."""
    if not two_sided:
        return "; it was seen on one side only, so what the router changed is not known"
    if not ladder.paired:
        return "; no message of it was seen on both sides, so what the router changed is not known"
    whole = ladder.paired == ladder.messages
    below = "; what may do harm stands below" if harm == "latent" else ""
    if not ladder.rewritten:
        what = "" if whole else " of what was seen on both sides"
        return f", and the router changed nothing{what}{below}"
    whose = "its" if whole else "the"
    where = "" if whole else " that were seen on both sides"
    text = f", and the router changed {ladder.rewritten} of {whose} {ladder.paired} messages{where}"
    if by_router:
        return text + ": that may do harm"
    return text + below if unclear else text + ", which did no harm" + below
