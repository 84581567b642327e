# SPDX-License-Identifier: Apache-2.0
"""The rights of a running daemon, and the files that it reads and writes."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from brokers import Mosquitto, until
from small_disk import fill, small_disk
from test_daemon import Agent, Router, _allowed, broker, register, router, run

__all__ = ["_allowed", "broker", "router", "run"]  # fixtures

NET_RAW = 1 << 13
NOBODY = 65534


def status(pid: int) -> dict[str, list[int]]:
    """Fields of proc(5) status that are numbers; the capability sets are hexadecimal."""
    found: dict[str, list[int]] = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        for name, value in re.findall(r"^(\w+):\t(.*)$", (task / "status").read_text(), re.M):
            if name.startswith("Cap"):
                found.setdefault(name, []).append(int(value, 16))
            elif name in ("Uid", "Gid", "Groups", "NoNewPrivs"):
                found.setdefault(name, []).extend(map(int, value.split()))
    return found


@pytest.mark.parametrize("user", ["", "nobody", str(NOBODY)])
def test_every_thread_keeps_the_raw_socket_and_nothing_else(
    router: Router, run: Callable[..., Agent], broker: Mosquitto, tmp_path: Path, user: str
) -> None:
    words = ("--user", user) if user else ()
    key = tmp_path / "key"
    agent = run(
        "--mqtt", f"mqtt://127.0.0.1:{broker.port}", "--privacy-key", str(key), *words
    )  # fmt: skip
    assert agent.heard("connected"), "\n".join(agent.complained)
    has = status(agent.process.pid)
    assert len(has["NoNewPrivs"]) == 3, "the loop, and the threads of the lines and of the broker"
    assert set(has["NoNewPrivs"]) == {1}
    for name in ("CapEff", "CapPrm", "CapBnd"):
        assert set(has[name]) == {NET_RAW}, name
    for name in ("CapInh", "CapAmb"):
        assert set(has[name]) == {0}, name
    if user:
        assert set(has["Uid"]) == {NOBODY} and set(has["Gid"]) == {NOBODY}
        assert not has.get("Groups")
    with router.inside():
        router.ip("link", "del", "wan")
    assert agent.heard("wan went away")
    with router.inside():
        router.plug("wan")
    assert agent.heard("wan is back"), "the ring is opened again without root"
    assert until(lambda: agent.heard("ALG", 1.0) or _cross(router), 20.0)
    assert (agent.stop()[0], agent.complained) == (0, [])
    assert (key.stat().st_mode & 0o777, key.stat().st_size) == (0o600, 32)


def _cross(router: Router) -> bool:
    router.crosses(register(1, "192.168.1.10", "192.168.1.10"),
                   register(1, "198.51.100.2:1024", "198.51.100.77:9"))  # fmt: skip
    return False


def _account(router: Router, value: str) -> None:
    with router.inside():
        accounting = Path("/proc/sys/net/netfilter/nf_conntrack_acct")
        if not accounting.exists():
            pytest.skip("this kernel tracks no connections (nf_conntrack)")
        accounting.write_text(value)


def _table_of(pid: int) -> list[str]:
    links = [os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir()]
    return [link for link in links if link.endswith("/nf_conntrack")]


@pytest.mark.parametrize("user", ["", "nobody"])
def test_the_table_of_connections_is_opened_before_rights_are_given_up(
    router: Router, run: Callable[..., Agent], user: str
) -> None:
    _account(router, "1")
    words = ("--user", user) if user else ()
    agent = run(*words)
    assert agent.heard("watching")
    assert set(status(agent.process.pid)["CapEff"]) == {NET_RAW}
    assert len(_table_of(agent.process.pid)) == 1
    descriptor = next(
        fd for fd in Path(f"/proc/{agent.process.pid}/fdinfo").iterdir()
        if _table_of(agent.process.pid)[0] == os.readlink(
            f"/proc/{agent.process.pid}/fd/{fd.name}")
    )  # fmt: skip
    flags = int(re.findall(r"^flags:\t(\d+)$", descriptor.read_text(), re.M)[0], 8)
    assert flags & os.O_ACCMODE == os.O_RDONLY, "writing to it would forget flows on OpenWrt"
    assert agent.stop()[0] == 0
    assert not [line for line in agent.said if "media" in line]


@pytest.mark.parametrize(
    ("words", "told"),
    [((), "nf_conntrack_acct=1"), (("--media", "off"), "")],
    ids=["no-accounting", "off"],
)
def test_without_accounting_the_table_stays_closed_and_people_are_told(
    router: Router, run: Callable[..., Agent], words: tuple[str, ...], told: str
) -> None:
    _account(router, "0" if told else "1")
    agent = run(*words)
    assert agent.heard("watching")
    assert not _table_of(agent.process.pid)
    assert agent.stop()[0] == 0
    lines = [line for line in agent.said if "the media of calls are not counted" in line]
    assert len(lines) == bool(told) and told in "".join(lines)


def test_a_user_who_is_not_there_is_named(router: Router, run: Callable[..., Agent]) -> None:
    agent = run("--user", "nemo")
    assert agent.process.wait(20) == 2
    assert until(lambda: bool(agent.complained))
    assert agent.complained == ["algwatch: user nemo: there is no such user on this router"]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk") as made:
        yield made


def test_a_full_disk_costs_the_lasting_key_and_nothing_else(
    router: Router, run: Callable[..., Agent], broker: Mosquitto, disk: Path
) -> None:
    ballast = fill(disk)
    words = ("--mqtt", f"mqtt://127.0.0.1:{broker.port}", "--privacy-key", str(disk / "key"))
    agent = run(*words)
    assert agent.heard("(pseudonyms last until the end: "), agent.complained
    assert agent.heard("No space left on device")
    assert (agent.stop()[0], agent.complained) == (0, [])
    assert [path.name for path in disk.iterdir()] == ["ballast"], "no half file is left"
    ballast.unlink()
    agent = run(*words)
    assert agent.heard("connected")
    assert agent.stop()[0] == 0
    assert len((disk / "key").read_bytes()) == 32


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda path: os.mkfifo(path, 0o600), "this is no regular file"),
        (lambda path: path.mkdir(mode=0o700), "this is no regular file"),
        (lambda path: _write(path, bytes(32), 0o666), "(mode 666): chmod 600"),
        (lambda path: _write(path, bytes(32), 0o640), "(mode 640): chmod 600"),
        (lambda path: _write(path, b"short", 0o600), "too short"),
        (lambda path: _write(path, bytes(5000), 0o600), "larger than 4096 bytes"),
        (lambda path: _write(path, bytes(32), 0o600, 1000), "user 1000"),
        (lambda path: path.symlink_to("/dev/zero"), "this is no regular file"),
    ],
)
def test_a_key_that_does_not_serve_stops_the_start_with_one_line(
    router: Router,
    run: Callable[..., Agent],
    tmp_path: Path,
    made: Callable[[Path], object],
    said: str,
) -> None:
    key = tmp_path / "key"
    made(key)
    agent = run("--mqtt", "mqtt://127.0.0.1:1", "--privacy-key", str(key))
    assert agent.process.wait(20) == 2
    assert until(lambda: bool(agent.complained))
    assert len(agent.complained) == 1
    assert agent.complained[0].startswith(f"algwatch: privacy_key {key}: ")
    assert said in agent.complained[0]


def _write(path: Path, data: bytes, mode: int, owner: int = 0) -> bool:
    path.write_bytes(data)
    path.chmod(mode)
    os.chown(path, owner, 0)
    return True


def test_an_empty_key_of_a_crashed_machine_is_written_anew(
    router: Router, run: Callable[..., Agent], tmp_path: Path
) -> None:
    key = tmp_path / "key"
    _write(key, b"", 0o600)
    agent = run("--mqtt", "mqtt://127.0.0.1:1", "--privacy-key", str(key))
    assert agent.heard("Connection refused")
    assert agent.stop()[0] == 0
    assert key.stat().st_size == 32
    assert list(tmp_path.iterdir()) == [key]


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_password_that_others_can_read_is_told(
    router: Router, run: Callable[..., Agent], tmp_path: Path, mode: int
) -> None:
    config = tmp_path / "algwatch.conf"
    config.write_text("mqtt = mqtt://127.0.0.1:1\nmqtt_user = cpe\nmqtt_password = hush\n")
    config.chmod(mode)
    agent = run("--config", str(config), "--privacy-key", str(tmp_path / "key"))
    assert agent.heard("Connection refused")
    told = [line for line in agent.said if "others can read" in line]
    expected = f"{config}: others can read the broker's password in it: chmod 600"
    assert told == ([f'agent msg="{expected}"'] if mode == 0o644 else [])
    assert "hush" not in "".join(agent.said)
    assert agent.stop()[0] == 0


def test_a_configuration_that_nobody_writes_to_is_no_reason_to_wait(
    router: Router, run: Callable[..., Agent], tmp_path: Path
) -> None:
    fifo = tmp_path / "algwatch.conf"
    os.mkfifo(fifo)
    agent = run("--config", str(fifo), sides=False)
    assert agent.process.wait(20) == 2
    assert until(lambda: bool(agent.complained))
    assert "name the interfaces with --lan" in agent.complained[0]
