# SPDX-License-Identifier: Apache-2.0
"""The service's script in busybox ash: what procd is told, the daemon's configuration, the log."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest
from algwatch.config import KEYS, Config, from_file
from service import FILES, FIREWALL, NET, ROOT, Router


@pytest.fixture
def router(tmp_path: Path) -> Router:
    return Router(tmp_path / "router")


def told(calls: list[list[str]], name: str) -> list[list[str]]:
    return [call[1:] for call in calls if call[0] == name]


def params(calls: list[list[str]]) -> dict[str, list[str]]:
    return {call[0]: call[1:] for call in told(calls, "procd_set_param")}


def read(router: Router) -> Config:
    """The daemon's own reader takes the file."""
    config = Config()
    from_file(config, str(router.conf))
    config.check()
    return config


def test_a_stock_router_is_watched_without_any_setting(router: Router) -> None:
    calls = router.do("start")
    config = read(router)
    assert (config.lan, config.wan) == (["br-lan"], ["eth1"])
    assert config.privacy and config.media and not config.mqtt
    command = params(calls)["command"]
    assert command[0].endswith("/usr/bin/python3")
    assert command[-3:] == ["run", "--config", str(router.conf)]
    assert params(calls)["respawn"] and params(calls)["file"] == [str(router.conf)]
    assert params(calls)["stdout"] == params(calls)["stderr"] == ["1"]
    folders = f"{router.root}/etc/algwatch/daemon {router.root}/var/run/algwatch"
    assert f"chown algwatch:algwatch {folders}" in router.ran


def test_findings_outlive_the_daemon_on_tmpfs_and_the_fleet_can_sort_routers(
    router: Router,
) -> None:
    router.options("option mqtt 'mqtts://b'", "list tags 'region=north'", "list tags 'plan=b'",
                   "option daily_bytes '100000'")  # fmt: skip
    router.do("start")
    config = read(router)
    assert config.spool == f"{router.root}/var/run/algwatch/spool"
    assert config.state == f"{router.root}/var/run/algwatch/state"
    assert config.flash == "", "flash is written where somebody wants it"
    assert config.status_file == f"{router.root}/var/run/algwatch/status.json"
    assert config.tags == [("region", "north"), ("plan", "b")]
    assert config.daily_bytes == 100_000


def test_verdict_changes_are_copied_to_flash_where_that_is_set(router: Router) -> None:
    router.options("option mqtt 'mqtts://b'", "option flash '1'")
    router.do("start")
    assert read(router).flash == f"{router.root}/etc/algwatch/daemon/verdicts"


def socket_table(router: Router, port: str) -> None:
    """A program has this UDP port, in hexadecimal digits."""
    folder = router.root / "proc/net"
    folder.mkdir(parents=True)
    (folder / "udp").write_text(
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
        f"  42: 00000000:{port} 00000000:0000 07 00000000:00000000 00:00000000 00000000     0\n"
    )


@pytest.mark.parametrize(
    ("port", "setting", "heard", "ports"),
    [("13C4", "auto", True, ""), ("13D8", "auto", True, ""), ("0035", "auto", False, ""),
     ("0035", "on", True, ""), ("13C4", "off", False, ""),
     ("13CE", "auto", False, ""), ("13CE", "auto", True, "5070"), ("13C4", "auto", False, "5070"),
     ("13CE", "auto", True, "5060,5070")],
)  # fmt: skip
def test_root_opens_the_log_of_own_phones_for_a_daemon_in_its_jail(
    router: Router, port: str, setting: str, heard: bool, ports: str
) -> None:
    router.jail()
    socket_table(router, port)
    router.options(f"option own_phones '{setting}'", *[f"list ports '{ports}'"] * bool(ports))
    calls = router.do("start")
    opened = told(calls, "procd_open_instance")
    folder = f"{router.root}/var/run/algwatch-handover"
    assert opened == ([["handover"], []] if heard else [[]])
    commands = [call[1:] for call in told(calls, "procd_set_param") if call[0] == "command"]
    assert [command[3] for command in commands] == ["handover"] * heard + ["run"]
    assert ([folder] in told(calls, "procd_add_jail_mount_rw")) == heard
    assert read(router).handover == (f"{folder}/socket" if heard else "")
    assert read(router).own_phones == setting
    if heard:
        assert commands[0][-2:] == ["--user", "algwatch"]
        assert not any(call[0] == "respawn" for call in told(calls, "procd_set_param")[:3])


