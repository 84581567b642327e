# SPDX-License-Identifier: Apache-2.0
"""The small scripts of the package: rpcd's plugin, and what runs once after installation."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from service import FILES, needs


def run(
    script: Path, *words: str, text: str = "", path: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [needs("busybox"), "ash", str(script), *words], input=text, capture_output=True, text=True,
        env={"PATH": f"{path}:/usr/bin:/bin"}, timeout=30,
    )  # fmt: skip


def plugin(tmp_path: Path) -> Path:
    script = tmp_path / "plugin"
    script.write_text((FILES / "algwatch.rpcd").read_text().replace("=/var", f"={tmp_path}/var"))
    return script


def test_rpcd_is_told_the_one_method(tmp_path: Path) -> None:
    done = run(plugin(tmp_path), "list")
    assert json.loads(done.stdout) == {"status": {}}


def test_the_status_is_the_daemons_file_as_it_is(tmp_path: Path) -> None:
    script = plugin(tmp_path)
    done = run(script, "call", "status", text="{}")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"running": False})
    folder = tmp_path / "var/run/algwatch"
    folder.mkdir(parents=True)
    (folder / "status.json").write_text('{"schema": 1}\n')
    assert run(script, "call", "status", text="{}").stdout == '{"schema": 1}\n'


def test_a_link_in_the_daemons_folder_is_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "var/run/algwatch"
    folder.mkdir(parents=True)
    (tmp_path / "secret").write_text('{"secret": 1}\n')
    (folder / "status.json").symlink_to(tmp_path / "secret")
    assert "secret" not in run(plugin(tmp_path), "call", "status", text="{}").stdout


def test_a_pipe_in_the_daemons_folder_holds_nobody_up(tmp_path: Path) -> None:
    folder = tmp_path / "var/run/algwatch"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "status.json")
    done = run(plugin(tmp_path), "call", "status", text="{}")
    assert json.loads(done.stdout) == {"running": False}


def test_another_method_is_refused(tmp_path: Path) -> None:
    for words in (("call", "reboot"), ("call", "status; reboot"), ("call",), ()):
        done = run(plugin(tmp_path), *words)
        assert done.returncode == 1 and not done.stdout


def defaults(tmp_path: Path, has_section: bool) -> str:
    """Run the script with a uci that notes what it is told; returns that."""
    script = tmp_path / "defaults"
    text = (FILES / "algwatch.defaults").read_text()
    script.write_text(text.replace("/etc/", f"{tmp_path}/etc/"))
    program = tmp_path / "bin/uci"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\n[ "$2" != get ] || exit {int(not has_section)}\n'
        f'[ "$2" != batch ] || cat >{tmp_path}/told\n'
    )
    program.chmod(0o755)
    done = run(script, path=str(program.parent))
    assert (done.returncode, done.stderr) == (0, "")
    told = tmp_path / "told"
    return told.read_text() if told.exists() else ""


def test_a_kept_configuration_is_left_alone(tmp_path: Path) -> None:
    assert defaults(tmp_path, has_section=True) == ""


def test_one_without_its_section_gets_it(tmp_path: Path) -> None:
    told = defaults(tmp_path, has_section=False)
    assert told.splitlines() == [
        "set algwatch.main=algwatch", "set algwatch.main.enabled='1'", "commit algwatch",
    ]  # fmt: skip
