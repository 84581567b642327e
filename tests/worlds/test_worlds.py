# SPDX-License-Identifier: Apache-2.0
"""Nothing false is said of worlds that nobody has chosen. `make worlds` plays more of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from worlds.judge import Played

SEEDS = range(60)
IN_PART = range(0, 60, 7)


def wide(seed: int) -> str:
    """Every other world has a dimension of wide.py."""
    return "wide" if seed % 2 else ""


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_false_is_said_of_a_world(seed: int, tmp_path: Path) -> None:
    assert Played(seed, tmp_path, wide(seed)).false == []


@pytest.mark.parametrize("seed", IN_PART)
def test_nothing_false_is_said_of_a_part_of_its_captures(seed: int, tmp_path: Path) -> None:
    assert Played(seed, tmp_path, wide(seed)).false_in_part == []


def test_the_worlds_hold_what_they_are_for(tmp_path: Path) -> None:
    """Some are hurt by their ALG, and some live by it alone."""
    every = [Played(seed, tmp_path, wide(seed)) for seed in SEEDS]
    assert sum(one.hurt_by_alg for one in every) >= 3
    assert sum(one.alg.fine and not one.plain.fine for one in every) >= 1
    assert any("disable-sip-alg" in one.advice for one in every if one.hurt_by_alg)
