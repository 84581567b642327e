# SPDX-License-Identifier: Apache-2.0
"""The whole way: files and hostile bytes in, one JSON object or one clear line out."""

from __future__ import annotations

import json
import os
import random
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from algwatch.base.packet import LAN, WAN, Tap
from algwatch.compare.counterfactual import without_alg
from algwatch.compare.line import WORKS_REWRITTEN, WORKS_UNTOUCHED
from algwatch.compare.summary import CallSummary
from algwatch.diagnose.finding import Finding
from algwatch.pipeline import Pipeline
from craft import (
    START,
    House,
    Incoming,
    Packet,
    analyzed,
    batch,
    frame,
    incoming_call,
    outgoing_call,
    packets_of,
    pcap,
    register,
)

ROOT = Path(__file__).resolve().parents[2]
TORTURE = sorted((ROOT.parent / "shared" / "torture" / "rfc4475").glob("*.dat"))
GOLDEN = ROOT / "tests" / "golden"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "agent")}


def algwatch(*words: str | Path, stdin: bytes = b"") -> tuple[int, str, str]:
    """`algwatch` as a user types it: exit status, standard output, standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "algwatch", *map(str, words)],
        input=stdin, capture_output=True, env=ENVIRONMENT, timeout=60,
    )  # fmt: skip
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.fixture
def benign(tmp_path: Path) -> tuple[Path, Path]:
    house = House("linux")
    register(house, 0)
    incoming_call(house, 1, "in@provider")
    return written(tmp_path, "benign", house)


def written(folder: Path, name: str, house: House) -> tuple[Path, Path]:
    lan, wan = house.sorted()
    paths = folder / f"{name}.lan.pcap", folder / f"{name}.wan.pcap"
    paths[0].write_bytes(pcap(lan))
    paths[1].write_bytes(pcap(wan))
    return paths


def forced() -> House:
    house = House("linux")
    register(house, 0)
    call = Incoming(house, "dead@provider")
    call.invite(1)
    call.ok(3)
    for after in (0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5):
        call.ack(3.03 + after, via_port=5080, lan_port=5080)
    call.dropped(3)
    return house


# ---- exit status, standard error ----


def test_nothing_that_hurts_is_status_0(benign: tuple[Path, Path]) -> None:
    status, out, err = algwatch("analyze", "--json", "--lan", benign[0], "--wan", benign[1])
    assert (status, err) == (0, "")
    verdict = json.loads(out)
    assert list(verdict) == [
        "schema", "verdict", "capture", "crossings", "calls", "registrations", "findings", "advice",
    ]  # fmt: skip
    assert verdict["schema"] == 1
    assert list(verdict["verdict"]) == ["state", "why", "next"]
    assert list(verdict["capture"]) == [
        "packets", "sip_messages", "lan", "wan", "duplicates", "malformed", "truncated",
    ]  # fmt: skip
    assert list(verdict["crossings"]) == [
        "paired", "lan_only", "wan_only", "unsolicited", "rewritten",
    ]  # fmt: skip
    assert list(verdict["calls"][0]) == [
        "call_id", "from", "to", "start", "end", "outcome", "status", "ack", "line",
        "invite_retransmissions", "final_retransmissions",
    ]  # fmt: skip


def test_something_observed_is_status_1(tmp_path: Path) -> None:
    lan, wan = written(tmp_path, "forced", forced())
    for words in (["--json"], ["--color", "never"]):
        status, out, err = algwatch("analyze", *words, "--lan", lan, "--wan", wan)
        assert (status, err) == (1, "")
        assert "5080" in out


@pytest.mark.parametrize("what", ["missing", "directory", "garbage", "empty", "cut header"])
def test_unreadable_input_is_one_line_and_status_2(what: str, tmp_path: Path) -> None:
    path = tmp_path / "capture.pcap"
    if what == "directory":
        path.mkdir()
    elif what == "garbage":
        path.write_bytes(random.Random(1).randbytes(4000))
    elif what == "empty":
        path.write_bytes(b"")
    elif what == "cut header":
        path.write_bytes(pcap([])[:11])
    for words in (["--json", path], [path], ["--lan", path, "--wan", path]):
        status, out, err = algwatch("analyze", *words)
        assert status == 2
        assert out == ""
        assert len(err.splitlines()) == 1
        assert "capture.pcap" in err
        assert "Traceback" not in err


@pytest.mark.parametrize("words", [["analyze"], ["analyze", "--ports", "x", "f"], ["frobnicate"],
                                   ["analyze", "--nonsense"]])  # fmt: skip
def test_bad_usage_is_status_2_without_a_traceback(words: list[str]) -> None:
    status, out, err = algwatch(*words)
    assert status == 2
    assert out == ""
    assert err
    assert "Traceback" not in err


def test_a_file_without_packets_is_read_and_nothing_can_be_told_from_it(tmp_path: Path) -> None:
    path = tmp_path / "none.pcap"
    path.write_bytes(pcap([]))
    status, out, err = algwatch("analyze", "--json", path)
    assert (status, err) == (3, f"algwatch: {path}: no packet is in it\n")
    assert json.loads(out)["verdict"]["state"] == "cannot-tell"
    assert json.loads(out)["capture"]["packets"] == 0


def test_a_file_that_is_cut_gives_what_was_readable_and_says_so(
    benign: tuple[Path, Path], tmp_path: Path
) -> None:
    path = tmp_path / "cut.pcap"
    whole = benign[0].read_bytes()
    path.write_bytes(whole[:-37])
    status, out, err = algwatch("analyze", "--json", path)
    assert status == 0
    complete = json.loads(algwatch("analyze", "--json", benign[0])[1])
    assert json.loads(out)["capture"]["packets"] == complete["capture"]["packets"] - 1
    assert len(err.splitlines()) == 1
    assert "cut.pcap" in err


# ---- which files ----


def test_standard_input_is_a_file(benign: tuple[Path, Path]) -> None:
    status, out, err = algwatch("analyze", "--json", "-", stdin=benign[0].read_bytes())
    assert (status, err) == (0, "")
    assert out == algwatch("analyze", "--json", benign[0])[1]


def test_one_file_with_both_sides_is_split_by_itself(tmp_path: Path) -> None:
    house = forced()
    lan, wan = written(tmp_path, "two", house)
    merged = tmp_path / "any.pcap"
    merged.write_bytes(pcap(sorted(house.lan + house.wan)))
    one = algwatch("analyze", "--json", merged)
    assert one == algwatch("analyze", "--json", "--lan", lan, "--wan", wan)
    assert json.loads(one[1])["advice"][0]["action"] == "disable-sip-alg"


def test_sides_may_be_repeated_for_several_interfaces(tmp_path: Path) -> None:
    """Console on a WAN VLAN of its own: the second WAN file has the second phone's copies."""
    one = House("linux")
    register(one, 0)
    incoming_call(one, 1, "one@provider")
    two = House("linux", phone="192.168.1.11", wan="198.51.100.9")
    outgoing_call(two, 2, "two@phone")
    paths = [*written(tmp_path, "one", one), *written(tmp_path, "two", two)]
    status, out, _ = algwatch("analyze", "--json", "--lan", paths[0], "--wan", paths[1],
                              "--lan", paths[2], "--wan", paths[3])  # fmt: skip
    verdict = json.loads(out)
    assert status == 0
    assert verdict["crossings"]["paired"] == len(one.lan) + len(two.lan)
    assert {c["outcome"] for c in verdict["calls"]} == {"completed"}


