# SPDX-License-Identifier: Apache-2.0
"""Knocks: requests of internet scanners in a capture of one side alone, set apart as unsolicited.

Two sides tell by the hosts that phones have sent something to (sip/unsolicited.py). One side does
not tell which of its hosts are inside. But a scanner does not know the address of record: it calls
user parts at the IP address that it knocks on. The host there is the client of another one.
"""

from __future__ import annotations

from algwatch.base import address
from algwatch.base.sighting import Sighting
from algwatch.base.table import Table
from algwatch.compare.call import Call
from algwatch.compare.news import News
from algwatch.compare.registered import Registered, Registrations
from algwatch.sip.message import Message
from algwatch.sip.transaction import UDP

KEPT = 256  # hosts remembered


class Knocks:
    """Remembers hosts whose calls were answered here: they are no scanners. outside: this is the
    WAN side, and a capture of the LAN holds no SIP: a host knocked on need not have registered."""

    def __init__(self) -> None:
        self.outside = False
        self._answered: Table[bytes, None] = Table(KEPT)

    def set_apart(self, news: News, registrations: Registrations) -> None:
        """Mark knocks, and take out those that are no calls. registrations: all of them."""
        if not (news.moments or news.registered or news.exchanges):
            return
        registered = registrations.all()
        clients = _clients(registered)
        for call, _ in news.moments:
            request = call.seen[0].request
            if 300 <= call.seen[0].rejected < 400 and request is not None:
                call.outward = _is_outward(request, clients)
            if call.spoken:
                self._answered.add(call.host, None)
            elif not (call.partial or _waits(call)) and self._is_one(request, clients):
                call.unsolicited = True
        for one in registered:
            if not one.near.accepted_at and self._is_one(one.near.request, clients):
                for r in one.seen:
                    r.unsolicited = True
        news.registered = [one for one in news.registered if not one.unsolicited]
        news.exchanges = [
            one for one in news.exchanges
            if (one.asked is not None and one.asked.is_watch)
            or not self._is_one(one.request, clients)
        ]  # fmt: skip

    def _is_one(self, request: Sighting | None, clients: dict[str, set[str]]) -> bool:
        if request is None or request.packed_ends[:16] in self._answered:
            return False
        ends = request.ends
        registrars = clients.get(ends.dst, set())
        if not (registrars or self.outside) or ends.src in registrars:
            return False
        if address.is_unroutable(ends.src):
            return False
        called = Message(request.payload).to.host
        # A provider may call number@its-own-address; and it repeats the Contact in the Request-URI.
        return address.is_literal(called) and called != ends.src and called not in registrars


def _is_outward(request: Sighting, clients: dict[str, set[str]]) -> bool:
    """A phone calls somebody outside."""
    ends = request.ends
    if address.is_unroutable(ends.src) or address.is_unroutable(ends.dst):
        return not address.is_unroutable(ends.dst)
    return ends.src in clients and ends.dst not in clients


def _waits(call: Call) -> bool:
    """Its caller waits for an answer, and calls itself somebody elsewhere: it sent the INVITE again
    (RFC 3261 section 17.1.1.2), or over TCP. A trunk that does not register calls number@address
    as well, and its calls may be dead. Scanners mostly write that address into From, too."""
    s = call.seen[0]
    if s.request is None or (s.request.ends.proto == UDP and not s.invite_retransmissions):
        return False
    message = Message(s.request.payload)
    return message.from_.host != message.to.host


def _clients(registered: list[Registered]) -> dict[str, set[str]]:
    """By host, the registrars that accepted a REGISTER of it."""
    found: dict[str, set[str]] = {}
    for one in registered:
        request = one.near.request
        if request is not None and one.near.accepted_at:
            found.setdefault(request.ends.src, set()).add(request.ends.dst)
    return found
