# SPDX-License-Identifier: Apache-2.0
"""Plan: the least change to turn the SIP helper off, as text for somebody else to carry out."""

from __future__ import annotations

from typing import NamedTuple

FW4, FW3, NFTABLES, IPTABLES = "fw4", "fw3", "nftables", "iptables"
PLATFORMS = FW4, FW3, NFTABLES, IPTABLES

SET, ADD_LIST, DEL_LIST, DELETE = "set", "add_list", "del_list", "delete"


class Edit(NamedTuple):
    """One change of /etc/config/firewall. section: its name, or `@zone[0]` in the count of `uci
    show`; option: its name; verb: the subcommand of uci; value: "" for DELETE."""

    section: str
    option: str
    verb: str
    value: str = ""


class HelperRule(NamedTuple):
    """A live rule that sets the SIP helper. family: of the nft table (inet, ip, ip6); with iptables
    `ip` or `ip6`. handle: of the nft rule, 0 with iptables. text: with iptables the rest after `-A
    CHAIN`, also fit for `-D CHAIN`."""

    family: str
    table: str
    chain: str
    handle: int
    text: str


class Plan(NamedTuple):
    """platform: a word of PLATFORMS. edits: in their order; rules: live rules ended by the edits,
    or (if no file keeps them) to be deleted. kept: helpers listed by name in order to stay. notes:
    sentences for people. refusals: reasons to do nothing; with one there are no edits and no
    rules."""

    platform: str
    edits: tuple[Edit, ...] = ()
    rules: tuple[HelperRule, ...] = ()
    kept: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
