# SPDX-License-Identifier: Apache-2.0
"""The documentation as a site, and the ladders in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "golden"))

from pictures import FOLDER, drawn  # noqa: E402


def test_the_ladders_of_the_guide_are_what_the_captures_show_today() -> None:
    made = drawn()
    there = {path.name: path.read_text("utf-8") for path in FOLDER.iterdir()}
    assert made == there, "run: make docs"


def test_the_guide_shows_every_ladder() -> None:
    pages = "".join(path.read_text() for path in FOLDER.parent.glob("*.md"))
    pages += (FOLDER.parent.parent / "index.md").read_text()
    assert {name for name in drawn() if f"img/{name}" not in pages} == set()


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    try:
        import mkdocs  # noqa: F401
    except ImportError:
        assert os.environ.get("CI") != "true", "mkdocs is not installed"
        pytest.skip("mkdocs is not installed (pip install -e .[dev])")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(tmp_path / "site")],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    guide = (tmp_path / "site" / "guide" / "why-calls-drop.html").read_text()
    assert "img/after-32-seconds.svg" in guide
    for page in (tmp_path / "site").rglob("*.html"):
        text = page.read_text()
        assert 'src="http' not in text and "fonts.googleapis" not in text, page
