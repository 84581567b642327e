# SPDX-License-Identifier: Apache-2.0
"""Messages of any length that are made to cost much: one long text in one place, all else plain.

A text is a beginning and a unit that is repeated, or a seeded mixture of all units. A place is a
function that puts it into a message.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path

LENGTHS = (1 << 10, 4 << 10, 16 << 10, 60 << 10)  # bytes; a UDP datagram ends at 65,507

Text = Callable[[int], bytes]  # of about so many bytes
Place = Callable[[bytes], bytes]

FIELD_H = Path(__file__).resolve().parents[2] / "native" / "field.h"

# Bytes that a scanner treats as special: quotes, escapes, folds, separators, brackets, white space.
UNITS = (
    b'"', b"\\", b'\\"', b'"\\', b'""', b'"a"', b'"\\""', b'"a', b"\\\\", b",", b",,", b", ", b'",',
    b'",",', b'"\\",', b'<",">', b";", b";;", b"; ", b";a", b";a=", b';a="', b';a="b"', b';a="\\"',
    b";=", b"=", b"==", b"a=", b"<", b">", b"<>", b"><", b"<<", b"<,", b"<;", b"[", b"]", b"[]",
    b"[[", b"(", b"()", b"((", b"@", b"a@", b":", b"::", b":@", b"?", b"?a=", b"&", b"%", b"%00",
    b"%4", b" ", b"\t", b" \t", b"\r\n ", b"\r\n\t", b"\r\n ;", b'\r\n "', b"\r\n ,", b"\r",
    b"\\\r",
    b"\0", b"\\\0", b"\x01", b"a", b"1", b"a ", b"a.", b"/", b"//", b"SIP/2.0 ", b"SIP/2.0/",
    b"sip:", b"sip:a@", b"<sip:a@b>,", b"<sip:a@b>,\"", b"<sip:a>;", b";tag=", b";lr", b";tag=a",
    b";branch=z9hG4bK", b";rport", b";expires=1", b"SIP/2.0/UDP a,", b'SIP/2.0/UDP a;"', b"*",
    b"*,",
    b"\xc3\xa9", b"\xff", b"'", b"`", b"{", b"}", b"|", b"^", b"~", b"-", b"_", b"+1-",
)  # fmt: skip
# Beginnings that may stand in front, so that the text is met in another state of the scanner.
BEGINNINGS = (
    b"", b'"', b"a ", b"<", b"<sip:", b"<sip:a@", b"sip:a@b", b"<sip:a@b;", b"<sip:a@b>",
    b"<sip:a@b>;",
    b"<sip:a@b>;x=", b'<sip:a@b>;x="', b'"a" <sip:a@b>;', b"SIP/2.0/UDP ", b"SIP/2.0/UDP a;",
    b"SIP/2.0/UDP a;x=", b'SIP/2.0/UDP a;x="', b"SIP/2.0/UDP [", b"1", b"1 A", b"tel:", b"IN IP4 ",
    b"audio 4000 ", b"rtcp:", b"candidate:",
)  # fmt: skip


def repeated(beginning: bytes, unit: bytes) -> Text:
    def text(length: int) -> bytes:
        return beginning + unit * max(1, (length - len(beginning)) // len(unit))

    return text


def nested(opening: bytes, closing: bytes) -> Text:
    def text(length: int) -> bytes:
        depth = length // (len(opening) + len(closing))
        return opening * depth + closing * depth

    return text


def mixed(seed: int, few: int) -> Text:
    """`few` units, chosen by the seed, in an order that it gives."""

    def text(length: int) -> bytes:
        chance = random.Random(seed)
        units = [chance.choice(UNITS) for _ in range(few)]
        parts, size = [chance.choice(BEGINNINGS)], 0
        while size < length:
            parts.append(chance.choice(units))
            size += len(parts[-1])
        return b"".join(parts)[:length]

    return text


def texts() -> dict[str, Text]:
    """The shapes that every place is tried with, by a name for people."""
    shapes = {repr(unit): repeated(b"", unit) for unit in UNITS}
    for opening, closing in (
        (b"<", b">"),
        (b"[", b"]"),
        (b"(", b")"),
        (b'"<', b'>"'),
        (b'\\"', b'"'),
    ):
        shapes[f"nested {opening!r}"] = nested(opening, closing)
    shapes |= {f"mixture {seed}": mixed(seed, 2 + seed % 6) for seed in range(20)}
    return shapes


def all_texts() -> Iterator[tuple[str, Text]]:
    """Every unit behind every beginning."""
    for beginning in BEGINNINGS:
        for unit in UNITS:
            yield f"{beginning!r} + {unit!r}", repeated(beginning, unit)


# ---- places ----

_START = b"INVITE sip:bob@example.com SIP/2.0"
_FIELDS = {
    b"via": b"SIP/2.0/UDP 192.168.1.2:5060;branch=z9hG4bK1;rport",
    b"from": b"<sip:alice@example.com>;tag=1",
    b"to": b"<sip:bob@example.com>",
    b"call-id": b"1@192.168.1.2",
    b"cseq": b"1 INVITE",
    b"contact": b"<sip:alice@192.168.1.2:5060>",
    b"max-forwards": b"70",
}


def message(start: bytes = _START, fields: dict[bytes, bytes] = _FIELDS, more: bytes = b"",
            body: bytes = b"", content_type: bytes = b"application/sdp") -> bytes:  # fmt: skip
    """A message. more: whole lines in front of the body's."""
    lines = [start, *(name.title() + b": " + value for name, value in fields.items())]
    head = b"\r\n".join(lines) + b"\r\n" + more
    if body:
        head += b"Content-Type: " + content_type + b"\r\n"
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def field(name: bytes) -> Place:
    """The text as the value of that field, in place of its own."""
    return lambda text: message(more=name + b": " + text + b"\r\n", fields=_without(name))


