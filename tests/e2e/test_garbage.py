# SPDX-License-Identifier: Apache-2.0
"""50,000 packets a second of what the Internet throws at port 5060, and a call beside it; and what
a ring had no room for is not missing."""

from __future__ import annotations

import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from brokers import Listener, Mosquitto, need, until
from craft import START, House, Incoming, Outgoing, frame, register
from forger import ip_summed
from test_daemon import Agent, Router, _allowed, broker, listen, router, run

__all__ = ["_allowed", "broker", "router", "run"]  # fixtures
FLOOD = Path(__file__).parents[1] / "bench" / "flood.c"
BR_LAN, WAN = bytes.fromhex("021122334455"), bytes.fromhex("021122334466")
RATE, SECONDS, AGAIN = 50_000, 6, 2


def garbage(rng: Random, house: House) -> Iterator[bytes]:
    """Frames that scanners and the like send: noise, other protocols, SIP cut anywhere, SIP that
    begins well and goes on as nonsense."""
    whole = Incoming(house, "scan")
    whole.invite(0)
    for number in range(20_000):
        mine = whole.invited.replace(b"-scan", b"-%d" % number).replace(b": scan", b": %d" % number)
        noise = rng.randbytes(rng.choice((1, 4, 20, 60, 300, 1200)))
        payload = rng.choice((
            noise, b"\0" * 40, b"\x16\x03\x01\x02\x00" + noise, b"GET / HTTP/1.1\r\n\r\n",
            b"\x12\x34\x01\0\0\1\0\0\0\0\0\0\3www\0\0\1\0\1", mine[: rng.randrange(len(mine))],
            b"OPTIONS sip:x SIP/2.0\r\n" + noise, b"INVITE " + noise, b"SIP/2.0 200 OK\r\n\r\n",
        ))  # fmt: skip
        source = f"185.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(1, 255)}"
        made = frame(payload, source, rng.randrange(1024, 65536), house.wan_ip, 5060, 50,
                     1 + number)  # fmt: skip
        yield WAN + ip_summed(made, 14)[6:]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program that sends, and its frames."""
    folder = tmp_path_factory.mktemp("flood")
    compiler = need(shutil.which("cc"), "a C compiler")
    subprocess.run([compiler, "-O2", "-o", folder / "flood", FLOOD], check=True)
    with (folder / "frames").open("wb") as file:
        for data in garbage(Random(5060), House()):
            file.write(struct.pack("<I", len(data)) + data)
    return folder


@pytest.fixture
def flood(router: Router, made: Path) -> Callable[[int, int], subprocess.Popen[str]]:
    """Garbage at the WAN, when it is called: so many packets a second (0: all at once), and in
    all. Prints "sent seconds"."""

    def start(rate: int, count: int) -> subprocess.Popen[str]:
        with router.inside():
            return subprocess.Popen(
                [made / "flood", "far-wan", made / "frames", str(rate), str(count)],
                stdout=subprocess.PIPE, text=True,
            )  # fmt: skip

    return start


def play(router: Router, house: House) -> None:
    """The packets of the house, in their time, on the interfaces of the router."""
    lan, wan = house.sorted()
    with router.inside():
        ends = {}
        for name in ("br-lan", "far-br-lan", "wan", "far-wan"):
            ends[name] = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            ends[name].bind((name, 0))
    phone, public = socket.inet_aton(house.phone), socket.inet_aton(house.wan_ip)
    lan, wan = ([(at, ip_summed(data, 14)) for at, data in some] for some in (lan, wan))
    events = [(at, BR_LAN + data[6:], "far-br-lan" if data[26:30] == phone else "br-lan")
              for at, data in lan]  # fmt: skip
    events += [(at, WAN + data[6:], "wan" if data[26:30] == public else "far-wan")
               for at, data in wan]  # fmt: skip
    began = time.monotonic()
    for at, data, name in sorted(events, key=lambda event: event[0]):
        time.sleep(max(0.0, (at / 1e9 - START) - (time.monotonic() - began)))
        ends[name].send(data)
    for end in ends.values():
        end.close()


def seen(listener: Listener) -> int:
    """Packets that were looked at or counted as lost, by the latest health report."""
    health = listener.of("health")[-1]["health"]
    drops = sum(tap["drops"] for tap in health["taps"].values())
    return int(health["frames"]["packets"] + drops)


def test_a_flood_of_garbage_hides_no_call_and_takes_no_memory(
    router: Router, run: Callable[..., Agent], broker: Mosquitto,
    flood: Callable[[int, int], subprocess.Popen[str]], record_property: Any,
) -> None:  # fmt: skip
    listener = listen(router, broker, "cpe7")
    agent = run("--mqtt", f"mqtt://127.0.0.1:{broker.port}", "--cpe", "cpe7",
                "--health-interval", "1", "--memory-bytes", "1048576")  # fmt: skip
    assert agent.heard("connected")
    assert until(lambda: listener.of("health"))
    memory = [agent.memory()]

    house = House("linux", wan_port=1024)
    register(house, 0.5)
    call = Incoming(house, "beside")
    call.invite(1)
    call.ringing(1.1)
    for after in (0.0, 0.5, 1.5, 3.5):  # no ACK ever comes
        call.ok(1.3 + after)
    flooding = flood(RATE, RATE * SECONDS)
    play(router, house)
    told, _ = flooding.communicate(timeout=60)
    sent = int(told.split()[0])

    assert agent.heard("DLG001"), agent.said[-5:]
    assert not any("rule=DLG001 slug=ack-lost where=router" in one for one in agent.said), (
        agent.said[-5:]
    )
    assert any("ALG014" in line or "ALG001" in line for line in agent.said), agent.said[-5:]
    own = len(house.lan) + len(house.wan)
    assert until(lambda: seen(listener) >= sent + own), "all is read or counted as lost"
    memory.append(agent.memory())
    told, _ = flood(RATE, RATE * AGAIN).communicate(timeout=60)
    sent += int(told.split()[0])
    assert until(lambda: seen(listener) >= sent + own), "all is read or counted as lost"
    memory.append(agent.memory())
    health = listener.of("health")[-1]["health"]
    record_property("memory", memory)
    print(health, memory, sent)
    wan = health["taps"]["wan"]
    # Each packet was looked at or counted as lost; the connection to the broker is on neither tap.
    assert seen(listener) == sent + own
    assert health["frames"]["other"] > sent // 3
    assert health["rule_failures"] == {}
    assert health["evicted"]["unsolicited"] > 0 and "calls" not in health["evicted"]
    if not wan["drops"]:
        assert health["crossings"]["paired"] == len(house.lan)
    # The first flood fills the tables, and the next one takes nothing more.
    empty, full, later = (one["private"] for one in memory)
    assert full - empty < 6_500
    assert later - full < 800
    assert agent.stop() and agent.complained == []
    listener.close()


def test_an_ack_that_the_ring_had_no_room_for_is_nobodys_fault(
    router: Router, run: Callable[..., Agent],
    flood: Callable[[int, int], subprocess.Popen[str]],
) -> None:  # fmt: skip
    """The router is too busy to run the agent while a flood fills the ring of the WAN and the ACK
    crosses: seen on the LAN only, as if the router had swallowed it."""
    agent = run("--ring-bytes", "262144")
    assert agent.heard("watching")
    house = House(wan_port=1024)
    register(house, 0.2)
    call = Outgoing(house, "beside")
    call.invite(0.5)
    for after in (0.0, 0.5, 1.5):
        call.ok(1 + after)
    play(router, house)
    house.lan, house.wan = [], []
    call.ack(0)
    agent.process.send_signal(signal.SIGSTOP)
    try:
        flood(0, 5000).communicate(timeout=60)
        play(router, house)
    finally:
        agent.process.send_signal(signal.SIGCONT)
    house.lan, house.wan = [], []
    register(house, 1, n=2)
    play(router, house)
    assert agent.heard("CAP002"), agent.said
    assert agent.heard("DLG001"), agent.said
    assert all("place unknown" in line for line in agent.said if "DLG001" in line), agent.said
    assert agent.stop()[0] == 0 and agent.complained == []
