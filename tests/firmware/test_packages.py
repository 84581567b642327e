# SPDX-License-Identifier: Apache-2.0
"""The packages: written twice they are the same, and other programs read them."""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zlib
from pathlib import Path

import apk_reader
import pytest
from service import needs

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT), str(ROOT / "tests/bench")]

from budgets import INSTALLED  # noqa: E402

from cross import pythons  # noqa: E402
from firmware.pack import apk, contents, ipk  # noqa: E402
from firmware.pack.recipe import Recipe, RecipeError  # noqa: E402
from firmware.pack.tree import File, Package  # noqa: E402

AT = 1_795_000_000
VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
SITE = f"/usr/lib/python{VERSION}/site-packages"


def agent(out: Path) -> Package:
    """The agent's package with the bytecode of this Python, and no real extension in it."""
    extension = out / "_native.abi3.so"
    out.mkdir()
    extension.write_bytes(b"\x7fELF stand-in")
    python = pythons.Python((sys.executable,), Path())
    return contents.agent("mips_24kc", VERSION, python, extension, out / "bytecode", AT)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return agent(tmp_path_factory.mktemp("agent") / "one")


@pytest.fixture(scope="module")
def unpacked(package: Package, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ipk as the system's own tar unpacks it."""
    folder = tmp_path_factory.mktemp("ipk")
    (folder / "it.ipk").write_bytes(ipk.write(package))
    for name, inside in (("it.ipk", ""), ("control.tar.gz", "control"), ("data.tar.gz", "data")):
        (folder / inside).mkdir(exist_ok=True)
        command = ["tar", "-xzpf", str(folder / name), "-C", str(folder / inside)]
        subprocess.run(command, check=True)
    return folder


def test_an_ipk_and_an_apk_are_the_same_bytes_when_made_again(
    package: Package, tmp_path: Path
) -> None:
    again = agent(tmp_path / "elsewhere")
    assert ipk.write(again) == ipk.write(package)
    assert apk.write(again) == apk.write(package)


def test_an_ipk_has_its_three_parts_in_the_order_that_opkg_reads(package: Package) -> None:
    with tarfile.open(fileobj=io.BytesIO(ipk.write(package))) as tar:
        members = tar.getmembers()
    names = ["./debian-binary", "./data.tar.gz", "./control.tar.gz"]
    assert [member.name for member in members] == names
    assert {(m.uid, m.gid, m.mtime, m.mode) for m in members} == {(0, 0, AT, 0o644)}


def test_an_ipk_holds_the_files_where_the_router_looks(unpacked: Path) -> None:
    data = unpacked / "data"
    modes = {
        "etc/init.d/algwatch": 0o755, "etc/config/algwatch": 0o600, "usr/bin/algwatch": 0o755,
        "etc/uci-defaults/90-algwatch": 0o755, "usr/libexec/rpcd/algwatch": 0o755,
        "etc/capabilities/algwatch.json": 0o644, f"{SITE[1:]}/algwatch/_native.abi3.so": 0o755,
        f"{SITE[1:]}/algwatch/__main__.pyc": 0o644, "lib/upgrade/keep.d/algwatch": 0o644,
    }  # fmt: skip
    for name, mode in modes.items():
        seen = (data / name).stat()
        assert (seen.st_mode & 0o7777, int(seen.st_mtime)) == (mode, AT), name
    assert (data / "lib/upgrade/keep.d/algwatch").read_text() == "/etc/algwatch/\n"
    assert not [*data.rglob("*.py")] and not [*data.rglob("__pycache__")]
    sources = [*(ROOT / "agent/algwatch").rglob("*.py")]
    assert len([*data.rglob("*.pyc")]) == len(sources)


def test_entries_of_an_ipk_are_sorted_and_belong_to_root(unpacked: Path) -> None:
    with tarfile.open(unpacked / "data.tar.gz") as tar:
        members = tar.getmembers()
    names = [member.name for member in members]
    assert names == sorted(names) and len(names) == len(set(names))
    assert {(m.uid, m.gid, m.mtime) for m in members} == {(0, 0, AT)}
    # Every folder is there before what is in it.
    for member in members[1:]:
        assert os.path.dirname(member.name) in names


def test_the_control_file_says_what_opkg_asks_for(unpacked: Path, package: Package) -> None:
    lines = (unpacked / "control/control").read_text().splitlines()
    control = dict(line.split(": ", 1) for line in lines)
    assert control["Package"] == "algwatch" and control["Architecture"] == "mips_24kc"
    assert control["Version"] == package.version
    assert control["Depends"].split(", ") == ["libc", *package.depends]
    assert control["Require-User"] == "algwatch=5060:algwatch=5060"
    size = int(control["Installed-Size"])
    assert package.installed_size() < size < 1.3 * package.installed_size()
    assert (unpacked / "control/conffiles").read_text() == "/etc/config/algwatch\n"
    assert (unpacked / "control/postinst").stat().st_mode & 0o777 == 0o755
    assert (unpacked / "debian-binary").read_text() == "2.0\n"


def test_bytecode_alone_runs_and_names_no_folder_of_the_build(
    unpacked: Path, tmp_path: Path
) -> None:
    site = unpacked / "data" / SITE[1:]
    # The extension of this machine, for the one that the package is for.
    native = next((ROOT / "agent/algwatch").glob("_native*.so"))
    shutil.copy(native, site / "algwatch/_native.abi3.so")
    words = f"import sys; sys.path.insert(0, {str(site)!r}); from algwatch.__main__ import main; "
    done = subprocess.run(
        [sys.executable, "-c", words + "sys.exit(main(['explain', 'ALG011']))"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0 and "mapping" in done.stdout, done.stderr
    for path in site.rglob("*.pyc"):
        assert str(ROOT).encode() not in path.read_bytes(), path


def test_the_modules_take_no_more_flash_than_they_may(package: Package) -> None:
    taken = sum(len(one.data) for path, one in package.files.items() if path.endswith(".pyc"))
    assert 0 < taken <= INSTALLED


def test_an_apk_holds_what_the_ipk_holds(package: Package) -> None:
    seen = apk_reader.read(apk.write(package))
    for path, file in package.files.items():
        assert seen.files[path] == (file.mode, "root", "root", AT, file.data, ""), path
    lists = "/lib/apk/packages/algwatch"
    assert set(seen.files) - set(package.files) == {
        f"{lists}.list", f"{lists}.conffiles", f"{lists}.conffiles_static", f"{lists}.rusers",
    }  # fmt: skip
    listed = seen.files[f"{lists}.list"].data.decode().splitlines()
    assert listed == sorted([*package.files, f"{lists}.rusers"])
    assert seen.files[f"{lists}.conffiles"].data == b"/etc/config/algwatch\n/etc/algwatch/\n"
    digest = hashlib.sha256(package.files["/etc/config/algwatch"].data).hexdigest()
    static = seen.files[f"{lists}.conffiles_static"].data.decode()
    assert static == f"/etc/config/algwatch {digest}\n"
    assert seen.files[f"{lists}.rusers"].data == b"algwatch=5060:algwatch=5060\n"
    assert seen.info["arch"] == "mips_24kc" and seen.info["name"] == "algwatch"
    assert seen.info["depends"] == sorted(["libc", *package.depends])
    assert set(seen.scripts) == {"post-install", "pre-deinstall", "post-upgrade"}
    assert "add_group_and_user" in seen.scripts["post-install"]


def odd() -> Package:
    """A link, an empty file, names that sort unlike their folders, texts of every length."""
    made = Package("odd-one", "1.2.3-r4", "all", "t", "An odd  one", "MIT", "Nobody", "net",
                   ["zlib", "libpcap", "algwatch"], "odd=1:odd=1", "https://example.org/",
                   ["/etc/odd", "/etc/odd.d/"], at=AT)  # fmt: skip
    made.add("/etc/odd", "short", 0o600)
    made.add("/etc/empty", "")
    made.add("/usr/lib/a-b/x", bytes(range(256)) * 300, 0o755)
    made.add("/usr/lib/a/x", "the same")
    made.add("/usr/lib/a/y", "the same")
    made.add("/usr/lib/a.b", b"\0" * 1000)
    made.files["/usr/lib/link.so"] = File(b"a/x", 0o120777)
    made.keep()
    return made


def test_an_apk_is_what_apk_mkpkg_makes_of_the_same_files() -> None:
    """apk-tools 3.0.6 made a file with this sum of odd(). The next test compares again where apk is
    on PATH."""
    data = apk.write(odd())
    inner = zlib.decompress(data[4:], -15)
    assert hashlib.sha256(inner).hexdigest() == MKPKG_INNER
    assert apk_reader.read(data).files["/usr/lib/link.so"].target == "a/x"


SHELL = ("", ".sh", ".init", ".defaults", ".rpcd", ".common")
MKPKG_INNER = "5a0cbe80babe35a25f0b2d9fcb8e6ba3ad940c6e2c1aa6159644e4bc73e7e150"


def mkpkg(tool: str, package: Package, work: Path) -> bytes:
    """The file that the real tool makes."""
    files, scripts = work / "files", work / "scripts"
    files.mkdir(parents=True)
    scripts.mkdir()
    for path, file in apk.with_lists(package).items():
        target = files / path[1:]
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.is_link:
            target.symlink_to(file.data.decode())
        else:
            target.write_bytes(file.data)
            target.chmod(file.mode)
    words = [tool, "mkpkg", "--files", str(files), "--output", str(work / "it.apk")]
    info = {
        "name": package.name, "version": package.version, "license": package.license,
        "description": " ".join(package.description.split()), "maintainer": package.maintainer,
        "arch": "noarch" if package.arch == "all" else package.arch, "url": package.url,
        "origin": f"feeds/algwatch/{package.name}",
        "depends": " ".join(["libc", *package.depends]),
    }  # fmt: skip
    for name, value in info.items():
        words += ["--info", f"{name}:{value}"]
    for kind, text in apk.scripts(package).items():
        (scripts / kind).write_text(text)
        words += ["--script", f"{kind}:{scripts / kind}"]
    subprocess.run(words, check=True, env={**os.environ, "SOURCE_DATE_EPOCH": str(AT)})
    return (work / "it.apk").read_bytes()


if shutil.which("apk"):  # no package of Debian has it

    def test_the_real_tool_verifies_and_makes_the_same_bytes(
        package: Package, tmp_path: Path
    ) -> None:
        os.umask(0o022)
        for number, made in enumerate((package, odd())):
            data = apk.write(made)
            (tmp_path / "ours.apk").write_bytes(data)
            ours = str(tmp_path / "ours.apk")
            subprocess.run(["apk", "verify", "--allow-untrusted", ours], check=True)
            assert mkpkg("apk", made, tmp_path / str(number)) == data


def test_the_makefile_installs_what_make_package_installs() -> None:
    text = (contents.FEED / "algwatch/Makefile").read_text()
    for name, (path, mode) in contents.PLACES.items():
        how = {0o755: "BIN", 0o644: "DATA", 0o600: "CONF"}[mode]
        assert f"$(INSTALL_{how}) ./files/{name} $(1){path}\n" in text
    files = {path.name for path in (contents.FEED / "algwatch/files").iterdir()}
    assert files == set(contents.PLACES)


def test_the_makefile_has_the_version_of_the_agent() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert Recipe(contents.FEED / "algwatch/Makefile").sets["PKG_VERSION"] == project["version"]


def test_a_makefile_that_is_not_understood_is_refused(tmp_path: Path) -> None:
    makefile = tmp_path / "Makefile"
    for odd_line, word in (
        ("ifeq ($(A),b)", "conditions"),
        ("define Package/b\nendef", "defines 2"),
    ):
        makefile.write_text(f"{odd_line}\ndefine Package/a\n  TITLE:=t\nendef\n")
        with pytest.raises(RecipeError, match=word):
            Recipe(makefile)
    makefile.write_text("define Package/a\n  DEPENDS:=+USE_X:a\nendef\n")
    with pytest.raises(RecipeError, match="USE_X"):
        _ = Recipe(makefile).depends


def test_all_shell_is_clean() -> None:
    """shellcheck and shfmt, over every file that a shell reads."""
    found: dict[str, list[str]] = {"bash": [], "sh": []}
    for folder in (".ci", "tools", "firmware", "tests"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and path.suffix in SHELL and "out" not in path.parts:
                first = path.read_bytes()[:80].split(b"\n")[0]
                if re.match(rb"#!.*(\bbash|/sh|\bash)\b", first):
                    found["bash" if b"bash" in first else "sh"].append(str(path))
    assert found["bash"] and len(found["sh"]) > 8
    checks = [[needs("shellcheck"), "-s", shell, *paths] for shell, paths in found.items()]
    for command in [*checks, [needs("shfmt"), "-d", *found["bash"], *found["sh"]]]:
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
