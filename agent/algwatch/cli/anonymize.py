# SPDX-License-Identifier: Apache-2.0
"""`algwatch anonymize IN OUT`: a capture fit to be shared."""

from __future__ import annotations

import os
from contextlib import suppress

from algwatch import files
from algwatch.anonymize.addresses import Addresses
from algwatch.anonymize.cipher import Cipher
from algwatch.anonymize.frame import Frames
from algwatch.anonymize.streams import Streams
from algwatch.anonymize.words import Words
from algwatch.base.native.rows import Counts
from algwatch.capture.frames import Frame, frames
from algwatch.capture.pcap import CaptureFile
from algwatch.capture.pcapng_out import Written
from algwatch.capture.read import CaptureError, start_of
from algwatch.cli import Usage, complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from algwatch.cli import Subparsers

KEY = 32  # bytes


def add(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "anonymize",
        help="replace names, numbers and addresses in a capture",
        description="Writes a capture in which every user, number, display name, host, tag, "
        "Call-ID and address is another one of the same form and length, the same for the same, so "
        "that it is diagnosed as the original. Digests, nonces and media keys become fillers, "
        "texts of messages are masked, and of what is no SIP only the first bytes stay.",
        epilog="Kept: times, lengths, ports, private addresses as private ones, methods, status "
        "codes, names of header fields and parameters, codecs, User-Agent and Server without "
        "serial numbers, the last label of domain names, names of interfaces. Whoever has the key "
        "can undo all of it.",
    )
    parser.add_argument("input", metavar="IN", help="pcap or pcapng")
    parser.add_argument("output", metavar="OUT", help="pcapng; must not be there yet")
    parser.add_argument(
        "--key", metavar="FILE",
        help="use the key in this file, which is made if it is not there: the same name becomes "
        "the same in every capture. Without it each run has a key of its own, kept nowhere",
    )  # fmt: skip


def main(args: argparse.Namespace) -> int:
    if os.path.exists(args.output):
        raise Usage(f"{args.output} is there already; name a file that is not")
    key = _key(args.key) if args.key else os.urandom(KEY)
    try:
        if start_of(args.input) is None:
            raise Usage("anonymize reads its input twice: save it to a file first")
        number = anonymized(args.input, args.output, key)
    except CaptureError as error:
        raise Usage(str(error)) from None
    complain(f"{args.output}: {number} packets")
    return 0


def _key(path: str) -> bytes:
    try:
        key = files.read_secret(path, KEY)
        if key is None:
            files.create(path, os.urandom(KEY))
            key = files.read_secret(path, KEY)
    except files.FileError as error:
        raise Usage(str(error)) from None
    if key is None or len(key) != KEY:
        raise Usage(
            f"{path}: a key has {KEY} bytes; name a file that is not there to have one made"
        )
    return key


def anonymized(source: str, target: str, key: bytes) -> int:
    """The number of packets written. target appears whole or not at all. CaptureError, OSError."""
    cipher = Cipher(key)
    addresses = Addresses(cipher)
    said = Words(cipher, addresses, key)
    made = Frames(cipher, addresses, said)
    streams = Streams(made, said)
    for frame in _frames(source):
        streams.add(frame.data, frame.interface.linktype)
    part = f"{target}.part"
    try:
        with open(part, "wb") as out:
            written = Written(out)
            for frame in _frames(source):
                linktype = frame.interface.linktype
                whole, change = streams.part(frame.data, linktype)
                data = made.replaced(frame.data, linktype, whole, change)
                written.packet(frame.interface.name, linktype, frame.at, data, frame.way)
        os.rename(part, target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(part)
        raise
    return written.packets


def _frames(source: str) -> Iterator[Frame]:
    file = CaptureFile(source, 0, (), Counts())
    try:
        for packets in file.raw():
            yield from frames(packets, file.interfaces)
    finally:
        file.close()
