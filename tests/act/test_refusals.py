# SPDX-License-Identifier: Apache-2.0
"""What apply refuses to do; nothing is changed each time."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from algwatch.kernel.flows import Flows
from algwatch.kernel.netlink import be32
from lab.home import Line, at_home
from lab.network import Network

from act.box import Box, line_of

CT_NEW, CTA_TIMEOUT = 1 << 8, 7  # <linux/netfilter/nfnetlink_conntrack.h>
QUICK = "apply", "--force", "--watch", "0", "--no-probe"


@pytest.fixture(scope="module")
def house() -> Iterator[Network]:
    with at_home() as net:
        yield net


@pytest.fixture
def box(house: Network, tmp_path: Path) -> Box:
    return Box(house, tmp_path)


@pytest.fixture
def line(box: Box) -> Iterator[Line]:
    one = line_of(box.net)
    yield one
    one.close()


def refused(box: Box, *words: str) -> str:
    before = box.look()
    assert box.type(*words) == 2, box.said
    assert box.look() == before
    assert not box.words()
    assert box.said.count("\n") == 1, box.said
    return box.said


def test_nothing_is_changed_without_evidence_or_force(box: Box, line: Line) -> None:
    assert "No running algwatch says that the SIP ALG does harm" in refused(box, "apply")


def status(box: Box, action: str, state: str, phone: str, why: str = "") -> None:
    advice = {"action": action, "state": state, "subject": f"{phone} and x", "for": [why]}
    whole = {"running": True, "at": time.time(), "advice": [advice]}
    folder = box.root / "var/run/algwatch"
    folder.mkdir(exist_ok=True)
    (folder / "status.json").write_text(json.dumps(whole))


def test_a_line_that_needs_the_alg_is_named(box: Box, line: Line) -> None:
    why = "The phone 10.0.0.9 does not ask for rport."
    status(box, "keep-sip-alg", "recommended", "10.0.0.9", why)
    assert why in refused(box, "apply")
    assert box.type("apply", "--only", line.ip, "--watch", "0") == 0, box.said


def test_with_the_advice_of_the_daemon_no_force_is_needed(box: Box, line: Line) -> None:
    status(box, "disable-sip-alg", "recommended", line.ip)
    assert box.type("apply", "--watch", "0", "--no-probe") == 0, box.said


def test_a_suspicion_is_not_enough_without_a_trial(box: Box, line: Line) -> None:
    status(box, "disable-sip-alg", "suspected", line.ip)
    assert "try one phone with --only" in refused(box, "apply")
    (box.changes).mkdir(parents=True, exist_ok=True)
    (box.changes / "state").write_text(f"1 verified 1796000000 {line.ip}\n")
    assert box.type("apply", "--watch", "0", "--no-probe") == 0, box.said


def test_a_phone_without_keep_alive_is_told_by_its_silence(box: Box, line: Line) -> None:
    """Its mapping lives an hour with the helper; the test gives it half of that to live."""
    status(box, "disable-sip-alg", "recommended", line.ip)
    with box.net.router, Flows() as flows:
        (flow,) = flows.helped()
        flows._ask(CT_NEW, flow.family, flow.key(with_id=False) + be32(CTA_TIMEOUT, 1800))
    said = refused(box, "apply")
    assert f"{line.ip} was silent for 180" in said and "without it 180 s" in said


def test_a_call_that_is_up_is_not_disturbed(box: Box, line: Line) -> None:
    line.call(box.net)
    assert f"a call is up at {line.ip}" in refused(box, *QUICK)


def test_a_game_looks_like_a_call_until_it_is_forced(box: Box, line: Line) -> None:
    status(box, "disable-sip-alg", "recommended", line.ip)
    with box.net.phone.udp(line.ip, 40000) as game:
        game.sendto(b"x", (box.net.draw.far_ips[0], 40001))
    assert f"a call is up at {line.ip}" in refused(box, "apply", "--watch", "0")
    assert box.type(*QUICK) == 0, box.said


def test_what_cannot_be_watched_is_told_before(box: Box, line: Line) -> None:
    said = refused(box, "apply", "--force", "--wan", "nothere")
    assert "nothing can be watched" in said and "nothere" in said


@pytest.mark.parametrize("phone", ["0.0.0.0", "255.255.255.255", "224.0.0.1", "127.0.0.1", "::",
                                   "192.168.001.020", "::ffff:10.0.0.1", "fe80::1%br-lan",
                                   "x'; rm -rf /"])  # fmt: skip
def test_a_trial_is_made_with_a_phone(box: Box, phone: str) -> None:
    assert "that is no" in refused(box, "apply", "--only", phone, "--watch", "0")


def test_a_trial_is_made_with_a_phone_of_the_lan(box: Box, line: Line) -> None:
    draw = box.net.draw
    for phone, why in (
        (draw.router_ip, "this router itself"),
        (f"{draw.lan.broadcast_address}", "a whole network"),
        (draw.provider_ip, "no network of this router"),
    ):
        assert why in refused(box, "apply", "--only", phone, "--watch", "0")


def test_two_applies_do_not_run_together(box: Box, line: Line) -> None:
    wait = box.start("apply", "--force", "--no-probe")
    box.until("watch")
    other = Box.__new__(Box)
    other.__dict__.update(box.__dict__)
    assert other.type("rollback") == 2 and "is at work" in other.said
    line.register()
    assert wait() == 0, box.said


def test_a_folder_that_cannot_be_made_is_told(box: Box, line: Line) -> None:
    box.changes.parent.parent.mkdir(parents=True, exist_ok=True)
    box.changes.parent.write_text("a file where the folder should be")
    before = box.look()
    assert box.type(*QUICK) == 2
    assert "nothing was changed" in box.said and box.said.count("\n") == 1
    assert box.look() == before


def test_a_router_without_the_helper_is_left_alone(box: Box) -> None:
    box.net.router.run("nft", "flush", "chain", "inet", "fw4", "helper_lan")
    assert "no loaded rule sets the SIP helper" in refused(box, *QUICK)


@pytest.mark.parametrize("behind", ["udp dport 5060 drop", "meta mark set 7"])
def test_a_trial_does_not_take_other_rules_from_a_phone(box: Box, line: Line, behind: str) -> None:
    """`return` would: the phone would get past the rule that drops."""
    box.net.router.run("nft", "-f", "-", text=f"add rule inet fw4 helper_lan {behind}\n")
    before = box.look()
    assert box.type("apply", "--only", line.ip, "--watch", "0") == 1, box.said
    assert "cannot be left out without them" in box.said
    assert box.look() == before


def test_a_comment_about_the_helper_sets_none(box: Box, line: Line) -> None:
    rule = 'insert rule inet fw4 helper_lan tcp dport 1 drop comment "not ct helper set sip here"'
    box.net.router.run("nft", "-f", "-", text=f"{rule}\n")
    assert box.type(*QUICK) == 0, box.said
    assert "tcp dport 1 drop" in box.look()[1]
    assert box.type("rollback") == 0, box.said
    assert box.type("apply", "--only", line.ip, "--watch", "0") == 0, box.said
    assert box.look()[1].count("algwatch-change-2") == 1


def test_a_rule_by_a_map_is_not_touched(box: Box, line: Line) -> None:
    rule = 'ct helper set udp dport map { 5060 : "sip" }'
    box.net.router.run("nft", "-f", "-", text=f"add rule inet fw4 helper_lan {rule}\n")
    assert "map" in refused(box, *QUICK)


def test_a_file_that_somebody_else_changed_since_is_kept(box: Box, line: Line) -> None:
    before = box.config.read_bytes()
    assert box.type(*QUICK) == 0, box.said
    box.config.write_bytes(box.config.read_bytes() + b"# theirs\n")
    box.net.router.run("nft", "add", "table", "ip", "theirs")
    assert box.type("rollback") == 0, box.said
    assert "was changed by somebody else" in box.said and "somebody else changed it" in box.said
    assert box.config.read_bytes() == before + b"# theirs\n"
    assert not line.register(), "the helper is back"


def test_with_any_room_on_the_disk_it_is_done_or_undone(box: Box, line: Line) -> None:
    folder = box.changes.parent
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)]
    if subprocess.run(mount, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        ended = set()
        for pages in range(1, 8):
            before = box.look()
            (folder / "fill").write_bytes(bytes(65536 - 4096 * pages))
            status = box.type(*QUICK)
            ended.add(status)
            assert status in (0, 1, 2), box.said
            (folder / "fill").unlink()
            assert (box.look() == before) == (status != 0), (pages, box.said)
            assert box.type("rollback") == 0, box.said
            assert box.look() == before
            shutil.rmtree(box.changes)
            line.register()
        assert ended == {0, 1, 2}, "room for nothing, for some steps, for all"
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_file_system_that_is_read_only_is_told(box: Box, line: Line) -> None:
    folder = box.changes.parent
    folder.mkdir(parents=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", str(folder)]).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        assert "Read-only file system: nothing was changed" in refused(box, *QUICK)
        assert box.type("rollback", "--if-unfinished") == 0, box.said
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("words", [(), ("--watch", "0")])
def test_a_trial_is_with_an_address_that_a_phone_may_have(box: Box, words: tuple[str, ...]) -> None:
    router = box.net.draw.router_ip
    said = refused(box, "apply", "--only", router, *words)
    assert "that is this router itself" in said
    whole = router.rpartition(".")[0] + ".255"
    assert "of a whole network" in refused(box, "apply", "--only", whole, *words)
    assert "no network of this router" in refused(box, "apply", "--only", "8.8.8.8", *words)
    gateway = box.net.draw.gateway_ip
    assert "side of the provider" in refused(box, "apply", "--only", gateway, *words)
    assert "--lan" in refused(box, "apply", "--only", "fd00::2", *words)


def test_a_trial_is_made_once_and_again_when_a_reload_has_ended_it(box: Box, line: Line) -> None:
    trial = "apply", "--only", line.ip, "--watch", "0"
    assert box.type(*trial) == 0, box.said
    before = box.look()
    assert box.type(*trial) == 2, box.said
    assert "change 1 is this trial, and in force" in box.said
    assert box.look() == before
    box.load()
    assert box.type(*trial) == 0, box.said


def test_a_rollback_tells_what_is_still_in_force(box: Box, line: Line) -> None:
    assert box.type("apply", "--only", line.ip, "--watch", "0") == 0, box.said
    assert box.type(*QUICK) == 0, box.said
    assert box.type("rollback") == 0, box.said
    assert "change 1 is still in force" in box.said
    assert box.type("rollback") == 0, box.said
    assert "still in force" not in box.said


def test_a_dry_run_of_a_trial_names_no_rule_that_goes(box: Box, line: Line) -> None:
    before = box.look()
    assert box.type("apply", "--dry-run", "--only", line.ip) == 0, box.said
    assert "goes:" not in box.said and f"leaves {line.ip} out" in box.said
    assert box.type("apply", "--dry-run") == 0 and "goes:" in box.said
    assert box.look() == before


def test_a_helper_by_port_is_no_helper_that_is_off(box: Box) -> None:
    """Before Linux 6.0 net.netfilter.nf_conntrack_helper = 1 needs no rule."""
    box.net.router.run("nft", "flush", "chain", "inet", "fw4", "helper_lan")
    sysctl = box.root / "proc/sys/net"
    sysctl.unlink()
    (sysctl / "netfilter").mkdir(parents=True)
    (sysctl / "netfilter/nf_conntrack_helper").write_text("1\n")
    assert "nf_conntrack_helper=0" in refused(box, *QUICK)


def test_an_option_with_a_wrong_number_is_named(box: Box) -> None:
    assert "argument --wait: 'x' is not a number of seconds" in refused(box, "apply", "--wait", "x")


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_an_output_that_cannot_be_written_changes_no_exit_status(
    box: Box, line: Line, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """2 would mean that nothing was changed."""
    be = Box._be_algwatch

    def deaf(self: Box, out: int, *more: Any) -> None:
        be(self, os.open("/dev/full", os.O_WRONLY), *more)

    monkeypatch.setattr(Box, "_be_algwatch", deaf)
    assert box.type(*QUICK, *words) == 0
    assert box.words()[-1] == "applied"


def test_verify_says_that_it_knows_no_phone(box: Box) -> None:
    box.net.forget_flows()
    assert box.type(*QUICK) == 0, box.said
    assert box.type("verify") == 2
    assert "change 1 is in force, and no phone had the SIP helper" in box.said
