# SPDX-License-Identifier: Apache-2.0
"""The source distribution holds what is needed to build, test and read about algwatch."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = "import sys; from setuptools import build_meta; print(build_meta.build_sdist(sys.argv[1]))"
NOT_SOURCE = shutil.ignore_patterns(
    ".git", ".venv", ".*_cache", ".hypothesis", "__pycache__", "*.egg-info", "*.so", "build",
    "dist", "out",
)  # fmt: skip


def test_an_sdist_has_all_sources_and_nothing_that_was_built(tmp_path: Path) -> None:
    if importlib.util.find_spec("setuptools") is None:
        pytest.skip("setuptools is not installed")
    tree = tmp_path / "tree"
    shutil.copytree(ROOT, tree, ignore=NOT_SOURCE)
    (tree / "tests" / "native" / "out").mkdir()
    (tree / "tests" / "native" / "out" / "check.o").touch()
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(tmp_path)],
        cwd=tree, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with tarfile.open(tmp_path / done.stdout.splitlines()[-1]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {
        str(path.relative_to(ROOT))
        for folder in ("native", "agent/algwatch", "tools", "docs")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".c", ".h", ".py", ".pyi", ".typed", ".md")
    }
    assert wanted <= names
    assert {"pyproject.toml", "setup.py", "tools/setup", "Makefile", "LICENSE"} <= names
    built = {name for name in names if name.endswith((".so", ".o", ".pyc")) or "/out/" in name}
    assert built == set()
