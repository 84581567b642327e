# SPDX-License-Identifier: Apache-2.0
"""`algwatch diff`: before and after a change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from algwatch.__main__ import main
from algwatch.report.render.compared import BETTER, SAME, UNKNOWN, WORSE, Compared, Period
from craft import House, Incoming, Outgoing, outgoing_call, pcap, register
from reports import call, finding, registration

LAB = Path(__file__).resolve().parents[1] / "golden" / "lab"
COUNTS = {"capture": {"sip_messages": 9, "lan": 5, "wan": 4}, "crossings": {"paired": 9}}


def diff(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, dict[str, Any]]:
    status = main(["diff", "--json", *map(str, words)])
    return status, json.loads(capsys.readouterr().out)


def words(said: dict[str, Any]) -> dict[str, str]:
    return {change["what"]: change["word"] for change in said["changes"]}


def test_with_the_alg_off_calls_live_and_its_rules_fall_silent(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, said = diff(capsys, LAB / "6b-on", LAB / "6b-off")
    assert (status, said["word"], said["states"]) == (
        0,
        BETTER,
        {"before": "hurts", "after": "fine"},
    )
    found = words(said)
    assert found["calls to a phone here that hurt"] == BETTER
    assert found["ALG011 mapping-mismatch"] == BETTER and found["DLG001 ack-lost"] == BETTER
    sides = ",".join(str(LAB / "6b-off" / f"{side}.pcap") for side in ("lan", "wan"))
    status, said = diff(capsys, sides, LAB / "6b-on")
    assert (status, said["word"]) == (1, WORSE)
    status, said = diff(capsys, LAB / "6b-on", LAB / "6b-on")
    assert (status, said["word"]) == (0, SAME)


def test_kinds_that_one_capture_lacks_are_not_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Incoming calls died before; afterwards there were only outgoing ones, which always lived."""
    before, after = House(), House()
    for house in (before, after):
        register(house, 0)
        outgoing_call(house, 5, "good@phone")
    lost = Incoming(before, "lost@provider")
    lost.invite(40)
    lost.dropped(42)
    for name, house in (("before", before), ("after", after)):
        (tmp_path / name).mkdir()
        for side, packets in zip(("lan", "wan"), house.sorted(), strict=True):
            (tmp_path / name / f"{side}.pcap").write_bytes(pcap(packets))
    status, said = diff(capsys, tmp_path / "before", tmp_path / "after")
    assert words(said)["calls to a phone here that hurt"] == UNKNOWN
    assert words(said)["calls of a phone here that hurt"] == SAME
    assert (status, said["word"]) == (0, SAME)


def test_nothing_in_common_is_no_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    house = House()
    Outgoing(house, "open@phone").invite(1)
    (tmp_path / "a").write_bytes(pcap(house.sorted()[0]))
    status, said = diff(capsys, tmp_path / "a", LAB / "1")
    assert (status, said["word"]) == (3, UNKNOWN)


def period(*reports: Any) -> Period:
    made = Period()
    for report in reports:
        made.feed(report)
    made.settle(COUNTS)
    return made


def calls(good: int, bad: int) -> Period:
    return period(*[call("dropped" if n < bad else "completed", call_id=str(n))
                    for n in range(good + bad)])  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "word", "chance"),
    [
        ((5, 5), (1, 0), BETTER, True), ((5, 5), (6, 0), BETTER, False),
        ((9, 0), (8, 1), WORSE, False), ((5, 5), (50, 50), SAME, False),
        ((5, 5), (9, 1), BETTER, False), ((9, 1), (8, 2), SAME, False),
        ((0, 9), (1, 0), BETTER, False),
    ],
)  # fmt: skip
def test_shares_are_compared_and_not_counts(
    before: tuple[int, int], after: tuple[int, int], word: str, chance: bool
) -> None:
    compared = Compared(calls(*before), calls(*after))
    assert compared.word == word
    assert ("as far as so few" in compared.sentence) == chance


def test_a_finding_that_comes_after_its_call_counts() -> None:
    late = period(call(call_id="a"), finding(call_id="a"), call(call_id="b"))
    (share,) = late.calls.values()
    assert str(share) == "1 of 2"


def test_registrations_count_by_their_latest_word() -> None:
    one = period(registration("refused", 403), registration())
    assert str(one.registrations) == "0 of 1"


def test_the_text_says_it_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", str(LAB / "6b-on"), str(LAB / "6b-off")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("It got better") and all(len(line) <= 80 for line in lines)


def test_three_files_are_no_capture(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", "a,b,c", "d"]) == 2
    assert "LAN,WAN" in capsys.readouterr().err
