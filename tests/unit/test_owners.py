# SPDX-License-Identifier: Apache-2.0
"""Programs on the router that have SIP ports: read from /proc, and told by NAT006."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest
from algwatch.base.host import Host
from algwatch.base.owner import TCP, UDP, Owner
from algwatch.base.packet import LAN, WAN, Tap
from algwatch.capture.owners import MOST_OWNERS, read_owners
from algwatch.diagnose.finding import Finding
from algwatch.pipeline import Pipeline
from algwatch.start import late_owners
from test_host import put

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
pppoe-wan\t{zero}\t{zero}\t0001\t0\t0\t0\t{zero}\t0\t0\t0
br-lan\t{lan}\t{zero}\t0001\t0\t0\t0\t{mask}\t0\t0\t0
"""


def word(host: str) -> str:
    """As the kernel prints a __be32 with %08X: in the byte order of this machine."""
    return f"{int.from_bytes(socket.inet_aton(host), sys.byteorder):08X}"


def line(local: str, port: int, inode: int = 1, state: str = "07") -> str:
    remote = "0" * len(local)
    return (f"  1: {local}:{port:04X} {remote}:0000 {state} 00000000:00000000 00:00000000 00000000"
            f"     0        0 {inode} 2 0000000000000000 0\n")  # fmt: skip


def told(root: Path, ports: tuple[int, ...] = (5060, 5080)) -> list[tuple[str, str, int, str]]:
    return [(o.proto, o.host, o.port, o.device) for o in read_owners(ports, str(root))]


def test_a_port_of_every_address_and_ports_of_single_ones(tmp_path: Path) -> None:
    put(
        tmp_path,
        "proc/net/udp",
        HEAD
        + line("00000000", 5060)
        + line(word("192.168.1.1"), 5080)
        + line(word("198.51.100.2"), 5080)
        + line(word("127.0.0.1"), 5060)
        + line("00000000", 53),
    )
    put(tmp_path, "proc/net/udp6", HEAD + line("0" * 32, 5060))
    put(
        tmp_path,
        "proc/net/route",
        ROUTES.format(zero="00000000", lan=word("192.168.1.0"), mask=word("255.255.255.0")),
    )
    assert told(tmp_path) == [
        (UDP, "", 5060, ""), (UDP, "192.168.1.1", 5080, "br-lan"),
        (UDP, "198.51.100.2", 5080, "pppoe-wan"),
    ]  # fmt: skip


def test_a_tcp_socket_has_the_port_when_it_listens(tmp_path: Path) -> None:
    put(tmp_path, "proc/net/tcp", HEAD + line("00000000", 5060, state="0A"))
    put(tmp_path, "proc/net/tcp6", HEAD + line("0" * 32, 5080, state="01"))
    assert told(tmp_path) == [(TCP, "", 5060, "")]


@pytest.mark.parametrize("text", ["", "\0" * 999, "x" * 3_000_000, "1: 2:3 4", HEAD + "1: Z:13C4 0 "
                                  "07 0 0 0 0 0 1\n", HEAD + line("FF", 5060), HEAD + line(
                                      "F" * 64, 5060)])  # fmt: skip
def test_whatever_is_in_the_files_nothing_breaks(tmp_path: Path, text: str) -> None:
    for name in ("udp", "udp6", "tcp", "tcp6", "route"):
        put(tmp_path, f"proc/net/{name}", text)
    assert len(told(tmp_path)) <= MOST_OWNERS


def test_the_program_is_named_from_the_real_proc() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("0.0.0.0", 0))
        port = sock.getsockname()[1]
        (owner,) = (o for o in read_owners([port]) if o.proto == UDP)
        comm = Path("/proc/self/comm").read_text().strip()
        assert (owner.host, owner.program) == ("", comm)
        (unnamed,) = (o for o in read_owners([port], names=False) if o.proto == UDP)
        assert unnamed.program == ""


def test_a_program_that_takes_its_port_after_the_start_is_told_once() -> None:
    asterisk = Owner(UDP, "", 5060, program="asterisk")
    hosts = iter([Host(1), Host(2, owners=(asterisk,)), Host(3, owners=(asterisk,))])
    heard: list[str] = []
    look = late_owners(lambda at, before: next(hosts), heard.append)
    assert [len(look(at).owners) for at in (1, 2, 3)] == [0, 1, 1]
    assert heard == ["asterisk has UDP port 5060 of every address: restart algwatch to see both "
                     "copies of its messages"]  # fmt: skip


def said(*owners: Owner) -> list[Finding]:
    pipeline = Pipeline([Tap("lan", LAN), Tap("wan", WAN)], live=True, strict=True)
    reports = pipeline.host(Host(1, owners=owners)) + pipeline.host(Host(2, owners=owners))
    return [f for f in reports if isinstance(f, Finding)]


def test_each_address_and_port_is_told_once_and_advises_nothing() -> None:
    (one,) = said(Owner(UDP, "", 5060, program="asterisk"), Owner(TCP, "", 5060))
    assert (one.rule, one.where, one.harm, one.key) == ("NAT006", "router", "none", "NAT006/:5060")
    assert one.summary.startswith(
        "On this router asterisk has UDP and TCP port 5060 of every address, that of the WAN among "
        "them: what comes there outside of every NAT mapping is for it"
    )
    (lan,) = said(Owner(UDP, "192.168.1.1", 5060, "br-lan"))
    assert "a program has UDP port 5060 of 192.168.1.1 (br-lan)" in lan.summary
    assert said() == []
