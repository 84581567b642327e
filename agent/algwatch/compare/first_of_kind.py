# SPDX-License-Identifier: Apache-2.0
"""FirstOfKind: the messages of one-sided captures for rules about crossings."""

from __future__ import annotations

from algwatch.base.native.layout import ROW_MALFORMED
from algwatch.base.packet import Batch
from algwatch.base.sighting import BITS, FLOW, METHOD, STATUS
from algwatch.base.table import Table
from algwatch.compare.crossing import Crossing, alone
from algwatch.sip.transaction import Event


class FirstOfKind:
    """limit: kinds of message and flow remembered."""

    def __init__(self, limit: int) -> None:
        self._seen: Table[int, None] = Table(limit)

    def of(self, events: list[Event], batch: Batch, side: int) -> list[Crossing]:
        """Unpaired crossings of messages that are malformed, or the first of their method and class
        of status on their flow."""
        found = []
        seen = self._seen
        for _, _, row, i in events:
            # A flow is a hash of 64 bits: no two differ in their last bits only.
            key = row[FLOW] ^ (row[METHOD] << 3 | row[STATUS] // 100)
            if key in seen and not row[BITS] & ROW_MALFORMED:
                continue
            seen.add(key, None)
            found.append(alone(batch.sighting(side, row, i), sent=False))
        return found
