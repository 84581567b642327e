# SPDX-License-Identifier: Apache-2.0
"""Invitation: settings and keys for a router to join a fleet, sealed with a one-time code.

The code has 100 bits, too many to guess, so plain HMAC derives the keys. The text is xored with
HMAC-SHA256 of a counter and then authenticated (encrypt-then-MAC). Each step has its own key, and a
random nonce makes both keys fresh each time. A Python without OpenSSL has no cipher.
"""

from __future__ import annotations

import os

import msgpack

from algwatch.control.mac import SIZE, equal, mac
from algwatch.report.wire import ROOT, SCHEMA, SchemaError, decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SETTINGS = ("mqtt", "mqtt_user", "mqtt_password", "mqtt_name", "mqtt_keepalive", "cpe", "tags",
            "boot_delay", "health_interval", "daily_bytes", "privacy")  # fmt: skip
FILES = ("mqtt_ca", "mqtt_cert", "mqtt_key", "commands", "provider_key")  # settings with a path
MOST = 16000  # bytes of an invitation
INVITE, RECEIPT = b"invitation", b"receipt"
_NONCE = 16
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's: no I, L, O, U
_DIGITS, _GROUP = 20, 5
_ALIKE = str.maketrans("OIL", "011", "- ")


class Unreadable(Exception):
    """The text is one line."""


def new_code() -> str:
    """Such as 7K2QF-0M3VX-9RTAW-H4NZB."""
    number = int.from_bytes(os.urandom(_DIGITS), "big")
    digits = "".join(_ALPHABET[number >> 5 * i & 31] for i in range(_DIGITS))
    return "-".join(digits[i : i + _GROUP] for i in range(0, _DIGITS, _GROUP))


def secret(code: str) -> bytes:
    """The canonical form of a typed code. Unreadable."""
    plain = code.strip().upper().translate(_ALIKE)
    if len(plain) != _DIGITS or any(digit not in _ALPHABET for digit in plain):
        raise Unreadable(f"a code has {_DIGITS} letters and digits, such as {new_code()}")
    return plain.encode()


def place(code: bytes) -> str:
    """The topic of the invitation; the receipt's topic appends `/done`."""
    return f"{ROOT}/enroll/{mac(code, b'algwatch/1/enroll place')[:16].hex()}"


def seal(code: bytes, what: bytes, content: dict[str, Any]) -> bytes:
    """what: INVITE or RECEIPT."""
    nonce = os.urandom(_NONCE)
    sealed = _xor(code, what, nonce, msgpack.packb(content))
    packed: bytes = msgpack.packb({"schema": SCHEMA, "nonce": nonce, "sealed": sealed,
                                   "mac": _tag(code, what, nonce, sealed)})  # fmt: skip
    return packed


def unseal(code: bytes, what: bytes, data: bytes) -> dict[str, Any]:
    """Unreadable: another code, or changed data."""
    try:
        outer = decode(data)
    except SchemaError as why:
        raise Unreadable(f"this is no {what.decode()}: {why}") from None
    nonce, sealed, tag = (outer.get(name) for name in ("nonce", "sealed", "mac"))
    if not (isinstance(nonce, bytes) and isinstance(sealed, bytes) and isinstance(tag, bytes)
            and len(nonce) == _NONCE and len(tag) == SIZE):  # fmt: skip
        raise Unreadable(f"this is no {what.decode()}")
    if not equal(tag, _tag(code, what, nonce, sealed)):
        raise Unreadable(f"the code does not fit this {what.decode()}: look at each letter of it")
    content = msgpack.unpackb(_xor(code, what, nonce, sealed))
    if not isinstance(content, dict):
        raise Unreadable(f"this is no {what.decode()}")
    return content


def _tag(code: bytes, what: bytes, nonce: bytes, sealed: bytes) -> bytes:
    return mac(mac(code, b"algwatch/1/enroll authenticate " + what + nonce), sealed)


def _xor(code: bytes, what: bytes, nonce: bytes, data: bytes) -> bytes:
    key = mac(code, b"algwatch/1/enroll encrypt " + what + nonce)
    count = (len(data) + SIZE - 1) // SIZE
    stream = b"".join(mac(key, block.to_bytes(8, "big")) for block in range(count))
    return bytes(a ^ b for a, b in zip(data, stream, strict=False))
