# SPDX-License-Identifier: Apache-2.0
"""fw4 and fw3: the part of their rulesets that has to do with helpers."""

from __future__ import annotations

import os

from openwrt.uci import NotKnown, Package, Section, Uci, UciError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Options = Mapping[str, str | list[str]]
    Tree = Mapping[str, object]

# name, module, family, protocol, port; /usr/share/firewall4/helpers
HELPERS = (
    ("amanda", "nf_conntrack_amanda", "any", "udp", 10080),
    ("ftp", "nf_conntrack_ftp", "any", "tcp", 21),
    ("RAS", "nf_conntrack_h323", "any", "udp", 1719),
    ("Q.931", "nf_conntrack_h323", "any", "tcp", 1720),
    ("irc", "nf_conntrack_irc", "ipv4", "tcp", 6667),
    ("netbios-ns", "nf_conntrack_netbios_ns", "ipv4", "udp", 137),
    ("pptp", "nf_conntrack_pptp", "ipv4", "tcp", 1723),
    ("sane", "nf_conntrack_sane", "any", "tcp", 6566),
    ("sip", "nf_conntrack_sip", "any", "udp", 5060),
    ("snmp", "nf_conntrack_snmp", "ipv4", "udp", 161),
    ("tftp", "nf_conntrack_tftp", "any", "udp", 69),
    ("rtsp", "nf_conntrack_rtsp", "ipv4", "tcp", 554),
)

_POLICY = {"input", "output", "forward"}
_KNOWN = {
    "defaults": _POLICY
    | {"syn_flood", "synflood_protect", "auto_helper", "flow_offloading", "flow_offloading_hw"},
    "zone": _POLICY
    | {"name", "network", "device", "masq", "masq6", "mtu_fix", "auto_helper", "helper", "enabled"},
    "forwarding": {"src", "dest", "enabled"},
    "rule": {"name", "src", "dest", "proto", "src_ip", "src_mac", "src_port", "dest_ip",
             "dest_port", "icmp_type", "target", "family", "limit", "set_helper", "helper",
             "enabled"},
    "redirect": {"name", "src", "dest", "proto", "src_ip", "src_dip", "src_dport", "dest_ip",
                 "dest_port", "target", "helper", "enabled", "reflection", "family"},
    "include": {"path", "type", "enabled"},
}  # fmt: skip
_YES, _NO = ("1", "on", "true", "yes"), ("0", "off", "false", "no")


def helpers_file(fw3: bool) -> str:
    text = ""
    for name, module, family, proto, port in HELPERS:
        text += f"\nconfig helper\n\toption name '{name}'\n\toption module '{module}'\n"
        text += f"\toption family '{family}'\n\toption port '{port}'\n"
        for one in ("tcp", "udp") if fw3 and name == "sip" else (proto,):
            text += f"\t{'list' if fw3 else 'option'} proto '{one}'\n"
    return text


def words(value: str | list[str] | None) -> list[str]:
    """to_array() in fw4.uc."""
    return [] if value is None else value if isinstance(value, list) else value.split()


def yes(options: Options, name: str, default: bool) -> bool:
    value = options.get(name)
    if value is None:
        return default
    if value in _YES or value in _NO:
        return value in _YES
    raise NotKnown(f"option {name} {value!r}, for which fw4 skips the section")


def _match(left: Tree, right: object) -> Tree:
    return {"match": {"op": "==", "left": left, "right": right}}


class Rule:
    """A rule that assigns a helper. family: 0, 4 or 6."""

    def __init__(self, zone: str, helper: str, family: int, proto: str, port: str) -> None:
        self.zone = zone
        self.helper = helper
        self.family = family
        self.proto = proto
        self.port = port
        self.only_dnat = False


class Zone:
    def __init__(self, section: Section) -> None:
        self.options = section.options
        self.name = str(section.options["name"])
        self.devices: list[str] = []
        self.has_chain = False


