# SPDX-License-Identifier: Apache-2.0
"""Plan: the least change that turns the SIP helper off, as text that somebody else carries out."""

from __future__ import annotations

from typing import NamedTuple

FW4, FW3, NFTABLES, IPTABLES = "fw4", "fw3", "nftables", "iptables"
PLATFORMS = FW4, FW3, NFTABLES, IPTABLES

SET, ADD_LIST, DEL_LIST, DELETE = "set", "add_list", "del_list", "delete"


class Edit(NamedTuple):
    """One change of /etc/config/firewall. section: its name, or `@zone[0]` as `uci show` counts;
    option: its name; verb: the subcommand of uci; value: "" for DELETE."""

    section: str
    option: str
    verb: str
    value: str = ""


class HelperRule(NamedTuple):
    """A live rule that sets the SIP helper. family: of the nft table (inet, ip, ip6); with iptables
    `ip` or `ip6`. handle: of the nft rule; 0 with iptables, where `text` is what follows `-A CHAIN`
    (and `-D CHAIN` takes)."""

    family: str
    table: str
    chain: str
    handle: int
    text: str


class Plan(NamedTuple):
    """platform: a word of PLATFORMS. edits: in their order; rules: live ones that the edits end,
    or (where no file keeps them) that are to be deleted. kept: helpers that are listed by name so
    that they stay. notes: sentences for people. refusals: reasons why nothing may be done; with
    one there are no edits and no rules."""

    platform: str
    edits: tuple[Edit, ...] = ()
    rules: tuple[HelperRule, ...] = ()
    kept: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
