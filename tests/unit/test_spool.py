# SPDX-License-Identifier: Apache-2.0
"""The spool: what was put in is there after any end, and damage costs no more than what it hit."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from zlib import crc32

import pytest
from algwatch.report.outbox import GRACE, Outbox, Outgoing
from algwatch.report.spool import _BODY, _HEAD, LONGEST, MARK, SEGMENT, Spool, SpoolError

TOPIC = "algwatch/1/cpe1/finding"


def filled(folder: Path, count: int, limit: int = 1 << 20, size: int = 100) -> list[bytes]:
    """A spool that was left with these payloads, as a kill leaves it."""
    spool = Spool(str(folder), limit)
    payloads = [b"%d " % number + bytes([number % 256]) * size for number in range(count)]
    for payload in payloads:
        spool.put(TOPIC, payload, number_of(payload) % 2 == 0)
    spool.close()
    return payloads


def number_of(payload: bytes) -> int:
    return int(payload.split(b" ")[0])


def left(folder: Path, limit: int = 1 << 20) -> list[bytes]:
    """What the next start finds, in order."""
    spool = Spool(str(folder), limit)
    try:
        return [spool.payload(spool.records[number]) for number in sorted(spool.records)]
    finally:
        spool.close()


def test_reports_are_there_after_the_end_of_the_process_with_all_that_belongs_to_them(
    tmp_path: Path,
) -> None:
    payloads = filled(tmp_path, 40)
    spool = Spool(str(tmp_path), 1 << 20)
    records = [spool.records[number] for number in sorted(spool.records)]
    assert [spool.payload(record) for record in records] == payloads
    assert {record.topic for record in records} == {TOPIC}
    assert [record.retain for record in records] == [n % 2 == 0 for n in range(40)]
    assert not any(record.sent for record in records) and spool.damaged == 0


def test_what_was_sent_or_dropped_is_known_after_a_restart(tmp_path: Path) -> None:
    filled(tmp_path, 10)
    spool = Spool(str(tmp_path), 1 << 20)
    spool.sent(spool.records[3])
    spool.drop(spool.records[5])
    spool.close()
    again = Spool(str(tmp_path), 1 << 20)
    assert sorted(again.records) == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    assert [number for number, record in again.records.items() if record.sent] == [3]
    assert again.put(TOPIC, b"new", False).number == 10


def test_a_file_that_ends_anywhere_costs_its_last_report_alone(tmp_path: Path) -> None:
    payloads = filled(tmp_path / "whole", 4, size=30)
    [segment] = (tmp_path / "whole").glob("*.spool")
    data = segment.read_bytes()
    for end in range(len(data)):
        folder = tmp_path / "cut"
        folder.mkdir(mode=0o700)
        (folder / segment.name).write_bytes(data[:end])
        found = left(folder)
        assert found == payloads[: len(found)]
        assert len(found) == end * 4 // len(data)
        assert left(folder) == found
        shutil.rmtree(folder)


def test_a_byte_that_changed_costs_its_own_report_alone(tmp_path: Path) -> None:
    payloads = filled(tmp_path / "whole", 5, size=30)
    [segment] = (tmp_path / "whole").glob("*.spool")
    data = segment.read_bytes()
    for at in range(len(data)):
        folder = tmp_path / "bad"
        folder.mkdir(mode=0o700)
        (folder / segment.name).write_bytes(data[:at] + bytes([data[at] ^ 0x41]) + data[at + 1 :])
        found = left(folder)
        assert len(found) == 4 and all(one in payloads for one in found), at
        shutil.rmtree(folder)


def test_files_that_others_wrote_are_read_as_damage(tmp_path: Path) -> None:
    payloads = filled(tmp_path, 3)
    (tmp_path / "00000009.spool").write_bytes(random.Random(7).randbytes(100_000))
    (tmp_path / "zzzzzzzz.spool").write_bytes(b"x")
    (tmp_path / "notes.txt").write_text("x")
    assert left(tmp_path) == payloads
    # A length that lies, in front of a report that is whole.
    whole = next(iter(sorted(tmp_path.glob("0*1.spool")))).read_bytes()
    lie = b"\xa5aw1" + (LONGEST - 1).to_bytes(4, "big") + bytes(4)
    (tmp_path / "00000010.spool").write_bytes(lie + whole)
    assert left(tmp_path) == payloads


@pytest.mark.parametrize("seed", range(12))
def test_a_spool_agrees_with_a_dictionary_whatever_is_done_to_it(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    limit = 30_000
    spool = Spool(str(tmp_path), limit)
    model: dict[int, tuple[bytes, bool]] = {}
    for _ in range(1500):
        what = chance.random()
        if what < 0.55 and sum(len(p) + 60 for p, _ in model.values()) < limit - 3000:
            payload = chance.randbytes(chance.randrange(1, 3000))
            model[spool.put(TOPIC, payload, False).number] = payload, False
        elif what < 0.75 and model:
            number = chance.choice(list(model))
            spool.sent(spool.records[number])
            model[number] = model[number][0], True
        elif what < 0.97 and model:
            spool.drop(spool.records[number := chance.choice(list(model))])
            del model[number]
        elif what >= 0.97:
            spool.close()
            spool = Spool(str(tmp_path), limit)
        files = sum(path.stat().st_size for path in tmp_path.glob("*.spool"))
        assert files <= 2 * limit + 2 * SEGMENT[0] + 4000
    assert spool.damaged == 0
    assert {n: (spool.payload(r), r.sent) for n, r in spool.records.items()} == model
    spool.close()


def test_two_agents_do_not_share_a_spool(tmp_path: Path) -> None:
    first = Spool(str(tmp_path), 1 << 20)
    with pytest.raises(SpoolError, match="another algwatch uses it"):
        Spool(str(tmp_path), 1 << 20)
    first.close()
    Spool(str(tmp_path), 1 << 20).close()


def test_a_folder_that_others_could_write_to_is_refused_in_words(tmp_path: Path) -> None:
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    aside = tmp_path / "aside"
    aside.symlink_to(open_to_all)
    plain = tmp_path / "file"
    plain.write_text("x")
    for folder, why in ((open_to_all, "others may write"), (aside, "no directory"),
                        (plain, "File exists|Not a directory"), (plain / "x", "Not a directory"),
                        (Path("/proc/nowhere"), "No such file")):  # fmt: skip
        with pytest.raises(SpoolError, match=why):
            Spool(str(folder), 1 << 20)


def test_a_segment_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"x")
    folder = tmp_path / "spool"
    folder.mkdir(mode=0o700)
    (folder / "00000001.spool").symlink_to(secret)
    with pytest.raises(SpoolError, match="symbolic links"):
        Spool(str(folder), 1 << 20)
    assert secret.read_bytes() == b"x"


def message(text: bytes, kind: str = "finding") -> Outgoing:
    return Outgoing(f"algwatch/1/cpe1/{kind}", text, keep=kind == "finding")


def sent(outbox: Outbox, now: float = 0.0) -> list[bytes]:
    """All that waits, acknowledged."""
    found = []
    while taken := outbox.take(now):
        found.append(taken[2])
        outbox.acknowledged(taken[0], now)
    return found


@pytest.mark.parametrize("spooled", [False, True])
def test_what_was_acknowledged_lately_is_sent_again_to_a_broker_that_forgot(
    tmp_path: Path, spooled: bool
) -> None:
    outbox = Outbox(100_000)
    if spooled:
        outbox.open(Spool(str(tmp_path), 100_000), 0.0)
    outbox.put(message(b"first"))
    assert sent(outbox, 10.0) == [b"first"]
    outbox.put(message(b"second"))
    outbox.put(message(b"health", "health"))
    assert sent(outbox, GRACE + 20.0) == [b"second", b"health"]
    outbox.put(message(b"third"))
    assert outbox.forgotten()[0] == 1
    assert sent(outbox, GRACE + 30.0) == [b"second", b"third"]
    assert outbox.dropped == 0


def test_a_restart_sends_what_was_not_acknowledged_and_keeps_what_was(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path), 100_000)
    outbox = Outbox(100_000)
    outbox.open(spool, 0.0)
    for text in (b"a", b"b", b"c"):
        outbox.put(message(text))
    outbox.put(message(b"h", "health"))
    taken = outbox.take(0.0)
    assert taken and taken[2] == b"a"
    outbox.acknowledged(taken[0], 0.0)
    outbox.take(0.0)  # in flight
    spool.close()  # killed
    again = Outbox(100_000)
    assert again.open(Spool(str(tmp_path), 100_000), 0.0) == 2
    assert sent(again) == [b"b", b"c"]
    assert again.forgotten()[0] == 3
    assert sent(again) == [b"a", b"b", b"c"]


def test_health_goes_before_findings_and_findings_before_advice() -> None:
    outbox = Outbox(10**6, 4)
    for kind, text in (("advice", b"1"), ("finding", b"2"), ("health", b"3"), ("finding", b"4"),
                       ("finding", b"5"), ("finding", b"6"), ("advice", b"7")):  # fmt: skip
        outbox.put(message(text, kind))
    assert sent(outbox) == [b"1", b"5", b"6", b"7"]
    assert outbox.dropped == 3


def test_what_was_acknowledged_makes_room_first_and_is_no_loss() -> None:
    outbox = Outbox(10**6, 4)
    for text in b"abcd":
        outbox.put(message(bytes([text])))
    assert len(sent(outbox)) == 4
    for text in b"efg":
        outbox.put(message(bytes([text])))
    assert outbox.dropped == 0 and outbox.forgotten()[0] == 1
    assert sent(outbox) == [b"d", b"e", b"f", b"g"]


def test_a_spool_that_somebody_took_away_loses_what_was_in_it_and_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    outbox = Outbox(100_000)
    outbox.open(Spool(str(folder), 100_000), 0.0)
    for text in (b"b", b"c", b"d"):
        outbox.put(message(b"a"))
        if text == b"c":
            folder.rename(tmp_path / "elsewhere")
        elif text == b"d":
            folder.rename(tmp_path / "aside")
            folder.mkdir(mode=0o700)
        else:
            shutil.rmtree(folder)
        dropped = outbox.dropped
        assert outbox.take(0.0) is None and outbox.dropped == dropped + 1
        outbox.put(message(text))
        assert sent(outbox) == [text]
        assert left(tmp_path / "copy") == []
        assert (folder / "lock").exists(), "no other agent may take it"
        with pytest.raises(SpoolError, match="another algwatch"):
            Spool(str(folder), 100_000)


def test_a_spool_whose_place_is_gone_holds_reports_in_memory(tmp_path: Path) -> None:
    outbox = Outbox(100_000)
    outbox.open(Spool(str(tmp_path / "a" / "s"), 100_000), 0.0)
    shutil.rmtree(tmp_path / "a")
    (tmp_path / "a").write_text("in its place")
    outbox.put(message(b"b"))
    assert outbox.unspooled == 1 and sent(outbox) == [b"b"]


@pytest.mark.parametrize("how", ["delete", "cut", "empty", "overwrite"])
def test_files_that_change_under_the_agent_cost_what_was_in_them_and_nothing_later(
    tmp_path: Path, how: str
) -> None:
    spool = Spool(str(tmp_path), 100_000)
    before = [spool.put(TOPIC, b"%03d" % n * 20, False) for n in range(5)]
    [segment] = tmp_path.glob("*.spool")
    data = segment.read_bytes()
    if how == "delete":
        segment.unlink()
    else:
        new = {"cut": data[: len(data) // 2], "empty": b"", "overwrite": data[::-1]}[how]
        segment.write_bytes(new)
    after = [spool.put(TOPIC, b"%03d" % n * 20, False) for n in range(5, 10)]
    for number, record in enumerate([*before, *after]):
        found = spool.payload(record)
        assert found in ((b"",) if number < 5 else ()) + (b"%03d" % number * 20,), number
    spool.close()
    again = left(tmp_path, 100_000)
    assert again[-5:] == [b"%03d" % n * 20 for n in range(5, 10)]


def test_a_start_with_less_room_finds_all_that_one_with_more_has_left(tmp_path: Path) -> None:
    payloads = filled(tmp_path, 100, 1 << 21, 2000)  # in one segment
    assert left(tmp_path, 65536) == payloads


def test_a_number_that_is_none_of_ours_is_damage(tmp_path: Path) -> None:
    body = _BODY.pack(b"R", 0, (1 << 64) - 1, 1) + b"tx"
    (tmp_path / "00000001.spool").write_bytes(_HEAD.pack(MARK, len(body), crc32(body)) + body)
    tmp_path.chmod(0o700)
    spool = Spool(str(tmp_path), 65536)
    assert spool.damaged and spool.put(TOPIC, b"x", False).number == 0
    spool.close()


def test_what_is_to_be_sent_again_still_is_after_a_kill_and_then_not_for_ever(
    tmp_path: Path,
) -> None:
    outbox = Outbox(100_000)
    outbox.open(spool := Spool(str(tmp_path), 100_000), 0.0)
    for text in (b"a", b"b"):
        outbox.put(message(text))
    assert sent(outbox) == [b"a", b"b"]
    outbox.put(message(b"c"))
    assert sent(outbox) == [b"c"]
    assert outbox.forgotten()[0] == 3
    spool.close()  # killed before any of them went
    outbox, spool = Outbox(100_000), Spool(str(tmp_path), 100_000)
    assert outbox.open(spool, 0.0) == 3
    assert sent(outbox) == [b"a", b"b", b"c"]
    for _ in range(3):  # starts, one after the other, at a broker that keeps no session
        spool.close()
        outbox, spool = Outbox(100_000), Spool(str(tmp_path), 100_000)
        assert outbox.open(spool, 0.0) == 0
        assert outbox.forgotten(once=True)[0] == 0
    assert outbox.forgotten()[0] == 3
    spool.close()


def test_a_folder_that_another_agent_has_made_meanwhile_is_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    first = Spool(str(folder), 100_000)
    first.put(TOPIC, b"mine", False)
    shutil.rmtree(folder)
    second = Spool(str(folder), 100_000)
    record = second.put(TOPIC, b"its own", False)
    with pytest.raises(OSError, match="another algwatch"):
        first.put(TOPIC, b"mine", False)
    assert second.payload(record) == b"its own"
    first.close()
    second.close()
    assert left(folder, 100_000) == [b"its own"]
