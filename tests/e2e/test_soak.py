# SPDX-License-Identifier: Apache-2.0
"""The memory of the whole daemon with mutual TLS: little, and the same after many messages.

`make soak MESSAGES=1000000` is the long form.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import pytest
from brokers import MOSQUITTO, need
from soak import Soak

MESSAGES = 20_000


@pytest.fixture(scope="module")
def soak(tmp_path_factory: pytest.TempPathFactory) -> Soak:
    if os.geteuid() != 0:
        assert os.environ.get("CI") != "true"
        pytest.skip("needs root: network namespaces and CAP_NET_RAW")
    for program in (MOSQUITTO, shutil.which("ip")):
        need(program, "mosquitto iproute2")
    return Soak(MESSAGES, tmp_path_factory.mktemp("soak"))


def test_full_tables_take_a_bounded_room_and_then_nothing_grows(
    soak: Soak, record_property: Callable[[str, object], None]
) -> None:
    record_property("said", f"memory after so many messages, kB: {soak.memory}")
    assert soak.memory[MESSAGES]["private"] <= soak.memory[0]["private"] + 6_500
    assert soak.memory[MESSAGES]["private"] <= soak.memory[10_000]["private"] + 1_000


def test_what_passed_was_seen_and_told(soak: Soak) -> None:
    seen = soak.health["capture"]["sip_messages"]
    lost = sum(tap["drops"] for tap in soak.health["taps"].values())
    assert seen + lost + soak.health["frames"]["forged"] >= MESSAGES
    assert seen >= MESSAGES // 5
    assert soak.findings >= 50 and soak.health["rule_failures"] == {}
    assert soak.health["crossings"]["rewritten"] > 500
