# SPDX-License-Identifier: Apache-2.0
"""The whole daemon with mutual TLS while very many messages pass: calls that are rewritten, that
drop, and that somebody forges. Its memory is told on the way: `make soak MESSAGES=1000000`.

The calls are those of tests/bench/make_calls.py, behind an ALG; those that live are shortened.
"""

from __future__ import annotations

import heapq
import os
import platform
import random
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from brokers import Listener, Mosquitto, authority, until
from forger import ip_summed
from packaged import packaged
from test_daemon import Agent, Router

sys.path.append(str(Path(__file__).parents[1] / "bench"))
from make_calls import CALLS, LOST, PROVIDER, PUBLIC, Call, text_on

CALLS_A_SECOND = 150  # some 2400 messages
MARKS = (0, 200, 10_000, 100_000, 1_000_000)
SHORTER = 20.0  # times that a call which lives is


def frame(data: bytes, outward: bool, phone: tuple[str, int], ident: int, ttl: int) -> bytes:
    source, target = (phone, (PROVIDER, 5060)) if outward else ((PROVIDER, 5060), phone)
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + len(data), ident & 0xFFFF or 1, 0, ttl, 17, 0,
                       socket.inet_aton(source[0]), socket.inet_aton(target[0]))  # fmt: skip
    udp = struct.pack("!HHHH", source[1], target[1], 8 + len(data), 0)
    return bytes.fromhex("02000000000a0800") + ip_summed(head + udp) + data


# The router's interfaces: what is for others is none of its business.
LAN_MAC, WAN_MAC = bytes.fromhex("021122334455"), bytes.fromhex("021122334466")


def events() -> Iterator[tuple[bool, Call, str]]:
    """What phones and provider send, for ever: from the phone or not, the call, the text. None of
    it comes sooner than it may, by the clock."""
    rng, began = random.Random(7), time.monotonic()
    coming: list[tuple[float, int, bool, str, Call]] = []
    number, serial, start = 0, 0, began
    while True:
        while not coming or start <= coming[0][0]:
            call = Call(number, rng, number % (CALLS // LOST) == 0)
            for at, by_phone, text in call.events(start):
                serial += 1
                then = at if call.lost else start + (at - start) / SHORTER
                heapq.heappush(coming, (then, serial, by_phone, text, call))
            number += 1
            start += 1 / CALLS_A_SECOND
        at, _, by_phone, text, call = heapq.heappop(coming)
        time.sleep(max(0.0, at - time.monotonic()))
        yield by_phone, call, text


def feed(router: Router, messages: int, mark: Callable[[int], None]) -> None:
    """Let so many messages pass the router; each that crosses it is two. mark: told how many have
    passed, at each of MARKS."""
    with router.inside(), ExitStack() as stack:
        out = {}
        for name in ("far-br-lan", "wan", "far-wan", "br-lan"):
            out[name] = stack.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
            out[name].bind((name, 0))
        passed, marks = 0, [one for one in MARKS if one <= messages]
        for by_phone, call, text in events():
            while marks and passed >= marks[0]:
                mark(marks.pop(0))
            if passed >= messages:
                return
            serial = passed // 2
            inside, outside = (call.phone.host, 5060), (PUBLIC, call.phone.nat_port)
            for wan in (not by_phone, by_phone):
                near = outside if wan else inside
                entered = by_phone != wan
                data = text_on(*near, text)
                ttl = (64 if by_phone else 53) - (not entered)
                interface = ("far-" if entered else "") + ("wan" if wan else "br-lan")
                mac = WAN_MAC if wan else LAN_MAC
                out[interface].send(mac + frame(data, by_phone, near, serial, ttl))
                passed += 1
            if passed % 64 == 0:  # somebody else in the LAN says the same, as another phone
                host = f"192.168.{2 + passed // 64 % 200}.{1 + passed // 12800 % 250}"
                forged = text_on(host, 5060, text)
                out["far-br-lan"].send(LAN_MAC + frame(forged, True, (host, 5060), serial, 64))
                passed += 1


class Soak:
    """What was measured: memory by messages that had passed, kB."""

    def __init__(self, messages: int, folder: Path) -> None:
        self.memory: dict[int, dict[str, int]] = {}
        authority(folder)
        router = Router()
        with router.inside():
            broker = Mosquitto(
                folder, f"allow_anonymous true\ncafile {folder}/ca.pem\ncertfile "
                f"{folder}/broker.pem\nkeyfile {folder}/broker.key\nrequire_certificate true\n"
                f"listener 1884 127.0.0.1\n",
            )  # fmt: skip
            assert until(lambda: _listens(1884))
            listener = Listener(1884, "021122334455")
        agent = Agent(
            router, "--lan", "br-lan", "--wan", "wan", "--ring-bytes", "262144",
            "--memory-bytes", "1048576", "--health-interval", "10",
            "--mqtt", f"mqtts://127.0.0.1:{broker.port}", "--mqtt-ca", f"{folder}/ca.pem",
            "--mqtt-cert", f"{folder}/router.pem", "--mqtt-key", f"{folder}/router.key",
            PYTHONPATH=str(packaged(folder / "lib")),
        )  # fmt: skip
        try:
            assert agent.heard("connected"), (agent.said, agent.complained)

            def mark(passed: int) -> None:
                time.sleep(1.0)
                assert agent.process.poll() is None, (agent.process.returncode, agent.complained)
                self.memory[min(MARKS, key=lambda one: abs(one - passed))] = agent.memory()

            began = time.monotonic()
            feed(router, messages, mark)
            self.seconds = time.monotonic() - began
            time.sleep(2.0)
            self.memory[messages] = agent.memory()
            assert agent.stop()[0] == 0, agent.complained
            self.findings = len(listener.of("finding"))
            self.health = listener.of("health")[-1]["health"]
        finally:
            agent.process.kill()
            listener.close()
            broker.kill()
            router.close()


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def import_times() -> tuple[float, float, float]:
    """Milliseconds that the imports of a daemon with MQTT take by themselves, wall clock of a
    Python that makes them, and of one that makes none."""
    words = "import algwatch.start, algwatch.report.publisher, algwatch.report.paho as p; p.load()"
    run = [sys.executable, "-X", "importtime", "-c", words]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    own = sum(int(line[12:].split("|")[0]) for line in done.stderr.splitlines()[1:])
    walls = []
    for code in (words, "pass"):
        best = 9.0
        for _ in range(5):
            began = time.monotonic()
            subprocess.run([sys.executable, "-c", code], check=True)
            best = min(best, time.monotonic() - began)
        walls.append(1000 * best)
    return own / 1000, walls[0], walls[1]


def main(messages: int) -> None:
    print(f"{platform.machine()}, {os.cpu_count()} CPUs, Linux {os.uname().release}, "
          f"Python {platform.python_version()}")  # fmt: skip
    own, wall, bare = import_times()
    print(f"imports: {own:.0f} ms by -X importtime; {wall:.0f} ms wall clock, {bare:.0f} without")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        soak = Soak(messages, Path(folder))
    print(f"{soak.seconds:.0f} s, {soak.findings} findings sent, "
          f"{soak.health['capture']['sip_messages']} messages seen")  # fmt: skip
    print("| messages | RSS, kB | private, kB |\n|--:|--:|--:|")
    for passed, used in soak.memory.items():
        print(f"| {passed} | {used['rss']} | {used['private']} |")


if __name__ == "__main__":
    main(int(os.environ.get("MESSAGES") or 1_000_000))
