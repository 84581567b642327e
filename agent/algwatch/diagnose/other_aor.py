# SPDX-License-Identifier: Apache-2.0
"""A REGISTER refused under another address of record than the phone's."""

from __future__ import annotations

from algwatch.base import quote
from algwatch.base.address import joined
from algwatch.base.sighting import are_copies
from algwatch.compare.registered import Registered
from algwatch.diagnose import cause
from algwatch.diagnose.known import Known
from algwatch.diagnose.reading import Reading
from algwatch.sip.message import Message, to_text, via_count

REFUSED = (403, 404)  # not authorised for it, or it is not here (RFC 3261 section 10.3)


def reading(registered: Registered, known: Known) -> Reading | None:
    """The router wrote another address of record into the To of a REGISTER, and none with that host
    was ever accepted, of this phone or of another; else None."""
    exchange = registered.exchange
    left = exchange.left if exchange is not None else None
    if exchange is None or left is None or exchange.status not in REFUSED:
        return None
    before, after = exchange.request, left.request
    if before is None or after is None or not are_copies(before, after):
        return None
    if via_count(before.payload) != via_count(after.payload):
        return None  # a proxy, which has names of its own
    one, two = Message(before.payload).to, Message(after.payload).to
    was, became = (one.user, one.host.lower()), (two.user, two.host.lower())
    if was == became or one.host.strip("[]") == before.ends.src:
        return None
    if any(side.accepted_at for side in registered.seen) or _is_accepted(became[1], known):
        return None
    return Reading("router", cause.ALG, (
        f"and the router had written {_name(*became)} into its To, where the phone had "
        f"{_name(*was)}"
    ))  # fmt: skip


def _is_accepted(host: str, known: Known) -> bool:
    """A registrar has accepted an address of record with this host on the WAN."""
    return any(
        agreed.far is not None and Message(agreed.far.asked.payload).to.host.lower() == host
        for one in known.registered() if (agreed := one.binding) is not None
    )  # fmt: skip


def _name(user: bytes, host: str) -> str:
    return quote.quoted(f"{to_text(user)}@{joined(host, 0)}" if user else host)
