# SPDX-License-Identifier: Apache-2.0
"""REG006: a call of the provider reached the WAN side and was given to no phone.

What it sees
    An INVITE from a host to which a phone here has sent before, on the WAN side only, until its
    caller gave up, although the mapping that it came for was in use, or there was none.

Why it breaks calls
    The phone does not ring.

What else looks the same
    A mapping that nothing had used for too long: REG005. Internet scanners: nobody here has sent
    anything to them, so they are left alone. A call that the router answers itself (a PBX or phone
    port on the router).

Recommendation
    See the finding: it says when the mapping was used last. Look at the router's firewall, and
    whether the provider calls the address and port that the phone registered.

References
    RFC 3261 section 10.1; RFC 4787 REQ-8.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base.sighting import AT
from algwatch.compare import silence
from algwatch.compare.call import Call
from algwatch.diagnose import cause
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import CALL
from algwatch.sip.timers import SECOND

RULE = Rule(
    "REG006", "call-not-delivered", "error", CALL, ("RFC 3261 10.1", "RFC 4787 REQ-8"),
    "A call of the provider reached the WAN side and was given to no phone.", two_sided=True,
)  # fmt: skip


def check(call: Call, known: Known) -> Iterator[Finding]:
    crossing = silence.undelivered(call, known.capture)
    if crossing is None:
        return
    invite, ends = crossing.entered, crossing.entered.ends
    line, idle = known.too_late(crossing)
    if line is not None and idle:
        return  # REG005
    so = "nothing shows for which phone it was"
    if crossing.mapping is not None:
        seconds = (invite.row[AT] - crossing.used_at) / SECOND
        so = f"its mapping was used {seconds:.0f} s before"
    yield RULE.finding(
        "router", "observed",
        f"The INVITE of {ends.src} to {ends.dst}:{ends.dport} reached this router and was given to "
        f"no phone: {so}.",
        [evidence(invite, f"arrived at {ends.dst}:{ends.dport}", "its copy in the LAN")],
        call.call_id, cause=cause.ROUTER, call_id=call.call_id,
        line=line.name if line is not None else "",
    )  # fmt: skip
