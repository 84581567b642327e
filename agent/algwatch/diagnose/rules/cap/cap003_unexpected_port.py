# SPDX-License-Identifier: Apache-2.0
"""CAP003: no SIP at all, or SIP on an unexpected port.

What it sees
    SIP on a flow with neither end at port 5060 or 5061: the port is named. Or no SIP message, while
    keep-alives or STUN on SIP ports show a live host. TLS is CAP004.

Why it breaks calls
    It does not. But an ALG for port 5060 alone does not touch other ports, so its absence there
    proves nothing. And without a message there is no diagnosis.

What else looks the same
    Most phones send from another port to port 5060. Scanners try other ports. A capture filter may
    pass port 5060 only.

Recommendation
    Name the port (--ports, or "ports" in the configuration), so its keep-alives and TCP streams are
    read, too. Without any SIP: capture while a phone registers and calls.

References
    RFC 3261 section 19.1.2; docs/capture.md.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base.native.layout import KIND_KEEPALIVE, KIND_STUN, KIND_TLS
from algwatch.diagnose.finding import Evidence, Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import CAPTURE
from algwatch.sip.timers import SECOND

RULE = Rule(
    "CAP003", "unexpected-port", "info", CAPTURE, ("RFC 3261 19.1.2",),
    "No SIP at all, or SIP on a port that was not expected.",
)  # fmt: skip

QUIET = 600 * SECOND  # live, without any SIP
KINDS = {KIND_KEEPALIVE: "keep-alives", KIND_STUN: "of STUN"}


def check(_: None, known: Known) -> Iterator[Finding]:
    capture = known.capture
    if capture.ports:
        named = ", ".join(str(port) for port in sorted(capture.ports))
        word = "ports" if len(capture.ports) > 1 else "port"
        yield RULE.finding(
            "unknown", "none",
            f"SIP runs on {word} {named}, not on 5060: an ALG that looks at port 5060 alone does "
            "not touch it.",
            [evidence(copy, f"SIP on port {port}", "port 5060 or 5061")
             for port, copy in sorted(capture.ports.items())],
            "ports",
        )  # fmt: skip
    if any(capture.sip) or KIND_TLS in capture.unread or capture.cut:
        return
    if not capture.finished and known.now - capture.started < QUIET:
        return
    seen = [f"{count} {KINDS[kind]}" for kind, (count, _) in sorted(capture.unread.items())]
    # Live the number grows, so the kind is reported once.
    there = " and ".join(seen if capture.finished else [KINDS[kind] for kind in capture.unread])
    proof = [evidence(example, f"a packet that is no SIP ({KINDS[kind]})", "a SIP message")
             for kind, (_, example) in capture.unread.items()]  # fmt: skip
    instead = f"; packets on SIP ports: {there}" if there else ""
    yield RULE.finding(
        "unknown", "none", f"No SIP message was read{instead}.",
        proof or [Evidence("unknown", known.now / 1e9, "no SIP message", "SIP on port 5060", b"")],
        "none", next_step="Capture while a phone registers and makes a call.",
    )  # fmt: skip
