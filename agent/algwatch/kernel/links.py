# SPDX-License-Identifier: Apache-2.0
"""Interfaces, addresses, neighbours and routes (rtnetlink(7), include/uapi/linux/if_link.h).

Every function takes a Netlink of ROUTE, and raises its NetlinkError.
"""

from __future__ import annotations

import errno
import socket
import struct

from algwatch.kernel import netlink
from algwatch.kernel.netlink import CREATE, EXCLUSIVE, Netlink, NetlinkError

_NEW_LINK, _DELETE_LINK, _GET_LINK = 16, 17, 18
_GET_ADDRESS, _GET_ROUTE, _DELETE_NEIGHBOUR, _GET_NEIGHBOUR = 22, 26, 29, 30
_INFO = struct.Struct("=BxHiII")  # ifinfomsg: family, type, index, flags, changed flags
_ADDRESS = struct.Struct("=BBBBi")  # ifaddrmsg: family, prefix length, flags, scope, index
_ROUTE = struct.Struct("=BBBBBBBBI")  # rtmsg: family, lengths, tos, table, protocol, scope, type
_NEIGHBOUR = struct.Struct("=BxxxiHBB")  # ndmsg: family, index, state, flags, type

# IFLA_ attributes
_MAC, _NAME, _MTU, _LOWER, _MASTER, _KIND, _AF_SPEC = 1, 3, 4, 5, 10, 18, 26
_INFO_KIND, _INFO_DATA, _VETH_PEER = 1, 2, 1
_STP_STATE, _VLAN_FILTERING, _VLAN_ID = 5, 7, 1  # IFLA_BR_ and IFLA_VLAN_
_INET_CONF, _GENERATE = 1, 8  # IFLA_INET_CONF; IFLA_INET6_ADDR_GEN_MODE
_BRIDGE_VLAN, _PVID, _UNTAGGED = 2, 0x2, 0x4  # IFLA_BRIDGE_VLAN_INFO and its flags
_IN6_NONE = 1  # IN6_ADDR_GEN_MODE_NONE
_BRIDGE_FAMILY = 7  # AF_BRIDGE

UP, NO_ARP, RUNNING = 0x1, 0x80, 0x10000  # IFF_; IFF_LOWER_UP is the carrier


class Link:
    """One interface. kind: "bridge", "veth", "vlan", ..., "" for hardware. master, lower: index of
    its bridge, and of the device beneath it; 0 without one. flags: IFF_. mac: 6 bytes, or empty.
    vlan: id of a VLAN device. stp, filtering: of a bridge."""

    __slots__ = ("filtering", "flags", "index", "kind", "lower", "mac", "master", "mtu", "name",
                 "stp", "vlan")  # fmt: skip

    def __init__(self, body: bytes) -> None:
        self.index: int
        self.flags: int
        _, _, self.index, self.flags, _ = _INFO.unpack_from(body)
        found = netlink.attributes(body[16:])
        info = netlink.attributes(found.get(_KIND, b""))
        data = netlink.attributes(info.get(_INFO_DATA, b""))
        self.name = netlink.name(found.get(_NAME, b""))
        self.kind = netlink.name(info.get(_INFO_KIND, b""))
        self.mac = found.get(_MAC, b"")
        self.mtu, self.master, self.lower = (
            netlink.number(found.get(kind, b"")) for kind in (_MTU, _MASTER, _LOWER)
        )
        is_bridge = self.kind == "bridge"
        self.stp = is_bridge and netlink.number(data.get(_STP_STATE, b"")) != 0
        self.filtering = is_bridge and netlink.number(data.get(_VLAN_FILTERING, b"")) != 0
        self.vlan = netlink.number(data.get(_VLAN_ID, b"")) if self.kind == "vlan" else 0

    @property
    def is_up(self) -> bool:
        return self.flags & UP != 0

    @property
    def has_carrier(self) -> bool:
        return self.flags & RUNNING != 0