def many(name: bytes) -> Place:
    """The text cut into lines of that field: as much in one place, and much of it too many."""

    def place(text: bytes) -> bytes:
        parts = [text[i : i + 40] for i in range(0, len(text), 50)]
        lines = b"".join(name + b": " + part + b"\r\n" for part in parts)
        return message(more=lines, fields=_without(name))

    return place


def _without(name: bytes) -> dict[bytes, bytes]:
    full = _LONG.get(name.lower(), name.lower())
    return {key: value for key, value in _FIELDS.items() if key != full}


def known_fields() -> list[tuple[str, str]]:
    """(name, compact form or "") of every header field that the scanner knows, from field.h."""
    found = re.findall(r'(?:FIELD|FIRST)\(\w+, "([a-z-]+)", (?:\'(\w)\'|0),', FIELD_H.read_text())
    assert len(found) > 10
    return found


_LONG = {short.encode(): name.encode() for name, short in known_fields() if short}

STARTS: dict[str, Place] = {
    "method": lambda text: message(start=b"X" + text + b" sip:b SIP/2.0"),
    "Request-URI": lambda text: message(start=b"INVITE " + text + b" SIP/2.0"),
    "Request-URI, sip": lambda text: message(start=b"INVITE sip:" + text + b" SIP/2.0"),
    "version": lambda text: message(start=b"INVITE sip:b SIP/2.0" + text),
    "status": lambda text: message(start=b"SIP/2.0 " + text),
    "reason phrase": lambda text: message(start=b"SIP/2.0 200 " + text),
    "in front of it": lambda text: b"\r\n" * (len(text) // 2) + message(),
    "instead of it": lambda text: text,
}
LINES: dict[str, Place] = {
    "unknown header": field(b"X-Unknown"),
    "header name": lambda text: message(more=text + b": 1\r\n"),
    "known header's name": lambda text: message(more=b"contact" + text + b": 1\r\n"),
    "no header": lambda text: message(more=text + b"\r\n"),
    "many unknown headers": many(b"X-Unknown"),
    "many Contact": many(b"Contact"),
    "many Via": many(b"Via"),
    "many From": many(b"From"),
    "many Route": many(b"Route"),
    "no end of the headers": lambda text: _START + b"\r\nContact: " + text,
    "body, text": lambda text: message(body=text, content_type=b"text/plain"),
    "body, multipart": lambda text: message(body=text, content_type=b"multipart/mixed"),
}


def sip_places() -> dict[str, Place]:
    places = dict(STARTS) | LINES
    for name, short in known_fields():
        places[name] = field(name.encode())
        if short:
            places[f"{name}, compact"] = field(short.encode())
    return places


_SDP = (
    b"v=0\r\no=a 1 1 IN IP4 1.2.3.4\r\ns=-\r\nc=IN IP4 1.2.3.4\r\nt=0 0\r\n"
    b"m=audio 4000 RTP/AVP 0\r\n"
)


def sdp_line(start: bytes, behind: bytes = _SDP) -> Place:
    return lambda text: behind + start + text + b"\r\n"


def sdp_lines(start: bytes) -> Place:
    """Many short lines."""

    def place(text: bytes) -> bytes:
        parts = (text[i : i + 20] for i in range(0, len(text), 22))
        return _SDP + b"".join(start + part + b"\r\n" for part in parts)

    return place


def sdp_places() -> dict[str, Place]:
    """Bodies."""
    places: dict[str, Place] = {
        "whole body": lambda text: text,
        "behind a CR": lambda t: _SDP + b"a=\r" + t,
    }
    for letter in "vosiuepcbtrzkamx":
        line = letter.encode() + b"="
        places[f"{letter}="] = sdp_line(line)
        places[f"{letter}= first"] = sdp_line(line, behind=b"v=0\r\n")
        places[f"many {letter}="] = sdp_lines(line)
    for name in (b"rtcp:", b"candidate:", b"ice-ufrag:", b"sendrecv"):
        places[f"a={name.decode()}"] = sdp_line(b"a=" + name)
        places[f"many a={name.decode()}"] = sdp_lines(b"a=" + name)
    return places
