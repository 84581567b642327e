# SPDX-License-Identifier: Apache-2.0
"""A session that one capture shows as refreshed, and the other as expired (RFC 4028)."""

from __future__ import annotations

import pytest
from algwatch.diagnose.finding import Finding
from craft import House, Timed, analyzed

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
