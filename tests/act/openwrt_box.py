# SPDX-License-Identifier: Apache-2.0
"""A router with OpenWrt's configuration: the stand-ins of tests/openwrt for uci, fw4 and ubus, and
the real nft and kernel. The ruleset that the stand-in of fw4 prints is loaded, with the hook that
it leaves out."""

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
        (self.root / "bin/nft").unlink()
        if not router.programs.fw3:
            shutil.copy(self.root / "sbin/fw4", self.root / "bin/fw4")
            init = self.root / "etc/init.d/firewall"
            init.write_text(INIT)

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
