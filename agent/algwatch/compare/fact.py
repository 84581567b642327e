# SPDX-License-Identifier: Apache-2.0
"""Fact: what the operator of the fleet knows of a provider, and proves with a signature."""

from __future__ import annotations

TOLD = "told"  # beside the words of compare/line.py: what the fleet knows, and nobody saw here


class Fact:
    """The provider was proven to find phones that write a private Contact, without an ALG.
    provider: its domain. day: when that was proven, as 2026-11-30. calls, routers: incoming calls
    that completed, and the routers without an ALG on which they did. until: seconds since 1970."""

    __slots__ = ("calls", "day", "provider", "routers", "until")

    def __init__(self, provider: str, day: str, calls: int, routers: int, until: float) -> None:
        self.provider, self.day, self.calls, self.routers = provider, day, calls, routers
        self.until = until
