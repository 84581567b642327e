# SPDX-License-Identifier: Apache-2.0
"""`craft` for every test; `--golden-update` for tests/golden; which tests may run beside others.

`make test` shares the tests between three processes (pytest-xdist), also on two CPUs: one of them
mostly waits. Those that keep real time or bind ports must not meet each other, nor must those that
build programs or measure something: each of these two groups is run in order by one process. What
keeps real time gets a CPU before what only computes. What a test has to say is a property "said" of
it, which is printed at the end: the output of the processes is not shown.
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

TESTS = Path(__file__).resolve().parent
HERE = str(TESTS)
if HERE not in sys.path:
    sys.path.insert(0, HERE)

PARTS = 64  # of each file, so that all processes have work until the end
GROUPS = {
    **dict.fromkeys(("attack", "e2e", "lab"), "live"),
    **dict.fromkeys(("bench", "cost", "emulated", "encap", "fuzz", "native"), "built"),
}
# Folders whose tests keep real time; the others compute, and may wait for a CPU.
TIMED = ("act", "attack", "e2e", "lab", "luci", "page", "top")
NICE = os.getpriority(os.PRIO_PROCESS, 0)
MAY_RISE = os.geteuid() == 0

# A program starts four times as fast with the bytecode of an earlier start beside its source, and
# hundreds are started here. Some images turn it off.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# They boot a whole machine and build 14 wheels, which takes minutes: for make cross-test alone.
LONG = ["emulated/test_machine.py", "emulated/test_wheel_modules.py"]
collect_ignore = [] if os.environ.get("ALGWATCH_CROSS") else LONG

# The processes have to draw the same runs of the lab.
os.environ.setdefault("ALGWATCH_LAB_SEED", str(random.randrange(10**6)))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--golden-update",
        action="store_true",
        help="record expected.json of tests/golden, where the verdict holds",
    )


def _folder(nodeid: str) -> str:
    return nodeid.partition("/")[2].partition("/")[0]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The two groups begin first: each keeps one process busy for long."""
    items.sort(key=lambda item: _folder(item.nodeid) not in GROUPS)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            """All of one scope run in one process, in order. Tests of one file with the same
            parameters share what they have computed; and xdist looks at every scope after
            every test, so there are some thousand and not tens of thousands."""
            file, _, name = nodeid.partition("::")
            group = GROUPS.get(_folder(nodeid))
            if group is not None:
                return group
            return f"{file}/{crc32(name.partition('[')[2].encode()) % PARTS}"

    # In order: a file of few and long tests must not be the last one.
    config.option.loadscopereorder = False
    return Scheduling(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Programs that a test starts inherit it."""
    if MAY_RISE:
        timed = _folder(item.nodeid) in TIMED
        os.setpriority(os.PRIO_PROCESS, 0, NICE if timed else NICE + 10)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, value in report.user_properties:
            if name == "said" and report.when == "call":
                terminalreporter.write_line(str(value))
