# SPDX-License-Identifier: Apache-2.0
"""Whatever happens to the broker or on the way there, nothing that the agent told of is missing.

`make faults` is the long form. All faults are played side by side, as they are made of waiting:
half a minute, and each with one of the two versions of paho.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import pytest
from brokers import MOSQUITTO, need
from faults import FAULTS, Result, need_pahos, play_all
from world import PAHOS

NAMES = list(FAULTS)
PLAYED = [(name, version) for version in PAHOS for name in NAMES]
CHOSEN = [(name, list(PAHOS)[number % 2]) for number, name in enumerate(NAMES)]


@pytest.fixture(scope="module")
def results() -> dict[str, list[Result]]:
    if os.geteuid() != 0:
        assert os.environ.get("CI") != "true"
        pytest.skip("needs root: network namespaces")
    for program in (MOSQUITTO, shutil.which("nft"), shutil.which("tc")):
        need(program, "mosquitto nftables iproute2")
    need_pahos()
    chosen = PLAYED if os.environ.get("ALGWATCH_ALL") else CHOSEN
    found: dict[str, list[Result]] = {}
    for one in play_all(chosen, quick=True):
        found.setdefault(one.name, []).append(one)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_nothing_that_was_told_is_lost(
    results: dict[str, list[Result]], name: str, record_property: Callable[[str, object], None]
) -> None:
    for one in results[name]:
        assert (one.lost, one.why) == (0, ""), one
        assert one.told >= 40
        record_property("said", str(one))
