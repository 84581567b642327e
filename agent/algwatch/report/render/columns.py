# SPDX-License-Identifier: Apache-2.0
"""The columns of a ladder: the hosts, and the column at each end of a step."""

from __future__ import annotations

from algwatch.report.render.ladder import CROSSED, UNKNOWN, Step
from algwatch.sip.timers import WINDOW

COLUMNS = 4  # most hosts of a one-sided ladder
PHONE, ROUTER, PROVIDER = 0, 1, 2


class Heads:
    """The heads of the columns. names, addresses: one each; hosts: their addresses without ports;
    two_sided: phone, router, provider."""

    __slots__ = ("addresses", "by_port", "hosts", "names", "two_sided")

    def __init__(self, steps: list[Step], two_sided: bool) -> None:
        self.two_sided = two_sided
        self.by_port = False
        if two_sided:
            self._sides(steps)
        else:
            self._hosts(steps)

    def _sides(self, steps: list[Step]) -> None:
        step = next((s for s in steps if s.lan and s.wan), steps[0])
        phone = router = provider = "?"
        self.hosts = ["", "", ""]
        if step.lan is not None:
            src, sport, dst, dport = step.lan
            own, far = (
                ((src, sport), (dst, dport)) if step.outbound else ((dst, dport), (src, sport))
            )
            phone, provider = joined(*own), joined(*far)
            self.hosts[PHONE], self.hosts[PROVIDER] = own[0], far[0]
        if step.wan is not None:
            src, sport, dst, dport = step.wan
            own, far = (
                ((src, sport), (dst, dport)) if step.outbound else ((dst, dport), (src, sport))
            )
            router, provider = joined(*own), joined(*far)
            self.hosts[ROUTER], self.hosts[PROVIDER] = own[0], far[0]
        if router == phone:
            router = "no address translation"
        self.names = ["phone", "router", "provider"]
        self.addresses = [phone, router, provider]

    def _hosts(self, steps: list[Step]) -> None:
        pairs = [both_ends(step) for step in steps]
        hosts = {host for pair in pairs for host, _ in pair}
        self.by_port = len(hosts) == 1  # two programs on one machine
        first: dict[str, str] = {}
        for end in (end for pair in pairs for end in pair):
            if len(first) < COLUMNS:
                first.setdefault(self.key(end), joined(*end))
        self.hosts = list(first)
        self.addresses = list(first.values())
        self.names = ["caller", "callee"] if len(first) == 2 else ["caller"]

    def key(self, end: tuple[str, int]) -> str:
        """The key of a column of a one-sided ladder: host, if need be with port."""
        return joined(*end) if self.by_port else end[0]


def joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def columns_of(step: Step, heads: Heads, newest: int) -> tuple[int, int, str]:
    """The columns of both ends, and the mark in place of a missing copy: "cross": the message never
    crossed or went to a wrong place, "unknown": the capture ended too early to say, or the other
    side was not captured then."""
    ends = step.lan or step.wan
    assert ends is not None
    if not heads.two_sided:
        return (*_one_sided(step, heads), "")
    if step.fate == CROSSED:
        wrong = "cross" if step.expected else ""  # it crossed, and went to a wrong place
        return (PHONE, PROVIDER, "") if step.outbound else (PROVIDER, PHONE, wrong)
    fate = "unknown" if step.at > newest - WINDOW or step.fate == UNKNOWN else "cross"
    if step.lan is not None:
        if step.lan[2] == heads.hosts[PHONE]:  # it came out of the router, and never went in
            return ROUTER, PHONE, ""
        return PHONE, ROUTER, fate
    if ends[0] == heads.hosts[ROUTER]:
        return ROUTER, PROVIDER, ""
    return PROVIDER, ROUTER, fate


def _one_sided(step: Step, heads: Heads) -> tuple[int, int]:
    """Columns of both ends; a host without a column of its own stands at the edge."""
    edge = max(1, len(heads.hosts) - 1)
    keys = [heads.key(end) for end in both_ends(step)]
    source, target = (heads.hosts.index(key) if key in heads.hosts else -1 for key in keys)
    if source < 0:
        source = edge if target != edge else 0
    if target < 0 or target == source:
        target = edge if source != edge else edge - 1
    return source, target


def both_ends(step: Step) -> tuple[tuple[str, int], tuple[str, int]]:
    """The (host, port) of source and destination."""
    ends = step.lan or step.wan
    assert ends is not None
    return (ends[0], ends[1]), (ends[2], ends[3])


def notes_of(step: Step, heads: Heads) -> list[str]:
    """Facts missing from the arrow: a host or a port that is not at the head of a column."""
    if not heads.two_sided:
        source, target = both_ends(step)
        if heads.key(source) in heads.hosts and heads.key(target) in heads.hosts:
            return []
        return [f"from {joined(*source)} to {joined(*target)}"]
    said = []
    if step.expected and step.lan is not None:
        went = joined(step.lan[2], step.lan[3])
        said.append(f"sent to {went}; NAT mapping: {step.expected}")
    elif step.lan is not None:
        near = step.lan[:2] if step.outbound else step.lan[2:]
        if near[0] != heads.hosts[PHONE]:
            said.append(f"{'from' if step.outbound else 'to'} {joined(*near)} in the LAN")
    if step.wan is not None:
        inbound = step.wan[2] == heads.hosts[ROUTER]
        far = step.wan[:2] if inbound else step.wan[2:]
        if far[0] != heads.hosts[PROVIDER]:
            said.append(f"{'from' if inbound else 'to'} {joined(*far)}")
    return said
