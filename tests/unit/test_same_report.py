# SPDX-License-Identifier: Apache-2.0
"""One capture, one report: however many packets are read at once, from a file, a pipe, or live."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from algwatch.base.native import layout
from algwatch.base.native.rows import Counts
from algwatch.base.packet import LAN, WAN, Batch, Tap
from algwatch.capture.order import Order, Timeline
from algwatch.capture.pcap import CaptureFile
from algwatch.capture.reassembly import Reassembler
from algwatch.capture.ring import LAG
from algwatch.cli.glance import TwoSided
from algwatch.cli.source import Source
from algwatch.pipeline import Pipeline, Report
from algwatch.report.render.json import write_json
from craft import batch as crafted
from craft import linktype, packets_of
from sample import some

pytest.importorskip("pcapy", reason="pcapy-ng is not installed")

GOLDEN = Path(__file__).parents[1] / "golden"
SHARED = Path(__file__).parents[2].parent / "shared"
PORTS = (5060, 5080)

PAIRS = sorted(path.parent for path in GOLDEN.rglob("lan.pcap"))
FILES = [
    *sorted(GOLDEN.rglob("capture.pcap")),
    *sorted((SHARED / "captures").glob("*.*cap*")),
    *sorted((SHARED / "cases" / "repro").glob("*.pcap*")),
]
PUBLIC = sorted((SHARED / "captures").glob("*.lan.pcap"))
PUBLIC += sorted((SHARED / "cases" / "repro").glob("*.lan.pcap"))
TWO = [(one / "lan.pcap", one / "wan.pcap") for one in PAIRS]
TWO += [(one, one.with_name(one.name.replace(".lan.", ".wan."))) for one in PUBLIC]

# Live, clocks and sides are not put right, both taps are there all the time, and gaps are known at
# the end only.
TWICE = (
    "10d-on",
    "cap001-silent-",
    "cap001-near-miss-silent-",
    "cap002-answer-in-a-gap",
    "cap002-near-miss-every-ack-stopped",
    "cap002-one-way-",
    "cap008-",
    "cap009-",
    "cap010-",
    "cap013-",
    "dlg007-near-miss-answer-to-the-refresh",
    "dlg008-near-miss-first-bye",
    "dlg012-near-miss-lan-begins",
    "reg007-near-miss-answer-of-the-phone",
    "txn005-near-miss-gaps",
)
ONE_CLOCK = [two for two in TWO if not two[0].parent.name.startswith(TWICE)]


OF_MEDIA = ("SDP001", "SDP002", "SDP003")


def name_of(value: object) -> str:
    path = value[0] if isinstance(value, tuple) else value
    assert isinstance(path, Path)
    return f"{path.parent.name}-{path.name}"


def report(files: Sequence[Path | str] = (), lan: Sequence[Path | str] = (),
           wan: Sequence[Path | str] = (), most: int = 960) -> str:  # fmt: skip
    """The output of `analyze --json` for them."""
    lists = [[*map(str, paths)] for paths in (files, lan, wan)]
    source = Source(lists[0], lists[1], lists[2], PORTS, most=most)
    out = io.StringIO()
    source.check()
    try:
        write_json(source.reports(), source.counts, out)
    except TwoSided:
        source.survey()
        write_json(source.reports(), source.counts, out)
    return out.getvalue()


def through_pipes(pipes: list[Path], paths: list[Path], files: Sequence[Path | str],
                  lan: Sequence[Path | str], wan: Sequence[Path | str] = ()) -> str:  # fmt: skip
    """The report of named pipes, each filled by a process of its own."""
    writers = [
        subprocess.Popen(["sh", "-c", 'cat "$0" > "$1"', str(path), str(pipe)])
        for path, pipe in zip(paths, pipes, strict=True)
    ]
    try:
        return report(files, lan=lan, wan=wan)
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()


@pytest.mark.parametrize("path", some(FILES, 8), ids=name_of)
def test_of_one_file(path: Path, tmp_path: Path) -> None:
    whole = report([path])
    for most in (1, 7, 512):
        assert report([path], most=most) == whole, most
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert through_pipes([pipe], [path], [pipe], []) == whole
    named = report(lan=[path])
    assert through_pipes([pipe], [path], [], [pipe]) == named
    assert report(lan=[path], most=7) == named


@pytest.mark.parametrize("files", some(TWO, 16), ids=name_of)
def test_of_two_files(files: tuple[Path, Path], tmp_path: Path) -> None:
    lan, wan = files
    whole = report(lan=[lan], wan=[wan])
    for most in (1, 7, 512):
        assert report(lan=[lan], wan=[wan], most=most) == whole, most
    pipes = [tmp_path / "lan", tmp_path / "wan"]
    for pipe in pipes:
        os.mkfifo(pipe)
    assert through_pipes(pipes, [*files], [], [pipes[0]], [pipes[1]]) == whole


@pytest.mark.parametrize("files", some(TWO, 32), ids=name_of)
def test_of_standard_input(files: tuple[Path, Path]) -> None:
    lan, wan = files
    command = [sys.executable, "-m", "algwatch", "analyze", "--json", "--lan", "-", "--wan",
               str(wan)]  # fmt: skip
    with subprocess.Popen(["cat", lan], stdout=subprocess.PIPE) as cat:
        done = subprocess.run(
            command, stdin=cat.stdout, capture_output=True, text=True, check=False,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout == report(lan=[lan], wan=[wan])


def live(files: tuple[Path, Path], slice_: int, pause: int) -> str:
    """The report of two taps that are looked at once in `pause` ns, a few packets at a time, as
    the daemon does it. Both are open from the first packet to the end of the shorter capture."""
    taps = [Tap(str(path), side) for path, side in zip(files, (LAN, WAN), strict=True)]
    pipeline = Pipeline(taps)
    order, timeline = Order(2, 1 << 20), Timeline(pipeline, 2)
    links = [linktype(path.read_bytes()) for path in files]
    packets = [packets_of(path.read_bytes()) for path in files]
    for tap, mine in enumerate(packets):
        timeline.end(tap, max(at for at, _ in mine))
    sources = [Reassembler(tap, PORTS, layout.REPLAY_KEY) for tap in range(2)]
    reports: list[Report] = []

    def hand_on(batches: list[Batch]) -> None:
        for one in batches:
            reports.extend(timeline.feed(one))

    now = min(some[0][0] for some in packets)
    while any(packets):
        now += pause
        for tap in range(2):
            count = sum(at <= now - LAG // 2 for at, _ in packets[tap])
            ready, packets[tap] = packets[tap][:count], packets[tap][count:]
            for at in range(0, len(ready), slice_):
                rows = crafted(ready[at : at + slice_], tap, link=links[tap])
                if rows.count:
                    rows = sources[tap].feed(rows)
                if rows.count:
                    hand_on(order.feed(tap, rows))
            hand_on(order.advance(tap, now - LAG))
        reports += timeline.advance(order.watermark)
    for tap in range(2):
        hand_on(order.end(tap))
    reports += timeline.finish()
    reports += pipeline.finish()
    out = io.StringIO()
    write_json(reports, pipeline.counts, out)
    return out.getvalue()


@pytest.mark.parametrize("files", some(ONE_CLOCK, 16), ids=name_of)
def test_of_two_live_taps(files: tuple[Path, Path]) -> None:
    """Said at other moments, and in the end the same."""
    said = json.loads(live(files, 1, 50_000_000))
    assert json.loads(live(files, 4, 900_000_000)) == said
    whole = json.loads(report(lan=[files[0]], wan=[files[1]]))
    # Live taps do not count RTP yet, so what is told of media is told of files only.
    of_media = {f["summary"] for f in whole["findings"] if f["rule"] in OF_MEDIA}
    whole["findings"] = [f for f in whole["findings"] if f["rule"] not in OF_MEDIA]
    whole["advice"] = [a for a in whole["advice"] if of_media.isdisjoint(a["for"])]
    for part in ("calls", "findings", "advice", "crossings"):
        assert said[part] == whole[part], part


def test_is_the_readers_chunk_not_what_decides(tmp_path: Path) -> None:
    """A pipe that gives a byte at a time."""
    path = GOLDEN / "dlg001-stopped-inbound"
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    script = (
        "import sys,os\n"
        "fd=os.open(sys.argv[2],os.O_WRONLY)\n"
        "for byte in open(sys.argv[1],'rb').read(): os.write(fd,bytes((byte,)))\n"
    )
    source = str(path / "lan.pcap")
    writer = subprocess.Popen([sys.executable, "-c", script, source, str(pipe)])
    try:
        said = report(lan=[pipe], wan=[path / "wan.pcap"])
    finally:
        writer.kill()
        writer.wait()
    assert said == report(lan=[path / "lan.pcap"], wan=[path / "wan.pcap"])


def test_a_file_that_is_read_to_its_end_is_closed() -> None:
    file = CaptureFile(str(GOLDEN / "cap001-one-sided" / "capture.pcap"), 0, PORTS, Counts())
    assert sum(batch.count for batch in file)
    file.close()
