# SPDX-License-Identifier: Apache-2.0
"""Room: the tables that the budget (base/budget.py) takes messages from when room is short."""

from __future__ import annotations

from algwatch.base.budget import Budget
from algwatch.compare import held
from algwatch.compare.calls import Calls
from algwatch.compare.line import Line, Shown
from algwatch.compare.lines import Lines
from algwatch.compare.loss import Losses
from algwatch.compare.path import Path
from algwatch.compare.registered import Registrations
from algwatch.compare.subscribed import Subscriptions
from algwatch.compare.waiting import Waiting
from algwatch.sip.side import Side


def share(budget: Budget, sides: list[Side], calls: Calls, registrations: Registrations,
          subscriptions: Subscriptions, lines: Lines, losses: Losses,
          waiting: Waiting | None) -> None:  # fmt: skip
    """Tell the budget of these tables. waiting: None without two sides."""
    budget.share(calls.table, held.call, held.by_call)
    budget.share(registrations.table, held.registered, held.by_call)
    budget.share(subscriptions.table, held.subscribed, held.by_other)
    for side in sides:
        budget.share(side.dialogs.table, held.dialogs, held.by_call)
        budget.share(side.registrations.table, held.registration, held.by_call)
        budget.share(side.subscriptions.table, held.subscription, held.by_other)
        budget.share(side.transactions.table, held.transaction, held.call_of)
        budget.tidy.append(side.transactions.tidy)
    if waiting is not None:
        budget.share(waiting, held.sighting, held.call_of_copy)
    budget.share(Shown(lines.table), Line.sightings, held.apart)
    budget.share(losses.table, Path.sightings, held.apart)
    budget.tidy += [calls.tidy, registrations.tidy, subscriptions.tidy]
