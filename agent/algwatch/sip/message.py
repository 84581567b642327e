# SPDX-License-Identifier: Apache-2.0
"""Message: a SIP message, scanned again only on demand (RFC 3261 section 7).

Bytes from the wire never raise here or past here: absent parts are empty or 0.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from algwatch.base import address
from algwatch.base.native.layout import ADDR, ANOMALY_NAMES, METHOD_NAMES, SIP, VIA
from algwatch.base.native.scan import scan_briefly, scan_message
from algwatch.sip.sdp import Sdp


def _items(*indices: int) -> Callable[..., tuple[int, ...]]:
    """A function that unpacks these items of a scan, each index greater than the one before it; the
    item of a memoryview is dear. Its arguments: the scan, and an offset in bytes."""
    form, at = "=", 0
    for index in indices:
        form += f"{2 * (index - at)}xH"
        at = index + 1
    return struct.Struct(form).unpack_from


def _spans(*indices: int) -> tuple[int, ...]:
    """The items of these spans: offset and length of each."""
    return tuple(item for index in indices for item in (index, index + 1))


_parties = _items(*_spans(SIP.CALL_ID, SIP.FROM + ADDR.URI, SIP.TO + ADDR.URI))
_identity = _items(SIP.CSEQ, SIP.CSEQ + 1, SIP.VIAS,
                   *_spans(SIP.CALL_ID, SIP.FROM + ADDR.TAG, SIP.VIA + VIA.BRANCH))  # fmt: skip
_reach = _items(SIP.VIAS, SIP.CONTACTS, *_spans(SIP.VIA + VIA.RPORT), SIP.VIA + VIA.BITS,
                *_spans(SIP.CONTACT + ADDR.HOST), SIP.CONTACT + ADDR.BITS)  # fmt: skip
_first_contact = _items(SIP.CONTACTS, *_spans(SIP.CONTACT + ADDR.HOST), SIP.CONTACT + ADDR.PORT)
_request_host = _items(*_spans(SIP.REQUEST_HOST))
_via = _items(*_spans(VIA.ALL, VIA.TRANSPORT, VIA.HOST, VIA.BRANCH, VIA.RECEIVED, VIA.RPORT,
                      VIA.MADDR), VIA.PORT, VIA.BITS)  # fmt: skip
_address = _items(*_spans(ADDR.ALL, ADDR.DISPLAY, ADDR.URI, ADDR.USER, ADDR.HOST, ADDR.URI_PARAMS,
                          ADDR.PARAMS, ADDR.TAG, ADDR.EXPIRES))  # fmt: skip
# Apart: CPython 3.11 keeps up to 2,000 tuples of 20 items for the next ones, and never takes one.
_port_and_bits = _items(ADDR.PORT, ADDR.BITS)
_HAS_RPORT, _STAR = VIA.HAS_RPORT, ADDR.STAR
_VIA_SIZE, _ADDR_SIZE = VIA.SIZE, ADDR.SIZE

_CLIPPED = 1 << ANOMALY_NAMES.index("clipped")

MOST_TEXT = 1024  # bytes of a text kept apart from its message


def to_text(span: bytes) -> str:
    """Wire bytes for people: UTF-8 (RFC 3261 section 7); other bytes show as U+FFFD."""
    return span.decode("utf-8", "replace")


def to_host(span: bytes) -> str:
    """A host; an IPv6 literal as base/address.py writes it, so equal addresses are equal texts."""
    host = span.decode("utf-8", "replace")
    return address.canonical(host) if ":" in host else host


def _text(payload: bytes, at: int, size: int) -> str:
    size = size if size < MOST_TEXT else MOST_TEXT
    return payload[at : at + size].decode("utf-8", "replace")


def identity(payload: bytes) -> tuple[bytes, int, int, bytes, bytes]:
    """Call-ID, CSeq number (high and low half), From tag and topmost branch: kept by a rewritten
    copy. Needed for every rewritten message, so without making a Message for it."""
    code, s = scan_briefly(payload)
    if code <= 0:
        return payload, 0, 0, b"", b""
    high, low, vias, call_id, size, tag, tag_size, branch, branch_size = _identity(s)
    return (
        payload[call_id : call_id + size],
        high,
        low,
        payload[tag : tag + tag_size],
        payload[branch : branch + branch_size] if vias else b"",
    )


def parties(payload: bytes) -> tuple[str, str, str]:
    """Call-ID, From URI and To URI as text of at most MOST_TEXT bytes each, for the list of
    calls."""
    code, s = scan_briefly(payload)
    if code <= 0:
        return "", "", ""
    call_id, size, caller, caller_size, callee, callee_size = _parties(s)
    return (
        _text(payload, call_id, size),
        _text(payload, caller, caller_size),
        _text(payload, callee, callee_size),
    )


def reach(payload: bytes) -> tuple[bool, bytes | None, str | None]:
    """Return addresses of its sender, or of the answering host: has it a Via; rport of the topmost
    (see Via); host of the first Contact, "*" for "Contact: *", None for none."""
    code, s = scan_briefly(payload)
    if code <= 0:
        return False, None, None
    vias, contacts, rport_at, rport_size, via_bits, host, size, bits = _reach(s)
    rport = contact = None
    if vias and via_bits & _HAS_RPORT:
        rport = payload[rport_at : rport_at + rport_size]
    if contacts:
        contact = "*"
        if not bits & _STAR:
            contact = _text(payload, host, size)
            if ":" in contact:
                contact = address.canonical(contact)
    return vias > 0, rport, contact


def first_contact(payload: bytes) -> tuple[str, int] | None:
    """Host and port (5060 if none is written) of the first Contact; None without one."""
    code, s = scan_briefly(payload)
    contacts, host, size, port = _first_contact(s)
    if code <= 0 or not contacts:
        return None
    return to_host(payload[host : host + size]), port or 5060


def request_host(payload: bytes) -> str:
    """Host of its Request-URI; "" without one."""
    code, s = scan_briefly(payload)
    host, size = _request_host(s)
    return to_host(payload[host : host + size]) if code > 0 and host else ""


def via_count(payload: bytes) -> int:
    """The number of its Vias held by the scan."""
    return scan_briefly(payload)[1][SIP.VIAS]


class Via:
    """One Via value: sent-by (host, port; 0 = none written), branch, received, rport, maddr.

    rport: None without the parameter, b"" without a value (RFC 3581).
    """

    __slots__ = ("all", "branch", "host", "maddr", "port", "received", "rport", "transport")

    def __init__(self, message: Message, base: int) -> None:
        payload = message.payload
        (all_, size, transport, transport_size, host, host_size, branch, branch_size, received,
         received_size, rport, rport_size, maddr, maddr_size, self.port,
         bits) = _via(message.scanned, 2 * base)  # fmt: skip
        self.all = payload[all_ : all_ + size]
        self.transport = to_text(payload[transport : transport + transport_size])
        self.host = to_host(payload[host : host + host_size])
        self.branch = payload[branch : branch + branch_size]
        self.received = to_host(payload[received : received + received_size])
        self.maddr = to_host(payload[maddr : maddr + maddr_size])
        self.rport = payload[rport : rport + rport_size] if bits & _HAS_RPORT else None

    @property
    def sent_by(self) -> tuple[str, int]:
        """Host in lower case, and port, by default 5060."""
        return self.host.lower(), self.port or 5060


class Address:
    """One name-addr or addr-spec: Contact, From, To, Route, Record-Route, Path."""

    __slots__ = ("all", "bits", "display", "expires", "host", "params", "port", "tag", "uri",
                 "uri_params", "user")  # fmt: skip

    def __init__(self, message: Message, base: int) -> None:
        payload = message.payload
        (all_, size, display, display_size, uri, uri_size, user, user_size, host, host_size,
         uri_params, uri_params_size, params, params_size, tag, tag_size, expires,
         expires_size) = _address(message.scanned, 2 * base)  # fmt: skip
        self.port, self.bits = _port_and_bits(message.scanned, 2 * base)
        self.all = payload[all_ : all_ + size]
        self.display = payload[display : display + display_size]
        self.uri = payload[uri : uri + uri_size]
        self.user = payload[user : user + user_size]
        self.host = to_host(payload[host : host + host_size])
        self.uri_params = payload[uri_params : uri_params + uri_params_size]
        self.params = payload[params : params + params_size]
        self.tag = payload[tag : tag + tag_size]
        self.expires = to_text(payload[expires : expires + expires_size])

    @property
    def is_star(self) -> bool:
        return bool(self.bits & ADDR.STAR)


# Compact forms (RFC 3261 section 7.3.3, RFC 3515, RFC 3892, RFC 4028, RFC 6665).
COMPACT = {"v": "Via", "m": "Contact", "f": "From", "t": "To", "i": "Call-ID", "c": "Content-Type",
           "l": "Content-Length", "e": "Content-Encoding", "s": "Subject", "k": "Supported",
           "r": "Refer-To", "b": "Referred-By", "o": "Event", "u": "Allow-Events",
           "x": "Session-Expires"}  # fmt: skip
_COMPACT = {name.lower().encode(): short.encode() for short, name in COMPACT.items()}

KEPT, KEPT_BYTES = 8, 4096
_kept: dict[bytes, Message] = {}


def parsed(payload: bytes) -> Message:
    """A message read by several rules: the last few are kept, unless they are long."""
    message = _kept.get(payload)
    if message is None:
        message = Message(payload)
        if len(payload) <= KEPT_BYTES:
            if len(_kept) >= KEPT:
                del _kept[next(iter(_kept))]
            _kept[payload] = message
    return message


class Message:
    """payload: one whole message. code: bytes consumed, or a negative native code (not SIP)."""

    __slots__ = ("_lists", "_sdp", "_top", "code", "payload", "scanned")

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        self.code, self.scanned = scan_message(payload)
        self._sdp: Sdp | None = None
        self._top: Via | None = None
        self._lists: dict[int, list[Address]] | None = None

    def span(self, index: int) -> bytes:
        """The bytes of the span with its offset at index of the scan result."""
        offset = self.scanned[index]
        return self.payload[offset : offset + self.scanned[index + 1]]

    @property
    def status(self) -> int:
        """Status code; 0 for a request."""
        return self.scanned[SIP.STATUS]

    @property
    def method(self) -> str:
        """Method of a request; for a response the one in CSeq."""
        name = self.span(SIP.METHOD_NAME) or self.span(SIP.CSEQ_METHOD)
        return to_text(name) or METHOD_NAMES[self.scanned[SIP.METHOD]]

    @property
    def start_line(self) -> str:
        """For people, without its CRLF."""
        return to_text(self.payload.lstrip(b"\r\n").split(b"\n", 1)[0].rstrip(b"\r"))

    @property
    def request_uri(self) -> bytes:
        return self.span(SIP.REQUEST_URI)

    @property
    def request_host(self) -> str:
        return to_host(self.span(SIP.REQUEST_HOST))

    @property
    def request_port(self) -> int:
        return self.scanned[SIP.REQUEST_PORT]

    @property
    def request_user(self) -> bytes:
        return self.span(SIP.REQUEST_USER)

    @property
    def call_id(self) -> bytes:
        return self.span(SIP.CALL_ID)

    @property
    def cseq(self) -> int:
        return self.scanned[SIP.CSEQ] << 16 | self.scanned[SIP.CSEQ + 1]

    @property
    def from_(self) -> Address:
        return Address(self, SIP.FROM)

    @property
    def to(self) -> Address:
        return Address(self, SIP.TO)

    @property
    def vias(self) -> list[Via]:
        places = range(SIP.VIA, SIP.VIA + self.scanned[SIP.VIAS] * _VIA_SIZE, _VIA_SIZE)
        return [Via(self, i) for i in places]

    @property
    def top_via(self) -> Via | None:
        if self._top is None and self.scanned[SIP.VIAS]:
            self._top = Via(self, SIP.VIA)
        return self._top

    @property
    def contacts(self) -> list[Address]:
        return self._addresses(SIP.CONTACTS, SIP.CONTACT)

    @property
    def routes(self) -> list[Address]:
        return self._addresses(SIP.ROUTES, SIP.ROUTE)

    @property
    def record_routes(self) -> list[Address]:
        return self._addresses(SIP.RECORD_ROUTES, SIP.RECORD_ROUTE)

    @property
    def paths(self) -> list[Address]:
        return self._addresses(SIP.PATHS, SIP.PATH)

    def _addresses(self, count: int, first: int) -> list[Address]:
        number = self.scanned[count]
        if not number:
            return []
        lists = self._lists
        if lists is None:
            lists = self._lists = {}
        if first not in lists:  # the same ones are asked for by several rules
            places = range(first, first + number * _ADDR_SIZE, _ADDR_SIZE)
            lists[first] = [Address(self, i) for i in places]
        return lists[first]

    @property
    def expires(self) -> str:
        return to_text(self.span(SIP.EXPIRES))

    @property
    def ends_now(self) -> bool:
        """Expires is 0: it ends what it asks for (RFC 3261 section 10.2.2, RFC 6665 section
        4.1.2.3)."""
        expires = self.expires.strip()
        return bool(expires) and not expires.strip("0")

    @property
    def session_expires(self) -> bytes:
        """RFC 4028."""
        return self.span(SIP.SESSION_EXPIRES)

    @property
    def content_length(self) -> str:
        return to_text(self.span(SIP.CONTENT_LENGTH_VALUE))

    @property
    def content_type(self) -> str:
        return to_text(self.span(SIP.CONTENT_TYPE))

    def header(self, name: str) -> list[bytes]:
        """The values of a header field unknown to the scanner, in order, unfolded. name: in full,
        any case; the message may have its compact form. For rare use in rules (RFC 3261 section
        7.3.1)."""
        wanted = name.lower().encode()
        short = _COMPACT.get(wanted, wanted)
        section = self.header_section.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ")
        values = []
        for line in section.split(b"\n")[1:]:
            field, colon, value = line.partition(b":")
            if colon and field.strip().lower() in (wanted, short):
                values.append(value.strip())
        return values

    @property
    def header_section(self) -> bytes:
        return self.payload[: self.scanned[SIP.HEADER_END]]

    @property
    def body(self) -> bytes:
        return self.span(SIP.BODY)

    @property
    def sdp(self) -> Sdp:
        """The session description in the body; empty without one (RFC 8866)."""
        if self._sdp is None:
            self._sdp = Sdp(self.body)
        return self._sdp

    @property
    def defects(self) -> dict[str, int]:
        """The anomalies, with the offset of the first one of each in bytes."""
        at, bits = SIP.ANOMALY_AT, self.scanned[SIP.ANOMALIES]
        bits |= self.scanned[SIP.ANOMALIES + 1] << 16
        names = enumerate(ANOMALY_NAMES)
        return {name: self.scanned[at + i] for i, name in names if bits >> i & 1}

    @property
    def is_clipped(self) -> bool:
        """It has more values of a header field than the scan holds."""
        bits = self.scanned[SIP.ANOMALIES] | self.scanned[SIP.ANOMALIES + 1] << 16
        return bool(bits & _CLIPPED)

    @property
    def anomalies(self) -> list[str]:
        """Names of the defects (aw_anomaly)."""
        bits = self.scanned[SIP.ANOMALIES] | self.scanned[SIP.ANOMALIES + 1] << 16
        return [name for i, name in enumerate(ANOMALY_NAMES) if bits >> i & 1] if bits else []
