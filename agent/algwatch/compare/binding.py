# SPDX-License-Identifier: Apache-2.0
"""Binding: the terms of an accepted REGISTER, as each side shows them (RFC 3261 section 10)."""

from __future__ import annotations

import re

from algwatch.base.sighting import AT, Sighting, are_copies
from algwatch.sip.message import Address, Message
from algwatch.sip.registration import Registration
from algwatch.sip.timers import SECOND
from algwatch.sip.transaction import Transaction

MOST_SECONDS = (1 << 32) - 1  # RFC 3261 section 20.19
_INSTANCE = re.compile(rb'\+sip\.instance\s*=\s*("[^"]*")', re.IGNORECASE)

Place = tuple[bytes, str, int]  # user, host and port of a Contact


class Terms:
    """One side of a binding. asked, granted: the REGISTER and its 2xx. wanted: seconds requested,
    -1 if not stated. seconds: granted to the phone's own Contact, -1 if not stated. removed: the
    request removes its Contact (section 10.2.2). contacts: of the 2xx. own, places: Contacts of the
    request, and the parts by which a phone recognises them. found: the Contact of the request is
    among contacts."""

    __slots__ = ("asked", "contacts", "found", "granted", "own", "places", "removed", "seconds",
                 "wanted")  # fmt: skip

    def __init__(self, asked: Sighting, granted: Sighting) -> None:
        self.asked = asked
        self.granted = granted
        request, response = Message(asked.payload), Message(granted.payload)
        mine, self.contacts = request.contacts, response.contacts
        self.own = mine
        self.wanted = _wanted(request)
        # A request without Contact asks for the bindings, and changes none.
        self.removed = not mine or self.wanted == 0
        self.places = places = {place(c) for c in mine}
        instances = {_instance(c) for c in mine} - {b""}
        own = [c for c in self.contacts if place(c) in places or _instance(c) in instances]
        self.found = bool(own)
        # If the registrar wrote another Contact, a single one stands for the phone's.
        said = own or (self.contacts if len(self.contacts) == 1 else [])
        whole = _seconds(response.expires)
        self.seconds = max([_seconds(c.expires) if c.expires else whole for c in said], default=-1)


class Binding:
    """near: as the phone sees it (with one side only, as this side does); far: on the other side,
    None if not captured; the same object as near if unchanged. at: ns, of the 2xx. until: ns, the
    end of the granted time; `at` if nothing was granted."""

    __slots__ = ("at", "far", "near", "until")

    def __init__(self, near: Terms, far: Terms | None) -> None:
        self.near = near
        self.far = far
        self.at = near.granted.row[AT]
        seconds = far.seconds if far is not None else near.seconds
        self.until = self.at + (0 if near.removed else max(0, seconds)) * SECOND

    @property
    def is_query(self) -> bool:
        """The router took the Contact out of the REGISTER, which so only asked for the present
        bindings (section 10.2.3)."""
        return self.far is not None and bool(self.near.own) and not self.far.own

    @property
    def oddity(self) -> tuple[object, ...]:
        """Values for rules, () for a plain agreement."""
        near, far = self.near, self.far
        missed = not near.removed and (not near.found or near.seconds == 0)
        if far is None or far is near:
            return (missed, near.contacts and place(near.contacts[0])) if missed else ()
        stripped = bool(far.contacts) and not near.contacts and not near.removed
        changed = (near.wanted, near.seconds) != (far.wanted, far.seconds)
        if not missed and not stripped and not changed:
            return ()
        return missed, stripped, far.found, near.wanted, far.wanted, near.seconds, far.seconds

    def sightings(self) -> list[Sighting | None]:
        terms = [self.near] if self.far is None or self.far is self.near else [self.near, self.far]
        return [copy for one in terms for copy in (one.asked, one.granted)]


def binding(r: Registration) -> Binding | None:
    """The binding of the latest REGISTER on the phone's side; None unless it was accepted and both
    messages are there."""
    t = r.transaction
    near = _terms(t)
    if near is None or not 200 <= t.status < 300:
        return None
    left = t.forwarded
    far = None
    if left is not None and left.request is not None and are_copies(t.response, left.response):
        assert left.response is not None
        same = left.request.payload == near.asked.payload
        same = same and left.response.payload == near.granted.payload
        far = near if same else _terms(left)
    return Binding(near, far)


def _terms(t: Transaction) -> Terms | None:
    return (
        Terms(t.request, t.response) if t.request is not None and t.response is not None else None
    )


def takes_off(asked: Sighting) -> bool:
    """A REGISTER that only removes bindings, its own or with "*" all of them (section 10.2.2)."""
    request = Message(asked.payload)
    return bool(request.contacts) and _wanted(request) == 0


def _wanted(request: Message) -> int:
    """Seconds requested by a REGISTER, the most of its Contacts; -1 if not stated."""
    default = _seconds(request.expires)
    times = [default if not c.expires else _seconds(c.expires) for c in request.contacts]
    return max(times, default=-1)


def place(contact: Address) -> Place:
    """The parts of a Contact by which its phone recognises it (section 19.1.4, without
    parameters)."""
    uri, params = contact.uri[:5].lower(), contact.uri_params.lower()
    tls = uri == b"sips:" or b"transport=tls" in params
    port = contact.port or (5061 if tls else 5060)
    return contact.user, contact.host.lower().rstrip("."), port


def _instance(contact: Address) -> bytes:
    found = _INSTANCE.search(contact.params)
    return found[1] if found else b""


def _seconds(text: str) -> int:
    """delta-seconds (section 20.19), also in quotes; -1 of anything else."""
    text = text.strip('" ')
    if not text.isascii() or not text.isdigit() or len(text) > 10:
        return -1
    return min(int(text), MOST_SECONDS)
