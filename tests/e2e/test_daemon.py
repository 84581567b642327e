# SPDX-License-Identifier: Apache-2.0
"""`algwatch run` as a user starts it: real interfaces, a real broker, signals."""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from algwatch.base.native import layout
from brokers import MOSQUITTO, Gate, Listener, Mosquitto, authority, need, until
from faults import need_pahos
from forger import ip_summed
from hostile import ATTACKS, HostileBroker
from packaged import packaged
from world import PAHOS

AGENT = Path(__file__).parents[2] / "agent"
CLONE_NEWNET = 0x40000000
LIMITS = 26_000, 13_500  # kB: RSS and private, what a router gives it (docs/cross.md)
LIBC = ctypes.CDLL(None, use_errno=True)

# A phone's message, and the same after a bad ALG: the Contact names an address that is
# neither the phone's nor the router's.
REGISTER = (
    b"REGISTER sip:sip.example.com SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP %(via)s;branch=z9hG4bKregister%(number)d\r\n"
    b"From: <sip:wanda@sip.example.com>;tag=1\r\n"
    b"To: <sip:wanda@sip.example.com>\r\n"
    b"Call-ID: secret-%(number)d@192.168.1.10\r\n"
    b"CSeq: 1 REGISTER\r\n"
    b"Contact: <sip:wanda@%(contact)s>\r\n"
    b'Authorization: Digest username="wanda", response="0123456789abcdef"\r\n'
    b"Content-Length: 0\r\n\r\n"
)
LAN, WAN, PROVIDER = ("192.168.1.10", 5060), ("198.51.100.2", 1024), ("203.0.113.5", 5060)


def frame(payload: bytes, source: tuple[str, int], ttl: int) -> bytes:
    udp = struct.pack("!HHHH", source[1], PROVIDER[1], 8 + len(payload), 0) + payload
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 7, 0, ttl, 17, 0,
                       socket.inet_aton(source[0]), socket.inet_aton(PROVIDER[0]))  # fmt: skip
    # To the router's own address: what is for others is none of its business.
    return bytes.fromhex("02112233445502000000000a0800") + ip_summed(head + udp)


def register(number: int, via: str, contact: str) -> bytes:
    return REGISTER % {b"via": via.encode(), b"contact": contact.encode(), b"number": number}


