# SPDX-License-Identifier: Apache-2.0
"""The interfaces of both sides of an OpenWrt router, from `ubus call network.interface dump`; IP
packets pass the l3_device (netifd, interface_ip and ubus.c)."""

from __future__ import annotations

import os
import select
import time

UBUS = "ubus", "-t", "2", "call", "network.interface", "dump"
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
MOST = 1 << 20  # bytes of an answer
SECONDS = 3.0
AUTO = "auto"

# Protocols of netifd with an address from a provider; `static` may be either side.
_ASK = ("dhcp", "dhcpv6", "pppoe", "pppoa", "ppp", "3g", "qmi", "mbim", "ncm", "modemmanager",
        "map", "dslite", "464xlat", "6rd", "6to4")  # fmt: skip


class NoNetworks(Exception):
    """The interfaces cannot be found; the text gives the reason and the remedy."""


def told_by_ubus(root: str = "/") -> str:
    """The output of ubus. root: of its program (tests). NoNetworks."""
    # subprocess would cost the daemon half a megabyte.
    program = "ubus" if root == "/" else os.path.join(root, "bin/ubus")
    reader, writer = os.pipe2(os.O_CLOEXEC)
    actions = [(os.POSIX_SPAWN_DUP2, writer, 1)]
    environment = {"PATH": PATH, **os.environ} if root == "/" else dict(os.environ)
    try:
        pid = os.posix_spawnp(program, UBUS, environment, file_actions=actions)
    except OSError:
        os.close(reader)
        raise NoNetworks(
            "there is no ubus here: name the interfaces with --lan and --wan"
        ) from None
    finally:
        os.close(writer)
    try:
        data = _read(reader)
    finally:
        os.close(reader)
        _end(pid)
    if not data:
        raise NoNetworks("ubus does not answer: name the interfaces with --lan and --wan")
    return data.decode("utf-8", "replace")


def _read(reader: int) -> bytes:
    data, end = b"", time.monotonic() + SECONDS
    poller = select.poll()
    poller.register(reader, select.POLLIN)
    while len(data) < MOST:
        if not poller.poll(1000 * max(0.0, end - time.monotonic())):
            return b""
        piece = os.read(reader, 65536)
        if not piece:
            return data
        data += piece
    return b""


def _end(pid: int) -> None:
    """Wait until it ends, for 0.1 s at most, then kill it."""
    for _ in range(20):
        if os.waitpid(pid, os.WNOHANG)[0]:
            return
        time.sleep(0.005)
    os.kill(pid, 9)
    os.waitpid(pid, 0)


def sides(text: str) -> tuple[list[str], list[str]]:
    """Devices of the LAN and of the WAN side in use, the LAN's own bridge first. A side may be
    empty. NoNetworks: the text is no answer of ubus."""
    import json  # not needed by a daemon with named interfaces

    lan: list[str] = []
    wan: list[str] = []
    below: set[str] = set()  # devices below a WAN
    try:
        rows = [row for row in json.loads(text)["interface"] if row.get("up")]
        for row in rows:
            device = _device(row)
            if _leads_out(row):
                below.add(str(row.get("device", "")))
                wan += [device] * (bool(device) and device not in wan)
        rows.sort(key=lambda row: row.get("interface") != "lan")
        for row in rows:
            device = _device(row)
            static = row.get("proto") == "static" and not _leads_out(row)
            if static and device not in (*wan, *below, *lan, "", "lo"):
                lan.append(device)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise NoNetworks("ubus answers something that is no list of interfaces") from None
    return lan, wan


def _device(row: dict[str, object]) -> str:
    device = row.get("l3_device") or row.get("device")
    fits = isinstance(device, str) and 0 < len(device) <= 15 and "/" not in device
    return str(device) if fits else ""


def _leads_out(row: dict[str, object]) -> bool:
    """It has a default route, or asks a provider for its address (voice often has a VLAN of its
    own, without a default route)."""
    if row.get("proto") in _ASK:
        return True
    inactive = row.get("inactive")
    routes = row.get("route") or (inactive.get("route") if isinstance(inactive, dict) else None)
    return isinstance(routes, list) and any(
        route.get("mask") == 0 and route.get("target") in ("0.0.0.0", "::") for route in routes
    )


def found(lan: list[str], wan: list[str], root: str = "/") -> tuple[list[str], list[str]]:
    """The given names; ubus replaces AUTO. NoNetworks."""
    if AUTO not in lan and AUTO not in wan:
        return lan, wan
    lans, wans = sides(told_by_ubus(root))
    if AUTO in lan:
        lan = [name for name in lans if name not in wan]
    if AUTO in wan:
        wan = [name for name in wans if name not in lan]
    for names, side, example in (lan, "LAN", "--lan br-lan"), (wan, "WAN", "--wan wan"):
        if not names:
            raise NoNetworks(f"ubus tells no {side} interface that is up: name it with {example}")
    return lan, wan
