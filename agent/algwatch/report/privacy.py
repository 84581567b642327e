# SPDX-License-Identifier: Apache-2.0
"""Privacy: the router lets out no credentials, no names or numbers of people, no needless header.

Two steps. Evidence bytes are cut down to a list of header fields that diagnosis needs; whatever
is not on the list stays (Authorization and its kin are on no list, so no setting lets them out).
Then user parts, display names and local parts of Call-IDs become pseudonyms: a keyed hash
(BLAKE2b, RFC 7693) under a key that never leaves the router, so that the ISP can tell callers
apart and cannot find out who they are, not even by hashing every phone number.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import blake2b

MAX_EVIDENCE = 2048  # bytes of one message
_KNOWN_MAX = 512  # identities remembered, to find them in plain sentences

# Header fields by which a message is recognised, and those that an ALG or a proxy damages.
_FIELDS = {
    b"via": b"v", b"from": b"f", b"to": b"t", b"call-id": b"i", b"contact": b"m",
    b"content-length": b"l", b"content-type": b"c", b"cseq": b"", b"max-forwards": b"",
    b"record-route": b"", b"route": b"", b"path": b"", b"expires": b"", b"min-expires": b"",
    b"session-expires": b"x", b"refer-to": b"r", b"server": b"", b"user-agent": b"",
}  # fmt: skip
_ALLOWED = frozenset(_FIELDS) | frozenset(short for short in _FIELDS.values() if short)
_SDP = (b"v=", b"o=", b"c=", b"m=", b"a=rtcp:")  # never a=crypto, k=, a=ice-pwd, s=, i=, e=, p=
_ADDRESSES = frozenset(
    (b"from", b"f", b"to", b"t", b"contact", b"m", b"record-route", b"route", b"path",
     b"refer-to", b"r")
)  # fmt: skip

_LINES = re.compile(rb"\r\n|\n|\r")
_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_MAX_LINE = 1024  # bytes; what is longer is left out as a whole: a cut could show half a name
_MAX_LEARN = 4096  # bytes of a message that are searched for names

# Every expression runs over hostile text: none may take more than linear time on a long line.
_TOKEN = re.compile(r"[^\s<>\"]+")
_LEAD = re.compile(r"([(\[{=,;:']*)((?:sips?|tel|im|pres|xmpp|mailto):)?", re.I)
_NUMBER = re.compile(r"\+?[0-9*#()-]{3,}")
_PSEUDONYM = re.compile(r"[ucd]-[0-9a-f]{12}")
_GLOBAL = re.compile(r"(?<![\w.-])\+[0-9]{5,20}\b")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)(?:"|$)')
_UNQUOTED = re.compile(r"(^|,)([^<>\",;:@]+)(?=<)")
_FOUND = re.compile(rb"\b(?:sips?|im|pres|xmpp|mailto):([^\s<>\"@:;]{2,64})[^\s<>\"@]{0,64}@", re.I)
_FOUND_TEL = re.compile(rb"\btel:([^\s;<>\"@]{3,64})", re.I)
_FOUND_NAME = re.compile(
    rb"^(?:from|to|f|t|contact|m)[ \t]{0,8}:[ \t]{0,8}"
    rb"(?:\"([^\"\r\n]{2,64})\"|([^\s<\":@][^<\":@\r\n]{1,63}))[ \t]{0,8}<",
    re.I | re.M,
)
# Words of our own sentences: hiding them would protect nobody and spoil every summary.
_NOBODY = frozenset(("anonymous", "sip", "phone", "router", "provider", "via", "contact"))


class Privacy:
    """key: at least 16 random bytes that stay on this router. enabled: False shows user parts
    as they are (the operator's choice); what is not on the list of fields stays in any case."""

    def __init__(self, key: bytes, enabled: bool = True) -> None:
        if len(key) < 16:
            raise ValueError("the key of the pseudonyms needs at least 16 bytes")
        self._key = key[:64]
        self.enabled = enabled
        self._known: dict[str, None] = {}

    def pseudonym(self, name: str, kind: str = "u") -> str:
        """`u-3f9a0c12d4e5`: 48 bits, the same for the same name under the same key."""
        digest = blake2b(name.encode("utf-8", "replace"), digest_size=6, key=self._key)
        return f"{kind}-{digest.hexdigest()}"

    def mark(self, text: str) -> str:
        """A keyed mark for something that must be recognised and need not be read (16 hex)."""
        return blake2b(text.encode("utf-8", "replace"), digest_size=8, key=self._key).hexdigest()

    def call_id(self, call_id: str) -> str:
        """The local part as a pseudonym; the host stays, ALGs rewrite it (RFC 3261 20.8)."""
        if not self.enabled or not call_id:
            return call_id
        local, at, host = call_id.rpartition("@")
        return self.pseudonym(local if at else call_id, "c") + (at + host if at else "")

    def learn(self, message: bytes) -> None:
        """Remember who is named in this message, to find them again in plain sentences."""
        if not self.enabled:
            return
        message = message[:_MAX_LEARN]
        names = _FOUND.findall(message) + _FOUND_TEL.findall(message)
        names += [a or b for a, b in _FOUND_NAME.findall(message)]
        for name in names:
            text = name.decode("utf-8", "replace").strip()
            if len(text) < 2 or text.lower() in _NOBODY:
                continue
            self._known.pop(text, None)
            self._known[text] = None
        while len(self._known) > _KNOWN_MAX:
            del self._known[next(iter(self._known))]

    def text(self, text: str, call_id: str = "") -> str:
        """A sentence or a header field value without user parts. call_id: as in the message."""
        if not self.enabled or not text:
            return text
        if len(call_id) > 3:  # a shorter one tells nothing, and would hit half the sentence
            text = text.replace(call_id, self.call_id(call_id))
        text = _TOKEN.sub(self._token, text)
        for name in self._known:
            if name in text:
                whole = rf"(?<![\w.]){re.escape(name)}(?!\w|\.\w)"
                text = re.sub(whole, self.pseudonym(name), text)
        return _GLOBAL.sub(lambda m: self.pseudonym(m[0]), text)

    def _token(self, match: re.Match[str]) -> str:
        """One run of text without white space, quotes or angle brackets."""
        token = match[0]
        # The last @ counts: a strange user part is hidden rather than shown.
        left, at, host = token.rpartition("@")
        lead = _LEAD.match(left if at else token)
        if lead is None:  # cannot be: the expression matches the empty string
            return token
        before = lead[1] + (lead[2] or "")
        if at:
            name = left[lead.end() :]
            if _PSEUDONYM.fullmatch(name):
                return token
            # A password (RFC 3261 19.1.1) is not part of who it is, and goes altogether.
            return before + self.pseudonym(name.partition(":")[0]) + "@" + host
        if not lead[2]:
            return token
        name, semicolon, params = token[lead.end() :].partition(";")
        name, colon, port = name.partition(":")
        if lead[2].lower() == "tel:" or _NUMBER.fullmatch(name):
            name = self.pseudonym(name)
        return before + name + colon + port + semicolon + params

    def evidence(self, message: bytes) -> bytes:
        """The start line and the header fields and SDP lines that diagnosis needs, in order,
        one line each (folding undone), at most MAX_EVIDENCE bytes."""
        if not message:
            return b""
        head, body = _split(message)
        kept: list[bytes] = []
        left = MAX_EVIDENCE
        for index, line in enumerate(_unfold(head)):
            name, colon, value = line.partition(b":")
            key = name.strip().lower()
            if index and (not colon or key not in _ALLOWED):
                continue
            if len(line) > _MAX_LINE:
                kept.append((name[:32] + b":" if index else b"") + b" (too long)")
            else:
                kept.append(name + b":" + self._value(key, value) if index else self._line(line))
            left -= len(kept[-1]) + 2
            if left <= 0:
                break
        kept.append(b"")
        for line in _LINES.split(body[:MAX_EVIDENCE]):
            if line.startswith(_SDP) and len(line) <= _MAX_LINE:
                kept.append(self._sdp(line))
        kept.append(b"")
        return b"\r\n".join(kept)[:MAX_EVIDENCE]

    def _line(self, line: bytes) -> bytes:
        # Not text(): words that are someone's name may not be replaced inside SIP/2.0 200 OK.
        if not self.enabled:
            return line
        if line[:4].upper() == b"SIP/":
            return b" ".join(line.split(b" ", 2)[:2])  # the reason phrase may say anything
        return _through(self._uris, line)

    def _value(self, key: bytes, value: bytes) -> bytes:
        if not self.enabled:
            return value
        if key in (b"call-id", b"i"):
            bare = value.strip()
            return b" " + _through(self.call_id, bare)
        if key in _ADDRESSES:
            value = _through(self._names, value)
        return _through(self._uris, value)

    def _names(self, value: str) -> str:
        value = _QUOTED.sub(lambda m: f'"{self.pseudonym(m[1], "d")}"' if m[1] else '""', value)
        return _UNQUOTED.sub(self._unquoted, value)

    def _unquoted(self, match: re.Match[str]) -> str:
        name = match[2].strip()
        return f"{match[1]} {self.pseudonym(name, 'd')} " if name else match[0]

    def _uris(self, value: str) -> str:
        return _TOKEN.sub(self._token, value)

    def _sdp(self, line: bytes) -> bytes:
        if not self.enabled:
            return line
        if line.startswith(b"o="):  # o=<username> ... (RFC 4566 5.2)
            name, space, rest = line[2:].partition(b" ")
            if name != b"-":
                name = _through(self.pseudonym, name)
            return b"o=" + name + space + rest
        return _through(self._uris, line)


def _through(change: Callable[[str], str], raw: bytes) -> bytes:
    # latin-1 keeps every byte, so that broken evidence stays exactly as broken as it was.
    return change(raw.decode("latin-1")).encode("latin-1", "replace")


def _split(message: bytes) -> tuple[bytes, bytes]:
    match = _END.search(message)
    return (message[: match.start()], message[match.end() :]) if match else (message, b"")


def _unfold(head: bytes) -> list[bytes]:
    lines: list[bytes] = []
    for line in _LINES.split(head.lstrip(b"\r\n")):
        if line[:1] in (b" ", b"\t") and len(lines) > 1:
            lines[-1] += b" " + line.strip()
        else:
            lines.append(line)
    return lines
