# SPDX-License-Identifier: Apache-2.0
"""Commands that change the router: root's part, real nftables, the kernel's helper."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
from algwatch.control.channel import ANSWER, unpack
from algwatch.control.log import Log
from algwatch.control.obey import Obey
from algwatch.control.order import Order, sign
from algwatch.control.run import Run, words
from lab.home import Line, at_home
from lab.network import Network

from act.box import Box, line_of

KEY = bytes(range(32))


@pytest.fixture(scope="module")
def house() -> Iterator[Network]:
    with at_home() as net:
        yield net


class Root:
    """Root's part, whose programs run in the box. answers: all, with their ids."""

    def __init__(self, box: Box, folder: Path) -> None:
        self.box, self.folder = box, folder
        self.obey = Obey(KEY, Log(str(folder / "key.log")), str(folder / "refused"), "cpe1",
                         self._start)  # fmt: skip

    def _start(self, order: Order) -> Run:
        self.box.start(*words(order), "--no-probe") if order.command == "apply" else (
            self.box.start(*words(order))
        )
        return Run(order.command, self.box.pid, self.box.out)

    def send(self, command: str, key: bytes = KEY, **more: Any) -> str:
        now = time.time()
        order = Order(command, os.urandom(16).hex(), "cpe1", now, now + 60, **more)
        self.obey.command(sign(order, key), b"")
        return order.id

    @property
    def answers(self) -> list[dict[str, Any]]:
        parts = [unpack(message) for message in self.obey._waiting.values()]
        return [msgpack.unpackb(rest) for word, _, _, rest in parts if word == ANSWER]

    def done(self, id: str, seconds: float = 120.0) -> dict[str, Any]:
        """The answer that ends it."""
        end = time.monotonic() + seconds
        while True:
            for one in self.answers:
                if one.get("id") == id and one["state"] != "accepted":
                    return one
            assert time.monotonic() < end, self.answers
            self.obey.look()
            time.sleep(0.02)


@pytest.fixture
def root(house: Network, tmp_path: Path) -> Root:
    return Root(Box(house, tmp_path / "box"), tmp_path)


@pytest.fixture
def line(root: Root) -> Iterator[Line]:
    one = line_of(root.box.net)
    yield one
    one.close()


def test_a_trial_is_made_and_taken_back_by_commands(root: Root, line: Line) -> None:
    before = root.box.look()
    done = root.done(root.send("apply", only=line.ip, watch=0))
    assert (done["state"], done["status"], done["result"]) == ("done", 0, "applied"), done
    assert line.register(), "this phone has no ALG now"
    back = root.done(root.send("rollback"))
    assert (back["state"], back["status"]) == ("done", 0), back
    assert root.box.look() == before


def test_without_the_daemons_advice_a_command_turns_nothing_off(root: Root, line: Line) -> None:
    """A command is no evidence: apply refuses as it refuses a person."""
    before = root.box.look()
    done = root.done(root.send("apply"))
    assert (done["state"], done["status"]) == ("done", 2), done
    assert "No running algwatch says that the SIP ALG does harm" in done["lines"][0], done
    assert root.box.look() == before and not line.register()


def test_a_forged_command_changes_nothing_and_starts_nothing(root: Root, line: Line) -> None:
    before = root.box.look()
    root.send("apply", key=bytes(32), only=line.ip, watch=0)
    root.send("apply", only="192.168.1.20 --force")
    assert [one["state"] for one in root.answers] == ["refused", "refused"]
    assert not root.box.pid and root.box.look() == before


def test_a_rollback_ends_an_apply_that_still_watches(root: Root, line: Line) -> None:
    before = root.box.look()
    running = root.send("apply", only=line.ip, watch=60)
    root.box.until("watch")
    busy = root.send("probe")
    assert root.done(busy)["reason"] == "apply is at work"
    stop = root.send("rollback")
    assert root.done(running)["status"] == 1
    assert root.done(stop)["lines"] == ["the apply that was at work has taken its change back"]
    assert root.box.look() == before


def test_root_that_was_killed_in_the_middle_says_that_it_does_not_know(
    root: Root, line: Line
) -> None:
    before = root.box.look()
    id = root.send("apply", only=line.ip, watch=60)
    root.box.until("watch")
    again = Root(root.box, root.folder)  # what a new process reads
    assert again.done(id)["state"] == "failed"
    os.kill(root.box.pid, 15)
    assert root.done(id)["status"] == 1
    assert root.box.look() == before
