# SPDX-License-Identifier: Apache-2.0
"""The interfaces of both sides, as ubus tells them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from algwatch.capture.networks import NoNetworks, found, sides, told_by_ubus

DEFAULT = [{"target": "0.0.0.0", "mask": 0, "nexthop": "203.0.113.1"}]


def row(name: str, l3: str, proto: str = "static", **more: Any) -> dict[str, Any]:
    return {"interface": name, "up": True, "proto": proto, "l3_device": l3, "device": l3,
            "route": []} | more  # fmt: skip


STOCK = [
    row("loopback", "lo"), row("guest", "br-guest"), row("lan", "br-lan"),
    row("wan", "wan", "dhcp", route=DEFAULT), row("wan6", "wan", "dhcpv6"),
]  # fmt: skip


def told(*rows: dict[str, Any]) -> tuple[list[str], list[str]]:
    return sides(json.dumps({"interface": list(rows)}))


def test_a_stock_router_has_its_bridge_first_and_the_wan_once() -> None:
    assert told(*STOCK) == (["br-lan", "br-guest"], ["wan"])


def test_the_device_below_pppoe_and_the_modem_on_it_are_no_lan() -> None:
    wan = row("wan", "pppoe-wan", "pppoe", device="eth1", route=DEFAULT)
    assert told(row("lan", "br-lan"), wan, row("modem", "eth1")) == (["br-lan"], ["pppoe-wan"])


def test_a_static_wan_is_known_by_its_default_route() -> None:
    assert told(row("lan", "br-lan"), row("wan", "eth1", route=DEFAULT)) == (["br-lan"], ["eth1"])


def test_two_wans_and_a_vlan_of_voice_are_all_of_the_wan_side() -> None:
    rows = [row("lan", "br-lan"), row("wan", "eth1", "dhcp", route=DEFAULT),
            row("wanb", "wwan0", "qmi", inactive={"route": DEFAULT}),
            row("voice", "eth1.20", "dhcp")]  # fmt: skip
    assert told(*rows) == (["br-lan"], ["eth1", "wwan0", "eth1.20"])


def test_interfaces_that_are_down_and_tunnels_are_left_out() -> None:
    rows = [row("lan", "br-lan"), row("vpn", "wg0", "wireguard"), row("old", "br-old", up=False)]
    assert told(*rows) == (["br-lan"], [])


@pytest.mark.parametrize("text", [
    "", "null", "[]", '{"interface": [1]}', '{"interface": 3}', "[" * 100000,
    '{"interface": [{"up": 1, "route": [1]}]}',
])  # fmt: skip
def test_what_is_no_answer_of_ubus_is_said(text: str) -> None:
    with pytest.raises(NoNetworks, match="no list of interfaces"):
        sides(text)


def test_a_device_that_cannot_be_one_is_left_out() -> None:
    assert told(row("lan", "../../etc"), row("x", "a" * 16), row("y", "br-lan")) == (["br-lan"], [])


def ubus(root: Path, script: str) -> str:
    (root / "bin").mkdir()
    program = root / "bin/ubus"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return str(root)


def test_auto_is_what_ubus_tells_and_names_that_were_told_stay(tmp_path: Path) -> None:
    root = ubus(tmp_path, f"echo '{json.dumps({'interface': STOCK})}'")
    assert found(["auto"], ["auto"], root) == (["br-lan", "br-guest"], ["wan"])
    assert found(["br-guest"], ["auto"], root) == (["br-guest"], ["wan"])
    assert found(["auto"], ["br-guest"], root) == (["br-lan"], ["br-guest"])


def test_without_ubus_the_names_are_asked_for(tmp_path: Path) -> None:
    with pytest.raises(NoNetworks, match="there is no ubus here: name the interfaces with --lan"):
        found(["auto"], ["wan"], str(tmp_path))
    assert found(["a"], ["b"], str(tmp_path)) == (["a"], ["b"])


def test_a_side_without_an_interface_is_named(tmp_path: Path) -> None:
    root = ubus(tmp_path, f"echo '{json.dumps({'interface': STOCK[:3]})}'")
    with pytest.raises(NoNetworks, match="no WAN interface that is up: name it with --wan wan"):
        found(["auto"], ["auto"], root)


@pytest.mark.parametrize("script", ["exec sleep 30", "exit 4", "exec cat /dev/zero"])
def test_a_ubus_that_hangs_fails_or_never_ends_is_given_up(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("algwatch.capture.networks.SECONDS", 0.3)
    with pytest.raises(NoNetworks, match="ubus does not answer"):
        told_by_ubus(ubus(tmp_path, script))
