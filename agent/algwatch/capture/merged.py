# SPDX-License-Identifier: Apache-2.0
"""Several capture files as one stream of batches, in order of time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from algwatch.base.native.rows import Counts
from algwatch.base.packet import Batch
from algwatch.capture.order import Order
from algwatch.capture.pcap import CaptureFile


class Merged:
    """Capture files, each with taps of its own: iterate over it to get their batches, each with
    rows of one slot of time (see Order).

    A batch without rows marks the end of its file: its watermark is the time of the last packet. A
    file without any packet gives no such batch, so an interface without traffic does not hold back
    the others. Raises CaptureError.
    """

    def __init__(self, files: Sequence[CaptureFile]) -> None:
        self.files = files

    @property
    def truncated_tail(self) -> int:
        return sum(file.truncated_tail for file in self.files)

    @property
    def problems(self) -> list[str]:
        return [f"{file.path}: {file.problem}" for file in self.files if file.problem]

    def reassembly(self) -> dict[str, int]:
        """CaptureFile.reassembly() of all files together."""
        total: dict[str, int] = {}
        for file in self.files:
            for name, value in file.reassembly().items():
                total[name] = total.get(name, 0) + value
        return total

    def __iter__(self) -> Iterator[Batch]:
        order = Order(len(self.files))
        sources = [iter(file) for file in self.files]
        while (index := order.wait_for()) is not None:
            batch = next(sources[index], None)
            if batch is None:
                file = self.files[index]
                if file.packets:
                    last = file.watermark if file.shift is None else file.shift(file.watermark)
                    end = max(last, order.newest(index))
                    yield Batch(b"", b"", b"", 0, file.tap, end)
                yield from order.end(index)
            elif batch.count:
                yield from order.feed(index, batch)


def merged(
    paths_with_taps: Iterable[tuple[str, int]], ports: Sequence[int], counts: Counts
) -> Merged:
    """Files by path and index of the tap; see Merged. CaptureError at once."""
    return Merged([CaptureFile(path, tap, ports, counts) for path, tap in paths_with_taps])
