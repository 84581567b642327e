# SPDX-License-Identifier: Apache-2.0
"""Quote: the form of foreign text in our own text.

A sentence, a log line or a command of ours may hold text from the wire (users, hosts, display
names, methods, reason phrases, Call-IDs) or from a system filled by others (names of files and
interfaces). All of it passes through here: it is cut, and no part of it can control a terminal or
reorder a line. Unless it is an address, a number or a known word, it is in double quotes and cannot
close them.
"""

from __future__ import annotations

from algwatch.base import address

NAME = 80  # characters of a text from the wire
HOST = 64  # characters of a host name without quotes

# Invisible letters and marks passed by str.isprintable() (Unicode, Default_Ignorable_Code_Point,
# and the empty braille pattern).
_UNSEEN = dict.fromkeys(
    (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x2800, 0x3164,
     0xFFA0, *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
)  # fmt: skip
_ESCAPES = {code: chr(code).encode("unicode_escape").decode() for code in _UNSEEN}
# Characters similar to our closing quotes.
_QUOTES = dict.fromkeys(
    map(ord, "\"\u02ba\u02dd\u02ee\u00ab\u00bb\u201c\u201d\u201e\u201f\u2033\u2036\u275d\u275e"
             "\u276e\u276f\u2e42\u301d\u301e\u301f\uff02"), "'"
)  # fmt: skip
_HOST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_")
# Header fields and other parts of a message, as named in sip/message.py and compare/.
_HEADERS = frozenset(
    ("Via", "Contact", "From", "To", "Record-Route", "Route", "Path", "Call-ID", "CSeq", "Expires",
     "Content-Type", "Content-Length", "Request-URI", "SDP", "Body", "Header")
)  # fmt: skip
METHODS = frozenset(
    ("INVITE", "ACK", "BYE", "CANCEL", "REGISTER", "OPTIONS", "PRACK", "UPDATE", "INFO", "MESSAGE",
     "SUBSCRIBE", "NOTIFY", "REFER", "PUBLISH")
)  # fmt: skip


def visible(text: str) -> str:
    """text with an escape for every character obeyed or not shown by a terminal: controls (C0, C1),
    line ends (U+2028), format characters (bidi, zero width), surrogates, fillers."""
    if text.isprintable():
        return text if text.isascii() else text.translate(_ESCAPES)
    return "".join(c if c.isprintable() else _escape(c) for c in text.translate(_ESCAPES))


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def cut(text: str, most: int) -> str:
    """At most so many characters. The host behind the last @ is kept: an ALG changes it, and
    report/privacy.py would not recognise a user part without it."""
    if len(text) <= most:
        return text
    at = text.rfind("@", 0, 65536)
    if at < most // 2:
        return text[: most - 3] + "..."
    tail = text[at : at + most // 2]
    return text[: most - 3 - len(tail)] + "..." + tail


def cut_sentence(text: str, most: int) -> str:
    """At most so many characters, from the front: the cut must not leave a quote open."""
    if len(text) <= most:
        return text
    kept = text[: most - 4]
    return kept + '..."' if kept.count('"') % 2 else kept + "..."


def quoted(text: str, most: int = NAME) -> str:
    """text in double quotes, cut to so many characters and then made visible. Quotes in it become
    single ones."""
    return '"' + visible(cut(text, most).translate(_QUOTES)) + '"'


def somebody(text: str) -> str:
    """A person or an account, quoted; "somebody" without a name."""
    return quoted(text) if text else "somebody"


def is_host(text: str) -> bool:
    """True for an IP address (an IPv6 address with or without brackets) and for a name of at most
    HOST characters with a dot (RFC 3261 section 25.1, and "_"). A name without a dot may be a
    person's, and looks like a word of ours: report/privacy.py would not recognise it. The zone of
    an IPv6 address (RFC 4007 section 11) is such a name."""
    if not 0 < len(text) <= HOST:
        return False
    if ":" in text or text[0] == "[":
        bare = text[1:-1] if text[0] == "[" and text[-1] == "]" else text
        return "%" not in bare and address.is_ipv6(bare)
    return "." in text and _HOST.issuperset(text) and text[0].isalnum()


def host(text: str) -> str:
    """A host unchanged, other text quoted."""
    return text if is_host(text) else quoted(text)


def value(text: str) -> str:
    """A number or an endpoint (host, or host:port) unchanged, other text quoted."""
    name, colon, port = text.rpartition(":")
    is_port = bool(colon) and port.isascii() and port.isdigit() and len(port) <= 5
    whole = is_host(text) or (text.isascii() and text.isdigit() and len(text) <= 5)
    whole = whole or (is_port and is_host(name) and (":" not in name or name[0] == "["))
    return text if whole else quoted(text)


def header(text: str) -> str:
    """The name of a header field, quoted if unknown."""
    return text if text in _HEADERS else quoted(text)


def method(text: str) -> str:
    """A method, quoted if unknown."""
    return text if text in METHODS else quoted(text)
