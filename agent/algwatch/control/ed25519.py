# SPDX-License-Identifier: Apache-2.0
"""Ed25519 (RFC 8032): verify a signature with a public key. Signing is not done here.

Python, because it runs a few times a month and every library for it is larger than this whole
program. All inputs are public, so variable time does no harm.
"""

from __future__ import annotations

try:
    from _sha512 import sha512  # type: ignore[import-not-found,unused-ignore]
except ImportError:
    try:
        from _sha2 import sha512  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        from hashlib import sha512

SIZE, KEY = 64, 32  # bytes of a signature, of a public key
_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_ROOT = pow(2, (_P - 1) // 4, _P)  # of -1

Point = tuple[int, int, int, int]  # extended coordinates (section 5.1.4)


def is_signed(key: bytes, message: bytes, signature: bytes) -> bool:
    """Section 5.1.7."""
    if len(key) != KEY or len(signature) != SIZE:
        return False
    at, nonce = _point(key), _point(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if at is None or nonce is None or s >= _L:
        return False
    digest = sha512(signature[:32] + key + message).digest()
    k = int.from_bytes(digest, "little") % _L
    away: Point = (_P - at[0], at[1], 1, _P - at[3])
    return _is_same(_two(s, _BASE, k, away), nonce)


def _x(y: int, sign: int) -> int | None:
    """Section 5.1.3."""
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _ROOT % _P
    if (x * x - square) % _P or (not x and sign):
        return None
    return _P - x if x & 1 != sign else x


def _point(data: bytes) -> Point | None:
    number = int.from_bytes(data, "little")
    y = number & (1 << 255) - 1
    x = _x(y, number >> 255)
    return None if x is None else (x, y, 1, x * y % _P)


def _sum(a: Point, b: Point) -> Point:
    m, n = (a[1] - a[0]) * (b[1] - b[0]) % _P, (a[1] + a[0]) * (b[1] + b[0]) % _P
    c, d = 2 * a[3] * b[3] * _D % _P, 2 * a[2] * b[2] % _P
    e, f, g, h = n - m, d - c, d + c, n + m
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _double(a: Point) -> Point:
    x, y, z, _ = a
    aa, bb = x * x % _P, y * y % _P
    h, e = aa + bb, aa + bb - (x + y) * (x + y) % _P
    g = aa - bb
    f = 2 * z * z + g
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _two(m: int, a: Point, n: int, b: Point) -> Point:
    """m * a + n * b, with shared doublings."""
    points = None, a, b, _sum(a, b)
    total: Point = (0, 1, 1, 0)
    for bit in range(max(m.bit_length(), n.bit_length()) - 1, -1, -1):
        total = _double(total)
        point = points[m >> bit & 1 | (n >> bit & 1) << 1]
        if point is not None:
            total = _sum(total, point)
    return total


def _is_same(a: Point, b: Point) -> bool:
    return not ((a[0] * b[2] - b[0] * a[2]) % _P or (a[1] * b[2] - b[1] * a[2]) % _P)


_Y = 4 * pow(5, -1, _P) % _P
_BASE: Point = (_x(_Y, 0) or 0, _Y, 1, (_x(_Y, 0) or 0) * _Y % _P)
