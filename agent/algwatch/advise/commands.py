# SPDX-License-Identifier: Apache-2.0
"""The lines to type on OpenWrt (fw4 and fw3 have the same options) to turn the SIP ALG off."""

from __future__ import annotations


def disable_on_openwrt(phone: str) -> list[str]:
    """Least invasive first: the configuration, then this phone's live entry. phone: its address.

    A running conntrack entry keeps its helper, so the phone's entry is deleted, when no call is
    up; the phone's next packet makes it anew.
    """
    find_zone = "sed -n \"s/^firewall\\.\\(.*\\)\\.name='lan'$/\\1/p\""
    return [
        "cp /etc/config/firewall /etc/config/firewall.before-algwatch",
        f"zone=$(uci show firewall | {find_zone} | head -n1)",
        "uci set firewall.$zone.auto_helper='0'",
        "uci commit firewall",
        "fw4 -q check && /etc/init.d/firewall reload",
        f"conntrack -D -p udp -s {phone} --dport 5060    # when no call is up",
    ]