class Address:
    """An IPv4 address of an interface. host: 4 bytes; bits: length of its prefix."""

    __slots__ = ("bits", "host", "index")

    def __init__(self, body: bytes) -> None:
        _, self.bits, _, _, self.index = _ADDRESS.unpack_from(body)
        found = netlink.attributes(body[8:])
        peer = found.get(1, b"")  # IFA_ADDRESS: the peer's, if there is one
        self.host = found.get(2, peer)  # IFA_LOCAL


class Route:
    """An IPv4 route. to: 4 bytes, 0.0.0.0 for a default route; index: of the interface; gateway: 4
    bytes, or empty; hops: (index, gateway) of each next hop if there are several."""

    __slots__ = ("bits", "gateway", "hops", "index", "kind", "table", "to")

    def __init__(self, body: bytes) -> None:
        _, self.bits, _, _, table, _, _, self.kind, _ = _ROUTE.unpack_from(body)
        found = netlink.attributes(body[12:])
        self.to = found.get(1, bytes(4))  # RTA_DST
        self.gateway = found.get(5, b"")
        self.index = netlink.number(found.get(4, b""))
        self.table = netlink.number(found.get(15, b"")) or table
        self.hops: list[tuple[int, bytes]] = []
        rest = found.get(9, b"")  # RTA_MULTIPATH: a list of rtnexthop
        while len(rest) >= 8:
            size, index = struct.unpack("=HxxI", rest[:8])
            if not 8 <= size <= len(rest):
                break
            self.hops.append((index, netlink.attributes(rest[8:size]).get(5, b"")))
            rest = rest[size + -size % 4 :]


UNICAST, MAIN = 1, 254  # RTN_UNICAST, RT_TABLE_MAIN


def links(nl: Netlink) -> list[Link]:
    """All interfaces of this network namespace."""
    return [Link(body) for body in nl.dump(_GET_LINK, _INFO.pack(0, 0, 0, 0, 0))]


def link(nl: Netlink, name: str) -> Link | None:
    """By name; None without such a link."""
    try:
        found = nl.ask(_GET_LINK, _INFO.pack(0, 0, 0, 0, 0) + netlink.text(_NAME, name))
    except NetlinkError as problem:
        if problem.errno in (errno.ENODEV, errno.ERANGE, errno.EINVAL):
            return None
        raise
    return Link(found[0]) if found else None


def add_veth(nl: Netlink, name: str, mac: bytes, peer: str, peer_mac: bytes) -> None:
    """A pair, both down. EEXIST: a name is taken; EOPNOTSUPP: the kernel has no veth (OpenWrt:
    kmod-veth)."""
    other = _INFO.pack(0, 0, 0, 0, 0) + netlink.text(_NAME, peer)
    other += netlink.attribute(_MAC, peer_mac)
    info = netlink.nested(
        _KIND, netlink.text(_INFO_KIND, "veth"),
        netlink.nested(_INFO_DATA, netlink.attribute(_VETH_PEER, other)),
    )  # fmt: skip
    one = _INFO.pack(0, 0, 0, 0, 0) + netlink.text(_NAME, name) + netlink.attribute(_MAC, mac)
    nl.ask(_NEW_LINK, one + info, CREATE | EXCLUSIVE)


def delete(nl: Netlink, index: int) -> bool:
    """Delete a link, and the other end of a veth. False: it did not exist."""
    try:
        nl.ask(_DELETE_LINK, _INFO.pack(0, 0, index, 0, 0))
    except NetlinkError as problem:
        if problem.errno == errno.ENODEV:
            return False
        raise
    return True


def set_flags(nl: Netlink, index: int, flags: int, change: int) -> None:
    """flags: among those in change (IFF_), the ones set afterwards."""
    nl.ask(_NEW_LINK, _INFO.pack(0, 0, index, flags, change))


def set_up(nl: Netlink, index: int) -> None:
    set_flags(nl, index, UP, UP)


