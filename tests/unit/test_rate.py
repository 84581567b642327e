# SPDX-License-Identifier: Apache-2.0
"""How many lines and reports are told in a flood."""

from __future__ import annotations

import pytest
from algwatch.report.rate import ALL, EACH, FIRST, NAMED, Rate


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("subjects", [1, 7, 100_000])
def test_an_hour_of_flood_is_told_in_a_bounded_number_of_lines(subjects: int) -> None:
    clock = Clock()
    rate = Rate(clock)
    told = 0
    for number in range(100_000):
        clock.now = 3600 * number / 100_000
        subject = f"line {number % subjects}"
        told += rate.passes(f"ALG{number % 20:03}", subject, number % 3 == 0)
    least = ALL[0] + 3600 * EACH[1]
    assert least <= told <= 20 + 2 * (ALL[0] + FIRST[0] + 3600 * (ALL[1] + FIRST[1]))
    assert sum(rate.total.values()) == 100_000 - told
    assert sum(one.count for _, one in rate.untold()) == 100_000 - told
    assert rate.untold() == []


def test_the_first_of_each_kind_passes_whatever_came_before() -> None:
    rate = Rate(Clock())
    for number in range(5000):
        rate.passes("ALG001", f"line {number}")
    assert not rate.passes("ALG001", "line")
    assert rate.passes("DLG001", "line") and rate.passes("call")


def test_the_first_of_a_line_passes_while_another_line_floods() -> None:
    rate = Rate(Clock())
    for _ in range(5000):
        rate.passes("DLG001", "a")
    assert rate.passes("DLG001", "b") and not rate.passes("DLG001", "b")


def test_a_flood_of_what_does_not_hurt_hides_nothing_that_does() -> None:
    rate = Rate(Clock())
    rate.passes("DLG001")
    for number in range(50_000):
        rate.passes(f"ALG{number % 20:03}", f"line {number}")
    assert not rate.passes("DLG001", "ours")
    assert rate.passes("DLG001", "ours", hurts=True)


def test_one_kind_does_not_take_the_room_of_the_others() -> None:
    rate = Rate(Clock())
    for _ in range(1000):
        rate.passes("ALG001")
    assert sum(rate.passes("DLG001") for _ in range(20)) == 20


def test_after_a_flood_everything_is_told_again() -> None:
    clock = Clock()
    rate = Rate(clock)
    for _ in range(1000):
        rate.passes("ALG001")
    assert not rate.passes("ALG001")
    clock.now += 120
    assert sum(rate.passes("ALG001") for _ in range(20)) == 20


def test_a_clock_that_goes_back_makes_no_tokens_and_takes_none() -> None:
    clock = Clock()
    rate = Rate(clock)
    clock.now = -1000.0
    assert sum(rate.passes("ALG001") for _ in range(100)) == EACH[0] + 1


def test_what_was_left_out_is_named_and_the_names_are_bounded() -> None:
    rate = Rate(Clock())
    for number in range(100):
        rate.passes("CAP002", f"line {number % 4}")
    for number in range(5000):
        rate.passes("DLG001", f"line {number}")
    by_kind = dict(rate.untold())
    assert list(by_kind["CAP002"].subjects) and not by_kind["CAP002"].more
    assert len(by_kind["DLG001"].subjects) == NAMED and by_kind["DLG001"].more
