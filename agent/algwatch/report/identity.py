# SPDX-License-Identifier: Apache-2.0
"""Identity: the id of this router in reports, and the key of its pseudonyms."""

from __future__ import annotations

import os
import struct

from algwatch import files

KEY_BYTES = 32
SHORTEST = 16


def hardware_address(interface: str) -> str:
    """Twelve hex digits, "" without an address (netdevice(7), SIOCGIFHWADDR)."""
    import fcntl
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            got = fcntl.ioctl(sock, 0x8927, struct.pack("16s24x", interface.encode()))
        except OSError:
            return ""
    address = got[18:24].hex()
    return "" if address == "000000000000" else address


def privacy_key(path: str) -> tuple[bytes, str]:
    """The key of the pseudonyms, and the reason why it will change at a restart, "" if it will not.

    A missing or empty file is written anew, whole or not at all, if its directory exists.
    FileError: the file exists and is unusable.
    """
    # Twice: another agent may write the file between our read and our write.
    for _ in range(2):
        key = files.read_secret(path, 4096)
        if key:
            if len(key) < SHORTEST:
                raise files.FileError(f"{path}: too short; delete it to get a new one")
            return key[:64], ""
        fresh = os.urandom(KEY_BYTES)
        try:
            if key is None and not files.create(path, fresh):
                continue
            if key is not None:
                files.replace(path, fresh)
        except OSError as problem:
            return fresh, f"{path} cannot be written: {problem.strerror}"
        return fresh, ""
    return fresh, f"{path} is there and is not"
