# SPDX-License-Identifier: Apache-2.0
"""Rows by name, for tests: a row's members and those of its ends in one tuple."""

from __future__ import annotations

import struct
from typing import NamedTuple

from algwatch.base.native import layout
from algwatch.base.native.rows import Counts, Scanner


class Row(NamedTuple):
    at: int
    txn: int
    call: int
    pair: int
    flow: int
    from_tag: int
    to_tag: int
    cseq: int
    payload: int
    length: int
    status: int
    ip_id: int
    bits: int
    kind: int
    method: int
    ttl: int
    tap: int
    src: bytes
    dst: bytes
    frame: int
    caplen: int
    sport: int
    dport: int
    point: int
    proto: int
    version: int


def meta_of(frames: tuple[bytes, ...]) -> bytes:
    """The table that pcapy-ng's next_batch() makes beside the joined frames."""
    meta, offset = b"", 0
    for index, frame in enumerate(frames):
        meta += struct.pack("=IIII", 10, index, offset, len(frame))
        offset += len(frame)
    return meta


def scan(
    linktype: int,
    *frames: bytes,
    ports: tuple[int, ...] = (5060,),
    counts: Counts | None = None,
    max_rows: int = 1024,
) -> list[Row]:
    key = layout.REPLAY_KEY
    scanner = Scanner(linktype, 3, key, ports, counts or Counts(), max_rows)
    found: list[Row] = []
    for batch in scanner.scan(b"".join(frames), meta_of(frames), 0):
        pairs = zip(
            layout.ROW.iter_unpack(batch.rows), layout.ENDS.iter_unpack(batch.ends), strict=True
        )
        found += [Row(*row, *ends) for row, ends in pairs]
    return found


def request(
    method: str = "INVITE",
    host: str = "192.168.1.10:5060",
    branch: str = ";branch=z9hG4bK1",
    cseq: int = 1,
    contact: str = "192.168.1.10",
    tag: str = "a",
    start: str = "",
) -> bytes:
    start = start or f"{method} sip:bob@example.com SIP/2.0"
    return (
        f"{start}\r\nVia: SIP/2.0/UDP {host}{branch}\r\nFrom: <sip:a@b>;tag={tag}\r\n"
        f"To: <sip:c@d>\r\nCall-ID: call\r\nCSeq: {cseq} {method}\r\n"
        f"Contact: <sip:a@{contact}>\r\nContent-Length: 0\r\n\r\n"
    ).encode()