def packet_socket(interface: str) -> socket.socket:
    """In the network namespace of this thread."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sock.bind((interface, 0))
    return sock


class Router:
    """A network namespace with br-lan and wan; frames are put on their far ends."""

    def __init__(self) -> None:
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        if LIBC.unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        self._fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        LIBC.setns(home, CLONE_NEWNET)
        os.close(home)
        with self.inside():
            self.ip("link", "set", "lo", "up")
            for name in ("br-lan", "wan"):
                self.plug(name)

    def plug(self, name: str) -> None:
        """With an address that tells nothing of the machine; and quiet, so without IPv6."""
        mac = "02:11:22:33:44:55" if name == "br-lan" else "02:11:22:33:44:66"
        self.ip("link", "add", name, "address", mac, "type", "veth", "peer", "name", f"far-{name}")
        for end in (name, f"far-{name}"):
            Path(f"/proc/sys/net/ipv6/conf/{end}/disable_ipv6").write_text("1")
            self.ip("link", "set", end, "up")

    @staticmethod
    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    @contextmanager
    def inside(self) -> Iterator[None]:
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        LIBC.setns(self._fd, CLONE_NEWNET)
        try:
            yield
        finally:
            LIBC.setns(home, CLONE_NEWNET)
            os.close(home)

    def crosses(self, lan: bytes, wan: bytes) -> None:
        """One message in at br-lan and out at wan, as the tap of each sees it; at once, since the
        copies of one message are at most 250 ms apart."""
        with self.inside(), packet_socket("far-br-lan") as inside, packet_socket("wan") as outside:
            inside.send(frame(lan, LAN, 64))
            outside.send(frame(wan, WAN, 63))
            time.sleep(0.002)

    def close(self) -> None:
        os.close(self._fd)


class Agent:
    """The daemon in the router. said: its lines on standard output; complained: on the other.
    within: a command that runs it. python: what runs algwatch."""

    def __init__(
        self,
        router: Router,
        *words: str,
        within: Sequence[str] = (),
        python: Sequence[str] = (sys.executable, "-m", "algwatch"),
        **environment: str,
    ) -> None:
        env = {**os.environ, "PYTHONPATH": str(AGENT), **environment}
        with router.inside():
            self.process = subprocess.Popen(
                [*within, *python, "run", *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=env,
            )
        self.said: list[str] = []
        self.complained: list[str] = []
        for stream, lines in (
            (self.process.stdout, self.said),
            (self.process.stderr, self.complained),
        ):
            threading.Thread(target=self._read, args=(stream, lines), daemon=True).start()

    @staticmethod
    def _read(stream: Any, lines: list[str]) -> None:
        for line in stream:
            lines.append(line.rstrip("\n"))

    def heard(self, word: str, seconds: float = 30.0) -> bool:
        return until(lambda: any(word in line for line in list(self.said)), seconds)

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """(exit status, seconds that it took)"""
        began = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(20), time.monotonic() - began

    def memory(self) -> dict[str, int]:
        """A value of /proc/PID/smaps_rollup, kB."""
        text = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        found = {name: int(value) for name, value in re.findall(r"^(\w+): +(\d+) kB", text, re.M)}
        dirty = found["Private_Dirty"]
        return {"rss": found["Rss"], "private": found["Private_Clean"] + dirty, "dirty": dirty}


@pytest.fixture(scope="module", autouse=True)
def _allowed() -> None:
    reason = ""
    if os.geteuid() != 0:
        reason = "needs root (network namespaces and CAP_NET_RAW)"
    elif shutil.which("ip") is None:
        reason = "needs the program ip: apt-get install iproute2"
    if reason and os.environ.get("CI") == "true":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)
    need(MOSQUITTO, "mosquitto")


@pytest.fixture
def router() -> Iterator[Router]:
    made = Router()
    yield made
    made.close()


@pytest.fixture
def run(router: Router) -> Iterator[Callable[..., Agent]]:
    agents: list[Agent] = []

    def start(
        *words: str, sides: bool = True, within: Sequence[str] = (), **environment: str
    ) -> Agent:
        taps = ("--lan", "br-lan", "--wan", "wan") if sides else ()
        agents.append(Agent(router, *taps, *words, within=within, **environment))
        return agents[-1]

    yield start
    for agent in agents:
        if agent.process.poll() is None:
            agent.process.kill()
            agent.process.wait()


@pytest.fixture
def broker(router: Router, tmp_path: Path) -> Iterator[Mosquitto]:
    with router.inside():
        server = Mosquitto(tmp_path)
    yield server
    server.kill()


def listen(router: Router, broker: Mosquitto, cpe: str, **login: Any) -> Listener:
    with router.inside():
        return Listener(broker.port, cpe, **login)


def test_a_message_that_crosses_the_router_is_reported_until_sigterm(
    router: Router, run: Callable[..., Agent], broker: Mosquitto
) -> None:
    listener = listen(router, broker, "021122334455")
    agent = run("--mqtt", f"mqtt://127.0.0.1:{broker.port}", "--tags", "region=north plan=basic")
    opened = (
        "algwatch 0.1.0: watching br-lan (lan) and wan (wan), "
        f"reporting to mqtt://127.0.0.1:{broker.port} as 021122334455"
    )
    assert agent.heard(opened), agent.said
    assert agent.heard("connected")
    router.crosses(register(1, "192.168.1.10", "192.168.1.10"),
                   register(1, "198.51.100.2:1024", "198.51.100.77:9"))  # fmt: skip
    assert until(lambda: listener.of("finding")), agent.said
    assert agent.heard("ALG")
    assert not any("wanda" in line for line in agent.said)
    status, seconds = agent.stop()
    assert (status, agent.complained) == (0, [])
    assert seconds < 3
    assert until(lambda: listener.of("state")[-1].get("reason") == "stopped")
    births = [body for body in listener.of("state") if body["online"]]
    birth = births[0]
    assert birth["taps"] == {"br-lan": "lan", "wan": "wan"}
    assert birth["tags"] == {"region": "north", "plan": "basic"}
    assert birth["kernel"] == os.uname().release and birth["offload"] == "none"
    assert birth["helper"] in ("module", "built-in", "absent")
    health = listener.of("health")[-1]["health"]
    assert health["crossings"] == {
        "paired": 1,
        "lan_only": 0,
        "wan_only": 0,
        "unsolicited": 0,
        "rewritten": 1,
    }
    assert health["capture"]["sip_messages"] == 2
    assert health["rule_failures"] == {}
    assert agent.said[-1] == 'agent msg="algwatch stopped"'
    seqs = sorted(body["seq"] for _, body, _ in listener.reports)
    assert seqs == list(range(1, len(seqs) + 1))
    listener.close()


def test_a_finding_outlives_the_agent_that_no_broker_has_heard(
    router: Router, run: Callable[..., Agent], broker: Mosquitto, tmp_path: Path
) -> None:
    broker.kill()
    words = ("--mqtt", f"mqtt://127.0.0.1:{broker.port}", "--spool", str(tmp_path / "spool"))
    first = run(*words)
    assert first.heard("watching")
    router.crosses(register(1, "192.168.1.10", "192.168.1.10"),
                   register(1, "198.51.100.2:1024", "198.51.100.77:9"))  # fmt: skip
    assert first.heard("ALG"), first.said
    first.process.kill()
    first.process.wait()
    with router.inside():
        broker.start()
    listener = listen(router, broker, "021122334455")
    second = run(*words)
    assert second.heard("of an earlier start wait to be sent"), second.said
    assert until(lambda: listener.of("finding")), second.said
    assert listener.of("finding")[0]["boot"] != listener.of("state")[-1]["boot"]
    assert second.stop()[0] == 0
    listener.close()


def paired(listener: Listener) -> int:
    """What the latest health report of the latest boot counts."""
    boot = listener.of("state")[-1]["boot"]
    health = [body["health"] for body in listener.of("health") if body["boot"] == boot]
    return int(health[-1]["crossings"]["paired"]) if health else 0


def test_an_agent_that_is_killed_or_ended_goes_on_with_its_advice_and_tells_nothing_again(
    router: Router, run: Callable[..., Agent], broker: Mosquitto, tmp_path: Path
) -> None:
    words = ("--mqtt", f"mqtt://127.0.0.1:{broker.port}", "--state", str(tmp_path / "state"))
    listener = listen(router, broker, "021122334455")
    for life in range(3):
        agent = run(*words, "--spool", str(tmp_path / "spool"))
        assert agent.heard("watching")
        router.crosses(register(1 + life, "192.168.1.10", "192.168.1.10"),
                       register(1 + life, "198.51.100.2:1024", "198.51.100.77:9"))  # fmt: skip
        if life == 0:
            assert agent.heard("ALG") and until(lambda: listener.of("finding")), agent.said
            agent.process.kill()
            agent.process.wait()
        else:
            assert agent.heard("goes on from"), agent.said
            assert until(lambda: paired(listener) == 1), agent.said
            assert agent.stop()[0] == 0
            assert not any("ALG001" in line for line in agent.said), agent.said
    # One that was not acknowledged before the kill comes again under its own id (docs/wire.md).
    found = {body["id"]: body["finding"] for body in listener.of("finding")}
    told = [(one["key"], one["summary"]) for one in found.values()]
    assert told and len(told) == len(set(told)), told
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o600
    listener.close()


def test_nobody_who_calls_is_named_over_mqtt_although_a_program_on_the_router_may_know(
    router: Router, run: Callable[..., Agent], broker: Mosquitto
) -> None:
    import msgpack

    listener = listen(router, broker, "cpe7")
    agent = run("--mqtt", f"mqtt://127.0.0.1:{broker.port}", "--cpe", "cpe7", "--json")
    assert until(lambda: listener.of("state"))
    router.crosses(register(1, "192.168.1.10", "192.168.1.10"),
                   register(1, "198.51.100.2:1024", "198.51.100.77:9"))  # fmt: skip
    assert until(lambda: listener.of("finding")), agent.said
    agent.stop()
    over_mqtt = msgpack.packb([body for _, body, _ in listener.reports])
    for word in (b"wanda", b"secret-", b"0123456789abcdef", b"Digest"):
        assert word not in over_mqtt, word
    assert b"198.51.100.77" in over_mqtt
    lines = [json.loads(line) for line in agent.said]
    assert any("finding" in line for line in lines), "JSON lines and nothing else"
    assert any("watching br-lan" in line for line in agent.complained)
    listener.close()


def test_a_broker_that_is_dead_from_the_start_hinders_neither_work_nor_end(
    router: Router, run: Callable[..., Agent]
) -> None:
    agent = run("--mqtt", "mqtt://127.0.0.1:1")
    assert agent.heard("Connection refused")
    router.crosses(register(1, "192.168.1.10", "192.168.1.10"),
                   register(1, "198.51.100.2:1024", "198.51.100.77:9"))  # fmt: skip
    assert agent.heard("ALG")
    assert not any("wanda" in line for line in agent.said)
    status, seconds = agent.stop()
    assert (status, agent.complained) == (0, [])
    assert seconds < 3
    lost = "algwatch stopped, the broker did not get everything"
    assert agent.said[-1] == f'agent msg="{lost}"'


@pytest.mark.parametrize("name", ["one PUBLISH of 256 MB", "PUBLISH, QoS 2, other ids"])
def test_a_hostile_broker_costs_the_daemon_neither_memory_nor_eyes(
    router: Router, run: Callable[..., Agent], broker: Mosquitto, name: str
) -> None:
    with router.inside():
        hostile = HostileBroker()
    agent = run("--mqtt", f"mqtt://127.0.0.1:{hostile.port}", "--cpe", "cpe1")
    assert agent.heard("connected")
    assert until(lambda: hostile.acknowledged >= 2)
    before = agent.memory()["rss"]
    attack, after, line = ATTACKS[name]
    hostile.turn(attack, after)
    peak = 0
    end = time.monotonic() + 4
    while time.monotonic() < end:
        peak = max(peak, agent.memory()["rss"])
        time.sleep(0.02)
    assert peak - before < 2048
    assert agent.heard(line), agent.said
    router.crosses(register(1, "192.168.1.10", "192.168.1.10"),
                   register(1, "198.51.100.2:1024", "198.51.100.77:9"))  # fmt: skip
    assert agent.heard("ALG")
    listener = listen(router, broker, "cpe1")
    hostile.close()
    with router.inside():
        gate = Gate(broker.port, port=hostile.port)
    gate.inside = router.inside
    assert until(lambda: listener.of("finding"), 30), agent.said
    gate.shut()
    listener.close()
    assert (agent.stop()[0], agent.complained) == (0, [])


def test_a_frozen_broker_does_not_hold_up_the_end(
    router: Router, run: Callable[..., Agent], broker: Mosquitto
) -> None:
    agent = run("--mqtt", f"mqtt://127.0.0.1:{broker.port}")
    assert agent.heard("connected")
    broker.freeze()
    status, seconds = agent.stop(signal.SIGINT)
    assert status == 0
    assert seconds < 3


@contextmanager
def option_memory(router: Router, size: int) -> Iterator[None]:
    """net.core.optmem_max in the router; of the whole machine before Linux 6.8."""
    setting = Path("/proc/sys/net/core/optmem_max")
    with router.inside():
        own = setting.exists()
    with router.inside() if own else nullcontext():
        before = setting.read_text()
        setting.write_text(str(size))
    try:
        yield
    finally:
        with router.inside() if own else nullcontext():
            setting.write_text(before)


@pytest.mark.parametrize(("size", "behind"), [(10240, "two VLAN tags"), (6000, "a VLAN tag")])
def test_a_kernel_with_little_option_memory_gets_a_smaller_filter_and_a_line_says_so(
    router: Router, run: Callable[..., Agent], size: int, behind: str
) -> None:
    with option_memory(router, size):
        agent = run()
        assert agent.heard("reporting here only"), agent.complained
        for name in ("br-lan", "wan"):
            assert agent.heard(
                f"{name}: net.core.optmem_max ({size} bytes) has no room for the whole capture "
                f"filter: SIP behind {behind} in the frame is not seen"
            )
        router.crosses(register(1, "192.168.1.10", "192.168.1.10"),
                       register(1, "198.51.100.2:1024", "198.51.100.77:9"))  # fmt: skip
        assert agent.heard("ALG")
        assert (agent.stop()[0], agent.complained) == (0, [])


def test_a_kernel_without_room_for_any_filter_is_told_apart_from_one_without_room_for_the_ring(
    router: Router, run: Callable[..., Agent]
) -> None:
    with option_memory(router, 2048):
        agent = run()
        assert agent.process.wait(10) != 0
    assert until(lambda: bool(agent.complained))
    assert "no room for the capture filter of br-lan" in agent.complained[0]
    assert "net.core.optmem_max is 2048 bytes" in agent.complained[0]


def test_without_proc_only_the_memory_is_missing_in_the_health_report(
    router: Router, run: Callable[..., Agent], broker: Mosquitto
) -> None:
    listener = listen(router, broker, "021122334455")
    jail = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh")
    agent = run("--mqtt", f"mqtt://127.0.0.1:{broker.port}", within=jail)
    assert agent.heard("connected")
    assert (agent.stop()[0], agent.complained) == (0, [])
    assert until(lambda: bool(listener.of("health")))
    health = listener.of("health")[-1]["health"]
    assert "rss" not in health and health["taps"]["wan"]["side"] == "wan"
    listener.close()


def test_without_a_broker_paho_is_not_even_loaded(
    router: Router, run: Callable[..., Agent]
) -> None:
    agent = run(PYTHONPROFILEIMPORTTIME="1")
    assert agent.heard("reporting here only")
    agent.stop()
    names = {line.rpartition("|")[2].strip() for line in agent.complained}
    assert {"algwatch.start", "algwatch.daemon"} <= names
    heavy = {"argparse", "asyncio", "dataclasses", "hashlib", "paho.mqtt.client", "json", "logging",
             "subprocess", "socket", "ssl", "urllib.parse"}  # fmt: skip
    assert not names & heavy


def test_with_a_broker_only_what_paho_needs_is_loaded(
    router: Router, run: Callable[..., Agent], broker: Mosquitto
) -> None:
    agent = run("--mqtt", f"mqtt://127.0.0.1:{broker.port}", PYTHONPROFILEIMPORTTIME="1")
    assert agent.heard("connected")
    agent.stop()
    names = {line.rpartition("|")[2].strip() for line in agent.complained}
    assert "paho.mqtt.client" in names
    heavy = {"argparse", "asyncio", "dataclasses", "json", "subprocess", "urllib.request",
             "http.client", "email", "random", "tempfile", "base64", "selectors"}  # fmt: skip
    assert not names & heavy


def test_from_the_first_line_on_sigterm_is_heard(router: Router, run: Callable[..., Agent]) -> None:
    for _ in range(3):
        agent = run()
        assert until(lambda a=agent: bool(a.said), 20.0)  # type: ignore[misc]
        assert agent.stop()[0] == 0


def test_sighup_is_answered_politely(router: Router, run: Callable[..., Agent]) -> None:
    agent = run()
    assert agent.heard("watching")
    assert until(lambda: _handles(agent.process.pid, signal.SIGHUP))
    agent.process.send_signal(signal.SIGHUP)
    assert agent.heard("SIGHUP")
    assert agent.stop()[0] == 0


def _handles(pid: int, number: int) -> bool:
    caught = re.search(r"^SigCgt:\s+(\w+)$", Path(f"/proc/{pid}/status").read_text(), re.M)
    return caught is not None and bool(int(caught[1], 16) >> (number - 1) & 1)


def test_an_interface_that_goes_and_comes_is_followed(
    router: Router, run: Callable[..., Agent]
) -> None:
    agent = run()
    assert agent.heard("watching")
    with router.inside():
        router.ip("link", "del", "wan")
    assert agent.heard("wan went away")
    with router.inside():
        router.plug("wan")
    assert agent.heard("wan is back")
    time.sleep(0.5)
    router.crosses(register(1, "192.168.1.10", "192.168.1.10"),
                   register(1, "198.51.100.2:1024", "198.51.100.77:9"))  # fmt: skip
    assert agent.heard("ALG"), agent.said
    assert agent.stop()[0] == 0


def test_an_idle_daemon_hardly_wakes_up(
    router: Router, run: Callable[..., Agent], broker: Mosquitto
) -> None:
    agent = run("--mqtt", f"mqtt://127.0.0.1:{broker.port}")
    assert agent.heard("connected")
    time.sleep(1.0)
    before, began = _switches(agent.process.pid), time.monotonic()
    time.sleep(4.0)
    woken = _switches(agent.process.pid) - before
    assert woken / (time.monotonic() - began) <= 5.0
    agent.stop()


def _switches(pid: int) -> int:
    """Voluntary context switches of all threads: each is a wake-up."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        found = re.search(r"^voluntary_ctxt_switches:\s+(\d+)", (task / "status").read_text(), re.M)
        total += int(found[1]) if found else 0
    return total


