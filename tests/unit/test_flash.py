# SPDX-License-Identifier: Apache-2.0
"""The copy on flash: what is there is there after a power loss, and it wears flash little."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from zlib import crc32

import pytest
from algwatch.base.plain import pack
from algwatch.report.flash import (
    _HEAD,
    _MARK,
    LARGE,
    LONGEST,
    LOOK,
    MOST,
    PAGE,
    PAGES,
    Flash,
)
from small_disk import fill, small_disk

Waiting = list[tuple[str, bytes]]


class Router:
    """now: seconds, monotonic. said: lines of its agents."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "verdicts"
        self.now, self.boot = 1000.0, "boot 1"
        self.said: list[str] = []
        self._last: Flash | None = None

    def start(self) -> Flash:
        """After the end of the agent before."""
        self.end()
        self._last = self.beside()
        return self._last

    def end(self) -> None:
        """As the kernel does."""
        if self._last is not None:
            for number in {self._last._file, self._last._lock} - {-1}:
                os.close(number)
        self._last = None

    def beside(self) -> Flash:
        return Flash(str(self.path), self.boot, self.said.append, lambda: self.now)

    def left(self, here: list[bytes] | None = None, survived: bool = False) -> list[bytes]:
        """What a start finds after a power loss, or what else is said of the spool."""
        return [one.payload for one in self.start().left(here or [], survived)]

    def copy(self, flash: Flash, waiting: Waiting, at_end: bool = False) -> None:
        """Look until nothing waits for a look; at once, not for LONGEST."""
        flash.look(waiting, at_end)
        self.now += LONGEST
        flash.look(waiting, at_end)
        settle(flash)


def settle(flash: Flash) -> None:
    end = time.monotonic() + 10
    while flash._busy and time.monotonic() < end:
        time.sleep(0.001)


def findings(count: int, size: int = 1600, seed: int = 7) -> Waiting:
    chance = random.Random(seed)
    return [("finding", b"%d " % number + chance.randbytes(size)) for number in range(count)]


@pytest.fixture
def router(tmp_path: Path) -> Router:
    return Router(tmp_path)


def test_what_was_copied_is_there_after_a_power_loss_and_nothing_of_it_is_copied_again(
    router: Router,
) -> None:
    some = findings(20)
    flash = router.start()
    assert flash.left([], False) == []
    flash.look(some[:20])
    settle(flash)
    assert flash.batches == 1
    due = [flash.due]
    router.now += LOOK
    assert [*due, flash.due] == [False, True]
    router.copy(flash, some)
    assert flash.batches == 1
    router.boot = "boot 2"
    assert router.left() == [payload for _, payload in some]
    assert router.left([payload for _, payload in some[:5]]) == [p for _, p in some[5:]]
    again = router.start()
    again.left([], False)
    router.copy(again, some)
    assert again.batches == 0


