# SPDX-License-Identifier: Apache-2.0
"""REG005: the NAT mapping of a registered phone expires before its next packet.

What it sees
    No packet used the NAT mapping of a registered phone for longer than the NAT keeps it: 3600 s
    with the kernel's helper; without it the router's own times (live), else 180 s, or 60 s if no
    packet passed later than 2 s after the first. Packets of both directions count, keep-alives and
    STUN as well. It is reported before a call is lost, and after an INVITE of the provider came
    after such a silence and reached no phone. With the helper the silence is harmless: it is
    reported as a change to make before the ALG is turned off.

Why it breaks calls
    An INVITE finds no mapping any more, and the phone does not ring until it registers again. The
    registration lives an hour, the mapping of an idle UDP flow minutes.

What else looks the same
    A NAT keeps mappings longer, as a call after such a silence shows: then there is no finding. A
    static port mapping for a PBX. A keep-alive other than CRLF, zero bytes or STUN. The router
    stopped an INVITE although the mapping was in use, or had stopped other messages soon after its
    last use: REG006.

Recommendation
    Set a keep-alive of 30 s on the phone (CRLF, STUN or OPTIONS), or a refresh below 180 s.

References
    RFC 3261 section 10.1; RFC 4787 REQ-5; RFC 5626 section 3.5; nf_conntrack_udp_timeout.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base.sighting import Sighting
from algwatch.compare.crossing import HELPED
from algwatch.compare.line import Line
from algwatch.diagnose import cause
from algwatch.diagnose.finding import Evidence, Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import LINE
from algwatch.sip.message import parties
from algwatch.sip.timers import SECOND

RULE = Rule(
    "REG005", "mapping-too-short", "info", LINE,
    ("RFC 3261 10.1", "RFC 4787 REQ-5", "RFC 5626 3.5"),
    "The NAT mapping of a registered phone dies before its next packet.", two_sided=True,
)  # fmt: skip

FIRST = "Before the ALG is turned off, set a keep-alive of 30 s on the phone."


def check(line: Line, known: Known) -> Iterator[Finding]:
    if line.silence:
        yield _silent(line)
    if line.too_late is not None:
        invite, idle = line.too_late
        yield _lost(line, invite, idle)


def _silent(line: Line) -> Finding:
    seconds = round(line.silence / SECOND)
    what = f"Nothing used the NAT mapping of {line.phone} for {seconds} s while it was registered"
    forgets = f"the router forgets it after {line.silence_limit // SECOND} s at the latest"
    if line.silence_helped and line.silence < HELPED:
        harm, step = "none", FIRST
        so = f"the helper keeps that mapping for 3600 s, and without it {forgets}"
    else:
        harm, step = "latent", ""
        if line.silence_helped:
            forgets = "the helper keeps it for 3600 s"
        so = f"{forgets}, and calls do not reach the phone until it sends again"
    proof = _seen(line, f"registered, and later no packet for {seconds} s", "one each 30 s")
    return RULE.finding(
        "router", harm, f"{what} with {line.remote}: {so}.", [proof],
        line.name, cause=cause.NAT_TIMEOUT if harm != "none" else cause.NONE, line=line.name,
        next_step=step,
    )  # fmt: skip


def _lost(line: Line, invite: Sighting, idle: int) -> Finding:
    ends = invite.ends
    call_id = parties(invite.payload)[0]
    what = "mapping" if ends.dst != line.phone else "firewall entry"
    return RULE.finding(
        "router", "observed",
        f"The INVITE of {ends.src} to {ends.receiver} reached this router and was given to "
        f"no phone: nothing had used the {what} of {line.phone} for {idle / SECOND:.0f} s.",
        [evidence(invite, f"arrived at {ends.receiver}", "its copy in the LAN")],
        f"{line.name}/{call_id}", cause=cause.NAT_TIMEOUT, call_id=call_id, line=line.name,
    )  # fmt: skip


def _seen(line: Line, observed: str, expected: str) -> Evidence:
    """The 2xx to the REGISTER stands for the silence after it, or another message of the phone if
    the 2xx was evicted."""
    copy = line.granted or line.shown
    if copy is None:
        return Evidence("wan", line.silent_since / 1e9, observed, expected, b"")
    return evidence(copy, observed, expected)
