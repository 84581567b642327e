# SPDX-License-Identifier: Apache-2.0
"""Planning: this router's firewall, and the least change to turn its SIP helper off.

The decision is made by advise/platforms, from the output of the router's own programs.
"""

from __future__ import annotations

import json
import os

from algwatch.act import nftables, uci
from algwatch.act.router import Failed, Router
from algwatch.advise.platforms import decide
from algwatch.advise.platforms.plan import FW3, FW4, NFTABLES, Plan

_HELPERS = {FW4: "usr/share/firewall4/helpers", FW3: "usr/share/fw3/helpers.conf"}
_MODULES = "sys/module"
_BY_PORT = "proc/sys/net/netfilter/nf_conntrack_helper"


class NotHere(Exception):
    """This program does not change this platform."""


def platform(router: Router) -> str:
    """NotHere."""
    for word in FW4, FW3:
        if router.has(word):
            return word
    if router.has("nft"):
        return NFTABLES
    raise NotHere("neither fw4, fw3 nor nft is here, and no other firewall is changed by algwatch")


def planned_here(router: Router, interface: str, address: str) -> Plan:
    """interface: of the phones; address: of the phone of a trial, "" for none. NotHere, Failed."""
    word = platform(router)
    by_port = router.setting(_BY_PORT)
    if word == NFTABLES:
        return _nftables(router, by_port)
    override = router.path(uci.OVERRIDE)
    if os.path.exists(override):
        return Plan(word, refusals=(f"{override} is there: somebody tries another configuration",))
    about = decide.Router(
        word,
        config=router.run("uci", "export", "firewall"),
        pending="".join(uci.pending(router)),
        helpers=_text(router, _HELPERS[word]),
        modules=frozenset(_names(router.path(_MODULES))),
        networks=networks(router),
        ruleset=router.run("nft", "-j", "list", "ruleset") if word == FW4 else "",
        iptables=router.run("iptables-save", "-t", "raw") if word == FW3 else "",
        ip6tables=_run(router, "ip6tables-save", "-t", "raw") if word == FW3 else "",
        sysctl=by_port,
        interface=interface,
        address=address,
    )
    return decide.plan(about)


def networks(router: Router) -> str:
    """The networks from ubus, "" without it."""
    return _run(router, "ubus", "call", "network.interface", "dump")


def lan_device(router: Router) -> str:
    """The layer-3 device of the network `lan`, if no phone shows another one; ""."""
    try:
        rows = json.loads(networks(router))["interface"]
        found = [row.get("l3_device") for row in rows if row.get("interface") == "lan"]
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
    return str(found[0] or "") if found else ""


def _nftables(router: Router, by_port: str) -> Plan:
    """Both readings of the ruleset have to agree before a rule is touched."""
    if by_port == "1":  # then it needs no rule
        return Plan(NFTABLES, refusals=(decide.BY_PORT,))
    made = nftables.plan(router)
    read = _run(router, "nft", "-j", "list", "ruleset")
    if made.refusals or not read:  # an nft without JSON
        return made
    also = decide.plan(decide.Router(NFTABLES, ruleset=read, sysctl=by_port))
    if also.refusals:
        return also
    if {rule[:4] for rule in also.rules} != {rule[:4] for rule in made.rules}:
        return Plan(NFTABLES, refusals=("the ruleset changed while it was read: try again",))
    return made


def _run(router: Router, *argv: str) -> str:
    try:
        return router.run(*argv)
    except Failed:
        return ""


def _text(router: Router, name: str) -> str:
    return (router.read(name) or b"").decode("utf-8", "replace")


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
