# SPDX-License-Identifier: Apache-2.0
"""Leftovers: what a careless system does to the agent, and what the agent leaves behind."""

from __future__ import annotations

import re
import signal
import threading
import time
from pathlib import Path

import msgpack
import paho.mqtt.client as mqtt
from lab.agent import Agent

from ..stage import Attempt, Stage, dying, living
from .blindness import OWN, _rewritten_calls, flood

NET_RAW = 1 << 13


def _early(stage: Stage) -> None:
    """The call waits for the attack."""
    stage.first = threading.Event()


def _killed(stage: Stage) -> None:
    """kill -9 and another start, before the call."""
    assert stage.first is not None
    agent = stage.agent
    for _ in range(2):
        agent.process.kill()
        agent.process.wait(10)
        agent.start_agent()
        stage.sent += 1
    stage.first.set()
    stage.gone.wait()  # what a thread has started ends with it


def _restarted_meanwhile(stage: Stage) -> None:
    """The interfaces go and come, before the call."""
    assert stage.first is not None
    for _ in range(2):
        stage.net.router.run("ip", "link", "set", "wan", "down")
        time.sleep(0.5)
        stage.net.router.run("ip", "link", "set", "wan", "up")
        route = f"route replace default via {stage.draw.gateway_ip} onlink dev wan"
        stage.net.router.run("ip", *route.split())
        stage.sent += 1
    time.sleep(2.0)
    stage.first.set()


def _frozen(stage: Stage) -> None:
    """The process stands still for some seconds of the call, as under a heavy load."""
    if stage.wait_answered():
        stage.agent.process.send_signal(signal.SIGSTOP)
        time.sleep(3.0)
        stage.agent.process.send_signal(signal.SIGCONT)
        stage.sent = 1


def _hangups(stage: Stage) -> None:
    stage.repeat(50, lambda _: stage.agent.process.send_signal(signal.SIGHUP))


def _unread(stage: Stage) -> None:
    """Nobody reads what the agent prints, while it has much to say."""
    stage.agent.reading.clear()
    flood(_rewritten_calls, 100)(stage)


def _many_privileges(stage: Stage) -> None:
    """Which thread may do more than open a raw socket?"""
    if not stage.wait_answered():
        return
    for task in Path(f"/proc/{stage.agent.process.pid}/task").iterdir():
        text = (task / "status").read_text()
        for name, value in re.findall(r"^(Cap(?:Eff|Prm|Bnd)):\s+(\w+)$", text, re.M):
            stage.sent += 1
            if int(value, 16) & ~NET_RAW:
                stage.faults.append(f"a thread of the agent has {name} {value}")
        if "NoNewPrivs:\t1" not in text:
            stage.faults.append("a thread of the agent may get new privileges")


def _old_advice(stage: Stage) -> None:
    """Advice that an earlier run left at the broker: retained."""
    given = {
        "action": "disable-sip-alg", "state": "recommended", "subject": "192.0.2.1 and 192.0.2.2",
        "confidence": 0.9, "for": [], "against": [],
    }  # fmt: skip
    made = (
        mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="old")
        if hasattr(mqtt, "CallbackAPIVersion")
        else mqtt.Client(client_id="old")
    )
    with stage.net.router:
        made.connect("127.0.0.1", stage.agent.port)
        made.loop_start()
    body = msgpack.packb({"v": 1, "cpe": stage.draw.cpe, "advice": [given]})
    made.publish(f"algwatch/1/{stage.draw.cpe}/advice", body, 1, True).wait_for_publish(5)
    made.disconnect()
    made.loop_stop()


def _still_advised(stage: Stage) -> None:
    stage.wait(8.0)
    said = [payload["advice"] for _, kind, payload in stage.agent.reports if kind == "advice"]
    stage.sent = 1
    if any(advice["state"] != "none" for advice in said[-1]):
        stage.faults.append(f"the advice of an earlier run stands: {said[-1]}")


def _twin(stage: Stage) -> None:
    """Another agent with the same id at the same broker."""
    twin = Agent(stage.net.router, stage.draw.cpe, stage.directory / "twin.key")
    twin.mqtt_port = stage.agent.port
    twin.start_agent()
    stage.sent = 1
    stage.over.wait()
    lines = [*stage.agent.log, *twin.log]
    if not any("another" in line and stage.draw.cpe in line for line in lines):
        stage.faults.append(f"nobody says that the id is used twice: {lines[-3:]}")
    connections = sum(line.count(" connected") for line in lines)
    if connections > 12:
        stage.faults.append(f"they throw each other out: {connections} connections")
    twin.process.kill()


ATTEMPTS = [
    Attempt("killed", "leftovers", dying, "kill -9 twice, and another start", _killed,
            before=_early, quick=True),
    Attempt("interface-flaps", "leftovers", dying, "the WAN interface goes and comes",
            _restarted_meanwhile, before=_early),
    Attempt("frozen", "leftovers", dying, "the process stands still for 3 s", _frozen),
    Attempt("hangups", "leftovers", dying, "50 SIGHUP a second", _hangups),
    Attempt("unread-output", "leftovers", dying, "nobody reads the log, and it is long", _unread,
            may=OWN, quick=True),
    Attempt("privileges", "leftovers", living, "more than a raw socket for whoever takes it over",
            _many_privileges),
    Attempt("old-advice", "leftovers", living, "retained advice of an earlier run stands",
            _still_advised, before=_old_advice, quick=True),
    Attempt("twin", "leftovers", living, "two routers with one id", _twin),
]  # fmt: skip
