# SPDX-License-Identifier: Apache-2.0
"""The parts of apply that need no router: journal, judge, evidence, files that are edited."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from algwatch.act import copies, deadman, nftfile, ruleset, state
from algwatch.act.changes import KEPT, Changes, ChangesError
from algwatch.act.daemons import calls_since, evidence
from algwatch.act.journal import MOST, SPARE, Journal
from algwatch.act.openwrt import Fw3
from algwatch.act.router import Failed, Router
from algwatch.act.undo import finish
from algwatch.act.watch import AGAIN, FAILED, OPEN, REGISTERED, WORKS, Binding, Judge
from algwatch.advise.platforms.plan import FW3, Plan
from algwatch.compare.summary import RegistrationSummary

A, B = "192.168.1.20", "192.168.1.21"


def journal(folder: Path) -> Journal:
    path = folder / "1"
    path.mkdir(exist_ok=True)
    return Journal(str(path))


def test_every_cut_of_the_last_line_counts_as_not_written(tmp_path: Path) -> None:
    one = journal(tmp_path)
    one.step("begin", only="")
    whole = Path(one.path).read_bytes()
    one.step("saved", config="abc")
    both = Path(one.path).read_bytes()
    for end in range(len(whole), len(both)):
        Path(one.path).write_bytes(both[:end])
        read = journal(tmp_path)
        assert [step["step"] for step in read.steps] == ["begin"], end
        read.step("undo")
        assert [step["step"] for step in journal(tmp_path).steps] == ["begin", "undo"]


def test_a_byte_that_rotted_ends_the_journal_before_it(tmp_path: Path) -> None:
    one = journal(tmp_path)
    one.step("begin", only="")
    one.step("saved")
    data = bytearray(Path(one.path).read_bytes())
    for at in range(len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 1
        Path(one.path).write_bytes(damaged)
        assert len(journal(tmp_path).steps) < 2


def test_a_step_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    one = journal(tmp_path)
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full")
    one.path = str(full)
    with pytest.raises(OSError, match=r"space|argument"):
        one.step("begin")
    assert one.steps == []


def test_a_journal_grows_only_as_far_as_it_can_be_read_again(tmp_path: Path) -> None:
    one = journal(tmp_path)
    one.step("begin", only="")
    with pytest.raises(OSError, match="larger than"):
        one.step("rules", rules=[{"behind": "x" * MOST}])
    one.step("live", entries=["y" * (MOST - SPARE - 4096)])
    one.step("undo", why="z" * 4096)
    one.step("rolled-back")
    assert [s["step"] for s in journal(tmp_path).steps] == ["begin", "live", "undo", "rolled-back"]


def test_a_copy_that_could_not_be_put_back_is_none(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="cannot be put back"):
        copies.save(str(tmp_path), "ruleset", bytes(copies.MOST + 1))
    assert not (tmp_path / "ruleset").exists()


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770])
def test_a_journal_that_anybody_may_write_is_not_read(tmp_path: Path, mode: int) -> None:
    """Its rules would be loaded by root."""
    tmp_path.chmod(mode)
    with pytest.raises(ChangesError, match="others may write there"):
        Changes(str(tmp_path)).lock()
    tmp_path.chmod(0o700)
    assert Changes(str(tmp_path)).lock()
    if os.geteuid() == 0:
        os.chown(tmp_path, 65534, 65534)
        with pytest.raises(ChangesError, match="belongs to user 65534"):
            Changes(str(tmp_path)).lock()


def test_names_that_are_no_numbers_are_no_changes(tmp_path: Path) -> None:
    for name in "²", "٣", "007", "0", "x":
        (tmp_path / name).mkdir()
    assert Changes(str(tmp_path)).all() == []


def test_a_full_disk_does_not_look_like_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    assert Changes(str(tmp_path / "changes")).lock()


def test_on_a_full_disk_the_copies_make_room_for_the_last_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a change that is undone would be told as one in force."""
    changes = Changes(str(tmp_path))
    one = changes.create()
    one.step("begin", only="")
    copies.save(one.folder, "ruleset", b"x" * 9)
    one.step("applied")
    step = Journal.step

    def full(self: Journal, word: str, **facts: object) -> None:
        if len(os.listdir(self.folder)) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        step(self, word, **facts)

    monkeypatch.setattr(Journal, "step", full)
    finish(changes, one, "rolled-back", why="asked for")
    assert changes.in_force() == []
    assert [row.state for row in state.read(str(tmp_path))] == ["rolled-back"]


