# SPDX-License-Identifier: Apache-2.0
"""fw4 and fw3: the edits of /etc/config/firewall that take the SIP helper from the zones of one
interface, and leave every other helper in place.

fw4: parse_zone(), parse_rule() and parse_redirect() in fw4.uc. fw3: zones.c, helpers.c, and
select_helper() in redirects.c.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import NamedTuple

from algwatch.advise.platforms.plan import ADD_LIST, DEL_LIST, DELETE, SET, Edit
from algwatch.advise.platforms.uci import Section, Unreadable

SIP = "sip"


class Helper(NamedTuple):
    """A helper known to the firewall. there: its kernel module is."""

    name: str
    protocols: tuple[str, ...]
    port: str
    there: bool


class House(NamedTuple):
    """sections: of /etc/config/firewall. helpers: in the order of the firewall's list. devices: of
    each network, by name. zones: of networks, from ubus. interface: layer-3 device of the phone;
    address: of the phone, "" if not known. fw3: not fw4."""

    sections: list[Section]
    helpers: list[Helper]
    devices: Mapping[str, str]
    zones: Mapping[str, str]
    interface: str
    address: str
    fw3: bool


class Decided(NamedTuple):
    """names: of the changed zones. enters: the source zones of changed redirects."""

    edits: list[Edit]
    names: set[str]
    enters: set[str]
    kept: list[str]
    notes: list[str]


def helper_list(sections: list[Section], modules: frozenset[str]) -> list[Helper]:
    """The file with definitions of helpers. modules: names in /sys/module. Unreadable."""
    return [
        Helper(one.text("name"), tuple(one.words("proto")), one.text("port"),
               one.text("module") in modules)
        for one in sections
        if one.type == "helper" and one.text("name")
    ]  # fmt: skip


def decide(house: House) -> Decided:
    """Unreadable if it cannot be decided."""
    return _Decision(house).made()


class _Decision:
    def __init__(self, house: House) -> None:
        self.house = house
        self.done = Decided([], set(), set(), [], [])
        enabled = [one for one in house.sections if one.yes("enabled", True)]
        self.defaults = [one for one in house.sections if one.type == "defaults"][:1]
        self.zones = [one for one in enabled if one.type == "zone"]
        self.rules = [one for one in enabled if one.type == "rule"]
        self.redirects = [one for one in enabled if one.type == "redirect"]
        self.auto = all(one.yes("auto_helper", True) for one in self.defaults)
        self.there = [one.name for one in house.helpers if one.there]

    def made(self) -> Decided:
        if not any(one.name == SIP for one in self.house.helpers):
            raise Unreadable("the firewall's list of helpers does not name sip")
        called = [zone.text("name") for zone in self.zones]
        for zone in self.zones:
            self._check(zone)
            name = zone.text("name")
            if not self.house.fw3 and called.count(name) > 1:
                raise Unreadable(f"two zones are called {name[:40]!r}, and fw4 cannot load that")
        names = {zone.text("name") for zone in self.zones if self._holds(zone)}
        if not names:
            raise Unreadable(f"{self.house.interface} is in no zone of the firewall")
        self.done.names.update(names)
        for zone in self.zones:
            if zone.text("name") in names:
                self._zone(zone)
        self._rules()
        self._redirects()
        return self.done

    def _is_sip(self, name: str) -> bool:
        return (name.lower() if self.house.fw3 else name) == SIP

    def _check(self, zone: Section) -> None:
        """fw4 drops a zone with an unknown word from the ruleset as a whole."""
        known = [one.name for one in self.house.helpers]
        known = [name.lower() for name in known] if self.house.fw3 else known
        for word in zone.words("helper"):
            if word.startswith("!"):
                raise Unreadable(f"zone {zone.text('name')[:40]!r} has a helper with an `!`")
            if (word.lower() if self.house.fw3 else word) not in known:
                name = zone.text("name")[:40]
                raise Unreadable(f"zone {name!r} lists a helper that is not known: {word[:40]!r}")
        if not zone.text("name"):
            raise Unreadable(f"the zone {zone.ref} has no name")

    def _holds(self, zone: Section) -> bool:
        """True if packets of the phone come in through this zone."""
        name = zone.text("name")
        networks = zone.words("network")
        networks = networks + [one for one, of in self.house.zones.items() if of == name]
        devices = [self.house.devices[one] for one in networks if self.house.devices.get(one)]
        devices += zone.words("device")
        if any(word.startswith("!") for word in (*networks, *devices, *zone.words("subnet"))):
            raise Unreadable(f"zone {name!r} is told by what it is not (`!`)")
        subnets = zone.words("subnet")
        if devices and not any(_matches(device, self.house.interface) for device in devices):
            return False
        if subnets:
            return self._inside(name, subnets)
        return bool(devices)

    def _inside(self, name: str, subnets: list[str]) -> bool:
        if not self.house.address:
            raise Unreadable(f"zone {name!r} is told by addresses: name the phone's")
        try:
            phone = ipaddress.ip_address(self.house.address)
            nets = [ipaddress.ip_network(one, strict=False) for one in subnets]
        except ValueError:
            raise Unreadable(f"zone {name!r} has a subnet that cannot be read") from None
        return any(phone in net for net in nets)

    def _automatic(self, zone: Section) -> bool:
        masked = zone.yes("masq", False) or (not self.house.fw3 and zone.yes("masq6", False))
        return self.auto and zone.yes("auto_helper", True) and not masked

    def _zone(self, zone: Section) -> None:
        """Take SIP from this zone."""
        listed = zone.words("helper")
        add = self.done.edits.append
        if listed:
            rest = [one for one in listed if not self._is_sip(one)]
            if len(rest) == len(listed):
                return
            if rest and isinstance(zone.options["helper"], list):
                for name in dict.fromkeys(one for one in listed if self._is_sip(one)):
                    add(Edit(zone.ref, "helper", DEL_LIST, name))
            else:
                add(Edit(zone.ref, "helper", DELETE))
                self._list(zone, rest)
            if not rest and self._automatic(zone):  # an empty list would bring back all of them
                add(Edit(zone.ref, "auto_helper", SET, "0"))
            return
        if not self._automatic(zone):
            return
        add(Edit(zone.ref, "auto_helper", SET, "0"))
        self._list(zone, [one for one in self.there if one != SIP])

    def _list(self, zone: Section, names: list[str]) -> None:
        for name in names:
            self.done.edits.append(Edit(zone.ref, "helper", ADD_LIST, name))
        self.done.kept.extend(name for name in names if name not in self.done.kept)

    def _rules(self) -> None:
        for rule in self.rules:
            if rule.text("target").lower() != "helper" or not self._is_sip(rule.text("set_helper")):
                continue
            if rule.text("src") in self.done.names:
                self.done.edits.append(Edit(rule.ref, "enabled", SET, "0"))
            else:
                what = f"rule {rule.ref} sets the SIP helper for zone {rule.text('src')[:40]!r}"
                self.done.notes.append(f"{what}, and stays")

    def _redirects(self) -> None:
        """fw3 gives a redirect to port 5060 the helper by itself. fw4 reads its `option helper` as
        a condition, and sets nothing."""
        known = {zone.text("name") for zone in self.zones}  # fw3 ignores a redirect from no zone
        redirects = [one for one in self.redirects if one.text("src") in known]
        chosen = [(one, self._chosen(one)) for one in redirects] if self.house.fw3 else []
        ours = [(one, name) for one, name in chosen if name and self._is_sip(name)]
        ours = [(one, name) for one, name in ours if self._leads_here(one)]
        automatic = False
        for redirect, _ in ours:
            self.done.enters.add(redirect.text("src"))
            if "helper" in redirect.options:
                self.done.edits.append(Edit(redirect.ref, "helper", DELETE))
                automatic |= self.auto and bool(self._by_port(redirect))
            else:
                automatic = True
        if not automatic:
            return
        # Only the defaults section stops fw3, and it stops every other automatic helper, too.
        taken = [one.ref for one, _ in ours]
        for zone in self.zones:
            other = zone.text("name") not in self.done.names
            if other and self._automatic(zone) and not zone.words("helper"):
                self._list(zone, self.there)
        for redirect, name in chosen:
            if name and redirect.ref not in taken and "helper" not in redirect.options:
                self.done.edits.append(Edit(redirect.ref, "helper", SET, name))
        if not self.defaults:
            raise Unreadable("there is no defaults section, and a redirect to 5060 needs one")
        self.done.edits.append(Edit(self.defaults[0].ref, "auto_helper", SET, "0"))
        self.done.notes.append(
            "a port forwarding to 5060 gets the helper by itself, and only `auto_helper` of the "
            "defaults section stops that; the other helpers are listed where they were"
        )

    def _chosen(self, redirect: Section) -> str:
        """The helper written by fw3 for a redirect; "" for none."""
        if redirect.text("target", "DNAT").lower() != "dnat":
            return ""
        if "helper" in redirect.options:
            return redirect.text("helper")
        return self._by_port(redirect) if self.auto else ""

    def _by_port(self, redirect: Section) -> str:
        """select_helper(): by protocol and port, if exactly one of its protocols has one."""
        port = redirect.text("dest_port") or redirect.text("src_dport")
        protocols = redirect.words("proto") or ["tcp", "udp"]
        if protocols == ["tcpudp"]:
            protocols = ["tcp", "udp"]
        known = {"tcp", "udp"}
        if port == "5060" and not known.issuperset(protocols):
            raise Unreadable(f"redirect {redirect.ref} has a protocol that is not tcp or udp")
        found = [
            next((one.name for one in self.house.helpers
                  if proto in one.protocols and one.port == port), "")
            for proto in protocols
        ]  # fmt: skip
        named = [name for name in found if name]
        return named[0] if len(named) == 1 and found[-1] else ""

    def _leads_here(self, redirect: Section) -> bool:
        """True if a redirect leads to a changed zone, or to an unknown one."""
        dest = redirect.text("dest")
        if dest and dest != "*":
            return dest in self.done.names
        return not self.house.address or redirect.text("dest_ip") in ("", self.house.address)


def _matches(pattern: str, device: str) -> bool:
    """`name+` matches every name with this beginning; `+` alone matches nothing in fw4."""
    if pattern.endswith("+"):
        return len(pattern) > 1 and device.startswith(pattern[:-1])
    return pattern == device
