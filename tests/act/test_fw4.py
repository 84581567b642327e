# SPDX-License-Identifier: Apache-2.0
"""apply and rollback on OpenWrt: uci and fw4 are stand-ins, nft and the kernel are real."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab.home import Line, at_home
from lab.network import Network
from sample import some

from act.box import line_of
from act.openwrt_box import OpenWrtBox

QUICK = "apply", "--force", "--watch", "0", "--no-probe"


@pytest.fixture(scope="module")
def house() -> Iterator[Network]:
    with at_home() as net:
        yield net


@pytest.fixture(params=["24.10", "23.05"])
def box(house: Network, tmp_path: Path, request: pytest.FixtureRequest) -> OpenWrtBox:
    return OpenWrtBox(house, tmp_path, request.param)


@pytest.fixture
def new(house: Network, tmp_path: Path) -> OpenWrtBox:
    """Where the release makes no difference."""
    return OpenWrtBox(house, tmp_path)


@pytest.fixture
def line(box: OpenWrtBox) -> Iterator[Line]:
    one = line_of(box.net)
    yield one
    one.close()


def test_the_zone_loses_the_helper_and_a_reboot_keeps_that(box: OpenWrtBox, line: Line) -> None:
    assert box.type(*QUICK) == 0, box.said
    assert line.register(), line.arrived
    assert b"auto_helper '0'" in box.config.read_bytes()
    assert not (box.root / "var/run/uci/firewall").exists()
    box.boot()
    assert box.type("rollback", "--if-unfinished") == 0, box.said
    assert line.register()


def test_a_rollback_puts_the_file_back_with_its_comments(box: OpenWrtBox, line: Line) -> None:
    before = box.look()
    assert b"# Uncomment this line" in before[0]
    assert box.type(*QUICK) == 0, box.said
    assert box.type("rollback") == 0, box.said
    assert box.look() == before
    assert not line.register()


# "before" a step: the work of the step before is done; "after": the work of this one is not.
KILLS = {
    "24.10": ("edit:after", "commit:before", "commit:after", "reload:before", "keep:before",
              "keep:after"),
    "23.05": ("commit:before", "reload:before"),
}  # fmt: skip


def killed_and_undone(box: OpenWrtBox, kill: str, reboot: bool) -> bool:
    """False: it was not killed, because there are no so many programs."""
    before = box.look()
    status = box.type(*QUICK, kill=kill)
    if status == 0:
        return False
    assert status == -9, box.said
    if reboot:
        box.boot()
    assert box.type("rollback", "--if-unfinished") == 0, (kill, box.said)
    (config, loaded), rules = box.look(), before[1]
    assert config == before[0], kill
    if reboot:  # the ruleset was loaded anew: fw4 empties chains and leaves them where they are
        loaded, rules = ("\n".join(sorted(text.splitlines())) for text in (loaded, rules))
    assert loaded == rules, kill
    assert not (box.root / "var/run/uci/firewall").exists(), kill
    assert box.router.run("uci", "changes") == "", kill
    return True


@pytest.mark.parametrize("reboot", [False, True], ids=["next start", "reboot"])
def test_a_kill_at_any_step_is_undone(box: OpenWrtBox, line: Line, reboot: bool) -> None:
    for kill in KILLS[box.release][reboot::2]:
        line.register()
        assert killed_and_undone(box, kill, reboot), kill


PROGRAMS = 16  # that an apply runs at least


@pytest.mark.parametrize("reboot", [False, True], ids=["next start", "reboot"])
def test_a_kill_before_any_program_is_undone(box: OpenWrtBox, line: Line, reboot: bool) -> None:
    for number in some(range(1, PROGRAMS + 1), PROGRAMS):
        line.register()
        assert killed_and_undone(box, f"program:{number}", reboot), number


def test_a_trial_on_one_phone_touches_no_file(new: OpenWrtBox) -> None:
    line = line_of(new.net)
    before = new.look()
    assert new.type("apply", "--only", line.ip, "--watch", "0") == 0, new.said
    assert line.register(), line.arrived
    assert new.config.read_bytes() == before[0]
    assert new.type("rollback") == 0, new.said
    assert new.look() == before
    line.close()


def test_what_others_commit_meanwhile_stays(box: OpenWrtBox, line: Line) -> None:
    assert box.type(*QUICK) == 0, box.said
    box.router.run("uci", "set", "firewall.@zone[1].mtu_fix=0")
    box.router.run("uci", "commit", "firewall")
    assert box.type("rollback") == 0, box.said
    config = box.config.read_bytes()
    assert b"mtu_fix '0'" in config and b"auto_helper" not in config
    assert "changes that others made" in box.said


@pytest.mark.parametrize("killed", [False, True], ids=["", "after a rollback was killed"])
def test_what_others_have_not_committed_waits_as_before(
    box: OpenWrtBox, line: Line, killed: bool
) -> None:
    assert box.type(*QUICK) == 0, box.said
    before = box.config.read_bytes()
    box.router.run("uci", "set", "firewall.@zone[1].masq=0")
    if killed:
        (box.root / "tmp/.uci/firewall").rename(box.root / "tmp/.uci-algwatch")
        box.router.run("uci", "set", "firewall.@zone[1].mtu_fix=0")
    assert box.type("rollback") == 0, box.said
    after = box.config.read_bytes()
    assert after != before
    assert b"masq '0'" not in after and b"mtu_fix '0'" not in after and b"auto_helper" not in after
    waits = box.router.run("uci", "changes", "firewall")
    assert "masq" in waits and ("mtu_fix" in waits) == killed
    assert not (box.root / "tmp/.uci-algwatch").exists()


def test_a_rollback_that_cannot_read_the_ruleset_says_so(box: OpenWrtBox, line: Line) -> None:
    assert box.type(*QUICK) == 0, box.said
    nft = box.root / "bin/nft"
    nft.write_text('#!/bin/sh\n[ "$1" = -s ] && { echo out of memory >&2; exit 1; }\n'
                   'exec /usr/sbin/nft "$@"\n')  # fmt: skip
    nft.chmod(0o755)
    assert box.type("rollback") == 4, box.said
    assert "whether all of it is back cannot be told" in box.said and "out of memory" in box.said
    nft.unlink()
    assert box.type("rollback", "--if-unfinished") == 0, box.said
    assert box.words()[-1] == "rolled-back"


def test_what_others_commit_during_a_trial_goes_to_flash(house: Network, tmp_path: Path) -> None:
    box = OpenWrtBox(house, tmp_path, "24.10")
    line = line_of(box.net)
    assert box.type(*QUICK, kill="live:after") == -9, box.said
    box.router.run("uci", "set", "firewall.@zone[1].mtu_fix=0")
    box.router.run("uci", "commit", "firewall")
    assert b"mtu_fix\t\t1" in box.config.read_bytes(), "it went to the file on tmpfs"
    assert box.type("rollback", "--if-unfinished") == 0, box.said
    config = box.config.read_bytes()
    assert b"mtu_fix '0'" in config and b"auto_helper" not in config
    assert not (box.root / "var/run/uci/firewall").exists()
    line.close()


@pytest.mark.parametrize("where", ["tmp/.uci", "var/run/rpcd/uci-0123"])
def test_changes_of_others_that_wait_are_a_reason_to_refuse(new: OpenWrtBox, where: str) -> None:
    folder = new.root / where
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "firewall").write_text("firewall.cfg02dc81.masq='1'\n")
    before = new.look()
    assert new.type(*QUICK) == 2, new.said
    assert "other changes of the firewall wait" in new.said
    assert new.look() == before and not new.words()
    (folder / "firewall").unlink()


def test_a_zone_that_others_add_while_a_call_is_waited_for_is_not_changed(
    new: OpenWrtBox,
) -> None:
    """The plan names zones by their number."""
    line = line_of(new.net)
    line.call(new.net)
    wait = new.start(*QUICK, "--wait", "30")
    time.sleep(1.5)
    zone = "config zone\n\toption name\tguest\n\tlist network\tguest\n\n"
    new.config.write_text(new.config.read_text().replace("config zone", zone + "config zone", 1))
    before = new.look()
    line.hang_up()
    new.net.forget_flows()
    assert wait() == 2, new.said
    assert "changed the firewall's configuration meanwhile" in new.said
    assert new.look() == before and not new.words()
    line.close()


def test_changes_that_others_make_in_the_last_moment_are_not_committed(new: OpenWrtBox) -> None:
    line = line_of(new.net)
    folder = new.root / "tmp/.uci"
    folder.mkdir(parents=True, exist_ok=True)
    (new.root / "bin/nft").write_text(  # the ruleset is listed once to plan, and then to save
        '#!/bin/sh\n[ "$1" = -s ] && '
        f'echo "firewall.cfg02dc81.masq=\'1\'" >{folder}/firewall\nexec /usr/sbin/nft "$@"\n'
    )
    (new.root / "bin/nft").chmod(0o755)
    before = new.look()
    assert new.type(*QUICK) == 1, new.said
    assert "wait that somebody else made just now (uci)" in new.said
    assert "commit" not in new.words() and new.look() == before
    assert "masq" in new.router.run("uci", "changes", "firewall"), "theirs waits as before"
    line.close()


def test_a_check_that_fails_comes_before_the_commit(new: OpenWrtBox) -> None:
    before = new.look()
    (new.root / "etc/nftables.d/x.nft").write_text("broken")
    assert new.type(*QUICK) == 1, new.said
    assert "commit" not in new.words() and new.look() == before
    assert new.router.run("uci", "changes") == ""
