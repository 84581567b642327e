# SPDX-License-Identifier: Apache-2.0
"""The side of a router, by the name of an interface."""

from __future__ import annotations

import re
from collections.abc import Iterable

from algwatch.base.packet import LAN, UNKNOWN, WAN

# OpenWrt's and Linux' names for the WAN side: wan, pppoe-wan, ppp0, eth1.2 (the WAN VLAN of a
# switch), wwan0, usb0, a tunnel of the provider (ds-wan, 6in4-wan6).
_WAN = re.compile(
    r"(?:.*[-_.])?wan[0-9]*(?:_?6)?|pppo[ea](?:-.*|[0-9]*)|ppp[0-9]+|eth[0-9]+\.2|(?:wwan|usb|lte|"
    r"dsl|vdsl|ptm|nas|atm|rmnet|wwp)[-_.0-9a-z]*"
)
_LAN = re.compile(r"br-?[a-z0-9_-]*(?:\.[0-9]+)?|(?:.*[-_.])?lan[0-9]*|bridge[0-9]*|eth[0-9]+\.1")
# These may lead anywhere: they are of the LAN if another name is of the WAN.
_OPEN = re.compile(r"eth0|(?:wlan|ath|ra)[0-9]+|phy[0-9]+-ap[0-9]+")


def sides_of(
    names: Iterable[str], lan: Iterable[str] = (), wan: Iterable[str] = ()
) -> dict[str, int] | None:
    """LAN, WAN or UNKNOWN by name; None unless the names tell both sides of a router.

    names: of the interfaces of one capture file. lan, wan: names with a given side. If any is
    given, all other names are UNKNOWN; if the given names are of one side only, all others are of
    the other side.
    """
    names = dict.fromkeys(names)
    told = {**dict.fromkeys(lan, LAN), **dict.fromkeys(wan, WAN)}
    if any(name in told for name in names):
        both = len(set(told.values())) == 2
        others = UNKNOWN if both else WAN if LAN in told.values() else LAN
        return {name: told.get(name, others) for name in names}
    sides = {name: _side(name) for name in names}
    if WAN in sides.values() and LAN not in sides.values():
        sides = {name: LAN if _OPEN.fullmatch(name) else side for name, side in sides.items()}
    return sides if {LAN, WAN} <= set(sides.values()) else None


def _side(name: str) -> int:
    name = name.lower()
    if _WAN.fullmatch(name):
        return WAN
    return LAN if _LAN.fullmatch(name) else UNKNOWN
