# SPDX-License-Identifier: Apache-2.0
"""Verdict: the result of a whole capture in one of three words, with the reasons and the next step.

A capture with a dead call never gets an all-clear, and an empty one gets neither an all-clear nor
an alarm.
"""

from __future__ import annotations

from collections import Counter

from algwatch.advise.actions import DISABLE, KEEP, in_words
from algwatch.advise.advice import Advice, InForce
from algwatch.base.quote import somebody
from algwatch.base.report import Report, by_kind
from algwatch.base.table import Table
from algwatch.compare.summary import CallSummary, RegistrationSummary
from algwatch.diagnose import cause
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.recapture import HOW
from algwatch.report.render import status
from algwatch.report.render.grades import (
    DEAD,
    DECLINED,
    GOES_ON,
    KEPT,
    NOTHING,
    OPEN,
    REDIRECTED,
    WELL,
    Reason,
    Strangers,
    Tally,
    graded,
)
from algwatch.report.render.nothing_read import nothing_read
from algwatch.report.render.sentences import (
    Brief,
    listed,
    named_call,
    named_registration,
    several,
)
from algwatch.sip.reason import names_timeout

FINE, HURTS, CANNOT_TELL = "fine", "hurts", "cannot-tell"
EXIT = {FINE: 0, HURTS: 1, CANNOT_TELL: 3}

WHY = 6  # sentences
ADVICE = 64

TIMED_OUT = ("Ask whoever ended the call for its timers, and look whether media and session "
             "refreshes (RFC 4028) pass the router both ways.")  # fmt: skip
UNHEARD = ("Ask its users whether they heard each other: if not, ask the provider where it "
           "sends its ACKs; if so, look for a way past this router.")  # fmt: skip
FAILED = "Ask whoever ended the call what the reason of its BYE stands for there."
WAIT = "Capture from before the call until 32 s after its last message."
BOTH = f"Capture both sides at the same time, on the router itself: {HOW}."
AGAIN = f"Call again, and capture both sides of it on the router itself: {HOW}."
UNTIL = f"Capture both sides on the router itself until the phone registers again: {HOW}."
CROSSES = "Look at the arrows that end in a cross, or capture both sides once more."
FOLLOW = ("Look whether the phone follows redirections (3xx), or ask the provider why it sends the "
          "phone elsewhere.")  # fmt: skip
ASKED_HERE = ("The phone asked the caller for credentials: if the call came from the provider, let "
              "the phone or PBX accept calls from that address without.")  # fmt: skip
STRANGER = ("No phone here had sent anything to the caller, so it may be a scanner. If it is the "
            "provider, let the phone or PBX accept calls from that address.")  # fmt: skip
REFUSED = "Ask whoever refused it what the status code stands for there"
LOOK = {
    "phone": "Look at the settings and the log of the phone",
    "router": "Look at the firewall rules, NAT entries and SIP helper of the router (nft list "
              "ruleset, conntrack -L)",
    "provider": "Ask the provider what it has seen of this",
    "network": "Ask the provider what it has seen of this, because it lies beyond this router",
}  # fmt: skip
"""By place of a finding that names no step, where to look first."""

NO_PAIR = ("Both sides have SIP, and no message was found on both: captures of two routers or of "
           "two times, clocks that differ, sides exchanged, or a PBX, SBC or proxy (siproxd) on "
           "the router, whose calls have Call-IDs of their own.")  # fmt: skip
NO_CALL = "No call and no registration of a phone here was seen: nothing shows whether they work."
OWN_CALLS = ("No message is on two sides: a PBX, SBC or proxy on the router has calls of its own "
             "in the LAN and outside, so there are no two copies to compare.")  # fmt: skip
ONE_SIDE = "Only one side of the router was captured, so what the router changed is not known."
# On the router's SIP ALG, if it is not the next step.
ALG_TOO = 'turn it off as well: see "What to do".'
ALG_KEEP = "keep it on: a phone here needs it."
ALG_MAY_KEEP = ("leave it on for now: a phone here needs it, and it may have a part in what "
                "failed.")  # fmt: skip
