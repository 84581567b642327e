# SPDX-License-Identifier: Apache-2.0
"""A real browser for tests that look at pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

CHROMIUM = "/usr/bin/chromium"
# Without these Chromium looks for updates and hosts of its maker.
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--disable-dev-shm-usage")  # fmt: skip


def need(there: bool, what: str) -> None:
    """Skip, and fail in CI, where something is missing."""
    if not there:
        assert os.environ.get("CI") != "true", f"{what} is not installed"
        pytest.skip(f"{what} is not installed")


@contextmanager
def launched() -> Iterator[Any]:
    need(shutil.which(CHROMIUM) is not None, "chromium (apt-get install chromium)")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        need(False, "playwright (pip install -e .[dev])")
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield made
        made.close()
