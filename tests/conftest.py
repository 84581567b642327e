# SPDX-License-Identifier: Apache-2.0
"""`craft` for every test; `--golden-update` for tests/golden."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

HERE = str(Path(__file__).resolve().parent)
if HERE not in sys.path:
    sys.path.insert(0, HERE)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--golden-update",
        action="store_true",
        help="record expected.json of tests/golden, where the verdict holds",
    )
