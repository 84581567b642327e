# SPDX-License-Identifier: Apache-2.0
"""Router: a directory that looks like an OpenWrt router, with the stand-ins as its programs."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from openwrt.firewall import HELPERS, helpers_file
from openwrt.programs import Programs
from openwrt.quick import Quick

Done = subprocess.CompletedProcess[str]
TESTS = str(Path(__file__).parents[1])
NAMES = ("uci", "fw3", "fw4", "nft", "iptables", "ip6tables", "iptables-save", "ip6tables-save",
         "ubus", "ip", "conntrack")  # fmt: skip
STOCK = """\
config defaults
\toption syn_flood\t1
\toption input\t\tREJECT
\toption output\t\tACCEPT
\toption forward\t\tREJECT
# Uncomment this line to disable ipv6 rules

config zone
\toption name\t\tlan
\tlist   network\t\t'lan'
\toption input\t\tACCEPT
\toption output\t\tACCEPT
\toption forward\t\tACCEPT

config zone
\toption name\t\twan
\tlist   network\t\t'wan'
\tlist   network\t\t'wan6'
\toption input\t\tREJECT
\toption output\t\tACCEPT
\toption forward\t\tDROP
\toption masq\t\t1
\toption mtu_fix\t\t1

config forwarding
\toption src\t\tlan
\toption dest\t\twan

config rule
\toption name\t\tAllow-Ping
\toption src\t\twan
\toption proto\t\ticmp
\toption icmp_type\techo-request
\toption family\t\tipv4
\toption target\t\tACCEPT
"""
"""The configuration of a new router, shortened."""

NETWORKS = {"lan": "br-lan", "wan": "pppoe-wan", "wan6": "pppoe-wan", "guest": "br-guest",
            "voice": "eth0.20"}  # fmt: skip
PHONE = "192.168.1.10"


class Router:
    """root: an empty directory. modules: kernel modules of helpers. networks: name and device."""

    def __init__(
        self,
        root: Path,
        config: str = STOCK,
        release: str = "24.10",
        helpers: Iterable[str] = ("ftp", "tftp", "sip"),
        networks: Mapping[str, str] = NETWORKS,
        routes: Mapping[str, str] | None = None,
    ) -> None:
        self.root = root
        self.programs = Programs(str(root), release)
        fw3 = self.programs.fw3
        for where in ("etc/config", "etc/init.d", "etc/nftables.d", "tmp", "run", "var/run/rpcd",
                      "sys/module", "bin", "sbin", "usr/share/fw3", "proc/net", "usr/sbin",
                      "usr/share/firewall4"):  # fmt: skip
            (root / where).mkdir(parents=True, exist_ok=True)
        helpers = set(helpers)
        for name, module, *_ in HELPERS:
            if name in helpers:
                (root / "sys/module" / module).mkdir(exist_ok=True)
        self.config.write_text(config)
        file = "usr/share/fw3/helpers.conf" if fw3 else "usr/share/firewall4/helpers"
        (root / file).write_text(helpers_file(fw3))
        interfaces = [
            {
                "interface": name,
                "up": True,
                "l3_device": device,
                "device": device,
                "proto": "dhcp" if name.startswith(("wan", "voice")) else "static",
            }
            for name, device in networks.items()
        ]
        (root / "run/networks.json").write_text(json.dumps({"interface": interfaces}))
        routes = {PHONE: "br-lan"} if routes is None else routes
        (root / "run/routes").write_text("".join(f"{a} {b}\n" for a, b in routes.items()))
        absent = ("fw4", "nft") if fw3 else tuple(name for name in NAMES if "tables" in name)
        for name in NAMES:
            if name not in absent:
                self._program(root / "bin" / name)
        tables = root / "proc/net/ip_tables_names"
        if fw3 and not tables.exists():  # it is the kernel's own where that one is real
            tables.write_text("raw\nmangle\nfilter\n")
        named = root / "etc/openwrt_release"
        named.write_text(f"DISTRIB_ID='OpenWrt'\nDISTRIB_DESCRIPTION='OpenWrt {release}.1'\n")
        if not fw3:
            self._program(root / "sbin/fw4")
        self._program(root / "etc/init.d/firewall")
        self.environment = {
            "PATH": f"{root}/bin:{os.environ['PATH']}",
            "OPENWRT_ROOT": str(root),
            "OPENWRT_RELEASE": release,
        }
        self.programs.start()

    @property
    def config(self) -> Path:
        return self.root / "etc/config/firewall"

    @property
    def trial(self) -> Path:
        return self.root / "var/run/uci/firewall"

    def _program(self, path: Path) -> None:
        path.write_text(
            f"#!{sys.executable} -S\nimport sys\nsys.path.insert(0, {TESTS!r})\n"
            "sys.dont_write_bytecode = True\n"
            "from openwrt.programs import main\nsys.exit(main())\n"
        )
        path.chmod(0o755)

    def run(self, *words: str) -> str:
        """The output of a program; CalledProcessError."""
        done = subprocess.run(
            [str(self.root / "bin" / words[0]), *words[1:]],
            env=self.environment, text=True, capture_output=True, check=True,
        )  # fmt: skip
        return done.stdout

    def type(self, lines: Iterable[str], shell: str = "/bin/sh", quick: bool = True) -> Done:
        """Lines that somebody types, in a shell that goes on after a line that failed. Absolute
        paths are those of this router. quick: the stand-ins are functions, no programs."""
        text = "\n".join(lines) + "\n"
        if quick:
            text = text.replace("/etc/init.d/firewall", "init_firewall")
        paths = "(?<![a-z}])/(etc|var/run|usr/sbin|sbin|tmp|proc/net)/"
        text = re.sub(paths, rf"{self.root}/\1/", text)
        answers = Quick(self.programs, self.root / "run/quick") if quick else None
        try:
            return subprocess.run(
                shlex.split(shell), input=(answers.prelude() if answers else "") + text,
                env=self.environment, text=True, capture_output=True, timeout=60,
                cwd=self.root / "tmp",
            )  # fmt: skip
        finally:
            if answers:
                answers.close()

    def here(self, *words: str) -> str:
        """As run(), in this process, which is quicker; AssertionError."""
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            assert self.programs.run(words[0], list(words[1:])) == 0, words
        return said.getvalue()

    def helpers(self, zone: str = "lan") -> list[str]:
        """The helpers that the live ruleset assigns to what comes from a zone."""
        live = self.programs.live()
        if self.programs.fw3:
            rules = [line for line in live["4"] if line.startswith(f"-A zone_{zone}_helper ")]
            return sorted({line.split(" --helper ")[1] for line in rules if " --helper " in line})
        rules = live["chains"].get(f"helper_{zone}", [])
        return sorted({rule["text"].split('"')[1] for rule in rules if '"' in rule["text"]})
