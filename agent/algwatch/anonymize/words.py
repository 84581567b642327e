# SPDX-License-Identifier: Apache-2.0
"""Words: a SIP message, or a part of a stream of them, without people. Every length stays.

The text is read line by line, so broken and partial messages work as well. Runs of letters and
digits are replaced (cipher.py) unless they are words of the protocol. In places for a person (the
user of a URI, a display name, a subject, a text) all of them are. Short numbers stay elsewhere:
ports, sequence numbers, lengths, codes.
"""

from __future__ import annotations

import re
from functools import lru_cache

from algwatch.anonymize.addresses import Addresses
from algwatch.anonymize.cipher import Cipher
from algwatch.anonymize.vocabulary import FREE, NUMERIC, PRIVATE, SERVICES, TOP, VERBATIM, WORDS
from algwatch.base import address
from algwatch.report.secrets import without_secrets

SHORT = 5  # digits of a number that stays outside the places for a person
SERIAL = 6  # digits in a row: a serial number in the name of a program

START = re.compile(
    r"(?:[A-Za-z0-9_.!%*+`'~-]{1,32} [^ ]{1,4096} SIP/[0-9.]+|SIP/[0-9]\.[0-9] [0-9]{3}.{0,512})\s*"
)
_FIELD = re.compile(r"([A-Za-z0-9_.!%*+`'~-]{1,64})([ \t]*:)")
_V4 = r"(?:(?<![\w.])|(?<=%40)|(?<=%3[aAdDbB]))(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![\w]|\.[0-9])"
_V6 = r"(?<![\w:.])(?=[0-9A-Fa-f]*:[0-9A-Fa-f]*:)[0-9A-Fa-f:]{2,39}(?:[0-9.]{7,15})?(?![\w:])"
_TOKEN = re.compile(
    rf"(?P<v4>{_V4})|(?P<v6>{_V6})|(?P<hex>%[0-9A-Fa-f]{{2}})|(?P<run>[A-Za-z0-9]+)"
    r"|(?P<high>[\udc80-\udcff]+)"
)
# The user of a URI with its password and parameters; a name in quotes, or before a bracket.
_USER = r"(?P<scheme>(?:sips?|im|pres):)(?P<user>[^\s<>@\"]{1,512})(?=@)"
_TEL = r"(?P<tel>tel:)(?P<number>[^\s<>;\"]{1,64})"
_HOST = r"(?P<at>(?<=@))(?P<host>[A-Za-z0-9_.-]{1,255})"
_NAME = r"(?P<domain>(?<![\w.%+-])(?=[0-9.-]*[A-Za-z_])[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+\.?)"
_QUOTED = r"(?P<open>\")(?P<quoted>(?:[^\"\\]|\\.)*+)(?P<close>\"|\Z)"
_LOCAL = r"(?P<local>[^\s<>@\",;:=]{1,512})(?=@)"
_PERSONAL = re.compile(
    rf"{_USER}|{_TEL}|{_QUOTED}|{_LOCAL}|(?P<literal>{_V4}|{_V6})|{_HOST}|{_NAME}"
)
# Parameters whose quoted values are words or numbers of the protocol.
_PLAIN = re.compile(r"(?i)\b(?:qop|algorithm|expires|q|stale|cause)\s*=\s*\Z")
_COOKIE = "z9hG4bK"
_BOUNDARY = re.compile(r"(?i)\bboundary\s*=\s*([^;]+)")
# A message may begin behind the uncaptured bytes of a stream; they are zeros.
_ENDS = re.compile(r"(?<=\n)|(?<=\r)(?!\n)|(?<=\x00)(?!\x00)")
_ANONYMOUS = re.compile(r"anonymous", re.I)


