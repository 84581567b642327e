# SPDX-License-Identifier: Apache-2.0
"""A text as a number of 63 bits, the same in every process: hash() is another one in each."""

from __future__ import annotations

try:
    # Not hashlib: that loads OpenSSL, 3 MB.
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b


def digest(text: str) -> int:
    """BLAKE2b (RFC 7693). Whoever sends messages cannot find a second text with the number of one
    that another has sent."""
    raw = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(raw, "little") >> 1