def test_changes_are_numbered_and_undone_ones_go(tmp_path: Path) -> None:
    changes = Changes(str(tmp_path / "changes"))
    for number in range(1, 9):
        made = changes.create()
        assert made.number == number
        made.step("begin")
        made.step("applied" if number == 2 else "rolled-back")
    left = [one.number for one in changes.all()]
    assert left == [2, *range(8 - KEPT, 9)]
    assert [one.number for one in changes.in_force()] == [2]


def test_the_lock_goes_with_its_process(tmp_path: Path) -> None:
    folder = str(tmp_path / "changes")
    hold = ("import sys,time; from algwatch.act.changes import Changes; c=Changes(sys.argv[1]); "
            "assert c.lock(); print('held', flush=True); time.sleep(60)")  # fmt: skip
    env = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
    child = subprocess.Popen([sys.executable, "-c", hold, folder], stdout=subprocess.PIPE, env=env)
    assert child.stdout is not None and child.stdout.readline() == b"held\n"
    assert not Changes(folder).lock()
    deadman.wait_for(folder, 0.1, os.getpid())  # a verify that began behind this one
    assert child.poll() is None
    deadman.wait_for(folder, 0.1, child.pid)  # it hangs: it is killed
    assert child.wait(5) == -9
    assert Changes(folder).lock()
    child.stdout.close()


def test_the_process_that_waits_becomes_a_rollback(tmp_path: Path) -> None:
    """Nothing is unfinished: it ends with status 0, and has imported nothing large meanwhile."""
    changes = Changes(str(tmp_path / "changes"))
    assert changes.lock()
    env = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
    argv = [*deadman.WAITS, changes.folder, "60", str(os.getpid())]
    child = subprocess.Popen(argv, env=env)
    time.sleep(0.5)
    assert child.poll() is None
    changes.unlock()
    assert child.wait(20) == (0 if os.geteuid() == 0 else 2)
    code = "import algwatch.act.deadman, sys; print('json' in sys.modules, 're' in sys.modules)"
    said = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True,
                          env=env)  # fmt: skip
    assert said.stdout == "False False\n", said.stderr


def test_a_copy_is_made_once_and_a_damaged_one_is_none(tmp_path: Path) -> None:
    folder = str(tmp_path)
    fact = copies.save(folder, "firewall", b"before")
    assert copies.save(folder, "firewall", b"before") == fact
    with pytest.raises(OSError, match="there already"):
        copies.save(folder, "firewall", b"after")
    assert copies.load(folder, "firewall", fact) == b"before"
    (tmp_path / "firewall").write_bytes(b"befor3")
    assert copies.load(folder, "firewall", fact) is None


def test_a_file_is_put_back_with_its_mode_in_one_step_and_behind_its_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, link = tmp_path / "real.conf", tmp_path / "nftables.conf"
    real.write_bytes(b"before")
    real.chmod(0o644)
    link.symlink_to(real)
    whose = copies.owner(str(link))
    copies.install(str(link), b"after", whose)
    assert link.is_symlink() and real.read_bytes() == b"after"
    rename = os.rename

    def looked_at(new: str, path: str) -> None:
        assert os.stat(new).st_mode & 0o777 == 0o644
        rename(new, path)
        raise KeyboardInterrupt  # killed at once

    monkeypatch.setattr(os, "rename", looked_at)
    with pytest.raises(KeyboardInterrupt):
        copies.install(str(link), b"before", whose)
    assert (real.read_bytes(), real.stat().st_mode & 0o777) == (b"before", 0o644)


