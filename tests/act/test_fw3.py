# SPDX-License-Identifier: Apache-2.0
"""apply and rollback on OpenWrt with fw3: uci, fw3 and iptables are stand-ins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from lab.home import at_home
from lab.network import Network

from act.openwrt_box import OpenWrtBox

QUICK = "apply", "--force", "--watch", "0", "--no-probe"


@pytest.fixture(scope="module")
def house() -> Iterator[Network]:
    with at_home(helper=False) as net:
        yield net


@pytest.fixture
def box(house: Network, tmp_path: Path) -> OpenWrtBox:
    return OpenWrtBox(house, tmp_path, "21.02")


def look(box: OpenWrtBox) -> tuple[bytes, str]:
    return box.config.read_bytes(), box.router.run("iptables-save") + box.router.run(
        "ip6tables-save"
    )


def test_the_zone_loses_the_helper_and_gets_it_back(box: OpenWrtBox) -> None:
    before = look(box)
    assert "--helper sip" in before[1]
    assert box.type(*QUICK) == 0, box.said
    config, rules = look(box)
    assert b"auto_helper '0'" in config and "--helper sip" not in rules
    assert box.type("rollback") == 0, box.said
    assert look(box) == before


@pytest.mark.parametrize("kill", ["edit:after", "commit:before", "reload:before", "live:after"])
def test_a_kill_is_undone(box: OpenWrtBox, kill: str) -> None:
    before = look(box)
    assert box.type(*QUICK, kill=kill) == -9, box.said
    assert box.type("rollback", "--if-unfinished") == 0, box.said
    assert look(box) == before


def test_a_trial_is_a_rule_for_one_address(box: OpenWrtBox) -> None:
    before = look(box)
    phone = box.net.draw.phone_ip
    assert box.type("apply", "--only", phone, "--watch", "0") == 0, box.said
    rules = look(box)[1].splitlines()
    added = [line for line in rules if phone in line]
    assert len(added) == 2 and all("-j RETURN" in line for line in added), added  # UDP and TCP
    assert box.type("rollback") == 0, box.said
    assert look(box) == before
