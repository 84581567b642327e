# SPDX-License-Identifier: Apache-2.0
"""What `analyze` reads: compressed files, folders and rotated captures, parts of a capture."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lz4.frame
import pytest
import zstandard
from algwatch.__main__ import main
from algwatch.capture import unpack
from algwatch.capture.unpack import Unreadable, unpacking
from craft import House, Packet, incoming_call, outgoing_call, pcap, register
from test_pcapng import Maker

PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress, "xz": lzma.compress, "bzip2": bz2.compress,
    "zstd": zstandard.ZstdCompressor().compress, "lz4": lz4.frame.compress,
}  # fmt: skip


def home() -> House:
    house = House("linux")
    register(house, 0)
    for number in range(6):
        outgoing_call(house, 10 + 60 * number, f"out{number}@phone")
        incoming_call(house, 30 + 60 * number, f"in{number}@provider")
    return house


def verdict(capsys: pytest.CaptureFixture[str], *words: str | Path) -> dict[str, Any]:
    main(["analyze", "--json", *map(str, words)])
    said = capsys.readouterr()
    assert said.err == ""
    return dict(json.loads(said.out))


@pytest.mark.parametrize("kind", PACK)
def test_a_compressed_file_is_read_as_what_it_holds(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lan, wan = home().sorted()
    for name, packets in (("lan", lan), ("wan", wan)):
        (tmp_path / name).write_bytes(pcap(packets))
        (tmp_path / f"{name}.packed").write_bytes(PACK[kind](pcap(packets)))
    plain = verdict(capsys, "--lan", tmp_path / "lan", "--wan", tmp_path / "wan")
    packed = verdict(capsys, "--lan", tmp_path / "lan.packed", "--wan", tmp_path / "wan.packed")
    assert packed == plain and len(plain["calls"]) == 12


@pytest.mark.parametrize("kind", PACK)
def test_members_behind_each_other_are_one_file_and_a_cut_one_is_told(kind: str) -> None:
    data = bytes(range(256)) * 5000
    packed = PACK[kind](data[:700_000]) + PACK[kind](data[700_000:])
    assert whole(kind, packed) == data
    for size in (len(packed) - 3, len(packed) // 3):
        with pytest.raises(Unreadable, match="ends early"):
            whole(kind, packed[:size])
    with pytest.raises(Unreadable, match="damaged"):
        whole(kind, packed[:12] + bytes(2000))


def whole(kind: str, packed: bytes) -> bytes:
    source = io.BytesIO(packed)
    unpacker = unpacking(kind, source.read, "")
    out = b""
    while data := unpacker.read(1 << 16):
        out += data
    return out


@pytest.mark.parametrize("kind", PACK)
def test_a_file_that_unpacks_to_a_huge_one_takes_no_memory(kind: str) -> None:
    bomb = PACK[kind](bytes(64 << 20))
    assert len(bomb) < 1 << 19
    source = io.BytesIO(bomb)
    unpacker = unpacking(kind, source.read, "")
    total = largest = 0
    while data := unpacker.read(1 << 16):
        total, largest = total + len(data), max(largest, len(data))
    assert total == 64 << 20
    assert largest <= (unpack.PIECE * 32 << 10 if kind == "zstd" else unpack.MOST)


def test_a_bomb_of_a_capture_ends_where_it_is_no_capture(tmp_path: Path) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    data = packer.compress(pcap([])) + b"".join(packer.compress(bytes(1 << 24)) for _ in range(4))
    (tmp_path / "bomb.gz").write_bytes(data + packer.flush())
    program = (
        "import sys\nfrom algwatch.__main__ import main\nstatus = main(sys.argv[1:])\n"
        "print([x for x in open('/proc/self/status') if x.startswith('VmHWM')][0])\n"
        "sys.exit(status)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "analyze", tmp_path / "bomb.gz"], capture_output=True,
        text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 3
    assert int(done.stdout.split("VmHWM:")[1].split()[0]) < 60_000  # kB


@pytest.mark.parametrize("kind", ["zstd", "lz4"])
def test_without_the_package_the_program_serves_and_without_both_the_line_to_type_is_told(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "some"
    path.write_bytes(PACK[kind](b"content" * 1000))
    monkeypatch.setitem(sys.modules, "zstandard", None)
    monkeypatch.setitem(sys.modules, "lz4", None)
    monkeypatch.setitem(sys.modules, "lz4.frame", None)
    one = unpacking(kind, path.open("rb").read, str(path))
    data = b""
    while piece := one.read(1000):
        data += piece
    one.close()
    assert data == b"content" * 1000
    monkeypatch.setenv("PATH", "")
    with pytest.raises(Unreadable, match=rf"pip install 'algwatch\[{kind}\]'"):
        unpacking(kind, path.open("rb").read, str(path))


def rotated(packets: list[Packet], parts: int) -> list[list[Packet]]:
    size = -(-len(packets) // parts)
    return [packets[i : i + size] for i in range(0, len(packets), size)]


def test_the_files_of_a_rotated_capture_are_one_in_order_of_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lan, wan = home().sorted()
    for name, packets in (("lan", lan), ("wan", wan)):
        (tmp_path / f"whole-{name}").write_bytes(pcap(packets))
    plain = verdict(capsys, "--lan", tmp_path / "whole-lan", "--wan", tmp_path / "whole-wan")
    folder = tmp_path / "rotated"
    folder.mkdir()
    (folder / "README").write_text("not a capture\n")
    for name, packets in (("lan", lan), ("wan", wan)):
        for number, part in enumerate(rotated(packets, 11)):
            # The names are in another order than the times: a ring that has begun again.
            path = folder / f"{name}.pcap{(number + 4) % 11 or ''}"
            data = pcap(part)
            path.with_name(path.name + ".gz").write_bytes(gzip.compress(data))
    assert verdict(capsys, folder) == plain
    names = [str(folder / "lan.pcap*"), "--wan", str(folder / "wan.pcap*")]
    assert verdict(capsys, "--lan", *names) == plain


def test_files_of_the_same_time_are_captures_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lan, wan = home().sorted()
    (tmp_path / "eth0.pcap").write_bytes(pcap(lan))
    (tmp_path / "eth1.pcap").write_bytes(pcap(wan))
    both = verdict(capsys, tmp_path / "eth0.pcap", tmp_path / "eth1.pcap")
    assert both["capture"]["sip_messages"] == len(lan) + len(wan)
    assert len(both["calls"]) == 12


def test_interfaces_of_several_files_of_a_series_are_told_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = [rotated(packets, 3) for packets in home().sorted()]
    for number in range(3):
        made = Maker().section().interface(1, 65535, "br-lan").interface(1, 65535, "pppoe-wan")
        both = [(at, which, data) for which in (0, 1) for at, data in parts[which][number]]
        for at, which, data in sorted(both):
            made.packet(at // 1000, data, which)
        (tmp_path / f"any_{number:05}.pcapng").write_bytes(made.data)
    said = verdict(capsys, tmp_path)
    assert len(said["calls"]) == 12 and said["crossings"]["paired"] > 60


@pytest.mark.parametrize(
    ("words", "calls"),
    [
        (["--since", "22:15:00"], 8),
        (["--since", "2023-11-14 22:15"], 8),
        (["--filter", "host 192.168.1.10"], 12),
        (["--filter", "host 192.168.1.99"], 0),
    ],
)
def test_a_part_of_a_capture_can_be_asked_for(
    words: list[str], calls: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lan").write_bytes(pcap(home().sorted()[0]))
    main(["analyze", "--json", str(tmp_path / "lan"), *words])
    said = json.loads(capsys.readouterr().out)
    assert len([c for c in said["calls"] if c["outcome"] == "completed"]) == calls


@pytest.mark.parametrize(
    "words", [["--filter", "hst 1"], ["--since", "noon"], ["--since", "25:00"], ["--call", "999"],
              ["--only", "ALG999"]],
)  # fmt: skip
def test_what_cannot_be_asked_for_is_told_in_one_line(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lan").write_bytes(pcap(home().sorted()[0]))
    assert main(["analyze", str(tmp_path / "lan"), *words]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1


def test_progress_tells_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                      capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    monkeypatch.setattr("algwatch.cli.progress.PATIENCE", 0.0)
    monkeypatch.setattr("algwatch.cli.progress.SELDOM", 0.0)
    (tmp_path / "lan").write_bytes(pcap(home().sorted()[0]))
    main(["analyze", "--brief", "--progress", str(tmp_path / "lan")])
    said = capsys.readouterr().err.splitlines()
    assert said and said[-1].startswith("algwatch: 100%, ") and "a second" in said[-1]