def test_the_same_file_gives_the_same_bytes_twice(benign: tuple[Path, Path]) -> None:
    words: list[str | Path] = ["analyze", "--json", "--lan", benign[0], "--wan", benign[1]]
    assert algwatch(*words) == algwatch(*words)


# ---- hostile bytes ----


def test_torture_messages_are_read_and_never_raise(tmp_path: Path) -> None:
    if not TORTURE:
        pytest.skip("no ../shared/torture/rfc4475 beside the project")
    house = House()
    for i, path in enumerate(TORTURE):
        house.out(1 + i, path.read_bytes())
        house.into(1.5 + i, path.read_bytes())
    lan, wan = written(tmp_path, "torture", house)
    for words in (["--lan", lan, "--wan", wan], [lan], [wan]):
        for form in (["--json"], []):
            status, out, err = algwatch("analyze", *form, *words)
            assert status in (1, 3)  # no call in it that ended well
            assert err == ""
            if form:
                verdict = json.loads(out)
                assert verdict["capture"]["sip_messages"] >= 40
                assert verdict["capture"]["malformed"] > 0
                assert not verdict["advice"]


def test_random_bytes_in_udp_are_no_sip_and_never_raise(tmp_path: Path) -> None:
    chance = random.Random(4475)
    packets: list[Packet] = []
    starts = (b"", b"INVITE sip:a SIP/2.0\r\n", b"SIP/2.0 200 OK\r\n", b"INVITE ", b"SIP/2.0 ")
    for i in range(3000):
        payload = chance.choice(starts) + chance.randbytes(chance.randrange(0, 400))
        packets.append(((START * 1000 + i) * 10**6, frame(payload, "192.0.2.1", 5060, "192.0.2.2",
                                                          5060, 64, i)))  # fmt: skip
    path = tmp_path / "noise.pcap"
    path.write_bytes(pcap(packets))
    for words in ([path], ["--lan", path, "--wan", path]):
        status, out, err = algwatch("analyze", "--json", *words)
        assert status in (1, 3)  # no call in it that ended well
        assert err == ""
        assert not json.loads(out)["advice"]


