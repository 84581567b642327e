# SPDX-License-Identifier: Apache-2.0
"""Evidence: the part of a message that leaves the router, built anew from its understood parts.

Text is copied only if it is known to be harmless. The start line leaves, and the header fields of
one list, each by its grammar (RFC 3261 section 25.1). A body leaves only if Content-Type names a
session description, and only its lines about media addresses (RFC 8866). So credentials,
challenges, media keys and texts need no filter: they have no way out, in any disguise and with any
setting of the operator.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from algwatch.base.quote import METHODS
from algwatch.report.privacy import (
    TRANSPORTS,
    VIA_PARAMS,
    Privacy,
    has_control,
    is_number,
    split,
)

MAX_EVIDENCE = 2048  # bytes sent of one message
MAX_LINE = 640  # of one header field
MAX_HEAD = 8192  # bytes read of a header section
MAX_BODY = 4096
MORE = "..."  # stands for values without room

SDP = "application/sdp"
_VERSION = "SIP/2.0"
_TYPES = frozenset(
    (SDP, "application/dtmf", "application/dtmf-relay", "application/isup",
     "application/dialog-info+xml", "application/pidf+xml", "application/simple-message-summary",
     "message/cpim", "message/sipfrag", "multipart/alternative", "multipart/mixed", "text/plain")
)  # fmt: skip
# Words allowed in User-Agent and Server: makers and programs, their models, and versions.
_PRODUCTS = frozenset(
    ("3cx", "3cxphonesystem", "aastra", "alcatel", "algo", "asterisk", "audiocodes", "avaya",
     "avm", "baresip", "bria", "cisco", "digium", "ekiga", "fanvil", "fpbx", "freepbx",
     "freeswitch", "fritz!os", "fritz!box", "fritzbox", "gigaset", "grandstream", "groundwire",
     "htek", "jitsi", "kamailio", "linksys", "linphone", "microsip", "mitel", "obihai",
     "opensips", "panasonic", "pbx", "phoner", "pjsip", "pjsua", "polycom", "poly", "sipp",
     "sipura", "snom", "spa", "speedport", "starface", "swyx", "tp-link", "tplink", "twinkle",
     "unify", "vodafone", "x-lite", "yate", "yealink", "zoiper", "zyxel")
)  # fmt: skip
_MODEL = re.compile(
    r"(SIP-[A-Z]|SIP|VVX|SPA|GXP|GRP|GXV|GXW|DP|HT|WP|CP|DX|A|C|D|N|R|S|T|W|X)[0-9]{2,4}[A-Z]{0,3}"
)
_RELEASE = re.compile(r"[vV]?[0-9]{1,3}(\.[0-9]{1,3}){1,4}")

_KINDS = frozenset(("audio", "video", "image", "application", "text", "message"))
_PROTOCOLS = frozenset(
    ("rtp/avp", "rtp/avpf", "rtp/savp", "rtp/savpf", "udp", "udptl", "tcp",
     "udp/tls/rtp/savp", "udp/tls/rtp/savpf", "udp/dtls/sctp", "tcp/dtls/sctp", "tcp/msrp")
)  # fmt: skip
_FORMATS = frozenset(("t38", "*", "webrtc-datachannel"))
_DIRECTIONS = frozenset(("sendrecv", "sendonly", "recvonly", "inactive", "rtcp-mux"))


def evidence(message: bytes, privacy: Privacy) -> bytes:
    """The start line, the header fields and the SDP lines that diagnosis needs, in order, one line
    each (folding undone), at most MAX_EVIDENCE bytes; b"" without a header section."""
    head, body = _parts(message)
    if not head:
        return b""
    types: list[str] = []
    shown, left = _fitting(_head_lines(head, types, privacy), MAX_EVIDENCE - 4)
    shown.append(b"")
    if types == [SDP]:
        shown += _fitting(_description(body, privacy), left)[0]
    shown.append(b"")
    return b"\r\n".join(shown)


def _head_lines(head: bytes, types: list[str], privacy: Privacy) -> Iterator[str]:
    """The start line and the shown fields. types: takes each Content-Type."""
    for index, line in enumerate(_unfolded(head)):
        if not index:
            yield _start_line(line, privacy)
            continue
        name, colon, value = line.partition(":")
        name, value = name.strip(" \t"), value.strip(" \t")
        say = _FIELDS.get(name.lower()) if colon else None
        if say is None:
            continue
        if say is _content_type:
            types.append(value.partition(";")[0].strip(" \t").lower())
        # A value with a bare CR or a NUL is never parsed.
        said = privacy.opaque(value) if has_control(value) else say(value, privacy)
        yield f"{name}: {said}"


def _fitting(lines: Iterable[str], room: int) -> tuple[list[bytes], int]:
    """The lines that fit into room bytes with their line ends, and the remaining room."""
    shown: list[bytes] = []
    for line in lines:
        raw = line.encode("utf-8", "surrogateescape")
        if len(raw) + 2 > room:
            break
        shown.append(raw)
        room -= len(raw) + 2
    return shown, room


def _parts(message: bytes) -> tuple[bytes, bytes]:
    """Header section and body, cut to a bounded size first; a line broken by a cut is left out."""
    start = 0
    while message[start : start + 1] in (b"\r", b"\n") and start < MAX_HEAD:
        start += 1
    end, blank = message.find(b"\n\r\n", start), 3
    sooner = message.find(b"\n\n", start, end + 1 if end >= 0 else len(message))
    if sooner >= 0:
        end, blank = sooner, 2
    head = message[start : end if end >= 0 else len(message)]
    body = message[end + blank :][: MAX_BODY + 1] if end >= 0 else b""
    if len(head) > MAX_HEAD:
        head = head[: head.rfind(b"\n", 0, MAX_HEAD) + 1]
    if len(body) > MAX_BODY:
        body = body[: body.rfind(b"\n", 0, MAX_BODY) + 1]
    return head, body


def _lines(raw: bytes) -> list[str]:
    """The lines of a part, ended by LF or CRLF."""
    # A name in UTF-8 gets the same pseudonym as in a sentence, and no byte is lost.
    return raw.replace(b"\r\n", b"\n").decode("utf-8", "surrogateescape").split("\n")


def _unfolded(head: bytes) -> list[str]:
    lines: list[str] = []
    for line in _lines(head):
        if line[:1] in (" ", "\t") and len(lines) > 1:
            lines[-1] += " " + line.strip(" \t\r")
        else:
            lines.append(line.rstrip("\r"))
    return lines


def _start_line(line: str, privacy: Privacy) -> str:
    words = line.split(" ") if not has_control(line) else []
    if words and words[0][:4].upper() == "SIP/" and len(words) > 1:
        # The reason phrase is free text.
        status = words[1] if is_number(words[1], 3) else privacy.opaque(words[1])
        return f"{_word(words[0], _VERSION, privacy)} {status}"
    if len(words) != 3:
        return privacy.opaque(line)
    method, uri, version = words
    return f"{_method(method, privacy)} {privacy.uri(uri)} {_word(version, _VERSION, privacy)}"


def _word(text: str, known: str, privacy: Privacy) -> str:
    return text if text.upper() == known else privacy.opaque(text)


def _method(text: str, privacy: Privacy) -> str:
    return text if text in METHODS else privacy.opaque(text)


def _listed(values: Iterator[str], say: Callable[[str], str]) -> str:
    """A list of values until its line is full."""
    shown: list[str] = []
    room = MAX_LINE
    for value in values:
        if not value.strip(" \t"):
            continue
        said = say(value)
        room -= len(said) + 2
        if shown and room < len(MORE):
            shown.append(MORE)
            break
        shown.append(said)
    return ", ".join(shown)


def _addresses(value: str, privacy: Privacy) -> str:
    return _listed(split(value, ","), privacy.address)


def _vias(value: str, privacy: Privacy) -> str:
    return _listed(split(value, ","), lambda via: _via(via, privacy))


def _via(value: str, privacy: Privacy) -> str:
    """SIP/2.0/UDP host:port;branch=... (RFC 3261 section 20.42)"""
    sent, semicolon, params = value.strip(" \t").partition(";")
    protocol, _, by = sent.partition(" ")
    version, _, transport = protocol.rpartition("/")
    if version.upper() != _VERSION or transport.lower() not in TRANSPORTS:
        protocol = privacy.opaque(protocol)
    by = by.strip(" \t")
    shown = f"{protocol} {privacy.hostport(by)}" if by else protocol
    return shown + (privacy.params(split(params, ";"), VIA_PARAMS) if semicolon else "")


def _call_id(value: str, privacy: Privacy) -> str:
    return privacy.call_id(value)


def _cseq(value: str, privacy: Privacy) -> str:
    number, blank, method = value.partition(" ")
    if not blank or not is_number(number, 10, 2**31 - 1):
        return privacy.opaque(value)
    return f"{number} {_method(method.strip(' '), privacy)}"


def _small(value: str, privacy: Privacy) -> str:
    return value if is_number(value, 7) else privacy.opaque(value)


def _session_expires(value: str, privacy: Privacy) -> str:
    seconds, semicolon, params = value.partition(";")
    shown = _small(seconds.strip(" \t"), privacy)
    if params.strip(" \t").lower() in ("refresher=uac", "refresher=uas"):
        return f"{shown};{params.strip(' ')}"
    return f"{shown};{privacy.opaque(params)}" if semicolon else shown


def _content_type(value: str, privacy: Privacy) -> str:
    kind, semicolon, params = value.partition(";")
    kind = kind.strip(" \t")
    shown = kind if kind.lower() in _TYPES else privacy.opaque(kind)
    return f"{shown};{privacy.opaque(params)}" if semicolon else shown


def _product(value: str, privacy: Privacy) -> str:
    """Makers, models and the versions behind them; one mark for all else."""
    shown: list[str] = []
    others: list[str] = []
    for word in value.split(" "):
        if word and _is_product(word, bool(shown)):
            shown.append(word)
        elif word:
            others.append(word)
    if others:
        shown.append(privacy.opaque(" ".join(others)))
    return " ".join(shown)


def _is_product(word: str, behind: bool) -> bool:
    """behind: a product precedes this word, so a model or a version may follow."""
    name, slash, release = word.partition("/")
    if behind and not slash and _is_release(name):
        return True
    maker, dash, model = name.partition("-")
    bare = name.lower().rstrip("0123456789")  # snom710
    known = name.lower() in _PRODUCTS or (bare in _PRODUCTS and len(name) - len(bare) <= 4)
    known = known or (behind and bool(_MODEL.fullmatch(name)))
    known = known or (bool(dash) and maker.lower() in _PRODUCTS and _is_release(model))
    return known and (not slash or _is_release(release))


def _is_release(text: str) -> bool:
    return len(text) <= 16 and bool(_RELEASE.fullmatch(text) or _MODEL.fullmatch(text))


# Header fields that identify a message, and fields damaged by an ALG or a proxy.
_FIELDS: dict[str, Callable[[str, Privacy], str]] = {
    "via": _vias, "v": _vias, "from": _addresses, "f": _addresses, "to": _addresses,
    "t": _addresses, "call-id": _call_id, "i": _call_id, "contact": _addresses, "m": _addresses,
    "content-length": _small, "l": _small, "content-type": _content_type, "c": _content_type,
    "cseq": _cseq, "max-forwards": _small, "record-route": _addresses, "route": _addresses,
    "path": _addresses, "expires": _small, "min-expires": _small,
    "session-expires": _session_expires, "x": _session_expires, "refer-to": _addresses,
    "r": _addresses, "server": _product, "user-agent": _product,
}  # fmt: skip


def _description(body: bytes, privacy: Privacy) -> Iterator[str]:
    """The lines of a session description with media addresses. Never s=, i=, u=, e=, p=, k=, and of
    a= only the direction and RTCP: a=crypto and a=ice-pwd are keys."""
    for line in _lines(body):
        say = _SDP.get(line[:2]) if not has_control(line) else None
        said = say(line[2:], privacy) if say is not None else ""
        if said:
            yield line[:2] + said


def _sdp_version(value: str, privacy: Privacy) -> str:
    return value if value == "0" else privacy.opaque(value)


def _origin(value: str, privacy: Privacy) -> str:
    """o=<username> <sess-id> <sess-version> <nettype> <addrtype> <unicast-address>; a number is
    shown if it is too short to be a person's."""
    words = value.split(" ")
    if len(words) != 6:
        return privacy.opaque(value)
    user, *numbers = words[:3]
    user = user if user == "-" else privacy.name(user, "u")
    ids = [n if is_number(n, 4) else privacy.opaque(n) for n in numbers]
    return " ".join((user, *ids, _connection(" ".join(words[3:]), privacy)))


