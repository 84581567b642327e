# SPDX-License-Identifier: Apache-2.0
"""The scenarios of the lab by group, each with its truth, declared before any verdict is known."""

from __future__ import annotations

from algwatch.diagnose.rules import RULES

from . import calls, damage, loss, nat, ports, real, swallowed, transports, vendor
from .scenario import Scenario

GROUPS = (calls, ports, swallowed, loss, nat, vendor, transports, real, damage)
SCENARIOS: dict[str, Scenario] = {s.number: s for group in GROUPS for s in group.SCENARIOS}

# Scenarios that the agent does not judge rightly yet: the rule that is missing, which ends the wait
# by itself once it is there (REG002 where REG006 learns it together with it), or in words what is
# wrong, which is to be taken out when it is mended: `make lab` then says "right now". All of them
# are played by `make lab`, which shows the verdicts and does not count them.
AWAITED = {
    "11-on": "ALG013 learns from no REGISTER by how much the router lengthens messages",
    "35-fork-lost": "DLG011",
    "35-refresh": "DLG010",
    "43-back": "ALG012",
    "43-contact": "REG002",
    "43-fragments": "SIZE001",
    "43-from": "ALG003",
    "43-media-lost": "SDP003",
    "43-private-media": "SDP001",
    "7c-off": "TXN006",
    "9-on": "the fingerprint does not know the helper's Content-Length of multipart bodies",
    "10d-on": "ALG008 reads no REGISTER",
    "15": "DLG003",
    "15-real": "DLG003",
    "21-real": "TXN004 does not see answers that come after Timer F",
    "19-5": "DLG007",
    "19-10": "DLG007",
    "19-32": "DLG007",
    "19-timer": "DLG007",
    "21": "TXN005 takes a phone that was silent for a while for loss on the way to it",
    "24": "ALG005",
    "25": "ALG004",
    "26-expires": "REG003",
    "26-rport": "TXN006",
    "27": "ALG009",
    "28": "ALG009 does not name a proxy that adds a Via",
    "31-symmetric": "NAT002 does not say that the lost call is its doing",
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
