# SPDX-License-Identifier: Apache-2.0
"""apply and rollback on OpenWrt with fw3: uci and fw3 are stand-ins, iptables is real."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab.conftest import no_lab
from lab.home import Line, at_home
from lab.network import Network

from act.box import line_of
from act.openwrt_box import OpenWrtBox

QUICK = "apply", "--force", "--watch", "0", "--no-probe"


@pytest.fixture(scope="module")
def house() -> Iterator[Network]:
    with at_home(helper=False) as net:
        try:
            net.router.run("iptables-legacy", "-t", "raw", "-S")
        except (OSError, subprocess.CalledProcessError) as why:
            no_lab(f"the lab needs iptables-legacy and its raw table (Debian: iptables): {why}")
        yield net


@pytest.fixture
def box(house: Network, tmp_path: Path) -> OpenWrtBox:
    return OpenWrtBox(house, tmp_path, "21.02")


@pytest.fixture
def line(box: OpenWrtBox) -> Iterator[Line]:
    one = line_of(box.net)
    yield one
    one.close()


def look(box: OpenWrtBox) -> tuple[bytes, list[str]]:
    rules = [box.net.router.run(f"{name}-legacy", "-t", "raw", "-S")
             for name in ("iptables", "ip6tables")]  # fmt: skip
    return box.config.read_bytes(), "".join(rules).splitlines()


def test_the_zone_loses_the_helper_and_gets_it_back(box: OpenWrtBox, line: Line) -> None:
    before = look(box)
    assert any("--helper sip" in rule for rule in before[1])
    assert box.type(*QUICK) == 0, box.said
    config, rules = look(box)
    assert b"auto_helper '0'" in config
    assert not any("--helper sip" in rule for rule in rules)
    assert line.register(), line.arrived
    assert box.type("rollback") == 0, box.said
    assert look(box) == before
    assert not line.register(), "the helper is not back"


@pytest.mark.parametrize("kill", ["commit:before", "reload:before"])
def test_a_kill_is_undone(box: OpenWrtBox, line: Line, kill: str) -> None:
    before = look(box)
    assert box.type(*QUICK, kill=kill) == -9, box.said
    assert box.type("rollback", "--if-unfinished") == 0, box.said
    assert look(box) == before


def test_a_trial_is_a_rule_for_one_address(box: OpenWrtBox, line: Line) -> None:
    before = look(box)
    phone = box.net.draw.phone_ip
    assert box.type("apply", "--only", phone, "--watch", "0") == 0, box.said
    added = [rule for rule in look(box)[1] if phone in rule]
    assert len(added) == 2 and all("-j RETURN" in rule for rule in added), added  # UDP and TCP
    assert line.register(), line.arrived
    assert box.type("rollback") == 0, box.said
    assert look(box) == before
