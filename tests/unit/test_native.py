# SPDX-License-Identifier: Apache-2.0
"""The boundary to C: rows, their hashes, and what becomes a row at all."""

from __future__ import annotations

import itertools
import json
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from algwatch._native import ffi
from algwatch.base.native import layout
from algwatch.base.native.rows import Counts, Scanner
from algwatch.base.native.scan import hash_bytes, scan_message
from rows import Row, meta_of, request, scan
from test_frame import MESSAGE, ether, four, six, tcp, udp

ROOT = Path(__file__).resolve().parents[2]
CAPTURES = ROOT.parent / "shared" / "captures"
RAW = 12
# Captures whose messages are not each in one packet of IP: nothing but reassembly (and for the
# first a GTP decoder, which no home router needs) finds all of them.
IN_PIECES = {
    "arkime__gtp-iphone.pcap",
    "sip-capture__sip-i.pcap",
    "suricata-verify__sip-body-large.pcap",
    "suricata-verify__sip-tcp.pcap",
}
STUN = b"\0\1\0\0\x21\x12\xa4\x42" + bytes(12)
TLS = b"\x16\x03\x01\x02\x00\x01"


def kinds(*frames: bytes, ports: tuple[int, ...] = (5060,)) -> list[int]:
    return [row.kind for row in scan(RAW, *frames, ports=ports)]


# Values on which Python and C must agree


def test_rows_and_ends_have_the_size_that_c_gives_them() -> None:
    assert layout.ROW.size == ffi.sizeof("aw_row") == 64
    assert layout.ENDS.size == ffi.sizeof("aw_ends") == 48
    members = [name for name, _ in ffi.typeof("aw_row").fields]
    members += [name for name, _ in ffi.typeof("aw_ends").fields]
    assert members == list(Row._fields)


@pytest.mark.parametrize(
    ("prefix", "enum", "names"),
    [
        ("AW_", "aw_anomaly", layout.ANOMALY_NAMES),
        ("AW_", "aw_method", layout.METHOD_NAMES),
    ],
)
def test_names_are_those_of_the_header(prefix: str, enum: str, names: tuple[str, ...]) -> None:
    values = ffi.typeof(f"enum {enum}").elements
    assert len(names) == len(values)
    special = {"AW_UNKNOWN": "", "AW_OTHER_METHOD": "OTHER"}
    for value, name in values.items():
        expected = special.get(name, name.removeprefix(prefix))
        assert names[value].upper() == expected


def test_the_hash_is_siphash_1_3() -> None:
    """CPython's own hash of bytes is an independent SipHash-1-3 with a zero key."""
    if sys.hash_info.algorithm != "siphash13":
        pytest.skip("this Python does not hash with SipHash-1-3")
    texts = [bytes(range(n)) for n in range(1, 40)]
    program = f"print([hash(t) for t in {texts!r}])"
    out = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONHASHSEED": "0"},
        capture_output=True,
        check=True,
    ).stdout
    expected = [value & (2**64 - 1) for value in json.loads(out)]
    assert [hash_bytes(bytes(16), text) for text in texts] == expected


def test_a_key_that_has_not_16_bytes_is_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        hash_bytes(b"short", b"")
    with pytest.raises(ValueError, match="16 bytes"):
        Scanner(RAW, 0, bytes(17), (), Counts())


def test_a_table_that_is_no_table_is_refused() -> None:
    scanner = Scanner(RAW, 0, layout.REPLAY_KEY, (), Counts())
    with pytest.raises(ValueError, match="16-byte records"):
        list(scanner.scan(b"", bytes(17), 0))


def test_a_table_that_lies_about_its_buffer_reads_nothing_outside() -> None:
    counts = Counts()
    scanner = Scanner(RAW, 0, layout.REPLAY_KEY, (5060,), counts)
    frame = four(udp())
    meta = struct.pack("=12I", 0, 0, 0, 10**6, 0, 0, 10**6, 10, 0, 0, len(frame), 2**32 - 1)
    (batch,) = scanner.scan(frame, meta, 0)
    assert batch.count == 1
    assert counts.as_dict()["packets"] == 3


def test_a_result_belongs_to_the_caller() -> None:
    _, first = scan_message(request("BYE"))
    before = bytes(first)
    scan_message(request("INVITE", "other"))
    assert bytes(first) == before


# Bytes that are not SIP


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (b"\r\n", layout.KIND_KEEPALIVE),
        (b"\r\n\r\n", layout.KIND_KEEPALIVE),
        (b"\0", layout.KIND_KEEPALIVE),
        (b"\0" * 10, layout.KIND_KEEPALIVE),
        (b"  \r\n", layout.KIND_KEEPALIVE),
        (STUN, layout.KIND_STUN),
    ],
)
def test_what_keeps_a_flow_alive_is_a_row_on_a_sip_port_only(payload: bytes, kind: int) -> None:
    assert kinds(four(udp(payload))) == [kind]
    assert kinds(four(udp(payload)), ports=(5070,)) == []
    assert kinds(four(tcp(payload), 6)) == [kind]
    assert kinds(four(tcp(payload), 6), ports=(5070,)) == []


