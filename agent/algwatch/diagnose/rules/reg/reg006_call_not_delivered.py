# SPDX-License-Identifier: Apache-2.0
"""REG006: a call of the provider reached the WAN side and was given to no phone.

What it sees
    An INVITE from a host to which a phone here has sent before, on the WAN side only, until its
    caller gave up.

Why it breaks calls
    The phone does not ring. Mostly the NAT mapping of the phone is gone: its registration lasts an
    hour, the mapping of an idle UDP flow 30 to 180 s, and nothing kept it open.

What else looks the same
    Internet scanners: nobody here has sent anything to them, so they are left alone. A call that
    the router answers itself (a PBX or phone port on the router).

Recommendation
    A keep-alive of 30 s on the phone (CRLF or OPTIONS), or a refresh that is shorter than the
    NAT's timeout.

References
    RFC 3261 section 10.1; RFC 4787 REQ-5 (2 minutes at least); nf_conntrack_udp_timeout.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base.packet import LAN
from algwatch.base.sighting import AT
from algwatch.compare.call import Call
from algwatch.diagnose import cause
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import CALL
from algwatch.sip.timers import SECOND

RULE = Rule(
    "REG006", "call-not-delivered", "error", CALL, ("RFC 3261 10.1", "RFC 4787 REQ-5"),
    "A call of the provider reached the WAN side and was given to no phone.", two_sided=True,
)  # fmt: skip

IDLE = 30 * SECOND  # no NAT forgets a mapping that is younger


def check(call: Call, known: Known) -> Iterator[Finding]:
    crossing = call.unpaired.get("INVITE")
    if crossing is None or crossing.wan is None or call.unsolicited or known.lossy(call):
        return
    if call.sides[LAN] is not None or not call.inbound or not _is_over(call):
        return
    invite = crossing.wan
    ends = invite.ends
    mapping = crossing.mapping
    line, why, so = None, cause.ROUTER, "nothing shows for which phone it was"
    if mapping is not None:
        line = known.line_of(mapping.inside[:16], invite.packed_ends[:16])
        idle = invite.row[AT] - crossing.used_at
        so = f"its mapping was used {idle / SECOND:.0f} s before"
        if idle >= IDLE:
            why = cause.NAT_TIMEOUT
            so = f"the phone had sent nothing through that mapping for {idle / SECOND:.0f} s"
    yield RULE.finding(
        "router", "observed",
        f"The INVITE of {ends.src} to {ends.dst}:{ends.dport} reached this router and was given to "
        f"no phone: {so}.",
        [evidence(invite, f"arrived at {ends.dst}:{ends.dport}", "its copy in the LAN")],
        call.call_id, cause=why, call_id=call.call_id, line=line.name if line is not None else "",
    )  # fmt: skip


def _is_over(call: Call) -> bool:
    return any(s.timed_out or s.cancelled_at or s.rejected for s in call.seen)
