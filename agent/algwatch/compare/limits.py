# SPDX-License-Identifier: Apache-2.0
"""The number of things followed at once, on a router and on a laptop."""

from __future__ import annotations


class Limits:
    """transactions and calls: entries a side; pairs: sightings waiting for their other copy; lines:
    pairs of phone and provider; memory: bytes of messages kept by all of them, by default."""

    __slots__ = ("calls", "lines", "memory", "pairs", "transactions")

    def __init__(self, transactions: int, calls: int, pairs: int, lines: int,
                 memory: int = 256 << 20) -> None:  # fmt: skip
        self.transactions = transactions
        self.calls = calls
        self.pairs = pairs
        self.lines = lines
        self.memory = memory


KINDS = 8  # of message, usual for a phone
MAPPINGS = 4  # of the NAT for each line; and as many registrations
ROUTER = Limits(transactions=512, calls=256, pairs=256, lines=128, memory=1 << 20)
LAPTOP = Limits(transactions=65536, calls=16384, pairs=4096, lines=1024)
