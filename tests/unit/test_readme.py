# SPDX-License-Identifier: Apache-2.0
"""Documents name files, verbs and decisions that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("*/README.md")])


def test_the_readme_has_a_line_for_each_verb_of_the_makefile() -> None:
    verbs = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    listed = set(re.findall(r"^\| `make ([a-z-]+)` \|", (ROOT / "README.md").read_text(), re.M))
    assert listed == verbs - {"help"}


def test_decisions_are_numbered_without_a_gap_and_those_that_code_names_are_there() -> None:
    there = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(name[:4]) for name in there] == list(range(1, len(there) + 1))
    for folder, ending in (("agent", "py"), ("native", "[ch]"), ("tests", "py"), ("docs", "md")):
        for path in (ROOT / folder).rglob(f"*.{ending}"):
            named = re.findall(r"decisions/(\d{4}[\w-]*\.md)", path.read_text())
            assert set(named) <= set(there), path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_that_are_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target
