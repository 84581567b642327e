# SPDX-License-Identifier: Apache-2.0
"""Alike: when two sightings may be copies of one message, and when they contradict each other."""

from __future__ import annotations

from algwatch.base import address
from algwatch.base.native.layout import ROW_DIRECTED, ROW_OUTGOING
from algwatch.base.packet import LAN
from algwatch.base.sighting import (
    AT,
    BITS,
    CALL,
    CSEQ,
    FLOW,
    FROM_TAG,
    IP_ID,
    METHOD,
    PAIR,
    STATUS,
    TO_TAG,
    TTL,
    Row,
    Sighting,
)
from algwatch.compare.crossing import Crossing
from algwatch.sip.message import identity
from algwatch.sip.timers import WINDOW


def is_one(crossing: Crossing) -> bool:
    """True if two copies with equal hashes and different bytes are one message: only the addresses
    of the flow pair differ, or their identity parts are equal. False with another far end: Pairing
    joins those when nothing else fits."""
    pair, entered, left = crossing.flow_pair, crossing.entered, crossing.left
    if pair is None or not pair.one_far_end:
        return False
    if entered.row[TO_TAG] != left.row[TO_TAG] and are_of_two_forks(entered, left):
        return False
    if crossing.translated:
        return True
    one, two = identity(entered.payload), identity(left.payload)
    # Different Call-IDs: earlier pairs showed that the router changes this one.
    aliased = entered.row[CALL] != left.row[CALL]
    return one[1:] == two[1:] if aliased else one == two


def are_of_two_forks(one: Sighting, two: Sighting) -> bool:
    """True for messages with different To tags and IPv4 IDs: two phones took one call, and one copy
    of each was not captured. Requests of these two dialogs differ in their branch as well."""
    a, b = one.row, two.row
    if a[TO_TAG] == b[TO_TAG] or not (a[STATUS] or a[PAIR] != b[PAIR]):
        return False
    return bool(a[IP_ID] and b[IP_ID] and a[IP_ID] != b[IP_ID])


def contradicts(one: Sighting, two: Sighting, outbound: bool) -> bool:
    """True if two packets of one side claim to be the same message of one sender, with other bytes
    or to another host or port of this house. To another far end (outbound) it is another message. A
    server may send several provisional responses at once. Two servers differ in their To tag."""
    a, b = one.row, two.row
    if a[CALL] != b[CALL] or (one.payload == two.payload and a[FLOW] == b[FLOW]):
        return False
    if one.source != two.source or (outbound and one.destination != two.destination):
        return False
    if not a[STATUS]:
        return True
    return a[TO_TAG] == b[TO_TAG] and (a[STATUS] >= 200 or 0 < a[IP_ID] == b[IP_ID])


def may_cross(one: Row, two: Row) -> bool:
    """False if both came in, or both went out."""
    directed = one[BITS] & two[BITS] & ROW_DIRECTED
    return not directed or bool((one[BITS] ^ two[BITS]) & ROW_OUTGOING)


def is_spent(copy: Sighting) -> bool:
    """No router may forward it (RFC 1812 section 5.3.1), so a missing copy is no news."""
    return copy.row[TTL] == 1 and not copy.row[BITS] & ROW_OUTGOING


def are_alike(a: Row, b: Row) -> bool:
    """Same kind of message within the window, with one surviving identity part."""
    return (
        abs(a[AT] - b[AT]) <= WINDOW
        and a[STATUS] == b[STATUS]
        and a[METHOD] == b[METHOD]
        and may_cross(a, b)
        and (a[CALL] == b[CALL] or a[PAIR] == b[PAIR])
    )


def same_tags(a: Row, b: Row) -> bool:
    """Same kind of message with the same CSeq number and tags."""
    return (
        abs(a[AT] - b[AT]) <= WINDOW
        and may_cross(a, b)
        and bool(a[FROM_TAG])
        and all(a[field] == b[field] for field in (STATUS, METHOD, CSEQ, FROM_TAG, TO_TAG))
    )


def without_id(one: Sighting, two: Sighting) -> bool:
    """Neither has an IPv4 ID, and one passed a router more than the other."""
    a, b = one.row, two.row
    return not (a[IP_ID] or b[IP_ID]) and abs(a[TTL] - b[TTL]) == 1


def same_datagram(one: Sighting, two: Sighting) -> bool:
    """Same IPv4 ID, same remote endpoint, TTL one less behind the router. Equal TTLs do not match:
    they are SIP of the router itself."""
    a, b = one.row, two.row
    if not a[IP_ID] or a[IP_ID] != b[IP_ID] or abs(a[TTL] - b[TTL]) != 1:
        return False
    lan, wan = (one, two) if one.side == LAN else (two, one)
    if lan.row[TTL] > wan.row[TTL]:
        return lan.destination == wan.destination
    return lan.source == wan.source


def is_for_neighbour(copy: Sighting) -> bool:
    """True for a LAN message between two hosts of one network."""
    ends = copy.packed_ends
    return copy.side == LAN and address.in_one_network(ends[:16], ends[16:32], ends[47])