def test_damaged_frames_and_headers_never_raise(tmp_path: Path) -> None:
    chance = random.Random(17)
    house = forced()
    for n in range(6):
        packets = []
        for at, data in sorted(house.lan + house.wan):
            changed = bytearray(data)
            for _ in range(chance.randrange(4)):
                changed[chance.randrange(len(changed))] = chance.randrange(256)
            packets.append((at, bytes(changed[: chance.randrange(1, len(changed) + 1)])))
        path = tmp_path / f"damaged{n}.pcap"
        path.write_bytes(pcap(packets))
        status, out, err = algwatch("analyze", "--json", path)
        assert status in (1, 3)  # no call in it that ended well
        assert "Traceback" not in err
        json.loads(out)


def test_control_characters_in_names_stay_valid_json(tmp_path: Path) -> None:
    house = House()
    call = Incoming(house, "x")
    call.invite(1)
    bad = call.invited.replace(b"sip:200@", b'sip:\x01\x1b[31m\xff"\\\x7f@')
    house.into(2, bad.replace(b"Call-ID: x", b'Call-ID: \xc3\x28\x00\\"'))
    lan, wan = written(tmp_path, "names", house)
    status, out, err = algwatch("analyze", "--json", "--lan", lan, "--wan", wan)
    assert (status, err) == (3, "")  # two INVITEs, and the capture ends
    json.loads(out)
    assert "\x1b" not in algwatch("analyze", "--lan", lan, "--wan", wan)[1]


# ---- sans-IO ----


def pieces(packets: list[Packet], size: int) -> list[list[Packet]]:
    return [packets[i : i + size] for i in range(0, len(packets), size)]


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_the_size_of_batches_changes_no_verdict(size: int) -> None:
    lan, wan = forced().sorted()
    _, usual = analyzed(lan, wan)
    _, other = analyzed(lan, wan, size=size)

    def told(reports: list[object]) -> list[tuple[str, str, str]]:
        return sorted((r.rule, r.harm, r.where) for r in reports if isinstance(r, Finding))

    assert told(list(other)) == told(list(usual))