class Words:
    """key: see Cipher."""

    def __init__(self, cipher: Cipher, addresses: Addresses, key: bytes) -> None:
        self._cipher = cipher
        self._addresses = addresses
        self._key = key
        self._lined = lru_cache(65536)(self._line)

    def message(self, payload: bytes) -> bytes:
        """The replaced payload, as long as before."""
        secret = without_secrets(payload, self._key)
        text = secret.decode("ascii", "surrogateescape")
        made: list[str] = []
        state = _State()
        for line in _ENDS.split(text):
            made.append(self._lined(line, state.read(line)))
        new = "".join(made).encode("ascii", "surrogateescape")
        assert len(new) == len(payload)
        return new

    def _line(self, line: str, kind: str) -> str:
        if kind == "start":
            return self._start(line)
        if kind == "text":
            return self._all(line)
        if kind == "sdp":
            return self._sdp(line)
        field = _FIELD.match(line)
        if field is None:
            return self._value(line, kind)
        name, colon = field.groups()
        return name + colon + self._value(line[field.end() :], name.lower())

    def _start(self, line: str) -> str:
        if line[:4].upper() == "SIP/":
            return line[:12] + self._words(line[12:], SHORT)
        method, blank, rest = line.partition(" ")
        uri, blank2, version = rest.rpartition(" ")
        return method + blank + self._value(uri, "") + blank2 + version

    def _value(self, value: str, name: str) -> str:
        """name: of the header field, in lower case."""
        if name in FREE:
            return self._all(value)
        if name in VERBATIM:
            return self._program(value)
        most = 64 if name in NUMERIC else SHORT
        made: list[str] = []
        at = 0
        if name in ("from", "f", "to", "t", "contact", "m", "route", "record-route", "path",
                    "p-asserted-identity", "p-preferred-identity", "remote-party-id", "diversion",
                    "refer-to", "r", "referred-by", "b", "reply-to", "history-info"):  # fmt: skip
            # A display name without quotes (RFC 3261 section 25.1).
            before, bracket, _ = value.partition("<")
            if bracket and '"' not in before and "@" not in before and ":" not in before:
                made.append(self._all(before))
                at = len(before)
        boundary = _BOUNDARY.search(value) if name in ("content-type", "c") else None
        if boundary is not None:
            return (self._value(value[: boundary.start(1)], "") + self._all(boundary[1])
                    + self._value(value[boundary.end(1) :], ""))  # fmt: skip
        for match in _PERSONAL.finditer(value, at):
            made.append(self._words(value[at : match.start()], most))
            made.append(self._personal(match, value))
            at = match.end()
        made.append(self._words(value[at:], most))
        return "".join(made)

    def _personal(self, match: re.Match[str], value: str) -> str:
        found = match.groupdict()
        if found["user"] is not None:
            return found["scheme"] + self._user(found["user"])
        if found["number"] is not None:
            return found["tel"] + self._all(found["number"])
        if found["open"] is not None:
            inside = found["quoted"]
            if _PLAIN.search(value, max(0, match.start() - 24), match.start()):
                return found["open"] + self._words(inside, 64) + found["close"]
            if re.fullmatch(r"[\w.-]+\.[\w.-]+", inside, re.A) or ":" in inside:
                return found["open"] + self._value(inside, "") + found["close"]
            return found["open"] + self._all(inside) + found["close"]
        if found["literal"] is not None:
            return self._words(found["literal"], SHORT)
        if found["local"] is not None:
            return self._all(found["local"])
        return self._host(found["host"] or found["domain"] or "")

    def _user(self, user: str) -> str:
        return user if _ANONYMOUS.fullmatch(user) else self._all(user)

    def _host(self, host: str) -> str:
        """A common last label stays."""
        if re.fullmatch(_V4, host):
            return self._addresses.text4(host) if address.ipv4(host) >= 0 else self._all(host)
        if not re.search(r"[A-Za-z_]", host):
            return self._words(host, SHORT)
        if host.lower() in PRIVATE:
            return host
        labels = host.split(".")
        last = len(labels) - 1 - (not labels[-1])
        for i, label in enumerate(labels):
            top = i == last and i and (len(label) == 2 or label.lower() in TOP)
            if not top and label.lower() not in SERVICES:
                labels[i] = self._all(label)
        return ".".join(labels)

    def _sdp(self, line: str) -> str:
        kind, value = line[:2], line[2:]
        if kind == "o=":
            user, blank, rest = value.partition(" ")
            return kind + (user if user == "-" else self._all(user)) + blank + self._value(rest, "")
        if kind in ("s=", "i=", "u=", "e=", "p="):
            return kind + self._all(value)
        return kind + self._value(value, "t" if kind in ("t=", "m=", "b=") else "")

    def _program(self, text: str) -> str:
        """The name of a program without the serial number of its device."""
        return re.sub(
            rf"[A-Za-z0-9]*(?:[0-9]{{{SERIAL},}}|(?<![0-9A-Fa-f])(?=[A-Fa-f]*[0-9])[0-9A-Fa-f]{{12}})[A-Za-z0-9]*",
            lambda match: self._cipher.word(match[0]), self._private(text),
        )  # fmt: skip

    def _private(self, text: str) -> str:
        """Most dotted quads there are versions."""
        return re.sub(_V4, lambda match: self._quad(match[0]), text)

    def _quad(self, text: str) -> str:
        private = text.startswith(("192.168.", "172.")) and address.ipv4(text) >= 0
        return self._addresses.text4(text) if private else text

    def _all(self, text: str) -> str:
        """Replaces every run."""
        return _TOKEN.sub(lambda match: self._token(match, 0, False), text)

    def _words(self, text: str, most: int) -> str:
        """Replaces every run except words of the protocol and numbers of at most `most` digits."""
        return _TOKEN.sub(lambda match: self._token(match, most, True), text)

    def _token(self, match: re.Match[str], most: int, known: bool) -> str:
        text = match[0]
        kind = match.lastgroup
        if kind == "v4" and address.ipv4(text) >= 0:
            return self._addresses.text4(text)
        if kind == "v6" and address.is_ipv6(text):
            return self._addresses.text6(text)
        if kind in ("v4", "v6"):
            return re.sub("[A-Za-z0-9]+", lambda run: self._run(run[0], most, known), text)
        if kind == "hex":
            return self._escaped(text)
        if kind == "high":
            return self._high(text)
        return self._run(text, most, known)

    def _run(self, text: str, most: int, known: bool) -> str:
        if text.isdigit():
            return text if len(text) <= most else self._cipher.word(text)
        if known and (text.lower() in WORDS or re.fullmatch(r"[a-z]", text)):
            return text
        if text.startswith(_COOKIE):
            rest = text[len(_COOKIE) :]
            return _COOKIE + (self._cipher.word(rest) if rest else "")
        return self._cipher.word(text)

    def _high(self, text: str) -> str:
        """Bytes above ASCII. UTF-8 stays valid: the first byte of three or four stays, and the
        second one if some of its values are not allowed (RFC 3629 section 4)."""
        made, held = [], False
        for character in text:
            byte = ord(character) - 0xDC00
            if 0x80 <= byte < 0xC0 and not held:
                byte = 0x80 + self._cipher.number(byte - 0x80, 0x40, b"high")
            elif 0xC2 <= byte < 0xE0:
                byte = 0xC2 + self._cipher.number(byte - 0xC2, 0x1E, b"two")
            held = byte in (0xE0, 0xED, 0xF0, 0xF4)
            made.append(chr(0xDC00 + byte))
        return "".join(made)

    def _escaped(self, text: str) -> str:
        """%41: another letter, digit or byte above ASCII; all other characters separate, and
        stay."""
        value = int(text[1:], 16)
        if value >= 0x80:
            made = 0x80 + self._cipher.number(value - 0x80, 0x80, b"escape")
        elif chr(value).isalnum():
            made = ord(self._cipher.word(chr(value)))
        else:
            return text
        return f"%{made:02x}" if text[1:].islower() else f"%{made:02X}"


class _State:
    """The kind of a line: start, text, sdp, or the name of its field or continued field."""

    __slots__ = ("_body", "_name", "_type")

    def __init__(self) -> None:
        self._body = False
        self._name = self._type = ""

    def read(self, line: str) -> str:
        if START.fullmatch(line):
            self._body, self._name, self._type = False, "", ""
            return "start"
        if self._body:
            if line.startswith("--") and self._type.startswith("multipart/"):
                return "text"
            if self._type in ("", "application/sdp") or self._type.startswith("multipart/"):
                if re.match(r"[a-z]=", line):
                    return "sdp"
            elif self._type in ("message/sipfrag", "application/simple-message-summary"):
                return ""
            if self._type == "" and not line.strip():
                return ""
            return "" if self._type.startswith("multipart/") else "text"
        if not line.strip("\r\n"):
            self._body = bool(self._name)
            return ""
        field = _FIELD.match(line)
        if line[0] in " \t":
            return self._name  # folded
        self._name = field[1].lower() if field else ""
        if self._name in ("content-type", "c"):
            self._type = line.partition(":")[2].partition(";")[0].strip().lower()
        return self._name
