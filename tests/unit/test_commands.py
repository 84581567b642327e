# SPDX-License-Identifier: Apache-2.0
"""The lines to type on OpenWrt, typed into real shells on the stand-ins."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from algwatch.advise.commands import UNDO, by_algwatch, disable_on_openwrt, try_on_openwrt
from openwrt.router import PHONE, STOCK, Router
from test_platforms import CASES, HELPER, ZONES, all_helpers, lan, zone

LINES = disable_on_openwrt(PHONE)
BACKUP = "etc/config/firewall.before-algwatch"
REDIRECTED = "fw3 and a redirect to 5060", "fw3 and a redirect that names it"


@pytest.mark.parametrize("name", [name for name in CASES if name not in REDIRECTED])
def test_typed_they_do_what_the_plan_does(name: str, tmp_path: Path) -> None:
    config, release, zones = CASES[name]
    router = Router(tmp_path, config, release)
    before = all_helpers(router)
    said = router.type(LINES).stdout
    assert all_helpers(router) == {
        zone: [one for one in before[zone] if one != "sip" or zone not in zones] for zone in ZONES
    }, said
    assert (tmp_path / BACKUP).read_text() == config
    assert router.config.read_text() != config and not router.trial.exists()
    assert not router.here("uci", "changes", "firewall")
    router.type(UNDO)
    assert router.config.read_text() == config and not (tmp_path / BACKUP).exists()
    assert all_helpers(router) == before


def unchanged(router: Router, why: str, lines: list[str] = LINES) -> None:
    config, live = router.config.read_text(), router.programs.live()
    said = router.type(lines)
    assert f"Nothing was changed: {why}" in said.stdout, (said.stdout, said.stderr)
    assert router.config.read_text() == config and router.programs.live() == live
    assert not router.trial.exists() and not (router.root / f"{BACKUP}.new").exists()


@pytest.mark.parametrize("name", REDIRECTED)
def test_a_port_forwarding_that_gets_the_helper_by_itself_is_told(
    name: str, tmp_path: Path
) -> None:
    unchanged(Router(tmp_path, *CASES[name][:2]), "fw3 gives it to this port forwarding")


def test_changes_of_others_that_wait_are_not_committed_along(tmp_path: Path) -> None:
    router = Router(tmp_path)
    router.here("uci", "set", "firewall.@zone[1].masq=0")
    unchanged(router, "these changes wait for uci commit")
    assert router.here("uci", "changes", "firewall") == "firewall.cfg03dc81.masq='0'\n"
    router.here("uci", "revert", "firewall")
    (tmp_path / "var/run/rpcd/uci-0a1b").mkdir()
    file = tmp_path / "var/run/rpcd/uci-0a1b/firewall"
    file.write_text("firewall.cfg03dc81.masq='0'\n")
    unchanged(router, "these changes wait, of LuCI")
    file.write_text("")  # taken back in LuCI
    assert "gives SIP no helper any more" in router.type(LINES).stdout


def test_a_trial_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    router = Router(tmp_path)
    router.trial.parent.mkdir()
    router.trial.write_text(lan("option masq 1"))
    router.type(LINES)
    assert router.trial.read_text() == lan("option masq 1")
    assert router.config.read_text() == STOCK


def test_a_check_that_fails_comes_before_the_commit_and_is_seen(tmp_path: Path) -> None:
    router = Router(tmp_path)
    (tmp_path / "etc/nftables.d/mine.nft").write_text("broken")
    unchanged(router, "the check failed")
    assert "syntax error in mine.nft" in router.type(LINES).stdout
    assert not router.here("uci", "changes", "firewall")


def test_a_file_that_uci_cannot_read_is_not_loaded(tmp_path: Path) -> None:
    router = Router(tmp_path)
    router.config.write_text(STOCK + "config zone 'x\n")
    unchanged(router, "uci cannot read")


@pytest.mark.parametrize("release", ["24.10", "23.05", "21.02"])
def test_a_reload_that_does_not_take_it_puts_the_configuration_back(
    release: str, tmp_path: Path
) -> None:
    router = Router(tmp_path, release=release)
    (tmp_path / "run/reload-fails").touch()
    unchanged(router, "the loaded rules are not right")


@pytest.mark.parametrize("routes", [{}, {PHONE: "pppoe-wan"}, {PHONE: "eth9"}])
def test_a_phone_that_is_not_behind_a_zone_with_the_helper_changes_nothing(
    routes: dict[str, str], tmp_path: Path
) -> None:
    unchanged(Router(tmp_path, routes=routes), "")


def test_a_rule_that_nothing_in_the_zone_explains_is_not_worked_around(tmp_path: Path) -> None:
    config = lan("option auto_helper 0") + HELPER.format("lan", 6969, "tftp")
    config += zone("lan", "guest", "list helper 'sip'")
    unchanged(Router(tmp_path, config, "21.02"), "other rules would change, too")


def test_what_is_off_until_a_restart_only_is_undone_as_well(tmp_path: Path) -> None:
    router = Router(tmp_path)
    full = [line.replace("cp -p $t $f.new", "false") for line in LINES]
    assert full != LINES
    assert "Off until a restart only" in router.type(full).stdout
    assert router.helpers() == ["ftp", "tftp"] and router.trial.exists()
    router.type(UNDO)
    assert router.helpers() == ["ftp", "sip", "tftp"] and not router.trial.exists()
    assert router.config.read_text() == STOCK


def test_the_first_copy_is_never_overwritten(tmp_path: Path) -> None:
    router = Router(tmp_path)
    router.type(LINES)
    unchanged(router, "zone lan gives SIP no helper")
    router.config.write_text(lan("list helper 'sip'"))
    router.here("fw4", "reload")
    router.type(LINES)
    assert router.helpers() == [] and (tmp_path / BACKUP).read_text() == STOCK


@pytest.mark.parametrize("shell", ["busybox sh", "bash", "bash -i"])
def test_other_shells_do_the_same(shell: str, tmp_path: Path) -> None:
    assert shutil.which(shell.split()[0]), "apt-get install busybox"
    router = Router(tmp_path)
    said = router.type(LINES, shell)
    assert router.helpers() == ["ftp", "tftp"], (said.stdout, said.stderr)


def test_the_stand_ins_as_programs_do_the_same(tmp_path: Path) -> None:
    router = Router(tmp_path)
    router.type(LINES, quick=False)
    assert router.helpers() == ["ftp", "tftp"]


def test_half_of_the_lines_do_nothing(tmp_path: Path) -> None:
    router = Router(tmp_path)
    for count in range(1, len(LINES) - 4):
        router.type(LINES[:count])
    assert router.config.read_text() == STOCK and router.helpers() == ["ftp", "sip", "tftp"]


@pytest.mark.parametrize("release", ["24.10", "21.02"])
def test_a_trial_changes_the_live_rules_for_one_phone_only(release: str, tmp_path: Path) -> None:
    router = Router(tmp_path, release=release)
    live = router.programs.live()
    said = router.type(try_on_openwrt(PHONE)).stdout
    assert f"New flows of {PHONE} get no helper" in said
    assert router.config.read_text() == STOCK
    if release == "24.10":
        first = router.programs.live()["chains"]["helper_lan"][0]["text"]
        assert first == f"ip saddr {PHONE} udp dport 5060 return"
    else:
        line = next(one for one in router.programs.live()["4"] if one.startswith("-A"))
        assert line == f"-A zone_lan_helper -s {PHONE} -p udp --dport 5060 -j RETURN"
    router.here("fw3", "reload")
    assert router.programs.live() == live


def test_a_trial_where_there_is_no_helper_says_that_nothing_was_changed(tmp_path: Path) -> None:
    router = Router(tmp_path, lan("option auto_helper 0"))
    live = router.programs.live()
    assert "Nothing was changed" in router.type(try_on_openwrt(PHONE)).stdout
    assert router.programs.live() == live


def test_live_entries_of_both_directions_go_or_all_of_the_phone_do(tmp_path: Path) -> None:
    router = Router(tmp_path)
    router.type(LINES[-4:])
    assert (tmp_path / "proc/net/nf_conntrack").read_text() == f"{PHONE}\n"
    program = tmp_path / "usr/sbin/conntrack"
    program.touch()
    program.chmod(0o755)
    router.type(LINES[-4:])
    assert (tmp_path / "run/conntrack.log").read_text().splitlines() == [
        f"-D -f ipv4 -p {protocol} {way}"
        for protocol in ("udp", "tcp")
        for way in (f"-s {PHONE} --dport 5060", f"-r {PHONE} --sport 5060")
    ]


def test_an_address_of_ipv6_is_asked_for_as_such() -> None:
    text = " ".join(disable_on_openwrt("2001:db8::10") + try_on_openwrt("2001:db8::10"))
    assert "ip6 saddr 2001:db8::10" in text and "-f ipv6" in text and "ip6tables" in text
    assert "-f ipv4" not in text


@pytest.mark.parametrize("phone", ["", "fd::1; reboot", "$(reboot)", "1.2.3", "a b", "fe80::1%x'"])
def test_nothing_but_an_address_comes_into_a_line(phone: str) -> None:
    for lines in disable_on_openwrt(phone), try_on_openwrt(phone), by_algwatch(phone, True):
        assert lines == []


def test_the_lines_can_be_copied_from_a_log_and_from_json() -> None:
    for lines in LINES, try_on_openwrt(PHONE), by_algwatch(PHONE, False), list(UNDO):
        assert not any(letter in line for line in lines for letter in '"\\\t')
        assert all(len(line) <= 140 and line.isascii() for line in lines)