def memory_under_load(
    router: Router, start: Callable[..., Agent], folder: Path, ring_bytes: int = 262144
) -> dict[str, dict[str, int]]:
    """kB of the daemon, connected with mutual TLS: "idle", and "loaded" after 200 messages. start:
    of an Agent. ring_bytes: by default what a router with 64 MB of RAM gives it."""
    authority(folder)
    with router.inside():
        server = Mosquitto(
            folder,
            f"allow_anonymous true\ncafile {folder}/ca.pem\ncertfile {folder}/broker.pem\n"
            f"keyfile {folder}/broker.key\nrequire_certificate true",
        )
    try:
        agent = start(
            "--ring-bytes", str(ring_bytes),
            "--mqtt", f"mqtts://127.0.0.1:{server.port}", "--mqtt-ca", f"{folder}/ca.pem",
            "--mqtt-cert", f"{folder}/router.pem", "--mqtt-key", f"{folder}/router.key",
        )  # fmt: skip
        assert agent.heard("connected"), agent.said + agent.complained
        time.sleep(1.0)
        used = {"idle": agent.memory()}
        for number in range(200):
            router.crosses(register(number, "192.168.1.10", "192.168.1.10"),
                           register(number, "198.51.100.2:1024", "198.51.100.77:9"))  # fmt: skip
        assert agent.heard("ALG")
        time.sleep(1.0)
        used["loaded"] = agent.memory()
        assert agent.stop()[0] == 0
        return used
    finally:
        server.kill()


