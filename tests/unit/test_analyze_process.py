# SPDX-License-Identifier: Apache-2.0
"""`algwatch analyze` as a process: pipes, interfaces, Ctrl-C, and output that cannot be written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from algwatch.__main__ import main
from algwatch.capture.spool import room
from algwatch.cli.glance import TwoSided
from algwatch.cli.source import Source
from craft import House, Packet, incoming_call, outgoing_call, pcap, register
from test_pcapng import Maker

pytest.importorskip("pcapy", reason="pcapy-ng is not installed")

ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
ANALYZE = [sys.executable, "-m", "algwatch", "analyze"]


def analyze(*words: str | Path, stdin: bytes = b"") -> tuple[int, str, str]:
    done = subprocess.run(
        [*ANALYZE, *words], input=stdin, capture_output=True, check=False, env=ENVIRONMENT
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def home() -> House:
    house = House("linux")
    register(house, 0)
    outgoing_call(house, 2, "out@phone")
    incoming_call(house, 20, "in@provider")
    return house


def files(folder: Path, house: House) -> tuple[Path, Path]:
    paths = folder / "lan.pcap", folder / "wan.pcap"
    for path, packets in zip(paths, house.sorted(), strict=True):
        path.write_bytes(pcap(packets))
    return paths


def both_in_one(house: House, lan: str = "br-lan", wan: str = "pppoe-wan") -> bytes:
    """A file as dumpcap saves it for two interfaces: Ethernet, and IP without it."""
    made = Maker().section().interface(1, 65535, lan).interface(101, 1500, wan)
    both: list[tuple[int, int, bytes]] = []
    for which, packets in enumerate(house.sorted()):
        both += [(at, which, data[14 * which :]) for at, data in packets]
    for at, which, data in sorted(both):
        made.packet(at // 1000, data, which)
    return made.data


def verdict(text: str) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(text)
    return {part: said[part] for part in ("capture", "crossings", "calls", "findings", "advice")}


def test_interfaces_whose_names_tell_the_sides_are_as_good_as_two_files(tmp_path: Path) -> None:
    lan, wan = files(tmp_path, home())
    status, two, _ = analyze("--json", "--lan", lan, "--wan", wan)
    data = both_in_one(home())
    path = tmp_path / "both.pcapng"
    path.write_bytes(data)
    for words, stdin in (([path], b""), (["-"], data)):
        found = analyze("--json", *words, stdin=stdin)
        assert found[0] == status and found[2] == ""
        assert verdict(found[1]) == verdict(two)


def test_interfaces_can_be_named(tmp_path: Path) -> None:
    lan, wan = files(tmp_path, home())
    _, two, _ = analyze("--json", "--lan", lan, "--wan", wan)
    data = both_in_one(home(), "port1", "port2")
    for words in (("--lan-if", "port1"), ("--wan-if", "port2")):
        status, said, errors = analyze("--json", "-", *words, stdin=data)
        assert (status, errors) == (0, "")
        assert verdict(said) == verdict(two)
    status, said, errors = analyze("--json", "-", "--lan-if", "port3", stdin=data)
    assert (status, said) == (2, "")
    assert errors == (
        'algwatch: no file has an interface port3; the interfaces are: "port1", "port2"\n'
    )


def test_a_pipe_is_read_packet_by_packet_and_named_when_it_is_no_capture() -> None:
    for data, words in (
        (b"", "empty"), (b"INV", "not a capture file"), (b"INVITE sip:b@c SIP/2.0\r\n", "not a"),
        (b"\x1f\x8b\x08\0", "gzip data ends early"), (b"GMBU" + bytes(60), "Network Monitor"),
        (b"\xd4\xc3\xb2\xa1" + bytes(3), "truncated"),
        (pcap([(0, b"x" * 60)])[:-1], "truncated"),
        (pcap([])[:20] + b"\x69\0\0\0", "link type 105"),
    ):  # fmt: skip
        status, said, errors = analyze("-", stdin=data)
        assert (status, said) == (2, ""), errors
        assert errors.startswith("algwatch: -: ") and errors.count("\n") == 1
        assert words in errors


def test_standard_files_that_are_closed_are_not_taken_by_files_of_the_program(
    tmp_path: Path,
) -> None:
    lan, wan = files(tmp_path, home())
    for closed, words, status, errors in (
        ("<&-", ["-"], 2, "algwatch: -: standard input is closed\n"),
        ("<&-", ["--lan", str(lan), "--wan", str(wan)], 0, ""),
        (
            ">&-",
            [str(lan)],
            2,
            "algwatch: the output cannot be written: standard output is closed\n",
        ),
        ("2>&-", ["--lan", str(lan), "--wan", str(wan)], 0, ""),
        ("2>&-", [str(tmp_path / "none")], 2, ""),
        ("<&- 2>&-", ["-"], 2, ""),
    ):
        done = subprocess.run(
            ["sh", "-c", f'"$@" {closed}', "sh", *ANALYZE, *words], capture_output=True,
            text=True, check=False, env=ENVIRONMENT, timeout=20,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (status, errors), (closed, words)
        assert "algwatch: " not in done.stdout
        assert bool(done.stdout) == (status == 0)


def test_a_file_without_a_packet_is_told(tmp_path: Path) -> None:
    path = tmp_path / "empty.pcap"
    path.write_bytes(pcap([]))
    for words in ([path], ["-"]):
        status, said, errors = analyze("--json", *words, stdin=pcap([]))
        assert status == 3 and json.loads(said)["capture"]["packets"] == 0
        assert errors == f"algwatch: {words[0]}: no packet is in it\n"


def settled(process: subprocess.Popen[bytes]) -> None:
    """Returns when the process has done its work and waits for more."""
    same, before = 0, ""
    while same < 6:
        time.sleep(0.1)
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        state, used = fields[0], f"{fields[11]} {fields[12]}"
        same = same + 1 if state == "S" and used == before else 0
        before = used


def wait_for(process: subprocess.Popen[bytes], data: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(data)
    process.stdin.flush()
    settled(process)


@pytest.mark.parametrize("form", ["pcap", "pcapng"])
def test_ctrl_c_gives_the_report_of_what_was_read_until_then(form: str) -> None:
    house = home()
    data = pcap(house.sorted()[0]) if form == "pcap" else both_in_one(house)
    with subprocess.Popen(
        [*ANALYZE, "--json", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env=ENVIRONMENT,
    ) as process:  # fmt: skip
        wait_for(process, data[:-10])
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None and process.stderr is not None
        said, errors = process.stdout.read(), process.stderr.read()
        assert process.wait() == 130
    calls = json.loads(said)["calls"]
    assert [(c["call_id"], c["outcome"]) for c in calls] == [
        ("out@phone", "completed"), ("in@provider", "completed"),
    ]  # fmt: skip
    assert errors == b"algwatch: interrupted; what was read is reported\n"


@pytest.mark.parametrize("piped", ["stdin", "fifo"])
@pytest.mark.parametrize("start", [b"", pcap([])[:10]])
def test_ctrl_c_before_the_first_packet_ends_it(piped: str, start: bytes, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with subprocess.Popen(
        [*ANALYZE, "-" if piped == "stdin" else fifo], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT,
    ) as process:  # fmt: skip
        if piped == "stdin":
            wait_for(process, start)
        elif start:
            writer = os.open(fifo, os.O_WRONLY)
            os.write(writer, start)
            settled(process)
        else:
            settled(process)  # nobody ever opens it
        process.send_signal(signal.SIGINT)
        said, errors = process.communicate(timeout=10)
        if piped == "fifo" and start:
            os.close(writer)
    assert process.returncode == 130
    assert b"algwatch: interrupted" in errors
    assert bool(said) == bool(start)


def test_a_pipe_that_holds_both_sides_gives_the_report_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "both.pcap"
    path.write_bytes(pcap(one_file(home())))
    whole = analyze("--json", path)
    assert json.loads(whole[1])["crossings"]["paired"]
    assert analyze("--json", "-", stdin=path.read_bytes()) == whole
    with path.open("rb") as file:
        done = subprocess.run(
            [*ANALYZE, "--json", "-"], stdin=file, capture_output=True, text=True, check=False,
            env=ENVIRONMENT,
        )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == whole


def test_what_is_too_long_to_be_kept_is_read_once_to_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = pcap(one_file(home()))
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    (tmp_path / "file").write_bytes(data)
    with subprocess.Popen(["sh", "-c", f"cat {tmp_path}/file > {fifo}"]):
        source = Source([str(fifo)], [], [], (5060,))
        source.most_spooled = 1000
        source.check()
        list(source.reports())
    packets = sum(map(len, home().sorted()))
    assert source.counts()["capture"]["packets"] == packets
    assert source.counts()["crossings"]["paired"] == 0
    assert "through a pipe: it is read once" in capsys.readouterr().err


def test_a_check_that_is_interrupted_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lan, wan = files(tmp_path, home())
    source = Source([], [str(lan)], [str(wan)], (5060,))
    source.check()
    source.stop.requested = True  # Ctrl-C while the clocks were compared
    list(source.reports())
    assert source.interrupted
    assert capsys.readouterr().err == "algwatch: interrupted; what was read is reported\n"


def one_file(house: House) -> list[Packet]:
    return sorted(packet for packets in house.sorted() for packet in packets)


def test_a_survey_that_is_interrupted_is_of_what_was_read(tmp_path: Path) -> None:
    house = home()
    for number in range(2, 400):
        register(house, 30 + number, n=number)
    path = tmp_path / "both.pcap"
    path.write_bytes(pcap(one_file(house)))
    source = Source([str(path)], [], [], (5060,), most=16)
    with pytest.raises(TwoSided):
        list(source.reports())
    read = source._opened[0].packets
    source.stop.requested = True  # Ctrl-C while the file was read for the first time
    source.survey()
    list(source.reports())
    assert source.interrupted
    assert source.counts()["capture"]["packets"] == read < 1000


def test_output_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    lan, wan = files(tmp_path, home())
    for words in ([], ["--json"]):
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                [*ANALYZE, *words, "--lan", lan, "--wan", wan], stdout=full,
                stderr=subprocess.PIPE, text=True, check=False, env=ENVIRONMENT,
            )  # fmt: skip
        assert done.returncode == 2
        assert done.stderr == ("algwatch: the output cannot be written: No space left on device\n")


def test_a_reader_that_left_is_no_error(tmp_path: Path) -> None:
    lan, wan = files(tmp_path, home())
    outlet, inlet = os.pipe()
    os.close(outlet)
    done = subprocess.run(
        [*ANALYZE, "--lan", lan, "--wan", wan], stdout=inlet, stderr=subprocess.PIPE, check=False,
        env=ENVIRONMENT,
    )  # fmt: skip
    os.close(inlet)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_reader_that_left_takes_no_file_along(tmp_path: Path) -> None:
    lan, wan = files(tmp_path, home())
    page = tmp_path / "page.html"
    outlet, inlet = os.pipe()
    os.close(outlet)
    subprocess.run(
        [*ANALYZE, "--all", "-v", "--html", str(page), "--lan", lan, "--wan", wan], stdout=inlet,
        check=False, env=ENVIRONMENT,
    )  # fmt: skip
    os.close(inlet)
    assert page.read_text().rstrip().endswith("</html>")


def test_times_of_files_are_in_step(tmp_path: Path) -> None:
    """The second call of a day that is silent otherwise costs nothing."""
    house = House()
    for day in range(20):
        outgoing_call(house, day * 86400.0, f"day-{day}@phone")
    lan, wan = files(tmp_path, house)
    before = time.process_time()
    source = Source([], [str(lan)], [str(wan)], (5060,))
    assert len(list(source.reports())) >= 20
    assert time.process_time() - before < 2


def test_nothing_stays_open_after_a_capture_was_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "empty.pcap"
    path.write_bytes(pcap([]))
    main(["analyze", str(path)])
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        main(["analyze", str(path)])
    assert len(os.listdir("/proc/self/fd")) == before


def test_pipes_take_a_quarter_of_the_free_room_at_most() -> None:
    free = os.statvfs(tempfile.gettempdir())
    assert room(1000) == 1000
    assert room(1 << 62) <= free.f_blocks * free.f_frsize // 4


@pytest.mark.parametrize(
    "words", [[], ["dance"], ["explain"], ["analyze"], ["analyze", "--lan"], ["rules", "--all"],
              ["explain", "ALG999"], ["decode", "/no/such"], ["analyze", "/no/such"]],
)  # fmt: skip
def test_bad_usage_is_one_line_that_names_the_program(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert line.startswith("algwatch: ") and len(line) > 20
