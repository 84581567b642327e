# SPDX-License-Identifier: Apache-2.0
"""A process that goes on with what another one knew says what that one would have said: the same
advice is in force, and nothing is told twice."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import pytest
from algwatch.advise.actions import DISABLE, KEEP
from algwatch.advise.advice import Advice
from algwatch.base.packet import LAN, WAN, Tap
from algwatch.base.plain import pack_all, unpack_all
from algwatch.base.report import Report
from algwatch.diagnose.finding import Finding
from algwatch.pipeline import Pipeline
from cases import CASES
from craft import NS, Packet, batch

APART = 7200 * NS  # between two captures: nothing of the first one still goes on in the second one
QUIET = NS
PARTS = 4
FOREVER = 1 << 62  # ns

# What these conclude from is not kept: bindings, mappings and outages, packets counted. The first
# and the last message of a capture hide what it did not see, so a new process begins anew.
GOES_ON = ("reg003-longer", "reg003-refreshed", "reg005-firewall", "reg005-trunk", "txn004",
           "reg001-near-miss-wan", "txn005", "reg006-near-miss-capture-began", "reg006-provider",
           "cap", "dlg002-second-proxy", "dlg002-near-miss-ghost-call", "reg006-wrong-phone",
           "reg006-near-miss-forwarded", "reg001-near-miss-comes-back",
           "reg001-near-miss-other-name-of-two-phones", "reg006-call-to-a-phone-that-speaks-late",
           "dlg012-near-miss-notify-refused-once",
           "txn006-near-miss-ringing-to-another-phone-once")  # fmt: skip
CHOSEN = [name for name, case in CASES.items() if not case.one_file
          and not name.startswith(GOES_ON)]  # fmt: skip
SAMPLE = [name for at, name in enumerate(CHOSEN)
          if at % 12 == 0 or (at % 2 and CASES[name].advice)]  # fmt: skip


class Process:
    """A live pipeline. told: key and harm of each finding that people were told of."""

    def __init__(self, before: Process | None = None) -> None:
        self.pipeline = Pipeline([Tap("lan", LAN), Tap("wan", WAN)], live=True, strict=True)
        self.told: list[tuple[str, str]] = []
        self.now = 0
        if before is not None:
            self.now = before.now
            records = unpack_all(pack_all(before.pipeline.knowledge.whole()))
            self.pipeline.knowledge.recall(records, 0, self.now, True)
            assert self.advice() == before.advice()
            self.pass_time(self.now)

    def play(self, name: str, at: int, since: int = 0, until: int = FOREVER) -> None:
        """A capture, at ns after its own times; since, until: ns from its first packet."""
        lan, wan = CASES[name].make().sorted()
        packets = sorted([(0, one) for one in lan] + [(1, one) for one in wan], key=_at)
        first = _at(packets[0])
        packets = [one for one in packets if since <= _at(one) - first < until]
        for tap, (when, data) in packets:
            if when > _at(packets[0]) + QUIET:
                self.pass_time(when + at - QUIET)  # a live one looks at the clock meanwhile
            self._note(self.pipeline.feed(batch([(when + at, data)], tap)))
        end = packets[-1][1][0] + at
        for now in (end + QUIET, end + APART // 4, end + APART // 2):
            self.pass_time(now)

    def pass_time(self, now: int) -> None:
        self.now = now
        self._note([one for tap in (0, 1) for one in self.pipeline.advance(tap, now)])

    def advice(self) -> list[tuple[object, ...]]:
        return sorted(
            (one.action, one.subject, one.state, one.confidence, one.for_, one.against,
             one.commands, one.short, one.title)
            for one in self.pipeline.knowledge.in_force.all()
        )  # fmt: skip

    def _note(self, reports: Sequence[Report]) -> None:
        for one in reports:
            if isinstance(one, Advice):
                self.pipeline.knowledge.in_force.feed(one)
            # What is said of a capture is said of that of one process.
            if isinstance(one, Finding) and not one.told_before and one.cause != "capture":
                self.told.append((one.key, one.harm))


def _at(item: tuple[int, Packet]) -> int:
    return item[1][0]


@pytest.mark.parametrize("part", range(PARTS))
def test_a_process_that_goes_on_says_what_the_first_one_would_have_said(part: int) -> None:
    for name in SAMPLE[part::PARTS]:
        first = Process()
        first.play(name, 0)
        second = Process(first)
        first.told.clear()
        for one in (first, second):
            one.play(name, APART)
        assert second.told == first.told, name
        assert second.advice() == first.advice(), name


@pytest.mark.parametrize("what", ["granted", "listed"])
def test_a_finding_of_the_process_before_is_taken_back_as_one_of_this_one(what: str) -> None:
    name = f"reg002-nothing-{what}-and-put-right"
    before = Process()
    before.play(name, 0, until=3 * NS)
    assert [harm for _, harm in before.told] == ["observed" if what == "granted" else "latent"]
    after = Process(before)
    after.play(name, APART, since=3 * NS)
    assert [harm for _, harm in after.told] == ["none"]


@pytest.mark.parametrize("seed", range(2))
def test_many_restarts_between_captures_that_contradict_each_other_change_nothing(
    seed: int,
) -> None:
    """All of them have the same phone and the same provider."""
    names = random.Random(seed).sample(SAMPLE, 16)
    one = many = Process()
    told: list[tuple[str, str]] = []
    for number, name in enumerate(names):
        if number:
            many = Process(many)
        for process in {one, many}:
            process.play(name, number * APART)
        told += many.told
        many.told = many.told if many is one else []
    # Mappings and bindings of earlier captures are known to one of them alone, and to that one a
    # change of them is news. What was told is told by nobody again.
    again = Counter(told) - Counter(one.told)
    assert not [what for what in again if told.count(what) > 1], names
    recommended = {(row[0], row[1]) for row in one.advice() if row[2] == "recommended"}
    for action, subject, state, *_ in many.advice():
        of_alg = action in (DISABLE, KEEP) and state == "recommended"
        assert not of_alg or (action, subject) in recommended, names
