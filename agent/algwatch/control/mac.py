# SPDX-License-Identifier: Apache-2.0
"""HMAC-SHA256 (RFC 2104) without OpenSSL: `hmac` and `hashlib` load 3 MB of it."""

from __future__ import annotations

from _operator import _compare_digest as equal

try:
    from _sha256 import sha256  # type: ignore[import-not-found,unused-ignore]
except ImportError:
    try:
        from _sha2 import sha256  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        from hashlib import sha256

BLOCK = 64  # bytes, of SHA-256
SIZE = 32
_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))

__all__ = ["SIZE", "equal", "mac", "sha256"]


def mac(key: bytes, message: bytes) -> bytes:
    """32 bytes. `equal` compares two MACs in constant time."""
    if len(key) > BLOCK:
        key = sha256(key).digest()
    key = key.ljust(BLOCK, b"\0")
    inner = sha256(key.translate(_INNER) + message).digest()
    made: bytes = sha256(key.translate(_OUTER) + inner).digest()
    return made