def _connection(value: str, privacy: Privacy) -> str:
    """IN IP4 192.0.2.1, with a TTL for multicast (RFC 8866 section 5.7)."""
    words = value.split(" ")
    if len(words) != 3 or words[0] != "IN" or words[1] not in ("IP4", "IP6"):
        return privacy.opaque(value)
    host, slash, ttl = words[2].partition("/")
    ttl = slash + (ttl if is_number(ttl, 3) else privacy.opaque(ttl)) if slash else ""
    return f"IN {words[1]} {privacy.host(host)}{ttl}"


def _timing(value: str, privacy: Privacy) -> str:
    return value if value == "0 0" else privacy.opaque(value)


def _media(value: str, privacy: Privacy) -> str:
    """audio 4000 RTP/AVP 8 0 101"""
    words = value.split(" ")
    if len(words) < 3:
        return privacy.opaque(value)
    kind, port, protocol, *formats = words
    number, slash, count = port.partition("/")
    right = is_number(number, 5) and (not slash or is_number(count, 2))
    shown = [
        kind if kind in _KINDS else privacy.opaque(kind),
        port if right else privacy.opaque(port),
        protocol if protocol.lower() in _PROTOCOLS else privacy.opaque(protocol),
    ]
    known = all(is_number(f, 3) or f in _FORMATS for f in formats) and len(formats) <= 64
    shown.append(" ".join(formats) if known else privacy.opaque(" ".join(formats)))
    return " ".join(shown)


def _attribute(value: str, privacy: Privacy) -> str:
    """A direction, or a=rtcp:4001 IN IP4 192.0.2.1 (RFC 3605); "" for any other attribute."""
    if value in _DIRECTIONS:
        return value
    name, colon, rest = value.partition(":")
    if name != "rtcp" or not colon:
        return ""
    port, blank, where = rest.partition(" ")
    port = port if is_number(port, 5) else privacy.opaque(port)
    return f"rtcp:{port}" + (f" {_connection(where, privacy)}" if blank else "")


_SDP: dict[str, Callable[[str, Privacy], str]] = {
    "v=": _sdp_version, "o=": _origin, "c=": _connection, "t=": _timing, "m=": _media,
    "a=": _attribute,
}  # fmt: skip
