# SPDX-License-Identifier: Apache-2.0
"""The outlets of a live agent: syslog, Prometheus' textfile, Homer. Each is read by somebody who
knows its specification and nothing of the agent."""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from brokers import until
from test_daemon import Agent, Router, _allowed, register, router, run

__all__ = ["_allowed", "router", "run"]

LAN_COPY = register(1, "192.168.1.10", "192.168.1.10")
WAN_COPY = register(1, "198.51.100.2:1024", "198.51.100.77:9")
SAMPLE = re.compile(r'[a-z_]+(\{([a-z]+="([^"\\\n]|\\.)*",?)+\})? -?[0-9.]+')
SYSLOG = re.compile(
    r"<(\d+)>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z ([!-~]+) algwatch (\d+) ([!-~]+) - (.+)"
)


def receiver(router: Router) -> tuple[socket.socket, int]:
    with router.inside():
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("127.0.0.1", 0))
    made.settimeout(10)
    return made, made.getsockname()[1]


def taken(sock: socket.socket, wanted: Callable[[bytes], bool]) -> bytes:
    while True:
        data = sock.recv(65536)
        if wanted(data):
            return data


def hep(data: bytes) -> dict[int, bytes]:
    """Type and data of each chunk of a HEP3 packet, by its specification: "HEP3", the total length,
    and then chunks of vendor, type, length with these six bytes, and data."""
    assert data[:4] == b"HEP3"
    (total,) = struct.unpack_from("!H", data, 4)
    assert total == len(data)
    chunks, at = {}, 6
    while at < total:
        vendor, kind, length = struct.unpack_from("!HHH", data, at)
        assert vendor == 0 and length >= 6 and at + length <= total and kind not in chunks
        chunks[kind] = data[at + 6 : at + length]
        at += length
    return chunks


def test_homer_gets_both_copies_of_a_message_each_from_its_side(
    router: Router, run: Callable[..., Agent]
) -> None:
    sock, port = receiver(router)
    agent = run("--hep", f"udp://127.0.0.1:{port}", "--hep-id", "77", "--privacy", "off")
    assert agent.heard("watching")
    router.crosses(LAN_COPY, WAN_COPY)
    lan, wan = hep(sock.recv(65536)), hep(sock.recv(65536))
    for copy, payload, source in ((lan, LAN_COPY, "192.168.1.10"), (wan, WAN_COPY, "198.51.100.2")):
        assert (copy[1], copy[2], copy[11]) == (b"\x02", b"\x11", b"\x01")
        assert socket.inet_ntoa(copy[3]) == source and socket.inet_ntoa(copy[4]) == "203.0.113.5"
        assert int.from_bytes(copy[8]) == 5060
        assert copy[15] == payload and copy[17] == b"secret-1@192.168.1.10"
        assert int.from_bytes(copy[10]) < 1_000_000
    assert (int.from_bytes(lan[12]), int.from_bytes(wan[12])) == (77, 78)
    assert 0 <= int.from_bytes(wan[9]) - int.from_bytes(lan[9]) <= 1
    assert agent.stop()[0] == 0


def test_messages_go_to_homer_only_where_privacy_is_off(run: Callable[..., Agent]) -> None:
    agent = run("--hep", "udp://127.0.0.1:9060")
    assert agent.process.wait(10) == 2
    assert until(lambda: any("set privacy = off" in line for line in agent.complained))


def test_the_log_daemon_of_this_machine_gets_a_line_a_datagram(
    router: Router, run: Callable[..., Agent], tmp_path: Path
) -> None:
    """As syslog(3) writes it; logd of OpenWrt takes the text from behind the time on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(tmp_path / "log"))
        log.settimeout(10)
        agent = run("--syslog", str(tmp_path / "log"))
        first = taken(log, lambda data: b"watching" in data)
        assert re.match(
            rb"<30>[A-Z][a-z]{2} [ 123]\d \d\d:\d\d:\d\d algwatch\[\d+\]: agent ", first
        )
        router.crosses(LAN_COPY, WAN_COPY)
        found = taken(log, lambda data: b"ALG001" in data).decode()
        assert "wanda" not in found
        text = found.partition("]: ")[2]
        assert agent.heard(text), "what standard output has"
    assert agent.stop()[0] == 0, "a log daemon that is gone stops nothing"


def test_a_log_server_gets_messages_of_rfc_5424(router: Router, run: Callable[..., Agent]) -> None:
    sock, port = receiver(router)
    agent = run("--syslog", f"udp://127.0.0.1:{port}")
    match = SYSLOG.fullmatch(taken(sock, lambda data: b"watching" in data).decode())
    assert match is not None
    assert (match[1], match[3], match[4]) == ("30", str(agent.process.pid), "agent")
    router.crosses(LAN_COPY, WAN_COPY)
    found = SYSLOG.fullmatch(taken(sock, lambda data: b"ALG001" in data).decode())
    assert found is not None and found[4] == "finding"
    assert int(found[1]) >> 3 == 3
    agent.stop()


def samples(path: Path) -> dict[str, float]:
    """A page of Prometheus: every line a comment or one sample, each once, and typed before."""
    found: dict[str, float] = {}
    typed: set[str] = set()
    for line in path.read_text().splitlines():
        if line.startswith("# "):
            typed |= {line.split()[2]} if line.startswith("# TYPE ") else set()
            continue
        assert SAMPLE.fullmatch(line), line
        name, _, value = line.rpartition(" ")
        assert name not in found and name.partition("{")[0] in typed
        found[name] = float(value)
    return found


def test_prometheus_reads_numbers_without_people_from_a_file_that_is_always_whole(
    router: Router, run: Callable[..., Agent], tmp_path: Path
) -> None:
    path, status = tmp_path / "algwatch.prom", tmp_path / "status.json"
    agent = run("--metrics-file", str(path), "--status-file", str(status))
    assert until(path.exists, 10), agent.said
    assert samples(path)["algwatch_up"] == 1
    assert path.stat().st_mode & 0o777 == 0o644
    router.crosses(LAN_COPY, WAN_COPY)
    assert agent.heard("ALG001")
    assert agent.stop()[0] == 0
    read: Any = samples(path)
    assert read["algwatch_up"] == 0
    assert read['algwatch_capture_total{kind="sip_messages"}'] == 2
    assert read['algwatch_crossings_total{kind="rewritten"}'] == 1
    assert any(name.startswith('algwatch_findings_total{rule="ALG001"') for name in read)
    assert read['algwatch_tap_drops_total{tap="br-lan",side="lan"}'] == 0
    assert not any(word in path.read_text() for word in ("wanda", "secret-", "192.168.1.10"))
    assert status.exists(), "both files are kept"


def test_an_outlet_that_is_not_set_is_not_loaded(run: Callable[..., Agent]) -> None:
    agent = run(PYTHONPROFILEIMPORTTIME="1")
    assert agent.heard("watching")
    agent.stop()
    names = {line.rpartition("|")[2].strip() for line in agent.complained}
    assert "algwatch.report.outlets.opened" in names
    for name in ("syslog", "hep", "metrics"):
        assert f"algwatch.report.outlets.{name}" not in names
