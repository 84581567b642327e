# SPDX-License-Identifier: Apache-2.0
"""Place: the LAN bridge the probe's messages enter by and their WAN device, or the reason there is
none."""

from __future__ import annotations

import errno

from algwatch.base import address
from algwatch.base.host import HARDWARE
from algwatch.capture.host import read_host
from algwatch.capture.networks import NoNetworks, sides, told_by_ubus
from algwatch.capture.probes import FARS
from algwatch.kernel import links
from algwatch.kernel.links import Address, Link
from algwatch.kernel.netlink import Netlink, NetlinkError
from algwatch.probe.refused import Refused

OURS = "algw-"  # of the bridge side; the address follows, in hexadecimal digits
OURS_OUTSIDE = "algo-"  # of the side that sends frames
_HOME = "br-lan"  # OpenWrt's name of the LAN bridge


class Place:
    """lan: the interface with the LAN's address; bridge: it, or the bridge beneath a VLAN; vlan: id
    of this VLAN, 0 without one; own: the router's address there; wan: the interface of packets to a
    public address; far: the messages' destination, 4 bytes; taken: addresses in use."""

    __slots__ = ("bridge", "far", "lan", "own", "taken", "vlan", "wan")

    def __init__(self, lan: Link, bridge: Link, vlan: int, own: Address, wan: Link) -> None:
        self.far = FARS[0]
        self.lan = lan
        self.bridge = bridge
        self.vlan = vlan
        self.own = own
        self.wan = wan
        self.taken: set[bytes] = set()


def find(nl: Netlink, lan: str = "", wan: str = "") -> Place:
    """lan, wan: names of interfaces, "" to find them. Refused."""
    every = {link.index: link for link in links.links(nl)}
    addresses = links.addresses(nl)
    outer = _wan(nl, every, wan)
    inner, own = _lan(every, addresses, lan, outer)
    bridge, vlan = _bridge(every, inner)
    if inner.index == outer.index:
        raise Refused(f"{inner.name} is the WAN device, too: name both with --lan and --wan", True)
    for link in (bridge, inner):
        if not link.is_up:
            raise Refused(f"{link.name} is down: set it up first (ip link set {link.name} up)")
    if bridge.stp:
        raise Refused(
            f"{bridge.name} runs the spanning tree protocol: a new port would wait 30 s and every "
            "switch of the LAN would be told; to probe, turn it off for a moment "
            f"(echo 0 > /sys/class/net/{bridge.name}/bridge/stp_state)"
        )
    if not any(link.master == bridge.index and not ours(link) for link in every.values()):
        raise Refused(f"{bridge.name} has no port, so that nothing can enter by it: plug the LAN "
                      "in, or turn the wireless LAN on")  # fmt: skip
    if read_host(0).offload == HARDWARE:
        raise Refused(
            "hardware flow offload is on: capturing on the WAN device makes some routers restart; "
            "turn it off first (uci set firewall.@defaults[0].flow_offloading_hw=0; uci commit "
            "firewall; service firewall restart)"
        )
    place = Place(inner, bridge, vlan, own, outer)
    networks = {(a.bits, _network(a.host, a.bits)) for a in addresses}
    place.far = next((far for far in FARS if all(_network(far, bits) != net
                      for bits, net in networks)), FARS[0])  # fmt: skip
    _check_route(nl, every, place)
    place.taken = {a.host for a in addresses}
    place.taken.update(host for _, host in links.neighbours(nl))
    return place


def ours(link: Link) -> bool:
    """A veth of this program, by its name."""
    head, digits = link.name[: len(OURS)], link.name[len(OURS) :]
    return (link.kind == "veth" and head in (OURS, OURS_OUTSIDE) and len(digits) == 8
            and all(c in "0123456789abcdef" for c in digits))  # fmt: skip


def address_of(link: Link) -> bytes:
    """The address in its name."""
    return bytes.fromhex(link.name[len(OURS) :])


def _named(every: dict[int, Link], name: str, option: str) -> Link:
    found = next((link for link in every.values() if link.name == name), None)
    if found is None:
        names = ", ".join(sorted(link.name for link in every.values() if link.name != "lo"))
        raise Refused(f"{option} {name}: there is no such interface; there are {names}", True)
    return found


