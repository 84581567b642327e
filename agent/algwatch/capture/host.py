# SPDX-License-Identifier: Apache-2.0
"""The router's own state, from files of its kernel and its firewall. A file that cannot be read
leaves its fact unknown, and is no error."""

from __future__ import annotations

import os
import re
from collections.abc import Collection

from algwatch import files
from algwatch.base.host import HARDWARE, NO_OFFLOAD, NOT_READ, SOFTWARE, Host
from algwatch.capture.owners import read_owners

MOST = 262144  # bytes read of a file

# Kernel documentation, networking/nf_conntrack-sysctl.rst. The names of modules: net/netfilter.
_HELPER = "sys/module/nf_conntrack_sip"
_BOOT = "proc/sys/kernel/random/boot_id"
_EXPECTED = "proc/net/nf_conntrack_expect"
_TIMEOUTS = "proc/sys/net/netfilter/nf_conntrack_udp_timeout"
# OpenWrt, firewall4: the section `config defaults`.
_FIREWALL = "etc/config/firewall"
_SECTION = re.compile(rb"^\s*config\s+['\"]?(\w+)['\"]?", re.M)
_OFFLOAD = re.compile(rb"^\s*option\s+['\"]?flow_offloading(_hw)?['\"]?\s+['\"]?(\w+)['\"]?", re.M)
_OF_SIP = re.compile(rb"[ \t]sip(?:/\S*)?[ \t]*$", re.M)
_ON = (b"1", b"on", b"true", b"yes", b"enabled")


def read_host(
    at: int, root: str = "/", before: str = NO_OFFLOAD, ports: Collection[int] = ()
) -> Host:
    """at: ns, packet time. root: of the files (tests). before: the flow offload, read while this
    process could read the firewall's settings. ports: their owners are looked up."""
    helper = os.path.join(root, _HELPER)
    there = os.path.isdir(helper)
    # A helper built into the kernel has parameters here, and no state.
    loaded = there and os.path.exists(os.path.join(helper, "initstate"))
    return Host(
        at, there, loaded, _expectations(root), _seconds(root, ""), _seconds(root, "_stream"),
        _offload(root, before), read_owners(ports, root) if ports else (),
    )  # fmt: skip


def boot_of(root: str = "/") -> str:
    """An id of this boot of the router (random(4)); a random text if it cannot be read, equal to no
    other."""
    return (_read(root, _BOOT) or os.urandom(16).hex().encode()).decode("ascii", "replace").strip()


def alg_of(root: str = "/") -> list[str]:
    """The state of the SIP helper, for comparison: the identity of the firewall's settings file,
    and the module."""
    try:
        status = os.stat(os.path.join(root, _FIREWALL))
        settings = f"{status.st_mtime_ns} {status.st_size}"
    except OSError:
        settings = ""
    helper = os.path.join(root, _HELPER)
    parts = (helper, os.path.join(helper, "initstate"))
    return [settings, *(str(os.path.exists(part)) for part in parts)]


def resident() -> dict[str, int]:
    """{"rss": memory in RAM, kB} (proc(5), statm); {} in a jail without procfs."""
    try:
        with open("/proc/self/statm", "rb", buffering=0) as file:  # text would load a codec
            pages = int(file.read().split()[1])
    except OSError:
        return {}
    return {"rss": pages * os.sysconf("SC_PAGESIZE") // 1024}


def is_down(interface: str, root: str = "/") -> bool:
    """True if the interface is not set up (IFF_UP, netdevice(7)). root: as above."""
    text = (_read(root, f"sys/class/net/{interface}/flags") or b"").strip()
    try:
        return not int(text, 16) & 1
    except ValueError:
        return False


def _read(root: str, path: str) -> bytes | None:
    try:
        return files.read(os.path.join(root, path), MOST)
    except files.FileError:
        return None


def _expectations(root: str) -> int:
    """The number of flows expected by the SIP helper (exp_seq_show() in nf_conntrack_expect.c)."""
    lines = _read(root, _EXPECTED)
    if lines is None:
        return NOT_READ
    return len(_OF_SIP.findall(lines))


def _seconds(root: str, what: str) -> int:
    text = (_read(root, _TIMEOUTS + what) or b"").strip()
    return int(text) if text.isdigit() and len(text) < 10 else 0


def _offload(root: str, before: str) -> str:
    config = _read(root, _FIREWALL)
    if config is None:
        # OpenWrt lets root alone read it, and the daemon gives up its privileges.
        return before if os.path.exists(os.path.join(root, _FIREWALL)) else NO_OFFLOAD
    starts = [*_SECTION.finditer(config)]
    ends = [start.start() for start in starts[1:]] + [len(config)] * bool(starts)
    on = set()
    for start, end in zip(starts, ends, strict=True):
        if start[1] == b"defaults":
            for option in _OFFLOAD.finditer(config, start.end(), end):
                if option[2].lower() in _ON:
                    on.add(option[1])
    if None not in on:
        return NO_OFFLOAD  # hardware offload without software offload does nothing (fw4.uc)
    return HARDWARE if b"_hw" in on else SOFTWARE
