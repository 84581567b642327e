# SPDX-License-Identifier: Apache-2.0
"""The kind of a file, by its first bytes."""

from __future__ import annotations

from algwatch.capture import classic, pcapng

PCAP, PCAPNG, TEXT = "pcap", "pcapng", "text"
ENOUGH = 512  # bytes, enough for every kind

PACKED = {
    b"\x1f\x8b": "gzip",  # RFC 1952 section 2.3.1
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",  # RFC 8878 section 3.1.1
    b"\x04\x22\x4d\x18": "lz4",  # LZ4 frame format 1.6
    b"BZh": "bzip2",
}
_FOREIGN = {
    b"GMBU": "a capture of Microsoft Network Monitor",
    b"RTSS": "a capture of Microsoft Network Monitor",
    b"snoo": "a capture of snoop",
}
_CONTROLS = bytes(c for c in range(32) if c not in b"\t\n\r\f\x1b")


def kind_of(start: bytes) -> str:
    """A word of PACKED, PCAP, PCAPNG or TEXT; "" for an unsupported file. start: the first
    bytes."""
    for magic, kind in PACKED.items():
        if start.startswith(magic):
            return kind
    if start[:4] in classic.MAGICS:
        return PCAP
    if start[:4] == pcapng.MAGIC:
        return PCAPNG
    if start[:4] in _FOREIGN or not start or start.translate(None, _CONTROLS) != start:
        return ""
    return TEXT


def named(start: bytes) -> str:
    """The name of an unsupported kind, as far as known."""
    return _FOREIGN.get(start[:4], "not a capture file")
