"""50,000 packets a second of what the Internet throws at port 5060, and a call beside it."""

from __future__ import annotations

import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

from brokers import Mosquitto, need, until
from craft import START, House, Incoming, frame, register
from test_daemon import Agent, Router, _allowed, broker, listen, router, run

__all__ = ["_allowed", "broker", "router", "run"]  # fixtures
FLOOD = Path(__file__).parents[1] / "bench" / "flood.c"
BR_LAN, WAN = bytes.fromhex("021122334455"), bytes.fromhex("021122334466")
RATE, SECONDS = 50_000, 6


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
        yield WAN + made[6:]


def play(router: Router, house: House) -> None:
    """What the house made, in its time, on the interfaces of the router."""
    lan, wan = house.sorted()
    with router.inside():
        ends = {}
        for name in ("br-lan", "far-br-lan", "wan", "far-wan"):
            ends[name] = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            ends[name].bind((name, 0))
    phone, public = socket.inet_aton(house.phone), socket.inet_aton(house.wan_ip)
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


def test_a_flood_of_garbage_hides_no_call_and_takes_no_memory(
    router: Router, run: Callable[..., Agent], broker: Mosquitto, tmp_path: Path,
    record_property: Any,
) -> None:  # fmt: skip
    compiler = need(shutil.which("cc"), "a C compiler")
    subprocess.run([compiler, "-O2", "-o", tmp_path / "flood", FLOOD], check=True)
    listener = listen(router, broker, "cpe7")
    agent = run("--mqtt", f"mqtt://127.0.0.1:{broker.port}", "--cpe", "cpe7",
                "--health-interval", "1")  # fmt: skip
    assert agent.heard("connected")
    assert until(lambda: listener.of("health"))
    before = agent.memory()

    house = House("linux", wan_port=1024)
    frames = tmp_path / "frames"
    with frames.open("wb") as file:
        for data in garbage(Random(5060), House()):
            file.write(struct.pack("<I", len(data)) + data)
    register(house, 0.5)
    call = Incoming(house, "beside")
    call.invite(1)
    call.ringing(1.1)
    for after in (0.0, 0.5, 1.5, 3.5):  # no ACK ever comes
        call.ok(1.3 + after)
    with router.inside():
        flood = subprocess.Popen(
            [tmp_path / "flood", "far-wan", frames, str(RATE), str(RATE * SECONDS)],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
    play(router, house)
    told, _ = flood.communicate(timeout=60)
    sent, seconds = told.split()

    assert agent.heard("DLG001"), agent.said[-5:]
    assert not any("DLG001 in this router" in line for line in agent.said), agent.said[-5:]
    assert any("ALG014" in line or "ALG001" in line for line in agent.said), agent.said[-5:]
    time.sleep(2.5)  # two more health reports
    used = agent.memory()
    health = listener.of("health")[-1]["health"]
    record_property("memory", {"before": before, "after": used})
    print(health, before, used, sent, seconds)
    own = len(house.lan) + len(house.wan)
    wan, lan = health["taps"]["wan"], health["taps"]["br-lan"]
    # Each packet was looked at or counted as lost; the connection to the broker is on neither tap.
    assert health["frames"]["packets"] + wan["drops"] + lan["drops"] == int(sent) + own
    assert health["frames"]["other"] > int(sent) // 3
    assert health["rule_failures"] == {}
    if not wan["drops"]:
        assert health["crossings"]["paired"] == len(house.lan)
    assert used["private"] - before["private"] < 2_500
    assert agent.stop() and agent.complained == []
    listener.close()
