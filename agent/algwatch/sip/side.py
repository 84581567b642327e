# SPDX-License-Identifier: Apache-2.0
"""Side: the order within one side of the router. Rows become transactions. Transactions become
dialogs, registrations, subscriptions, or news about a failed request."""

from __future__ import annotations

from algwatch.base.native.layout import CANCEL, OPTIONS, REGISTER
from algwatch.base.packet import Batch
from algwatch.base.sighting import STATUS, Sighting
from algwatch.sip.anew import Anew, is_awaited
from algwatch.sip.dialogs import Dialogs
from algwatch.sip.qualify import Qualify
from algwatch.sip.registration import Registrations, RegistrationStep
from algwatch.sip.status_codes import CHALLENGES
from algwatch.sip.step import Step
from algwatch.sip.subscription import METHODS, Subscriptions, SubscriptionStep
from algwatch.sip.transaction import (
    FINAL,
    NOT_HEARD,
    ORPHAN,
    REQUEST,
    TIMED_OUT,
    Event,
    Seen,
    Transaction,
)
from algwatch.sip.transactions import Meet, Transactions

_NOTHING = Batch(b"", b"", b"", 0, 0, 0)


class Side:
    """side: LAN, WAN or UNKNOWN. Limits: transactions, calls and lines followed. meet: see
    Transactions.

    registered, subscribed: events of registrations and subscriptions; failed: transactions of other
    methods than INVITE and ACK that timed out or were refused, OPTIONS answered after others had
    not been, and of any but INVITE and ACK those whose sender does not hear the response. All since
    the last time they were emptied. qualify: the OPTIONS of each flow. anew: the refused ones that
    are to be sent again.
    """

    def __init__(self, side: int, transactions: int, calls: int, lines: int,
                 meet: Meet | None = None) -> None:  # fmt: skip
        self.side = side
        self.transactions = Transactions(transactions, meet, side)
        self.dialogs = Dialogs(side, calls)
        self.registrations = Registrations(side, lines)
        self.qualify = Qualify(lines)
        self.subscriptions = Subscriptions(side, lines)
        self.registered: list[RegistrationStep] = []
        self.subscribed: list[SubscriptionStep] = []
        self.failed: list[Transaction] = []
        self.anew = Anew()

    def feed(self, batch: Batch, keep: bool, other: list[Seen]) -> tuple[list[Event], list[Step]]:
        """The events of a batch and the resulting steps of calls. keep, other: see
        Transactions.feed."""
        events = self.transactions.feed(batch, keep, other)
        return events, self._steps(events, batch, keep)

    def believe(self, copy: Sighting) -> list[Step]:
        """The same for a message left out in doubt."""
        batch, events = self.transactions.believe(copy)
        return self._steps(events, batch, True)

    def _steps(self, events: list[Event], batch: Batch, keep: bool) -> list[Step]:
        if not events:
            return []
        rest: list[Event] = []
        steps = self.dialogs.feed(events, batch, rest)
        if rest:
            self._others(rest, batch, keep)
        return steps

    def advance(self, now: int) -> list[Step]:
        """Timers of everything here. now: ns of packet time."""
        steps = self.dialogs.advance(now) if self.dialogs.young else []
        return steps + self._steps(self.transactions.advance(now), _NOTHING, False)

    def _others(self, events: list[Event], batch: Batch, keep: bool) -> None:
        """Requests except INVITE: their bytes are kept until they are answered."""
        for event in events:
            code, t, row, i = event
            if code == REQUEST:
                t.request = batch.sighting(self.side, row, i)
                self.anew.come(t)
            elif code == FINAL:
                status = row[STATUS]
                if keep or status >= 300 or t.method == REGISTER:
                    t.response = batch.sighting(self.side, row, i)
                if status >= 300 and t.method != REGISTER:
                    if awaited := is_awaited(t):
                        self.anew.refuse(t)
                    if awaited or status not in CHALLENGES or t.method == CANCEL:
                        self.failed.append(t)
            elif code == ORPHAN and (row[STATUS] >= 300 or t.method == REGISTER):
                t.response = batch.sighting(self.side, row, i)
            elif code == NOT_HEARD or (code == TIMED_OUT and t.method != REGISTER):
                if code == NOT_HEARD and t.request is None:  # released by its subscription
                    t.request = batch.sighting(self.side, row, i)
                self.failed.append(t)
            if t.method == OPTIONS:
                if self.qualify.feed(event) and t not in self.failed:
                    self.failed.append(t)
            elif t.method == REGISTER:
                step = self.registrations.feed(event, batch)
                if step is not None:
                    self.registered.append(step)
            elif t.method in METHODS:
                news = self.subscriptions.feed(event, batch)
                if news is not None:
                    self.subscribed.append(news)