@pytest.mark.parametrize("jail", [True, False])
def test_commands_have_a_program_of_root_and_the_daemon_does_not_see_their_key(
    router: Router, jail: bool
) -> None:
    if jail:
        router.jail()
    key, fleet = f"{router.root}/command.key", f"{router.root}/fleet.pem"
    for path in (Path(key), Path(fleet)):
        path.write_text("x")  # for the jail, and below for validate_data
        inside = router.root / str(path)[1:]
        inside.parent.mkdir(parents=True, exist_ok=True)
        inside.write_text("x")
    router.options("option mqtt 'mqtts://b'", f"option commands '{key}'", "option mqtt_name 'b.c'",
                   f"option provider_key '{fleet}'")  # fmt: skip
    calls = router.do("start")
    assert told(calls, "procd_open_instance") == [["obey"], []], router.log
    commands = [call[1:] for call in told(calls, "procd_set_param") if call[0] == "command"]
    assert commands[0][3:] == ["obey", "--config", str(router.conf), "--user", "algwatch"]
    seen = [path for call in told(calls, "procd_add_jail_mount") for path in call]
    assert key not in seen and (fleet in seen) == jail
    folder = f"{router.root}/var/run/algwatch-handover"
    assert ([folder] in told(calls, "procd_add_jail_mount_rw")) == jail
    config = read(router)
    assert (config.commands, config.provider_key, config.mqtt_name) == (key, fleet, "b.c")
    assert config.commands_socket == f"{folder}/commands"


def test_a_daemon_that_starts_as_root_needs_no_hand_over(router: Router) -> None:
    socket_table(router, "13C4")
    calls = router.do("start")
    assert told(calls, "procd_open_instance") == [[]]
    assert read(router).handover == ""


def test_the_configuration_is_for_one_user_alone(router: Router) -> None:
    router.options("option mqtt 'mqtts://broker.example.net'", "option mqtt_password 'q\"w e'")
    old = os.umask(0)
    try:
        router.do("start")
    finally:
        os.umask(old)
    assert stat.S_IMODE(router.conf.stat().st_mode) == 0o600
    assert stat.S_IMODE((router.root / "etc/algwatch/daemon").stat().st_mode) == 0o700
    assert stat.S_IMODE((router.root / "etc/algwatch").stat().st_mode) == 0o711
    assert read(router).mqtt_password == 'q"w e'


@pytest.mark.parametrize("password", ["'", '"', '"a"', "$(reboot)", "a\\b", "a=b # c", "`id`;*"])
def test_a_password_reaches_the_daemon_as_it_is(router: Router, password: str) -> None:
    quote = '"' if "'" in password else "'"
    router.options("option mqtt 'mqtts://b'", f"option mqtt_password {quote}{password}{quote}")
    router.do("start")
    assert read(router).mqtt_password == password


def test_a_value_cannot_bring_a_line_of_its_own(router: Router) -> None:
    router.options("option cpe 'a\\nuser = root'")
    calls = router.do("start")
    assert not told(calls, "procd_open_instance") and not router.conf.exists()
    assert "the setting cpe has a control character in it" in router.log


def test_every_key_that_is_written_is_one_of_the_daemon(router: Router) -> None:
    router.options("option cpe 'a'", "option boot_delay '60'", "list ports '5060'",
                   "option ring_bytes '262144'", "option mqtt 'mqtt://b'")  # fmt: skip
    router.do("start")
    lines = router.conf.read_text().splitlines()
    written = {line.split()[0] for line in lines if not line.startswith("#")}
    assert written <= set(KEYS)
    config = read(router)
    assert config.boot_delay == 60 and config.ports == [5060] and config.ring_bytes == 262144


