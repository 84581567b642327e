# SPDX-License-Identifier: Apache-2.0
"""REG001: a registration was never answered, or never accepted.

What it sees
    A REGISTER without any response until Timer F, one that is refused, or one that is challenged
    and not followed by another with credentials. The two taps tell how far it came, and whether a
    response came to the router and was lost there.

Why it breaks calls
    A phone that is not registered does not ring, and many providers refuse its calls.

What else looks the same
    The challenge (401, 407) of each registration, which the phone answers a moment later. A
    registration at the end of a capture, which is not yet decided. A REGISTER over UDP that is not
    repeated: its response was not captured, or the phone is gone.

Recommendation
    Refused: see the status (403: account or password). Unanswered: the finding says where it
    stopped. Without rport behind a NAT that changes ports: turn rport on.

References
    RFC 3261 sections 10.2, 17.1.2.2, 22.2; RFC 3581.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base.quote import somebody
from algwatch.compare.registered import Registered
from algwatch.diagnose import cause, renamed
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.misrouted import Reading
from algwatch.diagnose.rule import Rule, evidence, times
from algwatch.diagnose.rules.txn.txn003_request_failed import request_reading
from algwatch.diagnose.subject import REGISTRATION

RULE = Rule(
    "REG001", "registration-failed", "error", REGISTRATION,
    ("RFC 3261 10.2", "RFC 3261 17.1.2.2", "RFC 3261 22.2"),
    "A REGISTER was never answered, or never accepted.",
)  # fmt: skip


def check(registered: Registered, known: Known) -> Iterator[Finding]:
    outcome, exchange = registered.said, registered.exchange
    if outcome == "accepted" or exchange is None or exchange.request is None:
        return
    t = exchange.entered
    if outcome == "unanswered":
        reading = renamed.response_unmatched(registered) or request_reading(exchange, known)
        what = f"was sent {times(t.requests)} and got no response in 32 s: {reading.what}"
    elif outcome == "challenged":
        reading = Reading("unknown", cause.REFUSED, "")
        what = f"was challenged with {t.status}, and nothing came after it"
    else:
        reading = Reading("unknown", cause.REFUSED, "")
        what = f"was refused with {t.status}"
    proof = [evidence(exchange.request, f"sent {times(t.requests)}", "200")]
    response = exchange.stopped_response or t.response
    if response is not None:
        proof.append(evidence(response, "the response", "200 to the phone"))
    line = exchange.line.name if exchange.line is not None else ""
    yield RULE.finding(
        reading.where, "observed", f"The REGISTER of {somebody(registered.aor)} {what}.", proof,
        f"{registered.call_id}/{outcome}", cause=reading.cause, call_id=registered.call_id,
        line=line,
    )  # fmt: skip
