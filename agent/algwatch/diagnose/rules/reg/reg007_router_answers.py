# SPDX-License-Identifier: Apache-2.0
"""REG007: the router answered a keep-alive of the provider in the phone's place.

What it sees
    An OPTIONS or NOTIFY of the provider to the NAT mapping of a phone never came to the LAN. Its
    response left the WAN side all the same, with a TTL not yet counted down by any router (64, 128
    or 255).

Why it breaks calls
    The provider asks whether the phone is still there. If the router answers, the phone seems
    present while it is off or out of reach, and calls are sent to it in vain.

What else looks the same
    A request to an address and port of the router's own agent (phone ports, PBX), used by no phone.
    A response of the phone: its TTL is one less than its first. A request of an internet scanner.

Recommendation
    Turn off the router's own SIP agent, or give it another port than the phones'.

References
    RFC 3261 section 11; RFC 791 (time to live).
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base import quote
from algwatch.base.native.layout import METHOD_NAMES, NOTIFY, OPTIONS
from algwatch.base.sighting import AT, METHOD, STATUS, TTL
from algwatch.compare.crossing import Crossing
from algwatch.diagnose import alg, cause
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import CROSSING

RULE = Rule(
    "REG007", "router-answers", "warning", CROSSING, ("RFC 3261 11", "RFC 791"),
    "The router answered a keep-alive of the provider in the phone's place.", two_sided=True,
)  # fmt: skip

WHOLE = (64, 128, 255)  # first TTLs of hosts


def check(crossing: Crossing, known: Known) -> Iterator[Finding]:
    copy = crossing.wan
    if crossing.lan is not None or copy is None:
        return
    row = copy.row
    if row[METHOD] not in (OPTIONS, NOTIFY) or row[STATUS] < 200 or row[TTL] not in WHOLE:
        return
    t = known.transaction(copy)
    if t is None or t.request is None or t.unsolicited or not t.unpaired:
        return
    if t.request.destination != copy.source:
        return
    if known.capture.lost_by(t.request) >= t.request.row[AT]:
        return
    mapping = known.mapping(copy.source, copy.destination)
    if mapping is None:
        return
    line = known.line_of(mapping.inside[:16], copy.packed_ends[16:32])
    if line is None:
        return
    name = quote.method(METHOD_NAMES[row[METHOD]])
    yield RULE.finding(
        "router", "latent",
        f"The router answered the {name} of {copy.ends.dst} for {line.phone} with {row[STATUS]}: "
        f"it never came to the phone, and the response left with a TTL of {row[TTL]}.",
        [evidence(t.request, f"came to {copy.ends.sender}", "its copy in the LAN"),
         evidence(copy, f"left with a TTL of {row[TTL]}", "the response of the phone")],
        line.name, cause=cause.ROUTER, call_id=alg.call_id(crossing), line=line.name,
    )  # fmt: skip
