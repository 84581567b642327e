# SPDX-License-Identifier: Apache-2.0
"""Programs on the router itself with SIP ports: phone ports (FXS), Asterisk, siproxd.

From /proc/net/{udp,udp6,tcp,tcp6} (get_udp4_sock(), get_tcp4_sock() in the kernel), readable for
everybody, and /proc/PID/fd, for other users readable by root only. No capture shows these programs:
their packets pass no LAN interface.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterable

from algwatch import files
from algwatch.base import address
from algwatch.base.owner import TCP, UDP, Owner
from algwatch.quiet import suppress

MOST = 1 << 20  # bytes of a table of sockets: some 7,000 of them
MOST_OWNERS = 16
MOST_PROCESSES = 4096
_LISTEN = "0A"  # TCP_LISTEN
_TABLES = (("udp", UDP), ("udp6", UDP), ("tcp", TCP), ("tcp6", TCP))
_NO_HOST = ("0.0.0.0", "::")


def read_owners(ports: Collection[int], root: str = "/", names: bool = True) -> tuple[Owner, ...]:
    """The owners of these ports, without sockets of the loopback, by protocol, port and address.
    root: of the files (tests). names: look for the program, too. A file that cannot be read adds no
    owner, and is no error."""
    found: dict[tuple[str, str, int], tuple[Owner, str]] = {}
    routes = _routes(root)
    for table, proto in _TABLES:
        for host, port, inode in _sockets(root, table, proto == TCP):
            if port not in ports or len(found) == MOST_OWNERS:
                continue
            device = "" if host in _NO_HOST else _device(routes, host)
            if host in _NO_HOST:
                host = ""
            elif device == "lo" or host == "::1" or host.startswith("127."):
                continue
            found.setdefault((proto, host, port), (Owner(proto, host, port, device), inode))
    if names and found:
        programs = _programs({inode for _, inode in found.values()}, root)
        for owner, inode in found.values():
            owner.program = programs.get(inode, "")
    return tuple(found[place][0] for place in sorted(found))


def _sockets(root: str, table: str, listens: bool) -> Iterable[tuple[str, int, str]]:
    """(address, port, inode) of each socket reachable for others."""
    for line in _lines(root, f"proc/net/{table}"):
        words = line.split()
        if len(words) < 10 or (listens and words[3] != _LISTEN):
            continue
        host, _, port = words[1].partition(":")
        try:
            # Words of four bytes in the byte order of this machine, as %08X of a __be32.
            packed = b"".join(
                int(host[i : i + 8], 16).to_bytes(4, sys.byteorder) for i in range(0, len(host), 8)
            )
            yield address.text(packed, 4 if len(packed) == 4 else 6), int(port, 16), words[9]
        except (ValueError, OverflowError):
            continue


def _routes(root: str) -> list[tuple[int, int, str]]:
    """(network, mask, interface) of IPv4, the narrowest first (fib_route_seq_show())."""
    found = []
    for line in _lines(root, "proc/net/route"):
        words = line.split()
        try:
            network, mask = (
                int.from_bytes(int(words[i], 16).to_bytes(4, sys.byteorder), "big") for i in (1, 7)
            )
        except (ValueError, IndexError, OverflowError):
            continue
        found.append((network, mask, words[0]))
    return sorted(found, key=lambda route: -route[1])


def _device(routes: list[tuple[int, int, str]], host: str) -> str:
    """The interface with the network of an IPv4 address of the router; "" for IPv6. A
    point-to-point link has no network, so the default route tells it."""
    number = address.ipv4(host)
    if number < 0:
        return ""
    return next((name for network, mask, name in routes if number & mask == network), "")


def _programs(inodes: set[str], root: str) -> dict[str, str]:
    """The name of the program by inode of its socket (proc(5), comm), as far as this process may
    read it."""
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    found: dict[str, str] = {}
    processes = os.path.join(root, "proc")
    try:
        numbers = [name for name in os.listdir(processes) if name.isdigit()][:MOST_PROCESSES]
    except OSError:
        return {}
    for number in numbers:
        links = _links(os.path.join(processes, number, "fd"))
        for link in links & wanted.keys():
            comm = next(iter(_lines(root, f"proc/{number}/comm")), "")
            found.setdefault(wanted[link], "".join(c for c in comm[:15] if c.isprintable()))
        if len(found) == len(inodes):
            break
    return found


def _links(folder: str) -> set[str]:
    found = set()
    with suppress(OSError):  # of another user, or the process has ended
        for fd in os.listdir(folder):
            with suppress(OSError):  # it was closed meanwhile
                found.add(os.readlink(os.path.join(folder, fd)))
    return found


def _lines(root: str, path: str) -> list[str]:
    try:
        text = files.read(os.path.join(root, path), MOST) or b""
    except files.FileError:
        return []
    return text.decode("ascii", "replace").splitlines()