def test_every_option_of_the_section_is_in_the_handbook() -> None:
    rules = (FILES / "algwatch.init").read_text().partition("RULES='")[2].partition("'")[0]
    page = (ROOT / "docs/install-openwrt.md").read_text()
    rows = "".join(line for line in page.splitlines() if line.startswith("| `"))
    told_of = set(re.findall(r"`(?:list )?([a-z_]+)`", rows))
    assert {rule.partition(":")[0] for rule in rules.split()} <= told_of


def test_a_disabled_service_says_so_and_starts_nothing(router: Router) -> None:
    router.options("option enabled '0'")
    calls = router.do("start")
    assert not told(calls, "procd_open_instance")
    assert "daemon.notice disabled in /etc/config/algwatch" in router.log


def test_without_its_configuration_file_it_says_what_to_do(router: Router) -> None:
    router.config("algwatch", None)
    calls = router.do("start")
    assert not told(calls, "procd_open_instance")
    assert "daemon.err /etc/config/algwatch is missing" in router.log


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("option enabled 'maybe'", "algwatch.main.enabled=maybe is not bool"),
        ("option boot_delay '99999'", "algwatch.main.boot_delay=99999 is not range(0,86400)"),
        ("option mqtt_ca '/no/such'", "algwatch.main.mqtt_ca=/no/such is not file"),
        ("option ring_bytes '1; reboot'", "ring_bytes=1; reboot is not range"),
    ],
)
def test_a_setting_that_is_not_valid_is_named(router: Router, line: str, named: str) -> None:
    router.options(line)
    calls = router.do("start")
    assert not told(calls, "procd_open_instance")
    assert named in router.log and router.log.count("\n") == 1


def test_a_wan_that_is_not_up_is_waited_for(router: Router) -> None:
    router.net(NET | {"wan": {"up": False, "device": "eth1"}})
    calls = router.do("start")
    assert not told(calls, "procd_open_instance")
    assert "no WAN interface is up (looked for: wan wan6): waiting for one" in router.log
    # It comes up: procd calls reload.
    assert ["interface.*.up", "5000", "/etc/init.d/algwatch", "reload"] in told(
        calls, "procd_add_raw_trigger"
    )
    router.net(NET | {"wan": {"up": True, "l3_device": "pppoe-wan", "device": "eth1"}})
    assert told(router.do("reload"), "procd_open_instance")
    assert read(router).wan == ["pppoe-wan"]


def test_a_side_that_goes_down_does_not_end_the_daemon(router: Router) -> None:
    router.do("start")
    router.net(NET | {"wan": {"up": False, "device": "eth1"}})
    assert told(router.do("reload"), "procd_open_instance")
    assert read(router).wan == ["eth1"]
    router.do("stop")
    assert not router.conf.exists()
    assert not told(router.do("start"), "procd_open_instance")


def test_nothing_is_written_that_did_not_change(router: Router) -> None:
    """procd restarts the daemon when the file's sum changes, and only then."""
    router.do("start")
    before = router.conf.read_text()
    calls = router.do("reload")
    assert router.conf.read_text() == before
    assert params(calls)["file"] == [str(router.conf)]
    assert ["algwatch", "firewall", "network"] in told(calls, "procd_add_reload_trigger")


def test_a_change_of_the_flow_offload_restarts_the_daemon(router: Router) -> None:
    router.do("start")
    before = router.conf.read_text()
    router.config("firewall", FIREWALL.replace("'REJECT'", "'REJECT'\n\toption syn_flood '1'"))
    router.do("reload")
    assert router.conf.read_text() == before
    router.config("firewall", FIREWALL.replace("'REJECT'", "'x'\n\toption flow_offloading_hw '1'"))
    router.do("reload")
    assert router.conf.read_text() != before


def test_a_disabled_service_forgets_what_it_watched(router: Router) -> None:
    router.do("start")
    router.options("option enabled '0'")
    router.do("reload")
    assert not router.conf.exists()


def test_a_star_is_no_pattern(router: Router) -> None:
    router.options("list wan '*'")
    assert not told(router.do("start"), "procd_open_instance")
    assert "* is no name of a network" in router.log


