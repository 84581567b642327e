# SPDX-License-Identifier: Apache-2.0
"""What apply and verify see of the phones afterwards, and what they do then."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from algwatch.act.ruleset import plain
from lab.home import Line, at_home
from lab.network import Network

from act.box import Box, line_of


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


def test_a_phone_that_registers_unrewritten_is_enough_to_keep_the_change(
    box: Box, line: Line
) -> None:
    wait = box.start("apply", "--force", "--no-probe")
    box.until("watch")
    assert line.register()
    assert wait() == 0, box.said
    assert box.words()[-2:] == ["keep", "applied"]
    assert f"{line.ip} registered with nothing rewritten" in box.said


def test_a_phone_that_goes_silent_takes_everything_back(box: Box, line: Line) -> None:
    before = box.look()
    wait = box.start("apply", "--force", "--no-probe", "--watch", "60")
    box.until("watch")
    line.expires = 2
    assert line.register()
    assert wait() == 1, box.said
    assert f"{line.ip} was silent for 3 s" in box.said
    assert box.look() == before
    assert box.words()[-1] == "rolled-back"


def test_a_trial_on_one_phone_is_verified_by_its_call(box: Box, line: Line) -> None:
    before = box.look()
    assert box.type("apply", "--only", line.ip, "--watch", "0") == 0, box.said
    wait = box.start("verify", "--watch", "60")
    box.heard("watching")
    line.register()
    line.call(box.net)
    line.hang_up()
    assert wait() == 0, box.said
    assert box.words()[-1] == "verified"
    line.close()
    other = Line(box.net, box.net.draw.other_ip)
    assert not other.register(), "the other phone keeps the helper"
    other.close()
    box.net.forget_flows()  # a call that ended just now would be waited for
    assert box.type("rollback") == 0, box.said
    assert plain(box.look()[1]) == plain(before[1])


def test_a_trial_that_a_reload_has_ended_is_not_verified(box: Box, line: Line) -> None:
    """Its flow goes on without the helper, and would register unrewritten."""
    assert box.type("apply", "--only", line.ip, "--watch", "0") == 0, box.said
    box.load()
    assert box.type("verify", "--watch", "5") == 2, box.said
    assert f"the rule for {line.ip} is not loaded any more" in box.said
    assert box.words()[-1] == "applied"
    assert box.type("rollback") == 0, box.said
    assert not line.register()


def test_a_helper_that_is_set_again_is_not_verified(box: Box, line: Line) -> None:
    assert box.type("apply", "--force", "--no-probe", "--watch", "0") == 0, box.said
    rule = 'udp dport 5060 ct helper set "sip"'
    box.net.router.run("nft", "-f", "-", text=f"add rule inet fw4 helper_lan {rule}\n")
    assert box.type("verify", "--watch", "5") == 2, box.said
    assert "sets the SIP helper again" in box.said


def test_whoever_interrupts_the_watching_gets_everything_back(box: Box, line: Line) -> None:
    before = box.look()
    wait = box.start("apply", "--force", "--no-probe")
    box.until("watch")
    os.kill(box.pid, signal.SIGINT)
    assert wait() == 1, box.said
    assert box.look() == before


def test_what_was_not_heard_in_time_is_not_known(box: Box, line: Line) -> None:
    assert box.type("apply", "--force", "--no-probe", "--watch", "1") == 3, box.said
    assert f"not heard yet: {line.ip}" in box.said
    assert box.words()[-2:] == ["watch", "applied"]
    box.boot()
    assert box.type("rollback", "--if-unfinished") == 0
    assert box.words()[-1] == "rolled-back", "a reboot undid it"


def watcher_of(pid: int) -> str:
    """/proc/PID/status of its child."""
    child = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()
    for one in child:
        status = Path(f"/proc/{one}/status").read_text()
        if "Uid:\t65534" in status:
            return status
    return ""


def test_whoever_reads_packets_can_do_nothing_else(box: Box, line: Line) -> None:
    wait = box.start("apply", "--force", "--no-probe")
    box.until("watch")
    end = time.monotonic() + 10
    while not (status := watcher_of(box.pid)) and time.monotonic() < end:
        time.sleep(0.05)
    assert "CapEff:\t0000000000002000" in status, "CAP_NET_RAW alone"
    assert "NoNewPrivs:\t1" in status
    line.register()
    assert wait() == 0, box.said


def test_an_apply_that_dies_while_it_watches_is_undone_at_once(box: Box, line: Line) -> None:
    before = box.look()
    wait = box.start("apply", "--force", "--no-probe", guarded=True)
    box.until("watch")
    os.kill(box.pid, signal.SIGKILL)
    assert wait() == -9
    box.until("rolled-back")
    assert box.look() == before


def test_an_apply_that_dies_as_it_begins_to_watch_is_undone_at_once(box: Box, line: Line) -> None:
    """The process that watches has the lock as well, and must notice that nobody waits for it."""
    before = box.look()
    box.start("apply", "--force", "--no-probe", kill="fork:after", guarded=True)
    assert os.waitstatus_to_exitcode(os.waitpid(box.pid, 0)[1]) == -9
    box.until("rolled-back")
    assert box.look() == before


def test_a_terminal_that_goes_away_does_not_stop_the_way_back(box: Box, line: Line) -> None:
    before = box.look()
    wait = box.start("apply", "--force", "--no-probe")
    box.until("watch")
    os.close(box.out)  # nobody reads any more
    os.kill(box.pid, signal.SIGHUP)
    os.waitpid(box.pid, 0)
    del wait
    assert box.words()[-1] == "rolled-back"
    assert box.look() == before
