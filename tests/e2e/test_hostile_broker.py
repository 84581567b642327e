# SPDX-License-Identifier: Apache-2.0
"""A broker that means harm costs neither memory nor time, and a good one gets all reports later.

The publishing half of the daemon runs as a process of its own; its memory is read from /proc.
"""

from __future__ import annotations

import os
import re
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from brokers import Gate, Listener, Mosquitto, authority, until
from hostile import ATTACKS, FULL, ODD, Attack, HostileBroker, drip, endless, flood, noise, publish
from sample import some

AGENT = Path(os.environ.get("ALGWATCH_AGENT", str(Path(__file__).parents[2] / "agent")))
GROWTH = 2048  # kB of resident memory that an attack may cost
CPU = 0.2  # seconds of CPU that a second of attack may cost
SECONDS = 0.8  # of attack

# Reads a number a line, and reports a finding with that number; waits are short.
VICTIM = """
import sys, time
sys.path.insert(0, {agent!r})
from algwatch.diagnose.finding import Evidence, Finding
from algwatch.report import broker, connection, mqtt
from algwatch.report.broker import Broker
from algwatch.report.outbox import Outbox
from algwatch.report.privacy import Privacy
from algwatch.report.publisher import Publisher
from algwatch.report.encode import Encoder
broker.HANDSHAKE = mqtt.PATIENCE = mqtt.FIRST_PATIENCE = 0.6
connection.SLOW = connection.UNACKNOWLEDGED = 0.6
mqtt.BACKOFF = {backoff}
def say(line):
    print("said", line, flush=True)
outbox = Outbox(1 << 20)
publisher = Publisher(Broker(sys.argv[1], ca=sys.argv[2]),
    Encoder(sys.argv[3], "0.1.0", "b1", Privacy(bytes(32), False)), outbox, time.time, say, {{}})
publisher.start()
for line in sys.stdin:
    number = line.strip()
    look = Evidence("lan", 1.0, "o", "e", b"ACK sip:x SIP/2.0" + b"x" * 500)
    publisher.finding(Finding("TXN001", "invite-unanswered", "error", "network", "observed",
                              number, "lan", 1.0, "number " + number, [look], number))
"""


