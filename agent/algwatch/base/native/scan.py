# SPDX-License-Identifier: Apache-2.0
"""One SIP message, session description or frame at a time, and the hash of the rows."""

from __future__ import annotations

from algwatch._native import ffi, lib


def scan_message(payload: bytes | memoryview, stream: bool = False) -> tuple[int, memoryview]:
    """Scan one SIP message; stream: bytes of a TCP stream that begin with one.

    Returns the bytes of the message, or NOT_SIP, PARTIAL, TOO_LONG; and aw_sip as uint16 items,
    indexed by SIP, VIA and ADDR, owned by the caller. With PARTIAL, a nonzero item SIP.HEADER_END
    means that only the body is incomplete.
    """
    out = ffi.new("aw_sip *")
    data = ffi.from_buffer("uint8_t[]", payload)
    code: int = lib.aw_sip_scan(data, len(data), stream, out)
    return code, memoryview(ffi.buffer(out)).cast("H")


_scratch = ffi.new("aw_sip *")
_scratch_view = memoryview(ffi.buffer(_scratch)).cast("H")


def scan_briefly(payload: bytes) -> tuple[int, memoryview]:
    """scan_message() into a result overwritten by the next call: read it at once."""
    code: int = lib.aw_sip_scan(payload, len(payload), 0, _scratch)
    return code, _scratch_view


def scan_sdp(body: bytes | memoryview) -> tuple[int, memoryview]:
    """Scan an SDP body (RFC 8866). Returns its length, NOT_SIP if nothing looks like SDP, or
    TOO_LONG; and aw_sdp as uint16 items, indexed by SDP and MEDIA, owned by the caller."""
    out = ffi.new("aw_sdp *")
    data = ffi.from_buffer("uint8_t[]", body)
    code: int = lib.aw_sdp_scan(data, len(data), out)
    return code, memoryview(ffi.buffer(out)).cast("H")


def hash_bytes(key: bytes, data: bytes) -> int:
    """SipHash-1-3 with a key of 16 bytes; 64 bits."""
    digest: int = lib.aw_hash(checked_key(key), data, len(data))
    return digest


class Frame:
    """One captured frame, read down to its transport payload (aw_frame).

    found: UDP, TCP, or a fragment of either. payload, length: offset and bytes in the frame;
    ip: offset of the innermost IP header; seq: TCP sequence number; src, dst: 4 or 16 bytes.
    """

    __slots__ = (
        "bits", "dport", "dst", "found", "ip", "ip_id", "length", "payload", "proto", "seq",
        "sport", "src", "tcp_flags", "ttl", "version", "vlan",
    )  # fmt: skip
    FRAGMENT: int = lib.AW_FRAME_FRAGMENT
    TRUNCATED: int = lib.AW_FRAME_TRUNCATED
    OUTGOING: int = lib.AW_FRAME_OUTGOING
    VLAN: int = lib.AW_FRAME_VLAN
    PPPOE: int = lib.AW_FRAME_PPPOE
    BAD: int = lib.AW_FRAME_BAD
    TUNNEL: int = lib.AW_FRAME_TUNNEL

    def __init__(self, frame: bytes | memoryview, linktype: int) -> None:
        out = ffi.new("aw_frame *")
        data = ffi.from_buffer("uint8_t[]", frame)
        self.found = bool(lib.aw_frame_parse(data, len(data), linktype, out))
        self.payload: int = out.payload
        self.length: int = out.length
        self.ip: int = out.ip
        self.seq: int = out.seq
        self.sport: int = out.sport
        self.dport: int = out.dport
        self.vlan: int = out.vlan
        self.ip_id: int = out.ip_id
        self.version: int = out.version
        self.proto: int = out.proto
        self.ttl: int = out.ttl
        self.bits: int = out.bits
        self.tcp_flags: int = out.tcp_flags
        size = 4 if self.version == 4 else 16
        self.src = bytes(ffi.buffer(out.src)[:size])
        self.dst = bytes(ffi.buffer(out.dst)[:size])


def checked_key(key: bytes) -> bytes:
    """The key itself, if it has 16 bytes; else ValueError."""
    if len(key) != 16:
        raise ValueError(f"a hash key has 16 bytes, not {len(key)}")
    return key
