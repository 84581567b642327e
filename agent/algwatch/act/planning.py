# SPDX-License-Identifier: Apache-2.0
"""Planning: which platform this is, and the least change that turns the SIP helper off here."""

from __future__ import annotations

from algwatch.act import nftables
from algwatch.act.router import Router
from algwatch.advise.platforms.plan import Plan


class NotHere(Exception):
    """This platform is not changed by this program. commands: lines that a person may type."""

    def __init__(self, text: str, commands: list[str]) -> None:
        super().__init__(text)
        self.commands = commands


def planned_here(router: Router) -> Plan:
    """NotHere, Failed."""
    if router.has("nft"):
        return nftables.plan(router)
    raise NotHere("no firewall that this program changes was found here", [])
