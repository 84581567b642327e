# SPDX-License-Identifier: Apache-2.0
"""Capture files: read whole, read damaged, merged by time, and written."""

from __future__ import annotations

import csv
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from algwatch.base.native import layout
from algwatch.base.native.rows import Counts
from algwatch.base.packet import Batch
from algwatch.capture.merged import merged
from algwatch.capture.order import SLOT
from algwatch.capture.pcap import CaptureError, CaptureFile, read, write
from capture_frames import ether, invite, ipv4, udp

pytest.importorskip("pcapy", reason="pcapy-ng is not installed")

START = 1_700_000_000_000_000_000
SECOND = 1_000_000_000
PORTS = (5060,)
CAPTURES = Path(__file__).parents[2].parent / "shared" / "captures"

# Packets without SIP over the link layers, IP, UDP and TCP that are read.
EXCEPTIONS = {
    "arkime__gtp-iphone.pcap": (0, "inside a GTP tunnel"),
    "suricata-verify__sip-body-large.pcap": (1, "a request of 65793 bytes: no row can hold it"),
}


def frame(call_id: str, **fields: object) -> bytes:
    return ether(ipv4(udp(invite(call_id)), **fields))  # type: ignore[arg-type]


def capture(path: Path, *times: int, name: str = "call", linktype: int = 1) -> Path:
    """A file with one INVITE at each time (ns behind START), Call-IDs name-0, name-1, ..."""
    write(
        str(path),
        linktype,
        ((START + at, frame(f"{name}-{number}")) for number, at in enumerate(times)),
    )
    return path


def rows(batch: Batch) -> list[tuple[int, ...]]:
    return list(layout.ROW.iter_unpack(batch.rows))


def payloads(batches: list[Batch] | CaptureFile) -> list[bytes]:
    return [
        bytes(batch.buffer[row[8] : row[8] + row[9]]) for batch in batches for row in rows(batch)
    ]


def opened(path: Path | str, tap: int = 0) -> CaptureFile:
    return CaptureFile(str(path), tap, PORTS, Counts())


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = capture(tmp_path / "a.pcap", 0, 1_234_567, 5 * SECOND)
    batches, times = [], []
    for batch in read(str(path), 1, PORTS, Counts()):
        batches += payloads([batch])
        times += [(row[0], row[16]) for row in rows(batch)]
        assert batch.watermark == START + 5 * SECOND
    assert batches == [invite(f"call-{number}") for number in range(3)]
    assert times == [(START, 1), (START + 1_234_000, 1), (START + 5 * SECOND, 1)]  # libpcap: µs