def test_every_zone_without_masquerading_is_a_lan_side(router: Router) -> None:
    router.config("firewall", FIREWALL + """
config zone
	option name 'voice'
	list network 'voip'
	list network 'lan'
""")  # fmt: skip
    router.net(NET | {"voip": {"up": True, "l3_device": "br-lan.7"}})
    router.do("start")
    assert read(router).lan == ["br-lan", "br-lan.7"]


def test_a_device_on_both_sides_is_the_wan(router: Router) -> None:
    router.config("firewall", FIREWALL.replace("'lan'\n\toption input", "'wan6'\n\toption input"))
    router.net(NET | {"wan6": {"up": True, "l3_device": "eth1"}})
    calls = router.do("start")
    assert not told(calls, "procd_open_instance")
    assert "no LAN interface is up" in router.log


def test_two_wans_are_both_watched(router: Router) -> None:
    router.config("firewall", FIREWALL.replace("'wan6'", "'wwan'"))
    router.net(NET | {"wwan": {"up": True, "l3_device": "wwan0"}})
    router.do("start")
    assert read(router).wan == ["eth1", "wwan0"]


def test_networks_and_devices_can_be_named(router: Router) -> None:
    router.options("list lan 'lan'", "list wan 'eth7'", "list wan '../../etc'", "list wan 'a b'")
    router.do("start")
    config = read(router)
    assert (config.lan, config.wan) == (["br-lan"], ["eth7"])
    assert "../../etc is no name of a network" in router.log


def test_without_ubus_or_firewall_it_says_what_it_looked_for(router: Router) -> None:
    router.net(None)
    router.config("firewall", None)
    assert not told(router.do("start"), "procd_open_instance")
    assert "no LAN interface is up (looked for: lan)" in router.log


def test_the_jail_shows_python_its_libraries_and_little_else(router: Router) -> None:
    router.jail()
    (router.root / "ca.pem").write_text("")
    router.options("option mqtt_ca '/ca.pem'")
    calls = router.do("start")
    assert told(calls, "procd_add_jail") == [["algwatch", "procfs", "sysfs"]]
    seen = [path for call in told(calls, "procd_add_jail_mount") for path in call]
    assert {"/lib", "/usr/lib", "/etc/passwd", str(router.conf)} <= set(seen)
    assert not {"/", "/etc", "/etc/shadow", "/tmp", "/var"} & set(seen)
    writable = [path for call in told(calls, "procd_add_jail_mount_rw") for path in call]
    # Not etc/algwatch itself: root trusts what `algwatch apply` keeps there.
    assert writable == [f"{router.root}/etc/algwatch/daemon", f"{router.root}/var/run/algwatch"]
    assert params(calls)["capabilities"][0].endswith("/etc/capabilities/algwatch.json")
    assert params(calls)["no_new_privs"] == ["1"]
    assert params(calls)["user"] == params(calls)["group"] == ["algwatch"]
    assert not read(router).user, "it is that user from the start"
    assert f"chown algwatch {router.conf}.new" in router.ran


def test_without_ujail_it_runs_and_says_so(router: Router) -> None:
    calls = router.do("start")
    assert told(calls, "procd_open_instance") and not told(calls, "procd_add_jail")
    assert "install procd-ujail" in router.log
    # It starts as root, and becomes the user by itself.
    assert read(router).user == "algwatch" and "user" not in params(calls)


@pytest.mark.parametrize("action", ["boot", "start"])
def test_an_unfinished_change_is_undone_first(router: Router, action: str) -> None:
    router.do(action)
    assert router.ran.splitlines()[0] == "algwatch rollback --if-unfinished"
    router.do("reload")
    assert "rollback" not in router.ran


def test_a_full_flash_is_told_and_nothing_started(router: Router) -> None:
    (router.root / "etc/algwatch").write_text("in the way of the folder")
    calls = router.do("start")
    assert not told(calls, "procd_open_instance")
    assert "is the flash full or read-only?" in router.log and router.log.count("\n") == 1
