# SPDX-License-Identifier: Apache-2.0
"""Seed inputs of the fuzz targets, made from what this project already holds.

    python tests/fuzz/seeds.py DIRECTORY [--own]

Writes DIRECTORY/<target>/<hash>: the cases of tests/scan, the captures of tests/encap and
tests/golden, the committed corpus and regressions; without --own also torture messages, captures
and generated messages of ../shared, where that exists. How an input is read is said at the head
of each target.
"""

from __future__ import annotations

import hashlib
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import corpus

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent
SHARED = TESTS.parents[1] / "shared"
sys.path.insert(0, str(TESTS))
sys.path.insert(0, str(TESTS / "scan"))
sys.path.insert(0, str(TESTS / "unit"))

NATIVE_TARGETS = ("sip", "sdp", "frame", "packet", "rtp")
TARGETS = (*NATIVE_TARGETS, "reassembly")
LINKS = {1: 0, 12: 1, 113: 2, 276: 3, 9: 4, 0: 5, 108: 6, 228: 7, 229: 8, 101: 9, 239: 10}
"""links.h: link type to the byte that chooses it."""
STREAM = 1  # packet.c, enum how
LONGEST = 65535
FRAMES_A_FILE = 24

Seed = tuple[str, bytes]  # target, input


def of_message(message: bytes) -> Iterator[Seed]:
    """A message as it is, its body, and as a TCP connection."""
    yield "sip", message
    yield "packet", bytes((1, STREAM)) + message
    body = message.partition(b"\r\n\r\n")[2]
    if body.startswith(b"v="):
        yield "sdp", body


def of_media() -> Iterator[Seed]:
    """Scripts of rtp.c: an offer and an answer, RTP between them, another offer, and a BYE."""
    head = b"v=0\r\nc=IN IP4 10.0.0.%d\r\nm=audio %d RTP/AVP 0\r\n"
    for more in (b"", b"a=sendonly\r\n", b"a=ice-ufrag:x\r\n", b"m=image 9 udptl t38\r\n"):
        bodies = [head % (n, 1000 + n) + more for n in (1, 2)]
        script = b""
        for step, body in enumerate(bodies):
            body += b"\n" * (-len(body) % 4)
            script += bytes((step + len(body), step * 4)) + body
        script += bytes((3 + 4, 1 + 8 * 2, 3 + 4, 2 + 8 * 1, 3 + 4, 1 + 8 * 3)) * 3
        yield "rtp", script + bytes((2, 0)) + script
    six = b"v=0\r\nc=IN IP6 2001:db8::1\r\nm=audio 1001 RTP/AVP 0\r\n" + b"\n"
    yield "rtp", bytes((len(six) - len(six) % 4, 0)) + six


def of_frames(linktype: int, frames: list[bytes]) -> Iterator[Seed]:
    chosen = bytes((LINKS[linktype],))
    for frame in frames:
        yield "frame", chosen + frame
    for first in range(0, len(frames), 4):
        some = frames[first : first + 4]
        packed = b"".join(struct.pack("!H", len(frame)) + frame for frame in some)
        yield "packet", chosen + b"\0" + packed