def test_tls_is_in_a_stream_and_noise_over_udp_is_none() -> None:
    assert kinds(four(tcp(TLS), 6)) == [layout.KIND_TLS]
    assert kinds(four(tcp(TLS), 6), ports=(5070,)) == []
    assert kinds(four(udp(TLS))) == []
    assert layout.KIND_TLS not in kinds(four(tcp(b"\x16\x03\x5a\x02\0\1"), 6))


@pytest.mark.parametrize(
    "payload",
    [b"", b"\0" * 11, b"\x80\0" + bytes(170), b"GET / HTTP/1.1\r\n\r\n", b"\0\1\0\0" + bytes(16),
     b"hello world", b"INVITE"],
)  # fmt: skip
def test_anything_else_in_a_datagram_is_only_counted(payload: bytes) -> None:
    counts = Counts()
    assert scan(RAW, four(udp(payload)), counts=counts) == []
    assert counts.as_dict()["other"] == counts.as_dict()["packets"] == 1


def test_sip_is_found_on_any_port() -> None:
    assert kinds(four(udp()), ports=()) == [layout.KIND_SIP]
    assert kinds(four(tcp(), 6), ports=()) == [layout.KIND_SIP]


def test_a_segment_gives_a_row_for_each_message_and_one_for_the_rest() -> None:
    data = MESSAGE + b"\r\n" + MESSAGE + MESSAGE[:30]
    found = scan(RAW, four(tcp(data), 6), ports=())
    assert [row.kind for row in found] == [
        layout.KIND_SIP, layout.KIND_SIP, layout.KIND_SEGMENT,
    ]  # fmt: skip
    assert [row.length for row in found] == [len(MESSAGE), len(MESSAGE) + 2, 30]
    assert found[2].payload == 40 + len(data) - 30


def test_the_middle_of_a_message_is_a_segment_on_a_sip_port_only() -> None:
    assert kinds(four(tcp(MESSAGE[9:]), 6)) == [layout.KIND_SEGMENT]
    assert kinds(four(tcp(MESSAGE[9:]), 6), ports=()) == []


@pytest.mark.parametrize("cut", [15, 30, len(MESSAGE) - 1])
def test_the_start_of_a_message_is_a_segment_on_any_port(cut: int) -> None:
    assert kinds(four(tcp(MESSAGE[:cut]), 6), ports=()) == [layout.KIND_SEGMENT]


def test_encrypted_records_and_empty_segments_are_only_counted() -> None:
    assert kinds(four(tcp(b"\x17\x03\x03\x00\x05abcde"), 6), four(tcp(b""), 6)) == []


@pytest.mark.parametrize(
    ("flags", "number", "acknowledged"),
    [(0x02, 7000, 0), (0x12, 9, 7001), (0x14, 0, 7001), (0x04, 7000, 9), (0x11, 1, 7001)],
)
def test_a_connection_opened_refused_or_ended_is_a_row_on_a_sip_port_only(
    flags: int, number: int, acknowledged: int
) -> None:
    for mine, ports in ((40000, (5060,)), (5061, ())):
        header = struct.pack(
            "!HHIIBBHHH", mine, 5060, number, acknowledged, 0x50, flags, 65535, 0, 0
        )
        (row,) = scan(RAW, four(header, 6), ports=ports)
        assert (row.kind, row.status, row.cseq) == (layout.KIND_CONNECT, flags, 7000)
        assert (row.payload, row.length) == (20, 20)
    assert kinds(four(header, 6), ports=(5070,)) == [layout.KIND_CONNECT]  # 5061
    assert kinds(four(header[:13] + b"\x10" + header[14:], 6)) == []
    assert kinds(four(b"\x10\x00" + header[2:], 6), ports=(5070,)) == []


def icmp(kind: int, quoted: bytes) -> bytes:
    return four(struct.pack("!BBHI", kind, 1, 0, 0) + quoted, 1)


def test_an_icmp_error_tells_of_the_flow_that_it_quotes() -> None:
    packet = four(udp(), fragment=0x4000)
    sent, error = scan(RAW, packet, icmp(3, packet[:28]))
    assert error.kind == layout.KIND_ICMP
    assert error.flow == sent.flow
    assert (error.src, error.dst, error.sport, error.dport) == (
        sent.src, sent.dst, sent.sport, sent.dport,
    )  # fmt: skip
    assert error.ip_id == sent.ip_id
    assert error.status == 3 << 8 | 1


