# SPDX-License-Identifier: Apache-2.0
"""CAP004: SIP is encrypted.

What it sees
    TLS handshakes on port 5061 (live only if "ports" names it) or on a port of SIP; or a REGISTER
    with an IPsec agreement (Security-Client: ipsec-3gpp). The finding names the hosts.

Why it breaks calls
    It does not. Encrypted SIP cannot be read here, so nothing is known of its calls. No ALG can
    read or change it either. A fault of such a call has another cause than the ALG.

What else looks the same
    SIP over WebSocket (WSS) on port 443 looks like any web page and is not reported. Some phones
    use TLS for their configuration alone.

Recommendation
    With the keys of the connections, `algwatch analyze --keylog FILE` reads TLS. Otherwise look at
    the log of the phone or of the provider, or turn TLS off on one phone during a capture. The ALG
    then acts on it again.

References
    RFC 3261 section 26.2; RFC 3329; RFC 7118.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base.native.layout import KIND_TLS
from algwatch.base.packet import SIDE_NAMES, UNKNOWN
from algwatch.base.sighting import Sighting
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import CAPTURE

RULE = Rule(
    "CAP004", "encrypted", "info", CAPTURE, ("RFC 3261 26.2", "RFC 3329"),
    "SIP is encrypted: it cannot be read here, and no ALG can change it.",
)  # fmt: skip

CLIENT_HELLO = 1  # RFC 8446 section 4
SO = "nothing is known of its calls, and no ALG can read or change them"


def check(_: None, known: Known) -> Iterator[Finding]:
    capture = known.capture
    # Without readable messages there is no verdict.
    severity = "info" if any(capture.sip) else "warning"
    hidden = "Look at the log of the phone, or turn TLS off on it for the time of a capture."
    secret = [copy for key, copy in capture.tls.items() if key not in capture.decrypted]
    if KIND_TLS in capture.unread and secret:
        who = ", ".join(dict.fromkeys(_between(copy) for copy in secret))
        yield RULE.finding(
            "unknown", "none", f"Encrypted SIP (TLS): {who}: {SO}.",
            [evidence(copy, f"a TLS handshake on {_side(copy)}", "SIP that can be read")
             for copy in secret],
            "tls", severity=severity,
            next_step=f"{hidden} With its keys: algwatch analyze --keylog FILE.",
        )  # fmt: skip
    if capture.ipsec is not None:
        ends = capture.ipsec.ends
        yield RULE.finding(
            "unknown", "none",
            f"{ends.src} and {ends.dst} agree on IPsec for their SIP: once it is in force {SO}.",
            [evidence(capture.ipsec, "ipsec-3gpp", "SIP that can be read")], "ipsec",
            next_step=hidden.replace("TLS", "IPsec"),
        )  # fmt: skip


def _between(copy: Sighting) -> str:
    ends, payload = copy.ends, copy.payload
    asks = len(payload) <= 5 or payload[5] == CLIENT_HELLO
    client, server, port = ends.src, ends.dst, ends.dport
    if not asks:
        client, server, port = ends.dst, ends.src, ends.sport
    return f"{client} to {server} port {port} ({_side(copy)})"


def _side(copy: Sighting) -> str:
    if copy.side == UNKNOWN:
        return "one side"
    return f"the {SIDE_NAMES[copy.side].upper()} side"
