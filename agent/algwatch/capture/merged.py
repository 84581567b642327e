"""Several capture files as one stream of batches, in order of time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from algwatch.base.native.rows import Counts
from algwatch.base.packet import Batch
from algwatch.capture.order import Order
from algwatch.capture.pcap import CaptureFile


class Merged:
    """Capture files, one tap each: iterate over it to get their batches, each with rows of one
    slot of time (see Order).

    A batch without rows says that its file ends there: its watermark is the time of the last
    packet. A file without any packet says nothing. paths_with_taps: (path, index of the tap).
    Raises CaptureError.
    """

    def __init__(
        self,
        paths_with_taps: Iterable[tuple[str, int]],
        ports: Sequence[int],
        counts: Counts,
    ) -> None:
        self.files = [CaptureFile(path, tap, ports, counts) for path, tap in paths_with_taps]

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
                    last = file.watermark
                    if file.shift is not None:
                        last = file.shift(last)
                    yield Batch(b"", b"", b"", 0, file.tap, last)
                yield from order.end(index)
            elif batch.count:
                yield from order.feed(index, batch)


def merged(
    paths_with_taps: Iterable[tuple[str, int]], ports: Sequence[int], counts: Counts
) -> Iterator[Batch]:
    """Batches of several files; see Merged. CaptureError at once."""
    return iter(Merged(paths_with_taps, ports, counts))
