# SPDX-License-Identifier: Apache-2.0
"""Partner: the other copy of a sighting if its identity does not decide.

Several sightings have the same identity, or none has: then the IPv4 ID and the order within a known
mapping decide. A fallback never joins two calls: it also needs one surviving identity part
(docs/decisions/0003-pairing-keys.md).
"""

from __future__ import annotations

from collections.abc import Iterable

from algwatch.base.packet import LAN
from algwatch.base.sighting import CALL, CSEQ, FLOW, IP_ID, PAIR, TO_TAG, Row, Sighting
from algwatch.compare.alike import (
    are_alike,
    are_of_two_forks,
    contradicts,
    same_datagram,
    same_tags,
    without_id,
)
from algwatch.compare.crossing import BY_IP_ID, BY_ORDER, IDENTITY, Crossing, is_outbound
from algwatch.compare.mapping import Mappings

# The partner and the key that found it (Crossing.matched_by), or neither; and sightings of the
# other side that contradict each other, so that none of them is the partner.
Found = tuple["Sighting | None", str, list[Sighting]]
Candidate = tuple[Crossing, Sighting]  # a crossing of the sighting, and the partner in it


def choose(
    copy: Sighting, candidates: list[Sighting], found: list[Candidate], mappings: Mappings
) -> tuple[Crossing, Sighting, list[Candidate], list[Sighting]]:
    """The best of some crossings with one identity: the one with the bytes of copy, else with its
    To tag, then with its IPv4 ID, else the first. With it the equally good ones, and the sightings
    that contradict its partner. candidates: all sightings with this identity."""
    row = copy.row
    # A message to another far end has a copy of its own.
    found = [f for f in found if f[0].flow_pair is not None and f[0].flow_pair.one_far_end] or found
    # So has one of another sender. The NAT decides.
    if any(o.source != candidates[0].source for o in candidates):
        found = [f for f in found if is_mapped(mappings, copy, f[1])] or found
    every = found
    for better in (
        [f for f in found if not f[0].rewritten],
        [f for f in found if row[TO_TAG] == f[1].row[TO_TAG]],
    ):
        if better:
            found = better
            break
    found = [f for f in found if row[IP_ID] == f[1].row[IP_ID]] or found
    crossing, partner = found[0]
    rivals = [o for _, o in every if contradicts(partner, o, crossing.outbound)]
    # Several senders of one message, and one has crossed: do not learn the NAT from it.
    rivals += [
        o for _, o in found
        if o.source != partner.source and o.destination == partner.destination
    ]  # fmt: skip
    return crossing, partner, found, rivals


def fallback(copy: Sighting, own: Iterable[Sighting], other: Iterable[Sighting],
             alone: Iterable[Row], mappings: Mappings) -> Found:  # fmt: skip
    """own, other: the waiting sightings of its side and of the other; alone: the latest rows of the
    other side without a partner."""
    near = [o for o in other if not o.paired and are_alike(copy.row, o.row)]
    same = [o for o in near if same_datagram(copy, o) and not _is_contradicted(mappings, copy, o)]
    if any(contradicts(same[0], o, False) for o in same[1:]):
        return None, "", same
    if same:
        return same[0], BY_IP_ID, []
    # The partner may also be one of the other side that stayed alone.
    row = copy.row
    if any(are_alike(row, o) or same_tags(row, o) for o in alone):
        return None, "", []
    near = [o for o in near if o.row[CSEQ] == copy.row[CSEQ] and not are_of_two_forks(copy, o)]
    if near:  # else own, long in a flood, need not be read
        mapped = [o for o in near if is_mapped(mappings, copy, o)]
        # Order decides only with one message of this kind on each side, however often it was sent.
        rivals = [o for o in own if not o.paired and o is not copy and are_alike(copy.row, o.row)]
        if _are_again(mapped) and _are_again([copy, *rivals]):
            return mapped[0], BY_ORDER, []
        # Forwarded to another far end: unchanged, with nothing alike on either side.
        whole = [o for o in near if o.row[PAIR] == copy.row[PAIR] and o.row[CALL] == copy.row[CALL]]
        if len(whole) == 1 == len(near) and not rivals:
            return whole[0], IDENTITY, []
    # Call-ID and branch changed at once: one datagram with its own tags. A B2BUA makes new tags
    # and datagrams.
    alike = [o for o in other if not o.paired and same_tags(copy.row, o.row)]
    if not alike:
        return None, "", []
    sure = [o for o in alike if same_datagram(copy, o) and not _is_contradicted(mappings, copy, o)]
    if len(sure) == 1:
        return sure[0], BY_IP_ID, []
    # Without IP IDs: the same tags on a known mapping, with nothing alike on either side.
    rivals = [o for o in own if o is not copy and not o.paired and same_tags(copy.row, o.row)]
    if not (_are_again(alike) and _are_again([copy, *rivals])):
        return None, "", []
    found = alike[0]
    if without_id(copy, found) and is_mapped(mappings, copy, found):
        return found, BY_ORDER, []
    return None, "", []


def _is_contradicted(mappings: Mappings, one: Sighting, two: Sighting) -> bool:
    lan, wan = (one, two) if one.side == LAN else (two, one)
    return mappings.contradicts(lan, wan, is_outbound(lan, wan))


def is_mapped(mappings: Mappings, one: Sighting, two: Sighting) -> bool:
    lan, wan = (one, two) if one.side == LAN else (two, one)
    if lan.destination == wan.destination:
        return mappings.is_known(lan.source, wan.source, wan.destination)
    if lan.source == wan.source:
        return mappings.is_known(lan.destination, wan.destination, wan.source)
    return False


def _are_again(some: list[Sighting]) -> bool:
    """True if these are one message, retransmitted within the window: any stands for any other.
    False for none."""
    return bool(some) and all(
        o.payload == some[0].payload and o.row[FLOW] == some[0].row[FLOW] for o in some[1:]
    )