ALG_UNSURE = ("leave it as it is for now: the fault is in the router, and it is not proved that "
              "turning the ALG off mends it.")  # fmt: skip
ALG_UNSEEN = ("leave it as it is: no message was seen on both sides of the router, so nothing "
              "shows whether it does harm.")  # fmt: skip
ALG_LEAVE = "leave it as it is: nothing here shows that it did harm."


class Verdict:
    """Fed with every report, then settled with the counts of the capture. After that:

    state: FINE, HURTS or CANNOT_TELL. why: at most WHY sentences, the most important first. next:
    one sentence, "" if nothing is to be done. status: the exit status of `analyze`. doubtful:
    nothing hurts, and something may. alg: a sentence on the router's SIP ALG, "" if next says it,
    or without need.
    """

    def __init__(self) -> None:
        self.state = CANNOT_TELL
        self.why: list[str] = []
        self.next = self.alg = ""
        self.doubtful = False
        self.calls = Tally()
        self.registrations = Tally()
        self._strangers = Strangers()
        self._advice = InForce(ADVICE)
        self._by_kind = by_kind(self)
        self._findings: dict[str, Table[str, Brief]] = {
            HURTS: Table(KEPT), "latent": Table(KEPT), "capture": Table(KEPT),
            "aside": Table(KEPT),
        }  # fmt: skip

    @property
    def status(self) -> int:
        return EXIT[self.state]

    def feed(self, report: Report) -> None:
        self._by_kind[report.kind](report)

    def _on_advice(self, advice: Advice) -> None:
        self._advice.feed(advice)

    def _on_finding(self, finding: Finding) -> None:
        """The latest finding under a key counts."""
        for table in self._findings.values():
            table.pop(finding.key, None)
        if finding.hurts:
            kind = HURTS
        elif finding.harm == "latent":
            kind = "latent"
        elif finding.cause == cause.CAPTURE:
            kind = "capture" if finding.severity == "warning" else "aside"
        else:
            return
        self._findings[kind].add(finding.key, Brief(finding))

    def _on_call(self, call: CallSummary) -> None:
        grade = graded(call)
        if call.unsolicited:
            self._strangers.add(call, grade)
            return
        self._strangers.meet(call.line)
        told = grade in (DEAD, OPEN)  # most calls end well: a sentence about each would be wasted
        reason = (named_call(call), _after_call(call)) if told else NOTHING
        self.calls.add(call.call_id, grade, call.call_id, reason, call.outcome != "unknown")

    def _on_registration(self, registration: RegistrationSummary) -> None:
        """The latest report on an address of record counts, from any registrar."""
        if registration.unsolicited:
            return
        self._strangers.meet(registration.line)
        outcome = registration.outcome
        grade = {"accepted": WELL, "unknown": OPEN}.get(outcome, DEAD)
        reason = NOTHING
        if grade != WELL:
            reason = named_registration(registration), _after_registration(registration)
        self.registrations.add(
            registration.aor, grade, registration.call_id, reason, outcome != "unknown"
        )

    def settle(self, counts: dict[str, dict[str, int]]) -> None:
        """No more reports. counts: of Pipeline.counts() or cli.source's Source.counts()."""
        one_sided = not (counts["crossings"].get("paired") or counts["capture"].get("networks"))
        latent = [
            (f"This may do harm: {f.summary}", f.next_step)
            for f in self._findings["latent"].values()
        ]
        if reasons := self._hurting(one_sided):
            self.state = HURTS
        elif (doubts := self._doubts(counts)) or self._undecided() or self._broke():
            self.state = CANNOT_TELL
            reasons = doubts + latent + self._undecided()
        else:
            self.state = FINE
            self.doubtful = bool(latent)
            reasons = latent + self._fine(counts)
        times = Counter(why for why, _ in reasons)
        why = [_repeated(text, n) for text, n in times.items()]
        if len(why) > WHY:
            why[WHY - 1 :] = [f"There are {len(why) - WHY + 1} more reasons like these."]
        self.why = why
        symptoms = [f for f in self._findings["latent"].values() if f.symptom]
        steps = [self._advised(), *(step for _, step in reasons)]
        if self.state == CANNOT_TELL:
            steps += [_look(f, one_sided) for f in symptoms[:1]]
        self.next = next((step for step in steps if step), "")
        if self.next in (BOTH, AGAIN, UNTIL):  # a fault of this capture says how
            faults = self._findings["capture"].values()
            self.next = next((f.next_step for f in faults if f.next_step), self.next)
        if self.state != FINE and counts["capture"].get("sip_messages"):
            self.alg = self._on_alg(bool(counts["crossings"].get("paired")))

    def _on_alg(self, compared: bool) -> str:
        """A sentence on the router's ALG if this is not the next step. compared: messages were seen
        on both sides."""
        given = self._advice.all()
        of_alg = [a for a in given if a.action in (DISABLE, KEEP)]
        if of_alg and of_alg[0] is self._first(given):
            return ""
        if of_alg and of_alg[0].action == DISABLE:
            return ALG_TOO
        if of_alg:
            return ALG_KEEP if of_alg[0].state == "recommended" else ALG_MAY_KEEP
        if not compared:
            return ALG_UNSEEN
        found = self._findings[HURTS].values()
        here = any(f.where == "router" or f.cause == cause.ALG for f in found)
        return ALG_UNSURE if here else ALG_LEAVE

    def _advised(self) -> str:
        """The first advice in force. Leaving the ALG on is no remedy for harm."""
        first = self._first(self._advice.all())
        if first is None:
            return ""
        trial = ""
        if first.state == "suspected":
            trial = ", as a trial" if first.action in (DISABLE, KEEP) else ", which may help"
        lines = " (the lines to type stand with the advice)" if first.commands else ""
        return f"{in_words(first)}{trial}{lines}."

    def _first(self, given: list[Advice]) -> Advice | None:
        return next((a for a in given if a.action != KEEP or self.state == FINE), None)

    def _hurting(self, one_sided: bool) -> list[Reason]:
        """Causes, then symptoms without one, then failures without a finding."""
        found = list(self._findings[HURTS].values())
        causes = [f for f in found if not f.symptom]
        explained = frozenset(f.call_id for f in causes if f.call_id)
        lines = frozenset(f.line for f in causes if not f.call_id)
        symptoms = [f for f in found if f.symptom and f.call_id not in explained
                    and not (f.line and f.line in lines)]  # fmt: skip
        # The first symptom of a call is enough.
        alone = list({f.call_id or str(id(f)): f for f in symptoms[::-1]}.values())[::-1]
        reasons = [(f.summary, f.next_step or _look(f, one_sided)) for f in causes + alone]
        told = frozenset(f.call_id for f in found)
        reasons += self.calls.reasons(DEAD, told) + self.registrations.reasons(DEAD, told)
        return reasons + self._hiding(reasons) if reasons else []

    def _hiding(self, reasons: list[Reason]) -> list[Reason]:
        """The faults of the capture, those that change no verdict only if they hide the place."""
        steps = {step for _, step in reasons if step}
        asides = [f for f in self._findings["aside"].values() if f.next_step in steps]
        faults = [*self._findings["capture"].values(), *asides]
        return [(f.summary, f.next_step) for f in faults]

    def _doubts(self, counts: dict[str, dict[str, int]]) -> list[Reason]:
        """Reasons to trust neither an all-clear nor a finding of this capture."""
        capture, crossings = counts["capture"], counts["crossings"]
        reasons = [(f.summary, f.next_step or BOTH) for f in self._findings["capture"].values()]
        told = bool(reasons)
        if short := capture.get("truncated", 0):
            why = f"{several(short, 'packet')} {_were(short)} cut off by the capture."
            reasons.append((why, f"Capture whole packets: {HOW}."))
        if not capture.get("sip_messages"):
            return [*reasons, nothing_read(capture, counts.get("unread", {}))]
        alone = crossings.get("lan_only", 0) + crossings.get("wan_only", 0)
        if capture.get("lan") and capture.get("wan") and not crossings.get("paired"):
            if not told:
                reasons.append((NO_PAIR, BOTH))
        elif alone:
            why = f"{several(alone, 'message')} {_were(alone)} seen on one side of the router only."
            reasons.append((why, CROSSES))
        elif undecided := crossings.get("undecided", 0):
            why = (f"{several(undecided, 'message')} {_were(undecided)} captured on one side when "
                   "nothing came on the other any more.")  # fmt: skip
            reasons.append((why, BOTH))
        if not reasons and not self.calls.total and not self.registrations.total:
            reasons.append((NO_CALL, "Capture while a phone registers and makes a call."))
        return reasons

    def _undecided(self) -> list[Reason]:
        opened = self.calls.reasons(OPEN) + self.registrations.reasons(OPEN)
        return opened + self._strangers.reasons()

    def _broke(self) -> bool:
        """Something failed; neither the reason nor the harm is known."""
        return any(f.symptom for f in self._findings["latent"].values())

    def _fine(self, counts: dict[str, dict[str, int]]) -> list[Reason]:
        calls, registrations = self.calls.total, self.registrations.total
        seen = [several(calls, "call")] if calls else []
        seen += [several(registrations, "registration")] if registrations else []
        one = calls + registrations == 1
        all_of = f"All {listed(seen)} that were"
        if one:
            all_of = f"The one {'call' if calls else 'registration'} that was"
        elif calls == registrations == 1:
            all_of = "The one call and the one registration that were"
        grades = self.calls.counts
        declined, elsewhere, on = grades[DECLINED], grades[REDIRECTED], grades[GOES_ON]
        text = f"{all_of} seen {'went' if on else 'ended'} well"
        if declined:
            text += f"; {'it' if one else several(declined, 'call')} found nobody to take it"
        if elsewhere:
            text += f"; {'it' if one else several(elsewhere, 'call')} {_were(elsewhere)} redirected"
        if on:
            text += f"; {'it' if one else several(on, 'call')} had not ended when the capture did"
        reasons = [(f"{text}.", "")]
        if not counts["crossings"].get("paired"):
            reasons.append((OWN_CALLS if counts["capture"].get("networks") else ONE_SIDE, ""))
        return reasons


