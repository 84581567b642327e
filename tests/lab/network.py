# SPDX-License-Identifier: Apache-2.0
"""Network: phone - router - provider, with the router's own NAT, firewall and SIP helper."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import struct
import subprocess
import time
from pathlib import Path
from types import TracebackType

from .draw import Draw
from .namespace import Namespace, NoLab

# As fw4 writes it on OpenWrt: the helper object, attached in prerouting for the LAN zone only,
# UDP only; the WAN zone takes what belongs to a known flow and drops the rest.
RULES = """
table inet fw4 {
  ct helper sip { type "sip" protocol udp; }
  chain input {
    type filter hook input priority filter; policy accept;
    ct state established,related accept
    iifname "wan" drop
  }
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    oifname "wan" ct state invalid drop comment "Prevent NAT leakage"
    iifname "br-lan" oifname "wan" accept
  }
  chain helper_lan { }
  chain prerouting {
    type filter hook prerouting priority filter; policy accept;
    iifname "br-lan" jump helper_lan
  }
  chain srcnat {
    type nat hook postrouting priority srcnat; policy accept;
    oifname "wan" masquerade
  }
}
"""
HELPER_RULE = 'add rule inet fw4 helper_lan udp dport 5060 ct helper set "sip"\n'
SYSCTL = {
    "net/ipv4/ip_forward": "1",
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
    "net/ipv6/conf/all/disable_ipv6": "1",
    "net/ipv6/conf/default/disable_ipv6": "1",
}
# OpenWrt: package/kernel/linux/files/sysctl-nf-conntrack.conf
TIMEOUTS = {
    "net/netfilter/nf_conntrack_udp_timeout": "60",
    "net/netfilter/nf_conntrack_udp_timeout_stream": "180",
}
CTNETLINK, CTNETLINK_EXP, MSG_DELETE = 1, 2, 2


class Network:
    """Builds the three namespaces of one draw; `with` removes them again.

    Raises NoLab when the kernel or the privileges do not allow it.
    """

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.helped = False
        for tool in ("ip", "nft"):
            if not shutil.which(tool):
                raise NoLab(f"the lab needs the command {tool} (Debian: iproute2, nftables)")
        made: list[Namespace] = []
        try:
            for name in ("phone", "router", "provider"):
                made.append(Namespace(name))
            self.phone, self.router, self.provider = made
            self._build()
        except subprocess.CalledProcessError as error:
            for namespace in made:
                namespace.close()
            lines = (error.stderr or "").strip().splitlines() or ["no reason given"]
            raise NoLab(f"the lab could not be built: {error.cmd[0]}: {lines[0]}") from error
        except BaseException:
            for namespace in made:
                namespace.close()
            raise

    def __enter__(self) -> Network:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        for namespace in (self.phone, self.router, self.provider):
            namespace.close()

    def _build(self) -> None:
        draw = self.draw
        for namespace in (self.phone, self.router, self.provider):
            self._sysctl(namespace, SYSCTL)
        self.router.run(
            "ip", "-batch", "-",
            text=f"""
link set lo up
link add lan0 type veth peer name eth0 netns {self.phone.path}
link add wan type veth peer name eth0 netns {self.provider.path}
link add br-lan type bridge
link set lan0 master br-lan
link set lan0 up
link set br-lan up
link set wan up
addr add {draw.router_ip}/24 dev br-lan
addr add {draw.wan_ip}/24 dev wan
route add default via {draw.gateway_ip} onlink dev wan
""",
        )  # fmt: skip
        self.phone.run(
            "ip", "-batch", "-",
            text=f"""
link set lo up
link set eth0 up
addr add {draw.phone_ip}/24 dev eth0
addr add {draw.other_ip}/24 dev eth0
route add default via {draw.router_ip}
""",
        )  # fmt: skip
        # The Internet has no way to anybody's private network: what is sent there is lost.
        self.provider.run(
            "ip", "-batch", "-",
            text=f"""
