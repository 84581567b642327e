# SPDX-License-Identifier: Apache-2.0
"""Which orders are the operator's, and that none is taken twice."""

from __future__ import annotations

import hashlib
import hmac
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgpack
import pytest
from algwatch.control.log import MOST, REMEMBERED, Log
from algwatch.control.mac import mac
from algwatch.control.order import (
    AHEAD,
    COMMANDS,
    LONGEST,
    Order,
    Refused,
    check,
    in_time,
    opened,
    read,
    sign,
)
from algwatch.control.order import MOST as MOST_PAYLOAD
from algwatch.control.run import words
from hypothesis import given
from hypothesis import strategies as st

KEY = bytes(range(32))
ID = "0123456789abcdef" * 2


def order(command: str = "ping", **more: Any) -> Order:
    return Order(command, ID, "cpe1", 1000.0, 1060.0, **more)


@given(st.binary(max_size=200), st.binary(max_size=300))
def test_the_mac_is_hmac_sha256(key: bytes, message: bytes) -> None:
    assert mac(key, message) == hmac.new(key, message, hashlib.sha256).digest()


def test_the_document_has_the_bytes_of_one_order() -> None:
    """What docs/wire.md says of the mac, with nothing of ours."""
    outer = msgpack.unpackb(sign(order("apply", only="192.168.1.20"), KEY))
    wanted = hmac.new(KEY, b"algwatch/1/command\n" + outer["body"], hashlib.sha256).digest()
    assert (outer["schema"], outer["mac"]) == (1, wanted)
    assert msgpack.unpackb(outer["body"]) == {
        "command": "apply", "id": ID, "cpe": "cpe1", "at": 1000.0, "expires": 1060.0,
        "only": "192.168.1.20",
    }  # fmt: skip


def test_an_order_comes_out_as_it_was_signed() -> None:
    made = read(opened(sign(order("apply", only="192.168.1.20", watch=7), KEY), KEY))
    assert [getattr(made, name) for name in Order.__slots__] == [
        getattr(order("apply", only="192.168.1.20", watch=7), name) for name in Order.__slots__
    ]


def test_one_bit_more_or_less_is_not_the_operators() -> None:
    payload = sign(order(), KEY)
    for at in range(len(payload)):
        other = payload[:at] + bytes([payload[at] ^ 1]) + payload[at + 1 :]
        try:
            assert opened(other, KEY) == opened(payload, KEY), at  # a field that nobody reads
        except Refused:
            continue
    with pytest.raises(Refused, match="this router's key"):
        opened(payload, bytes(32))


@given(st.binary(max_size=400))
def test_no_bytes_make_the_reader_stumble(data: bytes) -> None:
    with pytest.raises(Refused):
        opened(data, KEY)
    try:
        check(read(data))
    except Refused:
        return
    raise AssertionError("that was an order")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"cpe": "cpe2"}, "for another router"),
        ({"expires": 1000.0}, "no time at all"),
        ({"expires": 1000.0 + LONGEST + 1}, "longer than 900 s"),
        ({"at": 1020.0 + AHEAD + 1, "expires": 1200.0}, "after this router's time"),
        ({"at": 900.0, "expires": 1010.0}, "expired 10 s ago"),
        ({"at": float("nan")}, "no time"),
    ],
)
def test_an_order_of_another_place_or_time_is_refused(change: dict[str, Any], why: str) -> None:
    made = order()
    for name, value in change.items():
        setattr(made, name, value)
    with pytest.raises(Refused, match=why):
        in_time(made, "cpe1", 1020.0, 0.0)


def test_a_router_without_a_clock_takes_no_order() -> None:
    with pytest.raises(Refused, match="clock of this router is not set"):
        in_time(order(), "cpe1", 1020.0, 1.7e9)
    in_time(order(), "cpe1", 1020.0, 500.0)


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (order("reboot"), "no command here"),
        (order("ping", only="192.168.1.20"), "ping takes no only"),
        (order("apply", only="--force"), "no IP address"),
        (order("apply", only="192.168.1.20 --force"), "no IP address"),
        (order("apply", only="fe80::1%eth0"), "no IP address"),
        (order("evidence"), "needs the key"),
        (order("evidence", key="a", call_id="b"), "needs the key"),
        (order("level", level="loud"), "none of all, harm, state"),
        (order("rollback", watch=3), "takes no watch"),
    ],
)
def test_an_order_that_does_not_fit_is_refused(made: Order, why: str) -> None:
    with pytest.raises(Refused, match=why):
        check(made)


