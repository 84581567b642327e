# SPDX-License-Identifier: Apache-2.0
"""REG004: the router changed the credentials of a registration, so they never fit.

What it sees
    A REGISTER that is refused or challenged again, of which the two copies differ in the challenge
    (realm, nonce, opaque, qop, algorithm) or in the credentials (username, uri, response and what
    it was computed over), or one of them has none any more; or the router changed the Request-URI,
    which the credentials name.

Why it breaks calls
    The response is a hash over these values. The registrar computes it from what it has sent and
    gets another one, so it refuses the right password for ever, and the phone is not registered.

What else looks the same
    A wrong password: both copies are the same (REG001). A nonce that is too old (stale=true): the
    next round ends it. White space and the order of parameters, which are not signed. A router that
    changes such a value although the registrar accepts the phone.

Recommendation
    See the advice on the router's ALG.

References
    RFC 3261 section 22.4; RFC 2617 sections 3.2.1, 3.2.2.5; RFC 8760.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base import quote
from algwatch.base.sighting import STATUS
from algwatch.compare.exchange import Exchange
from algwatch.compare.registered import Registered
from algwatch.diagnose import cause
from algwatch.diagnose.credentials import Damage, damage
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import REGISTRATION

RULE = Rule(
    "REG004", "credentials-changed", "error", REGISTRATION,
    ("RFC 3261 22.4", "RFC 2617 3.2.1", "RFC 2617 3.2.2.5"),
    "The router changed the credentials of a registration, so they never fit.", two_sided=True,
)  # fmt: skip

FAILED = ("refused", "challenged")
SECRET = ("username", "response", "cnonce")  # are not repeated in a sentence
MOST = 4  # values that a sentence names


def check(registered: Registered, known: Known) -> Iterator[Finding]:
    if registered.said not in FAILED:
        return
    found = damage(registered)
    exchange = registered.exchange
    if found is None or exchange is None:
        return
    if found.gone:
        yield _taken_out(registered, found, exchange)
        return
    what = ", ".join(_told(*field) for field in found.fields[:MOST])
    before = ", ".join(_shown(name, was) for name, was, _ in found.fields[:MOST])
    after = ", ".join(_shown(name, became) for name, _, became in found.fields[:MOST])
    yield RULE.finding(
        "router", "observed",
        f"The registrar answers the REGISTER of {quote.somebody(registered.aor)} with "
        f"{exchange.status}, and the router had changed what its credentials were computed over: "
        f"{what}.",
        [evidence(found.before, f"entered the router with {before}", "unchanged"),
         evidence(found.after, f"left it with {after}", before)],
        registered.aor, cause=cause.ALG, call_id=registered.call_id, certain=found.signed,
        line=exchange.line.name if exchange.line is not None else "",
    )  # fmt: skip


def _taken_out(registered: Registered, found: Damage, exchange: Exchange) -> Finding:
    name = " and ".join(found.gone)
    message = "response" if found.before.row[STATUS] else "REGISTER"
    return RULE.finding(
        "router", "observed",
        f"The registrar answers the REGISTER of {quote.somebody(registered.aor)} with "
        f"{exchange.status}, and the router takes {name} out of the {message}.",
        [evidence(found.before, f"entered the router with {name}", "unchanged"),
         evidence(found.after, f"left it without {name}", name)],
        registered.aor, cause=cause.ALG, call_id=registered.call_id, certain=True,
        line=exchange.line.name if exchange.line is not None else "",
    )  # fmt: skip


def _told(name: str, was: str, became: str) -> str:
    if name in SECRET:
        return name
    return f"{name} {quote.quoted(was)} became {quote.quoted(became)}"


def _shown(name: str, value: str) -> str:
    return name if name in SECRET else f"{name}={quote.quoted(value)}"
