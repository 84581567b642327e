# SPDX-License-Identifier: Apache-2.0
"""`algwatch analyze` takes time in proportion to long hostile messages: read, compared, shown."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from itertools import cycle
from pathlib import Path

import craft
import pytest
import python_cost
import shapes
from algwatch.__main__ import main
from algwatch.report.render.differ import changed_part, differing_lines
from sample import some

SHORT, LONG = 14 << 10, 56 << 10  # bytes of text
# Each analysis takes 10 ms: a text is tried in one of so many places, a quarter of them each day.
SOME = 5
MOST = 65_400  # bytes of a message in one packet

Alg = Callable[[bytes], bytes]


def untouched(message: bytes) -> bytes:
    return message


def rewritten(message: bytes) -> bytes:
    return message.replace(b"192.168.1.2", b"198.51.100.2")


def damaged(message: bytes) -> bytes:
    message = rewritten(message)
    half = len(message) // 2
    return message[:half] + b"x" + message[half + 1 :]


def shortened(message: bytes) -> bytes:
    return rewritten(message).replace(b"Max-Forwards: 70\r\n", b"")


def longer(message: bytes) -> bytes:
    return rewritten(message).replace(b"\r\n", b"\r\nVia: SIP/2.0/UDP 198.51.100.2\r\n", 1)


ALGS: tuple[Alg, ...] = (untouched, rewritten, damaged, shortened, longer)
PLACES: dict[str, shapes.Place] = {
    **{name: shapes.field(name.encode()) for name, _ in shapes.known_fields()},
    **shapes.STARTS,
    **shapes.LINES,
}
SDP = shapes.sdp_places()
IN_SDP = ("whole body", "o=", "c=", "m=", "many m=", "many c=", "many a=candidate:", "a=rtcp:")
PLACES |= {
    f"SDP, {name}": lambda text, place=SDP[name]: shapes.message(body=place(text))  # type: ignore[misc]
    for name in IN_SDP
}


def call(message: bytes, alg: Alg) -> craft.House:
    """An INVITE that is answered, sent again, and a request outside of the call."""
    house = craft.House(phone="192.168.1.2")
    house.out(1.0, message, alg=alg)
    house.into(1.1, craft.answer(200, shapes.message(), to_tag="2", contact="<sip:b@203.0.113.5>"))
    house.out(1.5, message, alg=alg)
    other = re.sub(rb"^INVITE", b"OPTIONS", message)
    house.out(40, other.replace(b"Call-Id: 1", b"Call-Id: 2"), alg=alg)
    return house


class Analysis:
    """Captures of a call with that text, and `analyze` of them. json: or the text for people."""

    def __init__(self, directory: Path, message: bytes, alg: Alg, json: bool) -> None:
        lan, wan = call(message[:MOST], alg).sorted()
        files = directory / f"lan{len(message)}.pcap", directory / f"wan{len(message)}.pcap"
        for file, packets in zip(files, (lan, wan), strict=True):
            file.write_bytes(craft.pcap(packets))
        self._words = ["analyze", *(["--json"] if json else [])]
        self._words += ["--lan", str(files[0]), "--wan", str(files[1])]

    def __call__(self) -> None:
        said = StringIO()
        with redirect_stdout(said):
            main(self._words)
        assert said.getvalue().endswith("\n")


def test_an_analysis_takes_time_in_proportion_to_hostile_messages(tmp_path: Path) -> None:
    found = []
    ways = cycle([(alg, json) for json in (False, True) for alg in ALGS])
    for number, (shape, text) in some(enumerate(shapes.texts().items()), 4):
        short, long = text(SHORT), text(LONG)
        for name, place in list(PLACES.items())[number % SOME :: SOME]:
            alg, json = next(ways)
            work, more = (Analysis(tmp_path, place(one), alg, json) for one in (short, long))
            if told := python_cost.slow(work, more, LONG / SHORT):
                found.append(f"{shape} in {name}, {alg.__name__}: {told}")
    assert found == []


@pytest.mark.parametrize("alg", ALGS)
def test_an_analysis_runs_opcodes_in_proportion_to_hostile_messages(
    alg: Alg, tmp_path: Path
) -> None:
    found = []
    mine = list(PLACES.items())[ALGS.index(alg) :: len(ALGS)]
    for number, (name, place) in enumerate(mine):
        shape = shapes.mixed(number, 3)
        work, more = (
            Analysis(tmp_path, place(shape(size)), alg, number % 3 == 0) for size in (3000, 9000)
        )
        work()  # what is imported late, or cached, is not counted
        if told := python_cost.busy(work, more, 3):
            found.append(f"mixture {number} in {name}: {told}")
    assert found == []


LINES: dict[str, tuple[Callable[[int], bytes], Callable[[int], bytes]]] = {
    "one again and again": (lambda i: b"A\r\nB%d\r\n" % i, lambda i: b"A\r\nC%d\r\n" % i),
    "shifted": (lambda i: b"A\r\nA\r\nB%d\r\n" % i, lambda i: b"C%d\r\nA\r\nA\r\n" % i),
    "all the same": (lambda i: b"A\r\n", lambda i: b"A\r\n"),
    "nothing the same": (lambda i: b"A%d\r\n" % i, lambda i: b"B%d\r\n" % i),
    "backwards": (lambda i: b"A%d\r\n" % i, lambda i: b"A%d\r\n" % (10**9 - i)),
    "each twice": (lambda i: b"A%d\r\n" % (i // 2), lambda i: b"A%d\r\n" % (i // 2 + i % 2)),
}  # fmt: skip


@pytest.mark.parametrize(("few", "many"), [(40, 160), (300, 3000)])
@pytest.mark.parametrize("name", LINES)
def test_lines_are_matched_in_proportion_to_their_number(name: str, few: int, many: int) -> None:
    before, after = LINES[name]

    def work(count: int) -> Callable[[], object]:
        one = b"".join(map(before, range(count)))
        two = b"".join(map(after, range(count))) + b"more\r\n"
        return lambda: differing_lines(one, two)

    assert python_cost.busy(work(few), work(many), times=many / few) == ""


def test_a_changed_part_is_found_in_proportion_to_the_line() -> None:
    def work(size: int) -> Callable[[], object]:
        return lambda: changed_part("a" * size + "b" + "c" * size, "a" * size + "d" + "c" * size)

    assert python_cost.busy(work(1000), work(10_000), times=10) == ""


def test_what_takes_quadratic_time_is_found() -> None:
    def loops(count: int) -> Callable[[], object]:
        return lambda: [None for i in range(count) for j in range(i)]

    def searches(count: int) -> Callable[[], object]:
        return lambda: re.search("a*b", "a" * count)

    assert python_cost.busy(loops(100), loops(400), times=4)
    assert python_cost.slow(searches(3000), searches(18000), times=6)
