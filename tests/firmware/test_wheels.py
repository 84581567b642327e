# SPDX-License-Identifier: Apache-2.0
"""The sdist and the wheels of `make wheels`, installed with pipx as anybody would.

Slow for what it shows: pip and pipx make environments of their own and ask the registry. So each
file is made once, and of two days one installs the sdist, the other the wheel; both with
`make test-all`. pip builds the sdist every day.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))

import sample  # noqa: E402

from cross import build, elf, wheels  # noqa: E402

KINDS = ("manylinux-x86_64", "sdist")
# Of environments that live for a minute, and an extension that is hardly used.
QUICK = {"ALGWATCH_OPTIMIZE": "-O0", "PIP_NO_COMPILE": "1"}
CAPTURE = ROOT / "tests/golden/lab/6b-on/wan.pcap"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The sdist under "sdist", and a wheel a target."""
    folder = tmp_path_factory.mktemp("dist")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in QUICK.items():
            patch.setenv(name, value)
        source = wheels.sdist(folder)
        pattern = wheels.pattern(source, folder / "pattern")
    known = build.targets("wheels.toml")
    built = {  # the others: tests/emulated/test_wheel_modules.py
        name: wheels.wheel(known[name], tag, pattern, folder)
        for name, tag in wheels.tags().items()
        if name.endswith("-x86_64")
    }
    return {"sdist": source, "pattern": pattern, **built}


@pytest.fixture(scope="module")
def pipx(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """pipx in a venv of its own, and the environment that keeps it to a folder."""
    home = tmp_path_factory.mktemp("pipx")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home / "venv"], check=True)
    command = [sys.executable, "-m", "pip", "--python", str(home / "venv/bin/python")]
    command += ["install", "-q", "--disable-pip-version-check", "--no-compile", "pipx"]
    subprocess.run(command, check=True)
    names = {"PIPX_HOME": "home", "PIPX_BIN_DIR": "bin", "PIPX_MAN_DIR": "man"}
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return home, {**clean, **QUICK} | {key: str(home / name) for key, name in names.items()}


def extension(wheel: Path, folder: Path) -> elf.Elf:
    with zipfile.ZipFile(wheel) as archive:
        return elf.read(Path(archive.extract(wheels.MADE_HERE, folder)))


def test_a_wheel_is_named_for_its_platform_and_asks_for_libc_alone(
    made: dict[str, Path], tmp_path: Path
) -> None:
    assert made["manylinux-x86_64"].name.endswith("-cp311-abi3-manylinux_2_17_x86_64.whl")
    assert made["musllinux-x86_64"].name.endswith("-cp311-abi3-musllinux_1_2_x86_64.whl")
    assert extension(made["manylinux-x86_64"], tmp_path / "many").needed == ("libc.so.6",)
    assert extension(made["musllinux-x86_64"], tmp_path / "musl").needed == ("libc.so",)


def test_a_manylinux_wheel_asks_for_no_newer_glibc(made: dict[str, Path], tmp_path: Path) -> None:
    with zipfile.ZipFile(made["manylinux-x86_64"]) as archive:
        path = archive.extract(wheels.MADE_HERE, tmp_path)
    said = subprocess.run(["readelf", "-V", path], capture_output=True, text=True, check=True)
    asked = {
        tuple(map(int, word[6:].split(".")))
        for word in said.stdout.split()
        if word.startswith("GLIBC_")
    }
    assert asked and max(asked) <= (2, 17)


def test_wheels_differ_from_each_other_in_nothing_but_the_extension_and_the_tag(
    made: dict[str, Path],
) -> None:
    def files(wheel: Path) -> dict[str, bytes]:
        with zipfile.ZipFile(wheel) as archive:
            return {name: archive.read(name) for name in archive.namelist()}

    one, other = files(made["manylinux-x86_64"]), files(made["musllinux-x86_64"])
    assert list(one) == list(other) and set(one) == set(files(made["pattern"]))
    differing = {name.rpartition("/")[2] for name in one if one[name] != other[name]}
    assert differing == {"_native.abi3.so", "WHEEL", "RECORD"}
    assert "algwatch/cli/shell/algwatch.1" in one and "algwatch/cli/shell/_algwatch" in one


def test_the_same_sources_make_the_same_wheel(made: dict[str, Path], tmp_path: Path) -> None:
    target = build.targets("wheels.toml")["musllinux-x86_64"]
    again = wheels.wheel(target, "musllinux_1_2_x86_64", made["pattern"], tmp_path)
    assert again.read_bytes() == made["musllinux-x86_64"].read_bytes()


@pytest.mark.parametrize("kind", KINDS if sample.ALL else [KINDS[sample.DAY % 2]])
def test_pipx_installs_it_and_it_judges_a_capture(
    made: dict[str, Path], pipx: tuple[Path, dict[str, str]], kind: str, tmp_path: Path
) -> None:
    home, environment = pipx
    command = [str(home / "venv/bin/pipx"), "install", "--force", str(made[kind])]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    command = [str(home / "bin/algwatch"), "analyze", "--brief", str(CAPTURE)]
    told = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    here = subprocess.run(
        [sys.executable, "-m", "algwatch", *command[1:]], capture_output=True, text=True
    )
    assert told.returncode == here.returncode == 1, told.stderr
    assert told.stdout == here.stdout != ""