def _wan(nl: Netlink, every: dict[int, Link], name: str) -> Link:
    out: list[Link] = []
    for route in links.default_routes(nl):
        for index in [route.index, *(hop for hop, _ in route.hops)]:
            if index in every and every[index] not in out:
                out.append(every[index])
    if name:
        chosen = _named(every, name, "--wan")
    elif not out:
        raise Refused("the WAN is down: there is no default route; connect it first")
    elif len(out) > 1:
        names = [link.name for link in out]
        raise Refused(f"this router has {len(out)} WANs, {' and '.join(names)}: name one, "
                      f"as in --wan {names[0]}", True)  # fmt: skip
    else:
        chosen = out[0]
    if not chosen.is_up or not chosen.has_carrier:
        state = "has no carrier" if chosen.is_up else "is down"
        raise Refused(f"the WAN is down: {chosen.name} {state}; connect it first")
    return chosen


def _lan(every: dict[int, Link], addresses: list[Address], name: str,
         wan: Link) -> tuple[Link, Address]:  # fmt: skip
    with_address = {a.index: a for a in reversed(addresses) if a.bits <= 30}
    if name:
        chosen = _named(every, name, "--lan")
        if chosen.index not in with_address:
            raise Refused(f"--lan {name}: it has no IPv4 network; name the interface that has the "
                          "router's address in the LAN", True)  # fmt: skip
        return chosen, with_address[chosen.index]
    bridges = [
        link for link in every.values()
        if link.index in with_address and link.index != wan.index
        and (link.kind == "bridge" or _lower(every, link).kind == "bridge")
    ]  # fmt: skip
    chosen_ones = bridges
    if len(bridges) > 1:
        told = _own_lan()
        chosen_ones = ([link for link in bridges if link.name == told]
                       or [link for link in bridges if link.name == _HOME] or bridges)  # fmt: skip
    if not chosen_ones:
        raise Refused(
            "there is no LAN bridge with an IPv4 address: a message can only enter by a port of a "
            "bridge (a LAN on a plain device cannot be probed: watch a call with algwatch run)"
        )
    if len(chosen_ones) > 1:
        names = [link.name for link in chosen_ones]
        raise Refused(f"this router has {len(names)} LANs, {' and '.join(names)}: name the one of "
                      f"the phones, as in --lan {names[0]}", True)  # fmt: skip
    return chosen_ones[0], with_address[chosen_ones[0].index]


def _own_lan() -> str:
    """The device of OpenWrt's network `lan`; "" without ubus, or without such a network."""
    try:
        return (*sides(told_by_ubus())[0], "")[0]
    except NoNetworks:
        return ""


def _lower(every: dict[int, Link], link: Link) -> Link:
    """The device beneath a VLAN device, else itself."""
    return every.get(link.lower, link) if link.kind == "vlan" else link


def _bridge(every: dict[int, Link], lan: Link) -> tuple[Link, int]:
    lower = _lower(every, lan)
    if lower.kind != "bridge":
        raise Refused(
            f"{lan.name} is no bridge: a message can only enter by a port of one, and putting "
            f"{lan.name} into a bridge would cut the LAN off for a moment; watch a call instead "
            f"(algwatch run --lan {lan.name} --wan ...)"
        )
    if lower is not lan and not lower.filtering:
        raise Refused(f"{lan.name} is a VLAN of {lower.name}, which does not filter VLANs: a probe "
                      "cannot tell which port it enters by; watch a call instead")  # fmt: skip
    return lower, lan.vlan if lower is not lan else 0


def _check_route(nl: Netlink, every: dict[int, Link], place: Place) -> None:
    """Check the kernel's route for the probe's packets from the LAN."""
    source = _some_host(place.own)
    shown = address.text(place.far, 4)
    try:
        route = links.route_of(nl, place.far, source, place.lan.index)
    except NetlinkError as problem:
        if problem.errno not in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES, errno.EINVAL,
                                 errno.EXDEV):  # fmt: skip
            raise
        raise Refused(
            f"this router forwards nothing from {place.lan.name} to {shown} ({problem.strerror}): "
            "connect the WAN, and look for a route that blocks this address (RFC 5737), which the "
            "probe needs"
        ) from None
    if route.index != place.wan.index:
        other = every[route.index].name if route.index in every else "another interface"
        raise Refused(
            f"this router sends what the LAN sends to {shown} by {other}, not by "
            f"{place.wan.name}: leave --wan away, and the probe tells by which one its messages "
            "left", True
        )  # fmt: skip


def _network(host: bytes, bits: int) -> int:
    return int.from_bytes(host, "big") >> 32 - bits


def _some_host(own: Address) -> bytes:
    """Another address of the same network."""
    number = int.from_bytes(own.host, "big")
    return (number ^ 1 if own.bits <= 30 else number).to_bytes(4, "big")
