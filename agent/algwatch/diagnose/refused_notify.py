# SPDX-License-Identifier: Apache-2.0
"""NOTIFY requests that their subscriber refused with 481 while its subscription lived."""

from __future__ import annotations

from algwatch.base import address
from algwatch.base.address import joined
from algwatch.base.packet import LAN, WAN
from algwatch.base.quote import value
from algwatch.base.sighting import CSEQ, Sighting, are_copies
from algwatch.compare.crossing import Crossing
from algwatch.compare.differences import rewrites
from algwatch.compare.subscribed import Subscribed
from algwatch.diagnose import cause
from algwatch.diagnose.reading import Reading
from algwatch.sip.message import Address, Message
from algwatch.sip.subscription import Subscription
from algwatch.sip.target import endpoint


def contact_of(copy: Sighting | None) -> Address | None:
    """The first Contact of this message."""
    contacts = Message(copy.payload).contacts if copy is not None else []
    return contacts[0] if contacts else None


def refused_here(one: Subscribed) -> Reading | None:
    """The reason a NOTIFY of a living subscription was refused with 481; None if the refusal is
    right."""
    lan, notified = one.sides[LAN], one.notified
    unknown = Reading("unknown", cause.UNKNOWN, "its subscriber did not know it")
    if lan is None or notified is None or notified.lan is None or notified.wan is None:
        return None if _is_of_another(one) else unknown
    if not _is_the_refused(one, notified):
        return None  # one of its messages was not captured
    source = lan.asked[0]
    if notified.lan.destination[:16] != source:
        phone = notified.lan.ends.dst
        own = address.text(source, notified.lan.ends.version)
        return Reading("router", cause.ROUTER, f"the router gave it to {phone}, and {own} had "
                       "subscribed")  # fmt: skip
    return _unknown_to(one, lan, notified, notified.lan, notified.wan)


def _is_of_another(one: Subscribed) -> bool:
    """True if the refused NOTIFY has the tags of another dialog, of another notifier, or of an
    unknown one."""
    s = one.refused
    if s is None or s.failed is None or s.failed.request is None:
        return False
    notify = Message(s.failed.request.payload)
    tags = notify.from_.tag, notify.to.tag
    return s.asked[2] not in tags or not s.notifier or s.notifier not in tags


def _is_the_refused(one: Subscribed, notified: Crossing) -> bool:
    """The crossing NOTIFY is the refused one."""
    refused = one.refused
    request = refused.failed.request if refused is not None and refused.failed is not None else None
    return request is not None and any(
        copy is not None and copy.row[CSEQ] == request.row[CSEQ]
        for copy in (notified.lan, notified.wan)
    )


def _is_copy(lan: Subscription, wan: Subscription) -> bool:
    """Both sides show the same SUBSCRIBE."""
    latest = are_copies(lan.transaction.request, wan.transaction.request)
    return latest or are_copies(lan.request, wan.request)


def _unknown_to(one: Subscribed, lan: Subscription, notified: Crossing, inside: Sighting,
                outside: Sighting) -> Reading | None:  # fmt: skip
    """The reason its subscriber did not know a NOTIFY that it got; None if it was right. inside,
    outside: the copies of it in the LAN and on the WAN."""
    here, there = Message(inside.payload), Message(outside.payload)
    _, call_id, tag = lan.asked
    if here.call_id != call_id:
        return Reading("router", cause.ALG, "the router changed its Call-ID and not back")
    if tag not in (here.from_.tag, here.to.tag):
        changed = (here.from_.tag, here.to.tag) != (there.from_.tag, there.to.tag)
        wan = one.sides[WAN]
        if changed or (wan is not None and wan.asked[2] != tag and _is_copy(lan, wan)):
            return Reading("router", cause.ALG, "the router changed its tag and not back")
        return None  # of another dialog
    if here.from_.tag != there.from_.tag == lan.notifier:
        return Reading("router", cause.ALG, "the router changed its From tag")
    if lan.notifier != here.from_.tag == there.from_.tag:
        # From another notifier of a forked SUBSCRIBE (RFC 6665 section 4.4.1), or from an unknown
        # one.
        return None
    return (
        _retargeted(one, here, there)
        or _redirected(notified)
        or Reading("phone", cause.UNKNOWN, "the phone that had subscribed did not know it")
    )


def _redirected(notified: Crossing) -> Reading | None:
    """The same where the SUBSCRIBE, and so the Contact, is no longer kept: another Request-URI left
    the router than came."""
    if not any(r.header == "Request-URI" and not r.explained for r in rewrites(notified)):
        return None
    return Reading("router", cause.ALG, "the router changed its Request-URI")


def _retargeted(one: Subscribed, here: Message, there: Message) -> Reading | None:
    """The reason, for a NOTIFY with another Request-URI than the Contact of its subscriber; None
    for others (RFC 3261 section 12.2.2)."""
    wrote, shown = contact_of(one.copy(LAN)), contact_of(one.copy(WAN))
    if wrote is None:
        return None
    own = endpoint(wrote.host, wrote.port)
    left = endpoint(here.request_host, here.request_port)
    came = endpoint(there.request_host, there.request_port)
    if left == own:
        return None
    what = f"its Request-URI names {value(joined(*left[:2]))}, and the phone's Contact was " \
        f"{value(joined(*own[:2]))}"  # fmt: skip
    if came == own:
        return Reading("router", cause.ALG, f"{what}: the router changed it on the way in")
    if shown is not None and came == endpoint(shown.host, shown.port):
        by = "the router had changed that Contact on the way out, and did not change it back"
        return Reading("router", cause.ALG, f"{what}: {by}")
    return Reading("unknown", cause.UNKNOWN, what)
