# SPDX-License-Identifier: Apache-2.0
"""Stage: one real call through a real router with the agent on it, while somebody attacks.

Plays are the lab's scenarios, cut short where the harm is told before the call has died.
"""

from __future__ import annotations

import contextlib
import random
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from algwatch.diagnose.cause import ALG
from craft import answer, request
from lab.agent import Agent
from lab.draw import Draw
from lab.endpoint import Call
from lab.loop import Loop
from lab.network import Network
from lab.phone import Phone
from lab.provider import Provider
from lab.run import SETTLE, silent
from lab.scenarios import SCENARIOS
from lab.scenarios.calls import healthy, needs_helper
from lab.scenarios.moves import OtherPhone, facts_of, ring_phone
from lab.scenarios.scenario import Facts
from lab.sip import Message
from lab.truth import HURTS, Truth

from .wire import Address, Host, hardware_address

SMALL = ("--memory-bytes", "1048576", "--ring-bytes", "262144")  # as on a router with 64 MB
TOLD_AFTER = 5  # answers, the last one after 7.5 s: the harm is a finding by then
LIVES = 9.0  # seconds of a call that lives; longer than any attack waits


class Stage:
    """net, draw, agent: as in lab/. lan, wan: the attacker's hosts on each side. chance: of the
    attempt's seed. secrets: texts that must not leave the router. over: the attack has to end.
    answered: the phone has answered its call. gone: the agent has ended. first: where an attempt
    sets one, the call begins with it, and the attack's thread lives as long as the agent that it
    has started. sent: how often something was sent. faults: sentences of the attack itself."""

    def __init__(self, net: Network, seed: int, directory: Path) -> None:
        self.net = net
        self.draw: Draw = net.draw
        self.directory = directory
        self.chance = random.Random(seed)
        self.agent: Agent
        self.lan = Host(net.phone, "eth0", hardware_address(net.router, "br-lan"))
        self.wan = Host(net.provider, "eth0", hardware_address(net.router, "wan"))
        self.over = threading.Event()
        self.answered = threading.Event()
        self.gone = threading.Event()
        self.first: threading.Event | None = None
        self.secrets: list[str] = []
        self.faults: list[str] = []
        self.calls: list[Call] = []
        self.phone: Phone | None = None
        self.provider: Provider | None = None
        self.sent = 0
        hosts = [str(self.draw.lan[n]) for n in range(2, 255)]
        drawn = self.draw.addresses()
        self.lan_host = self.chance.choice([ip for ip in hosts if ip not in drawn])
        self.wan_host = f"100.64.{self.chance.randrange(256)}.{self.chance.randrange(1, 255)}"
        self.mapped: Address = (self.draw.wan_ip, self.draw.phone_port)
        self.registrar: Address = (self.draw.provider_ip, 5060)
        self.phone_at: Address = (self.draw.phone_ip, self.draw.phone_port)

    def token(self, length: int = 10) -> str:
        return "".join(self.chance.choices("abcdefghjkmnpqrstuvwxyz23456789", k=length))

    def wait(self, seconds: float) -> bool:
        """False when the attack has to end."""
        return not self.over.wait(seconds)

    def wait_answered(self) -> bool:
        while not self.over.is_set():
            if self.answered.wait(0.05):
                return True
        return False

    def repeat(self, rate: float, send: Callable[[int], None]) -> None:
        """Call send(number) `rate` times a second until the end."""
        began = time.monotonic()
        number = 0
        while not self.over.is_set():
            due = int((time.monotonic() - began) * rate)
            while number < due and not self.over.is_set():
                send(number)
                number += 1
            self.sent = number
            self.over.wait(min(0.05, 1 / rate))

    @property
    def call(self) -> Call:
        assert self.phone is not None
        return next(iter(self.phone.calls.values()))

    @property
    def final(self) -> Message:
        """The phone's 200 OK to the call's INVITE as it left the phone."""
        assert self.phone is not None
        found = [data for data, _, _ in self.phone._served.values() if b" INVITE" in data]
        message = Message.parse(found[-1])
        assert message is not None
        return message

    def request(self, method: str, host: str, port: int = 5060, **how: Any) -> bytes:
        """A request of the attacker, new in every id. more: header lines."""
        name = self.token()
        made: dict[str, Any] = {
            "via": f"{host}:{port}", "branch": f"z9hG4bK{name}", "call_id": f"{name}@{host}",
            "cseq": 1, "caller": f"<sip:{name}@{host}>;tag={name}",
            "callee": f"<sip:x{name}@{self.draw.domain}>", "contact": f"<sip:{name}@{host}:{port}>",
        } | how  # fmt: skip
        return request(method, made.pop("uri", f"sip:{name}@{self.draw.domain}"), **made)

    def response(self, status: int, host: str, **how: Any) -> bytes:
        """A response that answers nothing."""
        asked = self.request(how.pop("method", "INVITE"), host, **how.pop("to", {}))
        return answer(status, asked, to_tag=self.token(), **how)