def _repeated(text: str, number: int) -> str:
    if number == 1:
        return text
    more = " or more" if number >= KEPT else ""  # the rest is forgotten
    return f"{text.removesuffix('.')} ({number} times{more})."


def _were(number: int) -> str:
    return "was" if number == 1 else "were"


def _look(finding: Brief, one_sided: bool) -> str:
    """The next step for a finding without its own."""
    if one_sided and finding.cause == cause.UNKNOWN:
        return BOTH
    first = LOOK.get(finding.where, "")
    if finding.cause == cause.REFUSED:
        first = REFUSED
    elif finding.where == "router" and finding.cause != cause.ROUTER:
        first = ""
    read = f"read what else looks the same: algwatch explain {finding.rule}."
    text = f"{first}, and {read}" if first else read
    return text[0].upper() + text[1:]


def _after_call(call: CallSummary) -> str:
    if call.failure and call.outcome == "completed":
        return TIMED_OUT if names_timeout(call.failure) else FAILED
    if call.unacknowledged:
        return UNHEARD
    if call.outcome in ("ongoing", "unknown"):
        return WAIT
    if call.outcome != "rejected":
        return AGAIN
    if call.unfollowed:
        return FOLLOW if status.kind(call.status) == "redirected" else BOTH
    if call.stranger and status.kind(call.status) != "challenged":
        return STRANGER
    if status.kind(call.status) == "challenged":
        if call.inbound:
            return ASKED_HERE
        return "Check the user name and the password that the phone has for its provider."
    return f"Ask whoever refused the call what {status.in_words(call.status)} stands for there."


def _after_registration(registration: RegistrationSummary) -> str:
    if registration.outcome == "unknown":
        return WAIT.replace("call", "registration")
    if registration.outcome == "unanswered":
        return UNTIL
    if registration.outcome == "challenged":
        return "Check the user name and the password that the phone has for its provider."
    said = status.in_words(registration.status)
    return f"Ask the provider why it refuses {somebody(registration.aor)} with {said}."
