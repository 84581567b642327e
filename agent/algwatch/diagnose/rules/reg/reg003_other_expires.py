# SPDX-License-Identifier: Apache-2.0
"""REG003: the router changed the duration of a registration.

What it sees
    The two copies of a REGISTER or of its 200 have another time: in Expires, or in the expires
    parameter of the phone's Contact. The kernel's helper never changes it. If the phone reads a
    longer time than granted by the registrar, it may refresh too late; a late refresh proves it. If
    the registrar refuses the changed time as too brief (423), the phone cannot register at all.

Why it breaks calls
    The registrar drops the binding before the phone registers again, and does not ring it
    meanwhile.

What else looks the same
    A registrar grants less than the phone asked for: both copies show it, and it is its right
    (section 10.3). A router that makes the phone refresh early does no harm.

Recommendation
    See the advice on the router's ALG; or set a refresh on the phone below the granted time.

References
    RFC 3261 sections 10.2.4, 10.2.8, 10.3, 20.19, 21.4.17.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base import quote
from algwatch.base.sighting import are_copies
from algwatch.compare.binding import Terms
from algwatch.compare.registered import Registered
from algwatch.diagnose import cause
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import REGISTRATION
from algwatch.sip.message import Message, to_text

RULE = Rule(
    "REG003", "other-expires", "info", REGISTRATION,
    ("RFC 3261 10.2.4", "RFC 3261 10.2.8", "RFC 3261 10.3"),
    "The router changed how long a registration lasts.", two_sided=True,
)  # fmt: skip

TOO_BRIEF = 423


def check(registered: Registered, known: Known) -> Iterator[Finding]:
    if registered.said == "accepted":
        yield from _accepted(registered, known)
    elif registered.said == "refused":
        found = too_brief(registered)
        if found is not None:
            yield found


def _accepted(registered: Registered, known: Known) -> Iterator[Finding]:
    agreed = registered.binding
    if agreed is None or agreed.far is None or agreed.near.removed or agreed.is_query:
        return
    near, far = agreed.near, agreed.far
    asked = near.wanted != far.wanted
    granted = near.contacts and far.contacts and near.seconds != far.seconds
    if not asked and not granted:
        return
    said = []
    if asked:
        said.append(f"the phone asked for {_time(near.wanted)} and it sent on {_time(far.wanted)}")
    if granted:
        given = _time(near.seconds)
        said.append(f"the registrar granted {_time(far.seconds)} and it gave the phone {given}")
    # Without a time in the 200 a phone uses its own.
    reads = near.seconds if near.seconds >= 0 else near.wanted
    harm = "none"
    if 0 <= far.seconds < reads:
        lost = known.capture.lost_by(near.asked)
        harm = "observed" if registered.lapsed and not lost else "latent"
    so = ""
    if harm == "observed":
        so = "; the phone registered again after the granted time was over"
    elif harm == "latent":
        so = "; the registrar may forget the phone before it registers again"
    yield RULE.finding(
        "router", harm,
        f"The router changed the time of the registration of {quote.somebody(registered.aor)}: "
        f"{' and '.join(said)}{so}.",
        [evidence(near.asked, f"asks for {_time(near.wanted)}", "the same on both sides"),
         evidence(far.asked, f"asks for {_time(far.wanted)}", _time(near.wanted)),
         evidence(far.granted, f"grants {_time(far.seconds)}", "the same on both sides"),
         evidence(near.granted, f"grants {_time(near.seconds)}", _time(far.seconds))],
        registered.aor, cause=cause.ALG if harm != "none" else cause.NONE,
        call_id=registered.call_id, line=known.line_name(registered),
    )  # fmt: skip


def too_brief(registered: Registered) -> Finding | None:
    """The registrar refuses a time made so short by the router; else None."""
    exchange = registered.exchange
    if exchange is None or exchange.status != TOO_BRIEF or exchange.left is None:
        return None
    asked, sent, answer = exchange.request, exchange.left.request, exchange.left.response
    if asked is None or sent is None or answer is None or not are_copies(asked, sent):
        return None
    least = to_text(b"".join(Message(answer.payload).header("Min-Expires")[:1]))
    if not least.isascii() or not least.isdigit() or len(least) > 10:
        return None
    wanted, left = Terms(asked, answer).wanted, Terms(sent, answer).wanted
    if not left < int(least) <= wanted:
        return None
    return RULE.finding(
        "router", "observed",
        f"The router changed the time of the registration of {quote.somebody(registered.aor)} from "
        f"{_time(wanted)} to {_time(left)}, which the registrar refuses as too brief: it wants "
        f"{_time(int(least))} at least.",
        [evidence(asked, f"asks for {_time(wanted)}", "the same on both sides"),
         evidence(sent, f"asks for {_time(left)}", _time(wanted)),
         evidence(answer, f"423, at least {least} s", "200")],
        f"{registered.aor}/423", cause=cause.ALG, call_id=registered.call_id, certain=True,
        line=exchange.line.name if exchange.line is not None else "",
    )  # fmt: skip


def _time(seconds: int) -> str:
    return f"{seconds} s" if seconds >= 0 else "no time"
