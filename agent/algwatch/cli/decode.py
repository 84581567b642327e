# SPDX-License-Identifier: Apache-2.0
"""`algwatch decode`: msgpack payloads as JSON, one line each."""

from __future__ import annotations

import base64
import json
import math
import sys

import msgpack

from algwatch.cli import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from typing import Any, BinaryIO

    from algwatch.cli import Subparsers

CHUNK = 65536
# One payload of ours has at most 16 kB. Longer ones may pass, but a header of five bytes must not
# make the decoder reserve gigabytes.
MAX_BUFFER = 1 << 20
MAX_ITEMS = 65536


def add(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "decode",
        help="print MQTT payloads as JSON, one line each",
        description="Prints MQTT payloads as JSON, one line each. From a broker: "
        "mosquitto_sub -t 'algwatch/1/#' -N | algwatch decode",
    )
    parser.add_argument(
        "file",
        metavar="FILE",
        nargs="*",
        default=["-"],
        help="a payload, or several one behind the other; - is standard input (the default)",
    )


def payloads(stream: BinaryIO, name: str) -> Iterator[dict[Any, Any]]:
    """Each msgpack map of the stream; Usage with the offset of the damage."""
    unpacker = msgpack.Unpacker(
        raw=False,
        unicode_errors="replace",
        strict_map_key=False,
        max_buffer_size=MAX_BUFFER,
        max_array_len=MAX_ITEMS,
        max_map_len=MAX_ITEMS,
    )
    total = good = 0
    try:
        while chunk := stream.read1(CHUNK) if hasattr(stream, "read1") else stream.read(CHUNK):
            unpacker.feed(chunk)
            total += len(chunk)
            for value in unpacker:
                if not isinstance(value, dict):
                    # Any text is valid msgpack, a number for each letter; a report is a map.
                    raise Usage(f"{name}: damaged at byte {good}: not a report, which is a map")
                good = unpacker.tell()
                yield value
    except OSError as problem:
        raise Usage(f"{name}: {problem.strerror or problem}") from None
    except Usage:
        raise
    except Exception as problem:  # msgpack raises a dozen kinds, TypeError among them
        why = str(problem) or type(problem).__name__
        raise Usage(f"{name}: damaged at byte {good}: {why[:120]}") from None
    if good != total:
        raise Usage(f"{name}: ends in the middle of the payload that begins at byte {good}")
    if not total:
        raise Usage(f"{name}: empty")


def plain(value: Any) -> Any:
    """The value in JSON's types: bytes as base64, keys and non-finite numbers as text."""
    if isinstance(value, dict):
        return {_key(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple) and not isinstance(value, msgpack.ExtType):
        return [plain(item) for item in value]
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, msgpack.ExtType):
        return {"ext": value.code, "data": base64.b64encode(value.data).decode()}
    if isinstance(value, msgpack.Timestamp):
        return value.to_unix()
    return value


def _key(key: Any) -> str:
    if isinstance(key, str):
        return key
    return base64.b64encode(key).decode() if isinstance(key, bytes) else str(key)


def line(value: Any) -> str:
    """One line of JSON, ASCII only: a hostile payload must not drive the terminal."""
    return json.dumps(plain(value), allow_nan=False)


def main(args: argparse.Namespace) -> int:
    for path in args.file:
        if path == "-":
            _print(sys.stdin.buffer, "standard input")
            continue
        try:
            stream = open(path, "rb")  # noqa: SIM115
        except OSError as problem:
            raise Usage(f"{path}: {problem.strerror}") from None
        with stream:
            _print(stream, path)
    return 0


def _print(stream: BinaryIO, name: str) -> None:
    try:
        for value in payloads(stream, name):
            print(line(value))
    except RecursionError:
        raise Usage(f"{name}: nested too deeply to be a report") from None