# ---- plays: what happens meanwhile ----


class Person(Phone):
    """Somebody who answers one caller; to all others the phone is busy, as most phones are."""

    def _incoming(self, sock: socket.socket, request: Message, source: Address) -> None:
        if self.draw.peer in request.get("From"):
            super()._incoming(sock, request, source)
        else:
            self.respond(request, source, "486 Busy Here", [], sock=sock)


class Registrar(Provider):
    """It takes calls from those who have registered."""

    def _incoming(self, sock: socket.socket, request: Message, source: Address) -> None:
        if self.draw.user in request.get("From"):
            super()._incoming(sock, request, source)
        else:
            self.respond(request, source, "403 Forbidden", [], sock=sock)


def dying(loop: Loop, net: Network, stage: Stage) -> Facts:
    """6b: the ALG sends the ACK to another port. Another phone shows that disabling is right."""
    draw = net.draw
    draw.other_first = True
    habits: dict[str, Any] = {"proxy": False, "ack_via_port": draw.via_port}
    stage.phone, stage.provider = Person(loop, net), Registrar(loop, net, **habits)
    other = OtherPhone(loop, net, **habits)
    stage.phone.register()
    other.play(silent)
    call = _dies(loop, stage)
    return facts_of(
        stage.phone, stage.provider, [call], other, forced_port=draw.via_port, other_first=True,
        must_name={"ALG011": [str(draw.via_port)], "disable-sip-alg": [draw.other_ip]},
    )  # fmt: skip


def unproven(loop: Loop, net: Network, stage: Stage) -> Facts:
    """6c: as before, but nothing shows that it would work without the ALG: suspected, no more."""
    draw = net.draw
    stage.phone = Person(loop, net)
    stage.provider = Registrar(
        loop, net, fixes_contact=False, proxy=False, ack_via_port=draw.via_port
    )
    stage.phone.register()
    call = _dies(loop, stage)
    return facts_of(
        stage.phone, stage.provider, [call], forced_port=draw.via_port,
        must_name={"ALG011": [str(draw.via_port)], "DLG002": [draw.phone_ip]},
    )  # fmt: skip


def elsewhere(loop: Loop, net: Network, stage: Stage) -> Facts:
    """4: there is no ALG, and the provider sends the ACK to the private Contact."""
    stage.phone, stage.provider = Person(loop, net), Registrar(loop, net, fixes_contact=False)
    stage.phone.register()
    call = _dies(loop, stage)
    return facts_of(
        stage.phone, stage.provider, [call], must_name={"DLG002": [net.draw.phone_ip]}
    )  # fmt: skip


def living(loop: Loop, net: Network, stage: Stage) -> Facts:
    """There is no ALG, and a call that lives."""
    stage.phone, stage.provider = Person(loop, net), Registrar(loop, net)
    stage.phone.register()
    call = ring_phone(loop, stage.phone, stage.provider)
    loop.until(lambda: call.acked, 5, "the ACK at the phone")
    stage.answered.set()
    loop.sleep(LIVES)
    stage.provider.hang_up(stage.provider.calls[call.call_id])
    loop.until(lambda: call.over, 3, "the end of the call")
    loop.sleep(0.5)
    return facts_of(stage.phone, stage.provider, [call])


def needed(loop: Loop, net: Network, stage: Stage) -> Facts:
    """3: only the ALG makes the calls work."""
    stage.answered.set()
    return needs_helper(loop, net, silent)


def harmless(loop: Loop, net: Network, stage: Stage) -> Facts:
    """2: the ALG rewrites and hurts nobody."""
    stage.answered.set()
    return healthy(loop, net, silent)


def _dies(loop: Loop, stage: Stage) -> Call:
    assert stage.phone is not None and stage.provider is not None
    call = ring_phone(loop, stage.phone, stage.provider)
    stage.answered.set()
    loop.until(lambda: call.sent_finals >= TOLD_AFTER, 15, "the repetition of the answer")
    stage.phone.hang_up(call, "dropped")  # some phones wait no longer
    loop.sleep(2.0)
    return call


Play = Callable[[Loop, Network, Stage], Facts]
# play: number of the lab's scenario that has its truth and the state of the helper.
PLAYS: dict[Play, str] = {
    dying: "6b-on", unproven: "6c-on", elsewhere: "4", living: "6b-off", needed: "3",
    harmless: "2",
}  # fmt: skip


