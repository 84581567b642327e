# SPDX-License-Identifier: Apache-2.0
"""The scanners take time in proportion to what they read, whatever stands in it.

Counted in steps (counted.h), not in seconds. A sender of one datagram of 60 kB who could make the
scanner take a quarter of a second would blind the agent with four datagrams a second.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import native_steps
import pytest
import shapes
from native_steps import NativeSteps
from sample import some

MOST = 32  # steps for each byte; gcc and clang differ, the most that either has shown are 20
FIXED = 3000  # steps of a message, however short
GROWTH = 1.5  # times the steps a byte that 4 kB take
SLACK = 0.25  # steps a byte
VARIANTS: dict[str, tuple[str, ...]] = {"sse2": (), "portable": ("-DAW_PORTABLE",)}
# One header of each kind of value in field.h that has parts of its own.
KINDS = ("via", "from", "contact")
TEXTS = some(shapes.texts().items(), 2)  # in every place; the others on the next day

Count = Callable[[bytes], int]


@pytest.fixture(scope="module", params=VARIANTS)
def native(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> NativeSteps:
    if shutil.which("gcc") is None:
        assert os.environ.get("CI") != "true", "gcc is not installed"
        pytest.skip("gcc is not installed")
    directory = tmp_path_factory.mktemp(request.param)
    return NativeSteps(native_steps.build(directory, flags=VARIANTS[request.param]))


def complaint(count: Count, data: list[bytes]) -> str:
    """Why the steps for these, 4 kB and longer, are not in proportion to their lengths; or ""."""
    steps = [count(one) for one in data]
    told = ", ".join(f"{n} for {len(one)} bytes" for n, one in zip(steps, data, strict=True))
    if any(n > MOST * len(one) + FIXED for n, one in zip(steps, data, strict=True)):
        return f"too many steps: {told}"
    base = next(i for i, one in enumerate(data) if len(one) >= shapes.LENGTHS[1])
    allowed = GROWTH * steps[base] / len(data[base]) + SLACK
    if any(n / len(one) > allowed for n, one in zip(steps[base:], data[base:], strict=True)):
        return f"faster than in proportion: {told}"
    return ""


def complaints(count: Count, places: dict[str, shapes.Place]) -> list[str]:
    found = []
    for shape, text in TEXTS:
        long = [text(length) for length in shapes.LENGTHS]
        for name, place in places.items():
            if told := complaint(count, [place(one) for one in long]):
                found.append(f"{shape} in {name}: {told}")
    return found


def test_a_message_costs_in_proportion_to_its_length(native: NativeSteps) -> None:
    assert complaints(native.message, shapes.sip_places()) == []


def test_a_message_in_a_stream_costs_in_proportion_to_its_length(native: NativeSteps) -> None:
    places = shapes.STARTS | shapes.LINES
    assert complaints(lambda data: native.message(data, stream=True), places) == []


def test_a_body_costs_in_proportion_to_its_length(native: NativeSteps) -> None:
    assert complaints(native.body, shapes.sdp_places()) == []


def test_each_unit_behind_each_beginning_costs_in_proportion(native: NativeSteps) -> None:
    found = []
    places = {name: shapes.field(name.encode()) for name in KINDS}
    for shape, text in shapes.all_texts():
        long = text(4 << 10), text(8 << 10)
        for name, place in places.items():
            if told := complaint(native.message, [place(one) for one in long]):
                found.append(f"{shape} in {name}: {told}")
    assert found == []


def test_what_takes_quadratic_time_is_found(native: NativeSteps) -> None:
    def quadratic(data: bytes) -> int:
        return len(data) ** 2 // 2000 + native.message(data)

    assert len(complaints(quadratic, {"to": shapes.field(b"to")})) == len(TEXTS)
    assert set(KINDS) <= {name for name, _ in shapes.known_fields()}