def test_an_order_of_a_newer_version_is_not_obeyed_in_part() -> None:
    body = {"command": "apply", "id": ID, "cpe": "cpe1", "at": 1.0, "expires": 2.0, "gently": True}
    with pytest.raises(Refused, match="gently is not known here"):
        read(msgpack.packb(body))
    with pytest.raises(Refused, match="watch is no number"):
        read(msgpack.packb({**body, "watch": True} | {"gently": None})[:0] or msgpack.packb(
            {k: v for k, v in body.items() if k != "gently"} | {"watch": True}))  # fmt: skip


def test_no_order_makes_a_word_of_a_command_line_that_is_not_ours() -> None:
    assert words(order("apply", only="192.168.1.20", watch=5), "/s") == [
        "apply", "--json", "--only=192.168.1.20", "--watch=5", "--status=/s",
    ]  # fmt: skip
    assert all("--force" not in words(order(command)) for command in COMMANDS)


def test_the_longest_order_fits_into_a_packet() -> None:
    assert len(sign(order("evidence", call_id="c" * 256), KEY)) < MOST_PAYLOAD


def test_an_order_is_taken_once_over_a_restart(tmp_path: Path) -> None:
    path = str(tmp_path / "log")
    log = Log(path)
    log.take(ID, 1060.0, "apply", 1000.0)
    assert log.is_taken(ID, 1060.0) and not log.is_taken("f" * 32, 1060.0)
    again = Log(path)
    assert again.is_taken(ID, 1060.0) and again.open == {ID: "apply"}
    again.end(ID, 1001.0, "done", "status 0")
    assert Log(path).open == {} and Log(path).is_taken(ID, 1060.0)


def test_a_log_that_was_cut_or_spoiled_keeps_what_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = Log(str(path))
    log.take(ID, 1060.0, "apply", 1000.0)
    whole = path.read_bytes()
    log.take("f" * 32, 1060.0, "ping", 1000.0)
    for cut in range(len(whole), path.stat().st_size):
        other = tmp_path / "cut"
        other.write_bytes(path.read_bytes()[:cut])
        other.chmod(0o600)
        found = Log(str(other))
        assert found.is_taken(ID, 1060.0)
        found.take("e" * 32, 1060.0, "ping", 1000.0)
        assert Log(str(other)).is_taken("e" * 32, 1060.0) and Log(str(other)).is_taken(ID, 1060.0)


def test_no_damage_to_the_log_lets_an_order_be_taken_twice(tmp_path: Path) -> None:
    path = tmp_path / "log"
    now = time.time()
    log = Log(str(path))
    for number in range(3):
        log.take(f"{number:032x}", now + 800 + number, "apply", now)
        log.end(f"{number:032x}", now, "done", "status 0")
    data = path.read_bytes()
    spoiled = [data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :]
               for at in range(len(data))]  # fmt: skip
    for damaged in [*spoiled, *(data[:at] for at in range(len(data)) if data[at - 1] != 10)]:
        path.write_bytes(damaged)
        found = Log(str(path))
        assert all(found.is_taken(f"{n:032x}", now + 800 + n) for n in range(3)), damaged
        assert not found.is_taken("f" * 32, now + 2000), "a quarter of an hour later all is well"


def test_an_order_that_was_held_back_is_refused_though_the_clock_was_set_back(
    tmp_path: Path,
) -> None:
    log = Log(str(tmp_path / "log"))
    log.take(ID, 10_900.0, "ping", 10_000.0)
    for one in (log, Log(log.path)):
        assert one.is_taken("e" * 32, 9_999.0), "it had expired when the other one was signed"
        assert not one.is_taken("f" * 32, 10_001.0)


def test_the_log_is_bounded_and_forgets_nothing_that_could_be_taken_again(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = Log(str(path))
    ids = [f"{number:032x}" for number in range(3 * REMEMBERED)]
    for number, id in enumerate(ids):
        log.take(id, 1000.0 + number, "ping", 1000.0)
        log.end(id, 1000.0, "done", "x" * 200)
    assert path.stat().st_size <= MOST
    for kept in (log, Log(str(path))):
        assert all(kept.is_taken(id, 1000.0 + number) for number, id in enumerate(ids))
        assert not kept.is_taken("f" * 32, 5000.0)


def test_a_full_disk_takes_no_order(tmp_path: Path) -> None:
    if os.path.exists("/dev/full"):
        log = Log(str(tmp_path / "log"))
        log.path = "/dev/full"
        with pytest.raises(OSError, match="No space"):
            log.take(ID, 1060.0, "apply", 1000.0)


def test_the_daemon_loads_nothing_of_it_unless_it_is_asked_for() -> None:
    code = (
        "import sys, algwatch.start, algwatch.report.publisher; "
        "print([name for name in sys.modules if 'control' in name or name.endswith('hears')])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"
