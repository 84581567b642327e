# SPDX-License-Identifier: Apache-2.0
"""The daemon with a standard output that is unread, full, slow, stopped, closed or gone."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from brokers import Listener, Mosquitto, until
from forger import ip_summed
from logfmt import fields
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
    packet_socket,
    router,
    run,
)

__all__ = ["_allowed", "broker", "router", "run"]  # fixtures
TAPS = ("--lan", "br-lan", "--wan", "wan")
BOUND = 3.0  # seconds from SIGTERM to the end
F_SETPIPE_SZ = 1031
PAD = b"X-Pad: " + b"x" * 1050 + b"\r\n"


def frame(payload: bytes, source: tuple[str, int], target: tuple[str, int], ttl: int) -> bytes:
    udp = struct.pack("!HHHH", source[1], target[1], 8 + len(payload), 0) + payload
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 7, 0, ttl, 17, 0,
                       socket.inet_aton(source[0]), socket.inet_aton(target[0]))  # fmt: skip
    return ip_summed(bytes.fromhex("02112233445502000000000a0800") + head + udp, 14)


def refused(router: Router, numbers: range) -> None:
    """Registrations that the provider refuses: a finding each, and a line at their end."""
    with router.inside():
        socks = {name: packet_socket(name) for name in ("far-br-lan", "wan", "far-wan", "br-lan")}
        for number in numbers:
            lines = (
                b"Via: SIP/2.0/UDP 192.168.1.10:5060;branch=z9hG4bKr%d;rport\r\n"
                b"From: <sip:user%d@sip.example.com>;tag=1\r\n"
                b"To: <sip:user%d@sip.example.com>%s\r\n"
                b"Call-ID: call-%d@192.168.1.10\r\nCSeq: 1 REGISTER\r\n" + PAD
            )  # fmt: skip
            ask = b"REGISTER sip:sip.example.com SIP/2.0\r\n"
            ask += lines % (number, number, number, b"", number) + b"Content-Length: 0\r\n\r\n"
            no = b"SIP/2.0 403 Forbidden\r\n"
            no += lines % (number, number, number, b";tag=2", number)
            no += b"Content-Length: 0\r\n\r\n"
            for name, made in (
                ("far-br-lan", frame(ask, LAN, PROVIDER, 64)),
                ("wan", frame(ask, WAN, PROVIDER, 63)),
                ("far-wan", frame(no, PROVIDER, WAN, 60)),
                ("br-lan", frame(no, PROVIDER, LAN, 59)),
            ):
                socks[name].send(made)
            time.sleep(0.004)
        for sock in socks.values():
            sock.close()


@contextmanager
def agent(router: Router, out: int, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """The daemon with this standard output, which is closed here. It names people, by whom the
    lines are told apart."""
    with router.inside():
        process = subprocess.Popen(
            [sys.executable, "-m", "algwatch", "run", *TAPS, "--privacy", "off", *words],
            stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE,
            env=dict(os.environ, PYTHONPATH=str(AGENT)),
        )  # fmt: skip
    os.close(out)
    try:
        assert until(lambda: _taps(process.pid) == 2), process.poll()
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def _taps(pid: int) -> int:
    """Packet sockets that it has open, by the table of its namespace."""
    try:
        table = Path(f"/proc/{pid}/net/packet").read_text().splitlines()[1:]
        caught = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    mask = int(caught.partition("SigCgt:")[2].split()[0], 16)
    return len(table) if mask >> (signal.SIGTERM - 1) & 1 else 0


def ended(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM ends it in time, without a complaint."""
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, complained = process.communicate(timeout=20)
    assert time.monotonic() - began < BOUND
    assert process.returncode == 0
    # With JSON, lines about the agent itself are there.
    assert all("msg" in fields(line) for line in complained.decode().splitlines())


def objects(raw: bytes) -> list[dict[str, object]]:
    return [json.loads(line) for line in raw.decode().splitlines()]


class Reader(threading.Thread):
    """Reads a file descriptor to its end. pause: seconds after each 512 bytes."""

    def __init__(self, fd: int, pause: float = 0.0) -> None:
        super().__init__(daemon=True)
        self.fd, self.pause, self.data = fd, pause, b""
        self.start()

    def run(self) -> None:
        while True:
            try:
                data = os.read(self.fd, 512 if self.pause else 65536)
            except OSError:
                return
            if not data:
                return
            self.data += data
            time.sleep(self.pause)


def test_a_pipe_that_nobody_reads_stops_nothing_and_the_gap_is_told_when_somebody_does(
    router: Router,
) -> None:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, F_SETPIPE_SZ, 4096)
    with agent(router, writer, "--json") as process:
        refused(router, range(24))
        time.sleep(3.0)
        late = Reader(reader)
        assert until(lambda: b'"unwritten"' in late.data)
        time.sleep(0.2)
        told = objects(late.data[: late.data.rfind(b"\n") + 1])
        assert any("finding" in one for one in told)
        refused(router, range(24, 25))
        assert until(lambda: b"call-24@" in late.data)
        process.send_signal(signal.SIGTERM)
        assert process.wait(BOUND) == 0
    late.join(5)
    objects(late.data)


def test_sigterm_ends_it_in_time_while_nobody_reads(router: Router) -> None:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, F_SETPIPE_SZ, 4096)
    with agent(router, writer, "--json") as process:
        refused(router, range(24))
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert process.wait(20) == 0
        assert time.monotonic() - began < BOUND
    os.close(reader)


def test_sigterm_ends_it_in_time_while_the_broker_is_frozen_too(
    router: Router, broker: Mosquitto
) -> None:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, F_SETPIPE_SZ, 4096)
    words = ("--json", "--mqtt", f"mqtt://127.0.0.1:{broker.port}")
    with agent(router, writer, *words) as process:
        time.sleep(1.0)
        broker.freeze()
        refused(router, range(24))
        time.sleep(1.0)
        ended(process)
    os.close(reader)


