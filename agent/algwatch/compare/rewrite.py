# SPDX-License-Identifier: Apache-2.0
"""Rewrite: one typed difference between the two copies of a message.

A change is explained by the router's own NAT mapping or not: `explained` names the rule of
nf_nat_sip that accounts for it (net/netfilter/nf_nat_sip.c, map_addr() and the nf_nat_sdp_*
functions), or is "".
"""

from __future__ import annotations

from algwatch.base import quote

# Fields with a number or an endpoint. Values of other fields are always quoted.
_NUMBERS = frozenset(("port", "rport", "count"))
_ENDPOINTS = frozenset(("address", "port", "received", "rport", "maddr", "origin", "count"))

MAPPING = "mapping"  # this packet's own address and port, translated
EXPECTATION = "expectation"  # REGISTER's Contact or a media port: an address opened for it
NORMALISED = "normalised"  # o= follows c=, Content-Length follows the body


class Rewrite:
    """header: "Contact", "Via", "SDP", ...; field: "address", "port", "user", "received", ...;
    before, after: text in the order of travel; expected: the value by the mapping ("" = none);
    explained: see above; linux: nf_nat_sip writes in this form (it always writes a port)."""

    __slots__ = ("after", "before", "expected", "explained", "field", "header", "linux")

    def __init__(self, header: str, field: str, before: str, after: str,
                 explained: str = "", expected: str = "", linux: bool = True) -> None:  # fmt: skip
        self.header = header
        self.field = field
        self.before = before
        self.after = after
        self.explained = explained
        self.expected = after if expected == after else expected  # one text less to keep
        self.linux = linux

    @property
    def name(self) -> str:
        """Header and field, for a sentence. Text from the wire is quoted in all of these."""
        return f"{quote.header(self.header)} {self.field}"

    @property
    def was(self) -> str:
        return self._shown(self.before)

    @property
    def became(self) -> str:
        return self._shown(self.after)

    @property
    def wanted(self) -> str:
        return self._shown(self.expected)

    def _shown(self, text: str) -> str:
        if not text:
            return text
        # Digits alone are a port only in a port field. As a user or a host they name somebody.
        endpoint = self.field in _ENDPOINTS and not text.isdigit()
        return quote.value(text) if endpoint or self.field in _NUMBERS else quote.quoted(text)

    def __repr__(self) -> str:
        why = self.explained or "unexplained"
        return f"<{self.header} {self.field} {self.before} -> {self.after}: {why}>"