def test_the_state_file_leaves_out_what_is_no_line(tmp_path: Path) -> None:
    change = state.Change(3, "verified", 1796000000, A)
    state.write(str(tmp_path), [change])
    with open(tmp_path / "state", "a") as file:
        file.write("4 exploded 1 all\n5 applied\n\xff\n6 applied 1796000001 all\n")
    read = state.read(str(tmp_path))
    assert [(one.number, one.state, one.phone) for one in read] == [
        (3, "verified", A), (6, "applied", "all"),
    ]  # fmt: skip


def test_the_daemon_can_read_the_state_without_any_new_import() -> None:
    have = "import algwatch.daemon, sys; before = set(sys.modules); import algwatch.act.state; "
    code = have + "print(sorted(set(sys.modules) - before))"
    env = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert said.stdout.strip() == "['algwatch.act', 'algwatch.act.state']", said.stderr


def test_settings_of_the_kernel_are_read(tmp_path: Path) -> None:
    """The kernel refuses to fill a buffer of some megabytes (proc_sys_call_handler())."""
    assert len(Router().boot) == 36
    assert Router(str(tmp_path)).boot == ""


class WithoutIPv6(Router):
    """It runs nothing, and has no ip6tables."""

    def has(self, program: str) -> bool:
        return not program.startswith("ip6")

    def run(self, *argv: str, text: str = "") -> str:
        if argv[0].startswith("ip6"):
            raise Failed(f"{argv[0]}: No such file or directory")
        return "-A zone_lan_helper -p udp -m udp --dport 5060 -j CT --helper sip\n"


def test_fw3_without_ipv6_is_changed_and_put_back_all_the_same(tmp_path: Path) -> None:
    target = Fw3(WithoutIPv6(str(tmp_path)), Plan(FW3))
    assert "--helper sip" in target.listing()
    target.end_exemption(journal(tmp_path))


FILE = b"""table inet fw4 {
  ct helper sip { type "sip" protocol udp; }
  chain helper_lan {
    tcp dport 21 ct helper set "ftp"
    udp dport { 5060, 5080 } ct helper set "sip" comment "x"
    # udp dport 5060 ct helper set "sip"
  }
}
"""


def test_only_the_line_of_the_rule_becomes_a_comment() -> None:
    new = nftfile.without_helper(FILE, {"sip"}, 1, 7)
    assert new is not None
    before, after = FILE.splitlines(), new.splitlines()
    assert [b for b, a in zip(before, after, strict=True) if a != b] == [before[4]]
    assert after[4] == b'    # algwatch change 7: udp dport { 5060, 5080 } ct helper set "sip" ' \
                       b'comment "x"'  # fmt: skip


@pytest.mark.parametrize("line", [
    b'chain c { udp dport 5060 ct helper set "sip"; }',
    b'udp dport 5060 ct helper set "sip"; tcp dport 22 accept',
    b'udp dport { 5060, ct helper set "sip"',
    b'udp dport 5060 ct helper set "sip" \\\n  accept',
    b'udp dport 5060 \\\n  ct helper set "sip"',
])  # fmt: skip
def test_a_line_that_holds_more_than_the_rule_is_left_alone(line: bytes) -> None:
    assert nftfile.without_helper(line + b"\n", {"sip"}, 1, 1) is None


def test_a_file_with_another_number_of_rules_is_left_alone() -> None:
    assert nftfile.without_helper(FILE, {"sip"}, 2, 1) is None
    assert nftfile.without_helper(FILE, {"sip-5060"}, 1, 1) is None


def test_what_has_nothing_to_do_with_helpers_is_a_difference() -> None:
    before = "table inet fw4 {\n\tchain input {\n\t\tiifname lo accept\n\t}\n}\n"
    helper = '\tchain helper_lan {\n\t\tudp dport 5060 ct helper set "sip"\n\t}\n'
    assert ruleset.differences(before + helper, before) == []
    assert ruleset.differences(before, "") != []
    assert ruleset.differences(before, before.replace("accept", "drop")) == [
        "- table inet fw4 | chain input | iifname lo accept",
        "+ table inet fw4 | chain input | iifname lo drop",
    ]


