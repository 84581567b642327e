# SPDX-License-Identifier: Apache-2.0
"""Damaged files of a real daemon: each costs one line, and it watches on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from algwatch.report.spool import Spool
from small_disk import fill, small_disk
from test_daemon import Agent, Router, _allowed, register, router, run

__all__ = ["_allowed", "router", "run"]  # fixtures

BROKER = ("--mqtt", "mqtt://127.0.0.1:9")  # nobody is there


def spooled(folder: Path) -> Path:
    """A spool with two reports; returns its segment."""
    spool = Spool(str(folder), 65536)
    for _ in range(2):
        spool.put("algwatch/cpe1/finding", b"x" * 100, False)
    spool.close()
    (segment,) = folder.glob("*.spool")
    return segment


def flipped(segment: Path) -> None:
    data = bytearray(segment.read_bytes())
    data[20] ^= 4
    segment.write_bytes(data)


def cut(segment: Path) -> None:
    os.truncate(segment, segment.stat().st_size - 7)


def linked(segment: Path) -> None:
    segment.rename(segment.with_name("elsewhere"))
    segment.symlink_to("elsewhere")


def given_away(segment: Path) -> None:
    os.chown(segment.parent, 65534, 65534)


DAMAGES: dict[Callable[[Path], None], str] = {
    flipped: "bytes are damaged and were left out",
    cut: "bytes are damaged and were left out",
    linked: "reports wait in memory",
    given_away: "belongs to another user",
}


def watches(router: Router, agent: Agent) -> None:
    router.crosses(register(1, "192.168.1.10", "192.168.1.10"),
                   register(1, "198.51.100.2:1024", "198.51.100.77:9"))  # fmt: skip
    assert agent.heard("ALG001"), agent.said
    assert agent.stop()[0] == 0


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_spool_costs_one_line(
    router: Router, run: Callable[..., Agent], tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    damage(spooled(tmp_path / "spool"))
    agent = run(*BROKER, "--spool", str(tmp_path / "spool"))
    assert agent.heard(DAMAGES[damage]), agent.said
    assert sum(f"spool {tmp_path}" in line for line in agent.said) == 1
    watches(router, agent)


def test_a_full_disk_and_links_cost_a_line_each(
    router: Router, run: Callable[..., Agent], tmp_path: Path
) -> None:
    (tmp_path / "flash").symlink_to("/dev/zero")
    with small_disk(tmp_path / "disk") as disk:
        fill(disk)
        agent = run(*BROKER, "--spool", str(disk / "spool"), "--flash", str(tmp_path / "flash"))
        assert agent.heard("is not written, a power loss loses what waits"), agent.said
        watches(router, agent)
    assert sum("the spool cannot be written" in line for line in agent.said) == 1, agent.said