class Attempt:
    """One attack. group: lies, blindness, growth, leaks or leftovers. aim: what the attacker
    wants, one line. attack: works until stage.over, in a thread of its own. before: prepares what
    the agent finds at its start. may: rules whose findings without a call are true besides
    those of the play. words: options of the agent. lines, grows: most
    lines of the log, most kB of growth. quick: part of the short form in the tests."""

    def __init__(
        self,
        name: str,
        group: str,
        play: Play,
        aim: str,
        attack: Callable[[Stage], None],
        *,
        before: Callable[[Stage], None] | None = None,
        may: str = "",
        words: tuple[str, ...] = (),
        latent: str = "",
        lines: int = 250,
        grows: int = 6000,
        quick: bool = False,
    ) -> None:
        self.name = name
        self.group = group
        self.play = play
        self.aim = aim
        self.attack = attack
        self.before = before
        self.may = set(may.split())
        self.latent = set(latent.split())
        self.words = words
        self.lines = lines
        self.grows = grows
        self.quick = quick

    @property
    def truth(self) -> Truth:
        return SCENARIOS[PLAYS[self.play]].truth

    @property
    def helper(self) -> bool:
        return SCENARIOS[PLAYS[self.play]].helper

    def is_true_of_others(self, finding: dict[str, Any]) -> bool:
        """Much is true of the attacker's own calls: they really end without an ACK, and a router
        with an ALG rewrites them. Only a router without one can do them no harm."""
        blames = finding["where"] == "router" and finding["harm"] in HURTS
        return self.helper or not (blames and finding["cause"] == ALG)


class Outcome:
    """The outcome of an attempt. memory: kB at the start, the most, at the end. seconds: CPU time
    of the agent, and how long its end took."""

    def __init__(self) -> None:
        self.facts: Facts = {}
        self.reports: list[list[Any]] = []
        self.log: list[str] = []
        self.faults: list[str] = []
        self.memory = (0, 0, 0)
        self.cpu = 0.0
        self.ended = 0.0
        self.status = 0
        self.sent = 0
        self.key = b""  # of the pseudonyms


def resident(pid: int) -> int:
    """kB of RAM; 0 when the process is gone."""
    try:
        found = re.search(r"^VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.M)
    except OSError:
        return 0
    return int(found[1]) if found else 0


def cpu_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / 100


def perform(attempt: Attempt, seed: int, directory: Path) -> Outcome:
    """Play the call, attack, measure. Raises NoLab."""
    outcome = Outcome()
    directory.mkdir(parents=True, exist_ok=True)
    with Network(Draw(seed)) as net:
        net.check_helper()
        net.helper(SCENARIOS[PLAYS[attempt.play]].helper)
        stage = Stage(net, seed, directory)
        agent = stage.agent = Agent(
            net.router, net.draw.cpe, directory / "privacy.key", words=(*SMALL, *attempt.words)
        )  # fmt: skip
        loop = Loop()
        thread = threading.Thread(target=_attack, args=(attempt, stage), daemon=True)
        try:
            agent.start_broker()
            if attempt.before is not None:
                attempt.before(stage)
            agent.start_agent()
            time.sleep(0.5)
            pid = agent.process.pid
            first = most = resident(pid)
            thread.start()
            watch = threading.Event()

            def look() -> None:
                nonlocal most
                while not watch.wait(0.2):
                    most = max(most, resident(agent.process.pid))

            watcher = threading.Thread(target=look, daemon=True)
            watcher.start()
            if stage.first is not None:
                stage.first.wait(30)
            outcome.facts = attempt.play(loop, net, stage)
            stage.over.set()
            if stage.first is None:
                thread.join(20)
            loop.sleep(SETTLE)
            watch.set()
            watcher.join()
            outcome.memory = (first, most, resident(agent.process.pid))
            outcome.cpu = cpu_seconds(agent.process.pid)
            _end(agent, outcome)
        except TimeoutError as problem:
            outcome.faults.append(f"the call itself did not go as drawn: {problem}")
        except RuntimeError as problem:
            outcome.faults.append(str(problem))
        finally:
            stage.over.set()
            loop.close()
            agent.reading.set()
            agent.stop()
            stage.gone.set()
            stage.lan.close()
            stage.wan.close()
        outcome.reports, outcome.log, outcome.sent = agent.reports, agent.log, stage.sent
        outcome.faults += stage.faults
        outcome.key = agent.privacy_key.read_bytes()
        outcome.facts["secrets"] = stage.secrets
        outcome.facts["strangers"] = [stage.lan_host, stage.wan_host]
    return outcome


def _attack(attempt: Attempt, stage: Stage) -> None:
    try:
        attempt.attack(stage)
    except Exception as problem:  # an attack that breaks proves nothing
        stage.faults.append(f"the attack broke: {type(problem).__name__}: {problem}")


def _end(agent: Agent, outcome: Outcome) -> None:
    began = time.monotonic()
    if agent.process.poll() is None:
        agent.process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        agent.process.wait(10)
    outcome.ended = time.monotonic() - began
    outcome.status = agent.process.poll() if agent.process.poll() is not None else -1  # type: ignore[assignment]
    time.sleep(0.5)  # the last reports are on their way to the subscriber
