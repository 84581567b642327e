# SPDX-License-Identifier: Apache-2.0
"""Watch: registrations and calls of phones after the change, from both taps.

Judge is pure: reports in, a word out. The owner of taps and clock feeds it (cli/watching.py).
"""

from __future__ import annotations

from algwatch.base.report import Report
from algwatch.compare.summary import CallSummary, RegistrationSummary
from algwatch.diagnose.finding import Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

WORKS, REGISTERED, FAILED, OPEN = "works", "registered", "failed", ""
GRANTED = 3600.0  # seconds: the time a registrar may have granted, unseen
LATE = 1.5  # times the granted time, after which a phone is silent
AGAIN = 90.0  # seconds for a phone to register again after a failure
NO_FAILURE = ("completed", "cancelled", "rejected", "ongoing", "unknown")  # of calls


class Binding:
    """An accepted REGISTER. phone: its address. at: seconds, its time. granted: seconds. plain: the
    router changed nothing in it, None with one copy only."""

    __slots__ = ("at", "granted", "phone", "plain")

    def __init__(self, phone: str, at: float, granted: float, plain: bool | None) -> None:
        self.phone, self.at, self.granted, self.plain = phone, at, granted, plain


class Judge:
    """phones: registered when the helper went off, or perhaps. began: seconds, this moment; all
    times here are on one clock. longest: seconds, the end of any wait. calls: wait for a call, too.
    whole: the helper went off for other phones as well, without the helper just then: their calls
    fail nothing, and a dropped one leaves a doubt."""

    def __init__(self, phones: list[str], began: float, longest: float, calls: bool,
                 whole: bool = False) -> None:  # fmt: skip
        self.phones = phones
        self.longest = longest
        self._began, self._calls, self._whole = began, calls, whole
        self._doubt = ""
        self._granted = dict.fromkeys(phones, GRANTED)
        self._heard: dict[str, float] = {}
        self._refused: dict[str, tuple[float, str]] = {}
        self._compared: set[str] = set()  # both copies of a REGISTER were the same
        self._completed = 0
        self._failure = ""

    def feed(self, report: Report, now: float) -> None:
        phone = str(getattr(report, "line", "")).partition(" and ")[0]
        if phone not in self._granted and self._whole and isinstance(report, CallSummary):
            if not report.unsolicited and report.outcome not in NO_FAILURE:
                self._doubt = f"a call of {phone or 'a phone'}, which is not watched, was " \
                              f"{report.outcome}"  # fmt: skip
            return
        if phone not in self._granted or self._failure:
            return
        if isinstance(report, CallSummary):
            self._call(report, phone)
        elif isinstance(report, RegistrationSummary):
            if report.outcome in ("refused", "unanswered"):
                self._refused.setdefault(phone, (now, report.outcome))
        elif isinstance(report, Finding) and report.hurts:
            self._failure = f"{report.rule} {report.slug}: {report.summary}"

    def bound(self, binding: Binding) -> None:
        if binding.phone not in self._granted or binding.at < self._began:
            return
        if binding.plain is False:
            self._failure = f"the REGISTER of {binding.phone} is still rewritten"
        if binding.plain:
            self._compared.add(binding.phone)
        if binding.granted > 0:
            self._granted[binding.phone] = binding.granted
        self._heard[binding.phone] = max(binding.at, self._heard.get(binding.phone, 0.0))
        refused = self._refused.get(binding.phone)
        if refused is not None and refused[0] < binding.at:
            del self._refused[binding.phone]

    def verdict(self, now: float) -> tuple[str, str]:
        """(a word above, the reason in a sentence). OPEN: too early to tell."""
        if self._failure:
            return FAILED, self._failure
        for phone in self.phones:
            limit = LATE * self._granted[phone]
            if now - self._heard.get(phone, self._began) > limit:
                return FAILED, f"{phone} was silent for {limit:.0f} s: it should have registered"
        for phone, (at, outcome) in self._refused.items():
            if now - at > AGAIN:
                return FAILED, f"{phone} could not register for {AGAIN:.0f} s: {outcome}"
        missing = [p for p in self.phones if p not in self._heard or p in self._refused]
        unseen = [p for p in self.phones if p not in missing and p not in self._compared]
        over = now - self._began >= self.longest
        if (unseen or self._doubt) and not missing:
            if not over:
                return OPEN, ""
            if self._doubt:
                return OPEN, f"{self._said()}, but {self._doubt}: whether the change is why, is " \
                             "not known"  # fmt: skip
            return OPEN, (f"{', '.join(unseen)} registered, but only one copy of that was seen: "
                          "whether it is rewritten is not known")  # fmt: skip
        if not missing and self._completed:
            return WORKS, f"{self._said()} and {_count(self._completed, 'call')} completed"
        if not missing and (over or not self._calls):
            return (
                REGISTERED,
                f"{self._said()}; no call was seen yet, algwatch verify waits for one",
            )
        if over:
            return OPEN, f"not heard yet: {', '.join(missing)}"
        return OPEN, ""

    def _said(self) -> str:
        if not self.phones:
            return "no phone had the helper"
        return f"{', '.join(self.phones)} registered with nothing rewritten"

    def _call(self, call: CallSummary, phone: str) -> None:
        if call.unsolicited:
            return
        if call.outcome == "completed" and call.ack == "seen":
            self._completed += 1
        elif call.outcome not in NO_FAILURE:
            self._failure = f"a call of {phone} was {call.outcome}"


class Watch:
    """longest: seconds. run: returns the word and the reason once something can be told."""

    def __init__(self, longest: float, run: Callable[[], tuple[str, str]]) -> None:
        self.longest = longest
        self.run = run


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
