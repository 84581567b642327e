# SPDX-License-Identifier: Apache-2.0
"""Port: the probe's own port of the LAN bridge, and its removal without a trace.

It is a veth pair. One end is the port. Frames are sent on the other end, and the router's own IP
stack must not listen there: it would answer ARP for the router's addresses a second time, with
another MAC. Both names hold the probe's address. So after a kill -9 the pair itself tells the flows
to delete, and no file has to be written.
"""

from __future__ import annotations

import errno
import os
import socket

from algwatch.base import address
from algwatch.kernel import links
from algwatch.kernel.flows import Flows
from algwatch.kernel.links import NO_ARP, UP
from algwatch.kernel.netlink import Netlink, NetlinkError
from algwatch.probe.place import OURS, OURS_OUTSIDE, Place, address_of, ours
from algwatch.probe.refused import Refused
from algwatch.quiet import suppress

_LOCK = "\0algwatch probe"  # an abstract unix address: it ends with its process (unix(7))
# IPV4_DEVCONF_ numbers (include/uapi/linux/ip.h).
_FORWARDING, _STRICT_SOURCE, _ARP_IGNORE = 1, 8, 19
_SILENT = {_FORWARDING: 0, _STRICT_SOURCE: 1, _ARP_IGNORE: 8}
_NO_IPV6 = "/proc/sys/net/ipv6/conf/{}/disable_ipv6"
NO_VETH = (
    "the kernel has no veth: install it (opkg install kmod-veth, from OpenWrt 25.12 on apk add "
    "kmod-veth)"
)


class Port:
    """host: the probe's address. inner_name: of the bridge's port; name, mac: of the other end, for
    sending frames. close() removes everything, and may be called again."""

    __slots__ = ("_link", "host", "inner_name", "mac", "name")

    def __init__(self, nl: Netlink, place: Place, host: bytes) -> None:
        """Refused, NetlinkError: nothing is left behind then, either."""
        self._link = nl
        self.host = host
        self.name = OURS_OUTSIDE + host.hex()
        self.inner_name = OURS + host.hex()
        # The bridge takes the lowest MAC of its ports for its own, known to all hosts of the LAN.
        self.mac = b"\x02" + os.urandom(5)
        try:
            self._set_up(place)
        except BaseException as problem:
            self.close()
            if isinstance(problem, NetlinkError) and problem.errno == errno.EOPNOTSUPP:
                raise Refused(NO_VETH) from None
            raise

    def _set_up(self, place: Place) -> None:
        nl = self._link
        links.add_veth(nl, self.inner_name, b"\xfe\xff" + os.urandom(4), self.name, self.mac)
        near, far = links.link(nl, self.inner_name), links.link(nl, self.name)
        if near is None or far is None:
            raise Refused(f"{self.inner_name} vanished at once: look which program deletes it")
        for link in (near, far):
            with suppress(NetlinkError):  # there is no IPv6 here
                links.set_no_ipv6_address(nl, link.index)
            with suppress(OSError), open(_NO_IPV6.format(link.name), "w") as file:
                file.write("1")
        links.set_ipv4(nl, far.index, _SILENT)
        links.set_master(nl, near.index, place.bridge.index)
        if place.vlan:
            links.set_port_vlan(nl, near.index, place.vlan)
        links.set_flags(nl, far.index, UP | NO_ARP, UP | NO_ARP)
        links.set_up(nl, near.index)

    def close(self) -> None:
        """Flows first: after the veth their address is not known any more."""
        try:
            forget(self._link, self.host)
        finally:
            found = links.link(self._link, self.inner_name)
            if found is not None:
                links.delete(self._link, found.index)


def forget(nl: Netlink, host: bytes) -> int:
    """Delete the flows of this address, with the expectations of their helpers, and its ARP entry
    (made for ICMP errors that came back). Returns the number of flows."""
    shown = address.text(host, 4)
    count = 0
    with Flows() as flows:
        for flow in flows.entries(lambda one: one.is_of(shown), host):
            count += flows.delete(flow)
    for index, neighbour in links.neighbours(nl):
        if neighbour == host:
            with suppress(NetlinkError):
                links.forget_neighbour(nl, index, host)
    return count


def locked() -> socket.socket:
    """No other probe runs in this network namespace until it is closed. Refused."""
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        lock.bind(_LOCK)
    except OSError:
        lock.close()
        raise Refused("another probe is running: wait until it is over (5 s)") from None
    return lock


def clean(nl: Netlink) -> list[str]:
    """Delete the remains of a killed probe, while no probe runs (locked()). Returns its addresses.
    Raises NetlinkError, OSError."""
    found = [link for link in links.links(nl) if ours(link)]
    hosts = sorted({address_of(link) for link in found})
    for host in hosts:
        forget(nl, host)
    for link in found:
        links.delete(nl, link.index)  # the second end has gone with the first
    return [address.text(host, 4) for host in hosts]
