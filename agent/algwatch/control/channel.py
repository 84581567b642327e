# SPDX-License-Identifier: Apache-2.0
"""Channel: the socket between the daemon (with the broker) and root's program (with the key).

Each message is a letter, a number (4 bytes), the length of MQTT's Correlation Data (2 bytes), the
data itself, and the rest. The daemon forwards commands unchanged and acknowledges answers. Root's
program sends answers to publish and orders for the daemon. It repeats each until acknowledged.
"""

from __future__ import annotations

import os
import socket
import stat
import struct

from algwatch.quiet import suppress

COMMAND, TAKEN = b"C", b"T"  # from the daemon
ANSWER, DO = b"A", b"D"  # from root
LONGEST = 32768  # bytes of a message
MOST_CORRELATION = 256  # bytes; longer data is not returned
_HEAD = struct.Struct(">cIH")
_CREDENTIALS = struct.Struct("=iII")  # struct ucred


class CannotServe(Exception):
    """The text is one line with the next step."""


def pack(word: bytes, number: int, correlation: bytes, rest: bytes = b"") -> bytes:
    return _HEAD.pack(word, number, len(correlation)) + correlation + rest


def unpack(data: bytes) -> tuple[bytes, int, bytes, bytes]:
    """ValueError."""
    if len(data) < _HEAD.size:
        raise ValueError("too short")
    word, number, length = _HEAD.unpack_from(data)
    if _HEAD.size + length > len(data):
        raise ValueError("too short")
    return word, number, data[_HEAD.size : _HEAD.size + length], data[_HEAD.size + length :]


def peer(sock: socket.socket) -> int:
    """The uid at the other end, from the kernel."""
    got = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    uid: int = _CREDENTIALS.unpack(got)[1]
    return uid


def listen(path: str, uid: int) -> socket.socket:
    """A socket for one user, in a folder owned by root. CannotServe."""
    folder = os.path.dirname(os.path.abspath(path))
    try:
        with suppress(FileExistsError):
            os.mkdir(folder, 0o755)
        status = os.stat(folder)
        if status.st_uid != 0 or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise CannotServe(f"{folder}: others than root may write there: use another directory")
        with suppress(FileNotFoundError):
            if not stat.S_ISSOCK(os.lstat(path).st_mode):
                raise CannotServe(f"{path} is there and is no socket: delete it")
            os.unlink(path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        before = os.umask(0o177)
        try:
            listener.bind(path)
        finally:
            os.umask(before)
        os.chown(path, uid, -1)
        listener.listen(1)
    except OSError as problem:
        raise CannotServe(f"{path}: {problem.strerror or problem}") from None
    return listener