def test_a_report_waits_for_others_until_they_fill_a_batch_or_an_hour_is_over(
    router: Router,
) -> None:
    flash = router.start()
    few = findings(2)
    flash.look(few)
    router.now += LONGEST - 1
    flash.look(few)
    assert flash.batches == 0 and not router.path.exists()
    router.now += 1
    flash.look(few)
    settle(flash)
    assert (flash.batches, flash.written) == (1, PAGE)
    more = few + findings(LARGE // 1600 + 1, seed=8)
    router.now += LOOK
    flash.look(more)
    settle(flash)
    assert flash.batches == 2
    assert flash.written <= 2 * sum(len(payload) for _, payload in more)


def test_what_the_broker_has_acknowledged_is_neither_copied_nor_sent_after_a_power_loss(
    router: Router,
) -> None:
    flash, some = router.start(), findings(6)
    flash.look(some[:1])
    flash.look([])  # acknowledged
    router.copy(flash, [])
    assert flash.batches == 0
    router.copy(flash, some[:4])
    router.copy(flash, some[3:])  # three were acknowledged
    router.boot = "boot 2"
    assert router.left() == [payload for _, payload in some[3:]]


def test_a_restart_without_a_power_loss_takes_nothing_that_the_spool_has_dropped(
    router: Router,
) -> None:
    flash, some = router.start(), findings(4)
    router.copy(flash, some)
    again = router.start()
    assert again.left([some[3][1]], survived=True) == []
    router.copy(again, [*some[3:], *findings(1, seed=8)])
    router.boot = "boot 2"
    assert router.left() == [some[3][1], findings(1, seed=8)[0][1]]
    # The spool was taken away.
    router.boot = "boot 1"
    assert router.left([], survived=False) == [some[3][1], findings(1, seed=8)[0][1]]


def test_of_advice_the_latest_is_taken(router: Router) -> None:
    flash = router.start()
    for number in range(3):
        router.copy(flash, [("advice", b"advice %d" % number), *findings(1)])
    router.boot = "boot 2"
    assert [one.kind for one in router.start().left([], False)] == ["finding", "advice"]
    assert router.left()[-1] == b"advice 2"


def test_the_ring_holds_the_latest_and_never_grows(router: Router) -> None:
    flash, some = router.start(), findings(600)
    for end in range(10, 601, 10):
        router.now += LOOK
        flash.look(some[:end])
        settle(flash)
    assert router.path.stat().st_size == PAGE * PAGES
    router.boot = "boot 2"
    left = router.left()
    assert left == [payload for _, payload in some][-len(left) :]
    assert PAGE * PAGES * 0.7 < sum(map(len, left)) < PAGE * PAGES


def test_a_clean_end_copies_what_waits(router: Router) -> None:
    flash = router.start()
    flash.look(findings(1), at_end=True)
    assert not flash._busy
    router.boot = "boot 2"
    assert router.left() == [findings(1)[0][1]]


def test_a_torn_or_damaged_batch_costs_no_other_one(router: Router) -> None:
    flash, some = router.start(), findings(24)
    for end in (8, 16, 24):
        router.now += LOOK
        flash.look(some[:end])
        settle(flash)
    data = router.path.read_bytes()
    payloads = [payload for _, payload in some]
    router.boot = "boot 2"
    chance = random.Random(7)
    size = flash.written
    for _ in range(60):
        at = chance.randrange(size)
        if chance.random() < 0.5:  # the pages of a batch are written in any order
            page = at // PAGE * PAGE
            router.path.write_bytes(data[:page] + b"\xff" * PAGE + data[page + PAGE :])
        else:
            router.path.write_bytes(data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])
        left = router.left()
        whole = [payloads[first : first + 8] for first in (0, 8, 16)]
        assert left in ([*whole[0], *whole[1]], [*whole[0], *whole[2]], [*whole[1], *whole[2]],
                        payloads)  # fmt: skip
        assert router.said == []


def test_files_that_nobody_wrote_give_nothing_and_raise_nothing(router: Router) -> None:
    chance = random.Random(7)

    def batch(body: bytes, number: int = 1) -> bytes:
        return _HEAD.pack(_MARK, number, len(body), crc32(body, number & 0xFFFFFFFF)) + body

    bad = [pack(None), pack(["b", [], [[1, "state", b""]]]), pack([1, [], []]),
           pack(["b", ["x"], []]), pack(["b", [], [[-1, "finding", b""]]]), b"", b"\x08",
           pack(["b", [1], [[1, "finding", b"acknowledged"]]])]  # fmt: skip
    for data in [b"", b"\xff" * PAGE * PAGES, chance.randbytes(PAGE * PAGES), (_MARK * 3000),
                 *map(batch, bad), batch(bad[-1], (1 << 64) - 1), b"\0" * (4 << 20)]:  # fmt: skip
        router.path.write_bytes(data)
        flash = router.start()
        assert flash.left([], False) == []
        router.copy(flash, findings(1))
        assert flash.batches == 1
    router.path.write_bytes(batch(pack(["b", [], [[1, "finding", b"x"]]])))
    assert router.left() == [b"x"]


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: os.symlink("/dev/zero", path)])
def test_what_is_no_file_is_left_alone_with_one_line(
    router: Router, make: Callable[[Path], None]
) -> None:
    make(router.path)
    flash = router.start()
    assert flash.left([], False) == []
    for _ in range(3):
        router.copy(flash, findings(1))
    assert (
        len(router.said) == 1
        and "is not written, a power loss loses what waits" in (router.said[0])
    )


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        assert os.environ.get("CI") != "true"
        pytest.skip("needs root: mounts a small file system")
    with small_disk(tmp_path / "disk", PAGE * (PAGES + 4)) as made:
        yield made


