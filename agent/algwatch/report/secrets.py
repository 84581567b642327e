# SPDX-License-Identifier: Apache-2.0
"""Secrets of a message that no reader of a capture needs: digests, nonces and media keys. As many
characters replace each, so every length in the message stays true."""

from __future__ import annotations

import re
from hashlib import blake2b

# RFC 3261 section 22, RFC 7616 section 3, RFC 8760, RFC 3310 (auts).
_HEADERS = re.compile(
    rb"(?im)^(?:proxy-|www-)?(?:authorization|authenticate|authentication-info)[ \t]*:"
    rb"[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*"
)
_DIGESTS = re.compile(
    rb"(?i)\b(?:response|nonce|cnonce|nextnonce|rspauth|opaque|auts)"
    rb'[ \t]*=[ \t]*"?(?P<secret>[^"\s,;]+)'
)
_BASIC = re.compile(rb"(?i)(:[ \t]*(?:basic|bearer|ntlm)[ \t]+)(?P<secret>[^\s,;]+)")
# RFC 4568 section 9.1, RFC 8839 section 5.4, RFC 8866 section 5.12.
_KEYS = re.compile(
    rb"(?im)^(?:a=crypto:[^\r\n]*?inline:|a=ice-pwd:|a=key-mgmt:[^\s]+ |k=(?:clear|base64):)"
    rb"(?P<secret>[^\s|]+)"
)


def without_secrets(message: bytes, key: bytes) -> bytes:
    """message with a filler for each secret; equal secrets get equal fillers under one key."""

    def filled(match: re.Match[bytes]) -> bytes:
        secret = match["secret"]
        return match[0][: -len(secret)] + filler(secret, key)

    message = _HEADERS.sub(
        lambda field: _BASIC.sub(filled, _DIGESTS.sub(filled, field[0])), message
    )
    return _KEYS.sub(filled, message)


def filler(text: bytes, key: bytes) -> bytes:
    """Hexadecimal digits, as many as text has bytes."""
    digits = blake2b(text, digest_size=32, key=key).hexdigest().encode()
    return (digits * (len(text) // len(digits) + 1))[: len(text)]
