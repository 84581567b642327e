# SPDX-License-Identifier: Apache-2.0
"""Network: phone - router - provider, with the router's own NAT, firewall and SIP helper."""

from __future__ import annotations

import errno
import os
import random
import shutil
import socket
import struct
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from .access import KINDS, NotHere
from .draw import Draw
from .loop import Loop
from .namespace import Namespace, NoLab

# As fw4 writes it on OpenWrt: the helper object, attached in prerouting for the LAN zone only,
# UDP only; the WAN zone takes what belongs to a known flow and drops the rest.
RULES = """
table inet fw4 {
  ct helper sip { type "sip" protocol udp; }
  ct helper sip-tcp { type "sip" protocol tcp; }
  chain input {
    type filter hook input priority filter; policy accept;
    ct state established,related accept
    meta l4proto ipv6-icmp accept
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
    meta nfproto ipv4 oifname "wan" masquerade
  }
}
"""
HELPER_RULE = 'add rule inet fw4 helper_lan udp dport 5060 ct helper set "sip"\n'
# fw3 and hand-written rules attach it for TCP, too.
CARRIER = """
table ip carrier {
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "cpe" accept
  }
  chain srcnat { type nat hook postrouting priority srcnat; oifname "net" masquerade; }
}
"""
TCP_RULE = 'add rule inet fw4 helper_lan tcp dport 5060 ct helper set "sip-tcp"\n'
SYSCTL = {
    "net/ipv4/ip_forward": "1",
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
    "net/ipv6/conf/all/disable_ipv6": "1",
    "net/ipv6/conf/default/disable_ipv6": "1",
}
IPV6 = {
    "net/ipv6/conf/all/disable_ipv6": "0",
    "net/ipv6/conf/default/disable_ipv6": "0",
    "net/ipv6/conf/default/accept_dad": "0",
    "net/ipv6/conf/all/forwarding": "1",
}
# OpenWrt: package/kernel/linux/files/sysctl-nf-conntrack.conf
TIMEOUTS = {
    "net/netfilter/nf_conntrack_udp_timeout": "60",
    "net/netfilter/nf_conntrack_udp_timeout_stream": "180",
}
ACCOUNTING = {"net/netfilter/nf_conntrack_acct": "1"}
CTNETLINK, CTNETLINK_EXP, MSG_DELETE = 1, 2, 2


