# SPDX-License-Identifier: Apache-2.0
"""IP addresses as bytes and text, without the memory cost of `ipaddress` and `socket`.

Host texts come from the wire, so every function takes anything and raises nothing.
"""

from __future__ import annotations

from functools import lru_cache

_HEX = frozenset("0123456789abcdefABCDEF")
LONGEST = 64  # characters of an IP literal with a zone


def text(packed: bytes, version: int) -> str:
    """4 or 16 bytes to text (RFC 5952 for IPv6). packed may be longer; the rest is ignored."""
    if version == 4:
        return f"{packed[0]}.{packed[1]}.{packed[2]}.{packed[3]}"
    groups = [packed[i] << 8 | packed[i + 1] for i in range(0, 16, 2)]
    best = length = 0
    i = 0
    while i < 8:
        j = i
        while j < 8 and groups[j] == 0:
            j += 1
        if j - i > length and j - i > 1:
            best, length = i, j - i
        i = j + 1
    if not length:
        return ":".join(f"{g:x}" for g in groups)
    head = ":".join(f"{g:x}" for g in groups[:best])
    tail = ":".join(f"{g:x}" for g in groups[best + length :])
    return f"{head}::{tail}"


def ipv4(host: str) -> int:
    """A dotted quad as a number, or -1 for anything else (names, IPv6, "010.1.1.1", "1.2.3")."""
    parts = host.split(".")
    if len(parts) != 4:
        return -1
    value = 0
    for part in parts:
        if not part.isascii() or not part.isdigit() or len(part) > 3 or int(part) > 255:
            return -1
        value = value << 8 | int(part)
    return value


def ipv6(host: str) -> int:
    """An IPv6 literal without brackets (RFC 3261 section 25.1), with or without a zone (RFC 4007
    section 11), as a number; -1 for anything else. Other text in brackets is no address, whatever
    it begins with."""
    if ":" not in host or len(host) > LONGEST:
        return -1
    host, percent, zone = host.partition("%")
    if percent and not (zone.isascii() and zone.replace("-", "").replace(".", "").isalnum()):
        return -1
    head, gap, tail = host.partition("::")
    groups = [*(head.split(":") if head else ()), *(tail.split(":") if tail else ())]
    if groups and "." in groups[-1]:
        low = ipv4(groups.pop())
        if low < 0:
            return -1
        groups += [f"{low >> 16:x}", f"{low & 0xFFFF:x}"]
    count = len(groups)
    if count > 7 if gap else count != 8:
        return -1
    if not all(0 < len(group) <= 4 and _HEX.issuperset(group) for group in groups):
        return -1
    before = len(head.split(":")) if head else 0
    groups[before:before] = ["0"] * (8 - count)
    return int("".join(group.zfill(4) for group in groups), 16)


def is_ipv6(host: str) -> bool:
    return ipv6(host) >= 0


def is_literal(host: str) -> bool:
    return len(host) <= LONGEST and _is_literal(host)


@lru_cache(maxsize=64)
def _is_literal(host: str) -> bool:
    return ipv4(host) >= 0 or is_ipv6(host)


def canonical(host: str) -> str:
    """An IPv6 literal as text() writes it (RFC 5952), with its zone; any other host as it is."""
    return _canonical(host) if ":" in host and len(host) <= LONGEST else host


@lru_cache(maxsize=256)
def _canonical(host: str) -> str:
    value = ipv6(host)
    if value < 0:
        return host
    return text(value.to_bytes(16, "big"), 6) + "".join(host.partition("%")[1:])


# Not reachable from the public Internet: RFC 1918, RFC 6598 (CGNAT), RFC 3927, loopback, "this",
# RFC 6890 section 2.2.2 (DS-Lite, 464XLAT).
# Documentation ranges (RFC 5737) are not in the list: they stand for public addresses.
_UNROUTABLE = (
    (0x0A000000, 8),
    (0xAC100000, 12),
    (0xC0A80000, 16),
    (0x64400000, 10),
    (0xA9FE0000, 16),
    (0x7F000000, 8),
    (0x00000000, 8),
    (0xC0000000, 24),
)
# Unique local (RFC 4193), link-local and the former site-local, the two first addresses (RFC 4291).
_UNROUTABLE_6 = ((0xFC << 120, 7), (0xFE80 << 112, 10), (0xFEC0 << 112, 10), (0, 127))
_MAPPED = 0xFFFF << 32  # ::ffff:0:0/96, IPv4 in IPv6 (RFC 4291 section 2.5.5.2)


def is_unroutable(host: str) -> bool:
    """True for an IP literal unreachable from the Internet; False for names."""
    return len(host) <= LONGEST and _is_unroutable(host)


@lru_cache(maxsize=512)  # each message of a phone names its few hosts again
def _is_unroutable(host: str) -> bool:
    value = ipv4(host)
    if value < 0:
        six = ipv6(host)
        if six < 0:
            return False
        if six >> 32 << 32 != _MAPPED:
            return any(six >> (128 - n) == net >> (128 - n) for net, n in _UNROUTABLE_6)
        value = six & 0xFFFFFFFF
    return any(value >> (32 - n) == net >> (32 - n) for net, n in _UNROUTABLE)


# Names that the public DNS does not have: RFC 6761 (localhost, invalid), RFC 6762, RFC 8375.
_PRIVATE_NAMES = (".localhost", ".invalid", ".local", ".home.arpa")


def is_unreachable(host: str) -> bool:
    """As is_unroutable(), and True for names which nobody on the Internet can look up."""
    return len(host) <= LONGEST and (_is_unroutable(host) or is_private_name(host))


@lru_cache(maxsize=64)
def is_private_name(host: str) -> bool:
    """True for such a name (up to LONGEST characters)."""
    return f".{host[: LONGEST + 1].lower().rstrip('.')}".endswith(_PRIVATE_NAMES)


def joined(host: str, port: int) -> str:
    """Both as a URI has them (RFC 3986 section 3.2.2); the host alone without a port."""
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{port}" if port else shown


def in_one_network(one: bytes, two: bytes, version: int) -> bool:
    """True if two packed addresses (16 bytes each) begin alike: IPv4 with 24 bits, IPv6 with 64; or
    if the second one is for many hosts: no router of a house forwards that."""
    length = 3 if version == 4 else 8
    return one[:length] == two[:length] or is_multicast(two, version)


def is_multicast(packed: bytes, version: int) -> bool:
    """RFC 5771, RFC 4291 section 2.7; and the broadcast address of IPv4."""
    if version == 4:
        return packed[0] >> 4 == 0xE or packed[:4] == b"\xff\xff\xff\xff"
    return packed[0] == 0xFF
