# SPDX-License-Identifier: Apache-2.0
"""Imports go one way, from report to capture, and only some files do I/O."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_the_import_contracts_of_pyproject_are_kept() -> None:
    beside = Path(sys.executable).parent / "lint-imports"
    command = str(beside) if beside.exists() else shutil.which("lint-imports")
    if command is None:
        assert os.environ.get("CI") != "true", "import-linter is not installed"
        pytest.skip("import-linter is not installed (pip install -e .[dev])")
    done = subprocess.run(
        [command, "--no-cache"], cwd=ROOT, env=dict(os.environ, PYTHONPATH="agent"),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_only_the_boundary_touches_the_extension() -> None:
    """import-linter does not see compiled modules, so this contract is kept here."""
    package = ROOT / "agent" / "algwatch"
    importers = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or "", *(f"{node.module}.{a.name}" for a in node.names)]
            if "algwatch._native" in names:
                importers.add(str(path.relative_to(package)))
    six = ("layout", "privileges", "ring", "rows", "rtp", "scan")
    assert importers == {f"base/native/{name}.py" for name in six}
