# SPDX-License-Identifier: Apache-2.0
"""The advice to turn off the SIP ALG for a line: harm, cause, and the likely result of a trial.

A false "disable the ALG" breaks a working phone, the worst fault of this program. So it is
recommended only if harm was observed or is certain from the bytes, the ALG is its cause, and the
same call would work without it (compare/counterfactual.py).
"""

from __future__ import annotations

from algwatch.advise.actions import DISABLE
from algwatch.advise.advice import Advice
from algwatch.advise.commands import lines_for
from algwatch.base.digest import digest
from algwatch.base.plain import real, row, rows, whole
from algwatch.base.table import Table
from algwatch.compare import line as words
from algwatch.compare.counterfactual import NO, YES, Counterfactual
from algwatch.compare.crossing import STREAM
from algwatch.compare.fact import TOLD, Fact
from algwatch.compare.line import Line
from algwatch.diagnose.finding import Finding
from algwatch.sip.timers import SECOND

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

APART = 60.0  # seconds between two harmful calls that count as independent
LIMIT = 256
KEPT = 16  # calls of a line, kept for the next process
MOST_BEYOND = 4  # sentences about lines with other providers
LONG_EXPIRES = STREAM // SECOND  # longer than a UDP mapping lives on OpenWrt without helper
TRY_IT = (
    "it is not known whether the same call works without the ALG: try it with this phone, one call "
    "in each direction"
)

UNKNOWN_CALLER = (
    "the phone was not seen to register with {line.remote} or to call it, so these calls may be "
    "those of anyone"
)

Reason = tuple[str, str]  # a word for the observation, and the sentence