def frames_of(capture: bytes) -> tuple[int, list[bytes]]:
    """Link type and the first frames of a pcap file; no frames where it is none."""
    order = {b"\xd4\xc3\xb2\xa1": "<", b"\x4d\x3c\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">"}
    mark = order.get(capture[:4])
    if mark is None:
        return 1, []
    linktype = struct.unpack_from(mark + "I", capture, 20)[0]
    at = 24
    frames: list[bytes] = []
    while at + 16 <= len(capture) and len(frames) < FRAMES_A_FILE:
        size = struct.unpack_from(mark + "I", capture, at + 8)[0]
        frames.append(capture[at + 16 : at + 16 + size][:LONGEST])
        at += 16 + size
    return linktype, frames


def own() -> Iterator[Seed]:
    import capture_frames
    from encap.captures import all_captures
    from test_scan import cases

    for case in cases():
        if case.kind == "sdp":
            yield "sdp", case.payload
        else:
            yield from of_message(case.payload)
    for message in long():
        yield from of_message(message)
    yield from of_media()
    both = capture_frames.INVITE * 3
    yield "packet", bytes((1, STREAM)) + both
    ip4 = capture_frames.ipv4(capture_frames.udp(capture_frames.INVITE))
    yield from of_frames(12, [ip4])
    for capture in all_captures().values():
        yield from of_frames(capture.linktype, capture.frames[:12])
    for path in sorted((TESTS / "golden").glob("*/*.pcap")):
        linktype, frames = frames_of(path.read_bytes())
        yield from of_frames(linktype, frames[:4])
    for target in TARGETS:
        yield from ((target, data) for data in committed(target))


def long() -> Iterator[bytes]:
    """Messages as long as one can be: thousands of one header field each."""
    for line in (
        b"Via: SIP/2.0/UDP h;branch=z9hG4bK\r\n", b"v:,,,,,,,,,\r\n", b'Contact: "<sip:a>,\r\n',
        b"X-Nothing: to see\r\n", b"x\r\n y\r\n", b"m: <sip:a@b>;expires=1,<sip:c>\r\n",
    ):  # fmt: skip
        head = b"INVITE sip:a@b SIP/2.0\r\n"
        many = (LONGEST - len(head) - 2) // len(line)
        yield head + line * many + b"\r\n"
    head = b"INVITE sip:a@b SIP/2.0\r\nl: 65000\r\nc: application/sdp\r\n\r\n"
    yield head + (b"v=0\r\n" + b"m=audio 1 RTP/AVP 0\r\n" * 4000)[:65000]


def messages(directory: Path) -> list[str]:
    """Writes each SIP message of tests/scan, those of RFC 4475 among them; names of the files."""
    from test_scan import cases

    names = []
    for number, case in enumerate(case for case in cases() if case.kind == "sip"):
        names.append(str(directory / f"message{number}"))
        Path(names[-1]).write_bytes(case.payload)
    assert len(names) > 100
    return names


def committed(target: str) -> Iterator[bytes]:
    """Inputs that fuzzing found and kept: those that reach code, and each that ever failed."""
    yield from corpus.read(target)
    for path in sorted((HERE / "regressions" / target).glob("*")):
        yield path.read_bytes()


def shared() -> Iterator[Seed]:
    for path in sorted((SHARED / "torture").rglob("*.dat")):
        yield from of_message(path.read_bytes())
    for path in sorted((SHARED / "captures").glob("*.*cap")):
        linktype, frames = frames_of(path.read_bytes())
        if linktype in LINKS:
            yield from of_frames(linktype, frames)
    generator = SHARED / "bench" / "gen_corpus.py"
    if generator.exists():
        with tempfile.TemporaryDirectory() as scratch:
            subprocess.run(
                [sys.executable, generator, scratch], check=True, capture_output=True, cwd=scratch
            )
            messages = (Path(scratch) / "corpus.bin").read_bytes()
        at = 0
        while at < len(messages):
            size = struct.unpack_from("<I", messages, at)[0]
            yield from of_message(messages[at + 4 : at + 4 + size])
            at += 4 + size


def write(directory: Path, only_own: bool) -> dict[str, int]:
    """Writes the seeds; how many there are of each target."""
    for target in TARGETS:
        shutil.rmtree(directory / target, ignore_errors=True)
        (directory / target).mkdir(parents=True)
    seeds = set(own()) if only_own else {*own(), *shared()}
    for target, data in seeds:
        name = hashlib.sha1(data).hexdigest()
        (directory / target / name).write_bytes(data)
    return {target: sum(seed[0] == target for seed in seeds) for target in TARGETS}


if __name__ == "__main__":
    print(write(Path(sys.argv[1]), "--own" in sys.argv))
