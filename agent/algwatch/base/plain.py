# SPDX-License-Identifier: Apache-2.0
"""Plain values as bytes: None, truth values, whole numbers of 64 bits, floats, bytes, texts, and
lists of these. What one process writes the next one reads, and it may have been damaged or forged
meanwhile: reading takes no more than the bytes that are there, makes nothing but these values, and
raises Unfit for everything else.

Not marshal, which may crash on such bytes. Not json or msgpack: a daemon without a broker has
neither, and they cost it more memory than this state.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DEEPEST = 8  # lists in lists

_NONE, _FALSE, _TRUE, _SMALL, _WHOLE, _FLOAT, _BYTES, _TEXT, _LIST = range(9)
_whole = struct.Struct("<q")
_float = struct.Struct("<d")
_count = struct.Struct("<I")


class Unfit(ValueError):
    """These bytes or values are none of ours."""


def pack(value: Any) -> bytes:
    """TypeError, struct.error: it holds something else (a fault of ours)."""
    out = bytearray()
    _put(out, value)
    return bytes(out)


def pack_all(values: Iterable[Any]) -> bytes:
    """Values one behind the other: none of them waits for the last one."""
    out = bytearray()
    for one in values:
        _put(out, one)
    return bytes(out)


def _put(out: bytearray, value: Any) -> None:
    if isinstance(value, str):
        data = value.encode("utf-8", "surrogatepass")
        out.append(_TEXT)
        out += _count.pack(len(data))
        out += data
    elif value is None or isinstance(value, bool):
        out.append(_NONE if value is None else _TRUE if value else _FALSE)
    elif isinstance(value, int):
        if 0 <= value < 256:
            out += bytes((_SMALL, value))
        else:
            out.append(_WHOLE)
            out += _whole.pack(value)
    elif isinstance(value, float):
        out.append(_FLOAT)
        out += _float.pack(value)
    elif isinstance(value, bytes):
        out.append(_BYTES)
        out += _count.pack(len(value))
        out += value
    elif isinstance(value, list | tuple):
        out.append(_LIST)
        out += _count.pack(len(value))
        for one in value:
            _put(out, one)
    else:
        raise TypeError(f"{type(value).__name__} is no plain value")


def unpack(data: bytes) -> Any:
    """Unfit."""
    values = unpack_all(data)
    if len(values) != 1:
        raise Unfit("more than one")
    return values[0]


def unpack_all(data: bytes) -> list[Any]:
    """Unfit."""
    values, at = [], 0
    try:
        while at < len(data):
            value, at = _get(data, at, 0)
            values.append(value)
    except (IndexError, struct.error, UnicodeDecodeError):
        raise Unfit("cut short") from None
    return values


def _get(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    """The value at an offset, and the offset behind it."""
    kind = data[at]
    at += 1
    if kind <= _TRUE:
        return (None, False, True)[kind], at
    if kind == _SMALL:
        return data[at], at + 1
    if kind == _WHOLE:
        return _whole.unpack_from(data, at)[0], at + 8
    if kind == _FLOAT:
        return _float.unpack_from(data, at)[0], at + 8
    if kind > _LIST:
        raise Unfit("of no kind")
    count: int = _count.unpack_from(data, at)[0]
    at += 4
    if count > len(data) - at:  # each value of a list takes a byte at least
        raise Unfit("cut short")
    if kind == _LIST:
        if depth == DEEPEST:
            raise Unfit("too deep")
        values = []
        for _ in range(count):
            value, at = _get(data, at, depth + 1)
            values.append(value)
        return values, at
    raw = data[at : at + count]
    return (raw if kind == _BYTES else raw.decode("utf-8", "surrogatepass")), at + count


# Readers of a value that ought to be something: each returns it, or raises Unfit.


def text(value: object, most: int = 256) -> str:
    """most: characters."""
    if not isinstance(value, str) or len(value) > most:
        raise Unfit("no text")
    return value


def word(value: object, words: tuple[str, ...] | frozenset[str]) -> str:
    if not isinstance(value, str) or value not in words:
        raise Unfit("no such word")
    return value


def whole(value: object, least: int = 0, most: int = (1 << 63) - 1) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise Unfit("no number")
    return value


def real(value: object) -> float:
    if not isinstance(value, float) or not -1e12 < value < 1e12:  # nor is NaN
        raise Unfit("no number")
    return value


def truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise Unfit("no truth value")
    return value


def raw(value: object, most: int) -> bytes:
    """most: bytes."""
    if not isinstance(value, bytes) or len(value) > most:
        raise Unfit("no bytes")
    return value


def row(value: object, length: int) -> list[Any]:
    """A list of that length."""
    if not isinstance(value, list) or len(value) != length:
        raise Unfit("no such list")
    return value


def rows(value: object, most: int) -> list[Any]:
    """A list of so many values at most."""
    if not isinstance(value, list) or len(value) > most:
        raise Unfit("no such list")
    return value
