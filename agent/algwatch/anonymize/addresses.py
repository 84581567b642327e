# SPDX-License-Identifier: Apache-2.0
"""Addresses: another address of the same kind, with text of the same length.

Two addresses share a prefix after it exactly if they shared it before, so networks stay networks.
Private stays private, public public. Loopback, link-local, multicast, broadcast and 192.0.2.0/24
(RFC 5737, the target of the probe) stay as they are, and so do 0 and 255 in an octet.
"""

from __future__ import annotations

from functools import lru_cache

from algwatch.anonymize.cipher import Cipher
from algwatch.base import address

_ONE, _TWO, _THREE = tuple(range(1, 10)), tuple(range(10, 100)), tuple(range(100, 255))
_CLASSES = (_ONE, _TWO, _THREE)
# First octets of special networks stay: the second octet decides there.
_FIRST = tuple(
    tuple(n for n in members if n not in (10, 100, 127, 169, 172, 192) and n < 224)
    for members in _CLASSES
)
_SECOND = {  # of these, by first octet: the second octets of each kind, by digits
    100: ((tuple(range(64, 100)), tuple(range(100, 128))), (64, 127)),
    172: ((tuple(range(16, 32)),), (16, 31)),
    169: (((254,),), (254, 254)),
    192: (((168,),), (168, 168)),
}

_MAPPED = bytes(10) + b"\xff\xff"  # RFC 4291 section 2.5.5.2
_TRANSLATED = b"\x00\x64\xff\x9b" + bytes(8)  # RFC 6052


class Addresses:
    def __init__(self, cipher: Cipher) -> None:
        self._cipher = cipher
        self.packed4 = lru_cache(65536)(self._packed4)
        self.packed6 = lru_cache(65536)(self._packed6)

    def text4(self, text: str) -> str:
        """A dotted quad."""
        return ".".join(map(str, self.packed4(bytes(map(int, text.split("."))))))

    def text6(self, text: str) -> str:
        """An IPv6 literal without brackets, in any spelling; the zone is replaced as a word."""
        bare, percent, zone = text.partition("%")
        zone = percent + (self._cipher.word(zone) if zone.isalnum() else zone)
        groups, quad = _groups(bare)
        packed = b"".join(group.to_bytes(2) for group in groups)
        new = self.packed6(packed)
        values = iter([int.from_bytes(new[i : i + 2]) for i in range(0, 16, 2)])
        head, gap, tail = bare.partition("::")
        before, after = head.split(":") if head else [], tail.split(":") if tail else []
        made_before = [self._spelled(part, values) for part in before]
        if gap:
            written = len(before) + len(after) + (1 if quad else 0)
            for _ in range(8 - written):
                next(values)
        made_after = [self._spelled(part, values) for part in after]
        return ":".join(made_before) + gap + ":".join(made_after) + zone

    def _spelled(self, part: str, values: object) -> str:
        assert hasattr(values, "__next__")
        if "." in part:
            next(values)
            next(values)
            return self.text4(part)
        made = f"{next(values):x}".rjust(len(part), "0")
        return made.upper() if part.isupper() else made

    def _packed4(self, packed: bytes) -> bytes:
        first, second = packed[0], packed[1]
        if first in (0, 127) or first >= 224 or packed[:3] == b"\xc0\x00\x02":
            return packed
        if packed[:2] == b"\xa9\xfe":
            return packed
        made = [self._cipher.choice(first, _members(first, _FIRST), b"4")]
        made.append(self._second(first, second))
        for place in (2, 3):
            value, before = packed[place], packed[:place]
            members = _members(value, _CLASSES)
            if before == b"\xc0\x00":
                members = tuple(n for n in members if n != 2)
            made.append(self._cipher.choice(value, members, b"4" + before))
        return bytes(made)

    def _second(self, first: int, second: int) -> int:
        inside, (low, high) = _SECOND.get(first, ((), (256, 256)))
        if low <= second <= high:
            members = next((m for m in inside if second in m), ())
        else:
            members = tuple(n for n in _members(second, _CLASSES) if not low <= n <= high)
        return self._cipher.choice(second, members, b"4%c" % first)

    def _packed6(self, packed: bytes) -> bytes:
        if packed[:12] in (_MAPPED, _TRANSLATED):
            return packed[:12] + self.packed4(packed[12:])
        # Loopback, "any", multicast, link-local prefix.
        if packed[:15] == bytes(15) or packed[0] == 0xFF:
            return packed
        made = b""
        for place in range(0, 16, 2):
            group = int.from_bytes(packed[place : place + 2])
            made += self._group(group, packed[:place]).to_bytes(2)
        return made

    def _group(self, group: int, before: bytes) -> int:
        """As many hexadecimal digits as before; fe80 stays, and any other first group keeps the
        part for its kind."""
        if not group:
            return 0
        if not before:
            if group < 0x1000 or group >> 8 == 0xFE:
                return group
            members = range(group & 0xFF00, (group & 0xFF00) + 256)
            if group >> 12 in (2, 3):
                members = range(0x2003, 0x4000)
        else:
            digits = len(f"{group:x}")
            members = range(16 ** (digits - 1), 16**digits)
        if group not in members:
            return group
        return members[self._cipher.number(group - members[0], len(members), b"6" + before)]


def _members(value: int, classes: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
    return classes[len(str(value)) - 1]


def _groups(bare: str) -> tuple[list[int], bool]:
    """The eight groups of a valid literal; True if the last two are a dotted quad."""
    head, gap, tail = bare.partition("::")
    quad = "." in bare
    before, after = _values(head), _values(tail)
    return before + [0] * (8 - len(before) - len(after)) + after if gap else before, quad


def _values(part: str) -> list[int]:
    made = []
    for group in part.split(":") if part else ():
        if "." in group:
            number = address.ipv4(group)
            made += [number >> 16, number & 0xFFFF]
        else:
            made.append(int(group, 16))
    return made