def test_the_object_of_a_helper_may_go_with_it() -> None:
    before = (
        'table inet fw4 {\n\tct helper sip {\n\t\ttype "sip" protocol udp\n\t\tl3proto inet\n\t}\n'
        "\tset phones {\n\t\ttype ipv4_addr\n\t}\n}\n"
    )
    after = "table inet fw4 {\n\tset phones {\n\t\ttype ipv4_addr\n\t}\n}\n"
    assert ruleset.differences(before, after) == []
    assert ruleset.differences(after, "table inet fw4 {\n}\n") != []


def judge(calls: bool = False, longest: float = 600.0) -> Judge:
    return Judge([A, B], 1000.0, longest, calls)


def test_all_phones_have_to_register() -> None:
    one = judge()
    assert one.verdict(1001) == (OPEN, "")
    one.bound(Binding(A, 1010, 600, True))
    assert one.verdict(1011) == (OPEN, "")
    one.bound(Binding(B, 999, 600, True))  # before the change
    assert one.verdict(1012) == (OPEN, "")
    one.bound(Binding(B, 1013, 600, True))
    assert one.verdict(1014)[0] == REGISTERED


def test_a_phone_is_silent_after_one_and_a_half_times_what_was_granted() -> None:
    one = judge(calls=True, longest=10000)
    one.bound(Binding(A, 1010, 60, True))
    one.bound(Binding(B, 1010, 600, True))
    assert one.verdict(1099)[0] == OPEN
    word, why = one.verdict(1101)
    assert word == FAILED and why.startswith(f"{A} was silent for 90 s")


def test_a_register_that_is_still_rewritten_is_a_failure() -> None:
    one = judge()
    one.bound(Binding(A, 1010, 60, False))
    assert one.verdict(1011)[0] == FAILED


def test_one_copy_of_a_register_does_not_show_that_nothing_was_rewritten() -> None:
    one = judge(longest=60)
    one.bound(Binding(A, 1010, 600, True))
    one.bound(Binding(B, 1010, 600, None))
    assert one.verdict(1011) == (OPEN, "")
    word, why = one.verdict(1061)
    assert word == OPEN and why.startswith(f"{B} registered, but only one copy")
    one.bound(Binding(B, 1062, 600, True))
    assert one.verdict(1063)[0] == REGISTERED


def registration(phone: str, outcome: str) -> RegistrationSummary:
    return RegistrationSummary("c", "sip:a@b", outcome, 503, 1000, 1000, f"{phone} and 203.0.113.9")


def test_a_phone_that_cannot_register_gets_its_time_to_try_again() -> None:
    one = judge()
    one.feed(registration(A, "refused"), 1010)
    assert one.verdict(1010 + AGAIN)[0] == OPEN
    assert one.verdict(1011 + AGAIN)[0] == FAILED
    one = judge()
    one.feed(registration(A, "refused"), 1010)
    one.bound(Binding(A, 1020, 3600, True))
    assert one.verdict(1011 + AGAIN)[0] == OPEN
    one.feed(registration("192.168.1.99", "refused"), 1010)  # had no helper
    assert one.verdict(1200)[0] == OPEN


def test_without_a_phone_a_call_is_not_waited_for_longer_than_asked() -> None:
    assert Judge([], 1000.0, 60, True).verdict(1061)[0] == REGISTERED
    assert Judge([], 1000.0, 60, True).verdict(1001) == (OPEN, "")


def test_time_over_is_told_with_who_was_not_heard() -> None:
    one = judge(calls=True, longest=60)
    one.bound(Binding(A, 1010, 600, True))
    word, why = one.verdict(1061)
    assert (word, why) == (OPEN, f"not heard yet: {B}")


