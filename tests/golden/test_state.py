# SPDX-License-Identifier: Apache-2.0
"""The state of the process before: taken where it counts, whatever stands in its file."""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from algwatch.base.clock import PacketClock
from algwatch.base.packet import LAN, WAN, Tap
from algwatch.base.plain import Unfit, pack, pack_all, unpack, unpack_all
from algwatch.base.report import Report
from algwatch.compare.line import NAT_HANDLED, WORKS_UNTOUCHED
from algwatch.compare.recalled import WEEK
from algwatch.diagnose.finding import Finding
from algwatch.pipeline import Pipeline
from algwatch.report.keeper import AT_LEAST, AWAY, EVERY, NOBODY, Keeper
from algwatch.report.state import FORMAT, MARK, StateFile, _frame
from cases import CASES
from craft import NS, batch
from small_disk import fill, small_disk

HARM = "alg011-contact-port-works-without"  # disable-sip-alg is recommended
HOUR = 3600 * NS


class Router:
    """A router that boots, whose clocks go and are set, and on which agents start and end. said:
    lines of theirs."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "state"
        self.monotonic, self.wall = HOUR, CASES[HARM].make().lan[0][0]
        self.needed, self.alg = ["boot 1", "br-lan lan", "wan wan"], ["settings", "True"]
        self.number = NOBODY
        self.said: list[str] = []

    def start(self) -> Agent:
        return Agent(self)

    def pass_time(self, ns: int) -> None:
        self.monotonic += ns
        self.wall += ns


class Agent:
    def __init__(self, router: Router) -> None:
        self.router = router
        self.clock = PacketClock(lambda: router.monotonic, lambda: router.wall)
        self.pipeline = Pipeline([Tap("br-lan", LAN), Tap("wan", WAN)], live=True, strict=True)
        self.keeper = Keeper(
            str(router.path), self.pipeline.knowledge, self.clock,
            lambda: (router.needed, router.alg), lambda: router.number, router.said.append,
        )  # fmt: skip
        self.taken = self.keeper.take()
        self.told: list[str] = []

    def watch(self, name: str) -> None:
        """A capture, from now on, for as long as it lasts."""
        lan, wan = CASES[name].make().sorted()
        first = min(lan[0][0], wan[0][0])
        packets = [(at, 0, data) for at, data in lan] + [(at, 1, data) for at, data in wan]
        start = self.clock.now()
        for at, tap, data in sorted(packets):
            self.router.pass_time(max(0, start + at - first - self.clock.now()))
            self.tell(self.pipeline.feed(batch([(start + at - first, data)], tap)))
        self.router.pass_time(200 * NS)
        for tap in (0, 1):
            self.tell(self.pipeline.advance(tap, self.clock.now()))

    def tell(self, reports: list[Report]) -> None:
        """As the daemon does."""
        self.keeper.changed(reports)
        for one in reports:
            if isinstance(one, Finding):
                self.keeper.telling(one)
                if not one.told_before:
                    self.told.append(one.key)
                self.keeper.told()
            elif one.kind == "advice":
                self.pipeline.knowledge.in_force.feed(one)  # type: ignore[arg-type]

    def advice(self) -> list[tuple[str, str]]:
        return [(one.action, one.state) for one in self.pipeline.knowledge.in_force.all()]


@pytest.fixture
def router(tmp_path: Path) -> Router:
    return Router(tmp_path)


RECOMMENDED = [("disable-sip-alg", "recommended")]


def known(router: Router) -> Agent:
    """An agent that was killed when it had recommended something."""
    agent = router.start()
    agent.watch(HARM)
    assert agent.advice() == RECOMMENDED and agent.told
    return agent


def test_an_agent_goes_on_with_what_the_one_before_knew_and_tells_it_once(router: Router) -> None:
    before = known(router)
    router.pass_time(60 * NS)
    after = router.start()
    assert after.taken and after.advice() == RECOMMENDED
    assert router.said == ["goes on from 60 s ago: 1 pieces of advice in force"]
    one, other = (a.pipeline.knowledge.in_force.all()[0] for a in (before, after))
    assert (one.for_, one.against, one.commands, one.short, one.subject, one.kinds) == (
        other.for_, other.against, other.commands, other.short, other.subject, other.kinds
    )  # fmt: skip
    after.watch(HARM)
    assert after.told == [] and after.advice() == RECOMMENDED


@pytest.mark.parametrize("step", [-50 * 365 * 24 * HOUR, -HOUR, HOUR, 50 * 365 * 24 * HOUR])
def test_a_clock_that_is_set_makes_nothing_old_or_new(router: Router, step: int) -> None:
    known(router)
    router.wall += step
    router.pass_time(60 * NS)
    after = router.start()
    assert after.taken and after.advice() == RECOMMENDED, router.said
    router.wall -= step
    lines = after.pipeline._comparison.lines.all()
    ages = [after.clock.now() - one.last_at for line in lines for one in line.seen.values()]
    assert ages and all(0 <= age < HOUR for age in ages)


def test_another_boot_version_or_interface_and_a_long_absence_leave_nothing(
    router: Router, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(router)
    kept = router.path.read_bytes()

    def rejected(why: str) -> None:
        agent = router.start()
        assert not agent.taken and agent.advice() == [] and not agent.pipeline.known.lines_at("")
        assert not agent.pipeline._comparison.lines.all()
        assert why in router.said.pop(), router.said
        router.path.write_bytes(kept)
        router.path.chmod(0o600)

    needed = router.needed
    for other in (["boot 2", *needed[1:]], [*needed[:2], "wan.7 wan"], needed[:2]):
        router.needed = other
        rejected("of another boot of this router, or of other interfaces")
    router.needed = needed
    monkeypatch.setattr("algwatch.report.keeper._BEGINS", ["algwatch state", FORMAT, "0.0.9"])
    rejected("another version has written it")
    monkeypatch.undo()
    router.pass_time(AWAY + 60 * NS)
    rejected("nobody has watched for")
    router.monotonic = 60 * NS
    rejected("no number")  # from after now


def test_where_the_alg_was_changed_meanwhile_its_harm_has_to_be_found_again(router: Router) -> None:
    known(router)
    router.alg = ["other settings", "True"]
    after = router.start()
    assert after.taken and after.advice() == []
    assert "has to be found again" in router.said[-1]
    seen = {word for line in after.pipeline._comparison.lines.all() for word in line.seen}
    assert WORKS_UNTOUCHED in seen
    after.watch(HARM)
    assert after.advice() == RECOMMENDED and after.told


def test_what_speaks_for_turning_the_alg_off_counts_for_a_week_and_what_speaks_against_always(
    router: Router,
) -> None:
    agent = known(router)
    for _ in range(WEEK // AWAY - 4):
        router.pass_time(AWAY)
        agent.keeper.turn()
    after = router.start()
    assert after.taken and after.advice() == RECOMMENDED
    for _ in range(5):
        router.pass_time(AWAY)
        agent.keeper.turn()
    later = router.start()
    assert later.taken and later.advice() == []
    lines = later.pipeline._comparison.lines.all()
    seen = {word for line in lines for word in line.seen}
    assert "accepted" in seen and not seen & {WORKS_UNTOUCHED, NAT_HANDLED}
    later.watch("alg011-contact-port-twice")  # nothing shows that it works without
    assert later.advice() == [("disable-sip-alg", "suspected")]


def test_a_withdrawn_advice_stays_withdrawn(router: Router) -> None:
    agent = known(router)
    line = agent.pipeline.knowledge.in_force.all()[0].subject
    [one] = [one for one in agent.pipeline._comparison.lines.all() if one.name == line]
    del one.seen[WORKS_UNTOUCHED], one.seen[NAT_HANDLED]
    one.observe("drops-untouched", None, agent.clock.now())
    agent.tell([*agent.pipeline._recommender.refresh()])
    assert agent.advice() == []
    after = router.start()
    assert after.taken and after.advice() == [] and after.pipeline.knowledge.given
    after.watch("alg011-contact-port-twice")
    assert after.advice() == []


def test_a_finding_that_was_spooled_by_nobody_was_not_told(router: Router) -> None:
    router.number = 5
    agent = router.start()
    reports: list[Report] = []
    agent.tell = reports.extend  # type: ignore[assignment, method-assign]
    agent.watch("alg001-contact")
    findings = [one for one in reports if isinstance(one, Finding)]
    agent.keeper.changed([findings[0]])
    agent.keeper.telling(findings[0])
    kept = router.path.read_bytes()
    # Killed before the spool had it, and after.
    for number, told in ((5, False), (6, True)):
        router.path.write_bytes(kept)
        router.path.chmod(0o600)
        router.number = number
        after = router.start()
        assert after.pipeline._engine._is_news(findings[0])
        assert findings[0].told_before == told
        findings[0].told_before = False
    # Never put into the spool, for want of allowance: it was told in the log.
    router.path.write_bytes(kept)
    router.path.chmod(0o600)
    router.number = 5
    agent.keeper._file = StateFile(str(router.path))
    agent.keeper.write()
    agent.keeper.changed([findings[0]])
    agent.keeper.telling(findings[0])
    agent.keeper.told()
    after = router.start()
    assert after.pipeline._engine._is_news(findings[0]) and findings[0].told_before


def test_a_file_that_ends_anywhere_is_what_was_told_until_then_or_nothing(router: Router) -> None:
    known(router)
    data = router.path.read_bytes()
    chance = random.Random(7)
    whole = struct.unpack_from("<I", data, 4)[0] + 16
    for end in sorted(chance.sample(range(len(data)), 60)):
        router.path.write_bytes(data[:end])
        router.path.chmod(0o600)
        router.said.clear()
        after = router.start()
        assert after.taken == (end >= whole), (end, whole)
        assert not any("not count" in line for line in router.said), router.said
        if after.taken:
            assert after.advice() in ([], RECOMMENDED, [("disable-sip-alg", "suspected")])


def test_damage_costs_all_of_it_and_a_line(router: Router) -> None:
    known(router)
    data = router.path.read_bytes()
    chance = random.Random(7)
    for _ in range(60):
        at = chance.randrange(len(data))
        broken = data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]
        router.path.write_bytes(broken)
        router.path.chmod(0o600)
        router.said.clear()
        after = router.start()
        assert not after.taken and after.advice() == []
        assert router.said == [f"state {router.path} does not count: damaged"]
    assert router.start().taken, "it is written anew at the start"


def values(chance: random.Random, depth: int = 0) -> object:
    kind = chance.randrange(9 if depth < 4 else 7)
    if kind > 6:
        return [values(chance, depth + 1) for _ in range(chance.randrange(9))]
    return (None, True, chance.getrandbits(62), float("nan"), b"\0" * 40, "disable-sip-alg\x1b[2J",
            -5)[kind]  # fmt: skip


def bent(chance: random.Random, value: object) -> object:
    """A value somewhere in which something else stands."""
    if not isinstance(value, list) or not value or chance.random() < 0.1:
        return values(chance)
    at = chance.randrange(len(value))
    kept = [*value]
    if chance.random() < 0.1:
        del kept[at]
    else:
        kept[at] = bent(chance, kept[at])
    return kept


def test_values_that_nobody_wrote_are_refused_or_do_no_harm(router: Router) -> None:
    """With the right sum: whoever may write the file can make one."""
    known(router)
    file = StateFile(str(router.path))
    frames = file.read()
    records = [unpack_all(frame[3]) for frame in frames]
    chance = random.Random(7)
    taken = 0
    for _ in range(400):
        made: list[Any] = [[*frame] for frame in frames]
        which = chance.randrange(len(made))
        if chance.random() < 0.15:
            made[which] = bent(chance, made[which])
        else:
            made[which][3] = pack_all([bent(chance, one) for one in records[which]])
        try:
            data = b"".join(map(_frame, made))
        except TypeError:
            continue
        router.path.write_bytes(data)
        router.path.chmod(0o600)
        after = router.start()
        taken += after.taken
        for one in after.pipeline.knowledge.in_force.all():
            assert all("\x1b" not in line for line in (*one.commands, *one.short))
        after.keeper.turn()
    assert 0 < taken < 400


@pytest.mark.parametrize("data", [
    b"", b"\0" * 5000, MARK, MARK * 3000, b"{}", os.urandom(5000), b"x" * (8 << 20),
    MARK + struct.pack("<III", 5, ~5 & 0xFFFFFFFF, 0) + b"abcde",
    MARK + struct.pack("<III", 0xFFFFFFFF, 0, 0) + b"abcde",
    _frame([]), _frame([1, 2, 3, 4]), _frame([1, NOBODY, ["algwatch state", FORMAT], b""]),
], ids=range(12))  # fmt: skip
def test_other_files_are_none(router: Router, data: bytes) -> None:
    router.path.write_bytes(data)
    router.path.chmod(0o600)
    agent = router.start()
    assert not agent.taken and len(router.said) <= 1
    assert router.path.stat().st_size < 1000, "it is written anew"


def test_a_file_that_others_may_change_and_what_is_no_file_are_left_alone(router: Router) -> None:
    known(router)
    router.path.chmod(0o666)
    assert not router.start().taken and "others may read or change it" in router.said[-1]
    router.path.unlink()
    os.mkfifo(router.path)
    assert not router.start().taken and "no regular file" in router.said[-1]
    router.path.unlink()
    router.path.mkdir()
    assert not router.start().taken
    assert "cannot be kept, a restart begins anew" in router.said[-1]
    assert router.path.is_dir()


def test_it_is_written_when_something_changed_and_not_more_often_than_it_must(
    router: Router,
) -> None:
    agent = known(router)
    router.pass_time(EVERY)
    agent.keeper.turn()
    written = router.path.stat()
    for _ in range(10):
        router.pass_time(EVERY + NS)
        agent.keeper.turn()
    assert router.path.stat().st_ino == written.st_ino
    router.pass_time(AT_LEAST)
    agent.keeper.turn()
    assert router.path.stat().st_ino != written.st_ino, "else it would be too old one day"


def test_a_file_that_somebody_took_away_comes_back_whole(router: Router) -> None:
    agent = known(router)
    router.path.unlink()
    agent.watch("alg001-contact")
    after = router.start()
    assert after.taken and after.advice() == agent.advice()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        assert os.environ.get("CI") != "true"
        pytest.skip("needs root: mounts a small file system")
    with small_disk(tmp_path / "disk") as disk:
        yield disk


def test_a_full_disk_leaves_no_state_rather_than_an_old_one(small: Path) -> None:
    router = Router(small)
    agent = known(router)
    assert router.path.exists()
    ballast = fill(small)
    agent.keeper.write()
    agent.watch("alg001-contact")
    while router.path.exists():  # the last page of it may have had room
        agent.watch("alg001-contact")
        agent.keeper._sum = -1
        agent.keeper.write()
        router.pass_time(EVERY)
    troubles = [line for line in router.said if "cannot be kept" in line]
    assert troubles == [f"state {router.path} cannot be kept, a restart begins anew: "
                        "No space left on device"]  # fmt: skip
    ballast.unlink()
    router.pass_time(2 * EVERY)
    agent.keeper.turn()
    assert router.said[-1] == f"state {router.path} is kept again"
    assert router.start().taken


def test_plain_values_come_back_as_they_were() -> None:
    one: list[Any] = [None, True, False, 0, 255, 256, -1, (1 << 63) - 1, -(1 << 63), 0.5]
    one += [b"", b"\xff", "", "\u00fc\udcff", [[[]]], ["a", [b"b"]]]
    assert unpack(pack(one)) == one
    for strange in ({}, 1j, object(), {1}):
        with pytest.raises(TypeError):
            pack(strange)


def test_bytes_that_are_no_plain_values_take_no_memory_and_raise_unfit() -> None:
    chance = random.Random(7)
    for _ in range(3000):
        data = bytes(chance.choices(range(12), k=chance.randrange(40)))
        try:
            unpack_all(data)
        except Unfit:
            continue
    deep = b"\x08\x01\0\0\0" * 100_000 + b"\0"
    huge = b"\x08\xff\xff\xff\xff" + bytes(10)
    for data in (deep, huge, b"\x06\xff\xff\xff\x7fabc", b"\x07\x01\0\0\0\xff", b"\x09"):
        with pytest.raises(Unfit):
            unpack_all(data)
