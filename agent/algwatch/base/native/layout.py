# SPDX-License-Identifier: Apache-2.0
"""Layout shared by C and Python: structs, offsets, and constants of algwatch_native.h."""

from __future__ import annotations

import struct
import sys

from algwatch._native import ffi, lib

ROW = struct.Struct("=QQQQIIIIIHHHHBBBB")
"""One aw_row, members in the order of the header."""
ROW_KIND: int = ffi.offsetof("aw_row", "kind")
"""Offset of the kind in a row: memoryview(rows)[ROW_KIND :: ROW.size] is the kind of each."""
ROW_LOW_BITS: int = ffi.offsetof("aw_row", "bits") + (sys.byteorder == "big")
"""Offset of the byte of the bits with ROW_MALFORMED to ROW_CONTACT."""
ENDS = struct.Struct("=16s16sIIHHHBB")
"""One aw_ends, members in the order of the header."""

VARIANT: str = ffi.string(lib.aw_variant()).decode()
"""Variant of the scanner: sse2 or portable (docs/native.md)."""

KIND_SIP: int = lib.AW_KIND_SIP
KIND_KEEPALIVE: int = lib.AW_KIND_KEEPALIVE
KIND_STUN: int = lib.AW_KIND_STUN
KIND_TLS: int = lib.AW_KIND_TLS
KIND_ICMP: int = lib.AW_KIND_ICMP
KIND_FRAGMENT: int = lib.AW_KIND_FRAGMENT
KIND_SEGMENT: int = lib.AW_KIND_SEGMENT
KIND_CUT: int = lib.AW_KIND_CUT
KIND_OVERLAP: int = lib.AW_KIND_OVERLAP
KIND_CONNECT: int = lib.AW_KIND_CONNECT

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
ROW_DIRECTED: int = lib.AW_ROW_DIRECTED
ROW_DAMAGED: int = lib.AW_ROW_DAMAGED
ROW_FRAGMENTED: int = lib.AW_ROW_FRAGMENTED
ROW_TIMER: int = lib.AW_ROW_TIMER

META_IN: int = lib.AW_META_IN << lib.AW_META_SHIFT
META_OUT: int = lib.AW_META_OUT << lib.AW_META_SHIFT

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

STEP_FILTER: int = lib.AW_STEP_FILTER

REPLAY_KEY = b"algwatch replay\0"
"""Key of the hashes, for the same bytes from the same file every time."""

ANOMALY_NAMES: tuple[str, ...] = (
    "bad_start_line", "bad_version", "bad_header_line", "bare_lf", "bare_cr", "nul_byte",
    "no_header_end", "length_short", "length_long", "bad_length", "bad_cseq", "bad_via",
    "bad_addr", "bad_number", "missing_via", "missing_from", "missing_to", "missing_call_id",
    "missing_cseq", "duplicate_single", "method_mismatch", "unterminated_quote",
    "unterminated_angle", "clipped", "leading_crlf", "bad_status",
)  # fmt: skip
"""By bit number of aw_anomaly."""


def _at(struct_name: str, *members: str) -> int:
    """Index of a member in a scan result cast to "H"."""
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
    SESSION_EXPIRES = _at("aw_sip", "session_expires")
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
