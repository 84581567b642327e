# SPDX-License-Identifier: Apache-2.0
"""Output: lines to a file descriptor that is slow, full, unread or gone."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator

import pytest
from algwatch.report import output
from algwatch.report.output import Output


def gap(lines: int, why: str) -> str:
    return f"[{lines} lost: {why}]"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            continue


def read_all(reader: int, seconds: float = 5.0, until: str = "last") -> list[str]:
    os.set_blocking(reader, False)
    data, end = b"", time.monotonic() + seconds
    while time.monotonic() < end and until.encode() not in data:
        try:
            data += os.read(reader, 65536)
        except BlockingIOError:
            time.sleep(0.01)
    return data.decode().splitlines()


def test_lines_come_out_in_order_and_whole(pipe: tuple[int, int]) -> None:
    out = Output(pipe[1], gap)
    lines = [f"line {n} " + "x" * (n % 300) for n in range(400)]
    for line in lines[:-1]:
        out.line(line)
        time.sleep(0.0002)
    out.line("last")
    assert read_all(pipe[0]) == [*lines[:-1], "last"]
    assert out.close(1.0) and out.lost == 0


def test_an_unread_pipe_holds_up_nobody_and_what_was_lost_is_told_where_it_is_missing(
    pipe: tuple[int, int],
) -> None:
    out = Output(pipe[1], gap, limit=8192)
    began = time.monotonic()
    for n in range(3000):
        out.line(f"line {n} " + "x" * 100)
        if n % 20 == 0:
            time.sleep(0.0005)
    assert time.monotonic() - began < 5
    assert not out.close(0.1)
    assert out.lost > 0
    said = read_all(pipe[0], 0.5, "never")
    assert said[-1].endswith("lost: ]"), "though no line came after those that were lost"
    follow(said, 3000)
    out.line("last")
    assert read_all(pipe[0]) == ["last"]


def follow(said: list[str], count: int) -> None:
    """Every line is there, or counted as lost where it is missing."""
    n = 0
    for line in said:
        if line.startswith("["):
            n += int(line[1:].split()[0])
        else:
            assert int(line.split()[1]) == n, line
            n += 1
    assert n == count


def test_a_slow_reader_gets_what_there_was_room_for(pipe: tuple[int, int]) -> None:
    out = Output(pipe[1], gap, limit=4096)
    said: list[str] = []
    for n in range(3000):
        out.line(f"line {n:0500d}")
        if n % 20 == 0:
            said += read_all(pipe[0], 0.002, "never")
    out.line("last")
    said += read_all(pipe[0], 5, "last")
    told = sum(line.startswith("line") for line in "\n".join(said).splitlines())
    assert out.lost and told < 3000


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EPIPE, errno.EFBIG])
def test_writing_goes_on_where_it_stopped_when_the_error_is_over(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    broken = [False]
    real = os.write

    def write(fd: int, data: bytes) -> int:
        if fd == pipe[1] and broken[0]:
            raise OSError(number, os.strerror(number))
        return real(fd, data[:7]) if fd == pipe[1] else real(fd, data)

    monkeypatch.setattr(output.os, "write", write)
    out = Output(pipe[1], gap, limit=1000)
    out.line("the first line")
    time.sleep(0.05)
    broken[0] = True
    for n in range(1000):
        out.line(f"line {n}")
    assert not out.close(0.05)
    broken[0] = False
    assert out.close(2.0)
    out.line("last")
    said = read_all(pipe[0])
    assert said[0] == "the first line" and said[-1] == "last"
    assert said[-2] == f"[{out.lost} lost: {os.strerror(number)}]"
    assert said[1:-2] == [f"line {n}" for n in range(1000 - out.lost)]


def test_a_file_that_somebody_else_made_nonblocking_is_waited_for(pipe: tuple[int, int]) -> None:
    os.set_blocking(pipe[1], False)
    out = Output(pipe[1], gap, limit=1 << 20)
    for n in range(300):
        out.line(f"line {n} " + "x" * 1000)
    out.line("last")
    assert len(read_all(pipe[0])) == 301
    assert out.lost == 0


def test_a_line_longer_than_all_that_may_wait_is_written_when_nothing_waits(
    pipe: tuple[int, int],
) -> None:
    out = Output(pipe[1], gap, limit=100)
    out.line("x" * 5000)
    assert out.close(2.0)
    assert read_all(pipe[0], until="\n") == ["x" * 5000]


def test_no_line_starts_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise AssertionError("no thread")

    monkeypatch.setattr(output, "start_new_thread", refuse)
    assert Output(1, gap).close(0.0)
