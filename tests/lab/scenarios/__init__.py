# SPDX-License-Identifier: Apache-2.0
"""The scenarios of the lab by group, each with its truth, declared before any verdict is known."""

from __future__ import annotations

from . import (
    calls,
    damage,
    dialogs,
    loss,
    media,
    nat,
    own,
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
    own,
    streams,
    media,
)
SCENARIOS: dict[str, Scenario] = {s.number: s for group in GROUPS for s in group.SCENARIOS}

# Scenarios that the agent does not judge rightly yet, and what is wrong. `make lab` plays them,
# shows the verdicts and does not count them; one that is right is to be taken out: a test says so.
AWAITED: dict[str, str] = {}


def awaits(number: str) -> str:
    """What is wrong with the verdict on this scenario, "" when it is to be judged."""
    return AWAITED.get(number, "")
