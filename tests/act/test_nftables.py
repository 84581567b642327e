# SPDX-License-Identifier: Apache-2.0
"""apply and rollback on plain nftables with the kernel's helper: every step killed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from algwatch.act.ruleset import plain
from algwatch.kernel.flows import Flow, Flows
from lab.home import Line, at_home, receive
from lab.network import Network

from act.box import Box, line_of

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


def test_a_change_takes_the_rule_away_and_the_helper_off_the_live_flow(
    box: Box, line: Line
) -> None:
    before = line.public
    assert box.type(*QUICK) == 0, box.said
    assert line.register(), line.arrived
    assert line.public == before
    config, loaded = box.look()
    assert "helper set" not in loaded and "dport 21 counter" in loaded
    assert b"# algwatch change 1: udp dport 5060" in config
    assert box.words()[-1] == "applied"


def test_a_rollback_puts_file_and_ruleset_back_byte_for_byte(box: Box, line: Line) -> None:
    before = box.look()
    assert box.type(*QUICK) == 0, box.said
    assert box.type("rollback") == 0, box.said
    assert box.look() == before
    assert not line.register(), "the next flow has the helper again"


def flows_of(box: Box) -> list[Flow]:
    with box.net.router, Flows() as flows:
        return flows.entries(lambda flow: 5060 in (flow.target[1], flow.reply_source[1]))


WORDS = ("begin", "saved", "rules", "effect", "live", "keep", "applied")
LAST = WORDS[-1], "after"


def test_the_steps_that_are_killed_are_all_there_are(box: Box, line: Line) -> None:
    assert box.type(*QUICK) == 0, box.said
    assert box.words() == list(WORDS)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("word", WORDS)
def test_a_kill_at_any_step_is_undone_at_the_next_start(
    box: Box, line: Line, word: str, when: str
) -> None:
    before = box.look()
    assert box.type(*QUICK, kill=f"{word}:{when}") == -9, box.said
    assert box.type("rollback", "--if-unfinished") == 0, box.said
    if (word, when) == LAST:
        assert box.words()[-1] == "applied" and box.look() != before
        return
    assert box.look() == before
    assert not line.register(), "the helper is not back"
    assert [flow.helper for flow in flows_of(box)] == ["sip"]
    if (word, when) != ("begin", "before"):
        assert box.words()[-1] == "rolled-back"


@pytest.mark.parametrize(
    ("word", "when"), [(word, "before") for word in WORDS[2:]] + [("keep", "after"), LAST]
)
def test_a_reboot_at_any_step_is_undone_by_the_init_script(
    box: Box, line: Line, word: str, when: str
) -> None:
    before = box.look()
    assert box.type(*QUICK, kill=f"{word}:{when}") == -9, box.said
    box.boot()
    assert box.type("rollback", "--if-unfinished") == 0, box.said
    config, loaded = box.look()
    if (word, when) == LAST:
        assert "helper set" not in loaded
        return
    assert config == before[0]
    assert plain(loaded) == plain(before[1])


def test_a_killed_rollback_goes_on_at_the_next_start(box: Box, line: Line) -> None:
    before = box.look()
    assert box.type(*QUICK) == 0, box.said
    for kill in ("undo:before", "undo:after", "rolled-back:before"):
        assert box.type("rollback", kill=kill) == -9
    assert box.type("rollback", "--if-unfinished") == 0, box.said
    assert box.look() == before


def test_the_process_that_waits_undoes_what_a_killed_apply_left(box: Box, line: Line) -> None:
    before = box.look()
    assert box.type(*QUICK, kill="live:after", guarded=True) == -9
    box.until("rolled-back")
    assert box.look() == before


def test_the_probe_says_that_messages_pass_untouched(box: Box, line: Line) -> None:
    before = box.look()
    assert box.type("apply", "--force", "--watch", "0") == 0, box.said
    assert "SIP passes this router untouched" in box.said
    assert box.type("rollback") == 0, box.said
    assert box.look() == before


def test_an_entry_that_the_helper_made_is_deleted_when_no_call_is_up(box: Box, line: Line) -> None:
    with box.net.provider.udp(line.far, 5099) as other:
        request = b"OPTIONS sip:jo@%s SIP/2.0\r\nCall-ID: 1\r\n\r\n" % line.public[0].encode()
        other.sendto(request, line.public)
        assert receive(line.phone, 1) is not None
    assert [flow.helper for flow in flows_of(box)] == ["sip", "sip"]
    assert box.type(*QUICK) == 0, box.said
    assert [flow.helper for flow in flows_of(box)] == [""]
    assert "delete" in box.words()


def test_two_phones_come_back_one_after_the_other(box: Box, line: Line) -> None:
    line.provider.close()
    second = Line(box.net, box.net.draw.other_ip)
    second.register()
    assert box.type(*QUICK) == 0, box.said
    wait = box.start("rollback")
    box.heard("its entry is deleted")
    time.sleep(0.7)
    assert len(flows_of(box)) == 1, "the other phone keeps its port until the first one is back"
    for phone in (line, second):
        phone.phone.sendto(second.sent, (line.far, 5060))
    assert wait() == 0, box.said
    assert box.said.count("its entry is deleted") == 2
    second.close()


def test_the_whole_router_after_a_trial_and_both_taken_back(box: Box, line: Line) -> None:
    before = box.look()
    assert box.type("apply", "--only", line.ip, "--watch", "0") == 0, box.said
    trial = box.look()
    assert box.type(*QUICK) == 0, box.said
    assert box.type("rollback") == 0, box.said
    assert box.look() == trial, "the rule of the trial stands before the one that is back"
    assert box.type("rollback") == 0, box.said
    assert box.look() == before


def test_after_a_reboot_the_rule_comes_back_to_its_place(box: Box, line: Line) -> None:
    before = box.look()
    assert box.type("apply", "--only", line.ip, "--watch", "0") == 0, box.said
    assert box.type(*QUICK) == 0, box.said
    box.boot()
    assert "helper set" not in box.look()[1]
    assert box.type("rollback", "--all") == 0, box.said
    assert (box.look()[0], plain(box.look()[1])) == (before[0], plain(before[1]))
