# SPDX-License-Identifier: Apache-2.0
"""NAT001: a Via without rport from behind a NAT.

What it sees
    A phone's request is unanswered. Its Via has no rport and names another port than its source
    port after the NAT, or another NAT beyond this router translates it once more. No packet has
    ever come back on this flow.

Why it breaks calls
    A server of RFC 3261 answers to the port in Via, and the NAT has not opened it. The reason for
    the silence is not proved, so it counts as possible harm. A response seen at the wrong port is
    TXN006.

What else looks the same
    A phone without rport is answered: its NAT keeps the port, or its provider always sends to the
    source of packets. Then there is no finding. An ALG writes the public port into Via. A router
    takes rport out (TXN006): then it is named, and not the phone.

Recommendation
    Turn rport on (symmetric response routing); most phones have it as NAT support.

References
    RFC 3261 section 18.2.2; RFC 3581 section 3.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base import address, quote
from algwatch.base.sighting import Sighting
from algwatch.compare.call import Call
from algwatch.compare.exchange import Exchange
from algwatch.compare.line import RPORT_SPOILED
from algwatch.compare.registered import Registered
from algwatch.compare.signs import TROUBLED
from algwatch.diagnose import cause
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import CALL, REGISTRATION, TRANSACTION
from algwatch.diagnose.unanswered import left_unanswered, sent_unanswered
from algwatch.sip.message import Message

RULE = Rule(
    "NAT001", "via-without-rport", "warning", (TRANSACTION, CALL, REGISTRATION),
    ("RFC 3261 18.2.2", "RFC 3581 3"),
    "A request from behind a NAT does not ask for rport, and nobody answers it.", when=TROUBLED,
)  # fmt: skip


def check(thing: Call | Registered | Exchange, known: Known) -> Iterator[Finding]:
    request = left_unanswered(thing, known)
    line, spoiled = "", False
    if request is not None:
        entry = known.mapping(request.source, request.destination)
        if entry is None or entry.answered_at:
            return  # not translated, or responses come
        of = known.line_of(entry.inside[:16], request.packed_ends[16:32])
        if of is not None:
            line, spoiled = of.name, bool(of.count(RPORT_SPOILED))
    else:
        request = sent_unanswered(thing)
    if request is None:
        return
    message, ends = Message(request.payload), request.ends
    where = _nowhere(message, request, known.two_sided)
    if not where:
        return
    says = "does not ask for rport"
    if spoiled:
        says = "left without the rport that the phone writes and this router takes out"
    yield RULE.finding(
        "router" if spoiled else "phone", "latent",
        f"The {quote.method(message.method)} to {ends.dst} was never answered, and its Via {says}: "
        f"{where}.",
        [evidence(request, f"{ends.sender}, Via without rport", "Via with rport")],
        f"{ends.src}/{ends.dst}", cause=cause.ALG if spoiled else cause.NO_RPORT,
        call_id=thing.call_id, line=line,
    )  # fmt: skip


def _nowhere(message: Message, request: Sighting, two_sided: bool) -> str:
    """The reason a response to the port in Via would find nobody, a clause; "" without one."""
    via = message.vias[0] if message.vias else None
    if via is None or via.rport is not None or via.transport.upper() != "UDP":
        return ""
    port, ends = via.port or 5060, request.ends
    if not two_sided:
        return f"a server may answer to port {port}, whatever port the NAT has given it"
    if port != ends.sport:
        return f"a server may answer to port {port}, and the NAT has opened {ends.sport}"
    if address.is_unroutable(ends.src) and not address.is_unroutable(ends.dst):
        return (
            f"a server may answer to port {port}, whatever port the NAT beyond this router has "
            "given it"
        )
    return ""
