# SPDX-License-Identifier: Apache-2.0
"""REG004: the router changed the credentials of a phone, so they never fit.

What it sees
    A REGISTER is refused or challenged again. Its two copies differ in the challenge (realm, nonce,
    opaque, qop, algorithm) or in the credentials (username, uri, response and its other inputs), or
    one copy has none any more; or the router changed the Request-URI named by the credentials. The
    same holds for an INVITE with 401, 403 or 407 at the end, except for the Request-URI.

Why it breaks calls
    The response is a hash over these values. The registrar computes it from its own values and gets
    another one. So it refuses the right password for ever: the phone is not registered, or its
    calls are refused.

What else looks the same
    A wrong password: both copies are the same (REG001). A nonce too old (stale=true): the next
    round ends it. White space and the order of parameters are not signed. A router changes such a
    value, and the registrar accepts the phone all the same.

Recommendation
    See the advice on the router's ALG.

References
    RFC 3261 section 22.4; RFC 2617 sections 3.2.1, 3.2.2.5; RFC 8760.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base import quote
from algwatch.base.packet import WAN
from algwatch.base.sighting import STATUS
from algwatch.compare.call import Call
from algwatch.compare.registered import Registered
from algwatch.compare.signs import TROUBLED
from algwatch.diagnose import cause
from algwatch.diagnose.credentials import Damage, damage, damage_in_call
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import CALL, REGISTRATION

RULE = Rule(
    "REG004", "credentials-changed", "error", (REGISTRATION, CALL),
    ("RFC 3261 22.4", "RFC 2617 3.2.1", "RFC 2617 3.2.2.5"),
    "The router changed the credentials of a phone, so they never fit.", two_sided=True,
    when=TROUBLED,
)  # fmt: skip

FAILED = ("refused", "challenged")
SECRET = ("username", "response", "cnonce")  # not repeated in a sentence
MOST = 4  # values named in a sentence


def check(thing: Registered | Call, known: Known) -> Iterator[Finding]:
    if isinstance(thing, Call):
        found, wan = damage_in_call(thing), thing.sides[WAN]
        if found is not None and wan is not None and not known.lossy(thing):
            whose = f"The provider answers the INVITE to {quote.somebody(thing.to)}"
            yield _finding(thing, found, whose, wan.rejected, "INVITE", known.line_name(thing))
        return
    exchange = thing.exchange
    if thing.said not in FAILED or exchange is None or (found := damage(thing)) is None:
        return
    whose = f"The registrar answers the REGISTER of {quote.somebody(thing.aor)}"
    line = exchange.line.name if exchange.line is not None else ""
    yield _finding(thing, found, whose, exchange.status, "REGISTER", line)


def _finding(thing: Registered | Call, found: Damage, whose: str, status: int, request: str,
             line: str) -> Finding:  # fmt: skip
    """whose: the ends of the refused request, a clause."""
    if found.gone:
        name = before = " and ".join(found.gone)
        after = f"no {name}"
        message = "response" if found.before.row[STATUS] else request
        what = f"takes {name} out of the {message}"
    else:
        some = found.fields[:MOST]
        before = ", ".join(_shown(name, was) for name, was, _ in some)
        after = ", ".join(_shown(name, became) for name, _, became in some)
        told = ", ".join(_told(*field) for field in some)
        what = f"had changed what its credentials were computed over: {told}"
    return RULE.finding(
        "router", "observed", f"{whose} with {status}, and the router {what}.",
        [evidence(found.before, f"entered the router with {before}", "unchanged"),
         evidence(found.after, f"left it with {after}", before)],
        thing.aor if isinstance(thing, Registered) else thing.call_id, cause=cause.ALG,
        call_id=thing.call_id, certain=found.signed, line=line,
    )  # fmt: skip


def _told(name: str, was: str, became: str) -> str:
    if name in SECRET:
        return name
    return f"{name} {quote.quoted(was)} became {quote.quoted(became)}"


def _shown(name: str, value: str) -> str:
    return name if name in SECRET else f"{name}={quote.quoted(value)}"