def test_lines_are_whole_for_a_slow_reader(router: Router) -> None:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, F_SETPIPE_SZ, 4096)
    with agent(router, writer, "--json") as process:
        slow = Reader(reader, 0.5)
        refused(router, range(10))
        time.sleep(1.0)
        assert process.poll() is None and b"call-9@" not in slow.data
        slow.pause = 0.0
        assert until(lambda: slow.data.count(b"\n") >= 10)
        ended(process)
    slow.join(5)
    assert sum("finding" in one for one in objects(slow.data)) == 10


def test_a_full_device_is_no_reason_to_end_or_to_complain(router: Router) -> None:
    with agent(router, os.open("/dev/full", os.O_WRONLY)) as process:
        refused(router, range(5))
        time.sleep(0.5)
        assert process.poll() is None
        ended(process)


def test_a_reader_that_went_away_is_no_reason_either(router: Router) -> None:
    reader, writer = os.pipe()
    with agent(router, writer) as process:
        os.close(reader)
        refused(router, range(5))
        time.sleep(0.5)
        assert process.poll() is None
        ended(process)


def test_a_full_file_system_gets_the_log_again_when_there_is_room(
    router: Router, run: Callable[..., Agent], tmp_path: Path
) -> None:
    small = f'mount -t tmpfs -o size=16k none {tmp_path} && exec "$@" >>{tmp_path}/log'
    one = run("--privacy", "off", within=("unshare", "--mount", "sh", "-c", small, "sh"))
    log = Path(f"/proc/{one.process.pid}/root{tmp_path}/log")
    assert until(lambda: log.exists() and "watching" in log.read_text()), one.complained
    filler = log.with_name("filler")
    filler.write_bytes(bytes(12 * 1024))
    refused(router, range(28))
    assert until(lambda: log.stat().st_size == 4096), log.read_text()
    assert one.process.poll() is None
    filler.unlink()
    assert until(lambda: "call-27@" in log.read_text(), 40), "although no other line came"
    lines = log.read_text().splitlines()
    assert all(fields(line) for line in lines)
    assert sum("rule=REG001" in line for line in lines) == 28
    assert (one.stop()[0], one.complained) == (0, [])


def test_a_closed_standard_output_is_no_matter_where_a_broker_is_told(
    router: Router, run: Callable[..., Agent], broker: Mosquitto
) -> None:
    closed = ("sh", "-c", 'exec "$@" >&-', "sh")
    one = run(within=closed)
    assert one.process.wait(20) == 2
    assert until(lambda: bool(one.complained))
    assert "standard output is closed" in one.complained[0]
    listener = listen(router, broker, "021122334455")
    other = run("--mqtt", f"mqtt://127.0.0.1:{broker.port}", within=closed)
    assert until(lambda: bool(listener.of("state"))), other.complained
    time.sleep(0.5)
    refused(router, range(1))
    assert until(lambda: bool(listener.of("finding")))
    status, seconds = other.stop()
    assert (status, other.complained) == (0, []) and seconds < BOUND
    listener.close()


def test_a_terminal_that_is_stopped_stops_nothing(router: Router) -> None:
    master, slave = os.openpty()
    with agent(router, slave) as process:
        screen = Reader(master)
        assert until(lambda: b"watching" in screen.data)
        os.write(master, b"\x13")  # ^S
        time.sleep(0.2)
        refused(router, range(20))
        time.sleep(0.5)
        assert b"user7" not in screen.data and process.poll() is None
        os.write(master, b"\x11")  # ^Q
        assert until(lambda: b"user7" in screen.data)
        os.write(master, b"\x13")
        time.sleep(0.2)
        refused(router, range(100, 110))
        ended(process)
    lines = screen.data.decode().replace("\r\n", "\n").splitlines()
    assert all(fields(line) for line in lines)
    os.close(master)


def test_a_flood_of_findings_is_bounded_in_the_log_and_over_mqtt_and_the_rest_is_counted(
    router: Router, run: Callable[..., Agent], broker: Mosquitto
) -> None:
    listener = listen(router, broker, "021122334455")
    words = ("--mqtt", f"mqtt://127.0.0.1:{broker.port}", "--health-interval", "1")
    one = run(*words)
    assert one.heard("connected"), one.complained
    refused(router, range(300))
    assert until(lambda: _counted(listener, "repeated") > 200), listener.of("health")[-1:]
    assert one.stop()[0] == 0
    assert until(lambda: listener.of("state")[-1].get("reason") == "stopped")
    told = [body["finding"] for body in listener.of("finding")]
    told = [finding for finding in told if finding["rule"] == "REG001"]
    whole = [finding for finding in told if finding["evidence"]]
    assert 3 <= len(whole) <= len(told) < 10, "the first, the tenth, the hundredth, and a counter"
    assert told[-1]["times"] == 300
    counted = [_counted(listener, word) for word in ("untold", "repeated")]
    assert len(whole) + sum(counted) == 300
    lines = [line for line in one.said if " rule=REG001 " in line]
    assert len(lines) < 100
    untold = [fields(line) for line in one.said if line.startswith("untold kind=REG001")]
    assert len(lines) + sum(int(line["count"]) for line in untold) == 300
    assert one.said[-1] == 'agent msg="algwatch stopped"'
    listener.close()


def _counted(listener: Listener, word: str) -> int:
    reports = listener.of("health")
    if not reports:
        return 0
    health = reports[-1]["health"]
    counts: dict[str, int] = health["mqtt"]["repeated"] if word == "repeated" else health[word]
    return counts.get("REG001", 0)
