# SPDX-License-Identifier: Apache-2.0
"""A router with OpenWrt's configuration: the stand-ins of tests/openwrt for uci, fw4, fw3 and ubus,
and the real nft, iptables and kernel. The ruleset that the stand-in of fw4 or fw3 prints is loaded,
with the hook that fw4's leaves out."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from lab.network import RULES, Network
from openwrt.router import STOCK, TESTS, Router

from act.box import Box

# The rest of a firewall, as the lab has it: NAT, and what may be forwarded.
REST = RULES.replace("inet fw4", "inet rest").replace(
    'chain prerouting {\n    type filter hook prerouting priority filter; policy accept;\n'
    '    iifname "br-lan" jump helper_lan\n  }', ""
).replace("  chain helper_lan { }\n", "")  # fmt: skip
# What /etc/init.d/firewall does: the state of the stand-in, then the real ruleset.
INIT = f"""#!{sys.executable} -S
import os, subprocess, sys
sys.path.insert(0, {TESTS!r})
sys.dont_write_bytecode = True
from openwrt.programs import Programs
programs = Programs(os.environ["OPENWRT_ROOT"], os.environ["OPENWRT_RELEASE"])
status = programs.run("firewall", sys.argv[1:])
if status or programs._broken():
    sys.exit(status)
text = programs._printed(4).replace(
    "\\tchain prerouting {{\\n",
    "\\tchain prerouting {{\\n\\t\\ttype filter hook prerouting priority filter; policy accept;\\n")
sys.exit(subprocess.run(["nft", "-f", "-"], input=text, text=True).returncode)
"""


# fw3 types each rule; it leaves alone what is not its own.
INIT_FW3 = f"""#!{sys.executable} -S
import os, shlex, subprocess, sys
sys.path.insert(0, {TESTS!r})
sys.dont_write_bytecode = True
from openwrt.programs import Programs
programs = Programs(os.environ["OPENWRT_ROOT"], os.environ["OPENWRT_RELEASE"])
status = programs.run("firewall", sys.argv[1:])
if status:
    sys.exit(status)
for family, program in (4, "iptables"), (6, "ip6tables"):
    for word in "-F", "-X":
        subprocess.run([program, "-t", "raw", word], check=True)
    for line in programs._printed(family).splitlines():
        subprocess.run(shlex.split(line), check=True)
"""
REAL = "iptables", "iptables-save", "ip6tables", "ip6tables-save"


class OpenWrtBox(Box):
    def __init__(self, net: Network, root: Path, release: str = "24.10",
                 config: str = STOCK) -> None:  # fmt: skip
        self.release, self._text = release, config
        super().__init__(net, root)

    def make(self) -> None:
        networks = {"lan": "br-lan", "wan": "wan"}
        router = Router(self.root, self._text, self.release, ("sip",), networks)
        self.router, self.config = router, router.config
        self.environment = router.environment
        (self.root / "bin/nft").unlink(missing_ok=True)
        (self.root / "etc/init.d/firewall").write_text(INIT_FW3 if router.programs.fw3 else INIT)
        if router.programs.fw3:
            for name in REAL:
                (self.root / "bin" / name).unlink()
                program = name.replace("tables", "tables-legacy")
                (self.root / "bin" / name).symlink_to(f"/usr/sbin/{program}")
        else:
            shutil.copy(self.root / "sbin/fw4", self.root / "bin/fw4")

    def load(self) -> None:
        """/var is tmpfs."""
        self.net.router.run("nft", "-f", "-", text=REST)
        shutil.rmtree(self.root / "var/run/uci", ignore_errors=True)
        shutil.rmtree(self.root / "tmp/.uci", ignore_errors=True)
        with self.net.router:
            self.run_init()

    def run_init(self) -> None:
        import os
        import subprocess

        init = str(self.root / "etc/init.d/firewall")
        env = dict(os.environ, **self.environment)
        subprocess.run([init, "restart"], env=env, check=True)
