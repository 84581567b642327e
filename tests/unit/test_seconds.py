# SPDX-License-Identifier: Apache-2.0
"""Times in JSON are printed as Python prints a float with six decimals."""

from __future__ import annotations

import random

from algwatch.report.render.json import _seconds


def test_every_time_has_the_decimals_that_python_gives_it() -> None:
    chance = random.Random(8)
    edges = [0.0, 0.4, 0.999999, 1.0, 9.9999995, 1e9 - 1e-6, 2.0**31 - 1e-6, 2.0**31, 4e9, 1e18]
    some = [chance.randrange(2**31 * 10**9) for _ in range(20_000)]
    whole = [ns // 1000 * 1000 for ns in some]
    for at in edges + [ns / 1e9 for ns in some + whole + [ns + 500 for ns in whole]]:
        assert _seconds(at) == f"{at:.6f}"
