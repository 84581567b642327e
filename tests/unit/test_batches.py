# SPDX-License-Identifier: Apache-2.0
"""Batches taken apart and put together keep each row's own bytes (capture/batches.py)."""

from __future__ import annotations

import random

import pytest
from algwatch.base.packet import Batch
from algwatch.capture.batches import Gathered, in_order, kept, loose, part, times
from craft import NS, START, batch, frame, request


def made(moments: list[int]) -> Batch:
    """Messages that lie in the buffer as listed (moments in ns, whole µs), with rows in order of
    time, as when some were put together from fragments. The buffer is that of a ring."""
    packets = []
    for number, moment in enumerate(moments):
        message = request(
            "OPTIONS", "sip:x", via="192.0.2.1", branch=f"z9hG4bK{number}", cseq=1,
            call_id=f"at-{moment}@x", more=[f"Subject: {'x' * (number * 7 % 50)}"],
        )  # fmt: skip
        packets.append((START * NS + moment, frame(message, "192.0.2.1", 5060, "192.0.2.2", 5060)))
    whole = in_order(batch(packets))
    whole.buffer = memoryview(bytearray(whole.buffer))
    return whole


def told(batch_: Batch) -> list[int]:
    """The moment that each message names, by the bytes that its row points to."""
    found = []
    for _, _, payload in loose(batch_):
        found.append(int(bytes(payload).split(b"at-")[1].split(b"@")[0]))
    return found


@pytest.mark.parametrize("order", [[1, 2, 3], [3, 1, 2], [2, 3, 1], [9, 1], [5]])
def test_a_kept_batch_has_the_bytes_of_each_of_its_rows(order: list[int]) -> None:
    moments = [1000 * at for at in order]
    assert told(kept(made(moments))) == sorted(moments)


def test_batches_in_any_order_of_place_are_put_together_by_row() -> None:
    chance = random.Random(3)
    for _ in range(200):
        parts = []
        for _ in range(chance.randint(2, 4)):
            whole = made([chance.randint(1, 1000) * 1000 for _ in range(chance.randint(1, 6))])
            start = chance.randrange(whole.count)
            some = part(whole, start, chance.randint(start + 1, whole.count))
            parts.append(kept(some) if chance.random() < 0.5 else some)
        gathered = Gathered(0)
        for some in parts:
            gathered.add(some, unsorted=False)
        one = gathered.whole()
        moments = [at - START * NS for at in times(one)]
        assert told(one) == moments
        assert gathered.unsorted == (moments != sorted(moments))
        assert sorted(moments) == sorted(
            at - START * NS for part_ in parts for at in times(part_)
        )  # fmt: skip
