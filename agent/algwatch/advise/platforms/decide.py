# SPDX-License-Identifier: Apache-2.0
"""Router: a router's printed text about itself; plan(): the change to make there."""

from __future__ import annotations

import json
from typing import NamedTuple

from algwatch.advise.platforms import iptables, nft, openwrt, uci
from algwatch.advise.platforms.plan import FW3, FW4, IPTABLES, NFTABLES, HelperRule, Plan

BY_PORT = (
    "the kernel gives every flow to port 5060 the helper by itself, whatever the firewall says; "
    "`sysctl -w net.netfilter.nf_conntrack_helper=0` ends that, for all helpers"
)


class Router(NamedTuple):
    """Text printed by programs of the router; "" without any.

    platform: a word of plan.PLATFORMS. config: `uci export firewall` (or `uci show`). pending:
    uncommitted changes of uci and of LuCI. helpers: /usr/share/firewall4/helpers or
    /usr/share/fw3/helpers.conf. modules: names in /sys/module. networks: `ubus call
    network.interface dump`. ruleset: `nft -j list ruleset`. iptables, ip6tables: of `iptables-save
    -t raw`. sysctl: net.netfilter.nf_conntrack_helper. interface: layer-3 device of the phone;
    address: the phone's.
    """

    platform: str
    config: str = ""
    pending: str = ""
    helpers: str = ""
    modules: frozenset[str] = frozenset()
    networks: str = ""
    ruleset: str = ""
    iptables: str = ""
    ip6tables: str = ""
    sysctl: str = ""
    interface: str = ""
    address: str = ""


def plan(router: Router) -> Plan:
    """The least change to turn the SIP helper off for the zones of the phone's interface. An
    undecidable case gives a refusal with its reason. Never raises for a router's text."""
    try:
        if router.sysctl.strip() == "1":
            raise uci.Unreadable(BY_PORT)
        if router.platform in (FW4, FW3):
            return _openwrt(router)
        if router.platform == NFTABLES:
            return _nftables(router)
        if router.platform == IPTABLES:
            rules = _iptables_rules(router)
            return Plan(IPTABLES, rules=tuple(rules), notes=_of_files(rules))
        raise uci.Unreadable(f"{router.platform[:40]!r} is no platform that is changed from here")
    except (uci.Unreadable, nft.NotJson) as why:
        return Plan(router.platform, refusals=(str(why),))


def _iptables_rules(router: Router) -> list[HelperRule]:
    rules = iptables.helper_rules(router.iptables, "ip")
    return rules + iptables.helper_rules(router.ip6tables, "ip6")


def _nftables(router: Router) -> Plan:
    found = nft.helpers(router.ruleset)
    if found.unclear:
        raise uci.Unreadable("; ".join(found.unclear))
    if found.foreign and not found.rules and _iptables_rules(router):
        raise uci.Unreadable("the rules that set the SIP helper were made by iptables")
    return Plan(NFTABLES, rules=tuple(found.rules), notes=_of_files(found.rules))


def _of_files(rules: list[HelperRule]) -> tuple[str, ...]:
    if not rules:
        return ("no rule sets the SIP helper",)
    return ("the file that the ruleset comes from is not changed: take the rule out there, too",)


def _networks(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """Device by network, and zone by network if a protocol handler names one."""
    try:
        devices, zones = {}, {}
        for one in json.loads(text)["interface"]:
            name = str(one["interface"])
            devices[name] = str(one.get("l3_device") or one.get("device") or "")
            zone = (one.get("data") or {}).get("zone")
            if isinstance(zone, str):
                zones[name] = zone
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        why = "ubus does not tell the networks, so the phone's zone is not known"
        raise uci.Unreadable(why) from None
    return devices, zones


def _openwrt(router: Router) -> Plan:
    fw3 = router.platform == FW3
    if router.pending.strip():
        why = "other changes of the firewall wait: commit them (uci, LuCI) or take them back first"
        raise uci.Unreadable(why)
    if not router.interface:
        raise uci.Unreadable("the phone's interface is not known, so its zone is not")
    helpers = openwrt.helper_list(uci.read(router.helpers), router.modules)
    sections = uci.read(router.config)
    if not any(one.type == "zone" for one in sections):
        raise uci.Unreadable("/etc/config/firewall has no zone")
    devices, zones = _networks(router.networks)
    live, unclear = _live(router, fw3)
    if unclear:
        raise uci.Unreadable("; ".join(unclear))
    at = router.interface, router.address
    house = openwrt.House(sections, helpers, devices, zones, *at, fw3)
    if not live and not any(one.name == openwrt.SIP and one.there for one in helpers):
        return Plan(router.platform, notes=("the kernel has no SIP helper: nothing to turn off",))
    decided = openwrt.decide(house)
    named = "zone_{}_helper" if fw3 else "helper_{}"
    chains = {named.format(name) for name in decided.names}
    enters = {named.format(name) for name in decided.enters}
    ours = [rule for rule in live if rule.chain in chains or rule.chain in enters]
    known = {named.format(one.text("name")) for one in sections if one.type == "zone"}
    strange = [rule for rule in live if not _of_firewall(rule, known, fw3)]
    if strange:
        one = strange[0]
        why = "no setting of /etc/config/firewall takes that away (an include?)"
        raise uci.Unreadable(
            f"table {one.family} {one.table}, chain {one.chain} sets the SIP helper, and {why}"
        )
    if any(rule.chain in chains for rule in ours) and not decided.edits:
        why = "no setting asks for it: reload the firewall, or look at its includes"
        raise uci.Unreadable(f"the ruleset sets the SIP helper for the phone, and {why}")
    notes = list(decided.notes)
    if not decided.edits:
        notes.append("nothing gives the phone's zone the SIP helper: nothing to turn off")
    others = sorted({rule.chain for rule in live} - chains - enters)
    if others:
        notes.append(f"other zones keep the SIP helper: {', '.join(others)[:200]}")
    if decided.edits and not ours and (router.ruleset or router.iptables):
        notes.append("the live ruleset does not set the SIP helper yet; its next reload would")
    edits, kept = tuple(decided.edits), tuple(decided.kept)
    return Plan(router.platform, edits, tuple(ours), kept, tuple(notes))


def _live(router: Router, fw3: bool) -> tuple[list[HelperRule], list[str]]:
    if fw3:
        return _iptables_rules(router), []
    if not router.ruleset:
        return [], []
    found = nft.helpers(router.ruleset)
    return found.rules, found.unclear


def _of_firewall(rule: HelperRule, chains: set[str], fw3: bool) -> bool:
    table = ("ip", "raw"), ("ip6", "raw")
    return rule.chain in chains and (
        (rule.family, rule.table) in table if fw3 else (rule.family, rule.table) == ("inet", "fw4")
    )