def test_a_full_and_a_read_only_disk_cost_one_line_and_are_tried_again(disk: Path) -> None:
    router = Router(disk)
    ballast = fill(disk)
    flash = router.start()
    for number in range(3):
        router.copy(flash, findings(number + 1))
    assert [line.rpartition(": ")[2] for line in router.said] == ["No space left on device"]
    ballast.unlink()
    router.copy(flash, findings(4))
    assert router.said.pop() == f"flash {router.path} is written again" and flash.batches == 1
    fill(disk)  # the file has its room
    router.copy(flash, findings(5))
    assert flash.batches == 2
    router.said.clear()
    router.end()
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    flash = router.start()
    router.boot = "boot 2"
    flash.left([], False)
    for number in range(6, 9):
        router.copy(flash, findings(number))
    assert [line.rpartition(": ")[2] for line in router.said] == ["Read-only file system"]
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    router.copy(flash, findings(9))
    assert flash.batches == 1
    assert router.left() == [payload for _, payload in findings(9)]
    router.end()


@contextmanager
def ext4(folder: Path) -> Iterator[tuple[Path, Callable[[], int]]]:
    """A file system on a device of its own, and the bytes that were written to that device."""
    image, mounted = folder / "image", folder / "mounted"
    with image.open("wb") as file:
        file.truncate(16 << 20)
    lazy = "lazy_itable_init=0,lazy_journal_init=0"
    subprocess.run(["mkfs.ext4", "-q", "-F", "-E", lazy, str(image)], check=True)
    loop = subprocess.run(["losetup", "-f", "--show", str(image)], check=True, text=True,
                          capture_output=True).stdout.strip()  # fmt: skip
    mounted.mkdir()
    subprocess.run(["mount", "-t", "ext4", loop, str(mounted)], check=True)

    def written() -> int:
        fd = os.open(mounted, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)
        subprocess.run(["sync", "-f", str(mounted)], check=True)
        return int(Path(f"/sys/block/{Path(loop).name}/stat").read_text().split()[6]) * 512

    try:
        yield mounted, written
    finally:
        subprocess.run(["umount", str(mounted)], check=True)
        subprocess.run(["losetup", "-d", loop], check=False)


# Verdict changes of 1.6 kB in a day, and the most that a byte of them may cost on the device.
DAYS = {100: 2.0, 400: 2.0, 650: 2.0}


@pytest.mark.parametrize("count", DAYS)
def test_a_busy_day_writes_no_more_than_twice_its_bytes_to_the_device(
    count: int, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        assert os.environ.get("CI") != "true"
        pytest.skip("needs root and mkfs.ext4: a file system of its own")
    some = findings(count)
    payload = sum(len(one) for _, one in some)
    with ext4(tmp_path) as (folder, written):
        router = Router(folder)
        flash = router.start()
        router.copy(flash, findings(1, seed=8))  # makes the file, once
        before, own = written(), flash.written
        told = 0
        for look in range(int(86400 / LOOK)):
            told = round(count * (look + 1) / (86400 / LOOK))
            flash.look(some[max(0, told - 150) : told])
            settle(flash)
            router.now += LOOK
        flash.look(some[max(0, told - 150) :], at_end=True)
        settle(flash)
        device = written() - before
        router.end()
    record_property(
        "said", f"{count} verdict changes a day, {payload} bytes, in {flash.batches - 1} batches: "
        f"{flash.written - own} bytes in the file, {device} on the device, "
        f"{device / payload:.2f} a byte"
    )  # fmt: skip
    assert device <= DAYS[count] * payload
    assert MOST * PAGE > LARGE


REFUSED = "another algwatch uses it: stop that one, or give this one a flash of its own"


def test_an_agent_keeps_off_the_file_of_another_and_says_what_to_do(router: Router) -> None:
    first = router.start()
    router.copy(first, findings(4))
    second = router.beside()
    assert second.left([], False) == []
    assert [REFUSED in line for line in router.said] == [True]
    before = router.path.read_bytes()
    router.copy(second, findings(8, seed=8))
    assert router.path.read_bytes() == before and second.batches == 0
    router.end()  # of the first; its batches are not known here
    router.copy(second, findings(8, seed=8))
    assert router.path.read_bytes() == before and len(router.said) == 1


def test_of_two_agents_without_a_file_the_one_that_makes_it_has_it(router: Router) -> None:
    first, second = router.start(), router.beside()
    assert first.left([], False) == second.left([], False) == []
    router.copy(second, findings(4))
    before = router.path.read_bytes()
    router.copy(first, findings(8, seed=8))
    assert router.path.read_bytes() == before
    assert [REFUSED in line for line in router.said] == [True]
    router.copy(second, findings(8, seed=9))
    assert second.batches == 2
