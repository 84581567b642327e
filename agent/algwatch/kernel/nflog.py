# SPDX-License-Identifier: Apache-2.0
"""NFLOG of packets from and to programs on the router itself, set up over one netlink socket.
Reading the socket then needs no privilege.

The socket is bound to a group of nfnetlink_log and owns an nftables table (NFT_TABLE_F_OWNER, Linux
5.12). No other program can change or flush the table. The kernel removes table and group with the
last descriptor of the socket, also after kill -9.

    table inet algwatch {
      chain output { type filter hook output priority mangle; oifname "wan" jump sip; }
      chain input  { type filter hook input priority 250; iifname "wan" ct status & 0x2001 == 0x0
                     jump sip; }
      chain sip    { th sport 5060 log group 5060 queue-threshold 1 accept; th dport 5060 ... }
    }

Output: before NAT and before the SIP helper. Input: behind NAT and the filters, so the packet was
let in. The helper changes a message behind every chain (reference: nf_confirm() at priority
INT_MAX). So input leaves out flows with a helper (IPS_HELPER) and expected ones (IPS_EXPECTED): the
copy would differ from the program's.

Sources: include/uapi/linux/netfilter/nfnetlink_log.h, nf_tables.h, nf_conntrack_common.h.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Sequence

from algwatch.kernel.netlink import (
    ACK,
    CREATE,
    NETFILTER,
    REQUEST,
    attribute,
    be16,
    be32,
    each_message,
    message,
    nested,
    refusal,
    text,
)

TABLE = "algwatch"
FIRST_GROUP, GROUPS = 5060, 8  # tried one after the other: another program may have one
QUEUE = 524288  # bytes waiting while the daemon is busy, of any lengths
TIMEOUT = 2.0  # seconds for the kernel's answer

_ERROR = 2  # NLMSG_ERROR
_APPEND = 0x800  # NLM_F_APPEND
_SO_RCVBUFFORCE = 33
_LOG_CONFIG = 4 << 8 | 1  # NFNL_SUBSYS_ULOG, NFULNL_MSG_CONFIG
_CFG_CMD, _CFG_MODE, _CFG_THRESHOLD = 1, 2, 5  # NFULA_CFG_
_BIND, _COPY_PACKET = 1, 2
_NFTABLES = 10  # NFNL_SUBSYS_NFTABLES
_BATCH_BEGIN, _BATCH_END = 16, 17
_NEW_TABLE, _NEW_CHAIN, _NEW_RULE = _NFTABLES << 8, _NFTABLES << 8 | 3, _NFTABLES << 8 | 6
_OWNER = 2  # NFT_TABLE_F_OWNER
_INET = 1
_LOCAL_IN, _LOCAL_OUT = 1, 3
_MANGLE, _AFTER_NAT = -150, 250  # srcnat of the input hook has 100
_IIFNAME, _OIFNAME = 6, 7  # NFT_META_
_HELPED = 1 << 13 | 1  # IPS_HELPER, IPS_EXPECTED
_TRANSPORT = 2  # NFT_PAYLOAD_TRANSPORT_HEADER
_VERDICT, _R1 = 0, 1  # registers
_ACCEPT, _JUMP = 1, -3  # accept: of this chain, so no packet is logged twice

Request = tuple[int, int, bytes]  # kind, flags besides REQUEST, payload


class CannotLog(Exception):
    """It cannot be set up here; the text gives the reason, and the next step."""


def open_log(wan: Sequence[str], ports: Sequence[int]) -> socket.socket:
    """The socket, in the network namespace of this thread, with messages of nfnetlink_log. wan:
    interfaces; ports: of SIP, TCP and UDP. Needs CAP_NET_ADMIN. CannotLog."""
    sock = None
    try:
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETFILTER)
        sock.bind((0, 0))
        sock.settimeout(TIMEOUT)
        group = _bind(sock)
        _check(_ask(sock, _table(wan, ports, group), batch=True), "nftables")
        try:
            sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, QUEUE)  # past net.core.rmem_max
        except OSError:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, QUEUE)
        sock.setblocking(False)
        return sock
    except BaseException as problem:
        if sock is not None:
            sock.close()
        if isinstance(problem, OSError):
            raise CannotLog(f"the kernel gives no netlink socket: {problem}") from None
        raise


def _bind(sock: socket.socket) -> int:
    """The number of an unused group; CannotLog."""
    for group in range(FIRST_GROUP, FIRST_GROUP + GROUPS):
        error = _ask(sock, [_configure(group, attribute(_CFG_CMD, bytes([_BIND])))])
        if error in (errno.EBUSY, errno.EPERM):  # the group of another; or all: no privilege
            continue
        _check(error, "NFLOG")
        copy = attribute(_CFG_MODE, struct.pack(">IBx", 0xFFFF, _COPY_PACKET))
        _check(_ask(sock, [_configure(group, copy)]), "NFLOG")
        _check(_ask(sock, [_configure(group, be32(_CFG_THRESHOLD, 1))]), "NFLOG")  # at once
        return group
    raise CannotLog(_why("NFLOG", errno.EPERM))


def _configure(group: int, body: bytes) -> Request:
    return _LOG_CONFIG, ACK, struct.pack(">BBH", socket.AF_UNSPEC, 0, group) + body


def _table(wan: Sequence[str], ports: Sequence[int], group: int) -> list[Request]:
    """The table of the docstring above, between the messages for one transaction."""
    log = _expression("log", be16(1, group), be16(4, 1)) + _verdict(be32(1, _ACCEPT))
    rules: list[bytes] = []
    for port in ports:
        for offset in (0, 2):  # source, destination
            at = be32(1, _R1) + be32(2, _TRANSPORT) + be32(3, offset) + be32(4, 2)
            it = _is(struct.pack(">H", port))
            rules.append(_rule("sip", _expression("payload", at), it, log))
    jump = _verdict(attribute(1, struct.pack(">i", _JUMP)), text(2, "sip"))
    free = (
        _expression("ct", be32(1, _R1), be32(2, 2))  # status
        + _expression("bitwise", be32(1, _R1), be32(2, _R1), be32(3, 4),
                      nested(4, attribute(1, struct.pack("=I", _HELPED))),
                      nested(5, attribute(1, bytes(4))))
        + _is(bytes(4))
    )  # fmt: skip
    for name in wan:
        device = _is(name.encode().ljust(16, b"\0"))
        out = _expression("meta", be32(2, _OIFNAME), be32(1, _R1))
        rules.append(_rule("output", out, device, jump))
        into = _expression("meta", be32(2, _IIFNAME), be32(1, _R1))
        rules.append(_rule("input", into, device, free, jump))
    head = struct.pack(">BBH", _INET, 0, 0)
    whole = struct.pack(">BBH", 0, 0, _NFTABLES)
    chains = [_chain("sip"), _chain("output", _LOCAL_OUT, _MANGLE),
              _chain("input", _LOCAL_IN, _AFTER_NAT)]  # fmt: skip
    return [
        (_BATCH_BEGIN, 0, whole),
        (_NEW_TABLE, ACK | CREATE, head + text(1, TABLE) + be32(2, _OWNER)),
        *[(_NEW_CHAIN, ACK | CREATE, head + chain) for chain in chains],
        *[(_NEW_RULE, ACK | CREATE | _APPEND, head + rule) for rule in rules],
        (_BATCH_END, 0, whole),
    ]


def _chain(name: str, hook: int = -1, priority: int = 0) -> bytes:
    """hook: NF_INET_, -1 for a chain only jumped to."""
    chain = text(1, TABLE) + text(3, name)
    if hook < 0:
        return chain
    at = nested(4, be32(1, hook), attribute(2, struct.pack(">i", priority)))
    return chain + at + text(7, "filter")


def _rule(chain: str, *expressions: bytes) -> bytes:
    return text(1, TABLE) + text(2, chain) + nested(4, *expressions)


def _expression(name: str, *attributes: bytes) -> bytes:
    return nested(1, text(1, name), nested(2, *attributes))


def _verdict(*attributes: bytes) -> bytes:
    return _expression("immediate", be32(1, _VERDICT), nested(2, nested(2, *attributes)))


def _is(value: bytes) -> bytes:
    return _expression("cmp", be32(1, _R1), be32(2, 0), nested(3, attribute(1, value)))


def _ask(sock: socket.socket, requests: list[Request], batch: bool = False) -> int:
    """0, or the errno of the first refused request. batch: in one datagram."""
    data = b"".join(
        message(kind, REQUEST | flags, number, payload)
        for number, (kind, flags, payload) in enumerate(requests, 1)
    )
    sock.sendto(data, (0, 0))
    awaited = {number for number, (_, flags, _) in enumerate(requests, 1) if flags & ACK}
    first = 0
    while awaited:
        answer, sender = sock.recvfrom(1 << 17)
        if sender[0] != 0:  # only the kernel is believed
            continue
        for kind, flags, number, payload in each_message(answer):
            if kind != _ERROR:
                continue  # a packet logged already
            error = refusal(flags, payload)
            if error is not None and number not in awaited:
                awaited.clear()  # the batch as a whole was refused
            awaited.discard(number)
            first = first or (error.errno or errno.EIO if error is not None else 0)
    return first


def _check(error: int, what: str) -> None:
    if error:
        raise CannotLog(_why(what, error))


def _why(what: str, error: int) -> str:
    if what == "NFLOG" and error == errno.EPERM:
        last = FIRST_GROUP + GROUPS - 1
        return (f"NFLOG needs root (CAP_NET_ADMIN) at the start, and one of the groups "
                f"{FIRST_GROUP} to {last} that no other program has")  # fmt: skip
    if what == "NFLOG":
        return f"this kernel has no NFLOG ({os.strerror(error)}): install kmod-nfnetlink-log"
    if error == errno.EPERM:
        return f"another algwatch is running: the nftables table inet {TABLE} belongs to it"
    if error == errno.EOPNOTSUPP:
        return (f"nftables makes no table that belongs to a process: it needs Linux 5.12, and no "
                f"other table inet {TABLE}")  # fmt: skip
    return (f"nftables refused the rules ({os.strerror(error)}): it needs kmod-nft-core and, for "
            "the log statement, kmod-nfnetlink-log")  # fmt: skip
