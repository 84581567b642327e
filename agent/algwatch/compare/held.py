# SPDX-License-Identifier: Apache-2.0
"""Held: the sightings held by each kind of thing, for the budget (base/budget.py)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from algwatch.base.native.layout import ACK, BYE, CANCEL, INVITE, REGISTER
from algwatch.base.sighting import CALL, METHOD, Sighting
from algwatch.compare.call import Call
from algwatch.compare.crossing import Crossing
from algwatch.compare.joined import Joined
from algwatch.compare.registered import Registered
from algwatch.compare.subscribed import Subscribed
from algwatch.sip.dialog import DialogSet
from algwatch.sip.registration import Registration
from algwatch.sip.subscription import Subscription
from algwatch.sip.transaction import Transaction

# The requests that begin, change and end a call stay or go with it. Anybody may send any number of
# other requests with its Call-ID.
OF_CALLS = (INVITE, ACK, BYE, CANCEL)

Sightings = Iterator[Sighting | None]


def by_call(call: int, value: object) -> int:
    """The group of an entry stored under the hash of its Call-ID."""
    return call


def by_other(call: int, value: object) -> int:
    """The same for entries of other requests with the Call-ID of a call."""
    return ~call


def call_of(key: int, t: Transaction) -> int:
    return _group(t.call, t.method)


def call_of_copy(key: Sighting, copy: Sighting) -> int:
    return _group(copy.row[CALL], copy.row[METHOD])


def _group(call: int, method: int) -> int:
    """Other messages of a Call-ID are a group of their own."""
    return call if method in OF_CALLS or method == REGISTER else ~call


def apart(key: object, value: object) -> int:
    """The group of an entry that stays or goes by itself."""
    return -1 - id(value)


def sighting(copy: Sighting) -> tuple[Sighting]:
    return (copy,)


def transaction(t: Transaction) -> tuple[Sighting | None, ...]:
    other = t.forwarded  # perhaps no longer in its table
    if other is None:
        return t.request, t.response
    return t.request, t.response, other.request, other.response


def dialogs(s: DialogSet) -> Sightings:
    yield from (s.first, s.request, s.response)
    if s.cancel is not None:
        yield from (s.cancel.request, s.cancel.response)
    if s.invite is not None:
        yield s.invite.response
    if s.prack is not None:
        yield from (s.prack.request, s.prack.response)
    if s.reliable is not None:
        yield s.reliable.first
    for open_ in (s.unheard, s.given_up):
        if open_ is not None:
            yield open_[1]
    for d in s.dialogs:
        yield from (d.request, d.answer, d.ack, d.stray_ack, d.odd_copy, d.bye,
                    d.bye_response, d.disowned)  # fmt: skip
        yield from d.moved
        if d.refused is not None:
            yield from d.refused
        if d.denied is not None:
            yield from (d.denied.asked, d.denied.reply)
        if d.pending is not None:
            yield d.pending[1]
        if d.crossed is not None:
            yield d.crossed[1]
        if d.timer is not None:
            yield from (d.timer.answer, d.timer.tried)


def call(one: Call) -> Sightings:
    for s in (*one.sides, *one.astray):
        if s is not None:
            yield from dialogs(s)
    yield from one.announced
    yield from _joined(one)


def registration(r: Registration) -> Sightings:
    yield from transaction(r.transaction)
    if r.failed is not None:
        yield from transaction(r.failed)


def registered(one: Registered) -> Sightings:
    for r in one.sides:
        if r is not None:
            yield from registration(r)
    if one.exchange is not None:
        for t in one.exchange.sides:
            if t is not None:
                yield from transaction(t)
    if one.binding is not None:
        yield from one.binding.sightings()
    yield from _joined(one)


def subscription(s: Subscription) -> Sightings:
    yield from (s.request, s.accepted, s.notify)
    yield from transaction(s.transaction)
    for t in (s.failed, s.lapsed):
        if t is not None:
            yield from transaction(t)


def subscribed(one: Subscribed) -> Sightings:
    for s in one.sides:
        if s is not None:
            yield from subscription(s)
    if one.notified is not None:
        yield from _crossings((one.notified,))
    yield from _joined(one)


def _joined(
    one: Joined[DialogSet] | Joined[Registration] | Joined[Subscription],
) -> Sightings:
    yield from _crossings(one.unpaired.values())
    yield from _crossings(one.changed.values())
    yield from _crossings(one.misdelivered.values())
    yield from _crossings(one.unrestored.values())
    if one.names is not None:
        yield from _crossings(one.names.changed.values())
        yield from _crossings([broken.crossing for broken in one.names.broken.values()])


def _crossings(some: Iterable[Crossing]) -> Sightings:
    for crossing in some:
        yield from (crossing.lan, crossing.wan)