class Harmed:
    """The calls hurt by the ALG, by line. limit: lines."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._calls: Table[str, dict[int, float]] = Table(limit)  # by the digest of its Call-ID

    def add(self, finding: Finding) -> None:
        """Note a call hurt by the ALG."""
        calls = self._calls.get(finding.line)
        if calls is None:
            calls = {}
            self._calls.add(finding.line, calls)
        if len(calls) < LIMIT:
            calls.setdefault(digest(finding.call_id), finding.at)

    def proved(self, finding: Finding) -> bool:
        """True if the harm of a finding's line is proved: by the protocol, or by two independent
        calls."""
        times = (self._calls.get(finding.line) or {}).values()
        return finding.certain or max(times, default=0.0) - min(times, default=0.0) >= APART

    def to_plain(self, line: str) -> list[Any]:
        """The first and the latest calls of a line. A call still going on must not count twice."""
        calls = list((self._calls.get(line) or {}).items())
        return [[call, at] for call, at in calls[:1] + calls[1:][1 - KEPT :]]

    def recall(self, line: str, calls: dict[int, float]) -> None:
        if calls:
            self._calls.add(line, calls)


def calls_from_plain(value: object, shift: float) -> dict[int, float]:
    """Inverse of Harmed.to_plain. shift: seconds, added to its times. Unfit."""
    some = [row(one, 2) for one in rows(value, KEPT)]
    return {whole(call): real(at) + shift for call, at in some}


def disable(findings: list[Finding], line: Line, without: Counterfactual, proved: bool,
            elsewhere: list[Reason], beyond: list[Line]) -> Advice:  # fmt: skip
    """The advice after the ALG has hurt calls of this line. findings: one a rule, the best first.
    elsewhere: other lines of this router that need the ALG. beyond: lines with other providers."""
    for_ = [*((f.rule, f.summary) for f in findings), *speaks_for(line, without)]
    against = [*elsewhere, *speaks_against(line, without), *_told_beyond(beyond)]
    if without.answer == NO:
        state, confidence = "none", 0.0
    elif without.answer == YES and proved and line.is_own and not elsewhere:
        state, confidence = "recommended", 0.9 if findings[0].certain else 0.8
    else:
        state, confidence = "suspected", 0.5
        if not line.is_own:
            against.insert(0, ("unknown-caller", UNKNOWN_CALLER.format(line=line)))
        if without.answer != YES:
            against.append(("trial", TRY_IT))
    commands, short = lines_for(DISABLE, state, line.phone)
    return Advice(
        DISABLE, state, confidence, sentences(for_), sentences(against), commands, line.name,
        kinds=frozenset(kind for kind, _ in (*for_, *against)), short=short,
    )  # fmt: skip


def sentences(reasons: list[Reason]) -> list[str]:
    return [sentence for _, sentence in reasons]


def _calls(number: int) -> str:
    return "1 call" if number == 1 else f"{number} calls"


def _whose(other: Line, line: Line) -> str:
    return "this phone" if other is line else f"{other.phone} with the same provider"


def _kind(word: str, other: Line, line: Line) -> str:
    """Reasons shown by this phone and by the phones beside it are two kinds."""
    return word if other is line else f"{word}-beside"


def _by_the_fleet(told: Fact) -> str:
    return (
        f"the operator has seen that {told.provider} finds phones with a private Contact: "
        f"{_calls(told.calls)} completed on {told.routers} of its routers without an ALG, until "
        f"{told.day}"
    )


def speaks_for(line: Line, without: Counterfactual) -> list[Reason]:
    """Evidence that the line works without the ALG."""
    said: list[Reason] = []
    for other, word in without.for_:
        count = other.count(word)
        if word == TOLD and line.told is not None:
            what = _by_the_fleet(line.told)
        elif word == words.WORKS_UNTOUCHED:
            what = (
                f"{_calls(count)} to {_whose(other, line)} completed with a private Contact and "
                "nothing rewritten"
            )
        else:
            what = (
                f"the provider sent in-dialog requests for {_whose(other, line)} to where its "
                f"packets come from, not to its private Contact ({count} seen)"
            )
        said.append((_kind(word, other, line), what))
    if line.count(words.RPORT_ASKED) and line.count(words.RPORT_ANSWERED):
        what = (
            "the phone asks for rport and the provider answers with it (RFC 3581): responses find "
            "the phone"
        )
        said.append((words.RPORT_ANSWERED, what))
    if line.silence > LONG_EXPIRES * SECOND:
        pass  # no packet keeps the mapping open
    elif line.count(words.KEEPALIVE):
        what = "the phone or the provider keeps the mapping open with keep-alives"
        said.append((words.KEEPALIVE, what))
    elif 0 < line.expires <= LONG_EXPIRES:
        what = f"the registration is refreshed every {line.expires} s or sooner"
        said.append(("refreshed", what))
    return said


def _told_beyond(lines: list[Line]) -> list[Reason]:
    """Evidence of lines with other providers: the ALG is turned off for them, too."""
    said: list[Reason] = []
    for other in lines:
        if count := other.count(words.DROPS_UNTOUCHED):
            what = f"{_calls(count)} of {other.name} dropped with nothing rewritten"
            said.append((f"{words.DROPS_UNTOUCHED}-beyond", what))
        if count := other.count(words.FOLLOWS_PHONE):
            what = (
                f"the provider of {other.name} sent responses to what its Via says, not to where "
                f"its packets come from ({count} seen)"
            )
            said.append((f"{words.FOLLOWS_PHONE}-beyond", what))
    return said[:MOST_BEYOND]


def speaks_against(line: Line, without: Counterfactual) -> list[Reason]:
    """Evidence of breakage after turning the ALG off, as speaks_for."""
    said: list[Reason] = []
    slow = line.silence > LONG_EXPIRES * SECOND
    if slow:
        what = (
            "before the ALG is turned off, set a keep-alive of 30 s on the phone: nothing used its "
            f"mapping for {line.silence // SECOND} s, which lives 3600 s with the helper and 180 s "
            "without"
        )
        said.append(("silent", what))
    for other, word in without.against:
        count = other.count(word)
        if word == words.DROPS_UNTOUCHED:
            what = f"{_calls(count)} to {_whose(other, line)} dropped with nothing rewritten"
        else:
            what = (
                f"the provider sent responses for {_whose(other, line)} to what its Via says, not "
                f"to where its packets come from ({count} seen)"
            )
        said.append((_kind(word, other, line), what))
    if line.count(words.RPORT_MISSING):
        said.append((words.RPORT_MISSING, "the phone sends requests without rport"))
    if line.private_contact and not without.for_:
        what = (
            "without the ALG the provider sees a private Contact, and it was not yet seen to "
            "handle one"
        )
        said.append((words.PRIVATE_CONTACT, what))
    if (
        not slow
        and not line.count(words.KEEPALIVE)
        and (line.expires == 0 or line.expires > LONG_EXPIRES)
    ):
        what = (
            "no keep-alive was seen: the mapping lives 3600 s with the helper and 180 s without, "
            "so incoming calls may stop ringing (set one of 30 s on the phone first)"
        )
        said.append(("no-keep-alive", what))
    return said
