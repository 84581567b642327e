# SPDX-License-Identifier: Apache-2.0
"""The kernel's table of connections, read as text and in pieces."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from algwatch.base.tracked import Tracked
from algwatch.capture import conntrack
from algwatch.capture.conntrack import Conntrack, NoAccounting, tracked

# As Linux 5.15 to 6.18 and OpenWrt print them.
ONE_WAY = (
    b"ipv4     2 udp      17 58 src=192.168.1.10 dst=203.0.113.9 sport=16384 dport=20000 "
    b"packets=312 bytes=62400 [UNREPLIED] src=203.0.113.9 dst=198.51.100.2 sport=20000 dport=16384 "
    b"packets=0 bytes=0 mark=0 zone=0 use=2"
)
BOTH = (
    b"ipv4     2 udp      17 179 src=192.168.1.10 dst=203.0.113.9 sport=16384 dport=20000 "
    b"packets=312 bytes=62400 src=203.0.113.9 dst=198.51.100.2 sport=20000 dport=1024 "
    b"packets=300 bytes=60000 [ASSURED] mark=256 secctx=system_u:object_r:unlabeled_t:s0 "
    b"zone=3 delta-time=9 use=1"
)
NO_COUNTERS = (
    b"ipv4     2 udp      17 58 src=192.168.1.10 dst=203.0.113.9 sport=16384 dport=20000 "
    b"[UNREPLIED] src=203.0.113.9 dst=198.51.100.2 sport=20000 dport=16384 mark=0 zone=0 use=2"
)
OFFLOADED = (
    b"ipv4     2 udp      17 src=192.168.1.10 dst=203.0.113.9 sport=16384 dport=20000 packets=9 "
    b"bytes=900 src=203.0.113.9 dst=198.51.100.2 sport=20000 dport=16384 packets=8 bytes=800 "
    b"[%s] mark=0 zone=0 use=3"
)
IPV6 = (
    b"ipv6     10 udp      17 178 src=2001:0db8:0000:0000:0000:0000:0000:0010 "
    b"dst=2001:0db8:00aa:0000:0000:0000:0000:0009 sport=16384 dport=20000 packets=1 bytes=48 "
    b"src=2001:0db8:00aa:0000:0000:0000:0000:0009 dst=2001:0db8:0000:0000:0000:0000:0000:0010 "
    b"sport=20000 dport=16384 packets=2 bytes=96 mark=0 zone=0 use=2"
)
ZONES = (
    b"ipv4     2 udp      17 58 src=192.168.1.10 dst=203.0.113.9 sport=16384 dport=20000 "
    b"zone-orig=7 packets=1 bytes=200 [UNREPLIED] src=203.0.113.9 dst=198.51.100.2 sport=20000 "
    b"dport=16384 zone-reply=8 packets=0 bytes=0 mark=0 use=2"
)
PHONE, FAR = ("192.168.1.10", 16384), ("203.0.113.9", 20000)


def read(line: bytes) -> Tracked:
    one = tracked(line, 7)
    assert one is not None
    return one


def test_a_flow_has_the_addresses_of_both_sides_and_its_packets_both_ways() -> None:
    one = read(BOTH)
    assert (one.at, one.original) == (7, (PHONE, FAR))
    assert one.reply == (FAR, ("198.51.100.2", 1024))
    assert (one.sent, one.answered, one.offloaded) == ((312, 62400), (300, 60000), False)


@pytest.mark.parametrize("line", [ONE_WAY, ZONES])
def test_what_nobody_answered_has_no_packets_that_way(line: bytes) -> None:
    assert read(line).answered == (0, 0)


def test_without_accounting_there_are_no_numbers() -> None:
    one = read(NO_COUNTERS)
    assert (one.sent, one.answered) == (None, None)


@pytest.mark.parametrize("word", [b"OFFLOAD", b"HW_OFFLOAD"])
def test_a_flow_that_passes_without_being_counted_is_known_as_one(word: bytes) -> None:
    assert read(OFFLOADED % word).offloaded


def test_addresses_of_ipv6_are_written_as_everywhere() -> None:
    one = read(IPV6)
    assert one.original == (("2001:db8::10", 16384), ("2001:db8:aa::9", 20000))
    assert one.reply == (("2001:db8:aa::9", 20000), ("2001:db8::10", 16384))


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"ipv4     2 udp      17 58 ",
        b"\0" * 400,
        b"x" * 100_000,
        ONE_WAY.replace(b"udp      17", b"tcp      6"),
        ONE_WAY.replace(b"udp      17", b"udplite  136"),
        ONE_WAY.replace(b"192.168.1.10", b"192.168.1.1000"),
        ONE_WAY.replace(b"sport=16384", b"sport=163840"),
        ONE_WAY.replace(b"sport=16384", b"sport=\xb2"),
        ONE_WAY.replace(b"ipv4", b"ipv6"),
        IPV6.replace(b"2001:0db8:00aa", b"2001:0db8:00zz"),
        IPV6.replace(b"ipv6", b"ipv4"),
        ONE_WAY[:-40] + ONE_WAY,
    ],
)
def test_what_is_no_udp_flow_is_none(line: bytes) -> None:
    assert tracked(line, 7) is None


@pytest.mark.parametrize("line", [ONE_WAY, BOTH, NO_COUNTERS, OFFLOADED % b"OFFLOAD", IPV6])
def test_no_line_that_is_cut_or_damaged_breaks_anything(line: bytes) -> None:
    for i in range(len(line)):
        tracked(line[:i], 7)
        tracked(line[:i] + b"\xff" + line[i + 1 :], 7)


# ---- the table ----

OTHER = (
    b"ipv4     2 udp      17 5 src=192.168.1.%d dst=203.0.113.9 sport=%d dport=443 packets=1 "
    b"bytes=70 src=203.0.113.9 dst=198.51.100.2 sport=443 dport=%d packets=1 bytes=70 mark=0 use=2"
)


def a_root(path: Path, table: bytes | None, counts: str = "1\n") -> str:
    for name, text in (("proc/sys/net/netfilter/nf_conntrack_acct", counts.encode()),
                       ("proc/net/nf_conntrack", table)):  # fmt: skip
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        if text is not None:
            (path / name).write_bytes(text)
    return str(path)


def look(table: Conntrack, *ports: int) -> list[Tracked]:
    table.begin(ports)
    for _ in range(10_000):
        found = table.step(lambda: 7)
        if found is not None:
            return found
    raise AssertionError("the table has no end")


def in_pages(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """As procfs hands it out: never more than a page, whatever was asked for."""
    whole = os.read
    monkeypatch.setattr(conntrack.os, "read", lambda fd, count: whole(fd, min(count, size)))


@pytest.mark.parametrize("size", [1, 7, 300, 4096, 65536])
def test_a_flow_is_found_wherever_a_page_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    few = [OTHER % (i % 250, 1000 + i, 2000 + i) for i in range(3)]
    lines = [*few, ONE_WAY, b"garbage sport=16384 ", *few, BOTH, *few, IPV6]
    in_pages(monkeypatch, size)
    table = Conntrack(a_root(tmp_path, b"\n".join(lines) + b"\n"))
    assert len(look(table, 16384)) == 3
    assert [one.sent for one in look(table, 1024)] == [(312, 62400)], "of the mapped port alone"
    assert [one.original[0] for one in look(table, 1001, 5)] == [("192.168.1.1", 1001)] * 3
    assert look(table, 99) == look(table, 638) == look(table, 1638) == []


def test_a_large_table_is_read_in_pieces_and_then_has_a_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [OTHER % (i % 250, 1024 + i, 1024 + i) for i in range(16_000)]
    in_pages(monkeypatch, 4096)
    table = Conntrack(a_root(tmp_path, b"\n".join([*lines, ONE_WAY]) + b"\n"))
    table.begin([20000])
    pieces = [0.0]
    found: list[Tracked] | None = None
    while found is None:
        began = time.thread_time()
        found = table.step(lambda: 7)
        pieces.append(time.thread_time() - began)
    assert [one.original for one in found] == [(PHONE, FAR)]
    assert len(pieces) > 2 and max(pieces) < 10 * conntrack.PIECE
    assert not table.ready, "not at once again"


def test_a_line_without_an_end_takes_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_pages(monkeypatch, 4096)
    table = Conntrack(a_root(tmp_path, b"sport=16384 " * 300_000 + b"\n" + ONE_WAY + b"\n"))
    table.begin([16384])
    while (found := table.step(lambda: 7)) is None:
        assert len(table._rest) <= conntrack.MOST_LINE
    assert len(found) == 1


def test_a_table_that_has_no_end_is_given_up_and_may_be_read_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conntrack, "LONGEST", 0.05)
    monkeypatch.setattr(conntrack, "REST", 0)
    monkeypatch.setattr(conntrack, "LEAST_REST", 0.0)
    table = Conntrack(a_root(tmp_path, ONE_WAY + b"\n"))
    assert len(look(table, 16384)) == 1
    endless: Iterator[bytes] = itertools.repeat(ONE_WAY + b"\n")
    read: Callable[[int, int], bytes] = lambda fd, count: next(endless)  # noqa: E731
    with monkeypatch.context() as patch:
        patch.setattr(conntrack.os, "read", read)
        with pytest.raises(OSError, match="for one look"):
            look(table, 16384)
    assert table.ready
    assert len(look(table, 16384)) == 1


def test_the_kernel_says_by_itself_whether_it_counts(tmp_path: Path) -> None:
    with pytest.raises(NoAccounting, match=r"sysctl -w net\.netfilter\.nf_conntrack_acct=1"):
        Conntrack(a_root(tmp_path / "off", ONE_WAY, "0\n"))
    with pytest.raises(NoAccounting, match=r"nf_conntrack: No such file"):
        Conntrack(a_root(tmp_path / "none", None))
    with pytest.raises(NoAccounting, match=r"nf_conntrack_acct: No such file"):
        Conntrack(str(tmp_path / "nothing"))


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    def descriptors() -> list[str]:
        """Of the files of this test: other tests of this process may have left threads."""
        links = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
        return [link for link in links if os.path.lexists(link)
                and os.readlink(link).startswith(str(tmp_path))]  # fmt: skip

    with pytest.raises(NoAccounting):
        Conntrack(a_root(tmp_path / "off", ONE_WAY, "0\n"))
    assert descriptors() == []
    table = Conntrack(a_root(tmp_path / "on", ONE_WAY))
    assert len(descriptors()) == 1
    table.close()
    table.close()
    assert descriptors() == []
