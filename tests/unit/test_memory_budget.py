# SPDX-License-Identifier: Apache-2.0
"""All tables together keep no more bytes than they may, whatever the messages are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from algwatch.base.budget import SIGHTING, Budget
from algwatch.base.packet import LAN
from algwatch.base.table import ANSWERED, FRESH, STRANGE, Table
from algwatch.capture.batches import in_order
from algwatch.compare.comparison import Comparison
from algwatch.compare.limits import ROUTER
from craft import NS, START, batch, frame, request
from filling import KINDS

PROGRAM = Path(__file__).resolve().parent / "filling.py"
MEMORY = 2 << 20
BESIDE = 10 << 20  # entries themselves, the batch under way, reports, gaps of the allocator
EXAMPLES = 16 * 61_000  # messages of the last 250 ms, and those that show what is said of a capture


@pytest.mark.parametrize("kind", [*KINDS, "all"])
def test_messages_of_60_kb_take_no_more_than_the_budget(kind: str) -> None:
    moments = 60 if kind == "all" else 150
    words = [sys.executable, str(PROGRAM), kind, str(MEMORY), str(moments)]
    path = os.pathsep.join(str(folder) for folder in PROGRAM.parents[:2])
    run = subprocess.run(words, capture_output=True, text=True, check=True,
                         env={**os.environ, "PYTHONPATH": path})  # fmt: skip
    filled = json.loads(run.stdout)
    assert filled["evicted"] > 0
    assert filled["held"] <= MEMORY
    assert filled["grown"] * 1024 <= MEMORY + BESIDE
    assert filled["uncounted"] <= EXAMPLES


Value = tuple[int, str, bytes]  # grade, host, payload


def budget_of(limit: int, values: list[Value]) -> tuple[Budget, Table[int, Value]]:
    table: Table[int, Value] = Table(10_000, lambda _, value: value[:2])
    budget = Budget(limit)
    budget.share(table, lambda value: [value[2]], lambda key, _: key)
    for key, value in enumerate(values):
        table.add(key, value)
    return budget, table


def hosts(table: Table[int, Value]) -> dict[str, int]:
    return {host: sum(v[1] == host for v in table.values()) for _, host, _ in table.values()}


def test_the_host_that_holds_most_gives_first() -> None:
    calls = [(FRESH, "phone", bytes([n]) * 1000) for n in range(20)]
    flood = [(FRESH, "flood", bytes([n]) * 60_000) for n in range(50)]
    budget, table = budget_of(1_000_000, calls + flood)
    assert budget.look() <= 750_000
    assert hosts(table)["phone"] == 20


def test_what_showed_less_gives_before_what_showed_more() -> None:
    calls = [(ANSWERED, "one", bytes([n]) * 60_000) for n in range(10)]
    flood = [(STRANGE, str(n), bytes([n]) * 6_000) for n in range(200)]
    budget, table = budget_of(1_000_000, calls + flood)
    budget.look()
    assert hosts(table)["one"] == 10


def test_bytes_that_two_hold_count_once_and_are_free_when_both_went() -> None:
    shared = b"x" * 10_000
    budget, table = budget_of(100_000, [(FRESH, "a", shared)] * 20)
    assert budget.look() == 10_000
    assert len(table) == 20


def test_nothing_is_looked_at_before_the_limit_can_be_reached() -> None:
    budget, table = budget_of(1_000_000, [(FRESH, "a", b"x" * 900_000)])
    budget.came(1, 998_000 - SIGHTING)
    assert budget.held == 0
    budget.came(1, 2_000)
    assert budget.held == 900_000
    assert len(table) == 1


def test_messages_that_lie_in_no_order_of_place_count_with_their_whole_length() -> None:
    """As those that were put together from fragments, which lie behind their batch."""
    messages = [
        request("OPTIONS", "sip:x", via="192.0.2.1", branch=f"z9hG4bK{n}", cseq=1,
                call_id=f"{n}@x", more=[f"Subject: {'x' * 500}"])
        for n in range(3)
    ]  # fmt: skip
    packets = [
        (START * NS + 1000 * (9 - n), frame(message, "192.0.2.1", 5060, "192.0.2.2", 5060))
        for n, message in enumerate(messages)
    ]
    comparison = Comparison(True, ROUTER, True, None)
    came: list[tuple[int, int]] = []
    comparison.budget.came = lambda *some: came.append(some)  # type: ignore[method-assign]
    comparison.feed(LAN, in_order(batch(packets)))
    assert came == [(3, sum(map(len, messages)))]
