# SPDX-License-Identifier: Apache-2.0
"""Privacy: the router lets out no names or numbers of people.

Foreign text leaves by grammar, never by being overlooked. An address, a port, a domain name and a
parameter with a known name and value stay. Users, display names, local parts of Call-IDs, tags and
branches become pseudonyms. Everything else becomes a mark with its length.

A pseudonym is a keyed hash (BLAKE2b, RFC 7693); its key never leaves the router. So the ISP can
tell callers apart and can compare two copies, but cannot identify a person, not even by hashing
every phone number. Each function takes one pass over its text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from algwatch.base import address
from algwatch.base.quote import METHODS

try:
    # Not hashlib: it loads OpenSSL, 3 MB.
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b

MAX_SENTENCE = 4096  # characters read of a sentence
MOST_KEPT, LONGEST_KEPT = 64, 64  # texts of each kind, characters

# Labels of domain names without a person's name, with at most three digits behind them.
_SERVICES = frozenset(
    ("sip", "sips", "sipproxy", "siptrunk", "proxy", "outbound", "registrar", "reg", "ims",
     "voip", "volte", "pbx", "sbc", "edge", "core", "gw", "gateway", "trunk", "tel", "phone",
     "voice", "fritz", "mnc", "mcc", "pub", "epc", "net", "ipv", "ip4", "ip6", "stun", "turn",
     "tls", "tcp", "udp", "ws", "wss", "as", "cscf", "pcscf", "icscf", "scscf", "p", "i", "s",
     "a", "b", "c", "dc", "pop", "node", "host", "srv", "server", "www")
)  # fmt: skip
# Each network gives its own names under these.
_LOCAL = frozenset(
    ("local", "lan", "home", "box", "internal", "intranet", "localdomain", "corp", "private",
     "arpa")
)  # fmt: skip
# A provider's own name stands behind these, and behind two letters; "anna.smith" is no domain.
_TOP = frozenset(
    ("com", "net", "org", "info", "biz", "tel", "mobi", "pro", "app", "dev", "cloud", "tech",
     "online", "network", "systems", "solutions", "services", "digital", "telecom", "phone",
     "voip", "edu", "gov", "int", "example", "invalid", "test")
)  # fmt: skip
_SECOND_LEVEL = frozenset(
    ("co", "com", "net", "org", "gov", "ac", "edu", "ne", "or", "gv", "ltd", "plc")
)  # fmt: skip
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?")
_MANY_DIGITS = re.compile(r"[0-9]{5}")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

# Runs without a separator, with strings in quotes and text in angle brackets as a whole.
# Possessive: no byte is read twice, even in hostile text.
_STRING = r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)'
_ANGLE = r"<[^>]*+(?:>|\Z)"
_SPLIT = {sep: re.compile(rf'(?:[^"<{sep}]++|{_STRING}|{_ANGLE})*+', re.S) for sep in (",", ";")}
_QUOTED = re.compile(_STRING, re.S)
_NAME = re.compile(r"[\w.-]*[A-Za-z](:[0-9]+)?")  # a domain name, with a port or without
_WORD = re.compile(r"\S++")
_BRACKETS = "()[]{}.,;:'!?="

TRANSPORTS = frozenset(("udp", "tcp", "tls", "sctp", "ws", "wss", "tls-sctp"))
_SCHEMES = frozenset(("sip", "sips", "tel"))
_WORDS = {
    "transport": TRANSPORTS, "user": frozenset(("phone", "ip", "dialstring")),
    "lr": frozenset(("on", "true", "yes")), "method": METHODS,
}  # fmt: skip
_BARE = frozenset(("lr", "ob", "rport", "alias", "gr"))  # parameters without a required value
_ADDRESSES = frozenset(("maddr", "received"))
_NUMBERS = {"ttl": 3, "expires": 7, "rport": 5, "reg-id": 3}  # digits
_QVALUE = re.compile(r"[01](\.[0-9]{0,3})?")
URI_PARAMS = frozenset(("transport", "lr", "user", "maddr", "ttl", "method", "ob", "gr"))
FIELD_PARAMS = frozenset(("tag", "expires", "q", "reg-id", "ob"))
VIA_PARAMS = frozenset(("branch", "received", "rport", "maddr", "ttl", "alias"))
COOKIE = "z9hG4bK"  # begins each branch (RFC 3261 section 8.1.1.7)


def split(text: str, by: str) -> Iterator[str]:
    """Parts of text at each comma or semicolon outside strings and angle brackets."""
    if by not in text or not ('"' in text or "<" in text):
        yield from text.split(by)
        return
    at, run = 0, _SPLIT[by]
    while at <= len(text):
        match = run.match(text, at)
        if match is None:  # cannot be: the expression matches the empty string
            return
        yield match[0]
        at = match.end() + 1


def has_control(text: str) -> bool:
    """True with a control character other than a tab: never in a value (RFC 3261 section 25.1)."""
    return not text.isprintable() and _CONTROL.search(text) is not None


def is_number(text: str, digits: int, most: int = 0) -> bool:
    """True for a decimal number of at most `digits` digits, without leading zeros."""
    if not (text.isascii() and text.isdigit() and len(text) <= digits):
        return False
    return (text == "0" or text[0] != "0") and (not most or int(text) <= most)


class Privacy:
    """key: at least 16 random bytes, never sent. enabled: False shows users, names, hosts and
    Call-IDs as they are (the operator's choice); parts without a place in a report
    (report/evidence.py) stay out in any case."""

    def __init__(self, key: bytes, enabled: bool = True) -> None:
        if len(key) < 16:
            raise ValueError("the key of the pseudonyms needs at least 16 bytes")
        self._key = key[:64]
        self.enabled = enabled
        # What was said for hosts, values and words: they come again with every call of a phone.
        self._hosts: dict[str, str] = {}
        self._values: dict[str, str] = {}
        self._words: dict[str, str] = {}

    def pseudonym(self, name: str, kind: str = "u") -> str:
        """`u-3f9a0c12d4e5`: 48 bits, the same for the same name under the same key, whatever its
        kind: u user, d display name, c Call-ID, h host, t tag, b branch, x anything."""
        raw = name.encode("utf-8", "surrogatepass")
        return f"{kind}-{blake2b(raw, digest_size=6, key=self._key).hexdigest()}"

    def mark(self, text: str) -> str:
        """A keyed mark for text to be recognised but not read (16 hex)."""
        raw = text.encode("utf-8", "surrogatepass")
        return blake2b(raw, digest_size=8, key=self._key).hexdigest()

    def opaque(self, text: str) -> str:
        """`x-3f9a0c12d4e5-17`: 17 characters of an unknown grammar. Text that could end its line is
        never shown as it is."""
        if not text:
            return ""
        if not self.enabled and not has_control(text):
            return text
        return f"{self.pseudonym(text, 'x')}-{len(text)}"

    def name(self, text: str, kind: str) -> str:
        """A pseudonym, or the text itself for an operator who wants it."""
        if not text:
            return ""
        return self.pseudonym(text, kind) if self.enabled else self.opaque(text)

    def call_id(self, call_id: str) -> str:
        """The local part as a pseudonym. An address in the host stays: ALGs rewrite it (RFC 3261
        section 20.8)."""
        local, at, host = call_id.rpartition("@")
        if not at:
            return self.name(call_id, "c")
        return f"{self.name(local, 'c')}@{host if _is_address(host) else self.name(host, 'h')}"

    def host(self, text: str) -> str:
        """An IP address as it is. A domain name keeps the labels of a provider or a service; labels
        that could name a person become pseudonyms."""
        return self._hosts.get(text) or _kept(self._hosts, text, self._host(text))

    def _host(self, text: str) -> str:
        bare = text[1:-1] if text[:1] == "[" and text[-1:] == "]" else text
        if _is_address(bare):
            return text
        labels = text.split(".") if len(text) <= 254 else []
        end = len(labels) - (len(labels) > 1 and not labels[-1])  # without the dot at the end
        if not labels or not all(_LABEL.fullmatch(label) for label in labels[:end]):
            return self.opaque(text)
        if not self.enabled:
            return text
        public = end - _public(labels[:end])
        for i, label in enumerate(labels[:end]):
            private = i < public or _MANY_DIGITS.search(label)
            if private and (end == 1 or not _is_service(label)):
                labels[i] = self.pseudonym(label, "h")
        return ".".join(labels)

    def hostport(self, text: str) -> str:
        """Host, with or without a port."""
        host, colon, port = text.rpartition(":")
        if colon and is_number(port, 5) and (host[:1] == "[" or ":" not in host):
            return f"{self.host(host)}:{port}" if host else self.opaque(text)
        return self.host(text)

    def uri(self, text: str) -> str:
        """A SIP or telephone URI (RFC 3261 section 19.1, RFC 3966). A password is dropped."""
        scheme, colon, rest = text.partition(":")
        kind = scheme.lower()
        if not colon or kind not in _SCHEMES:
            return self.opaque(text)
        if kind == "tel":
            number, semicolon, params = rest.partition(";")
            return f"{scheme}:{self.name(number, 'u')}{semicolon}{self.opaque(params)}"
        left, at, right = rest.partition("@")
        user = ""
        if at:
            # The user may also have parameters, behind the password (RFC 3261 section 19.1.6).
            left = left.partition(":")[0]
            who, semicolon, params = left.partition(";")
            user = f"{self.name(who, 'u')}{semicolon}{self.opaque(params)}@"
        else:
            right = rest
        right, question, headers = right.partition("?")
        host, semicolon, params = right.partition(";")
        if not at and host.isascii() and host.strip("+0123456789*#-.()") == "" and "." not in host:
            shown = self.name(host, "u")  # a number without a host
        else:
            shown = self.hostport(host)
        if semicolon:
            shown += self.params(params.split(";"), URI_PARAMS)
        if question:
            # Headers may hold a whole header field: no setting lets them out.
            shown += f"?{self.pseudonym(headers, 'x')}-{len(headers)}"
        return f"{scheme}:{user}{shown}"

    def params(self, params: Iterator[str] | list[str], known: frozenset[str]) -> str:
        """;name=value of each known parameter, and one mark for all others."""
        shown, others = "", []
        for param in params:
            name, equals, value = param.partition("=")
            name, value = name.strip(" \t"), value.strip(" \t")
            said = self._param(name.lower(), value, equals) if name.lower() in known else None
            if said is not None:
                shown += f";{name}{equals}{said}"
            elif param:
                others.append(param)
        return f"{shown};{self.opaque(';'.join(others))}" if others else shown

    def _param(self, name: str, value: str, equals: str) -> str | None:
        """The shown part of a parameter's value; None for a malformed value."""
        if not value:
            return "" if name in _BARE or equals else None
        if name == "tag":
            return self.name(value, "t")
        if name == "branch":
            cookie = COOKIE if value.startswith(COOKIE) else ""
            return cookie + self.name(value[len(cookie) :], "b")
        if name in _ADDRESSES:
            return value if _is_address(value.strip("[]")) else self.opaque(value)
        if name in _NUMBERS:
            return value if is_number(value, _NUMBERS[name]) else None
        if name == "q":
            return value if _QVALUE.fullmatch(value) else None
        words = _WORDS.get(name, ())
        return value if value in words or value.lower() in words else None

    def address(self, text: str) -> str:
        """One value of Contact, From, To, Route and similar fields (RFC 3261 section 20.10)."""
        text = text.strip(" \t")
        if text == "*":
            return text
        quotes = _QUOTED.match(text)
        if quotes is not None:
            display = quotes[0].strip('"')
            shown = f'"{self.name(display, "d")}" '
            junk, opening, rest = text[quotes.end() :].partition("<")
            shown += self.opaque(junk.strip(" \t"))
            if not opening:
                return shown
            rest = "<" + rest
        elif "<" in text:
            display, _, rest = text.partition("<")
            display, rest = display.strip(" \t'"), "<" + rest
            shown = f"{self.name(display, 'd')} " if display else ""
        else:
            # Parameters belong to the field here (RFC 3261 section 20), unless they precede the @.
            end = text.find(";", max(0, text.find("@")))
            uri, rest = (text[:end], text[end:]) if end >= 0 else (text, "")
            return self.uri(uri) + (self.params(split(rest[1:], ";"), FIELD_PARAMS) if rest else "")
        uri, closing, rest = rest[1:].partition(">")
        shown += f"<{self.uri(uri)}{closing}"
        junk, semicolon, params = rest.partition(";")
        shown += self.opaque(junk.strip(" \t"))
        return shown + (self.params(split(params, ";"), FIELD_PARAMS) if semicolon else "")

    def value(self, text: str) -> str:
        """A text from the wire, recognised by its form alone."""
        if not self.enabled:
            return text
        return self._values.get(text) or _kept(self._values, text, self._value(text))

    def _value(self, text: str) -> str:
        host, colon, port = text.rpartition(":")
        bare = host.strip("[]") if colon and is_number(port, 5) else text.strip("[]")
        if _is_address(bare) or _is_address(text):
            return text
        if text.count("<") == 1:
            return self.address(text)
        if "<" in text:
            return ", ".join(self.address(part) for part in split(text, ","))
        if text.partition(":")[0].lower() in _SCHEMES:
            return ", ".join(self.uri(part.strip(" ")) for part in text.split(","))
        return self.opaque(text)

    def text(self, text: str) -> str:
        """A sentence of ours without people. Foreign text in it stands in double quotes it cannot
        end (base/quote.py), or is an address, a number or a domain name."""
        if not self.enabled or not text:
            return text
        parts = text[:MAX_SENTENCE].split('"')
        for i, part in enumerate(parts):
            if i % 2:
                parts[i] = self.value(part)
            elif part.isprintable():  # no blanks but spaces
                parts[i] = " ".join([
                    self._word(word) if "." in word or ":" in word or "@" in word or "+" in word
                    else word for word in part.split(" ")
                ])  # fmt: skip
            else:
                parts[i] = _WORD.sub(lambda found: self._word(found[0]), part)
        return '"'.join(parts)

    def _word(self, word: str) -> str:
        """A word outside quotes, without the punctuation around it."""
        if not ("@" in word or ":" in word or "." in word or "+" in word):
            return word
        return self._words.get(word) or _kept(self._words, word, self._without_name(word))

    def _without_name(self, word: str) -> str:
        bare = word.strip(_BRACKETS + "<>")
        if not bare:
            return word
        start = word.index(bare)
        before, after = word[:start], word[start + len(bare) :]
        if before[-1:] == "[" and after[:1] == "]":
            return word if _is_address(bare) else before + self.opaque(bare) + after
        if bare.partition(":")[0].lower() in _SCHEMES and ":" in bare:
            return before + self.uri(bare) + after
        if "@" in bare:
            user, _, host = bare.partition("@")
            return f"{before}{self.name(user, 'u')}@{self.hostport(host)}{after}"
        if "." in bare and "/" not in bare and _NAME.fullmatch(bare):
            return before + self.hostport(bare) + after
        if bare[0] == "+" and bare[1:].isdigit():
            # A time shift of ours has this form, too, but is shorter.
            return before + (self.name(bare, "u") if len(bare) > 5 else bare) + after
        return word


def _kept(cache: dict[str, str], text: str, said: str) -> str:
    """said, kept for the same text."""
    if len(text) <= LONGEST_KEPT:
        if len(cache) >= MOST_KEPT:
            cache.clear()
        cache[text] = said
    return said


def provider_part(domain: str) -> str:
    """The provider's labels of a domain name, "" without any."""
    labels = domain.lower().split(".")
    count = _public(labels)
    return ".".join(labels[-count:]) if 1 < count <= len(labels) else ""


def _public(labels: list[str]) -> int:
    """The number of labels at the end of a domain name that belong to a provider, not to its
    user."""
    top = labels[-1].lower()
    if len(labels) == 1 or not top.isalpha():
        return 0
    if top in _LOCAL:
        return 1
    if len(top) != 2 and top not in _TOP:
        return 0
    return 3 if len(top) == 2 and labels[-2].lower() in _SECOND_LEVEL else 2


def _is_service(label: str) -> bool:
    stem = label.lower().rstrip("0123456789")
    return len(label) - len(stem) <= 3 and (not stem or stem.rstrip("-") in _SERVICES)


def _is_address(text: str) -> bool:
    """True for an IPv4 address, or an IPv6 address without brackets and zone: a zone is a name."""
    return "%" not in text and address.is_literal(text)
