# SPDX-License-Identifier: Apache-2.0
"""The stand-ins for OpenWrt's programs are strict, and behave as the real ones were seen to."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from openwrt.router import STOCK, Router


def status(router: Router, *words: str) -> int:
    return subprocess.run(
        [router.root / "bin" / words[0], *words[1:]],
        env=router.environment, capture_output=True, check=False,
    ).returncode  # fmt: skip


def test_changes_wait_until_commit_which_takes_comments_away(tmp_path: Path) -> None:
    router = Router(tmp_path)
    router.run("uci", "set", "firewall.@zone[0].auto_helper=0")
    assert router.config.read_text() == STOCK
    assert router.run("uci", "changes", "firewall") == "firewall.cfg02dc81.auto_helper='0'\n"
    assert 'ct helper set "sip"' not in router.run("fw4", "print")
    assert router.helpers() == ["ftp", "sip", "tftp"]
    router.run("uci", "commit", "firewall")
    assert "#" not in router.config.read_text()
    router.run("fw4", "reload")
    assert router.helpers() == []


def test_the_file_on_tmpfs_is_read_and_written_from_24_10_on(tmp_path: Path) -> None:
    for release, where in ("23.05", "etc/config"), ("24.10", "var/run/uci"):
        router = Router(tmp_path / release, release=release)
        router.trial.parent.mkdir()
        router.trial.write_text(STOCK)
        router.run("uci", "set", "firewall.@zone[0].auto_helper=0")
        router.run("uci", "commit", "firewall")
        for path in router.config, router.trial:
            assert ("auto_helper" in path.read_text()) == (where in str(path))


def test_a_file_that_uci_cannot_read_passes_the_check_and_closes_the_router(tmp_path: Path) -> None:
    router = Router(tmp_path)
    router.config.write_text(STOCK + "nonsense\n")
    assert status(router, "uci", "show", "firewall") == 1
    assert status(router, "fw4", "-q", "check") == 0
    router.run("fw4", "reload")
    assert router.programs.live()["zones"] == 0


def test_fw3_gives_a_redirect_to_5060_the_helper_whatever_the_zone_says(tmp_path: Path) -> None:
    redirect = "\nconfig redirect\n\toption src wan\n\toption proto udp\n\toption src_dport 5060\n"
    off = STOCK.replace("\t\twan\n\tlist", "\t\twan\n\toption auto_helper 0\n\tlist")
    assert Router(tmp_path / "1", off + redirect, "21.02").helpers("wan") == ["sip"]
    off = STOCK.replace("defaults\n", "defaults\n\toption auto_helper 0\n")
    assert Router(tmp_path / "2", off + redirect, "21.02").helpers("wan") == []


@pytest.mark.parametrize("words", [
    ["uci", "import"], ["uci", "-S", "show"], ["fw4", "network", "lan"],
    ["nft", "flush", "ruleset"], ["ip", "addr"], ["ubus", "list"], ["nft", "-f", "x"],
])  # fmt: skip
def test_what_a_stand_in_does_not_know_fails(tmp_path: Path, words: list[str]) -> None:
    assert status(Router(tmp_path), *words) == 99


def test_an_option_that_the_stand_in_does_not_know_fails(tmp_path: Path) -> None:
    router = Router(tmp_path)
    router.config.write_text(STOCK.replace("masq\t", "log_limit "))
    assert status(router, "fw4", "print") == 99