class Network:
    """Builds the three namespaces of one draw; `with` removes them again.

    Raises NoLab when the kernel or the privileges do not allow it. nft: more lines for the
    router, after its usual rules. mtu: of the wan, bytes. ports: of the bridge. tcp: the helper
    reads TCP, too. ipv6: both versions, without NAT for IPv6. carrier: a second router with NAT
    (CGNAT) between this one and the provider. access: key of KINDS.
    """

    def __init__(
        self,
        draw: Draw,
        nft: str = "",
        mtu: int = 1500,
        ports: int = 1,
        tcp: bool = False,
        ipv6: bool = False,
        carrier: bool = False,
        access: str = "",
    ) -> None:
        self.draw = draw
        self.access = KINDS[access](draw)
        self.nft, self.mtu, self.ports = nft, mtu, ports
        self.tcp, self.ipv6, self.has_carrier = tcp, ipv6, carrier
        self.helped = False
        self.agent: Any = None  # Agent, where one watches
        self.noise = random.Random(draw.seed)  # its own: it must not change what else is drawn
        for tool in ("ip", "nft"):
            if not shutil.which(tool):
                raise NoLab(f"the lab needs the command {tool} (Debian: iproute2, nftables)")
        self._made = made = list[Namespace]()
        try:
            for name in ("phone", "router", "provider", "carrier")[: 4 if carrier else 3]:
                made.append(Namespace(name))
            self.phone, self.router, self.provider = made[:3]
            self.carrier = made[-1]
            self._build()
        except subprocess.CalledProcessError as error:
            self.close()
            lines = (error.stderr or "").strip().splitlines() or ["no reason given"]
            kind = NotHere if access else NoLab
            raise kind(f"the lab could not be built: {error.cmd[0]}: {lines[0]}") from error
        except BaseException:
            self.close()
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
        self.access.close()
        for namespace in self._made:
            namespace.close()

    def _build(self) -> None:
        draw = self.draw
        more = "".join(f"addr add {ip}/24 dev eth0\n" for ip in [*draw.more_ips, *draw.crowd_ips])
        hosts = [*draw.far_ips, *([draw.crowd_provider] if draw.crowd_ips else [])]
        far = "".join(f"addr add {ip}/32 dev lo\n" for ip in hosts)
        for namespace in self._made:
            self._sysctl(namespace, SYSCTL | (IPV6 if self.ipv6 else {}))
        outer, end = self.provider, "eth0"
        if self.has_carrier:
            outer, end = self.carrier, "cpe"
        self.router.run(
            "ip", "-batch", "-",
            text=f"""
link set lo up
link add lan0 type veth peer name eth0 netns {self.phone.path}
link add {self.access.port} type veth peer name {end} netns {outer.path}
link add br-lan type bridge
link set lan0 master br-lan
{self._more_ports()}link set lan0 up
link set br-lan up
link set {self.access.port} mtu {self.mtu}
link set {self.access.port} up
addr add {draw.router_ip}/24 dev br-lan
{self.access.router}""",
        )  # fmt: skip
        self.phone.run(
            "ip", "-batch", "-",
            text=f"""
link set lo up
link set eth0 up
addr add {draw.phone_ip}/24 dev eth0
addr add {draw.other_ip}/24 dev eth0
{more}route add default via {draw.router_ip}
""",
        )  # fmt: skip
        gateway = draw.gateway_ip
        if self.has_carrier:
            gateway = draw.public_gateway
            self.carrier.run(
                "ip", "-batch", "-",
                text=f"""
link set lo up
link add net type veth peer name eth0 netns {self.provider.path}
link set cpe up
link set net up
addr add {draw.gateway_ip}/24 dev cpe
addr add {draw.public_ip}/24 dev net
route add default via {gateway} onlink dev net
""",
            )  # fmt: skip
            self.carrier.run("nft", "-f", "-", text=CARRIER)
        # The Internet has no way to anybody's private network: what is sent there is lost.
        self.provider.run(
            "ip", "-batch", "-",
            text=f"""
link set lo up
link set eth0 up
{self.access.provider}addr add {gateway}/24 dev {self.access.far}
addr add {draw.provider_ip}/32 dev lo
addr add {draw.caller_ip}/32 dev lo
addr add {draw.media_ip}/32 dev lo
{far}route add blackhole 10.0.0.0/8
route add blackhole 172.16.0.0/12
route add blackhole 192.168.0.0/16
""",
        )  # fmt: skip
        self.access.start(self.router, self.provider)
        if self.ipv6:
            self._build_ipv6()
        if os.geteuid() == 0 and shutil.which("modprobe"):
            subprocess.run(["modprobe", "-q", "nf_nat_sip"], check=False, capture_output=True)
        self.router.run("nft", "-f", "-", text=RULES)
        if self.nft:
            self.router.run("nft", "-f", "-", text=self.nft)
        self._sysctl(self.router, TIMEOUTS | ACCOUNTING)
        if shutil.which("ethtool"):  # whole checksums in the captures; nothing depends on it
            for namespace, device in (
                (self.phone, "eth0"), (self.router, "lan0"),
                (self.router, self.access.port), (self.provider, "eth0"),
            ):  # fmt: skip
                with namespace:
                    subprocess.run(
                        ["ethtool", "-K", device, "tx", "off", "rx", "off"],
                        check=False,
                        capture_output=True,
                    )

    def _build_ipv6(self) -> None:
        draw = self.draw.of_ipv6()
        for namespace, text in (
            (self.phone, f"addr add {draw.phone_ip}/64 dev eth0 nodad\n"
                         f"route add default via {draw.router_ip}\n"),
            (self.router, f"addr add {draw.router_ip}/64 dev br-lan nodad\n"
                          f"addr add {draw.wan_ip}/64 dev wan nodad\n"
                          f"route add default via {draw.gateway_ip}\n"),
            (self.provider, f"addr add {draw.gateway_ip}/64 dev eth0 nodad\n"
                            + "".join(f"addr add {ip}/128 dev lo nodad\n" for ip in (
                                draw.provider_ip, draw.caller_ip, draw.media_ip))
                            + f"route add default via {draw.wan_ip}\n"),
        ):  # fmt: skip
            namespace.run("ip", "-6", "-batch", "-", text=text)

    def _more_ports(self) -> str:
        return "".join(
            f"link add lan{n} type veth peer name eth{n} netns {self.phone.path}\n"
            f"link set lan{n} master br-lan\nlink set lan{n} up\n"
            for n in range(1, self.ports)
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
        text = "flush chain inet fw4 helper_lan\n" + (
            HELPER_RULE + self.tcp * TCP_RULE if on else ""
        )
        try:
            self.router.run("nft", "-f", "-", text=text)
        except subprocess.CalledProcessError as error:
            raise NoLab("the kernel has no SIP helper (nf_conntrack_sip, nft ct helper)") from error
        self.helped = on
        self.forget_flows()

    def household(self, loop: Loop) -> None:
        """Somebody else in the house uses the Internet all the time, which also shows in a
        recording that it went on while no phone said anything.
        """
        there = self.provider.udp(self.draw.far_ips[2], 443)
        here = self.phone.udp(self.draw.other_ip, 0)

        def echo(data: bytes, source: tuple[str, int]) -> None:
            there.sendto(data, source)

        loop.listen(there, echo)
        loop.listen(here, lambda data, source: None)

        def again() -> None:
            here.sendto(b"\x45" + self.noise.randbytes(40), there_is)
            loop.later(self.noise.uniform(0.5, 1.5), again)

        there_is = there.getsockname()
        again()

    def mapping_timeouts(self, new: int, stream: int) -> None:
        """Seconds that the router keeps an unanswered and an answered UDP flow."""
        self._sysctl(self.router, dict(zip(TIMEOUTS, map(str, (new, stream)), strict=True)))

    def redial(self, address: str) -> None:
        """The line comes back with another WAN address. The flows that are there keep the old one,
        as with SNAT and many vendors' NAT, and what is sent to that comes to somebody else.
        """
        old = self.draw.wan_ip
        self.router.run(
            "ip", "-batch", "-",
            text=f"addr add {address}/32 dev wan\naddr del {old}/24 dev wan\n"
            f"route replace default via {self.draw.gateway_ip} onlink dev wan\n",
        )  # fmt: skip
        self.snat(address)
        self.provider.run("ip", "route", "add", "blackhole", f"{old}/32")

    def snat(self, address: str) -> None:
        """SNAT instead of masquerading, which would forget the flows of an address that goes."""
        self.router.run(
            "nft", "-f", "-",
            text="flush chain inet fw4 srcnat\n"
            f'add rule inet fw4 srcnat meta nfproto ipv4 oifname "wan" snat ip to {address}\n',
        )  # fmt: skip

    def lose(self, sent: bool, match: str) -> None:
        """The access line beyond the wan loses what matches (nftables). sent: by the provider, so
        that it never arrives at the router; else by the router, after it has left."""
        # Before fragments are put together (priority -400).
        hook = "output" if sent else "prerouting"
        self.provider.run(
            "nft", "-f", "-",
            text=f"table ip line_{hook} {{ chain c {{ type filter hook {hook} priority -450; "
            f"{match} drop; }}; }}\n",
        )  # fmt: skip

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
