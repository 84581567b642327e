# SPDX-License-Identifier: Apache-2.0
"""Completions, the manual page, `help`, and what was meant by what was typed."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path
from types import ModuleType

import pytest
from algwatch.__main__ import main
from algwatch.cli import VERBS
from algwatch.cli.completion import FORMS

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "agent" / "algwatch" / "cli" / "shell"


def tool() -> ModuleType:
    found = importlib.util.spec_from_file_location("shell", ROOT / "tools" / "shell.py")
    assert found is not None and found.loader is not None
    made = importlib.util.module_from_spec(found)
    found.loader.exec_module(made)
    return made


def test_the_files_are_of_the_options_of_today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    for name, text in tool().written().items():
        assert (FOLDER / name).read_text(encoding="utf-8") == text, "run: make docs"


@pytest.mark.parametrize("form", FORMS)
def test_each_is_printed_and_knows_every_verb(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", form]) == 0
    text = capsys.readouterr().out
    assert all(verb in text for verb in VERBS) and "ndjson" in text


def test_bash_completes_a_verb_and_an_option() -> None:
    script = f"""
        source {FOLDER / "algwatch.bash"}
        for typed in "algwatch anal" "algwatch analyze --ndj" "algwatch completion f"; do
            read -ra COMP_WORDS <<<"$typed"; COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
            COMPREPLY=(); _shtab_algwatch; echo "${{COMPREPLY[@]}}"
        done"""
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["analyze", "--ndjson", "fish"]


def test_fish_completes_a_verb_and_an_option() -> None:
    script = (f"source {FOLDER / 'algwatch.fish'}; complete -C 'algwatch anal'; "
              "complete -C 'algwatch analyze --ndj'")  # fmt: skip
    done = subprocess.run(["fish", "-c", script], capture_output=True, text=True, check=True)
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["analyze", "--ndjson"]


def test_zsh_takes_its_file() -> None:
    subprocess.run(["zsh", "-n", FOLDER / "_algwatch"], check=True)


def test_the_manual_page_is_one_for_groff() -> None:
    done = subprocess.run(
        ["groff", "-man", "-Tascii", "-ww", FOLDER / "algwatch.1"], capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert done.stderr == "" and "algwatch analyze --list" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["analyse"], "did you mean analyze? algwatch --help lists them"),
        (["dance"], "there is no verb 'dance'; algwatch --help lists them"),
        (["analyze", "--jsn", "x"], "did you mean --json? algwatch analyze --help"),
        (["analyze", "--xyzzy", "x"], "unrecognized arguments: --xyzzy; algwatch analyze"),
    ],
)
def test_what_was_meant_is_told_where_it_is_close(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    text = capsys.readouterr().err
    assert said in text and text.count("\n") == 1


@pytest.mark.parametrize("words", [["help"], ["help", "diff"], ["-V"], ["help", "run"]])
def test_help_and_version_are_words_too(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert not ended.value.code
    assert "algwatch" in capsys.readouterr().out
