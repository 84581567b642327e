# SPDX-License-Identifier: Apache-2.0
"""How many bytes a day leave this router."""

from __future__ import annotations

import pytest
from algwatch.report.allowance import DAY, HARM, HARMLESS, HEALTH, Allowance

DAILY = 1 << 20


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("left", [HARM, HARMLESS, HEALTH])
def test_a_week_of_flood_sends_the_bytes_of_eight_days_at_most(left: float) -> None:
    clock = Clock()
    allowance = Allowance(DAILY, clock)
    sent = reports = 0
    for second in range(0, 7 * DAY, 10):
        clock.now = float(second)
        for _ in range(3):
            reports += 1
            if allowance.allows("finding", left):
                allowance.spend(2000)
                sent += 2000
    assert 0.95 * 7 * DAILY <= sent <= 8.1 * DAILY
    assert allowance.withheld == {"finding": reports - sent // 2000}


def test_what_tells_of_harm_goes_when_the_others_do_not_any_more() -> None:
    allowance = Allowance(DAILY, Clock())
    order = []
    for _ in range(2 * DAILY // 1000):
        order.append([word for word in (HEALTH, HARMLESS, HARM) if allowance.allows("x", word)])
        allowance.spend(1000)
    assert [len(words) for words in order] == sorted((len(words) for words in order), reverse=True)
    assert [words for n, words in enumerate(order) if n == 0 or words != order[n - 1]] == [
        [HEALTH, HARMLESS, HARM], [HARMLESS, HARM], [HARM], []
    ]  # fmt: skip


def test_nothing_is_withheld_from_a_router_with_ordinary_trouble() -> None:
    clock = Clock()
    allowance = Allowance(DAILY, clock)
    for second in range(0, 3 * DAY, 300):
        clock.now = float(second)
        assert allowance.allows("health", HEALTH)
        allowance.spend(1400)
        if second % 1800 == 0:
            assert allowance.allows("finding", HARMLESS)
            allowance.spend(3000)
    assert allowance.withheld == {}
