# SPDX-License-Identifier: Apache-2.0
"""Strays: responses to requests of nobody here."""

from __future__ import annotations

from algwatch.base.sighting import AT, CALL, Row
from algwatch.base.table import Table
from algwatch.compare.call import Call
from algwatch.compare.captured import Captured
from algwatch.compare.turned_away import TurnedAway
from algwatch.sip.side import Side
from algwatch.sip.timers import TIMER_C


class Strays:
    """asked_since: ns; every request after this was seen. turned_away: of the Pairing, if any."""

    def __init__(self, calls: Table[int, Call], sides: list[Side], captured: Captured,
                 turned_away: TurnedAway | None) -> None:  # fmt: skip
        self._calls = calls
        self._sides = sides
        self._captured = captured
        self._turned_away = turned_away
        self.asked_since = 0

    def is_stray(self, row: Row) -> bool:
        """True if a response answers no request of anybody here: the request would have been seen,
        and neither call nor registration is known."""
        call = row[CALL]
        if not self._captured.started or row[AT] < self.asked_since + TIMER_C:
            return False
        if call in self._calls:
            return False
        for side in self._sides:
            if call in side.dialogs.table or call in side.registrations.table:
                return False
            if side.dialogs.young and call in side.dialogs.young:
                return False
            if call in side.subscriptions.table:
                return False
        if self._turned_away is not None:
            self._turned_away.add(row)
        return True
