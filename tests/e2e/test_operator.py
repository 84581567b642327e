# SPDX-License-Identifier: Apache-2.0
"""Commands over a real broker: the daemon, root's part of it, and the operator's tool."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
from algwatch.control.obey import ANSWERED, OBEYED
from algwatch.control.order import Order, sign
from brokers import Mosquitto, need, until
from forger import ip_summed
from test_daemon import (
    AGENT,
    LAN,
    PROVIDER,
    WAN,
    Agent,
    Router,
    _allowed,
    broker,
    listen,
    register,
    router,
    run,
)

__all__ = ["_allowed", "broker", "router", "run"]  # fixtures

CPE = "cpe1"
KEY = bytes(range(32))


class Fleet:
    """A router with its daemon and root's part, and the operator's side of its broker."""

    def __init__(self, folder: Path, router: Router, broker: Mosquitto) -> None:
        self.folder, self.router, self.broker = folder, router, broker
        self.key = folder / "command.key"
        self.key.write_bytes(KEY)
        self.key.chmod(0o600)
        self.socket = folder / "root" / "commands"
        self.words = ("--mqtt", f"mqtt://127.0.0.1:{broker.port}", "--cpe", CPE, "--commands",
                      str(self.key), "--commands-socket", str(self.socket), "--spool",
                      str(folder / "spool"))  # fmt: skip
        self.listener = listen(router, broker, CPE)
        self.agent = Agent(router, "--lan", "br-lan", "--wan", "wan", *self.words)
        self.root: subprocess.Popen[str] | None = None
        self.start_root()
        assert self.agent.heard("connected")

    def start_root(self) -> None:
        with self.router.inside():
            self.root = subprocess.Popen(
                [sys.executable, "-m", "algwatch", "obey", "--lan", "br-lan", "--wan", "wan",
                 *self.words], env=dict(os.environ, PYTHONPATH=str(AGENT)), text=True,
                stderr=subprocess.PIPE,
            )  # fmt: skip
        assert until(self.socket.exists), self.root.poll()

    def restart_agent(self, *more: str) -> None:
        self.agent = Agent(self.router, "--lan", "br-lan", "--wan", "wan", *self.words, *more)
        assert self.agent.heard("connected")

    def log(self) -> str:
        return (self.folder / "command.log").read_text()

    def replies(self, id: str = "") -> list[dict[str, Any]]:
        once = {body["id"]: body["reply"] for body in self.listener.of("reply")}  # a redelivery
        return [one for one in once.values() if id in ("", one.get("id"))]

    def send(self, payload: bytes, **more: Any) -> None:
        self.listener.client.publish(f"algwatch/1/{CPE}/cmd", payload, 1, **more)

    def order(self, command: str, key: bytes = KEY, good_for: float = 60.0, cpe: str = CPE,
              **more: Any) -> Order:  # fmt: skip
        """Sent already."""
        now = time.time()
        made = Order(command, os.urandom(16).hex(), cpe, now, now + good_for, **more)
        self.send(sign(made, key))
        return made

    def type(self, *words: str) -> tuple[int, list[dict[str, Any]], str]:
        """`algwatch command`: exit status, answers, complaint."""
        url = f"mqtt://127.0.0.1:{self.broker.port}"
        with self.router.inside():
            done = subprocess.run(
                [sys.executable, "-m", "algwatch", "command", CPE, *words, "--key", str(self.key),
                 "--broker", url], env=dict(os.environ, PYTHONPATH=str(AGENT)), text=True,
                capture_output=True, timeout=60, check=False,
            )  # fmt: skip
        return done.returncode, [json.loads(one) for one in done.stdout.splitlines()], done.stderr

    def close(self) -> None:
        self.listener.close()
        self.agent.process.kill()
        self.agent.process.wait()
        if self.root is not None and self.root.poll() is None:
            self.root.terminate()
            self.root.wait(5)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """One for all tests here, since its three processes take seconds to start."""
    folder = tmp_path_factory.mktemp("fleet")
    (folder / "root").mkdir()
    router = Router()
    with router.inside():
        broker = Mosquitto(folder)
    made = Fleet(folder, router, broker)
    yield made
    made.close()
    broker.kill()
    router.close()


def until_said(fleet: Fleet, id: str, state: str) -> dict[str, Any]:
    done = until(lambda: any(one["state"] == state for one in fleet.replies(id)), 40.0)
    assert done, (state, fleet.replies(id), fleet.replies()[-5:], fleet.agent.said[-4:])
    return next(one for one in fleet.replies(id) if one["state"] == state)


def answers(fleet: Fleet) -> bool:
    ping = fleet.order("ping")
    return until(lambda: any(one["state"] == "done" for one in fleet.replies(ping.id)), 5.0)


def test_an_operator_asks_and_is_answered_with_both_versions_of_mqtt(fleet: Fleet) -> None:
    for version in ([], ["--mqtt3"]):
        status, said, why = fleet.type("ping", *version)
        assert status == 0, (said, why, fleet.agent.said)
        assert [one["state"] for one in said] == ["done"] and said[0]["uptime"] > 0
    status, said, _ = fleet.type("level", "--level", "harm")
    assert (status, said[0]["level"]) == (0, "harm")
    status, said, _ = fleet.type("evidence", "--finding", "0" * 16)
    assert status == 4 and "no packet of it" in said[0]["reason"]
    assert fleet.type("evidence")[0] == 2, "nothing was sent"
    log = fleet.log()
    assert log.count(" taken ") == log.count(" ended ") == 4
    assert (fleet.folder / "command.log").stat().st_mode & 0o77 == 0


def test_probe_is_run_by_root_and_its_word_comes_back(fleet: Fleet) -> None:
    """The interfaces of this router are no bridge: the probe refuses them, and that is told."""
    status, said, why = fleet.type("probe")
    assert [one["state"] for one in said] == ["accepted", "done"], (said, why)
    assert said[1]["status"] == 3 and "Cannot tell" in said[1]["conclusion"], said
    assert status == 1


def test_the_packets_of_a_finding_come_as_a_pcap_without_anybody_in_it(
    fleet: Fleet, tmp_path: Path
) -> None:
    """With the level that is set back: at "harm" a rewrite that hurts nobody is not sent."""
    level = fleet.order("level", level="all")
    until_said(fleet, level.id, "done")
    fleet.router.crosses(register(1, "192.168.1.10", "192.168.1.10"),
                         register(1, "198.51.100.2:1024", "198.51.100.77:9"))  # fmt: skip
    assert until(lambda: fleet.listener.of("finding")), fleet.agent.said
    finding = fleet.listener.of("finding")[0]["finding"]
    path = tmp_path / "got.pcap"
    for words in (("--finding", finding["key"]), ("--call", finding["call_id"])):
        status, said, why = fleet.type("evidence", *words, "--output", str(path))
        assert status == 0, (said, why)
        data = path.read_bytes()
        assert said[0]["packets"] >= 1 and b"REGISTER sip:" in data
        assert b"wanda" not in data and b"secret" not in data and b"Digest" not in data
    analyzed = subprocess.run(
        [sys.executable, "-m", "algwatch", "analyze", "--json", str(path)], text=True,
        env=dict(os.environ, PYTHONPATH=str(AGENT)), capture_output=True, check=False,
    )  # fmt: skip
    capture = json.loads(analyzed.stdout)["capture"]
    assert capture["sip_messages"] == said[0]["packets"], analyzed


def test_what_is_not_the_operators_is_refused_with_its_reason(fleet: Fleet) -> None:
    taken = fleet.log().count(" taken ")
    good = fleet.order("ping")
    until_said(fleet, good.id, "done")
    fleet.send(sign(good, KEY))
    replay = until_said(fleet, good.id, "refused")
    assert replay["reason"] == "it was taken before"
    other = fleet.order("ping", cpe="cpe2")
    assert until_said(fleet, other.id, "refused")["reason"] == "it is for another router"
    late = fleet.order("ping", good_for=-1.0)
    assert "for no time at all" in until_said(fleet, late.id, "refused")["reason"]
    long = fleet.order("ping", good_for=1e6)
    assert "longer than 900 s" in until_said(fleet, long.id, "refused")["reason"]
    fleet.order("apply", key=bytes(32))
    wrong = "not signed with this router's key"
    assert until(lambda: any(wrong in one.get("reason", "") for one in fleet.replies()))
    forged = next(one for one in fleet.replies() if wrong in one.get("reason", ""))
    assert "id" not in forged and "command" not in forged, "nothing of it is repeated"
    assert "refused" in (fleet.folder / "root" / "commands.refused").read_text()
    assert fleet.log().count(" taken ") == taken + 1, "nobody else writes on flash"


def test_a_replay_is_refused_after_both_parts_were_restarted(fleet: Fleet) -> None:
    order = fleet.order("level", level="harm")
    until_said(fleet, order.id, "done")
    fleet.agent.process.kill()
    fleet.agent.process.wait()
    assert fleet.root is not None
    fleet.root.kill()
    fleet.root.wait()
    fleet.start_root()
    fleet.restart_agent()
    fleet.send(sign(order, KEY))
    assert until_said(fleet, order.id, "refused")["reason"] == "it was taken before"


def test_a_retained_command_is_not_obeyed(fleet: Fleet) -> None:
    now = time.time()
    order = Order("ping", os.urandom(16).hex(), CPE, now, now + 60)
    fleet.agent.stop()
    fleet.send(sign(order, KEY), retain=True)
    fleet.restart_agent()
    assert fleet.agent.heard("a retained command waits")
    other = fleet.order("ping")
    until_said(fleet, other.id, "done")
    assert not fleet.replies(order.id)
    fleet.send(b"", retain=True)


BOMBS = [
    b"",
    b"\x91" * 3000,
    b"\xdd\xff\xff\xff\xff",
    b"\xc9\xff\xff\xff\xff",
    msgpack.packb({"schema": 1, "body": b"\x91" * 2000, "mac": bytes(32)}),
    msgpack.packb({"schema": 1, "body": b"x", "mac": bytes(31)}),
    bytes(4000),
]


def losses(fleet: Fleet) -> int:
    """Times that the broker has told of a connection that was not closed in order (the will)."""
    return sum(not body["online"] for body in fleet.listener.of("state"))


def comes_back(fleet: Fleet, before: int) -> bool:
    """The wait doubles with each loss (report/backoff.py). before: losses that it has forgotten."""
    end = time.monotonic() + 20.0
    while not fleet.listener.of("state")[-1]["online"]:
        if time.monotonic() > end + 2.0 ** (losses(fleet) - before):
            return False
        time.sleep(0.05)
    return True


def test_an_order_right_behind_a_flood_of_others_is_obeyed(fleet: Fleet) -> None:
    assert until(lambda: answers(fleet), 10.0)
    for number in range(60):  # fewer than end the connection
        fleet.send(BOMBS[number % len(BOMBS)])
    inside = fleet.order("ping")
    for number in range(10):
        fleet.send(BOMBS[number % len(BOMBS)])
    behind = fleet.order("ping")
    until_said(fleet, inside.id, "done")
    until_said(fleet, behind.id, "done")
    time.sleep(3.0)  # the limit of the connection fills again


def test_too_many_orders_are_refused_one_by_one_and_may_be_sent_again(fleet: Fleet) -> None:
    assert fleet.root is not None
    fleet.root.terminate()  # it counts anew
    fleet.root.wait(5)
    fleet.start_root()
    # Its messages are numbered anew, too: the daemon takes none for a repeated one.
    until_said(fleet, fleet.order("ping").id, "done")
    orders = [fleet.order("ping") for _ in range(OBEYED[0] + 5)]
    assert until(lambda: all(fleet.replies(one.id) for one in orders), 20.0)
    said = [fleet.replies(one.id) for one in orders]
    assert all(len(one) == 1 for one in said), said
    done = [one[0] for one in said if one[0]["state"] == "done"]
    assert len(done) == OBEYED[0] - 1
    refused = [one[0]["reason"] for one in said if one[0]["state"] == "refused"]
    assert set(refused) == {"too many commands: send it again in a minute"}
    assert len(done) + len(refused) == len(orders)
    late = orders[-1]
    for _ in range(25):
        fleet.send(sign(late, KEY))
    time.sleep(3.0)
    assert 2 <= len(fleet.replies(late.id)) <= 1 + ANSWERED[0] + 1, "a replay is no new order"
    fleet.root.terminate()
    fleet.root.wait(5)
    fleet.start_root()
    fleet.send(sign(late, KEY))
    until_said(fleet, late.id, "done")


def test_hostile_payloads_and_a_flood_cost_an_answer_at_most(fleet: Fleet) -> None:
    first = fleet.order("ping")
    until_said(fleet, first.id, "done")
    memory, size = fleet.agent.memory()["rss"], len(fleet.log())
    answers, before = len(fleet.replies()), losses(fleet)
    for bomb in BOMBS:
        fleet.send(bomb)
    assert until(lambda: len(fleet.replies()) > answers), fleet.replies()
    # The daemon has told the broker how long a packet may be, so this one is not sent to it.
    fleet.send(bytes(1 << 20))
    second = fleet.order("ping")
    until_said(fleet, second.id, "done")
    assert losses(fleet) == before, fleet.agent.said
    for _ in range(2000):
        fleet.listener.client.publish(f"algwatch/1/{CPE}/cmd", BOMBS[1], 0)
    assert fleet.agent.heard("sends commands without an end"), fleet.agent.said
    assert until(lambda: losses(fleet) > before), fleet.agent.said
    assert comes_back(fleet, before), (losses(fleet) - before, fleet.agent.said)
    assert fleet.agent.process.poll() is None
    assert fleet.root is not None and fleet.root.poll() is None
    assert len(fleet.replies()) < answers + 40, fleet.replies()
    assert fleet.agent.memory()["rss"] < memory + 1500
    assert len(fleet.log()) < size + 400, "two pings"


def test_an_answer_that_came_while_the_daemon_was_dead_is_told_after_its_restart(
    fleet: Fleet,
) -> None:
    assert until(lambda: answers(fleet), 90.0), "a flood ends, and orders are obeyed again"
    for _ in range(3):
        order = fleet.order("probe")
        until_said(fleet, order.id, "accepted")
        fleet.agent.process.kill()
        fleet.agent.process.wait()
        time.sleep(2.0)
        early = [one for one in fleet.replies(order.id) if one["state"] == "done"]
        fleet.restart_agent()
        if not early:
            break
    assert not early, "three probes were over before the daemon was killed"
    assert "Cannot tell" in until_said(fleet, order.id, "done")["conclusion"]


def test_without_roots_part_a_command_is_refused_in_words(fleet: Fleet) -> None:
    assert fleet.root is not None
    fleet.root.send_signal(signal.SIGTERM)
    assert fleet.root.wait(5) == 0
    fleet.order("ping")
    assert until(lambda: any("algwatch obey" in one.get("reason", "") for one in fleet.replies()),
                 40.0)  # fmt: skip


def test_nothing_is_subscribed_to_unless_it_is_asked_for(
    router: Router, run: Callable[..., Agent], broker: Mosquitto
) -> None:
    listener = listen(router, broker, CPE)
    agent = run("--mqtt", f"mqtt://127.0.0.1:{broker.port}", "--cpe", CPE)
    assert agent.heard("connected")
    now = time.time()
    order = Order("ping", os.urandom(16).hex(), CPE, now, now + 60)
    listener.client.publish(f"algwatch/1/{CPE}/cmd", sign(order, KEY), 1)
    time.sleep(0.5)
    assert not listener.of("reply")
    listener.close()


def answer(fleet: Fleet, number: int) -> None:
    """The provider's 200 to a REGISTER comes in at wan and goes out at br-lan."""
    request = register(number, "%(via)s", "%(via)s")
    lines = [line for line in request.split(b"\r\n") if not line.startswith(b"Authorization")]
    text = b"\r\n".join([b"SIP/2.0 200 OK", *lines[1:]]).replace(b">\r\nCall", b">;tag=2\r\nCall")
    for interface, to, ttl in (("far-wan", WAN, 57), ("br-lan", LAN, 56)):
        payload = text.replace(b"%(via)s", f"{to[0]}:{to[1]}".encode())
        udp = struct.pack("!HHHH", PROVIDER[1], to[1], 8 + len(payload), 0) + payload
        head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 9, 0, ttl, 17, 0,
                           socket.inet_aton(PROVIDER[0]), socket.inet_aton(to[0]))  # fmt: skip
        mac = "021122334466" if interface == "far-wan" else "022222222222"
        data = bytes.fromhex(mac + "0200000000770800") + ip_summed(head + udp)
        with fleet.router.inside(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
            sock.bind((interface, 0))
            sock.send(data)
        time.sleep(0.002)


def test_a_router_believes_what_its_fleet_has_signed_of_its_provider_and_nothing_else(
    fleet: Fleet, tmp_path: Path
) -> None:
    need(shutil.which("openssl"), "openssl")
    for name in ("key", "other"):
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", tmp_path / name],
                       check=True)  # fmt: skip
    public = tmp_path / "fleet.pem"
    subprocess.run(["openssl", "pkey", "-in", tmp_path / "key", "-pubout", "-out", public],
                   check=True)  # fmt: skip

    def publish(key: str, *more: str) -> None:
        with fleet.router.inside():
            done = subprocess.run(
                [sys.executable, "-m", "algwatch", "fact", "example.com", "--key",
                 str(tmp_path / key), "--broker", f"mqtt://127.0.0.1:{fleet.broker.port}", *more],
                env=dict(os.environ, PYTHONPATH=str(AGENT)), text=True, capture_output=True,
                timeout=60, check=False,
            )  # fmt: skip
        assert done.returncode == 0, done.stderr

    proof = ("--server", PROVIDER[0], "--calls", "412", "--routers", "37")
    publish("other", *proof)
    fleet.agent.stop()
    fleet.restart_agent("--provider-key", str(public), "--privacy-key", str(tmp_path / "privacy"))
    fleet.router.crosses(register(5, "192.168.1.10", "192.168.1.10"),
                         register(5, "198.51.100.2:1024", "198.51.100.2:1024"))  # fmt: skip
    answer(fleet, 5)
    wrong = "what the broker says of example.com does not count: it is not signed with the key"
    assert fleet.agent.heard(wrong), fleet.agent.said
    publish("key", *proof)
    assert fleet.agent.heard("the operator says that example.com finds phones"), fleet.agent.said
    assert "example.com" in (tmp_path / "provider.serials").read_text()
    publish("key", "--withdraw", "--serial", str(int(time.time()) + 10))
    publish("key", *proof)
    assert fleet.agent.heard("is older than"), fleet.agent.said
