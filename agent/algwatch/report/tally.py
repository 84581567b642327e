# SPDX-License-Identifier: Apache-2.0
"""Tally: calls and registrations by provider, the denominators of the rates of a fleet.

Every counter begins at 0 with the agent and only grows.
"""

from __future__ import annotations

from algwatch.base.digest import digest
from algwatch.base.native.layout import REGISTER
from algwatch.base.report import Report
from algwatch.base.sighting import CALL, CSEQ, METHOD, STATUS
from algwatch.base.table import Table
from algwatch.compare.crossing import Crossing
from algwatch.compare.line import name_of
from algwatch.compare.summary import CallSummary, RegistrationSummary
from algwatch.diagnose import cause
from algwatch.diagnose.finding import Finding
from algwatch.report.providers import Providers

PROVIDERS = 16  # providers with counters of their own
OTHER = "other"  # all later ones
CALLS = 256  # unfinished calls hurt by something
REFRESHES = 64  # registrations with a remembered 2xx, as it may be repeated

_CALLS = ("attempted", "answered", "completed", "dropped", "cancelled", "rejected", "unanswered",
          "unknown")  # fmt: skip
_REGISTRATIONS = ("refreshed", "accepted", "refused", "challenged", "unanswered", "unknown")


class Counters:
    """Counters of one provider. calls, registrations: by the words above. hurt, dropped: calls by
    cause."""

    __slots__ = ("calls", "dropped", "hurt", "registrations")

    def __init__(self) -> None:
        self.calls = dict.fromkeys(_CALLS, 0)
        self.registrations = dict.fromkeys(_REGISTRATIONS, 0)
        self.hurt: dict[str, int] = {}
        self.dropped: dict[str, int] = {}


class Tally:
    """Counts reports. providers: names each of them."""

    def __init__(self, providers: Providers) -> None:
        self._providers = providers
        self._by_provider: dict[str, Counters] = {}
        # By Call-ID: the cause, and whether it comes from a mere symptom.
        self._causes: Table[int, tuple[str, bool]] = Table(CALLS)
        self._refreshed: Table[int, int] = Table(REFRESHES)

    def feed(self, report: Report) -> None:
        """Any report."""
        take = getattr(self, f"_on_{report.kind}", None)
        if take is not None:
            take(report)

    def cross(self, crossing: Crossing) -> None:
        """A message, once its fate is known: phones refresh without a report."""
        row = crossing.entered.row
        if row[METHOD] != REGISTER or not 200 <= row[STATUS] < 300 or crossing.flow_pair is None:
            return
        if self._refreshed.get(row[CALL]) == row[CSEQ]:
            return
        self._refreshed.add(row[CALL], row[CSEQ])
        pair = crossing.flow_pair
        self._of(name_of(pair.phone, pair.far)).registrations["refreshed"] += 1

    def deals_with(self, line: str) -> bool:
        """True if the provider of this line has accepted a registration of its phone."""
        return self._providers.deals_with(line)

    def __len__(self) -> int:
        return len(self._by_provider)

    def items(self) -> list[tuple[str, Counters]]:
        """Providers with any count."""
        return list(self._by_provider.items())

    def _of(self, line: str) -> Counters:
        _, provider = self._providers.of(line)
        if provider not in self._by_provider and len(self._by_provider) >= PROVIDERS:
            provider = OTHER
        provider = provider or OTHER
        counters = self._by_provider.get(provider)
        if counters is None:
            counters = self._by_provider[provider] = Counters()
        return counters

    def _on_finding(self, finding: Finding) -> None:
        if not finding.hurts or not finding.call_id:
            return
        key = digest(finding.call_id)
        known = self._causes.get(key)
        # A symptom says that the call broke; the finding beside it says why.
        if known is None or (known[1] and not finding.symptom):
            why = finding.cause or cause.UNKNOWN
            self._causes.add(key, (why, finding.symptom))

    def _on_call(self, call: CallSummary) -> None:
        why, _ = self._causes.pop(digest(call.call_id), ("", False))
        if call.unsolicited:
            return
        counters = self._of(call.line)
        calls = counters.calls
        calls["attempted"] += 1
        if call.ack != "unknown" or call.outcome in ("completed", "dropped"):
            calls["answered"] += 1
        calls[call.outcome if call.outcome in calls else "unknown"] += 1
        if call.outcome == "dropped":
            why = why or cause.UNKNOWN
            counters.dropped[why] = counters.dropped.get(why, 0) + 1
        if why:
            counters.hurt[why] = counters.hurt.get(why, 0) + 1

    def _on_registration(self, registration: RegistrationSummary) -> None:
        if registration.unsolicited:
            return
        self._providers.feed(registration)
        counters = self._of(registration.line).registrations
        counters[registration.outcome if registration.outcome in counters else "unknown"] += 1
