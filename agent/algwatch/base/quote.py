# SPDX-License-Identifier: Apache-2.0
"""Quote: the form in which text that others wrote stands in text of ours.

A sentence, a log line or a command of ours may hold text from the wire (users, hosts, display
names, methods, reason phrases, Call-IDs) or from a system that others filled (names of files and
interfaces). All of it passes through here: it is cut, nothing in it can be obeyed by a terminal or
reorder a line, and unless it is an address, a number or a word that this program knows it stands
in double quotes, which it cannot end.
"""

from __future__ import annotations

from algwatch.base import address

NAME = 80  # characters of a text from the wire
HOST = 64  # characters of a host name that stands without quotes

# Letters and marks that show nothing, and that str.isprintable() lets pass (Unicode,
# Default_Ignorable_Code_Point, and the empty braille pattern).
_UNSEEN = dict.fromkeys(
    (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x2800, 0x3164,
     0xFFA0, *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
)  # fmt: skip
_ESCAPES = {code: chr(code).encode("unicode_escape").decode() for code in _UNSEEN}
# Characters that look like the end of our quotes.
_QUOTES = dict.fromkeys(
    map(ord, "\"\u02ba\u02dd\u02ee\u00ab\u00bb\u201c\u201d\u201e\u201f\u2033\u2036\u275d\u275e"
             "\u276e\u276f\u2e42\u301d\u301e\u301f\uff02"), "'"
)  # fmt: skip
_HOST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_")
# Header fields and other parts of a message, as sip/message.py and compare/ name them.
_HEADERS = frozenset(
    ("Via", "Contact", "From", "To", "Record-Route", "Route", "Path", "Call-ID", "CSeq", "Expires",
     "Content-Type", "Content-Length", "Request-URI", "SDP", "Body", "Header")
)  # fmt: skip
METHODS = frozenset(
    ("INVITE", "ACK", "BYE", "CANCEL", "REGISTER", "OPTIONS", "PRACK", "UPDATE", "INFO", "MESSAGE",
     "SUBSCRIBE", "NOTIFY", "REFER", "PUBLISH")
)  # fmt: skip


def visible(text: str) -> str:
    """text with every character that a terminal would obey or not show as an escape: controls
    (C0, C1), line ends (U+2028), format characters (bidi, zero width), surrogates, fillers."""
    if text.isprintable():
        return text if text.isascii() else text.translate(_ESCAPES)
    return "".join(c if c.isprintable() else _escape(c) for c in text.translate(_ESCAPES))


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def cut(text: str, most: int) -> str:
    """At most so many characters. The host behind the last @ is kept: it is what an ALG changes,
    and a user part without it would not be known for one (report/privacy.py)."""
    if len(text) <= most:
        return text
    at = text.rfind("@", 0, 65536)
    if at < most // 2:
        return text[: most - 3] + "..."
    tail = text[at : at + most // 2]
    return text[: most - 3 - len(tail)] + "..." + tail


def cut_sentence(text: str, most: int) -> str:
    """At most so many characters, from the front: what is left out must not open a quote."""
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
    """True for an IP address (an IPv6 address with or without brackets) and for a name of at
    most HOST characters with a dot (RFC 3261 section 25.1, and "_"). A name without a dot may be a
    person's, and looks like a word of ours: report/privacy.py would not know it. The zone of an
    IPv6 address (RFC 4007 section 11) is such a name."""
    if not 0 < len(text) <= HOST:
        return False
    if ":" in text or text[0] == "[":
        bare = text[1:-1] if text[0] == "[" and text[-1] == "]" else text
        return "%" not in bare and address.is_ipv6(bare)
    return "." in text and _HOST.issuperset(text) and text[0].isalnum()


def host(text: str) -> str:
    """A host as it is, and quoted what is none."""
    return text if is_host(text) else quoted(text)


def value(text: str) -> str:
    """The value of a field that is a number or names an endpoint (host, or host:port): as it is,
    and quoted what is neither."""
    name, colon, port = text.rpartition(":")
    is_port = bool(colon) and port.isascii() and port.isdigit() and len(port) <= 5
    whole = is_host(text) or (text.isascii() and text.isdigit() and len(text) <= 5)
    whole = whole or (is_port and is_host(name) and (":" not in name or name[0] == "["))
    return text if whole else quoted(text)


def header(text: str) -> str:
    """The name of a header field, quoted where this program does not know it."""
    return text if text in _HEADERS else quoted(text)


def method(text: str) -> str:
    """A method, quoted where this program does not know it."""
    return text if text in METHODS else quoted(text)