link set lo up
link set eth0 up
addr add {draw.gateway_ip}/24 dev eth0
addr add {draw.provider_ip}/32 dev lo
addr add {draw.caller_ip}/32 dev lo
addr add {draw.media_ip}/32 dev lo
route add blackhole 10.0.0.0/8
route add blackhole 172.16.0.0/12
route add blackhole 192.168.0.0/16
""",
        )  # fmt: skip
        if os.geteuid() == 0 and shutil.which("modprobe"):
            subprocess.run(["modprobe", "-q", "nf_nat_sip"], check=False, capture_output=True)
        self.router.run("nft", "-f", "-", text=RULES)
        self._sysctl(self.router, TIMEOUTS)
        if shutil.which("ethtool"):  # whole checksums in the captures; nothing depends on it
            for namespace, device in (
                (self.phone, "eth0"), (self.router, "lan0"),
                (self.router, "wan"), (self.provider, "eth0"),
            ):  # fmt: skip
                with namespace:
                    subprocess.run(
                        ["ethtool", "-K", device, "tx", "off", "rx", "off"],
                        check=False,
                        capture_output=True,
                    )

    @staticmethod
    def _sysctl(namespace: Namespace, values: dict[str, str]) -> None:
        with namespace:  # /proc/sys/net shows the namespace of the thread that opens it
            for key, value in values.items():
                path = Path("/proc/sys") / key
                try:
                    path.write_text(value)
                except OSError as error:
                    if "ipv6" not in key:
                        raise NoLab(f"the lab may not set {path}: {error.strerror}") from error

    def helper(self, on: bool) -> None:
        """Switches the SIP helper; live flows are forgotten, since they would keep theirs."""
        text = "flush chain inet fw4 helper_lan\n" + (HELPER_RULE if on else "")
        try:
            self.router.run("nft", "-f", "-", text=text)
        except subprocess.CalledProcessError as error:
            raise NoLab("the kernel has no SIP helper (nf_conntrack_sip, nft ct helper)") from error
        self.helped = on
        self.forget_flows()

    def forget_flows(self) -> None:
        """Deletes every conntrack entry and expectation of the router (ctnetlink, no filter)."""
        with self.router:
            netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
        with netlink:
            for subsystem in (CTNETLINK, CTNETLINK_EXP):
                kind, flags = subsystem << 8 | MSG_DELETE, 0x1 | 0x4  # REQUEST, ACK
                netlink.send(struct.pack("=IHHIIBBH", 20, kind, flags, 1, 0, socket.AF_INET, 0, 0))
                code = -struct.unpack_from("=i", netlink.recv(4096), 16)[0]
                if code not in (0, errno.ENOENT):
                    raise NoLab(f"the kernel cannot flush conntrack: {os.strerror(code)}")

    def check_helper(self) -> None:
        """Proves with one request each that the helper rewrites when on and not when off.

        Raises NoLab when it does not: every verdict of the lab would be worthless.
        """
        wanted = self.helped
        for on in (True, False):
            self.helper(on)
            sent, arrived = self._probe()
            if arrived is None:
                raise NoLab("the lab's router forwards nothing from phone to provider")
            if on and sent == arrived:
                raise NoLab(
                    "the kernel's SIP helper is attached but rewrites nothing (nf_nat_sip?)"
                )
            if not on and sent != arrived:
                raise NoLab("the SIP helper is off but something still rewrites")
        self.helper(wanted)

    def _probe(self) -> tuple[bytes, bytes | None]:
        draw = self.draw
        with (
            self.phone.udp(draw.phone_ip, 0) as here,
            self.provider.udp(draw.provider_ip, 5060) as there,
        ):
            port = here.getsockname()[1]
            sent = (
                f"OPTIONS sip:{draw.provider_ip} SIP/2.0\r\n"
                f"Via: SIP/2.0/UDP {draw.phone_ip}:{port};branch=z9hG4bKcheck{port}\r\n"
                f"From: <sip:check@{draw.domain}>;tag=1\r\nTo: <sip:check@{draw.domain}>\r\n"
                f"Call-ID: check{port}\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n"
                f"Contact: <sip:check@{draw.phone_ip}:{port}>\r\nContent-Length: 0\r\n\r\n"
            ).encode()
            # The bridge port may need a moment before it forwards.
            for _ in range(40):
                here.sendto(sent, (draw.provider_ip, 5060))
                time.sleep(0.05)
                try:
                    return sent, there.recv(65535)
                except BlockingIOError:
                    continue
        return sent, None
