# SPDX-License-Identifier: Apache-2.0
"""The kernel's connection tracking by ctnetlink: flows with a helper, their expectations, and the
removal of a helper or an entry (net/netfilter/nf_conntrack_netlink.c).

An entry keeps its first helper; rules only decide for new entries. An update with an empty helper
name takes the helper off: mapping, port and time to live stay, its expectations go, and the next
packet passes unrewritten (ctnetlink_change_helper()). The helper cannot be put back on the entry.
An entry made by an expectation refuses with EBUSY.

Every function needs CAP_NET_ADMIN in the network namespace.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable, Iterator

from algwatch.kernel.netlink import (
    NETFILTER,
    Netlink,
    NetlinkError,
    attribute,
    attributes,
    name,
    nested,
    text,
)

UDP, TCP = 17, 6
SIGNALLING = 0  # expectation class of nf_conntrack_sip: another flow with the helper; else media

# <linux/netfilter/nfnetlink_conntrack.h>
_CONNTRACK, _EXPECT = 1 << 8, 2 << 8
_NEW, _GET, _DELETE = 0, 1, 2
_ORIGINAL, _REPLY, _STATUS, _HELP, _TIMEOUT, _ID, _MASTER, _ZONE = 1, 2, 3, 5, 7, 12, 14, 18
_EXPECT_MASTER, _EXPECT_TUPLE, _EXPECT_HELPER, _EXPECT_CLASS = 1, 2, 6, 9
_TUPLE_IP, _TUPLE_PROTO = 1, 2
_HELP_NAME = 1

_Told = tuple[int, dict[int, bytes]]

SECONDS = 10.0  # for a dump of the kernel, at most


class Flow:
    """One entry at the time of its reading. proto: UDP or TCP. source, target: (address, port) of
    the first packet; reply_source, reply_target: of its answer, as the NAT expects it. helper: ""
    for none. timeout: seconds left. master: source of the flow whose helper had expected this one,
    else None."""

    __slots__ = ("_key", "family", "helper", "master", "proto", "reply_source", "reply_target",
                 "source", "target", "timeout")  # fmt: skip

    def __init__(self, family: int, parts: dict[int, bytes]) -> None:
        """KeyError, ValueError: unknown to this program."""
        self.family = family
        self.proto, self.source, self.target = _tuple(parts[_ORIGINAL])
        _, self.reply_source, self.reply_target = _tuple(parts[_REPLY])
        self.helper = _helper(parts)
        self.timeout = _number(parts, _TIMEOUT)
        self.master = _tuple(parts[_MASTER])[1] if _MASTER in parts else None
        # As the kernel wrote them, with the entry's own zones. The id tells an entry from most
        # later ones with the same addresses (a hash of its place in memory).
        self._key = {kind: parts[kind] for kind in (_ORIGINAL, _ID, _ZONE) if kind in parts}

    def key(self, with_id: bool = True) -> bytes:
        """The attributes that name this entry to the kernel."""
        return b"".join(
            nested(kind, data) if kind == _ORIGINAL else attribute(kind, data)
            for kind, data in self._key.items()
            if with_id or kind != _ID
        )

    @property
    def called(self) -> str:
        """ "udp 192.168.1.20:5060 -> 203.0.113.9:5060", for people and the journal."""
        proto = {UDP: "udp", TCP: "tcp"}.get(self.proto, str(self.proto))
        return f"{proto} {_end(self.source)} -> {_end(self.target)}"

    def is_of(self, host: str) -> bool:
        """True if this host began it, or the provider did and it was delivered to this host."""
        return host in (self.source[0], self.reply_source[0])


class Expectation:
    """A flow awaited by a helper. source: of the flow with the helper. target: its expected
    destination. media: RTP of a call, not signalling."""

    __slots__ = ("helper", "master", "media", "target")

    def __init__(self, parts: dict[int, bytes]) -> None:
        """KeyError, ValueError: unknown to this program."""
        _, self.master, _ = _tuple(parts[_EXPECT_MASTER])
        _, _, self.target = _tuple(parts[_EXPECT_TUPLE])
        self.helper = name(parts.get(_EXPECT_HELPER, b""))
        self.media = _number(parts, _EXPECT_CLASS) != SIGNALLING


class Busy(Exception):
    """The kernel does not take the helper off this entry: an expectation made it."""


class Flows:
    """`with` closes it. Every method raises NetlinkError, and OSError on a failure of the
    socket."""

    def __init__(self) -> None:
        self._link = Netlink(NETFILTER)

    def __enter__(self) -> Flows:
        return self

    def __exit__(self, *_: object) -> None:
        self._link.close()

    def entries(self, wanted: Callable[[Flow], bool],
                holding: bytes | tuple[bytes, ...] = b"") -> list[Flow]:  # fmt: skip
        """The UDP and TCP entries with a true wanted(), each once. holding: this, or one of these,
        is in the kernel's message about such an entry (packed() makes some). Other messages are
        skipped, in a tenth of the time."""
        found: dict[bytes, Flow] = {}  # a table that changes meanwhile may show an entry twice
        for family, parts in self._dump(_CONNTRACK | _GET, holding):
            try:
                flow = Flow(family, parts)
            except (KeyError, ValueError):
                continue
            if wanted(flow):
                found[flow.key()] = flow
        return list(found.values())

    def helped(self, helper: str = "sip") -> list[Flow]:
        """The entries with this helper."""
        return self.entries(lambda flow: flow.helper == helper, helper.encode() + b"\0")

    def expectations(self, helper: str = "sip") -> list[Expectation]:
        found = []
        for _, parts in self._dump(_EXPECT | _GET):
            try:
                one = Expectation(parts)
            except (KeyError, ValueError):
                continue
            if one.helper == helper:
                found.append(one)
        return found

    def take_helper_off(self, flow: Flow) -> bool:
        """Take the helper off the entry; False: it is gone. Raises Busy, too."""
        # Without NLM_F_CREATE a lost entry is not made anew. The id is not compared here.
        body = flow.key(with_id=False) + nested(_HELP, text(_HELP_NAME, ""))
        try:
            return self._ask(_CONNTRACK | _NEW, flow.family, body)
        except NetlinkError as problem:
            if problem.errno == errno.EBUSY:
                raise Busy(flow.called) from None
            raise

    def delete(self, flow: Flow) -> bool:
        """The entry goes; False: it is gone already (the kernel compares its id)."""
        return self._ask(_CONNTRACK | _DELETE, flow.family, flow.key())

    def _ask(self, kind: int, family: int, body: bytes) -> bool:
        try:
            self._link.ask(kind, _header(family) + body)
        except NetlinkError as problem:
            if problem.errno == errno.ENOENT:
                return False
            raise
        return True

    def _dump(self, kind: int, holding: bytes | tuple[bytes, ...] = b"") -> Iterator[_Told]:
        """(family, attributes) of each."""
        some = (holding,) if isinstance(holding, bytes) else holding
        for body in self._link.dump(kind, _header(0), SECONDS):
            if any(part in body for part in some):
                yield body[0], attributes(body[4:])


def packed(host: str) -> bytes:
    """An address as the kernel writes it; b"" for anything else, and that is in every message."""
    try:
        return socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    except OSError:
        return b""


def _header(family: int) -> bytes:
    return struct.pack("=BBH", family, 0, 0)  # struct nfgenmsg


def _number(parts: dict[int, bytes], kind: int) -> int:
    data = parts.get(kind, b"")
    return int.from_bytes(data, "big") if len(data) == 4 else 0


def _helper(parts: dict[int, bytes]) -> str:
    if _HELP not in parts:
        return ""
    return name(attributes(parts[_HELP]).get(_HELP_NAME, b""))


def _tuple(data: bytes) -> tuple[int, tuple[str, int], tuple[str, int]]:
    """protocol, source, target of CTA_TUPLE_*."""
    parts = attributes(data)
    hosts, ports = attributes(parts.get(_TUPLE_IP, b"")), attributes(parts.get(_TUPLE_PROTO, b""))
    proto = ports.get(1, b"\0")[0]
    if proto not in (UDP, TCP):
        raise ValueError("neither UDP nor TCP")
    version, pair = (socket.AF_INET, (1, 2)) if 1 in hosts else (socket.AF_INET6, (3, 4))
    src, dst = (socket.inet_ntop(version, hosts.get(kind, b"")) for kind in pair)
    sport, dport = (int.from_bytes(ports.get(kind, b""), "big") for kind in (2, 3))
    return proto, (src, sport), (dst, dport)


def _end(end: tuple[str, int]) -> str:
    host, port = end
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
