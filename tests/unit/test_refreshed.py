# SPDX-License-Identifier: Apache-2.0
"""A session that one capture shows as refreshed, and the other as expired (RFC 4028)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from algwatch.__main__ import main
from algwatch.diagnose.finding import Finding
from craft import House, Outgoing, Timed, analyzed, answer, outgoing_call, pcap, register

AGAIN, OVER = 903.0, 1803.0  # s: the refresh, and the end without it


def _rules(call: Timed) -> set[str]:
    _, reports = analyzed(call.house.lan, call.house.wan)
    return {one.rule for one in reports if isinstance(one, Finding)}


@pytest.mark.parametrize("phone", [True, False])
def test_a_refresh_that_one_capture_lacks_ends_no_call(phone: bool) -> None:
    """The end that hangs up at the time of before knew of the refresh: the phone has got the 2xx to
    it, the far end has sent that."""
    call = Timed(House(), "uac")
    call.accept(AGAIN + 0.1, call.refresh(AGAIN), wan=False)
    if phone:
        call.bye(OVER)
    else:
        call.far_bye(OVER)
    assert "DLG007" not in _rules(call)


def test_a_refresh_whose_answer_was_stopped_ends_the_call() -> None:
    """The router gives the 2xx to nobody: the phone ends the call, and its timer is why."""
    call = Timed(House(), "uac")
    call.accept(AGAIN + 0.1, call.refresh(AGAIN), lan=False)
    call.bye(OVER)
    assert "DLG007" in _rules(call)


@pytest.mark.parametrize("gaps", [True, False])
def test_an_answer_that_fell_into_a_gap_ends_no_call(
    gaps: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The WAN capture lacks the 200 of the phone to a refresh of the far end, which hangs up at the
    time of before. Where that capture lacks nothing else, the router has stopped this 200."""
    call = Timed(House(), "uas", 90)
    house = call.house
    outgoing_call(house, 20, "fine@phone")
    other = Outgoing(house, "gap@phone")
    other.invite(30)
    other.respond(30.1, 100, wan=not gaps)  # it came out of the router
    other.respond(30.3, 486)
    other.nak(30.32)
    seen = house.into(48, call.from_far("UPDATE", 7))
    house.out(48.02, answer(200, seen, contact=house.contact, more=call.timer), wan=False)
    call.far_bye(63)
    register(house, 110, n=2)
    for side, packets in zip(("lan", "wan"), house.sorted(), strict=True):
        (tmp_path / side).write_bytes(pcap(packets))
    main(["analyze", "--json", "--lan", str(tmp_path / "lan"), "--wan", str(tmp_path / "wan")])
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert ("DLG007" in {one["rule"] for one in findings}) is not gaps