def test_written_files_hold_nanoseconds_and_appear_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    assert write(str(path), 12, [(START + 7, b"\x45")]) == 1
    magic, *_, linktype = struct.unpack_from("=IHHiIII", path.read_bytes())
    assert (magic, linktype) == (0xA1B23C4D, 101)
    assert struct.unpack_from("=IIII", path.read_bytes(), 24) == (START // SECOND, 7, 1, 1)

    def broken() -> object:
        yield START, b"\x45"
        raise RuntimeError("the ring went away")

    with pytest.raises(RuntimeError):
        write(str(tmp_path / "b.pcap"), 1, broken())  # type: ignore[arg-type]
    assert os.listdir(tmp_path) == ["a.pcap"]


def test_a_file_of_many_packets_comes_in_batches_of_bounded_size(tmp_path: Path) -> None:
    path = capture(tmp_path / "a.pcap", *(number * 1000 for number in range(5000)))
    seen, marks = 0, []
    for batch in opened(path):
        assert batch.count <= 1024
        assert len(batch.buffer) < 1 << 20
        seen += batch.count
        marks.append(batch.watermark)
    assert seen == 5000
    assert marks == sorted(marks)


def test_a_file_of_huge_frames_is_read_in_smaller_batches(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    write(str(path), 1, ((START + n, bytes(200_000)) for n in range(300)))
    assert max(len(batch.buffer) for batch in opened(path)) <= 64 * 200_000


def test_a_truncated_tail_gives_what_was_readable_and_is_counted(tmp_path: Path) -> None:
    whole = capture(tmp_path / "a.pcap", *range(0, 700_000, 1000)).read_bytes()
    path = tmp_path / "cut.pcap"
    path.write_bytes(whole[:-5])
    file = opened(path)
    assert payloads(file) == [invite(f"call-{number}") for number in range(699)]
    assert file.truncated_tail == 1
    assert "truncated" in file.problem


def test_damage_in_the_middle_gives_what_was_before_it(tmp_path: Path) -> None:
    whole = bytearray(capture(tmp_path / "a.pcap", *range(0, 100_000, 1000)).read_bytes())
    at = 24
    for _ in range(40):
        at += 16 + struct.unpack_from("=I", whole, at + 8)[0]
    struct.pack_into("=II", whole, at + 8, 0x7FFFFFFF, 0x7FFFFFFF)
    path = tmp_path / "bad.pcap"
    path.write_bytes(whole)
    file = opened(path)
    assert len(payloads(file)) == 40
    assert file.truncated_tail == 1


def test_a_pcapng_file_is_read(tmp_path: Path) -> None:
    data = frame("ng")
    padded = data + bytes(-len(data) % 4)
    section = struct.pack("=IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
    interface = struct.pack("=IIHHII", 1, 20, 1, 0, 0, 20)
    microseconds = START // 1000
    size = 32 + len(padded)
    packet = struct.pack("=IIIIIII", 6, size, 0, microseconds >> 32, microseconds & 0xFFFFFFFF,
                         len(data), len(data)) + padded + struct.pack("=I", size)  # fmt: skip
    path = tmp_path / "a.pcapng"
    path.write_bytes(section + interface + packet)
    batches = [(batch.watermark, payloads([batch])) for batch in opened(path)]
    assert batches == [(START, [invite("ng")])]


def test_a_file_without_packets_is_no_error(tmp_path: Path) -> None:
    assert payloads(opened(capture(tmp_path / "a.pcap"))) == []


def test_a_name_that_is_not_unicode_is_read(tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(str(tmp_path)) + b"/\xff.pcap")
    write(path, 1, [(START, frame("name"))])
    assert payloads(opened(path)) == [invite("name")]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"INVITE sip:bob@example.com SIP/2.0\r\n" * 10, "not a capture file"),
        (b"\x1f\x8b\x08\0" + bytes(40), "gzip data is damaged"),
        (struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 105), "link type 105"),
        (struct.pack("=IHHi", 0xA1B2C3D4, 2, 4, 0), "not a capture file"),
    ],
    ids=["empty", "text", "gzip", "wireless", "half a header"],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "bad.pcap"
    path.write_bytes(content)
    with pytest.raises(CaptureError, match=words) as error:
        read(str(path), 0, PORTS, Counts())
    assert str(error.value).startswith(f"{path}: ")


def test_a_missing_file_a_directory_and_a_forbidden_one_are_named(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="No such file"):
        opened(tmp_path / "none.pcap")
    with pytest.raises(CaptureError, match="directory"):
        opened(tmp_path)
    with pytest.raises(CaptureError):
        opened("a\0b")
    if os.geteuid() != 0:  # root reads everything
        (tmp_path / "secret.pcap").touch(mode=0)
        with pytest.raises(CaptureError, match="Permission denied"):
            opened(tmp_path / "secret.pcap")


def test_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    whole = capture(tmp_path / "a.pcap", *range(0, 50_000, 1000))
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    # A process, not a thread: pcapy holds the interpreter's lock while it opens.
    writer = subprocess.Popen(["sh", "-c", 'cat "$0" > "$1"', str(whole), str(pipe)])
    try:
        assert len(payloads(opened(pipe))) == 50
    finally:
        writer.kill()
        writer.wait()


