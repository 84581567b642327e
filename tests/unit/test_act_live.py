# SPDX-License-Identifier: Apache-2.0
"""Live entries: whether a call is up, and how they get their helper back."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from algwatch.act import live
from algwatch.act.router import Router
from algwatch.kernel.flows import Flow, Flows

A, B, FAR, WAN = "192.168.1.20", "192.168.1.21", "203.0.113.9", "198.51.100.2"
TIMEOUTS = live.Timeouts(Router("/nonexistent"))


def flow(phone: str, helper: str = "", inbound: bool = False) -> Any:
    ends = ((FAR, 5099), (WAN, 5060)) if inbound else ((phone, 5060), (FAR, 5060))
    return SimpleNamespace(
        proto=17, source=ends[0], target=ends[1], helper=helper, master=None, timeout=100,
        reply_source=(phone, 5060) if inbound else (FAR, 5060),
        reply_target=(FAR, 5099) if inbound else (WAN, 5060),
        called=f"udp {ends[0][0]}:{ends[0][1]} -> {ends[1][0]}:{ends[1][1]}",
    )  # fmt: skip


class Table:
    def __init__(self, *some: Any) -> None:
        self.some = list(some)
        self.media: list[tuple[str, int]] = []

    def entries(self, wanted: Any, holding: object = b"") -> list[Flow]:
        return [one for one in self.some if wanted(one)]

    def helped(self) -> list[Flow]:
        return [one for one in self.some if one.helper == "sip"]

    def expectations(self) -> list[Any]:
        return [SimpleNamespace(master=one, media=True) for one in self.media]

    def delete(self, one: Any) -> bool:
        self.some.remove(one)
        return True


def renewed(table: Table, names: list[str]) -> tuple[dict[str, str], list[str]]:
    said: list[str] = []
    left = live.renew(cast(Flows, table), names, TIMEOUTS, 0.0, said.append)
    return left, said


def test_an_entry_that_is_left_for_another_reason_than_a_call_says_so() -> None:
    one, other = flow(A), flow(B)
    left, said = renewed(Table(one, other), [one.called, other.called])
    assert left == {other.called: "the phone before it was not back in time"}
    assert len(said) == 1
    table = Table(one)
    table.media.append((A, 5060))
    assert renewed(table, [one.called])[0] == {one.called: "a call is up"}


def test_a_call_that_the_provider_made_on_a_flow_of_its_own_is_one_of_the_phone() -> None:
    """Its media are expected by the flow that came in, whose source is the provider."""
    table = Table(flow(A, "sip"), flow(A, "sip", inbound=True), flow(B, "sip"))
    assert live.in_call(cast(Flows, table), [A, B], TIMEOUTS) == set()
    table.media.append((FAR, 5099))
    assert live.in_call(cast(Flows, table), [A, B], TIMEOUTS, sure=True) == {A}
    assert live.in_call(cast(Flows, table), [B], TIMEOUTS) == set()
