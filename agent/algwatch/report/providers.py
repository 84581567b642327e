# SPDX-License-Identifier: Apache-2.0
"""Providers: the name of a phone's provider, the same on all routers of a fleet."""

from __future__ import annotations

import re
from collections.abc import Callable

from algwatch.base import address
from algwatch.base.table import Table
from algwatch.compare.line import ends_of
from algwatch.compare.summary import RegistrationSummary

LIMIT = 64  # lines with a remembered domain
# RFC 3261 section 25.1, hostname; a domain name has at most 253 characters (RFC 1035).
_DOMAIN = re.compile(r"@((?:[a-z0-9-]{1,63}\.){1,8}[a-z][a-z0-9-]{0,62})(?:[:;>]|$)", re.A)


class Providers:
    """The domain of each line's registration; before the first one, the address of the far end. A
    phone can only name the provider of its own line."""

    def __init__(self, learned: Callable[[str], None] = lambda domain: None) -> None:
        """learned: is told each domain."""
        self._learned = learned
        self._domains: Table[str, str] = Table(LIMIT)

    def feed(self, registration: RegistrationSummary) -> None:
        """Remember the provider of an accepted registration."""
        if registration.outcome != "accepted" or not registration.line:
            return
        found = _DOMAIN.search(registration.aor.lower())
        if found and not address.is_literal(found[1]):
            self._domains.add(registration.line, found[1])
            self._learned(found[1])
        elif registration.line not in self._domains:
            self._domains.add(registration.line, "")

    def deals_with(self, line: str) -> bool:
        """True if a registration of this line was accepted, as far as remembered."""
        return line in self._domains

    def of(self, line: str) -> tuple[str, str]:
        """(phone, provider) of a line's name; empty texts for ""."""
        phone, remote = ends_of(line)
        return phone, self._domains.get(line) or remote
