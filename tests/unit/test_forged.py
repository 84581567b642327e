# SPDX-License-Identifier: Apache-2.0
"""Frames that no stack accepts are counted, and are no evidence. Wrong checksums that offload or
editing left in a file are no forgery."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from algwatch.base.native import layout
from algwatch.base.native.rows import Counts
from algwatch.capture.pcap import read
from craft import frame, pcap, request
from forger import partial, summed, wrong
from test_pcapng import Maker

MESSAGE = request("OPTIONS", "sip:a@b", via="192.168.1.10:5060", branch="z9hG4bK1", call_id="c",
                  cseq=1)  # fmt: skip


def made(n: int = 1, src: str = "192.168.1.10", dst: str = "203.0.113.5") -> bytes:
    return summed(frame(MESSAGE, src, 5060, dst, 5060, ident=n))


def rows_of(path: Path, frames: list[bytes]) -> tuple[int, dict[str, int]]:
    """How many rows a file gives, and the counters."""
    path.write_bytes(pcap([(n * 1_000_000_000, data) for n, data in enumerate(frames, 1)]))
    counts = Counts()
    found = sum(batch.count for batch in read(str(path), 0, (5060,), counts))
    return found, counts.as_dict()


def test_one_wrong_checksum_among_right_ones_is_left_out_and_counted(tmp_path: Path) -> None:
    for broken in (wrong(made(), "ip"), wrong(made(), "udp")):
        found, counts = rows_of(tmp_path / "a.pcap", [broken, made(2)])
        assert found == 1
        assert (counts["forged"], counts["damaged"]) == (1, 1)


def test_right_ones_of_the_batch_before_count_as_well(tmp_path: Path) -> None:
    found, counts = rows_of(tmp_path / "a.pcap", [made(n) for n in range(64)] + [wrong(made())])
    assert (found, counts["forged"]) == (64, 1)


def test_a_file_whose_checksums_are_all_wrong_is_read(tmp_path: Path) -> None:
    found, counts = rows_of(tmp_path / "a.pcap", [wrong(made(n)) for n in range(100)])
    assert (found, counts["forged"], counts["damaged"]) == (100, 0, 100)


def test_an_offloading_hosts_own_packets_are_read_beside_right_ones(tmp_path: Path) -> None:
    """Only what it sends is wrong: the answers of the other host are right."""
    frames = []
    for n in range(40):
        frames += [wrong(made(n)), made(n, src="203.0.113.5", dst="192.168.1.10")]
    found, counts = rows_of(tmp_path / "a.pcap", frames)
    assert (found, counts["forged"]) == (80, 0)


def test_a_sum_that_the_card_was_to_finish_is_no_damage(tmp_path: Path) -> None:
    found, counts = rows_of(tmp_path / "a.pcap", [partial(made()), made(2)])
    assert (found, counts["damaged"]) == (2, 0)


def test_one_right_packet_does_not_hide_those_of_an_edited_file(tmp_path: Path) -> None:
    """A sender of one packet with a right checksum must not take all others away."""
    found, _ = rows_of(tmp_path / "a.pcap", [made(), *[wrong(made(n)) for n in range(2, 30)]])
    assert found == 30 - 1


def test_a_udp_length_beyond_its_ip_packet_is_no_cut_message(tmp_path: Path) -> None:
    """As cut it would excuse every message that is missing near it."""
    lying = bytearray(made())
    lying[38:40] = struct.pack("!H", 2000)
    found, counts = rows_of(tmp_path / "a.pcap", [bytes(lying), made(2)])
    assert (found, counts["cut"], counts["forged"]) == (1, 0, 1)


@pytest.mark.parametrize(
    ("flags", "bits"),
    [(0, 0), (1, layout.ROW_DIRECTED), (2, layout.ROW_DIRECTED | layout.ROW_OUTGOING), (3, 0)],
)
def test_pcapng_tells_the_direction_where_its_packets_do(
    tmp_path: Path, flags: int, bits: int
) -> None:
    maker = Maker().section().interface()
    maker.packet(1_000_000, made(), more=[(2, struct.pack("<I", flags))])
    (batch,) = read(str(maker.file(tmp_path)), 0, (5060,), Counts())
    (row,) = layout.ROW.iter_unpack(batch.rows)
    assert row[12] & (layout.ROW_DIRECTED | layout.ROW_OUTGOING) == bits
