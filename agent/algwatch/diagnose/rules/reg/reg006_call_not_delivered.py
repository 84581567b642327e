# SPDX-License-Identifier: Apache-2.0
"""REG006: a call of the provider reached no phone, or the wrong one.

What it sees
    An INVITE on the WAN side only, until its caller gave up, from a host contacted by a phone here
    before. Its mapping was in use; or it had none, and the finding compares its ports with those of
    the phone's REGISTER. The same from a host contacted by nobody here, if it is a neighbour of the
    registrar and the call is for the address of record of a phone here; nobody is blamed if the
    mapping of this phone was at rest. Or a phone refused an
    INVITE (404, 410, 416, 482, 484, 485, 603, 604): its user is registered by another phone here,
    and the router has since given this phone's port away; or the router left its own change to the
    Contact of the REGISTER in the Request-URI. Or the wrong phone answered an INVITE after the
    router gave the port away.

Why it breaks calls
    The phone does not ring, or another one does.

What else looks the same
    A phone refuses a call for another reason: the Request-URI is its own Contact. The provider
    forwards a call to another phone and leaves the dialled number in it. A trunk is called by
    numbers, and they are no Contact. A mapping without use for too long: REG005. Internet scanners:
    nobody here has contacted them, and they do not know a phone's address of record. The router
    itself answers the call (a PBX or phone port on the router). The port is that of another phone,
    which speaks only later: then the finding is taken back. The phone has registered from another
    LAN address since.

Recommendation
    See the finding for the latest use of the mapping. Check the router's firewall, and whether the
    provider calls the registered Contact. After the router has given a port to another phone: let
    the phones register again.

References
    RFC 3261 sections 8.2.2.1, 10.1; RFC 4787 REQ-8.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base.packet import LAN, WAN
from algwatch.base.quote import somebody
from algwatch.base.sighting import AT
from algwatch.compare import silence
from algwatch.compare.call import Call
from algwatch.diagnose import cause, moved, not_let_in
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.misrouted import over_tcp
from algwatch.diagnose.reading import Reading
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import CALL
from algwatch.diagnose.wrong_phone import misdirected
from algwatch.sip.message import parties
from algwatch.sip.timers import SECOND

RULE = Rule(
    "REG006", "call-not-delivered", "error", CALL, ("RFC 3261 10.1", "RFC 4787 REQ-8"),
    "A call of the provider was given to no phone, or to one that it is not for.", two_sided=True,
)  # fmt: skip

OTHER_HOST = (
    "Ask the provider to send calls from the host at which the phone registers; where it cannot, "
    "let the router's firewall forward SIP of that host to the phone."
)
OPEN = "Look whether that phone sends something often enough (a keep-alive of 30 s)."


def check(call: Call, known: Known) -> Iterator[Finding]:
    if (owner := not_let_in.owner_elsewhere(call, known)) is not None:
        yield _from_elsewhere(call, owner)
        return
    crossing = silence.undelivered(call, known.capture)
    if crossing is None:
        yield from _misdirected(call, known)
        return
    invite, ends = crossing.entered, crossing.entered.ends
    if known.left_here(invite):
        return  # the LAN capture lacks it
    line, idle = known.too_late(crossing)
    if line is not None and idle:
        return  # REG005
    so = f"no mapping of that port towards {ends.src} was seen"
    if (kept := over_tcp(invite)) is not None and not known.is_elsewhere(invite):
        yield _not_let_in(call, known, kept)
        return
    if (gone := moved.given_to_nobody(invite, known)) is not None:
        yield _not_let_in(call, known, gone)
        return
    if crossing.mapping is not None:
        seconds = (invite.row[AT] - crossing.used_at) / SECOND
        so = f"its mapping was used {seconds:.0f} s before"
    elif (missed := not_let_in.reading(call, known)) is not None:
        yield _not_let_in(call, known, missed)
        return
    elif (own := known.line_of(invite.packed_ends[16:32], invite.packed_ends[:16])) is not None:
        line, so = own, "it was sent to the address of a phone here, which no NAT changes"
    yield RULE.finding(
        "router", "observed",
        f"The INVITE of {ends.src} to {ends.receiver} reached this router and was given to "
        f"no phone: {so}.",
        [evidence(invite, f"arrived at {ends.receiver}", "its copy in the LAN")],
        call.call_id, cause=cause.ROUTER, call_id=call.call_id,
        line=line.name if line is not None else "",
    )  # fmt: skip


def _from_elsewhere(call: Call, owner: not_let_in.Owner) -> Finding:
    s = call.sides[WAN]
    assert s is not None and s.request is not None
    came, asked = s.request.ends, owner.left.ends
    so = f"nobody here was seen to send anything to {came.src}"
    if owner.idle:
        so = f"nothing had used its mapping for {owner.idle / SECOND:.0f} s"
    return RULE.finding(
        "unknown" if owner.idle else "provider", "observed",
        f"The INVITE of {came.src} to {somebody(call.to)} was given to no phone: the phone has "
        f"registered at {asked.dst}, and {so}, so this router need not let it in.",
        [evidence(s.request, f"came from {came.src}", f"from {asked.dst}"),
         evidence(owner.left, f"registered at {asked.dst}", "")],
        call.call_id, cause=cause.UNKNOWN, call_id=call.call_id, line=owner.line,
        next_step=OPEN if owner.idle else OTHER_HOST,
    )  # fmt: skip


def _not_let_in(call: Call, known: Known, missed: Reading) -> Finding:
    wan = call.unpaired["INVITE"].wan
    assert wan is not None
    owner = None if missed.step else not_let_in.owner(call, known)
    proof = [
        evidence(
            wan,
            f"from {wan.ends.sender} to {wan.ends.receiver}",
            "between the ports of the REGISTER",
        )
    ]
    if owner is not None:
        proof.append(evidence(owner.left, "the REGISTER of the phone", ""))
    return RULE.finding(
        missed.where, "observed",
        f"The INVITE of {wan.ends.src} was given to no phone: {missed.what}.",
        # Nothing of it crossed: it may have another sender than the provider, so it has no line.
        proof, call.call_id, cause=missed.cause, call_id=call.call_id, next_step=missed.step,
    )  # fmt: skip


def _misdirected(call: Call, known: Known) -> Iterator[Finding]:
    found = misdirected(call, known)
    if found is None:
        return
    reading, inside = found.reading, call.sides[LAN]
    status = inside.rejected if inside is not None else 0
    did = f"refused the call of {somebody(call.from_)} with {status}"
    if not status:
        did = f"answered the call of {somebody(call.from_)} to another phone"
    yield RULE.finding(
        reading.where, "observed", f"{found.lan.ends.dst} {did}: {reading.what}.",
        [evidence(found.wan, f"came to {found.wan.ends.receiver}", ""),
         evidence(found.lan, f"went to {found.lan.ends.receiver}",
                  "the phone and the Contact that were registered"),
         evidence(found.contact, "the Contact that was registered", "called so")],
        call.call_id, cause=reading.cause, call_id=call.call_id, line=found.line,
        next_step=reading.step,
    )  # fmt: skip


def since_opened(said: Finding, phone: str) -> Finding:
    """The port is another phone's: the provider took it from no Contact."""
    invite = parties(said.evidence[0].payload)
    return RULE.finding(
        "unknown", said.harm,
        f"The INVITE to {somebody(invite[2])} was given to no phone: "
        f"{not_let_in.opened_since(phone)}.",
        said.evidence, said.key.partition("/")[2], cause=cause.UNKNOWN, call_id=said.call_id,
        next_step=OPEN,
    )  # fmt: skip
