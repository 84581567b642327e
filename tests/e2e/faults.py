# SPDX-License-Identifier: Apache-2.0
"""Faults between an agent and a real mosquitto: what the agent told of arrives at a subscriber.

Each fault is a function over a `World`; `play` plays it and counts. `make faults` plays all of them
with both ends of paho and the waits of a router, and prints a table; tests shorten the waits.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from brokers import authority, certificate, free_port, until
from lab.namespace import Namespace
from small_disk import fill, small_disk
from world import PAHOS, Ingester, World

Fault = Callable[[World], None]
FAULTS: dict[str, Fault] = {}


def fault(name: str) -> Callable[[Fault], Fault]:
    def add(play: Fault) -> Fault:
        FAULTS[name] = play
        return play

    return add


@fault("down at the start")
def _(world: World) -> None:
    broker = world.serve()
    broker.kill()
    world.agent()
    world.find()
    world.heard("refused")
    world.mend()
    broker.start()


PERSISTENT = "persistence true\npersistence_location {}/\n"


@fault("restarted")
def _(world: World) -> None:
    broker = world.serve(PERSISTENT.format(world.folder))
    world.agent()
    world.find()
    broker.end()
    world.find()
    world.mend()
    broker.start()
    world.find()


@fault("killed, nothing on disk (its default)")
def _(world: World) -> None:
    broker = world.serve()
    world.agent()
    world.find()
    broker.kill()
    world.find()
    world.mend()
    broker.start()
    world.find()


@fault("killed, on disk each half hour (Debian's default), while nobody is listening")
def _(world: World) -> None:
    """The sessions are on disk, and what was acknowledged since is not."""
    broker = world.serve(PERSISTENT.format(world.folder))
    assert world.ingester is not None
    world.agent()
    world.find()
    world.arrived()
    world.ingester.close()
    broker.save()
    world.find()
    world.heard("connected")
    time.sleep(1.0)
    broker.kill()
    world.mend()
    broker.start()
    came, ids = world.ingester.came, world.ingester.ids
    world.ingester = Ingester(world.port)
    world.ingester.came.update(came)
    world.ingester.ids.update(ids)


@fault("frozen, then killed")
def _(world: World) -> None:
    broker = world.serve(PERSISTENT.format(world.folder) + "autosave_interval 1\n"
                         "autosave_on_changes true\n")  # fmt: skip
    world.agent()
    world.find()
    broker.freeze()
    world.find()
    time.sleep(1.0)
    broker.kill()
    world.mend()
    broker.start()


@fault("partitioned: every packet dropped")
def _(world: World) -> None:
    world.serve()
    world.agent()
    world.find()
    world.heard("connected")
    rule = ("add", "rule", "inet", "t", "c", "tcp", "dport", str(world.port), "drop")
    world.network.run("nft", "add", "table", "inet", "t")
    world.network.run("nft", "add", "chain", "inet", "t", "c",
                      "{ type filter hook input priority 0; }")  # fmt: skip
    world.network.run("nft", *rule)
    world.find()
    time.sleep(4.0 if world.quick else 12.0)
    world.mend()
    world.network.run("nft", "flush", "table", "inet", "t")
    world.find()


@fault("slow: 64 kbit/s")
def _(world: World) -> None:
    world.serve()
    rate = "256kbit" if world.quick else "64kbit"
    world.network.run("tc", "qdisc", "add", "dev", "lo", "root", "tbf", "rate", rate,
                      "burst", "4kb", "latency", "4s")  # fmt: skip
    world.agent()
    world.mend()
    world.find()


@fault("full: no connection left")
def _(world: World) -> None:
    port = free_port()
    broker = world.serve(f"max_connections 1\nlistener {port} 127.0.0.1\n", port)
    # mosquitto 2.0.11 takes one more than it says.
    others = [Ingester(broker.port, f"other-{number}") for number in range(2)]
    world.agent()
    world.find()
    world.heard("trying again")
    time.sleep(1.0)
    world.mend()
    for one in others:
        one.close()


@fault("full: its disk, then killed")
def _(world: World) -> None:
    with small_disk(world.folder / "disk") as disk:
        disk.chmod(0o777)
        broker = world.serve(PERSISTENT.format(disk) + "autosave_interval 1\n"
                             "autosave_on_changes true\n")  # fmt: skip
        world.agent()
        world.find()
        ballast = fill(disk)
        world.find()
        time.sleep(1.0)
        broker.kill()
        ballast.unlink()
        world.mend()
        broker.start()
        world.arrived()


@fault("refusing: its password was changed")
def _(world: World) -> None:
    passwords = world.folder / "passwords"

    def give(word: str) -> None:
        tool = ["mosquitto_passwd", "-b", *(() if passwords.exists() else ("-c",))]
        subprocess.run([*tool, str(passwords), "cpe1", word], check=True)
        passwords.chmod(0o644)

    give("new")
    port = free_port()
    broker = world.serve(
        f"listener {port} 127.0.0.1\nallow_anonymous true\n", port,
        f"per_listener_settings true\nallow_anonymous false\npassword_file {passwords}",
    )  # fmt: skip
    world.agent(f"mqtt://cpe1:old@127.0.0.1:{broker.port}")
    world.find()
    world.heard("refused user name or password")
    give("old")
    world.mend()
    broker.read_again()


@fault("a certificate of nobody known")
def _(world: World) -> None:
    other = world.folder / "other"
    other.mkdir()
    authority(other)
    _certified(world, other)


@fault("an expired certificate")
def _(world: World) -> None:
    certificate(world.folder, "expired", "-days", "-1")
    _certified(world, world.folder, "expired")


def _certified(world: World, folder: Path, name: str = "broker") -> None:
    """First with a certificate that does not serve, then with the right one."""
    used = [world.folder / f"used.{end}" for end in ("pem", "key")]

    def use(folder: Path, name: str) -> None:
        for path in used:
            path.write_bytes((folder / (name + path.suffix)).read_bytes())
            path.chmod(0o644)

    use(folder, name)
    port = free_port()
    broker = world.serve(
        f"certfile {used[0]}\nkeyfile {used[1]}\ncafile {world.folder}/ca.pem\n"
        f"listener {port} 127.0.0.1\n", port
    )  # fmt: skip
    world.agent(f"mqtts://127.0.0.1:{broker.port}", ca=f"{world.folder}/ca.pem")
    world.find()
    world.heard("certificate is not trusted")
    broker.end()
    use(world.folder, "broker")
    world.mend()
    broker.start()


@fault("an ACL that denies findings (an hour's rest is 2 s here)")
def _(world: World) -> None:
    rules = world.folder / "acl"

    def allow(*topics: str) -> None:
        rules.write_text("topic read #\n" + "".join(f"topic write {one}\n" for one in topics))
        rules.chmod(0o644)

    allow("algwatch/1/cpe1/state", "algwatch/1/cpe1/advice")
    broker = world.serve(f"acl_file {rules}")
    world.agent()
    world.find()
    world.heard("check the broker's ACL")
    allow("#")
    world.mend()
    broker.read_again()


@fault("away for a day, with 10,000 findings (outbox_bytes 8 MB)")
def _(world: World) -> None:
    # By its default mosquitto acknowledges and drops what is beyond 1000 messages (docs/broker.md).
    broker = world.serve("max_queued_messages 0\n")
    broker.kill()
    world.agent(bytes=8 << 20)
    world.find(2_000 if world.quick else 10_000)
    world.order("later 86400")
    world.mend()
    broker.start()


@fault("the agent is killed, and its broker too")
def _(world: World) -> None:
    broker = world.serve()
    world.agent()
    world.find()
    broker.kill()
    world.find()
    world.end_agent()
    broker.start()
    world.mend()
    world.agent()


class Result(NamedTuple):
    name: str
    paho: str
    told: int
    lost: int
    again: int
    seconds: float  # from the end of the fault until the last one had arrived
    why: str = ""

    def __str__(self) -> str:
        return (f"| {self.name} | {self.paho} | {self.told} | {self.told - self.lost} | "
                f"{self.lost} | {self.again} | {self.seconds:.1f} |")  # fmt: skip


def play(name: str, paho: str, quick: bool) -> Result:
    with tempfile.TemporaryDirectory() as folder, Namespace(name) as network:
        os.chmod(folder, 0o755)
        network.run("ip", "link", "set", "lo", "up", "mtu", "1500")
        world = World(Path(folder), paho, quick, network)
        why = ""
        try:
            if "certificate" in name:
                authority(world.folder)
            FAULTS[name](world)
            world.arrived()
            assert until(lambda: world.advised), "no advice arrived"
        except Exception as problem:
            why = f"{type(problem).__name__} {problem}"[:2000]
        finally:
            world.close()
        came = world.ingester.came if world.ingester is not None else {}
        end = max(came.values(), default=time.monotonic())
        again = world.ingester.again if world.ingester is not None else 0
        return Result(name, paho, len(world.told), len(world.missing), again,
                      max(0.0, end - world.mended), why)  # fmt: skip


def play_all(chosen: list[tuple[str, str]], quick: bool, at_once: int = 6) -> list[Result]:
    """chosen: faults and versions of paho."""
    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(lambda one: play(one[0], one[1], quick), chosen))


def need_pahos() -> None:
    """The oldest paho that routers carry, in a folder of its own."""
    folder = PAHOS["1.6.1"]
    if folder is not None and not folder.exists():
        words = ["-m", "pip", "-q", "--disable-pip-version-check", "install", "--no-deps"]
        part = folder.with_name(f"{folder.name}.{os.getpid()}")
        subprocess.run(
            [sys.executable, *words, "--target", str(part), "paho-mqtt==1.6.1"], check=True
        )
        part.rename(folder)


def main() -> None:
    need_pahos()
    results = play_all([(name, paho) for name in FAULTS for paho in PAHOS], quick=False)
    print(f"{platform.machine()}, {os.cpu_count()} CPUs, Linux {os.uname().release}, "
          f"Python {platform.python_version()}, {_version()}.\n")  # fmt: skip
    print("| fault | paho | told | delivered | lost | came twice | seconds to recover |")
    print("|---|---|--:|--:|--:|--:|--:|")
    for one in results:
        print(one)
    bad = [one for one in results if one.lost or one.why]
    for one in bad:
        print(f"\n{one.name}, paho {one.paho}: {one.why}", file=sys.stderr)
    sys.exit(bool(bad))


def _version() -> str:
    done = subprocess.run(["mosquitto", "-h"], capture_output=True, text=True, check=False)
    return done.stdout.partition("\n")[0].replace(" version", "")


if __name__ == "__main__":
    main()
