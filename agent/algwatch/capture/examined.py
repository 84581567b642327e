# SPDX-License-Identifier: Apache-2.0
"""Facts for `algwatch doctor`: files of /proc and /sys, the output of the router's own programs,
connection tracking. Nothing is changed, not even a kernel module loaded. An unreadable fact is
None, or says why."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from importlib.util import find_spec
from typing import NamedTuple

from algwatch import files
from algwatch.capture import networks
from algwatch.capture.host import is_down, read_host

MOST = 1 << 20  # bytes of a file
SECONDS = 15.0  # limit for a program
PORTS, RING = [5060, 5080], 262144  # as in `algwatch run` on a small router
PLACES = "usr/sbin", "usr/bin", "sbin", "bin"
MODULES = {"veth": "kmod-veth", "nf_conntrack_netlink": "kmod-nf-conntrack-netlink",
           "nfnetlink_log": "kmod-nfnetlink-log"}  # fmt: skip
PACKAGES = {"msgpack": "python3-msgpack", "paho.mqtt": "python3-paho-mqtt",
            "pcapy": "python3-pcapy-ng", "ssl": "python3-openssl"}  # fmt: skip


class Said(NamedTuple):
    """Output of a program; text is None if the program could not run, and `why` gives the
    reason."""

    text: str | None
    why: str = ""


class Facts(NamedTuple):
    """openwrt: it has OpenWrt's release file; system: "" if no file names it. helper: "module",
    "built in", or "" for none; sysfs: the helper's state was visible. helped: live flows with the
    SIP helper as text. raw: an iptables table `raw` is loaded (legacy). others: parts of the kernel
    that may set a helper without any firewall. listeners: sockets of this router on port 5060.
    ring: why no ring can be opened. wanting: missing packages of Python and of the kernel."""

    root: bool
    model: str
    system: str
    openwrt: bool
    kernel: str
    sysfs: bool
    helper: str
    firewall: str
    ruleset: Said
    iptables: Said
    ip6tables: Said
    raw: bool | None
    sysctl: str
    others: tuple[str, ...]
    helped: tuple[str, ...] | None
    unhelped_why: str
    expectations: int
    udp_timeout: int
    udp_timeout_stream: int
    sip_timeout: str
    offload: str
    pending: tuple[str, ...]
    lan: tuple[str, ...]
    wan: tuple[str, ...]
    no_networks: str
    down: tuple[str, ...]
    listeners: tuple[str, ...]
    ring: str
    accounting: bool | None
    wanting: tuple[str, ...]


def examine(root: str = "/") -> Facts:
    """root: of the files and programs (tests); the kernel itself is asked for "/" only."""
    host = read_host(0, root)
    here = root == "/"
    helped, why = _helped() if here else (None, "the kernel is not asked with --root")
    lan, wan, no_networks = _sides(root)
    release = _line(root, "proc/sys/kernel/osrelease")
    openwrt = _read(root, "etc/openwrt_release")
    system = _value(openwrt or _read(root, "etc/os-release"), "DISTRIB_DESCRIPTION", "PRETTY_NAME")
    raw, ruleset = _raw(root), _ruleset(root, bool(openwrt))
    return Facts(
        root=os.geteuid() == 0,
        model=_line(root, "tmp/sysinfo/model") or _line(root, "proc/device-tree/model"),
        system=system,
        openwrt=bool(openwrt),
        kernel=release,
        sysfs=os.path.isdir(os.path.join(root, "sys/module")),
        helper=("module" if host.loaded else "built in") if host.helper else "",
        firewall=_firewall(root),
        ruleset=ruleset,
        iptables=_iptables(root, "iptables-save", raw, ruleset),
        ip6tables=_iptables(root, "ip6tables-save", raw, ruleset),
        raw=raw,
        sysctl=_line(root, "proc/sys/net/netfilter/nf_conntrack_helper"),
        others=tuple(one for one in ("act_ct", "openvswitch")
                     if os.path.isdir(os.path.join(root, "sys/module", one))),
        helped=helped,
        unhelped_why=why,
        expectations=host.expectations,
        udp_timeout=host.udp_timeout,
        udp_timeout_stream=host.udp_timeout_stream,
        sip_timeout=_line(root, "sys/module/nf_conntrack_sip/parameters/sip_timeout"),
        offload=host.offload,
        pending=_pending(root),
        lan=lan,
        wan=wan,
        no_networks=no_networks,
        down=tuple(one for one in (*lan, *wan) if is_down(one, root)),
        listeners=_listeners(root),
        ring=_ring() if here else "",
        accounting={"1": True, "0": False}.get(
            _line(root, "proc/sys/net/netfilter/nf_conntrack_acct")),
        wanting=_wanting(root, release, bool(openwrt)) if here or openwrt else (),
    )  # fmt: skip


def _read(root: str, path: str) -> str:
    try:
        data = files.read(os.path.join(root, path), MOST)
    except files.FileError:
        return ""
    return (data or b"").decode("utf-8", "replace")


def _line(root: str, path: str) -> str:
    return _read(root, path).strip("\0 \n").split("\n")[0][:200]


def _value(text: str, *keys: str) -> str:
    found = re.search(rf"^(?:{'|'.join(keys)})=['\"]?([^'\"\n]*)", text, re.M)
    return found[1][:200] if found else ""


def _program(root: str, name: str) -> str:
    for place in PLACES:
        path = os.path.join(root, place, name)
        if os.access(path, os.X_OK):
            return path
    return ""


def _ask(root: str, name: str, *words: str) -> Said:
    program = _program(root, name)
    if not program:
        return Said(None, f"there is no {name}")
    try:
        done = subprocess.run(
            [program, *words], capture_output=True, timeout=SECONDS, check=False,
            env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as problem:
        what = problem.strerror if isinstance(problem, OSError) else "it does not answer"
        return Said(None, f"{name}: {what}")
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().split("\n")[0][:120]
        return Said(None, f"{name}: {said or 'it failed'}")
    return Said(done.stdout.decode("utf-8", "replace"))


def _firewall(root: str) -> str:
    """A word of advise/platforms/plan.py, by the installed programs."""
    if _program(root, "fw4"):
        return "fw4"
    if _program(root, "fw3"):
        return "fw3"
    return "nftables" if _program(root, "nft") else "iptables" if _program(root, "iptables") else ""


def _ruleset(root: str, openwrt: bool) -> Said:
    # OpenWrt builds nf_tables as a module: without it there is no ruleset. Elsewhere it may be
    # built in, and then this directory is missing.
    loaded = os.path.isdir(os.path.join(root, "sys/module/nf_tables"))
    if openwrt and not loaded and not _program(root, "nft"):
        return Said('{"nftables": []}')
    return _ask(root, "nft", "-j", "list", "ruleset")


def _iptables(root: str, program: str, raw: bool | None, ruleset: Said) -> Said:
    """Asking for a table of legacy iptables loads it, so only a loaded one is asked for. iptables
    rules held by nft show as "xt" in its ruleset."""
    if raw is False and ruleset.text is not None and '"xt"' not in ruleset.text:
        return Said("")
    return _ask(root, program, "-t", "raw")


def _raw(root: str) -> bool | None:
    """A legacy iptables table `raw` is loaded; None: not readable. Only root may read these files;
    without the module they are missing."""
    for name in "ip_tables_names", "ip6_tables_names":
        path = os.path.join(root, "proc/net", name)
        if os.path.exists(path):
            try:
                data = files.read(path, MOST)
            except files.FileError:
                return None
            if b"raw" in (data or b"").split():
                return True
    return False


def _helped() -> tuple[tuple[str, ...] | None, str]:
    from algwatch.kernel.flows import Flows
    from algwatch.kernel.netlink import NetlinkError

    try:
        with Flows() as flows:
            return tuple(sorted(flow.called for flow in flows.helped())), ""
    except (NetlinkError, OSError) as problem:
        return None, problem.strerror or str(problem)


def _sides(root: str) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    try:
        lan, wan = networks.sides(networks.told_by_ubus(root))
    except networks.NoNetworks as why:
        return (), (), str(why)
    return tuple(lan), tuple(wan), ""


def _pending(root: str) -> tuple[str, ...]:
    """Files with uncommitted changes of the firewall, by uci and LuCI."""
    paths = ["tmp/.uci/firewall"]
    try:
        found = sorted(os.listdir(os.path.join(root, "var/run/rpcd")))
    except OSError:
        found = []
    paths += [f"var/run/rpcd/{one}/firewall" for one in found]
    return tuple(f"/{path}" for path in paths if _read(root, path).strip())


def _listeners(root: str) -> tuple[str, ...]:
    """Sockets waiting on port 5060, of any program (proc(5); addresses in words of 32 bits, in the
    order of the CPU)."""
    found = []
    for protocol in "udp", "udp6", "tcp", "tcp6":
        for line in _read(root, f"proc/net/{protocol}").split("\n")[1:]:
            words = line.split()
            waits = len(words) > 3 and words[3] == ("0A" if protocol[0] == "t" else "07")
            if waits and words[1].endswith(f":{5060:04X}"):
                found.append(f"{protocol[:3]} {_address(words[1][:-5])}")
    return tuple(dict.fromkeys(found))


def _address(digits: str) -> str:
    try:
        words = [bytes.fromhex(digits[at : at + 8])[::-1] for at in range(0, len(digits), 8)]
        family = socket.AF_INET if len(words) == 1 else socket.AF_INET6
        if sys.byteorder == "big":
            words = [word[::-1] for word in words]
        return socket.inet_ntop(family, b"".join(words))
    except ValueError:
        return "?"


def _ring() -> str:
    """Opens a ring as `algwatch run` does, but on the loopback interface: a capture on the WAN
    device may restart a router with hardware offload."""
    try:
        from algwatch.base.native.rows import Counts
        from algwatch.capture.filter import FilterError
        from algwatch.capture.ring import LiveTap, TapError
    except ImportError as problem:
        return f"{problem.name} is missing"
    try:
        tap = LiveTap("lo", 0, PORTS, bytes(16), Counts(), RING)
    except (TapError, FilterError) as problem:
        return str(problem)
    unseen = tap.unseen
    tap.close()
    return unseen or ""


def _wanting(root: str, release: str, openwrt: bool) -> tuple[str, ...]:
    wanting = []
    for name, package in PACKAGES.items():
        try:
            there = find_spec(name) is not None
        except ImportError:
            there = False
        if not there:
            wanting.append(package)
    for name, package in MODULES.items() if openwrt else ():
        where = f"lib/modules/{release}"
        known = os.path.isdir(os.path.join(root, "sys/module", name)) or os.path.exists(
            os.path.join(root, where, f"{name}.ko")
        )
        if not known and f"/{name}.ko" not in _read(root, f"{where}/modules.builtin"):
            wanting.append(package)
    return tuple(wanting)
