# SPDX-License-Identifier: Apache-2.0
"""Retransmissions are laid to loss only where nothing else explains them (TXN004, TXN005)."""

from __future__ import annotations

import pytest
from algwatch.base.packet import LAN, WAN
from algwatch.base.report import Report
from algwatch.diagnose.finding import Finding
from craft import LADDER_REQUEST, House, answer, outgoing_call, register, request
from test_loss import live

BOTH = pytest.mark.parametrize("tap", [LAN, WAN], ids=["lan", "wan"])


def asks(house: House, method: str, at: float, n: int, copies: int, answers: bool = True) -> None:
    """A request of the phone; its last copy is answered."""
    made = request(method, "sip:300@example.net", via=f"{house.phone}:{house.port}",
                   branch=f"z9hG4bK{method}{n}", call_id=f"{method}{n}@phone", cseq=1)  # fmt: skip
    seen = made
    for after in (0, *LADDER_REQUEST)[:copies]:
        seen = house.out(at + after, made)
    if answers:
        house.into(at + (0, *LADDER_REQUEST)[copies - 1] + 0.03, answer(200, seen))


def lossy_line() -> House:
    house = House()
    register(house, 0)
    for n in range(10):
        asks(house, "MESSAGE", 5 + 10 * n, n, 2 if n % 2 else 1)
    return house


def told(reports: list[Report], rule: str) -> list[Finding]:
    return [r for r in reports if isinstance(r, Finding) and r.rule == rule]


def test_loss_is_told_once_with_its_place() -> None:
    _, reports = live(lossy_line())
    (found,) = told(reports, "TXN005")
    assert (found.where, found.harm, found.cause) == ("network", "observed", "loss")
    assert len(found.evidence) == 2


@BOTH
def test_what_the_capture_lost_is_no_loss_of_the_line(tap: int) -> None:
    """The answers to the first copies may have come and not have been captured."""
    _, reports = live(lossy_line(), *((tap, 5.2 + 10 * n) for n in range(10)))
    assert not told(reports, "TXN005")


@BOTH
def test_a_loss_of_the_capture_ends_nothing_that_came_later(tap: int) -> None:
    _, reports = live(lossy_line(), (tap, 2))
    assert len(told(reports, "TXN005")) == 1


def test_nothing_is_counted_before_the_first_retransmission() -> None:
    house = House()
    for n in range(3):
        outgoing_call(house, 10 * n, f"c{n}@phone")
    pipeline, reports = live(house)
    assert not told(reports, "TXN005")
    assert all(side.transactions.over is None for side in pipeline._comparison.sides)


def test_counting_starts_anew_after_ten_minutes() -> None:
    """Two exchanges an hour that need a second try are no finding, however long it goes on."""
    house = House()
    for n in range(6):
        asks(house, "MESSAGE", 1 + 400 * n, 2 * n, 1)
        asks(house, "MESSAGE", 11 + 400 * n, 2 * n + 1, 2)
    _, reports = live(house)
    assert not told(reports, "TXN005")


def qualified() -> House:
    house = House()
    for n in range(4):
        asks(house, "OPTIONS", 1 + 40 * n, n, 11 if n == 2 else 1, answers=n != 2)
    return house


def test_a_peer_that_goes_and_returns_is_told_twice_live_as_well() -> None:
    _, reports = live(qualified())
    assert [f.harm for f in told(reports, "TXN004")] == ["latent", "none"]
    assert not told(reports, "TXN003")


@BOTH
def test_where_packets_were_lost_meanwhile_nobody_is_called_unreachable(tap: int) -> None:
    _, reports = live(qualified(), (tap, 100))
    assert not told(reports, "TXN004")
