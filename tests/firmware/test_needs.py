# SPDX-License-Identifier: Apache-2.0
"""The packages that must be installed with the agent's: all that it needs, and nothing else."""

from __future__ import annotations

import ast
import json
import os
import pwd
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from service import FILES, needs

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))

from firmware.pack.recipe import Recipe  # noqa: E402

AGENT = ROOT / "agent/algwatch"
DEPENDS = set(Recipe(ROOT / "firmware/openwrt/algwatch/Makefile").depends)

# OpenWrt's packages of the standard library, beside python3-light, with their modules (packages
# feed, lang/python/python3/files/).
LIBRARY = {
    "python3-asyncio": ["asyncio"],
    "python3-codecs": ["unicodedata", "_codecs_cn", "_codecs_hk", "_codecs_iso2022", "_codecs_jp",
                       "_codecs_kr", "_codecs_tw"],
    "python3-ctypes": ["ctypes", "_ctypes"],
    "python3-dbm": ["dbm", "_dbm", "_gdbm"],
    "python3-decimal": ["decimal", "_decimal"],
    "python3-logging": ["logging"],
    "python3-lzma": ["lzma", "_lzma"],
    "python3-multiprocessing": ["multiprocessing", "_multiprocessing"],
    "python3-ncurses": ["curses", "_curses"],
    "python3-openssl": ["ssl", "_ssl", "_hashlib"],
    "python3-pydoc": ["pydoc", "pydoc_data", "doctest"],
    "python3-readline": ["readline"],
    "python3-sqlite3": ["sqlite3", "_sqlite3"],
    "python3-unittest": ["unittest"],
    "python3-urllib": ["urllib", "email"],
    "python3-uuid": ["uuid", "_uuid"],
    "python3-xml": ["xml", "xmlrpc", "pyexpat", "_elementtree"],
    # Not packaged for a router at all.
    "": ["idlelib", "tkinter", "turtledemo", "webbrowser", "ensurepip", "venv", "lib2to3"],
}  # fmt: skip
PACKAGE = {module: package for package, modules in LIBRARY.items() for module in modules}
# Third parties, by the name that is imported.
OTHERS = {"msgpack": "python3-msgpack", "paho": "python3-paho-mqtt", "pcapy": "python3-pcapy-ng",
          "_cffi_backend": "python3-cffi", "cffi": "python3-cffi"}  # fmt: skip
# For files of a laptop. capture/unpack.py and cli/top.py name the line to type without them.
EXTRAS = {"lz4", "lzma", "rich", "textual", "zstandard"}
# The kernel's modules that are no part of every image, by what the agent asks the kernel for.
KERNEL = {
    "kmod-veth": [b'"veth"', b'b"veth'],
    "kmod-nf-conntrack-netlink": [b"CTNETLINK", b"ctnetlink"],
    "kmod-nfnetlink-log": [b"NFLOG", b"nflog"],
}


def imports(tree: ast.AST) -> set[str]:
    """The top-level names of the modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.split(".")[0])
    return found


def of_the_agent() -> set[str]:
    files = sorted(AGENT.rglob("*.py"))
    assert len(files) > 100
    return set().union(*(imports(ast.parse(path.read_text())) for path in files))


def test_every_module_that_is_imported_is_in_a_package_that_is_named() -> None:
    # _sha2 is in python3-light from Python 3.12 on, in place of _sha256 and _sha512.
    imported = of_the_agent() - {"algwatch", "__future__", "_sha2"} - EXTRAS
    unknown = imported - sys.stdlib_module_names - set(OTHERS)
    assert not unknown
    wanted = {PACKAGE[name] for name in imported if name in PACKAGE}
    wanted |= {OTHERS[name] for name in imported if name in OTHERS}
    assert wanted | {"python3-light", "python3-cffi"} <= DEPENDS


def test_nothing_else_of_the_library_is_asked_for() -> None:
    """paho's package names light and uuid alone (24.10); what it imports beside them is ours to
    name. Its client is read, not its whole package."""
    import paho.mqtt.client as client

    assert client.__file__
    imported = of_the_agent() - EXTRAS
    for path in Path(client.__file__).parent.glob("*.py"):
        if path.stem in ("client", "packettypes", "properties", "reasoncodes", "matcher",
                         "subscribeoptions", "__init__"):  # fmt: skip
            imported |= imports(ast.parse(path.read_text()))
    wanted = {PACKAGE[name] for name in imported if name in PACKAGE}
    assert {name for name in DEPENDS if name in LIBRARY} == wanted


WITHOUT = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in refused:
            raise ModuleNotFoundError(name)
refused = set(sys.argv[1].split(","))
for name in refused:
    assert name not in sys.modules, name
sys.meta_path.insert(0, Refuse())
from importlib import import_module
from algwatch.cli import VERBS
for name in ("algwatch.start", "algwatch.report.broker", "algwatch.report.publisher",
             "algwatch.report.paho", *(f"algwatch.cli.{verb}" for verb in VERBS)):
    import_module(name)
from algwatch.__main__ import main
main(["explain", "ALG011"])
main(["--help"])
"""