def test_an_icmpv6_error_tells_of_the_flow_that_it_quotes() -> None:
    packet = six(udp())
    sent, error = scan(RAW, packet, six(struct.pack("!BBHI", 1, 4, 0, 0) + packet[:48], 58))
    assert error.kind == layout.KIND_ICMP
    assert error.flow == sent.flow


def test_other_icmp_is_only_counted() -> None:
    assert kinds(icmp(8, four(udp()))) == []  # an echo request
    assert kinds(icmp(3, four(udp()))[:40]) == []  # quotes too little
    assert kinds(icmp(3, four(udp())), ports=(5070,)) == []


# Batches


@pytest.mark.parametrize("max_rows", [32, 33, 1024])
def test_every_packet_is_taken_whatever_the_room_for_rows(max_rows: int) -> None:
    frames = tuple(four(udp(request(cseq=n))) for n in range(100))
    found = scan(RAW, *frames, max_rows=max_rows)
    assert [row.cseq for row in found] == list(range(100))
    assert [row.frame for row in found] == [0, *itertools.accumulate(map(len, frames[:-1]))]


def test_only_the_last_batch_has_the_watermark() -> None:
    frames = tuple(four(udp()) for _ in range(40))
    scanner = Scanner(RAW, 0, layout.REPLAY_KEY, (), Counts(), max_rows=32)
    marks = [b.watermark for b in scanner.scan(b"".join(frames), meta_of(frames), 99)]
    assert len(marks) > 1
    assert marks[-1] == 99
    assert set(marks[:-1]) == {0}


def test_room_for_less_than_one_packet_is_refused() -> None:
    with pytest.raises(ValueError, match="room for 31 rows"):
        Scanner(RAW, 0, layout.REPLAY_KEY, (), Counts(), max_rows=31)


def test_every_packet_is_counted_once() -> None:
    counts = Counts()
    frames = (
        four(udp()), four(udp(b"\r\n")), four(udp(STUN)), four(tcp(TLS), 6), four(udp(b"?" * 20)),
        icmp(3, four(udp())), four(udp(), fragment=0x2000), four(tcp(MESSAGE[:30]), 6),
        b"\x99" * 40, four(udp(b"BYE a SIP/2.0\r\n\r\n")), four(udp())[:60],
    )  # fmt: skip
    scan(RAW, *frames, counts=counts)
    assert counts.as_dict() == {
        "packets": 11, "sip": 2, "keepalive": 1, "stun": 1, "tls": 1, "icmp": 1, "fragments": 1,
        "segments": 1, "other": 1, "not_ip": 1, "truncated": 1, "malformed": 2, "cut": 1,
        "forged": 0, "damaged": 0,
    }  # fmt: skip


def test_ethernet_frames_that_carry_no_ip_are_counted_so() -> None:
    counts = Counts()
    assert scan(1, ether(0x0806, bytes(28)), ether(0x86DD, six(udp())), counts=counts)
    assert counts.as_dict()["not_ip"] == 1


def test_the_boundary_is_the_only_importer_of_the_extension() -> None:
    importers = {
        str(path.relative_to(ROOT / "agent" / "algwatch"))
        for path in (ROOT / "agent").rglob("*.py")
        if re.search(r"^\s*(from|import) algwatch\._native", path.read_text(), re.M)
    }
    six = ("layout", "privileges", "ring", "rows", "rtp", "scan")
    assert importers == {f"base/native/{name}.py" for name in six}


@pytest.mark.skipif(not CAPTURES.is_dir(), reason="../shared/captures is not there")
@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.*cap")), ids=lambda path: path.name)
def test_real_captures_give_the_messages_that_tshark_finds(path: Path) -> None:
    truth = json.loads((CAPTURES / "truth" / f"{path.name}.json").read_text())
    pcapy = pytest.importorskip("pcapy")
    reader = pcapy.open_offline(str(path))
    scanner = Scanner(reader.datalink(), 0, layout.REPLAY_KEY, (5060,), Counts())
    found: list[tuple[int, int, int]] = []
    while True:
        buffer, meta = reader.next_batch(256)
        if not meta:
            break
        for batch in scanner.scan(buffer, meta, 0):
            for row in layout.ROW.iter_unpack(batch.rows):
                if row[13] == layout.KIND_SIP:
                    found.append((row[0] // 1000, row[10], row[7]))
    expected = []
    for call in truth["calls"].values():
        for message in call["messages"]:
            status = int(message["kind"]) if message["kind"].isdigit() else 0
            seconds, _, fraction = message["time"].partition(".")
            at = int(seconds) * 1_000_000 + int(fraction[:6])
            expected.append((at, status, int(message["cseq"] or 0)))
    if path.name in IN_PIECES:
        assert set(found) < set(expected)
    else:
        assert sorted(found) == sorted(expected)