def test_a_live_tap_is_told_before_the_call_drops() -> None:
    house = forced()
    incoming_call(house, 60, "later")
    lan, wan = house.sorted()
    pipeline = Pipeline([Tap("lan", LAN), Tap("wan", WAN)], live=True, strict=True)
    first: dict[str, float] = {}
    for at, tap, data in sorted([(p[0], 0, p) for p in lan] + [(p[0], 1, p) for p in wan]):
        reports = pipeline.feed(batch([data], tap)) + pipeline.advance(1 - tap, at)
        for report in reports:
            if isinstance(report, Finding):
                first.setdefault(f"{report.rule} {report.harm}", at / 1e9 - START)
    assert first["ALG011 certain"] < 8
    assert first["DLG001 latent"] < 8
    assert first["DLG001 observed"] > 34


@pytest.mark.parametrize("moment", [*range(960, 1900, 60)])  # ms; the REFER leaves at 1000
def test_a_refusal_is_judged_once_it_is_known_where_its_request_went(moment: int) -> None:
    """Whenever time passes in between: a request that the router changed waits for its copy."""
    sides = [packets_of((GOLDEN / "alg018-refer-to" / f"{side}.pcap").read_bytes())
             for side in ("lan", "wan")]  # fmt: skip
    pipeline = Pipeline([Tap("lan", LAN), Tap("wan", WAN)], strict=True)
    until = START * 10**9 + moment * 10**6
    reports = []
    for part in (True, False):
        for tap, side in enumerate(sides):
            some = [packet for packet in side if (packet[0] < until) == part]
            reports += pipeline.feed(batch(some, tap, until if part else None))
    reports += pipeline.finish()
    assert [r.rule for r in reports if isinstance(r, Finding) and r.where == "router"] == ["ALG018"]


def test_idle_taps_are_advanced_while_a_refusal_waits() -> None:
    """The REFER of 1 s never left the router: that is known at 1.25 s, and judged at 1.5 s."""
    lan = packets_of((GOLDEN / "alg018-refer-to" / "lan.pcap").read_bytes())
    pipeline = Pipeline([Tap("lan", LAN), Tap("wan", WAN)], strict=True)
    until = START * 10**9 + 1_400_000_000
    pipeline.feed(batch([packet for packet in lan if packet[0] < until], 0, until))
    pipeline.advance(1, until)
    assert pipeline.pending
    for tap in range(2):
        pipeline.advance(tap, until + 10**9)
    assert not pipeline.pending


def test_rewritten_calls_never_speak_for_turning_the_alg_off() -> None:
    """However often a rewrite was seen, its call counts as rewritten."""
    house = House("linux")
    register(house, 0)
    for i in range(20):
        incoming_call(house, 1 + 12 * i, f"in{i}")
        outgoing_call(house, 7.5 + 12 * i, f"out{i}")
    pipeline, reports = analyzed(*house.sorted(), to_the_end=True)
    assert sum(isinstance(r, CallSummary) for r in reports) == 40
    (line,) = pipeline._comparison.lines.all()
    assert line.count(WORKS_UNTOUCHED) == 0
    assert line.count(WORKS_REWRITTEN) >= 38
    assert without_alg(line, ()).answer == "unknown"


def test_a_capture_far_in_the_future_or_at_the_epoch_is_read_alike() -> None:
    lan, wan = forced().sorted()
    _, usual = analyzed(lan, wan)
    for shift in (-START * 10**9, (2**32 - START - 1000) * 10**9):
        one, two = ([(at + shift, data) for at, data in side] for side in (lan, wan))
        _, other = analyzed(one, two)
        assert [r.rule for r in other if isinstance(r, Finding)] == [
            r.rule for r in usual if isinstance(r, Finding)
        ]


def test_a_pcap_of_another_byte_order_is_read_alike(benign: tuple[Path, Path]) -> None:
    data = benign[0].read_bytes()
    swapped = struct.pack(">IHHiIII", *struct.unpack("<IHHiIII", data[:24]))
    offset = 24
    while offset < len(data):
        record = struct.unpack_from("<IIII", data, offset)
        swapped += struct.pack(">IIII", *record) + data[offset + 16 : offset + 16 + record[2]]
        offset += 16 + record[2]
    other = benign[0].with_name("swapped.pcap")
    other.write_bytes(swapped)
    assert algwatch("analyze", "--json", other) == algwatch("analyze", "--json", benign[0])
