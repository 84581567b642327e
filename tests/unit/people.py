# SPDX-License-Identifier: Apache-2.0
"""What of a message nobody outside may read, found without the code under test; and captures with
a name of their own in each place that may name a person."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

from algwatch.base.native import layout
from algwatch.base.native.rows import Counts
from algwatch.capture.pcap import read
from craft import Packet, frame, packets_of, sized

PAIRS = sorted(p.parent for p in (Path(__file__).parents[1] / "golden").glob("*/lan.pcap"))

_NAMED = re.compile(rb"(?i)\b(?:sips?|tel):([^\s;<>\"@:,]{3,})(?=[@:;>])")
_STRINGS = re.compile(rb'"([^"\r\n]{3,})"')
_WORDS = re.compile(rb"[^\s\"<>;,=()]{6,}")
_NUMBERS = re.compile(rb"(?<=[:\"])\+?[0-9]{5,}(?=@)")
_SHOWN = re.compile(
    rb"(?i)(via|v|from|f|to|t|call-id|i|contact|m|record-route|route|path|cseq|content-type|c|server|"
    rb"user-agent|refer-to|r|content-length|l|max-forwards|expires|min-expires|session-expires|x)"
    rb"[ \t]*:"
)
_BRANCHES = re.compile(rb"branch=([^\s;,]+)")
_CREDENTIALS = re.compile(rb"(?im)^(?:proxy-)?(?:authorization|authenticate)[ \t]*:(.*)$")
_VALUES = re.compile(rb'(?i)\b(?:username|response|c?nonce|opaque)[ \t]*=[ \t]*"?([^",\s]{6,})')
_KEYS = re.compile(rb"(?m)^(?:a=(?:crypto:\d+ \S+ inline:|ice-pwd:|ice-ufrag:|fingerprint:\S+ )|"
                   rb"k=\w+:)([^\s|]{4,})")  # fmt: skip


def private(message: bytes) -> set[bytes]:
    """The words of a message that nobody outside may read: users and numbers, strings in quotes,
    local parts of Call-IDs, tags, and each longer word of fields and bodies that are not sent.
    Words that stand in a host or in a field that is sent are left out."""
    head, _, body = message.partition(b"\r\n\r\n")
    lines = head.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ").split(b"\r\n")
    found = {name for name in _NAMED.findall(message) if not re.fullmatch(rb"[\d.]+", name)}
    found -= {host.partition(b":")[0] for host in re.findall(rb"(?:@|sips?:)([^\s;<>@,]+)", head)}
    found |= set(_NUMBERS.findall(head))
    shown = b"\n".join(line for line in lines[1:] if _SHOWN.match(line)) + lines[0]
    for line in lines[1:]:
        if _SHOWN.match(line):
            found |= set(_STRINGS.findall(line))
        else:
            found |= {word for word in _WORDS.findall(line) if word not in shown}
        if line[:8].lower() == b"call-id:":
            local = line[8:].strip().rpartition(b"@")[0]
            found.add(local)
            # That of a test is part of its branches, which are sent.
            found -= {local for way in _BRANCHES.findall(head) if local in way}
    found |= set(re.findall(rb";tag=([^\s;]{4,})", head))
    sdp = b"application/sdp" in head.lower()
    for line in body.split(b"\r\n"):
        if not sdp or line[:2] not in (b"v=", b"o=", b"c=", b"m=", b"t=", b"a="):
            found |= {word for word in _WORDS.findall(line) if word not in shown}
    return {one for one in found if len(one) > 2}


def credentials(message: bytes) -> set[bytes]:
    """Values of credentials and challenges, and keys of media: they are written down nowhere."""
    found = {one for line in _CREDENTIALS.findall(message) for one in _VALUES.findall(line)}
    return found | set(_KEYS.findall(message))


def holds(sent: bytes, name: bytes) -> bool:
    return re.search(rb"(?<![\w.])" + re.escape(name) + rb"(?![\w.])", sent) is not None


def payloads(path: str) -> Iterator[bytes]:
    for made in read(path, 0, (5060, 5080), Counts()):
        for i, row in enumerate(layout.ROW.iter_unpack(made.rows[: made.count * layout.ROW.size])):
            if made.rows[i * layout.ROW.size + layout.ROW_KIND] == layout.KIND_SIP:
                yield made.sighting(0, row, i).payload


# Shapes of users and of display names.
NAMES = (
    ("{}", "<"), ("{}", '"{}, Jon" <'), ("{}", "Jörg {}, Büro <"), ("+49{}", '"\\"{}\\"" <'),
    ("{}.smith", "{} <"), ("{};phone-context=+49{}", "<"), ("{}:{}pw", "\r\n\t{} <"),
    ("{}%22%20{}", "<"), ("{}/x?y", "'{}' <"), ("{}", '"' + "{}" * 40 + '" <'), ("{}" * 12, "<"),
)  # fmt: skip
_FIELDS = (
    "Subject: {}\r\nAuthorization: Digest username=\"{}\", realm=\"{}\", nonce=\"{}\", "
    "uri=\"sip:{}@h\", response=\"{}\", cnonce=\"{}\", opaque=\"{}\"\r\n"
    "WWW-Authenticate: Digest realm=\"{}\", nonce=\"{}\"\r\nP-Asserted-Identity: <tel:{}>"
)  # fmt: skip
_LINES = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{}\r\na=ice-pwd:{}\r\nk=clear:{}\r\n"


class Renamed:
    """Puts a secret in the place of each user, display name and Call-ID of both captures, and adds
    credentials and keys of media."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._given: dict[bytes, bytes] = {}
        self.secrets: list[str] = []
        self.credentials: list[str] = []  # those of these that no file may have, either

    def _secret(self, name: bytes) -> bytes:
        if name not in self._given:
            source = random.Random(f"{self._seed} {name!r}")
            made = "".join(source.choices("bcdfghjklmnpqrstvwxz", k=9)).capitalize()
            self._given[name] = made.encode()
            self.secrets.append(made)
        return self._given[name]

    def __call__(self, message: bytes) -> bytes:
        head, end, body = message.partition(b"\r\n\r\n")
        user, display = (shape.encode() for shape in NAMES[self._seed % len(NAMES)])
        whole = re.search(rb"(?i)\r\ncontent-length: *%d\b" % len(body), head)

        def uri(match: re.Match[bytes]) -> bytes:
            return b"sip:" + user.replace(b"{}", self._secret(match[1])) + b"@"

        def party(match: re.Match[bytes]) -> bytes:
            return match[1] + display.replace(b"{}", self._secret(b"display " + match[1]))

        head = re.sub(rb"sip:([a-z0-9]+)@", uri, head)
        head = re.sub(rb"((?:From|To|Contact): )<", party, head)
        head = re.sub(rb"(?<=Call-ID: )([^\r@]+)", lambda m: self._secret(b"id " + m[1]), head)
        body = re.sub(rb"(?<=IP4 )[a-z][a-z.]+", lambda m: self._secret(m[0]), body)
        head += b"\r\n" + self._filled(_FIELDS)
        if body[:4] == b"v=0\r" and body[-2:] == b"\r\n":
            body += self._filled(_LINES)
        made = head + end + body
        return sized(made) if whole else made

    def _filled(self, text: str) -> bytes:
        parts = text.encode().split(b"{}")
        made = b""
        for i, part in enumerate(parts[:-1]):
            secret = self._secret(b"%d" % i + part)
            if secret.decode() not in self.credentials:
                self.credentials.append(secret.decode())
            made += part + secret
        return made + parts[-1]

    def packets(self, path: Path) -> list[Packet]:
        made = []
        for at, data in packets_of(path.read_bytes()):
            payload = data[42:]
            udp = data[12:14] == b"\x08\x00" and data[23] == 17 and not data[20] & 0x3F
            if udp and b"SIP/2.0" in payload and len(payload) == int.from_bytes(data[38:40]) - 8:
                src, dst = (str(ip_address(data[i : i + 4])) for i in (26, 30))
                sport, dport, ident = (int.from_bytes(data[i : i + 2]) for i in (34, 36, 18))
                data = frame(self(payload), src, sport, dst, dport, data[22], ident)
            made.append((at, data))
        return made
