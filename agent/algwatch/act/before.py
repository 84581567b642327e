# SPDX-License-Identifier: Apache-2.0
"""Before the change: its dangers, in plain words."""

from __future__ import annotations

import socket
from sys import byteorder

from algwatch.act import live
from algwatch.act.daemons import Evidence
from algwatch.act.router import Failed, Router
from algwatch.base import address
from algwatch.kernel import links, netlink
from algwatch.kernel.flows import Flow
from algwatch.kernel.netlink import Netlink

_UP = 1  # RTF_UP


def objections(said: Evidence, entries: list[Flow], timeouts: live.Timeouts,
               only: str) -> list[str]:  # fmt: skip
    """The dangers of this change for phones, in sentences. entries: live ones, of the phones
    concerned. only: address of a phone for a trial. A trial needs no evidence, since it finds the
    evidence."""
    found = [f"A line here needs the SIP ALG: {why}" for why in said.needed]
    for phone, idle in sorted(live.silent(entries, timeouts).items()):
        found.append(
            f"{phone} was silent for {idle} s. With the helper its NAT mapping lives "
            f"{timeouts.helped} s, without it {timeouts.stream} s: the phone would not ring any "
            "more. Turn on a keep-alive of less than that on the phone first."
        )
    if not only and not said.tried and not said.needed and said.advised != "recommended":
        found.append(_NO_EVIDENCE[said.advised if said.known else "unknown"])
    return found


_NO_EVIDENCE = {
    "none": "The running algwatch does not advise to turn the SIP ALG off: on many lines it is "
            "what makes the phone work. Try one phone with --only.",
    "suspected": "The running algwatch only suspects the SIP ALG: try one phone with --only, and "
                 "verify it by a call.",
    "unknown": "No running algwatch says that the SIP ALG does harm: on many lines it is what "
               "makes the phone work. Run `algwatch run` first, or try one phone with --only.",
}  # fmt: skip


def no_phone(host: str, device: str) -> str:
    """The reason a trial with this address would try nothing, "" if a phone may have it. device: of
    the route to it, "" for none."""
    if not device:
        if ":" in host:
            return "routes of IPv6 are not read here: name the phone's interface with --lan"
        return ("no network of this router has that address: type the phone's own one, as it is in "
                "the LAN, or name its interface with --lan")  # fmt: skip
    value = address.ipv4(host)
    if value < 0:
        return ""
    try:
        with Netlink(netlink.ROUTE) as nl:
            own = links.addresses(nl)
    except OSError:
        return ""  # it may exist
    if socket.inet_aton(host) in [one.host for one in own]:
        return "that is this router itself: type the address of the phone"
    for one in own:
        rest = (1 << (32 - one.bits)) - 1
        network = int.from_bytes(one.host, "big") & ~rest
        if one.bits <= 30 and value in (network, network | rest):
            return "that is the address of a whole network: type the address of the phone"
    return ""


class Routes:
    """The main table of IPv4 routes (/proc/net/route)."""

    def __init__(self, router: Router) -> None:
        self._nets: list[tuple[int, int, str]] = []  # mask, network, device
        try:
            text = (router.read("proc/net/route") or b"").decode("ascii", "replace")
        except Failed:
            text = ""
        for row in (line.split() for line in text.splitlines()[1:]):
            if len(row) >= 8 and int(row[3], 16) & _UP:
                self._nets.append((_number(row[7]), _number(row[1]), row[0]))
        self._nets.sort(reverse=True)  # the longest mask first

    @property
    def wan(self) -> list[str]:
        """Devices of the default routes."""
        return list(dict.fromkeys(device for mask, _, device in self._nets if not mask))

    def device_of(self, host: str) -> str:
        """The device of the route to host; "" if only a default route leads there."""
        value = address.ipv4(host)
        hits = (device for mask, net, device in self._nets if mask and value & mask == net)
        return next(hits, "") if value >= 0 else ""


def _number(text: str) -> int:
    """An address as the kernel prints it: hexadecimal, in the byte order of this machine."""
    return int.from_bytes(int(text, 16).to_bytes(4, byteorder), "big")
