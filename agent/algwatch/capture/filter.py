# SPDX-License-Identifier: Apache-2.0
"""The kernel filter of the capture ring, compiled by libpcap in a child process.

It passes TCP and UDP on the configured SIP ports, fragments, packets on any port with the beginning
of a SIP start line, and ICMP errors (they quote the undelivered packet), each behind as many VLAN
tags in the frame as the kernel has room for. The kernel rejects everything else before copying it
into the ring.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Sequence

EN10MB = 1  # AW_DLT_EN10MB
RAW = 12  # AW_DLT_RAW
SNAPLEN = 0x40000  # a matching frame is never cut: the ring's block is the limit
MAX_PORTS = 16
# A program larger than net.core.optmem_max does not attach: 20480 bytes on 64-bit kernels, 10240 on
# 32-bit ones, 128 kB on both since Linux 6.8.
MOST_TAGS = 2

# The first four bytes of every message of RFC 3261 (sections 7.1, 7.2) and its extensions: RFC 3262
# PRACK, 3311 UPDATE, 6086 INFO, 3428 MESSAGE, 6665 SUBSCRIBE and NOTIFY, 3515 REFER, 3903 PUBLISH.
START_WORDS = (
    b"SIP/", b"INVI", b"ACK ", b"BYE ", b"CANC", b"REGI", b"OPTI", b"PRAC", b"UPDA", b"INFO",
    b"MESS", b"SUBS", b"NOTI", b"REFE", b"PUBL",
)  # fmt: skip


class FilterError(Exception):
    """The filter could not be compiled; the message says why."""


def checked_ports(ports: Iterable[int]) -> tuple[int, ...]:
    """The ports, sorted and each once; FilterError if one is not 1..65535, or none is left.

    libpcap must get correct ports: pcapy-ng reads freed memory after a failed compilation
    (pcap_geterr after pcap_close).
    """
    unique = set()
    for port in ports:
        if type(port) is not int or not 1 <= port <= 65535:
            raise FilterError(f"{port!r} is not a port: a SIP port is a number from 1 to 65535")
        unique.add(port)
    if not 1 <= len(unique) <= MAX_PORTS:
        raise FilterError(f"{len(unique)} SIP ports given: at least 1, at most {MAX_PORTS}")
    return tuple(sorted(unique))


def _begins_like_sip(first: str, word: str) -> str:
    # The range test on the first byte ('A' to 'U') spares media (0x80 and up) the 15 others. A load
    # behind the end of the packet rejects the whole packet (BPF). This is right here: every other
    # reason to accept a UDP or TCP packet was tried before.
    numbers = sorted(int.from_bytes(start, "big") for start in START_WORDS)
    words = " or ".join(f"{word} = {number:#x}" for number in numbers)
    return f"({first} >= 0x41 and {first} <= 0x55 and ({words}))"


def _layer3(ports: Sequence[int]) -> str:
    on_port = " or ".join(f"port {port}" for port in ports)
    tcp = "((tcp[12] & 0xf0) >> 2)"
    tcp6 = "(((ip6[52] & 0xf0) >> 2) + 40)"
    either = (
        f"((udp or tcp) and ({on_port}))",
        # Not the first fragment: it has no ports. UDP or TCP only.
        "(ip[6:2] & 0x1fff != 0 and (ip[9] = 17 or ip[9] = 6))",
        # IPv6 with a fragment, routing, destination or hop-by-hop header: rare enough for the
        # scanner to decide. But no tunnel behind it (DS-Lite: all traffic of a home): its packets
        # without such a header do not enter either.
        "(ip6 and (ip6[6] = 44 or ip6[6] = 43 or ip6[6] = 60 or ip6[6] = 0)"
        " and not (ip6[40] = 4 or ip6[40] = 41 or ip6[40] = 47))",
        _begins_like_sip("udp[8]", "udp[8:4]"),
        f"(ip6 and ip6[6] = 17 and {_begins_like_sip('ip6[48]', 'ip6[48:4]')})",
        # Destination unreachable, time exceeded, parameter problem (RFC 792, RFC 4443).
        "(icmp and (icmp[0] = 3 or icmp[0] = 11 or icmp[0] = 12))",
        "(ip6 and ip6[6] = 58 and ip6[40] >= 1 and ip6[40] <= 4)",
        _begins_like_sip(f"tcp[{tcp}]", f"tcp[{tcp}:4]"),
        f"(ip6 and ip6[6] = 6 and {_begins_like_sip(f'ip6[{tcp6}]', f'ip6[{tcp6}:4]')})",
    )
    return "(" + " or ".join(either) + ")"


def expression(linktype: int, ports: Sequence[int], tags: int = MOST_TAGS) -> str:
    """The filter in libpcap's language (pcap-filter(7)) for EN10MB or RAW. tags: the most VLAN tags
    in the frame in front of a match; RAW has none.

    The kernel takes the outer VLAN tag out of a received frame and passes it beside the frame, so
    most tagged traffic looks untagged here. Tags stay in an outgoing frame of a device without tag
    offload, and below another tag. libpcap's `vlan` moves every offset behind it, to the end of the
    expression: hence the order.
    """
    plain = _layer3(checked_ports(ports))
    if linktype == RAW:
        return plain
    if linktype == EN10MB:
        return plain + f" or (vlan and ({plain}" * tags + "))" * tags
    raise FilterError(f"no filter for link type {linktype}")


def program(linktype: int, ports: Sequence[int], tags: int = MOST_TAGS) -> bytes:
    """The filter as struct sock_filter[] (8 bytes each, native order), compiled in this process."""
    text = expression(linktype, ports, tags)
    import pcapy

    instructions = pcapy.compile(linktype, SNAPLEN, text, 1, 0).get_bpf()
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)


def compile_apart(linktype: int, ports: Sequence[int], tags: int = MOST_TAGS) -> bytes:
    """program(), in a child process: pcapy and libpcap cost 1.8 MB, never given back.

    Call it before threads are started (the child runs Python after fork). FilterError gives the
    reason, even after a crash of the child.
    """
    expression(linktype, ports, tags)  # wrong ports are the caller's error, not the child's
    inlet, outlet = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(inlet)
            try:
                answer = b"+" + program(linktype, ports, tags)
            except BaseException as error:
                answer = f"-{type(error).__name__}: {error}".encode(errors="replace")
            with open(outlet, "wb") as pipe:
                pipe.write(answer)
            status = 0
        finally:
            os._exit(status)  # no atexit handlers, no flushing of the parent's buffers
    os.close(outlet)
    with open(inlet, "rb") as pipe:
        answer = pipe.read()
    try:
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    except ChildProcessError:  # SIGCHLD is ignored here; the answer counts
        status = 0
    if not answer.startswith(b"+") or len(answer) % 8 != 1 or len(answer) < 9:
        reason = answer[1:].decode(errors="replace") or f"the compiler ended with status {status}"
        raise FilterError(f"libpcap did not compile the capture filter: {reason}")
    return answer[1:]
