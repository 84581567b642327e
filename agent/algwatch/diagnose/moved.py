# SPDX-License-Identifier: Apache-2.0
"""A phone with a new LAN address (another lease by DHCP, Wi-Fi in place of a cable) in the middle
of a call, or since its provider learned the old one."""

from __future__ import annotations

from algwatch.base import address
from algwatch.base.address import joined
from algwatch.base.native.layout import INVITE
from algwatch.base.packet import LAN
from algwatch.base.quote import somebody
from algwatch.base.sighting import AT, FROM_TAG, METHOD, Sighting, port_of
from algwatch.compare.call import Call
from algwatch.diagnose import cause
from algwatch.diagnose.known import Known
from algwatch.diagnose.reading import Reading
from algwatch.sip.timers import SECOND
from algwatch.sip.transaction import UDP

SAME_PORT = (
    "Look whether the phone was restarted in the call, or sends from another port each time."
)
ARP = 30 * SECOND
STEP = (
    "Give the phone a fixed address (a DHCP reservation), and let it register again as soon as its "
    "address changes."
)


def registered_since(old: bytes, version: int, request: Sighting, known: Known, what: str
                     ) -> Reading | None:  # fmt: skip
    """For a request to a LAN host (old: 16 bytes) that does not answer: the account has registered
    from another host since. version: of IP; what: begins the sentence."""
    bound: dict[tuple[str, bytes], int] = {}
    for one in known.registered():
        agreed = one.binding
        if agreed is not None and agreed.at < request.row[AT]:
            host = agreed.near.asked.packed_ends[:16]
            bound[one.aor, host] = max(agreed.at, bound.get((one.aor, host), 0))
    for (aor, host), at in bound.items():
        if host == old or at <= bound.get((aor, old), at):
            continue
        new = address.text(host, version)
        return Reading("unknown", cause.UNKNOWN, (
            f"{what}; {somebody(aor)} has registered from {new} since, so its phone may have moved "
            "to that address"
        ), step=STEP)  # fmt: skip
    return None


def delivered(lan: Sighting, known: Known) -> Reading | None:
    """For a request that nobody answered in the LAN. lan: its copy there."""
    old, version = lan.packed_ends[16:32], lan.packed_ends[47]
    what = f"it was delivered to {address.text(old, version)}, and nobody answered there"
    return registered_since(old, version, lan, known, what)


def given_to_nobody(wan: Sighting, known: Known) -> Reading | None:
    """For a request that came to the WAN side alone: a router does not send on what is for a host
    that is gone, once its ARP entry is old (base_reachable_time, 30 s)."""
    entry = known.mapping_towards(wan)
    if entry is None or wan.row[AT] - entry.used_at < ARP:
        return None
    old, version = entry.inside[:16], wan.packed_ends[47]
    what = f"it is for {address.text(old, version)}, and was given to no phone"
    return registered_since(old, version, wan, known, what)


def answers_from_elsewhere(call: Call) -> Reading | None:
    """For a 2xx of the phone that it repeats in spite of its ACK: the ACK went where the INVITE or
    the first 2xx was, and the latest 2xx comes from another LAN host, or over UDP another port."""
    asked, answered = call.flow_pairs.get("INVITE"), call.flow_pairs.get("2xx INVITE")
    acked, d = call.flow_pairs.get("ACK"), call.dialog(LAN)
    if answered is None or acked is None or d is None or d.answer is None:
        return None
    here, there = answered.inside, acked.inside
    if not answered.outbound or acked.outbound or answered.proto != UDP or here == there:
        return None
    called = asked is not None and asked.inside == there and here[:16] != there[:16]
    if not called and d.answer.source != there:
        return None  # some phones send from another port than they listen at
    came, went, step = _places(here, there, d.answer.packed_ends[47])
    return Reading("unknown", cause.UNKNOWN, (
        f"the ACK was delivered to {went}, where the call began, and the phone now repeats its 2xx "
        f"from {came}"
    ), step=step)  # fmt: skip


def _places(here: bytes, there: bytes, version: int) -> tuple[str, str, str]:
    """Two places of a phone as text, and the next step."""
    came, began_at = address.text(here[:16], version), address.text(there[:16], version)
    if came != began_at:
        return came, began_at, STEP
    return joined(came, port_of(here)), joined(began_at, port_of(there)), SAME_PORT


def sends_from_elsewhere(call: Call | None, request: Sighting | None) -> Reading | None:
    """For a request of the phone in its call (request: its LAN copy) that the other end refused, or
    did not answer: it comes from another LAN host, or over UDP another port, than the call went to.
    """
    s = call.sides[LAN] if call is not None else None
    if call is None or s is None or request is None or call.inbound is None:
        return None
    began = call.flow_pairs.get("ACK") or call.flow_pairs.get("INVITE")
    there, proto = (began.inside, began.proto) if began is not None else (b"", 0)
    t = s.current.invite if s.current is not None else None
    if request.row[METHOD] == INVITE and t is not None and t.requests:
        # It comes from elsewhere itself, and so does the ACK to its refusal.
        sent = (t.from_tag == s.caller_tag) != call.inbound
        there = t.ends[:16] + t.ends[40:42] if sent else t.ends[16:32] + t.ends[42:44]
        proto = t.ends[46]
    here, began_at = request.source, there
    if request.ends.proto != UDP or proto != UDP:
        here, there = here[:16], there[:16]  # each TCP connection has a port of its own
    if request.side != LAN or not there or here == there:
        return None
    if (request.row[FROM_TAG] == s.caller_tag) == call.inbound:
        return None  # the other end's, as between two phones of this house
    if s.request is not None and s.request.source[: len(here)] == here:
        return None  # it called from there, and the latest INVITE went to another phone here
    came, went, step = _places(request.source, began_at, request.packed_ends[47])
    return Reading("unknown", cause.UNKNOWN, (
        f"the phone sent it from {came}, and the call was set up from {went}: from another "
        "address the other end may not take it for this call"
    ), step=step)  # fmt: skip
