# SPDX-License-Identifier: Apache-2.0
"""Waits between two connections, without waiting."""

from __future__ import annotations

from algwatch.report.backoff import EVICTED, FORGIVEN, QUIET, STABLE, Backoff
from algwatch.report.mqtt import BACKOFF, uniform


def backoff() -> Backoff:
    return Backoff(*BACKOFF, lambda least, most: most)


def test_it_doubles_up_to_its_limit() -> None:
    one = backoff()
    assert [one.ended(0.0) for _ in range(9)] == [1, 2, 4, 8, 16, 32, 64, 120, 120]


def test_a_connection_that_lasts_a_second_does_not_reset_it() -> None:
    one = backoff()
    assert [one.ended(1.0) for _ in range(4)] == [1, 2, 4, 8]
    assert one.ended(STABLE + 1) == 1
    assert one.ended(0.0) == 2


def test_no_wait_of_its_own_makes_the_connection_of_another_a_good_one() -> None:
    assert 2 * BACKOFF[1] < STABLE
    assert 2 * EVICTED[1] < FORGIVEN


def test_it_is_jittered() -> None:
    one = Backoff(8.0, 8.0, uniform)
    waits = {one.ended(0.0) for _ in range(20)}
    assert len(waits) > 10
    assert min(waits) >= 4 and max(waits) <= 8


def test_agents_with_one_id_meet_less_and_less_often() -> None:
    one = backoff()
    waits = [one.ended(lasted, evicted=True) for lasted in (10**6, 60, 120, 240, 480, 960, 1800)]
    assert waits == [60, 120, 240, 480, 960, 1800, 1800]
    assert one.ended(FORGIVEN + 1, evicted=True) == 60


def test_without_a_word_the_third_short_connection_counts_as_eviction() -> None:
    one = backoff()
    assert [one.ended(1.0, quiet=True) for _ in range(QUIET - 1)] == [1, 2]
    assert not one.is_shared
    assert one.ended(1.0, quiet=True) == 60
    assert one.quiet == QUIET
    # The other waits as long, which makes no good connection of this one.
    assert one.ended(STABLE + 1, quiet=True) == 120


def test_a_fault_with_a_name_between_them_is_no_sharing() -> None:
    one = backoff()
    for _ in range(2):
        one.ended(1.0, quiet=True)
        one.ended(1.0, quiet=True)
        one.ended(1.0)
    assert not one.is_shared


def test_good_connections_that_end_now_and_then_are_no_sharing() -> None:
    one = backoff()
    assert [one.ended(3600.0, quiet=True) for _ in range(5)] == [1] * 5
