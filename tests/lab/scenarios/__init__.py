# SPDX-License-Identifier: Apache-2.0
"""The scenarios of the lab by group, each with its truth, declared before any verdict is known."""

from __future__ import annotations

from algwatch.diagnose.rules import RULES

from . import (
    calls,
    damage,
    dialogs,
    loss,
    nat,
    ports,
    real,
    router,
    streams,
    swallowed,
    transports,
    vendor,
)
from .scenario import Scenario

GROUPS = (
    calls,
    ports,
    swallowed,
    loss,
    nat,
    vendor,
    transports,
    real,
    damage,
    dialogs,
    router,
    streams,
)
SCENARIOS: dict[str, Scenario] = {s.number: s for group in GROUPS for s in group.SCENARIOS}

# Scenarios that the agent does not judge rightly yet: the rule that is missing, which ends the wait
# by itself once it is there (REG002 where REG006 learns it together with it), or in words what is
# wrong, which is to be taken out when it is mended: `make lab` then says "right now". All of them
# are played by `make lab`, which shows the verdicts and does not count them.
AWAITED = {
    "12-on": "ALG013 does not tell of a TCP stream that the helper spoils",
    "35-fork-lost": "DLG011",
    "35-refresh": "DLG010",
    "43-back": "ALG012",
    "43-contact": "REG002",
    "43-fragments": "SIZE001",
    "43-from": "ALG003",
    "43-media-lost": "SDP003",
    "43-private-media": "SDP001",
    "7-on": "ALG011 does not see the answer to a REGISTER at the wrong port",
    "7c-off": "TXN006",
    "7c-on": "ALG015 does not see a phone that is served by the forced port",
    "10d-on": "ALG008 reads no REGISTER",
    "15": "DLG003",
    "15-real": "DLG003",
    "17-both": "DLG001 takes a callee that hangs up after a late ACK for a dropped call",
    "19-5": "DLG007",
    "19-10": "DLG007",
    "19-32": "DLG007",
    "19-timer": "DLG007",
    "22": "a registration whose 200 came with another Via is not seen to end",
    "24": "ALG005",
    "25": "ALG004",
    "26-expires": "REG003",
    "26-rport": "TXN006",
    "26-via": "ALG011 does not see the answer to a REGISTER at the wrong port",
    "27": "ALG009",
    "34-cgnat": "NAT003",
    "34-alg": "ALG016 does not join responses with another Call-ID",
    "33-wrong-on": "REG002",
    "33-wrong-off": "REG002",
}
_THERE = {rule.RULE.id for rule in RULES}


def awaits(number: str) -> str:
    """What this scenario waits for, "" when it can be judged."""
    reason = AWAITED.get(number, "")
    return "" if reason in _THERE else reason
