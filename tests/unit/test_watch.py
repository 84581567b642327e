# SPDX-License-Identifier: Apache-2.0
"""Who watches a pipeline is told of every message, or of those that do not go as others before."""

from __future__ import annotations

import pytest
from algwatch.base.native.layout import INVITE, REGISTER
from algwatch.base.sighting import METHOD, STATUS
from algwatch.compare.crossing import Crossing
from algwatch.diagnose.finding import Finding
from craft import House, analyzed, outgoing_call, register


def told(house: House, every: bool) -> tuple[list[tuple[int, int]], list[str]]:
    """Method and status of each message told of, and the keys of the findings."""
    seen: list[Crossing] = []
    _, reports = analyzed(*house.sorted(), watch=seen.append, every=every)
    messages = [(one.entered.row[METHOD], one.entered.row[STATUS]) for one in seen]
    return messages, [one.key for one in reports if isinstance(one, Finding)]


@pytest.mark.parametrize("alg", ["", "linux"])
def test_the_later_calls_of_a_phone_are_told_only_to_who_wants_every_message(alg: str) -> None:
    house = House(alg) if alg else House()
    calls = 4
    for number in range(calls):
        register(house, number * 20)
        outgoing_call(house, 1 + number * 20, f"{number}@phone")
    everything, findings = told(house, every=True)
    news, same_findings = told(house, every=False)
    assert len(everything) == len(house.lan)
    assert len(news) < len(everything) - calls
    assert set(news) == set(everything)
    # The daemon counts registrations by these, and each call begins with one of them.
    for kind in ((REGISTER, 0), (REGISTER, 200), (INVITE, 0)):
        assert news.count(kind) == everything.count(kind)
    assert findings == same_findings
