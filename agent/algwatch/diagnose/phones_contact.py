# SPDX-License-Identifier: Apache-2.0
"""Requests inside a call that came to the Contact of the phone, at a port that its NAT mapping does
not have: their sender did as it was told (RFC 3261 section 12.2.1.1)."""

from __future__ import annotations

from algwatch.base.sighting import Sighting
from algwatch.compare.call import Call
from algwatch.diagnose import cause
from algwatch.diagnose.known import Known
from algwatch.diagnose.reading import Reading
from algwatch.sip.message import Message, first_contact

STEP = ("Compare the port in the Contact of the phone with the port that its packets leave with, "
        "and let the phone write its own address, or ask for rport or STUN.")  # fmt: skip


def by_phones_contact(request: Sighting, known: Known) -> Reading | None:
    """request: of the far end, given to no phone. None if it came to the mapping of its call, or to
    a place that no Contact of the phone names."""
    call = known.call(request)
    began = call.flow_pairs.get("INVITE") if call is not None else None
    if call is None or began is None or began.outside[:18] == request.destination:
        return None
    went = request.ends
    what = f"it came to {went.receiver}, and the phone leaves with another port"
    if _has_written(call, went.dst, went.dport):
        return Reading("router", cause.ALG, (
            f"{what}: the router has written that port into the Contact"
        ))  # fmt: skip
    message = Message(request.payload)
    aimed = message.request_host, message.request_port or 5060
    if call.wan_contact != went.dst or aimed != (went.dst, went.dport):
        return None
    return Reading("unknown", cause.UNKNOWN, (
        f"{what}: its Request-URI names that place, so the Contact of the call may have done so"
    ), step=STEP)  # fmt: skip


def _has_written(call: Call, host: str, port: int) -> bool:
    """The router has put this host and port into the Contact of the phone."""
    crossing = call.changed.get("2xx INVITE" if call.inbound else "INVITE")
    if crossing is None or crossing.lan is None or crossing.wan is None or not crossing.outbound:
        return False
    wrote, told = (first_contact(copy.payload) for copy in (crossing.lan, crossing.wan))
    return told == (host, port) and told != wrote
