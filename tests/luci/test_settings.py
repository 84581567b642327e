# SPDX-License-Identifier: Apache-2.0
"""The page of settings in a real browser, and the way of a setting from there to the daemon."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from algwatch.config import Config, from_file
from test_luci import Router, browser, router

sys.path.append(str(Path(__file__).resolve().parents[1] / "firmware"))

import service

__all__ = ["browser", "router"]


def test_settings_are_checked_and_saved(router: Router) -> None:
    page = router.open("settings")
    field = page.locator(".cbi-value", has_text="Broker").locator("input").first
    page.get_by_role("link", name="Reports to a broker").click()
    field.fill("http://example.net")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("button", name="Dismiss").click()
    assert "mqtt" not in router.rpcd.uci["main"]
    router.complaints.clear()  # the refusal
    field.fill("mqtts://broker.example.net")
    page.get_by_role("link", name="General").click()
    page.locator(".cbi-value", has_text="Pseudonyms").locator("input").uncheck()
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_function("!document.querySelector('.spinning')")
    assert router.rpcd.uci["main"]["mqtt"] == "mqtts://broker.example.net"
    assert router.rpcd.uci["main"]["privacy"] == "0"


FILLED = {
    "General": [("own_phones", "off")],
    "Reports to a broker": [
        ("mqtt", "mqtts://192.0.2.7"), ("mqtt_name", "broker.example.net"),
        ("mqtt_cert", "/etc/algwatch/cpe.pem"), ("mqtt_key", "/etc/algwatch/cpe.key"),
        ("daily_bytes", "200000"), ("flash", "1"),
    ],
    "Fleet": [
        ("cpe", "cpe-0011"), ("tags", "region=north plan=basic"), ("boot_delay", "60"),
        ("commands", "/etc/algwatch/command.key"), ("provider_key", "/etc/algwatch/fleet.pem"),
    ],
}  # fmt: skip
WRONG = [
    ("Reports to a broker", "daily_bytes", "9"), ("Reports to a broker", "mqtt_cert", "cpe.pem"),
    ("Fleet", "cpe", "a/b"), ("Fleet", "tags", "north"), ("Fleet", "boot_delay", "-1"),
    ("Fleet", "commands", "command.key"), ("Fleet", "provider_key", "fleet.pem"),
]  # fmt: skip


def test_an_installer_sets_what_a_fleet_needs_and_the_service_takes_all_of_it(
    router: Router, tmp_path: Path
) -> None:
    page = router.open("settings")
    for tab, fields in FILLED.items():
        page.get_by_role("link", name=tab).click()
        for name, value in fields:
            row = page.locator(f".cbi-value[data-name={name}]")
            if name == "flash":
                row.locator("input").check()
            elif name == "own_phones":
                row.locator("select").select_option(value)
            else:
                row.locator("input").fill(value)
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_function("!document.querySelector('.spinning')")
    saved = router.rpcd.uci["main"]
    for name, value in (one for fields in FILLED.values() for one in fields):
        assert saved[name] == (value.split(" ") if name == "tags" else value), name
    # What the page has saved, as the service reads it: uci, the init script, the daemon.
    box = service.Router(tmp_path / "box")
    lines = []
    for name, value in saved.items():
        if isinstance(value, list):
            lines += [f"list {name} '{one}'" for one in value]
        elif not name.startswith("."):
            lines.append(f"option {name} '{value}'")
            if value.startswith("/"):
                (box.root / value[1:]).parent.mkdir(parents=True, exist_ok=True)
                (box.root / value[1:]).write_text("x")
    box.options(*lines)
    box.do("start")
    config = Config()
    from_file(config, str(box.conf))
    assert (config.mqtt, config.mqtt_name) == ("mqtts://192.0.2.7", "broker.example.net"), box.log
    for name in ("mqtt_cert", "mqtt_key", "commands", "provider_key"):
        assert getattr(config, name) == saved[name]
    assert (config.daily_bytes, config.boot_delay) == (200_000, 60)
    assert (config.cpe, dict(config.tags)) == ("cpe-0011", {"region": "north", "plan": "basic"})
    assert config.flash.endswith("/etc/algwatch/daemon/verdicts") and config.own_phones == "off"


@pytest.mark.parametrize(("tab", "name", "value"), WRONG)
def test_a_wrong_setting_is_not_saved(router: Router, tab: str, name: str, value: str) -> None:
    page = router.open("settings")
    page.get_by_role("link", name=tab).click()
    page.locator(f".cbi-value[data-name={name}] input").fill(value)
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("button", name="Dismiss").click()
    assert name not in router.rpcd.uci["main"]
    router.complaints.clear()  # the refusal
