# SPDX-License-Identifier: Apache-2.0
"""The raw table as printed by `iptables-save -t raw`: its rules that set the SIP helper."""

from __future__ import annotations

import re

from algwatch.advise.platforms.plan import HelperRule

_HELPER = re.compile(r"^-A (\S+) (.*-j CT .*--helper (\S+).*)$", re.M)


def helper_rules(text: str, family: str) -> list[HelperRule]:
    """family: ip or ip6."""
    return [
        HelperRule(family, "raw", chain, 0, rest)
        for chain, rest, name in _HELPER.findall(text)
        if name.strip('"').lower() == "sip"
    ]


def kinds(text: str, chain: str) -> set[str]:
    """The helpers set by a chain."""
    return {name.strip('"') for at, _, name in _HELPER.findall(text) if at == chain}
