# SPDX-License-Identifier: Apache-2.0
"""The lines to type on OpenWrt: to turn the SIP ALG off (fw4 and fw3 have the same options), and to
clear the NAT state of a phone."""

from __future__ import annotations

from algwatch.base import address

BEFORE = "/etc/config/firewall.before-algwatch"
UNDO_ON_OPENWRT = f"cp {BEFORE} /etc/config/firewall", "/etc/init.d/firewall reload"
"""The lines that put back what those of disable_on_openwrt saved."""


def disable_on_openwrt(phone: str) -> list[str]:
    """Least invasive first: the configuration, then this phone's live entry. phone: its address; of
    anything else nothing comes into a command. No line has a double quote or a backslash, so that
    a log shows it as it is to be typed.

    A running conntrack entry keeps its helper, so the phone's entry is deleted, when no call is
    up; the phone's next packet makes it anew.
    """
    find_zone = "awk -F. '/[.]name=.lan.$/ {print $2; exit}'"
    live = f"conntrack -D -p udp -s {phone} --dport 5060    # when no call is up"
    return [
        f"cp /etc/config/firewall {BEFORE}",
        f"zone=$(uci show firewall | {find_zone})",
        "uci set firewall.$zone.auto_helper='0'",
        "uci commit firewall",
        "fw4 -q check && /etc/init.d/firewall reload",
        *([live] if address.is_literal(phone) else ()),
    ]


def clear_on_openwrt(phone: str) -> list[str]:
    """phone: its address; of anything else nothing comes into a command. The entries of every
    protocol: SIP may go over TCP as well."""
    if not address.is_literal(phone):
        return []
    family = "-f ipv6 " if ":" in phone else ""
    return [
        f"conntrack -D {family}-s {phone}    # when no call is up; its next packet makes it anew"
    ]