def test_standard_input_is_read(tmp_path: Path) -> None:
    path = capture(tmp_path / "a.pcap", 0, 1000)
    script = (
        "from algwatch.base.native.rows import Counts; from algwatch.capture.pcap import read;"
        "print(sum(batch.count for batch in read('-', 0, (5060,), Counts())))"
    )
    with path.open("rb") as file:
        done = subprocess.run(
            [sys.executable, "-c", script],
            stdin=file,
            capture_output=True,
            check=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
    assert done.stdout.strip() == b"2"


def test_merged_files_come_in_order_of_time_and_complete(tmp_path: Path) -> None:
    # One file has an INVITE a millisecond for 20 s, the other one a second for 200 s.
    dense = capture(tmp_path / "a.pcap", *range(0, 20 * SECOND, SECOND // 1000), name="dense")
    sparse = capture(tmp_path / "b.pcap", *range(0, 200 * SECOND, SECOND), name="sparse")
    total, ends, slots = {0: 0, 1: 0}, {}, []
    for batch in merged([(str(dense), 0), (str(sparse), 1)], PORTS, Counts()):
        if not batch.count:
            ends[batch.tap] = batch.watermark
            continue
        at = [row[0] for row in rows(batch)]
        assert at == sorted(at)
        assert {moment // SLOT for moment in at} == {batch.watermark // SLOT}
        assert all(row[16] == batch.tap for row in rows(batch))
        slots.append(batch.watermark)
        total[batch.tap] += batch.count
    assert slots == sorted(slots)
    assert total == {0: 20_000, 1: 200}
    assert ends == {0: START + 20 * SECOND - SECOND // 1000, 1: START + 199 * SECOND}


def test_merged_files_tell_which_of_them_was_cut(tmp_path: Path) -> None:
    good = capture(tmp_path / "good.pcap", 0, 1000)
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(good.read_bytes()[:-1])
    both = merged([(str(good), 0), (str(cut), 1)], PORTS, Counts())
    assert sum(batch.count for batch in both) == 3
    assert both.truncated_tail == 1
    assert [problem.split(":")[0] for problem in both.problems] == [str(cut)]


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (b"GMBU\1\2\1\0", "a capture of Microsoft Network Monitor"),
        (b"RTSS\1\1\0\0", "a capture of Microsoft Network Monitor"),
        (b"snoop\0\0\0", "a capture of snoop"),
        # ERF has no magic number: its file begins with a time stamp, and a type of record.
        (bytes.fromhex("000000005e0b613d02040040000000300000"), "not a capture file"),
        (b"", "the file is empty"),
        (b"\x1f\x8b\x08\0", "its gzip data is damaged"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"\xfd7zXZ\0", "its xz data is damaged"),
    ],
)
def test_other_formats_are_refused_by_their_name(start: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "other.cap"
    path.write_bytes(start and start.ljust(200, b"\0"))
    with pytest.raises(CaptureError, match=said) as refused:
        list(read(str(path), 0, PORTS, Counts()))
    assert str(path) in str(refused.value)
    assert ("editcap" in str(refused.value)) is said.startswith(("a capture", "not a"))


def _index() -> list[tuple[str, int]]:
    try:
        with (CAPTURES / "INDEX.tsv").open() as file:
            return [
                (row["file"], int(row["sip_messages"]))
                for row in csv.DictReader(file, delimiter="\t")
            ]
    except OSError:
        return []


@pytest.mark.skipif(not _index(), reason="../shared/captures is not there")
@pytest.mark.parametrize(("name", "expected"), _index())
def test_as_many_messages_as_tshark_found(name: str, expected: int) -> None:
    found = 0
    for batch in read(str(CAPTURES / name), 0, PORTS, Counts()):
        found += sum(row[13] == layout.KIND_SIP for row in rows(batch))
    expected, _ = EXCEPTIONS.get(name, (expected, ""))
    assert found == expected