class Firewall:
    """The ruleset that the configuration of a router comes to. fw3: by the rules of fw3."""

    def __init__(self, uci: Uci, fw3: bool) -> None:
        self.fw3 = fw3
        self.zones: list[Zone] = []
        self.rules: list[Rule] = []
        self.error = ""  # of nft, when it reads the ruleset
        self._root = uci.root
        try:
            package = uci.load("firewall")
        except UciError:
            if fw3:
                raise
            package = Package("firewall")  # fw4 ignores that the cursor could not load it
        for section in package.sections:
            self._check(section)
        defaults = next((one for one in package.sections if one.type == "defaults"), None)
        self.auto = yes(defaults.options, "auto_helper", True) if defaults else True
        for section in package.sections:
            if section.type == "zone":
                self._zone(section)
        for section in package.sections:
            if section.type == "rule":
                self._rule(section.options)
        for section in package.sections:
            if section.type == "redirect":
                self._redirect(section.options)

    def _check(self, section: Section) -> None:
        if section.type not in _KNOWN:
            raise NotKnown(f"a section {section.type}")
        for option in section.options:
            if option not in _KNOWN[section.type]:
                raise NotKnown(f"option {option} of a {section.type}")

    def _networks(self) -> dict[str, str]:
        import json

        with open(f"{self._root}/run/networks.json") as file:
            dump = json.load(file)
        return {
            one["interface"]: one.get("l3_device") or one.get("device") or ""
            for one in dump["interface"]
        }

    def _there(self, module: str) -> bool:
        return os.path.isdir(f"{self._root}/sys/module/{module}")

    def _helper(self, name: str) -> tuple[str, str, str, str, int] | None:
        for one in HELPERS:
            if one[0] == name or (self.fw3 and one[0].lower() == name.lower()):
                return one
        return None

    def _protocols(self, helper: tuple[str, str, str, str, int]) -> tuple[str, ...]:
        return ("tcp", "udp") if self.fw3 and helper[0] == "sip" else (helper[3],)

    def _zone(self, section: Section) -> None:
        options = section.options
        if "name" not in options or not yes(options, "enabled", True):
            return
        if not self.fw3 and self._find(options["name"]):
            self.error = f"redefinition of symbol '{options['name']}_devices'"
        zone = Zone(section)
        listed = words(options.get("helper"))
        if any(one.startswith("!") for one in listed):
            raise NotKnown("list helper with !")
        found = [self._helper(one) for one in listed]
        if None in found and not self.fw3:
            return  # "skipped due to invalid options"
        networks = self._networks()
        zone.devices = [networks[one] for one in words(options.get("network")) if networks.get(one)]
        zone.devices += words(options.get("device"))
        masq = yes(options, "masq", False)
        masq = masq or (not self.fw3 and yes(options, "masq6", False))
        auto = self.auto and yes(options, "auto_helper", True) and not masq
        chosen = found if listed else HELPERS if auto else ()
        zone.has_chain = bool(chosen)
        for helper in chosen:
            if helper is not None and self._there(helper[1]):
                family = 4 if helper[2] == "ipv4" else 0
                for proto in self._protocols(helper):
                    self.rules.append(Rule(zone.name, helper[0], family, proto, str(helper[4])))
        self.zones.append(zone)

    def _find(self, name: object) -> Zone | None:
        return next((one for one in self.zones if one.name == name), None)

    def _rule(self, options: Options) -> None:
        if str(options.get("target", "")).lower() != "helper":
            return
        zone = self._find(options.get("src"))
        helper = self._helper(str(options.get("set_helper", "")))
        if zone is None or helper is None or not yes(options, "enabled", True):
            return
        zone.has_chain = True
        for proto in words(options.get("proto")) or ["tcp", "udp"]:
            if proto not in ("tcp", "udp"):
                raise NotKnown(f"proto {proto} of a HELPER rule")
            family = {"ipv4": 4, "ipv6": 6}.get(str(options.get("family", "")), 0)
            port = str(options.get("dest_port", ""))
            self.rules.append(Rule(zone.name, helper[0], family, proto, port))

    def _redirect(self, options: Options) -> None:
        zone = self._find(options.get("src"))
        if zone is None or not yes(options, "enabled", True):
            return
        if str(options.get("target", "dnat")).lower() != "dnat":
            return
        if not self.fw3:
            zone.has_chain = zone.has_chain or "helper" in options
            return
        protocols = words(options.get("proto")) or ["tcp", "udp"]
        port = str(options.get("dest_port") or options.get("src_dport") or "")
        if "helper" in options:
            helper = self._helper(str(options["helper"]))
        elif self.auto and port.isdigit():
            matches = [
                one
                for proto in protocols
                for one in HELPERS
                if proto in self._protocols(one) and one[4] == int(port)
            ]
            helper = matches[0] if len(matches) == 1 else None
        else:
            return
        if helper is None or not self._there(helper[1]):
            return
        zone.has_chain = True
        for proto in protocols:
            if proto in self._protocols(helper):
                rule = Rule(zone.name, helper[0], 4, proto, port)
                rule.only_dnat = True
                self.rules.append(rule)

    def chains(self) -> dict[str, list[tuple[str, list[Tree]]]]:
        """Chain: its rules, as nft prints them and as it tells them in JSON; fw4."""
        made: dict[str, list[tuple[str, list[Tree]]]]
        made = {"input": [], "forward": [], "prerouting": []}
        for zone in self.zones:
            for device in zone.devices:
                enters = _match({"meta": {"key": "iifname"}}, device)
                jump: Tree = {"jump": {"target": f"input_{zone.name}"}}
                made["input"].append((f'iifname "{device}" jump input_{zone.name}', [enters, jump]))
                if zone.has_chain:
                    jump = {"jump": {"target": f"helper_{zone.name}"}}
                    text = f'iifname "{device}" jump helper_{zone.name}'
                    made["prerouting"].append((text, [enters, jump]))
            made.setdefault(f"input_{zone.name}", [])
            if zone.has_chain:
                made.setdefault(f"helper_{zone.name}", [])
        for rule in self.rules:
            text = ""
            tree: list[Tree] = []
            if rule.family:
                family = f"ipv{rule.family}"
                text += f"meta nfproto {family} "
                tree.append(_match({"meta": {"key": "nfproto"}}, family))
            if rule.port:
                text += f"{rule.proto} dport {rule.port} "
                field = {"payload": {"protocol": rule.proto, "field": "dport"}}
                tree.append(_match(field, int(rule.port)))
            else:
                text += f"meta l4proto {rule.proto} "
                tree.append(_match({"meta": {"key": "l4proto"}}, rule.proto))
            text += f'ct helper set "{rule.helper}"'
            made[f"helper_{rule.zone}"].append((text, [*tree, {"ct helper": rule.helper}]))
        return made

    def objects(self) -> list[tuple[str, str]]:
        """Name and protocol of each ct helper object."""
        return [(name, proto) for name, module, _, proto, _ in HELPERS if self._there(module)]

    def iptables(self, family: int) -> Iterator[str]:
        """Lines of the raw table as `iptables-save` prints them, without -t; fw3."""
        for zone in self.zones:
            if zone.has_chain:
                yield f"-N zone_{zone.name}_helper"
        for zone in self.zones:
            for device in zone.devices if zone.has_chain else ():
                yield (
                    f'-A PREROUTING -i {device} -m comment --comment "!fw3: {zone.name} CT helper '
                    f'assignment" -j zone_{zone.name}_helper'
                )
        for rule in self.rules:
            if rule.family not in (0, family):
                continue
            port = f" --dport {rule.port}" if rule.port else ""
            dnat = " -m conntrack --ctstate DNAT" if rule.only_dnat else ""
            yield (
                f"-A zone_{rule.zone}_helper -p {rule.proto} -m {rule.proto}{port}{dnat} "
                f'-m comment --comment "!fw3: helper" -j CT --helper {rule.helper}'
            )
