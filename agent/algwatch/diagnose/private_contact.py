# SPDX-License-Identifier: Apache-2.0
"""Contacts that the other side cannot reach."""

from __future__ import annotations

from algwatch.base import address
from algwatch.base.packet import WAN
from algwatch.base.sighting import Sighting
from algwatch.compare.call import Call
from algwatch.diagnose import route_set
from algwatch.diagnose.known import Known
from algwatch.sip.message import Message


def private_contact(message: Sighting, two_sided: bool, nat_beyond: bool = False) -> str:
    """The Contact host if unreachable for the far side of this WAN message, else "". nat_beyond:
    see nat_is_beyond()."""
    contacts = Message(message.payload).contacts
    host, ends = contacts[0].host if contacts else "", message.ends
    if not address.is_unreachable(host) and not (":" not in ends.dst and address.is_ipv6(host)):
        return ""  # the last: behind a NAT64, the far end may have IPv4 only
    # Inside one private network, or before the NAT, a private Contact is right.
    if address.is_unroutable(ends.dst) or (ends.src == host and not nat_beyond):
        return ""
    if not two_sided and address.is_unroutable(ends.src):
        return ""
    return host


def nat_is_beyond(call: Call) -> bool:
    """This router does not translate the private address of the phone, so somebody further on does
    (the ISP, with DS-Lite: RFC 6333), and the far end sees another one."""
    pair = call.flow_pair
    if not call.two_sided or pair is None or pair.translated or pair.phone != pair.wan_host:
        return False
    return address.is_unroutable(pair.phone) and not address.is_unroutable(pair.far)


def may_lead_astray(call: Call, known: Known) -> bool:
    """The far end may have sent the ACK to the Contact of the phone, which it cannot reach, so that
    the way to this router has no part in its loss."""
    d, line = call.dialog(WAN), known.line(call)
    if d is None or d.answer is None or route_set.proxies_ahead(d):
        return False  # the last: only the proxy in the LAN has to reach the Contact
    if known.finds_phone(line) if line is not None else known.reached(d.answer):
        return False
    return bool(private_contact(d.answer, call.two_sided, nat_is_beyond(call)))