def test_memory_stays_in_the_budget_under_tls_and_load(
    router: Router, run: Callable[..., Agent], tmp_path: Path, record_property: Any
) -> None:
    need_pahos()
    lib = packaged(tmp_path / "lib")
    command = (sys.executable, str(lib / "bin/algwatch"))
    start = partial(run, python=command, PYTHONPATH=f"{lib}:{PAHOS['1.6.1']}")
    used = memory_under_load(router, start, tmp_path)["loaded"]
    record_property("said", f"memory of the daemon after 200 messages, kB: {used}")
    if sys.maxsize > 2**32:
        assert used["rss"] <= LIMITS[0], used
        # Two rings of 256 kB are mapped, and their pages are not all counted as dirty.
        assert used["dirty"] + 512 <= LIMITS[1], used


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--lan", "nosuch", "--wan", "wan"), "there is no interface nosuch; the interfaces here"),
        (("--lan", "br-lan"), "there is no ubus here: name the interfaces"),
        (("--lan", "br-lan", "--wan", "wan", "--mqtt", "http://x"), "--mqtt: the broker's URL"),
        (("--lan", "br-lan", "--wan", "wan", "--config", "/nosuch"), "/nosuch: No such file"),
        (("--lan", "br-lan", "--wan", "wan", "--mqtt", "mqtts://x", "--mqtt-ca", "/nosuch"),
         "mqtt_ca /nosuch: No such file"),
        (("--lan", "lo", "--wan", "wan", "--mqtt", "mqtt://x"), "lo has no MAC address"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_one_line_and_status_2(
    run: Callable[..., Agent], words: tuple[str, ...], why: str
) -> None:
    agent = run(*words, sides=False)
    assert agent.process.wait(20) == 2
    assert until(lambda: agent.complained)
    assert len(agent.complained) == 1, agent.complained
    assert agent.complained[0].startswith("algwatch: ")
    assert why in agent.complained[0]
    assert agent.said == []


def test_without_privilege_the_line_says_how_to_get_it(router: Router) -> None:
    setpriv = need(shutil.which("setpriv"), "util-linux")
    with router.inside():
        done = subprocess.run(
            [setpriv, "--bounding-set", "-net_raw", "--inh-caps", "-net_raw", sys.executable, "-m",
             "algwatch", "run", "--lan", "br-lan", "--wan", "wan"],
            capture_output=True, text=True, check=False,
            env=dict(os.environ, PYTHONPATH=str(AGENT)),
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "CAP_NET_RAW" in done.stderr


def algwatch(*words: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "algwatch", *words],
        input=data,
        capture_output=True,
        check=False,
        env=dict(os.environ, PYTHONPATH=str(AGENT)),
    )


def test_decode_prints_payloads_as_json_lines(tmp_path: Path) -> None:
    import msgpack

    payload = msgpack.packb({"schema": 1, "new": {"bytes": b"\x01"}})
    path = tmp_path / "payload"
    path.write_bytes(payload + payload)
    line = {"schema": 1, "new": {"bytes": "AQ=="}}
    done = algwatch("decode", str(path))
    assert [json.loads(text) for text in done.stdout.splitlines()] == [line, line]
    assert algwatch("decode", "-", data=payload).stdout == algwatch("decode", data=payload).stdout


@pytest.mark.parametrize(
    "data", [b"", b"\xc1", b"\x81", b"\x91" * 100_000, b"\xdd\xff\xff\xff\xff"]
)
def test_decode_refuses_damaged_payloads_in_one_line(data: bytes) -> None:
    done = algwatch("decode", data=data)
    assert done.returncode == 2
    assert done.stderr.startswith(b"algwatch: standard input: ")
    assert done.stderr.count(b"\n") == 1


def test_the_version_and_the_help_are_printed() -> None:
    assert algwatch("--version").stdout.decode() == f"algwatch 0.1.0 ({layout.VARIANT})\n"
    assert b"--mqtt-ca" in algwatch("run", "--help").stdout
    for words in ((), ("nonsense",)):
        assert algwatch(*words).returncode == 2
