# SPDX-License-Identifier: Apache-2.0
"""A router with sshd and tcpdump for tests/e2e/test_watch.py, in a network namespace of its own.

python watched_router.py FOLDER LAN.pcap WAN.pcap: makes the interfaces br-lan and wan, a real sshd
on loopback, and `algwatch watch`; then it sends the frames of both captures through the interfaces,
in order of their times, and Ctrl-C. What `watch` says comes on standard output.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

PORT = 2222
SPEED = 20.0  # times as fast as in the captures


def run(*words: str | Path) -> None:
    subprocess.run([*map(str, words)], check=True)


def sshd(folder: Path) -> subprocess.Popen[bytes]:
    for name in "host", "user":
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name)
    (folder / "authorized").write_text((folder / "user.pub").read_text())
    (folder / "sshd_config").write_text(
        f"Port {PORT}\nListenAddress 127.0.0.1\nHostKey {folder / 'host'}\nUsePAM no\n"
        f"AuthorizedKeysFile {folder / 'authorized'}\nStrictModes no\nPidFile none\n"
        "PermitRootLogin prohibit-password\nPasswordAuthentication no\n"
    )
    os.makedirs("/run/sshd", exist_ok=True)
    return subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", folder / "sshd_config"])


def main() -> int:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from craft import packets_of

    folder = Path(sys.argv[1])
    run("ip", "link", "set", "lo", "up")
    for name, address in (("br-lan", "192.168.1.1/24"), ("wan", "198.51.100.2/24")):
        run("ip", "link", "add", name, "type", "veth", "peer", "name", f"far-{name}")
        run("ip", "link", "set", f"far-{name}", "up")
        run("ip", "address", "add", address, "dev", name)
        run("ip", "link", "set", name, "up")
    run("ip", "route", "add", "default", "via", "198.51.100.1", "dev", "wan")
    server = sshd(folder)
    ssh = f"ssh -p {PORT} -i {folder / 'user'} -o StrictHostKeyChecking=no -o BatchMode=yes " \
          f"-o UserKnownHostsFile={folder / 'known'} -o LogLevel=ERROR"  # fmt: skip
    try:
        for _ in range(100):
            with socket.socket() as one:
                if not one.connect_ex(("127.0.0.1", PORT)):
                    break
            time.sleep(0.1)
        watch = subprocess.Popen(
            [sys.executable, "-m", "algwatch", "watch", "root@127.0.0.1", "--ssh", ssh]
        )
        for _ in range(200):
            if running() >= 2:
                break
            time.sleep(0.1)
        time.sleep(1.0)
        send(packets_of(Path(sys.argv[2]).read_bytes()), packets_of(Path(sys.argv[3]).read_bytes()))
        time.sleep(4.0)
        watch.send_signal(signal.SIGINT)
        status = watch.wait(30)
        time.sleep(0.5)
        print(f"status {status}, {running()} left", flush=True)
    finally:
        server.terminate()
        server.wait(10)
    return 0


def running() -> int:
    """How many tcpdumps run in this network namespace."""
    mine, found = os.readlink("/proc/self/ns/net"), 0
    for path in Path("/proc").glob("[0-9]*"):
        try:
            here = os.readlink(path / "ns/net") == mine
            found += here and (path / "comm").read_text().strip() == "tcpdump"
        except OSError:
            continue
    return found


def send(lan: list[tuple[int, bytes]], wan: list[tuple[int, bytes]]) -> None:
    both = sorted([(at, "br-lan", data) for at, data in lan] + [(at, "wan", d) for at, d in wan])
    sockets = {}
    for name in "br-lan", "wan":
        sockets[name] = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        sockets[name].bind((name, 0))
    begun = time.monotonic()
    for at, name, data in both:
        wait = (at - both[0][0]) / 1e9 / SPEED - (time.monotonic() - begun)
        if wait > 0:
            time.sleep(wait)
        sockets[name].send(data)


if __name__ == "__main__":
    sys.exit(main())