def test_daemon_and_verbs_start_with_these_packages_alone() -> None:
    """Also what the library itself imports behind the agent's back."""
    refused = [
        module for package, modules in LIBRARY.items() if package not in DEPENDS
        for module in modules
        if package != "python3-ctypes"  # python3-cffi brings it
    ]  # fmt: skip
    refused += sorted(EXTRAS.difference(refused))
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, ",".join(refused)], capture_output=True, text=True
    )
    assert done.returncode == 0 and "mapping" in done.stdout, done.stderr[-2000:]


def test_the_kernels_modules_are_named_that_the_agent_asks_for() -> None:
    text = b"\n".join(path.read_bytes() for path in AGENT.rglob("*.py"))
    for package, signs in KERNEL.items():
        if any(sign in text for sign in signs):
            assert package in DEPENDS, package
    # Asked of the router, never brought to it.
    assert "kmod-nf-nathelper-extra" not in DEPENDS


CAPABILITIES = FILES / "algwatch.capabilities.json"
INSIDE = """
set -e
ip link add aw0 type veth peer name aw1
ip link set aw0 up
ip link set aw1 up
exec setpriv --reuid nobody --regid nogroup --clear-groups --no-new-privs \\
    --bounding-set "$1" --inh-caps "$1" --ambient-caps "$1" --securebits +keep_caps_locked -- \\
    "$2" -I -m algwatch run --config "$3"
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a network namespace")
def test_the_daemon_starts_with_the_jails_capabilities_and_keeps_one() -> None:
    """As ujail starts it: its own user with these two, no new ones ever, and the way locked to keep
    one over a change of the user (jail/jail.c)."""
    needs("setpriv")
    names = json.loads(CAPABILITIES.read_text())
    assert len({tuple(names[part]) for part in names}) == 1
    given = "-all," + ",".join("+" + n.removeprefix("CAP_").lower() for n in names["bounding"])
    user = pwd.getpwnam("nobody")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        conf = Path(folder, "algwatch.conf")
        conf.write_text('lan = "aw0"\nwan = "aw1"\n')
        conf.chmod(0o600)
        os.chown(conf, user.pw_uid, -1)
        command = ["unshare", "--net", "sh", "-c", INSIDE, "sh", given, sys.executable, str(conf)]
        daemon = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            assert daemon.stdout
            line = daemon.stdout.readline()
            assert "watching aw0 (lan) and aw1 (wan)" in line
            time.sleep(0.1)
            status = Path(f"/proc/{daemon.pid}/status").read_text()
        finally:
            daemon.terminate()
            said = daemon.communicate(timeout=30)[0]
    facts = dict(line.split(":\t", 1) for line in status.splitlines())
    assert facts["Uid"].split() == [str(user.pw_uid)] * 4
    assert int(facts["CapEff"], 16) == int(facts["CapPrm"], 16) == 1 << 13  # CAP_NET_RAW
    assert int(facts["CapInh"], 16) == int(facts["CapAmb"], 16) == 0
    assert facts["NoNewPrivs"] == "1" and daemon.returncode == 0
    assert "only root may" not in said
