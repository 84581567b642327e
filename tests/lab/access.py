# SPDX-License-Identifier: Apache-2.0
"""Access: how the router's wan reaches the provider: plain Ethernet, a VLAN, or PPPoE.

The device with the IP address is called wan each time; what carries it is called port, but on
plain Ethernet, where both are one.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from .draw import Draw
from .namespace import Namespace, NoLab

PATIENCE = 20.0  # seconds until PPP has its addresses


class NotHere(NoLab):
    """This kernel or machine cannot play the scenario; others can be played."""


class Access:
    """port: the device of the router that is wired. far: the provider's device with the gateway's
    address. router, provider: lines for `ip -batch`, after both ends of the wire are there.
    """

    port = "wan"

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.far = "eth0"
        self.router = (
            f"addr add {draw.wan_ip}/24 dev wan\n"
            f"route add default via {draw.gateway_ip} onlink dev wan\n"
        )
        self.provider = ""

    def start(self, router: Namespace, provider: Namespace) -> None:
        """What has to run. Raises NotHere."""

    def close(self) -> None:
        """Ends it."""


class Vlan(Access):
    """802.1Q on both ends."""

    port = "port"

    def __init__(self, draw: Draw) -> None:
        super().__init__(draw)
        tag = draw.random.randint(2, 4000)
        self.far = f"eth0.{tag}"
        self.router = (
            f"link add link port name wan type vlan id {tag}\nlink set wan up\n{self.router}"
        )
        self.provider = (
            f"link add link eth0 name {self.far} type vlan id {tag}\nlink set {self.far} up\n"
        )


class Pppoe(Access):
    """RFC 2516 by the kernel on the router's end (pppd, rp-pppoe.so) and pppoe-server at the
    provider's. An MTU of 1492.
    """

    port = "port"

    def __init__(self, draw: Draw) -> None:
        super().__init__(draw)
        self.far = "lo"  # PPP brings the gateway's address
        self.router = ""
        self._children: list[subprocess.Popen[str]] = []
        self._folder = tempfile.TemporaryDirectory(prefix="algwatch-pppoe-")

    def start(self, router: Namespace, provider: Namespace) -> None:
        missing = [p for p in ("pppd", "pppoe-server") if not shutil.which(p)]
        if missing or not Path("/dev/ppp").exists():
            raise NotHere(
                f"PPPoE needs {', '.join(missing) or '/dev/ppp, which this kernel does not have'}"
            )
        draw = self.draw
        options = Path(self._folder.name) / "options"
        options.write_text("noauth\n")
        server = [
            "pppoe-server", "-F", "-I", "eth0", "-L", draw.gateway_ip, "-R", draw.wan_ip, "-N", "1",
            "-O", str(options), "-T", "0",
        ]  # fmt: skip
        client = [
            "pppd", "plugin", "rp-pppoe.so", "nic-port", "ifname", "wan", "noauth", "nodetach",
            "noipdefault", "defaultroute", "mtu", "1492", "mru", "1492", "ipcp-accept-remote",
            "ipcp-accept-local", "noccp", "novj", "nolog",
        ]  # fmt: skip
        self._children = [provider.start(server)]
        time.sleep(0.3)
        self._children.append(router.start(client))
        end = time.monotonic() + PATIENCE
        while draw.wan_ip not in router.run("ip", "-4", "-o", "addr", "show"):
            if time.monotonic() > end or self._children[1].poll() is not None:
                self.close()
                raise NotHere("PPPoE: pppd got no address")
            time.sleep(0.1)

    def close(self) -> None:
        for child in reversed(self._children):
            child.terminate()
            child.wait(10)
        self._children.clear()
        self._folder.cleanup()


KINDS = {"": Access, "vlan": Vlan, "pppoe": Pppoe}
