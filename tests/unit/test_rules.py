# SPDX-License-Identifier: Apache-2.0
"""Every rule explains itself, is listed, and stands in docs/rules.md as it is."""

from __future__ import annotations

import json
import os
import py_compile
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from algwatch.__main__ import main
from algwatch.cli.explain import find
from algwatch.cli.rules import pages
from algwatch.cli.rules import table as drawn_table
from algwatch.diagnose.finding import SEVERITIES
from algwatch.diagnose.rules import RULES
from algwatch.report.render.explained import SECTIONS, parts

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "agent" / "algwatch" / "diagnose" / "rules"
EACH = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.RULE.id)


def test_every_file_of_the_folder_is_in_the_list() -> None:
    files = {path.stem for path in FOLDER.glob("*/*.py")} - {"__init__"}
    assert {rule.__name__.rpartition(".")[2] for rule in RULES} == files
    assert len(RULES) == len(files)


def test_ids_and_slugs_are_unique() -> None:
    for names in ([r.RULE.id for r in RULES], [r.RULE.slug for r in RULES]):
        assert len(set(names)) == len(names)


@EACH
def test_the_docstring_has_the_sections_in_their_order(rule: ModuleType) -> None:
    title, sections = parts(rule)
    assert title
    assert tuple(heading for heading, _ in sections) == SECTIONS
    assert all(text.endswith((".", ")")) for _, text in sections)


@EACH
def test_no_text_of_a_rule_is_a_placeholder(rule: ModuleType) -> None:
    for text in (rule.__doc__ or "", rule.RULE.summary):
        assert "..." not in text and "…" not in text


@EACH
def test_a_rule_is_named_alike_in_its_file_its_docstring_and_its_declaration(
    rule: ModuleType,
) -> None:
    declared = rule.RULE
    assert re.fullmatch(r"(CAP|MSG|TXN|DLG|REG|NAT|SIZE|ALG|SDP)\d{3}", declared.id)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", declared.slug)
    assert rule.__name__.rpartition(".")[2].startswith(declared.id.lower() + "_")
    assert (rule.__doc__ or "").startswith(declared.id + ": ")
    assert declared.severity in SEVERITIES
    assert declared.summary.endswith(".")


def test_the_documents_are_what_the_rules_say_today() -> None:
    docs = ROOT / "docs"
    there = {f"rules/{path.name}" for path in (docs / "rules").iterdir()}
    assert {"rules.md", *there} == set(pages()), "run: make docs"
    for name, text in pages().items():
        assert (docs / name).read_text() == text, "run: make docs"


@pytest.mark.parametrize("word", ["ALG011", "alg011", "mapping-mismatch", "Mapping-Mismatch"])
def test_explain_takes_ids_and_slugs_in_any_case(
    word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", word]) == 0
    page = capsys.readouterr().out
    assert page.startswith("ALG011 mapping-mismatch: ")
    places = [page.index(f"\n{heading}\n") for heading in SECTIONS]
    assert places == sorted(places)
    assert "\nExample\n" in page and "│" in page
    assert max(map(len, page.splitlines())) <= 80


def test_where_only_ascii_is_shown_the_example_is_drawn_with_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "algwatch", "explain", "ALG011"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"}, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and done.stdout.isascii()
    assert b"INVITE" in done.stdout and b"|<" in done.stdout


@pytest.mark.parametrize(
    ("word", "near"), [("ALG111", "ALG011"), ("benign-rewrites", "ALG014"), ("ack-last", "DLG001")]
)
def test_an_unknown_rule_is_one_line_that_names_near_ones(
    word: str, near: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", word]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1
    assert near in said.err


def test_nothing_near_points_to_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "\x1b[2J"]) == 2
    said = capsys.readouterr().err
    assert "algwatch rules" in said and "\x1b" not in said


def test_explain_works_from_bytecode_alone_as_on_a_router(tmp_path: Path) -> None:
    package = tmp_path / "algwatch"
    shutil.copytree(
        ROOT / "agent" / "algwatch", package, ignore=shutil.ignore_patterns("__pycache__")
    )
    for source in package.rglob("*.py"):
        py_compile.compile(str(source), cfile=str(source.with_suffix(".pyc")), doraise=True)
        source.unlink()
    for argv in (["explain", "DLG001"], ["rules"]):
        done = subprocess.run(
            [sys.executable, "-m", "algwatch", *argv], cwd=tmp_path, env={"PYTHONPATH": "."},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "DLG001" in done.stdout and "ack-lost" in done.stdout


def test_the_table_and_the_json_name_every_rule(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules"]) == 0
    table = capsys.readouterr().out
    assert main(["rules", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["rules"]
    assert [r["id"] for r in listed] == [r.RULE.id for r in RULES]
    for rule in listed:
        assert re.search(rf"^{rule['id']} +{rule['slug']} +{rule['severity']} +[A-Z]", table,
                         re.MULTILINE)  # fmt: skip
    assert find(listed[0]["slug"]) is RULES[0]


def test_the_table_can_be_read_in_eighty_columns() -> None:
    lines = drawn_table(80).splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) < 3 * len(RULES)