def set_master(nl: Netlink, index: int, bridge: int) -> None:
    """Make it a port of the bridge; 0 takes it out."""
    nl.ask(_NEW_LINK, _INFO.pack(0, 0, index, 0, 0) + netlink.u32(_MASTER, bridge))


def set_port_vlan(nl: Netlink, index: int, vlan: int) -> None:
    """Make frames of a bridge port untagged and members of this VLAN."""
    info = struct.pack("=HH", _PVID | _UNTAGGED, vlan)
    request = _INFO.pack(_BRIDGE_FAMILY, 0, index, 0, 0)
    nl.ask(_NEW_LINK, request + netlink.nested(_AF_SPEC, netlink.attribute(_BRIDGE_VLAN, info)))


def set_ipv4(nl: Netlink, index: int, values: dict[int, int]) -> None:
    """values by IPV4_DEVCONF_ number, as net.ipv4.conf.NAME has them by name."""
    conf = netlink.nested(_INET_CONF, *(netlink.u32(kind, v) for kind, v in values.items()))
    spec = netlink.nested(_AF_SPEC, netlink.nested(socket.AF_INET, conf))
    nl.ask(_NEW_LINK, _INFO.pack(0, 0, index, 0, 0) + spec)


def set_no_ipv6_address(nl: Netlink, index: int) -> None:
    """Prevent a link-local address when it comes up. EAFNOSUPPORT: no IPv6 here."""
    mode = netlink.nested(socket.AF_INET6, netlink.u8(_GENERATE, _IN6_NONE))
    nl.ask(_NEW_LINK, _INFO.pack(0, 0, index, 0, 0) + netlink.nested(_AF_SPEC, mode))


def addresses(nl: Netlink) -> list[Address]:
    """All IPv4 addresses."""
    request = _ADDRESS.pack(socket.AF_INET, 0, 0, 0, 0)
    return [Address(body) for body in nl.dump(_GET_ADDRESS, request)]


def neighbours(nl: Netlink) -> list[tuple[int, bytes]]:
    """(index of the interface, IPv4 address) known to ARP, or asked for."""
    found = []
    for body in nl.dump(_GET_NEIGHBOUR, _NEIGHBOUR.pack(socket.AF_INET, 0, 0, 0, 0)):
        _, at, _, _, _ = _NEIGHBOUR.unpack_from(body)
        host = netlink.attributes(body[12:]).get(1, b"")  # NDA_DST
        if len(host) == 4:
            found.append((at, host))
    return found


def forget_neighbour(nl: Netlink, index: int, host: bytes) -> bool:
    """False: ARP did not know it."""
    body = _NEIGHBOUR.pack(socket.AF_INET, index, 0, 0, 0) + netlink.attribute(1, host)
    try:
        nl.ask(_DELETE_NEIGHBOUR, body)
    except NetlinkError as problem:
        if problem.errno == errno.ENOENT:
            return False
        raise
    return True


def route_of(nl: Netlink, to: bytes, source: bytes, index: int) -> Route:
    """The route of a packet that comes in by interface `index` from an address of its network. A
    NetlinkError (ENETUNREACH, EHOSTUNREACH, EACCES, EINVAL) is the kernel's refusal to forward it.
    Marks set by a firewall rule are not considered."""
    request = _ROUTE.pack(socket.AF_INET, 32, 32, 0, 0, 0, 0, 0, 0)
    request += netlink.attribute(1, to) + netlink.attribute(2, source) + netlink.u32(3, index)
    return Route(nl.ask(_GET_ROUTE, request)[0])


def default_routes(nl: Netlink) -> list[Route]:
    """Default routes of the main table."""
    request = _ROUTE.pack(socket.AF_INET, 0, 0, 0, 0, 0, 0, 0, 0)
    every = [Route(body) for body in nl.dump(_GET_ROUTE, request)]
    return [r for r in every if r.bits == 0 and r.table == MAIN and r.kind == UNICAST]
