# SPDX-License-Identifier: Apache-2.0
"""SIP in TLS, decrypted by tshark with a key log: its records as TCP packets of a capture.

tshark exports the data above TCP (its tap "OSI layer 7") with addresses, ports and times. On the
ports of SIP in TLS it is told to take what was decrypted for plain data: then it exports each
record as it is, and the messages are found in the stream by capture/reassembly.py as in any other.

Source: wsutil/exported_pdu_tlvs.h of Wireshark.
"""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator, Sequence

from algwatch.base import address
from algwatch.capture import kinds
from algwatch.capture.packets import Packets
from algwatch.capture.pcapng import Pcapng
from algwatch.capture.read import CHUNK, CaptureError, Stop, start_of
from algwatch.capture.spool import Spool
from algwatch.capture.text.frames import LARGEST, RAW_IP, Frames

TLS_PORT = 5061
DISSECTOR, SOURCES, TARGETS, SOURCE_PORT, TARGET_PORT = 12, (20, 22), (21, 23), 25, 26
_KEYS = re.compile(rb"^[A-Z_0-9]+ [0-9a-fA-F]{64} [0-9a-fA-F]+\s*$", re.M)
_TAG, _PORT, _RECORD = struct.Struct("!HH"), struct.Struct("!I"), struct.Struct("=IIII")


def decrypted(paths: Sequence[str], keylog: str, ports: Sequence[int], stop: Stop) -> Spool:
    """The messages that were in TLS in the files of one capture, as a pcap file; size 0 if there
    are none. ports: of SIP, also in TLS. CaptureError."""
    kept = Spool(f"{paths[0]} (decrypted)", empty=True)
    if kinds.kind_of(_start(paths[0])) == kinds.TEXT:
        return kept
    _check(keylog)
    program = shutil.which("tshark")
    if program is None:
        raise CaptureError("--keylog needs tshark, which decrypts TLS (Debian: apt install tshark)")
    command = [program, "-n", "-o", f"tls.keylog_file:{keylog}", "-U", "OSI layer 7", "-w", "-"]
    carrying = frozenset((TLS_PORT, *ports))
    for port in sorted(carrying):
        command += ["-d", f"tls.port=={port},data"]
    records = _Records(carrying)
    walker = Pcapng()
    for data in _run(command, paths, stop):
        walked = walker.feed(data)
        for record in records.packets(walked):
            if not kept.size:
                kept.add(struct.pack("=IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 0x40000, RAW_IP))
            kept.add(record)
    return kept


class _Records:
    """What tshark has exported, in order."""

    def __init__(self, ports: frozenset[int]) -> None:
        self._frames = Frames()
        self._ports = ports

    def packets(self, packets: Packets) -> Iterator[bytes]:
        """The decrypted part as records of a pcap file with ns."""
        for numbers in packets.records.values():
            for at in range(0, len(numbers), 4):
                seconds, micro, start, length = numbers[at : at + 4]
                frame = self._frame(packets.buffer[start : start + (length & 0xFFFFFF)])
                if frame:
                    ns = micro * 1000 + packets.fine.get(start, 0)
                    yield _RECORD.pack(seconds, ns, len(frame), len(frame)) + frame

    def _frame(self, pdu: bytes) -> bytes:
        """b"" if it was not decrypted."""
        tags: dict[int, bytes] = {}
        at = 0
        while at + 4 <= len(pdu):
            tag, length = _TAG.unpack_from(pdu, at)
            at += 4
            if not tag:
                break
            tags[tag] = pdu[at : at + length]
            at += length
        ends = _ends(tags)
        if tags.get(DISSECTOR, b"").rstrip(b"\0") != b"data" or ends is None:
            return b""
        if not self._ports & {ends[0][1], ends[1][1]} or not 0 < len(pdu) - at <= LARGEST:
            return b""
        return self._frames.packet(*ends, pdu[at:], True)


def _ends(tags: dict[int, bytes]) -> tuple[tuple[str, int], tuple[str, int]] | None:
    found = []
    for hosts, port in (SOURCES, SOURCE_PORT), (TARGETS, TARGET_PORT):
        host = next((tags[tag] for tag in hosts if tag in tags), b"")
        number = tags.get(port, b"")
        if len(host) not in (4, 16) or len(number) != 4:
            return None
        text = address.text(host, 4 if len(host) == 4 else 6)
        found.append((text, _PORT.unpack(number)[0] & 0xFFFF))
    return found[0], found[1]


def _start(path: str) -> bytes:
    start = start_of(path) if path != "-" else None
    if start is None:
        raise CaptureError(f"{path}: --keylog needs a file, not a pipe: save it first")
    return start


def _check(keylog: str) -> None:
    try:
        with open(keylog, "rb") as file:
            start = file.read(CHUNK)
    except OSError as error:
        raise CaptureError(f"{keylog}: {error.strerror or error}") from None
    if not _KEYS.search(start):
        raise CaptureError(
            f"{keylog}: is no key log; its lines begin with CLIENT_RANDOM or "
            "CLIENT_TRAFFIC_SECRET_0, as programs write them to SSLKEYLOGFILE"
        )


def _run(command: list[str], paths: Sequence[str], stop: Stop) -> Iterator[bytes]:
    """The output of tshark on the files of one capture. CaptureError."""
    merger = None
    with tempfile.TemporaryFile() as said:
        if len(paths) > 1:  # a connection may go on in the next file
            merger = subprocess.Popen(
                ["mergecap", "-w", "-", "--", *paths], stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=said,
            )  # fmt: skip
        tshark = subprocess.Popen(
            [*command, "-r", paths[0] if merger is None else "-"], stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL if merger is None else merger.stdout, stderr=said,
        )  # fmt: skip
        assert tshark.stdout is not None
        try:
            while stop.wait(tshark.stdout.fileno()):
                data = os.read(tshark.stdout.fileno(), CHUNK)
                if not data:
                    break
                yield data
            if not stop.requested and tshark.wait():
                said.seek(0)
                lines = said.read(4000).decode("utf-8", "replace").splitlines()
                words = [line for line in lines if not line.startswith("Running as user")]
                raise CaptureError(f"{paths[0]}: tshark: {' '.join(words).strip()[:300]}")
        finally:
            for one in (tshark, merger):
                if one is not None:
                    assert one.stdout is not None
                    one.stdout.close()
                    one.kill()
                    one.wait()