class Victim:
    """said: its lines for people."""

    number = 0

    def __init__(self, url: str, ca: str = "", backoff: tuple[float, float] = (0.1, 0.4)) -> None:
        Victim.number += 1
        self.cpe = f"cpe{Victim.number}"
        self.process = subprocess.Popen(
            [sys.executable, "-c", VICTIM.format(agent=str(AGENT), backoff=backoff), url, ca,
             self.cpe],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self.said: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.rstrip("\n"))

    def heard(self, word: str, seconds: float = 30.0) -> bool:
        return until(lambda: any(re.search(word, line) for line in list(self.said)), seconds)

    def report(self, *numbers: int) -> None:
        assert self.process.stdin is not None
        for number in numbers:
            self.process.stdin.write(f"{number}\n")
        self.process.stdin.flush()

    def memory(self, name: str) -> int:
        """kB: VmRSS is now, VmHWM the most since forget_peak() (proc(5))."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1])
        raise AssertionError(name)

    def forget_peak(self) -> None:
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def cpu(self) -> float:
        """Seconds, of user and system."""
        words = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / float(os.sysconf("SC_CLK_TCK"))

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def hostile() -> Iterator[HostileBroker]:
    broker = HostileBroker()
    yield broker
    broker.close()


@pytest.fixture
def victim(hostile: HostileBroker) -> Iterator[Victim]:
    process = Victim(f"mqtt://127.0.0.1:{hostile.port}")
    yield process
    process.end()


def measured(victim: Victim, during: Callable[[], None], seconds: float) -> tuple[int, float]:
    """(kB that resident memory grew at most, seconds of CPU a second)."""
    victim.forget_peak()
    memory, cpu, began = victim.memory("VmRSS"), victim.cpu(), time.monotonic()
    during()
    time.sleep(max(0.0, began + seconds - time.monotonic()))
    spent = victim.cpu() - cpu
    return victim.memory("VmHWM") - memory, spent / (time.monotonic() - began)


def attacked(
    hostile: HostileBroker, victim: Victim, attack: Attack, after: bool, raw: bool = False
) -> tuple[int, float]:
    """The attack, with twenty reports before it and forty during it."""
    assert victim.heard("connected")
    victim.report(*range(20))
    # Each of them acknowledged, the birth and the advice too.
    assert until(lambda: hostile.acknowledged >= 21)

    def during() -> None:
        hostile.turn(attack, after, raw)
        time.sleep(0.1)  # until the polite connection is over
        for number in range(20, 60, 4):
            victim.report(*range(number, number + 4))
            time.sleep(SECONDS / 20)

    return measured(victim, during, SECONDS)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    server = Mosquitto(tmp_path_factory.mktemp("mosquitto"))
    yield server
    server.kill()


def delivered(hostile: HostileBroker, victim: Victim, good: Mosquitto, want: set[int]) -> bool:
    """A good broker in place of the other gets them all."""
    listener = Listener(good.port, victim.cpe)
    hostile.close()
    gate = Gate(good.port, port=hostile.port)
    try:
        return until(lambda: {int(body["finding"]["call_id"]) for body in listener.of("finding")}
                     >= want)  # fmt: skip
    finally:
        gate.shut()
        listener.close()


@pytest.mark.parametrize("name", some(ATTACKS, 2))
def test_an_attack_costs_little_and_no_report(
    hostile: HostileBroker, victim: Victim, good: Mosquitto, name: str
) -> None:
    attack, after, line = ATTACKS[name]
    growth, cpu = attacked(hostile, victim, attack, after)
    tries = len(hostile.times)
    told = victim.heard(line)
    got_all = delivered(hostile, victim, good, set(range(20, 60)))
    row = f"{name}: {growth} kB, {cpu:.2f} CPU, {tries} connections, all reports: {got_all}"
    if "ALGWATCH_TABLE" in os.environ:
        with open(os.environ["ALGWATCH_TABLE"], "a", encoding="utf-8") as table:
            table.write(f"{row}; {victim.said[2:3]}\n")
    assert growth < GROWTH and cpu < CPU and got_all, (row, victim.said)
    assert told, victim.said
    assert all(text.startswith("said ") and text.isprintable() for text in victim.said)


@pytest.mark.parametrize("name", ODD)
def test_an_odd_broker_gets_all_reports(hostile: HostileBroker, victim: Victim, name: str) -> None:
    attack, after = ODD[name]
    hostile.turn(attack, after)
    assert victim.heard("connected")
    began = len(hostile.times)
    victim.report(*range(20))
    # The last of them acknowledged, so the connection holds.
    assert until(lambda: hostile.acknowledged >= 21), hostile.acknowledged
    time.sleep(1.5)
    assert len(hostile.times) == began, victim.said


# Section numbers are of RFC 8446. A record of 16 kB with a message of 16 MB in it (4).
GIANT = b"\x16\x03\x03\x40\x00\x02\xff\xff\xff" + bytes(0x3FFC)
# name: (attack, whether it comes in place of the handshake, what the agent must say)
TLS: dict[str, tuple[Attack, bool, str]] = {
    "no TLS at all": (noise, True, "SSL|TLS|record|version|reset|pipe|EOF"),
    "a handshake message of 16 MB": (flood(GIANT), True, "SSL|excessive|unexpected|length"),
    "empty records": (flood(b"\x16\x03\x03\x00\x00"), True, "SSL|record|length|unexpected"),
    "silence": (lambda connection: connection.over.wait(60), True, "handshake .*timed out"),
    "a byte at a time": (drip(GIANT), True, "handshake .*timed out"),
    "one PUBLISH of 256 MB": (endless(b"\x30" + FULL), False, "bytes long"),
    "PUBLISH, QoS 0": (flood(publish(0)), False, "did not ask"),
}


@pytest.mark.parametrize("name", TLS)
def test_an_attack_in_tls_costs_little_and_no_report(
    good: Mosquitto, tmp_path: Path, name: str
) -> None:
    authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "broker.pem", tmp_path / "broker.key")
    hostile = HostileBroker(context)
    victim = Victim(f"mqtts://127.0.0.1:{hostile.port}", f"{tmp_path}/ca.pem")
    try:
        attack, raw, line = TLS[name]
        growth, cpu = attacked(hostile, victim, attack, True, raw)
        assert growth < GROWTH and cpu < CPU, (growth, cpu, victim.said)
        assert victim.heard(line), victim.said
        hostile.turn(None)
        before = hostile.acknowledged
        # The birth, the advice and forty reports.
        assert until(lambda: hostile.acknowledged - before >= 41), victim.said
    finally:
        victim.end()
        hostile.close()


@pytest.mark.parametrize(("after", "most"), [(True, 4), (False, 8)])
def test_a_broker_that_resets_is_tried_less_and_less_often(after: bool, most: int) -> None:
    hostile = HostileBroker()
    hostile.turn(lambda connection: connection.reset(), after)
    victim = Victim(f"mqtt://127.0.0.1:{hostile.port}", backoff=(1.0, 120.0))
    try:
        assert until(lambda: hostile.times)
        time.sleep(5)
        # After 0, 0.5 to 1, 1.5 to 3 and 3.5 to 7 s; MQTT 3.1.1 each time, too, without CONNACK.
        assert len(hostile.times) <= most
        assert len(victim.said) <= 3, victim.said
    finally:
        victim.end()
        hostile.close()
