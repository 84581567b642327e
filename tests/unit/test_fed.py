# SPDX-License-Identifier: Apache-2.0
"""A followed capture may be cut to nothing, or replaced, while it is read."""

from __future__ import annotations

import struct

import pytest
from algwatch.capture.fed import FedReader
from craft import NS, frame, pcap

ONE = pcap([(n * NS, frame(b"x", "192.0.2.1", 5060, "192.0.2.2", 5060)) for n in range(1, 4)])


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_file_that_begins_anew_goes_on(size: int) -> None:
    reader = FedReader("a")
    data = ONE * 3
    counts = [
        packets.count
        for at in range(0, len(data), size)
        for packets in reader.feed(data[at : at + size])
    ]
    assert (sum(counts), reader.problem) == (9, "")


def test_another_form_ends_it_with_a_reason() -> None:
    reader = FedReader("a")
    other = bytearray(ONE)
    struct.pack_into("<I", other, 20, 113)
    assert sum(packets.count for packets in reader.feed(ONE + bytes(other))) == 3
    assert "another form" in reader.problem