def test_works_is_said_with_a_call_only() -> None:
    from algwatch.compare.summary import CallSummary

    call = CallSummary.__new__(CallSummary)
    call.line, call.outcome, call.ack, call.unsolicited = f"{A} and x", "completed", "seen", False
    one = judge(calls=True)
    for phone in A, B:
        one.bound(Binding(phone, 1010, 600, True))
    one.feed(call, 1011)
    assert one.verdict(1012)[0] == WORKS
    call.outcome = "dropped"
    one.feed(call, 1013)
    assert one.verdict(1014) == (FAILED, f"a call of {A} was dropped")


def test_a_dropped_call_of_a_phone_that_was_asleep_leaves_a_doubt() -> None:
    """The helper went off for it, too; of a trial it did not."""
    from algwatch.compare.summary import CallSummary

    def call(phone: str, outcome: str) -> CallSummary:
        made = CallSummary.__new__(CallSummary)
        made.line, made.outcome, made.ack = f"{phone} and x", outcome, "seen"
        made.unsolicited = False
        return made

    for whole, word in (True, OPEN), (False, WORKS):
        one = Judge([A], 1000.0, 60, True, whole)
        one.bound(Binding(A, 1010, 600, True))
        one.feed(call(B, "dropped"), 1011)
        one.feed(call(A, "completed"), 1012)
        assert one.verdict(1013)[0] == word
        assert one.verdict(1061)[0] == word
    one = Judge([A], 1000.0, 60, True, True)
    one.bound(Binding(A, 1010, 600, True))
    one.feed(call(B, "dropped"), 1011)
    assert f"a call of {B}, which is not watched, was dropped" in one.verdict(1061)[1]


def test_the_daemon_s_dropped_call_of_another_phone_leaves_it_open(tmp_path: Path) -> None:
    row = {"outcome": "completed", "ack": "seen", "start": 2000.0, "line": f"{A} and x"}
    calls = [row, row | {"outcome": "dropped", "line": f"{B} and x"}]
    file = tmp_path / "s"
    file.write_text(json.dumps({"running": True, "at": 2100.0, "calls": calls}))
    asked = Router(str(tmp_path)), str(file), 2110.0, 1900.0, [A]
    assert calls_since(*asked, whole=True)[0] == OPEN
    assert calls_since(*asked)[0] == WORKS


def test_the_clock_of_the_lock_is_short() -> None:
    started = time.monotonic()
    deadman.wait_for("/nonexistent/changes", 5, 1)
    assert time.monotonic() - started < 1


def written(path: Path, **more: object) -> str:
    row = {"outcome": "completed", "ack": "seen", "start": 2000.0, "line": f"{A} and x"}
    whole = {"running": True, "at": 2100.0, "calls": [row | more], "advice": [], "findings": []}
    path.write_text(json.dumps(whole))
    return str(path)


def test_the_calls_of_the_daemon_speak_for_a_change_or_against_it(tmp_path: Path) -> None:
    router, file = Router(str(tmp_path)), tmp_path / "status.json"

    def asked(since: float = 1900.0, now: float = 2110.0, **more: object) -> str:
        return calls_since(router, written(file, **more), now, since, [A])[0]

    assert asked() == WORKS
    assert asked(since=2001.0) == OPEN, "before the change"
    assert asked(now=2500.0) == OPEN, "the file is old"
    assert asked(start=9000.0) == OPEN, "before the clock was set back"
    assert asked(line=f"{B} and x") == OPEN, "another phone"
    assert asked(ack="unknown") == OPEN
    assert asked(outcome="dropped") == FAILED
    assert asked(start="soon") == OPEN


@pytest.mark.parametrize("text", [b"", b"[", b"[1]", b'{"running":true,"at":"x"}', b"\xff",
                                  b'{"running":true,"at":2100,"calls":{},"advice":[1]}',
                                  b"[" * 100000])  # fmt: skip
def test_a_status_file_that_is_none_says_nothing(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "s").write_bytes(text)
    router, path = Router(str(tmp_path)), str(tmp_path / "s")
    assert calls_since(router, path, 2100.0, 0.0, [A])[0] == OPEN
    assert evidence(router, path, 2100.0).advised == "none"
