# SPDX-License-Identifier: Apache-2.0
"""The run of a probe, from the search for interfaces to the removal of its last trace.

Signals that end a process wait until nothing of the probe is left.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import time

from algwatch.base import address
from algwatch.kernel import netlink
from algwatch.kernel.netlink import Netlink
from algwatch.probe.exchange import ENDING, Exchange, Stopped, check_signals
from algwatch.probe.free import claims, free_address
from algwatch.probe.place import find
from algwatch.probe.port import Port, clean, locked
from algwatch.probe.refused import Refused
from algwatch.probe.result import Result
from algwatch.probe.watch import Watch

OTHER_PORTS = (5070,)  # besides 5060
MOST_ARP = 4096  # packets of ARP examined in the end
NO_RIGHT = "only root with CAP_NET_ADMIN and CAP_NET_RAW may probe: type it as root"
_AGAIN = "probe again, and if it stays so watch a call instead (algwatch run)"
_ARP = 0x0806


def probe(lan: str = "", wan: str = "", ports: tuple[int, ...] = OTHER_PORTS) -> Result:
    """Probe this router's treatment of SIP, as root, in less than 5 s. lan, wan: names of
    interfaces, "" to find them. ports: far ports besides 5060.

    It raises nothing: every obstacle is a reason in the result, whose state is then UNKNOWN. On
    every exit the veth, the flows and their expectations are gone. Only kill -9 leaves them, until
    the next call of probe() or clean_up().
    """
    began = time.monotonic()
    result = Result()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        _probe(result, lan, wan, ports, began)
    except Refused as why:
        result.reasons.append(str(why))
        result.usage = why.usage
    except Stopped as why:
        result.reasons.append(str(why))
    except OSError as problem:
        result.usage = problem.errno in (errno.EPERM, errno.EACCES)
        refused = f"the kernel refused ({problem.strerror}): {_AGAIN}"
        result.reasons.append(NO_RIGHT if result.usage else refused)
    finally:
        result.seconds = time.monotonic() - began
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    for sent in result.sent:
        sent.judge()
    result.add_notes()
    return result


def clean_up() -> list[str]:
    """Delete the remains of a killed probe. Returns its addresses. OSError; Refused while one is
    running."""
    with locked(), Netlink(netlink.ROUTE) as nl:
        return clean(nl)


def _probe(result: Result, lan: str, wan: str, ports: tuple[int, ...], began: float) -> None:
    if os.geteuid() != 0:
        raise Refused(NO_RIGHT, True)
    with locked(), Netlink(netlink.ROUTE) as nl:
        result.cleaned = clean(nl)
        place = find(nl, lan, wan)
        result.lan, result.wan = place.lan.name, place.wan.name
        result.far = address.text(place.far, 4)
        with packet_socket(place.lan.name, _ARP) as arp, Watch(place.far) as watch:
            host = free_address(place.own, place.taken, arp, place.lan.mac)
            result.address = address.text(host, 4)
            check_signals()
            port = Port(nl, place, host)
            try:
                with packet_socket(port.name, 0) as wire:
                    exchange = Exchange(place, port, watch, wire, result, wan != "")
                    exchange.everything(ports, began)
                    if host in _heard(arp, place.lan.mac):
                        raise Stopped(f"somebody else took {result.address} meanwhile: probe again")
            finally:
                port.close()


def packet_socket(name: str, protocol: int) -> socket.socket:
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
    opened = socket.socket(socket.AF_PACKET, kind, 0)
    try:
        opened.bind((name, protocol))
    except OSError:
        opened.close()
        raise
    return opened


def _heard(arp: socket.socket, mac: bytes) -> set[bytes]:
    """Addresses claimed by somebody since ARP was last read."""
    found: set[bytes] = set()
    for _ in range(MOST_ARP):
        if not select.select([arp], [], [], 0)[0]:
            break
        found |= claims(arp.recv(2048), mac)
    return found
