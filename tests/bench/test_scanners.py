# SPDX-License-Identifier: Apache-2.0
"""Every scanner that `make bench` compares reads the same out of the same messages."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import make_corpus
import scanners

IN_CI = os.environ.get("CI") == "true"
IN_DEBIAN = ("sofia-sip", "libosip2")
OURS = "totals ok=2 err=0 via=4 c=1"


@pytest.fixture(scope="module")
def sums(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Totals of every scanner that is here, by name."""
    for program in ("cc", "pkg-config"):
        if shutil.which(program) is None:
            assert not IN_CI, f"{program} is not installed"
            pytest.skip(f"{program} is not installed")
    directory = tmp_path_factory.mktemp("scanners")
    corpus = directory / "corpus.bin"
    assert make_corpus.write(corpus) == 2000
    programs, missing = scanners.build(directory)
    assert [line for line in missing if scanners.UNBUILT in line] == []
    return {name: scanners.totals(program, corpus) for name, program in programs.items()}


def check(name: str, sums: dict[str, str]) -> None:
    assert sums[name].startswith("totals ok=2000 err=0 ")
    assert scanners.unexplained({scanners.NAME: sums[scanners.NAME], name: sums[name]}) == {}


@pytest.mark.parametrize("name", [*scanners.OURS, *IN_DEBIAN])
def test_the_totals_are_equal(name: str, sums: dict[str, str]) -> None:
    if name not in sums:
        missing = f"{name} is not here: {scanners.PEERS[name][2]}"
        assert not IN_CI, missing
        pytest.skip(missing)
    check(name, sums)


def test_the_totals_of_whatever_else_is_installed_are_equal(sums: dict[str, str]) -> None:
    for name in sums:
        check(name, sums)


def test_a_difference_is_told_and_fails_unless_it_is_explained() -> None:
    other = "totals ok=2 err=0 via=4 c=7"
    assert scanners.unexplained({scanners.NAME: OURS, "libre": other}) == {}
    found = scanners.unexplained({scanners.NAME: OURS, "PJSIP": other})
    assert found == {"PJSIP": "c=7 instead of c=1"}
    fewer = OURS.replace("via=4", "via=3")
    assert list(scanners.unexplained({scanners.NAME: OURS, "libre": fewer})) == ["libre"]
