# SPDX-License-Identifier: Apache-2.0
"""The counters of a pipeline, for `analyze --json` and the health report."""

from __future__ import annotations

from algwatch.base.packet import LAN, WAN
from algwatch.compare.calls import Calls
from algwatch.compare.captured import Captured
from algwatch.compare.lines import Lines
from algwatch.compare.pairing import Pairing
from algwatch.sip.side import Side


def counts(captured: Captured, pairing: Pairing | None, sides: list[Side], calls: Calls,
           lines: Lines) -> dict[str, dict[str, int]]:  # fmt: skip
    """{"capture": {...}, "crossings": {...}}; also {"evicted": {...}} if a table was full."""
    gone = _evicted(pairing, sides, calls, lines)
    p = pairing
    return {
        "capture": {
            "sip_messages": sum(captured.sip),
            "lan": captured.sip[LAN],
            "wan": captured.sip[WAN],
            "duplicates": captured.duplicates,
            **({"networks": 2} if captured.two_networks else {}),
            **({"contested": captured.contested} if captured.contested else {}),
        },
        "crossings": {
            "paired": p.paired if p else 0,
            "lan_only": p.lan_only if p else 0,
            "wan_only": p.wan_only if p else 0,
            "unsolicited": p.unsolicited if p else 0,
            "rewritten": p.rewritten if p else 0,
            **({"undecided": p.undecided} if p and p.undecided else {}),
        },
        **({"evicted": gone} if gone else {}),
    }


def _evicted(pairing: Pairing | None, sides: list[Side], calls: Calls,
             lines: Lines) -> dict[str, int]:  # fmt: skip
    """Evicted entries by kind; only kinds with some."""
    tables = [side.transactions.table for side in sides]
    evicted = {
        "transactions": sum(table.evicted for table in tables),
        "dialogs": sum(side.dialogs.table.evicted for side in sides),
        "registrations": sum(side.registrations.table.evicted for side in sides),
        "calls": calls.table.evicted,
        "sightings": pairing.waiting.dropped if pairing is not None else 0,
        "phones": lines.evicted,
        "unsolicited": sum(table.unsolicited for table in tables),
        "strays": sum(side.transactions.strays for side in sides),
    }
    return {what: count for what, count in evicted.items() if count}
