# SPDX-License-Identifier: Apache-2.0
"""`algwatch doctor` on a router of the lab: the kernel's helper, a real ruleset, live flows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab.home import Line, at_home
from lab.network import Network


@pytest.fixture(scope="module")
def net() -> Iterator[Network]:
    with at_home() as net:
        yield net


def doctor(net: Network, *words: str) -> tuple[int, dict[str, Any]]:
    with net.router:
        done = subprocess.run(
            [sys.executable, "-m", "algwatch", "doctor", "--json", *words],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.stderr == "", done.stderr
    return done.returncode, json.loads(done.stdout)


def texts(told: dict[str, Any], topic: str) -> list[str]:
    return [line["text"] for line in told["lines"] if line["topic"] == topic]


def test_the_rule_and_the_live_flows_are_told_and_what_is_left_without_the_rule(
    net: Network,
) -> None:
    net.helper(True)
    line = Line(net)
    try:
        line.register()
        status, told = doctor(net)
        assert status == 1 and told["conclusion"]["state"] == "on"
        rules = texts(told, "attached by")
        assert any("table inet fw4, chain helper_lan" in text for text in rules)
        assert f"{line.ip}:5060" in texts(told, "live flows")[0]
        assert any("expects 1 flow" in text for text in texts(told, "live flows"))
        # Without the rule the flow that is up keeps its helper.
        net.router.run("nft", "flush", "chain", "inet", "fw4", "helper_lan")
        status, told = doctor(net)
        assert status == 1 and "1 live flow with it" in told["conclusion"]["text"]
        assert texts(told, "attached by") == ["no rule that was read sets the SIP helper"]
        net.forget_flows()
        status, told = doctor(net)
        assert (status, told["conclusion"]["state"]) == (0, "none")
        assert "nothing attaches it" in told["conclusion"]["text"]
    finally:
        line.close()


def test_a_program_that_waits_for_sip_here_is_not_passed_over(net: Network) -> None:
    net.helper(False)
    with net.router.udp("0.0.0.0", 5060):
        status, told = doctor(net)
    assert status == 3 and "a program here handles SIP itself" in told["conclusion"]["text"]
    assert "udp 0.0.0.0, port 5060" in texts(told, "other SIP")[0]


def test_whoever_may_not_look_gets_no_all_clear(net: Network) -> None:
    net.helper(False)
    with net.router:
        done = subprocess.run(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all",
             sys.executable, "-m", "algwatch", "doctor"],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 3, done.stdout
    told = " ".join(done.stdout.split())
    assert "cannot be told" in told and "run algwatch doctor as root" in told
    assert "Traceback" not in done.stderr


def test_run_watches_the_interfaces_that_ubus_tells(net: Network, tmp_path: Path) -> None:
    rows = [
        {"interface": "lan", "up": True, "proto": "static", "l3_device": "br-lan"},
        {"interface": "wan", "up": True, "proto": "dhcp", "l3_device": "wan"},
    ]
    program = tmp_path / "ubus"
    program.write_text(f"#!/bin/sh\necho '{json.dumps({'interface': rows})}'\n")
    program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    agent = net.router.start([sys.executable, "-m", "algwatch", "run"], environment)
    try:
        assert agent.stdout is not None
        assert "watching br-lan (lan) and wan (wan)" in agent.stdout.readline()
    finally:
        agent.terminate()
        agent.wait(10)
