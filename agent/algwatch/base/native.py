"""The boundary to the C extension: the only module that imports algwatch._native.

Lengths are checked here, before C sees them; codes become values or exceptions here.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from algwatch._native import ffi, lib
from algwatch.base.packet import Batch

ROW = struct.Struct("=QQQQIIIIIHHHHBBBB")
"""One aw_row, members in the order of the header."""
ROW_KIND: int = ffi.offsetof("aw_row", "kind")
"""Offset of the kind in a row: memoryview(rows)[ROW_KIND :: ROW.size] is the kind of each."""
ROW_LOW_BITS: int = ffi.offsetof("aw_row", "bits") + (sys.byteorder == "big")
"""Offset of the byte of the bits that has ROW_MALFORMED to ROW_CONTACT."""
ENDS = struct.Struct("=16s16sIIHHHBB")
"""One aw_ends, members in the order of the header."""

VARIANT: str = ffi.string(lib.aw_variant()).decode()
"""Of the scanner, on this CPU: avx2, sse2 or portable (docs/native.md)."""

KIND_SIP: int = lib.AW_KIND_SIP
KIND_KEEPALIVE: int = lib.AW_KIND_KEEPALIVE
KIND_STUN: int = lib.AW_KIND_STUN
KIND_TLS: int = lib.AW_KIND_TLS
KIND_ICMP: int = lib.AW_KIND_ICMP
KIND_FRAGMENT: int = lib.AW_KIND_FRAGMENT
KIND_SEGMENT: int = lib.AW_KIND_SEGMENT

ROW_MALFORMED: int = lib.AW_ROW_MALFORMED
ROW_TRUNCATED: int = lib.AW_ROW_TRUNCATED
ROW_OUTGOING: int = lib.AW_ROW_OUTGOING
ROW_TCP: int = lib.AW_ROW_TCP
ROW_IPV6: int = lib.AW_ROW_IPV6
ROW_CLIPPED: int = lib.AW_ROW_CLIPPED
ROW_SDP: int = lib.AW_ROW_SDP
ROW_CONTACT: int = lib.AW_ROW_CONTACT
ROW_COOKIE: int = lib.AW_ROW_COOKIE
ROW_TAGGED: int = lib.AW_ROW_TAGGED

UNKNOWN_METHOD: int = lib.AW_UNKNOWN
INVITE: int = lib.AW_INVITE
ACK: int = lib.AW_ACK
BYE: int = lib.AW_BYE
CANCEL: int = lib.AW_CANCEL
REGISTER: int = lib.AW_REGISTER
OPTIONS: int = lib.AW_OPTIONS
PRACK: int = lib.AW_PRACK
UPDATE: int = lib.AW_UPDATE
INFO: int = lib.AW_INFO
MESSAGE: int = lib.AW_MESSAGE
SUBSCRIBE: int = lib.AW_SUBSCRIBE
NOTIFY: int = lib.AW_NOTIFY
REFER: int = lib.AW_REFER
PUBLISH: int = lib.AW_PUBLISH
OTHER_METHOD: int = lib.AW_OTHER_METHOD
METHOD_NAMES: tuple[str, ...] = (
    "", "INVITE", "ACK", "BYE", "CANCEL", "REGISTER", "OPTIONS", "PRACK", "UPDATE", "INFO",
    "MESSAGE", "SUBSCRIBE", "NOTIFY", "REFER", "PUBLISH", "OTHER",
)  # fmt: skip
"""By aw_method; "" is unknown."""

NOT_SIP: int = lib.AW_NOT_SIP
PARTIAL: int = lib.AW_PARTIAL
TOO_LONG: int = lib.AW_TOO_LONG
AGAIN: int = lib.AW_AGAIN
GONE: int = lib.AW_GONE
FAILED: int = lib.AW_FAILED

REPLAY_KEY = b"algwatch replay\0"
"""Key of the hashes where the same file must give the same bytes again."""

ANOMALY_NAMES: tuple[str, ...] = (
    "bad_start_line", "bad_version", "bad_header_line", "bare_lf", "bare_cr", "nul_byte",
    "no_header_end", "length_short", "length_long", "bad_length", "bad_cseq", "bad_via",
    "bad_addr", "bad_number", "missing_via", "missing_from", "missing_to", "missing_call_id",
    "missing_cseq", "duplicate_single", "method_mismatch", "unterminated_quote",
    "unterminated_angle", "clipped", "leading_crlf", "bad_status",
)  # fmt: skip
"""By bit number of aw_anomaly."""

_MAX_U32 = 0xFFFFFFFF
_ROWS_A_PACKET: int = lib.AW_ROWS_A_PACKET
_uncleared = ffi.new_allocator(should_clear_after_alloc=False)  # RAM is what was written to


def _at(struct_name: str, *members: str) -> int:
    """Index of a member in a scan result that was cast to "H"."""
    return int(ffi.offsetof(struct_name, *members)) // 2


class SIP:
    """Indices into the result of scan_message(): a span is two of them (offset, length)."""

    SIZE = int(ffi.sizeof("aw_sip")) // 2
    ANOMALIES = _at("aw_sip", "anomalies")
    ANOMALY_AT = _at("aw_sip", "anomaly_at")
    METHOD = _at("aw_sip", "method")
    STATUS = _at("aw_sip", "status")
    CSEQ = _at("aw_sip", "cseq")
    CONTENT_LENGTH = _at("aw_sip", "content_length")
    MAX_FORWARDS = _at("aw_sip", "max_forwards")
    HEADER_END = _at("aw_sip", "header_end")
    VIAS = _at("aw_sip", "vias")
    CONTACTS = _at("aw_sip", "contacts")
    ROUTES = _at("aw_sip", "routes")
    RECORD_ROUTES = _at("aw_sip", "record_routes")
    PATHS = _at("aw_sip", "paths")
    METHOD_NAME = _at("aw_sip", "method_name")
    REQUEST_URI = _at("aw_sip", "request_uri")
    REQUEST_USER = _at("aw_sip", "request_user")
    REQUEST_HOST = _at("aw_sip", "request_host")
    REQUEST_PORT = _at("aw_sip", "request_port")
    REASON = _at("aw_sip", "reason")
    CALL_ID = _at("aw_sip", "call_id")
    CSEQ_VALUE = _at("aw_sip", "cseq_value")
    CSEQ_METHOD = _at("aw_sip", "cseq_method")
    MAX_FORWARDS_VALUE = _at("aw_sip", "max_forwards_value")
    EXPIRES = _at("aw_sip", "expires")
    CONTENT_TYPE = _at("aw_sip", "content_type")
    CONTENT_LENGTH_VALUE = _at("aw_sip", "content_length_value")
    USER_AGENT = _at("aw_sip", "user_agent")
    SERVER = _at("aw_sip", "server")
    BODY = _at("aw_sip", "body")
    FROM = _at("aw_sip", "from")
    TO = _at("aw_sip", "to")
    VIA = _at("aw_sip", "via")
    CONTACT = _at("aw_sip", "contact")
    ROUTE = _at("aw_sip", "route")
    RECORD_ROUTE = _at("aw_sip", "record_route")
    PATH = _at("aw_sip", "path")
    VIA_SIZE = int(ffi.sizeof("aw_via")) // 2
    ADDR_SIZE = int(ffi.sizeof("aw_addr")) // 2


class VIA:
    """Indices inside one Via of the result; HAS_RPORT is a bit of BITS."""

    SIZE = SIP.VIA_SIZE
    ALL = _at("aw_via", "all")
    TRANSPORT = _at("aw_via", "transport")
    HOST = _at("aw_via", "host")
    BRANCH = _at("aw_via", "branch")
    RECEIVED = _at("aw_via", "received")
    RPORT = _at("aw_via", "rport")
    MADDR = _at("aw_via", "maddr")
    PORT = _at("aw_via", "port")
    RPORT_VALUE = _at("aw_via", "rport_value")
    BITS = _at("aw_via", "bits")
    HAS_RPORT: int = lib.AW_VIA_RPORT


class ADDR:
    """Indices inside one address of the result; STAR to OTHER are bits of BITS."""

    SIZE = SIP.ADDR_SIZE
    ALL = _at("aw_addr", "all")
    DISPLAY = _at("aw_addr", "display")
    URI = _at("aw_addr", "uri")
    USER = _at("aw_addr", "user")
    HOST = _at("aw_addr", "host")
    URI_PARAMS = _at("aw_addr", "uri_params")
    PARAMS = _at("aw_addr", "params")
    TAG = _at("aw_addr", "tag")
    EXPIRES = _at("aw_addr", "expires")
    PORT = _at("aw_addr", "port")
    BITS = _at("aw_addr", "bits")
    STAR: int = lib.AW_ADDR_STAR
    ANGLE: int = lib.AW_ADDR_ANGLE
    LR: int = lib.AW_ADDR_LR
    SIPS: int = lib.AW_ADDR_SIPS
    TEL: int = lib.AW_ADDR_TEL
    OTHER: int = lib.AW_ADDR_OTHER


class SDP:
    """Indices into the result of scan_sdp(); BAD_LINE to NO_VERSION are bits of ANOMALIES."""

    SIZE = int(ffi.sizeof("aw_sdp")) // 2
    ANOMALIES = _at("aw_sdp", "anomalies")
    MEDIA_COUNT = _at("aw_sdp", "media_count")
    ICE = _at("aw_sdp", "ice")
    ORIGIN = _at("aw_sdp", "origin")
    ORIGIN_ADDRESS = _at("aw_sdp", "origin_address")
    ADDRESS = _at("aw_sdp", "address")
    MEDIA = _at("aw_sdp", "media")
    MEDIA_SIZE = int(ffi.sizeof("aw_media")) // 2
    BAD_LINE = 1
    BAD_PORT = 2
    CLIPPED = 4
    NO_VERSION = 8


class MEDIA:
    """Indices inside one m= section of the result; INACTIVE and CANDIDATE are bits of BITS."""

    SIZE = SDP.MEDIA_SIZE
    LINE = _at("aw_media", "line")
    KIND = _at("aw_media", "kind")
    ADDRESS = _at("aw_media", "address")
    RTCP = _at("aw_media", "rtcp")
    PORT = _at("aw_media", "port")
    RTCP_PORT = _at("aw_media", "rtcp_port")
    CANDIDATES = _at("aw_media", "candidates")
    BITS = _at("aw_media", "bits")
    INACTIVE: int = lib.AW_MEDIA_INACTIVE
    CANDIDATE: int = lib.AW_MEDIA_CANDIDATE


def scan_message(payload: bytes | memoryview, stream: bool = False) -> tuple[int, memoryview]:
    """Scan one SIP message; stream: bytes of a TCP stream that begin with one.

    Returns the bytes that belong to the message, or NOT_SIP, PARTIAL, TOO_LONG; and aw_sip as
    uint16 items, indexed by SIP, VIA and ADDR, owned by the caller. With PARTIAL, an item
    SIP.HEADER_END other than 0 says that only the body is not complete.
    """
    out = ffi.new("aw_sip *")
    data = ffi.from_buffer("uint8_t[]", payload)
    code: int = lib.aw_sip_scan(data, len(data), stream, out)
    return code, memoryview(ffi.buffer(out)).cast("H")


_scratch = ffi.new("aw_sip *")
_scratch_view = memoryview(ffi.buffer(_scratch)).cast("H")


def scan_briefly(payload: bytes) -> tuple[int, memoryview]:
    """scan_message() into a result that the next call overwrites: read it and let it go."""
    code: int = lib.aw_sip_scan(payload, len(payload), 0, _scratch)
    return code, _scratch_view


def scan_sdp(body: bytes | memoryview) -> tuple[int, memoryview]:
    """Scan an SDP body (RFC 8866). Returns its length, NOT_SIP when nothing looks like SDP, or
    TOO_LONG; and aw_sdp as uint16 items, indexed by SDP and MEDIA, owned by the caller."""
    out = ffi.new("aw_sdp *")
    data = ffi.from_buffer("uint8_t[]", body)
    code: int = lib.aw_sdp_scan(data, len(data), out)
    return code, memoryview(ffi.buffer(out)).cast("H")


def hash_bytes(key: bytes, data: bytes) -> int:
    """SipHash-1-3 with a key of 16 bytes; 64 bits."""
    digest: int = lib.aw_hash(_checked_key(key), data, len(data))
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


class Counts:
    """What was seen and what became of it (aw_counts): whole numbers that only grow."""

    __slots__ = ("_struct",)
    NAMES: tuple[str, ...] = tuple(name for name, _ in ffi.typeof("aw_counts").fields)

    def __init__(self) -> None:
        self._struct = ffi.new("aw_counts *")

    def as_dict(self) -> dict[str, int]:
        return {name: int(getattr(self._struct, name)) for name in self.NAMES}


def _checked_key(key: bytes) -> bytes:
    if len(key) != 16:
        raise ValueError(f"a hash key has 16 bytes, not {len(key)}")
    return key


class _Rows:
    """Room for rows and their ends, made once and used again for every batch."""

    __slots__ = ("ends", "ends_view", "limit", "rows", "rows_view")

    def __init__(self, limit: int) -> None:
        if limit < _ROWS_A_PACKET:
            raise ValueError(f"room for {limit} rows, but one packet may need {_ROWS_A_PACKET}")
        self.limit = limit
        self.rows = _uncleared("aw_row[]", limit)
        self.ends = _uncleared("aw_ends[]", limit)
        self.rows_view = memoryview(ffi.buffer(self.rows))
        self.ends_view = memoryview(ffi.buffer(self.ends))

    def batch(self, buffer: bytes | memoryview, count: int, tap: int, watermark: int) -> Batch:
        return Batch(
            buffer,
            self.rows_view[: count * ROW.size],
            self.ends_view[: count * ENDS.size],
            count,
            tap,
            watermark,
        )


class Scanner:
    """Packets of one tap to batches.

    linktype: LINKTYPE_ value of libpcap; tap: index of the tap; key: 16 bytes; ports: SIP
    ports; counts: added to. Reuses its buffers: a batch's rows and ends are valid until the
    next batch is asked for.
    """

    __slots__ = ("_key", "_next", "_port_count", "_ports", "_rows", "counts", "linktype", "tap")

    def __init__(
        self,
        linktype: int,
        tap: int,
        key: bytes,
        ports: Sequence[int],
        counts: Counts,
        max_rows: int = 1024,
    ) -> None:
        self.linktype = linktype
        self.tap = tap
        self.counts = counts
        self._key = ffi.new("uint8_t[16]", _checked_key(key))
        self._ports = ffi.new("uint16_t[]", list(ports))
        self._port_count = len(ports)
        self._rows = _Rows(max_rows)
        self._next = ffi.new("uint32_t *")

    def scan(self, buffer: bytes, meta: bytes, watermark: int) -> Iterator[Batch]:
        """buffer, meta: what pcapy-ng's next_batch() returns. Usually exactly one batch.

        watermark (ns) goes to the last batch; one that is cut short because its rows were full
        tells 0, because more of the same packets follow.
        """
        count, odd = divmod(len(meta), 16)
        if odd:
            raise ValueError(f"{len(meta)} bytes are no table of 16-byte records")
        if len(buffer) > _MAX_U32:
            raise ValueError("a batch of 4 GiB or more: offsets have 32 bits")
        data = ffi.from_buffer("uint8_t[]", buffer)
        records = ffi.from_buffer("uint32_t[]", meta)
        rows, following = self._rows, self._next
        start = 0
        while True:
            following[0] = start
            found: int = lib.aw_batch_scan(
                data, len(data), records, count, following, self.linktype, self.tap, self._key,
                self._ports, self._port_count, rows.rows, rows.ends, rows.limit,
                self.counts._struct,
            )  # fmt: skip
            start = int(following[0])
            yield rows.batch(buffer, found, self.tap, watermark if start == count else 0)
            if start == count:
                return


class Room:
    """Memory for what one Ring.read() takes: frames, rows and their ends. Takes up RAM only as
    far as it was written to."""

    __slots__ = ("_bytes", "_rows", "_view", "size")

    def __init__(self, size: int, max_rows: int) -> None:
        self.size = size
        self._bytes = _uncleared("uint8_t[]", size)
        self._view = memoryview(ffi.buffer(self._bytes))
        self._rows = _Rows(max_rows)


class Ring:
    """A live capture ring (native/ring.c), closed until open() returns 0."""

    __slots__ = ("_keyed", "_open", "_ports", "_ring")

    def __init__(self) -> None:
        self._ring = ffi.new("aw_ring *")
        self._ring.fd = -1
        self._open = False
        self._keyed: tuple[bytes, Any] = (b"", None)
        self._ports: tuple[Sequence[int], Any] = ((), ffi.new("uint16_t[]", 0))

    def open(
        self, ifname: str, block_size: int, block_count: int, timeout_ms: int, filter_bytes: bytes
    ) -> int:
        """filter_bytes: struct sock_filter, 8 bytes each. Returns 0, GONE or FAILED; then
        `error` is the errno."""
        if len(filter_bytes) % 8:
            raise ValueError(f"{len(filter_bytes)} bytes are no list of 8-byte instructions")
        self.close()
        code: int = lib.aw_ring_open(
            self._ring, ifname.encode(), block_size, block_count, timeout_ms, filter_bytes,
            len(filter_bytes) // 8,
        )  # fmt: skip
        self._open = code == 0
        return code

    @property
    def error(self) -> int:
        """errno of the last failure."""
        return int(self._ring.error)

    @property
    def linktype(self) -> int:
        return int(self._ring.linktype)

    @property
    def ifindex(self) -> int:
        return int(self._ring.ifindex)

    def fileno(self) -> int:
        """-1 while closed."""
        return int(self._ring.fd)

    def read(
        self, tap: int, key: bytes, ports: Sequence[int], room: Room, counts: Counts
    ) -> Batch | int:
        """What is ready, as far as it fits; or AGAIN, GONE, FAILED.

        The batch lies in the room until that is read into again; the kernel has its blocks back.
        Its watermark is 0: only the caller knows the clock.
        """
        if not self._open:
            return FAILED
        if self._keyed[0] != key:
            self._keyed = (bytes(key), ffi.new("uint8_t[16]", _checked_key(key)))
        if self._ports[0] is not ports:
            self._ports = (ports, ffi.new("uint16_t[]", list(ports)))
        rows = room._rows
        found: int = lib.aw_ring_read(
            self._ring, tap, self._keyed[1], self._ports[1], len(ports), room._bytes, room.size,
            rows.rows, rows.ends, rows.limit, counts._struct,
        )  # fmt: skip
        return found if found < 0 else rows.batch(room._view, found, tap, 0)

    def stats(self) -> tuple[int, int, int]:
        """(drops, freezes, losing) since open(), from the kernel's own counters."""
        if self._open:
            lib.aw_ring_stats(self._ring)
        return int(self._ring.drops), int(self._ring.freezes), int(self._ring.losing)

    def close(self) -> None:
        """Closing twice is fine."""
        if self._open:
            self._open = False
            lib.aw_ring_close(self._ring)
