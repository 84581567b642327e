# SPDX-License-Identifier: Apache-2.0
"""Requests inside a call that failed because this router had changed their target: the Contact of
the far end on its way to the phone, or the Request-URI of a request to the phone (RFC 3261 sections
12.2.1.1, 12.2.2 and 16.4)."""

from __future__ import annotations

from algwatch.base import address
from algwatch.base.address import joined
from algwatch.base.quote import value
from algwatch.base.sighting import TXN, Sighting, are_copies
from algwatch.compare.call import Call
from algwatch.diagnose import cause
from algwatch.diagnose.reading import Reading
from algwatch.sip.message import Address, Message, first_contact, parsed
from algwatch.sip.target import endpoint, remote_target, same_endpoint


def by_contact(call: Call, sent: Sighting | None) -> Reading | None:
    """sent: a request of the phone to the Contact of the far end as written by this router, not by
    the far end."""
    contacts = _contacts(call)
    if sent is None or contacts is None:
        return None
    told, wrote = contacts
    request = parsed(sent.payload)
    if endpoint(request.request_host, request.request_port) != endpoint(told.host, told.port):
        return None
    return Reading("router", cause.ALG, (
        f"its Request-URI has {value(joined(told.host, told.port))}, which the router had written "
        f"into the Contact of the other end in place of {value(joined(wrote.host, wrote.port))}"
    ))  # fmt: skip


def to_lan(call: Call) -> Reading | None:
    """For a request of the phone that was not seen: the router had written an address of the LAN
    into the Contact of the far end, and no tap shows what one host there sends to another."""
    contacts = _contacts(call)
    if contacts is None or not address.is_unroutable(contacts[0].host):
        return None
    told, wrote = contacts
    return Reading("unknown", cause.UNKNOWN, (
        f"it may have gone to {value(joined(told.host, told.port))} in the LAN, which the router "
        f"had written into the Contact of the other end in place of "
        f"{value(joined(wrote.host, wrote.port))}"
    ))  # fmt: skip


def _contacts(call: Call) -> tuple[Address, Address] | None:
    """The Contact of the far end as the phone got it, and as the far end wrote it; None unless the
    router has changed it."""
    crossing = call.changed.get("INVITE" if call.inbound else "2xx INVITE")
    if crossing is None and not call.inbound:
        crossing = call.changed.get("1xx INVITE")  # requests before the answer go there
    if crossing is None or crossing.lan is None or crossing.wan is None or crossing.outbound:
        return None
    told = remote_target(parsed(crossing.lan.payload))
    wrote = remote_target(parsed(crossing.wan.payload))
    if told is None or wrote is None or same_endpoint(told, wrote):
        return None
    return told, wrote


def by_request_uri(call: Call, lan: Sighting | None, wan: Sighting | None,
                   early: Sighting | None = None) -> Reading | None:  # fmt: skip
    """lan, wan: both copies of a far end's request. early: the phone's provisional response, with
    its Contact, before there is an answer. It came with the Contact of the phone in its
    Request-URI, and the router gave it to the phone with another address there; or with the Contact
    that the router had written in its place, and did not change it back. Where a capture lacks the
    other copy, a repetition stands for it and proves no place."""
    contact = call.phone_contact
    if contact[1] == 0 and early is not None:
        contact = first_contact(early.payload) or contact
    if lan is None or wan is None or contact[1] == 0:
        return None
    if not (sure := are_copies(lan, wan)) and lan.row[TXN] != wan.row[TXN]:
        return None
    if not call.contested.isdisjoint(("INVITE", "2xx INVITE")):
        return None  # the phone may have written another Contact
    own = endpoint(*contact)
    came, left = _target(wan), _target(lan)
    if left == own:
        return None
    if came != own:
        if not sure or came != _as_written(call):
            return None
        return Reading("router", cause.ALG, (
            f"its Request-URI has {value(joined(*came[:2]))}, which the router had written into "
            f"the Contact of the phone in place of {value(joined(*own[:2]))} and not changed back"
        ))  # fmt: skip
    what = f"it came with the Contact of the phone in its Request-URI, {value(joined(*came[:2]))}, "
    if not sure:
        what += f"and a copy in the LAN has {value(joined(*left[:2]))}"
        return Reading("unknown", cause.UNKNOWN, what)
    what += f"and the router made {value(joined(*left[:2]))} of that"
    return Reading("router", cause.ALG, what)


def on_the_way_out(call: Call, lan: Sighting, wan: Sighting) -> Reading | None:
    """For a request of the phone in its call: both copies (lan, wan). The router wrote another
    target into its Request-URI, or had written it into the Contact of the far end before."""
    if (told := by_contact(call, wan)) is not None:
        return told
    came, left = _target(lan), _target(wan)
    contacts = _contacts(call)
    own = endpoint(contacts[1].host, contacts[1].port) if contacts is not None else came
    if left in (came, own) or not are_copies(lan, wan):
        return None
    return Reading("router", cause.ALG, (
        f"the phone had {value(joined(*came[:2]))} in its Request-URI, and the router made "
        f"{value(joined(*left[:2]))} of that"
    ))  # fmt: skip


def _as_written(call: Call) -> tuple[str, int, bytes] | None:
    """The Contact of the phone as the router has changed it on the way out."""
    crossing = call.changed.get("2xx INVITE" if call.inbound else "INVITE")
    if crossing is None and call.inbound:
        crossing = call.changed.get("1xx INVITE")  # requests before the answer go there
    if crossing is None or not crossing.outbound or crossing.wan is None:
        return None
    wrote = remote_target(parsed(crossing.wan.payload))
    return endpoint(wrote.host, wrote.port) if wrote is not None else None


def _target(copy: Sighting) -> tuple[str, int, bytes]:
    message = Message(copy.payload)
    return endpoint(message.request_host, message.request_port)
