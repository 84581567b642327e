# SPDX-License-Identifier: Apache-2.0
"""Every input that was ever kept, again; then some seconds of fuzzing (FUZZ_SECONDS of it)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import campaign  # noqa: E402
import line_coverage  # noqa: E402
import reassembly  # noqa: E402
import seeds  # noqa: E402

IN_CI = os.environ.get("CI") == "true"
# Not those of make fuzz, which may be at work.
PLACE = campaign.Place("", campaign.OUT / "test" / "corpus", campaign.OUT / "test" / "seeds", True)
SECONDS = int(os.environ.get("FUZZ_SECONDS", "12"))


def needs(*programs: str) -> None:
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        assert not IN_CI, f"not installed: {', '.join(missing)}"
        pytest.skip(f"not installed: {', '.join(missing)}")


@pytest.fixture(scope="module")
def built() -> None:
    needs("clang", "make")
    campaign.build("san")
    shutil.rmtree(PLACE.kept, ignore_errors=True)  # of the run before
    seeds.write(PLACE.seeds, only_own=False)


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("target", seeds.NATIVE_TARGETS)
def test_all_holds_of_every_input_that_was_kept(target: str) -> None:
    given = PLACE.seeds / target
    command = [
        str(campaign.OUT / "san" / f"fuzz_{target}"),
        "-runs=0",
        "-max_len=65535",
        str(given),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=HERE)
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"{len(list(given.iterdir()))} files found in {given}" in done.stderr


def test_all_holds_of_every_kept_script_of_pieces() -> None:
    kept = list(seeds.committed("reassembly"))
    assert kept
    for data in kept:
        reassembly.play(data)


@pytest.mark.usefixtures("built")
def test_some_seconds_of_fuzzing_find_nothing() -> None:
    parts = campaign.parts_of(list(seeds.TARGETS), ["san"], SECONDS, 0)
    parts = [part._replace(seconds=max(3, part.seconds)) for part in parts]
    outcomes = campaign.run(parts, PLACE)
    # Those that found no CPU in their seconds have more.
    late = [one.part._replace(seconds=30) for one in outcomes if not one.new and not one.finding]
    outcomes = [one for one in outcomes if one.new or one.finding] + campaign.run(late, PLACE)
    print(campaign.table(outcomes))
    assert [one.finding for one in outcomes if one.finding] == []
    assert {one.part.target for one in outcomes} == set(seeds.TARGETS)
    assert [one.part for one in outcomes if not one.new] == []


def test_nearly_every_line_of_the_native_code_is_run_by_its_checks() -> None:
    needs("gcc", "gcov")
    assert line_coverage.main() == 0
