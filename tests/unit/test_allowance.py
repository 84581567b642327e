# SPDX-License-Identifier: Apache-2.0
"""How many bytes a day leave this router."""

from __future__ import annotations

import pytest
from algwatch.report.allowance import DAY, HARM, HARMLESS, HEALTH, PHONES, Allowance

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


@pytest.mark.parametrize("floods", [1, 4, 50])
def test_phones_that_flood_leave_room_for_the_harm_of_another_one(floods: int) -> None:
    clock = Clock()
    allowance = Allowance(DAILY, clock)
    for second in range(0, DAY, 900):
        clock.now = float(second)
        for number in range(floods):
            phone = f"192.168.1.{number}"
            while allowance.allows("finding", HARM, phone):
                allowance.spend(2000, phone)
    told = 0
    while allowance.allows("finding", HARM, "192.168.1.200"):
        allowance.spend(2000, "192.168.1.200")
        told += 1
    assert told >= DAILY // 2000 // (floods + 1) // 3 and told >= 2


def test_a_connection_that_breaks_all_day_leaves_room_for_harm() -> None:
    clock = Clock()
    allowance = Allowance(DAILY, clock)
    for second in range(0, 3 * DAY, 90):
        clock.now = float(second)
        allowance.spend_always(16384)  # the advice, each time
    assert allowance.allows("finding", HARM, "192.168.1.10")
    assert allowance.room(HARM) >= DAILY // 4 and allowance.room(HEALTH) < 0


def test_phones_without_end_take_a_bounded_room() -> None:
    allowance = Allowance(DAILY, Clock())
    for number in range(4 * PHONES):
        allowance.spend(1, f"2001:db8::{number:x}")
    assert len(allowance._phones) <= PHONES
