# SPDX-License-Identifier: Apache-2.0
"""A router's file system in a folder, and the service's script run in it by busybox ash."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent / "router"
FILES = ROOT / "firmware/openwrt/algwatch/files"

# `ubus call network.interface.X status` of a stock router, cut to what is asked.
NET: dict[str, Any] = {
    "loopback": {"up": True, "l3_device": "lo"},
    "lan": {"up": True, "l3_device": "br-lan", "device": "br-lan"},
    "wan": {"up": True, "l3_device": "eth1", "device": "eth1"},
    "wan6": {"up": False, "device": "eth1"},
}
FIREWALL = """\
config defaults
	option input 'REJECT'

config zone
	option name 'lan'
	list network 'lan'
	option input 'ACCEPT'

config zone
	option name 'wan'
	list network 'wan'
	list network 'wan6'
	option masq '1'
"""


def needs(name: str) -> str:
    """The path of a program; in CI a missing one is a failure."""
    path = shutil.which(name)
    if path is None:
        message = f"{name} is missing; type: apt-get install {name}"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(message)
    return path


class Router:
    """root: an empty folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in ("etc/config", "sbin", "bin", "sys/class/net", "var"):
            (root / folder).mkdir(parents=True)
        for name in ("br-lan", "eth1", "eth7"):
            (root / "sys/class/net" / name).mkdir()
        for name in ("uci_export", "validate_data"):
            program = root / "bin" / name
            program.write_text(
                f'#!/bin/sh\nexec {sys.executable} -IS {HERE}/router.py {name} "$@"\n'
            )
            program.chmod(0o755)
        for name in ("ubus", "jsonfilter", "logger", "chown", "algwatch"):
            (root / "bin" / name).symlink_to(HERE / "small.sh")
        self.net(NET)
        self.config("firewall", FIREWALL)
        self.config("algwatch", (FILES / "algwatch.config").read_text())
        # Absolute paths of the script's own constants, below the folder.
        text = re.sub(r"^([A-Z_]+)=/", rf"\1={root}/", (FILES / "algwatch.init").read_text(),
                      flags=re.M)  # fmt: skip
        text = text.replace(f"PROG={root}/usr/bin", f"PROG={root}/bin")
        text = text.replace(f"VALIDATE={root}/sbin", f"VALIDATE={root}/bin")
        (root / "init").write_text(text)

    def config(self, name: str, text: str | None) -> None:
        path = self.root / "etc/config" / name
        if text is None:
            path.unlink()
        else:
            path.write_text(text)

    def options(self, *lines: str) -> None:
        """Set the lines of the section main."""
        self.config("algwatch", "config algwatch 'main'\n" + "".join(f"\t{x}\n" for x in lines))

    def net(self, known: dict[str, Any] | None) -> None:
        """What netifd knows; None: no ubus."""
        folder = self.root / "ubus"
        shutil.rmtree(folder, ignore_errors=True)
        if known is not None:
            folder.mkdir()
            for name, status in known.items():
                (folder / f"network.interface.{name}").write_text(json.dumps(status))

    def jail(self) -> None:
        """Install procd-ujail."""
        (self.root / "sbin/ujail").write_text("#!/bin/sh\n")
        (self.root / "sbin/ujail").chmod(0o755)

    def do(self, action: str) -> list[list[str]]:
        """Run the script; returns what procd was told."""
        for name in ("calls", "log", "ran"):
            (self.root / name).write_text("")
        done = subprocess.run(
            [needs("busybox"), "ash", str(HERE / "rc.common"), str(self.root / "init"), action],
            env={
                "PATH": f"{self.root}/bin:{os.environ['PATH']}", "ROOT": str(self.root),
                "CALLS": str(self.root / "calls"),
            },
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert "not found" not in done.stderr, done.stderr
        assert done.stderr == "", done.stderr
        return [line.split() for line in (self.root / "calls").read_text().splitlines()]

    @property
    def log(self) -> str:
        return (self.root / "log").read_text()

    @property
    def ran(self) -> str:
        return (self.root / "ran").read_text()

    @property
    def conf(self) -> Path:
        return self.root / "var/etc/algwatch.conf"
