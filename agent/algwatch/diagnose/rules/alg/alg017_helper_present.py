# SPDX-License-Identifier: Apache-2.0
"""ALG017: the kernel's SIP helper is on this router.

What it sees
    nf_conntrack_sip is loaded as a module, or the SIP helper expects flows
    (/proc/net/nf_conntrack_expect), with or without traffic changed by it.

Why it breaks calls
    It does not by itself. An attached helper rewrites the messages of a flow and may drop them.
    Other rules report its effect on calls, from the bytes.

What else looks the same
    A kernel has the helper built in, and no firewall rule attaches it: silent, until the helper
    expects a flow. A loaded module without attachment does nothing; on OpenWrt the firewall
    attaches it at its next reload. Routers of other makes rewrite without this helper.

Recommendation
    None while no call is hurt.

References
    net/netfilter/nf_conntrack_sip.c, nf_conntrack_expect.c (exp_seq_show) of the kernel; OpenWrt
    firewall4, automatic helper assignment.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base.host import Host
from algwatch.diagnose.finding import Evidence, Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule
from algwatch.diagnose.subject import HOST

RULE = Rule(
    "ALG017", "helper-present", "info", HOST, (),
    "The kernel's SIP helper is on this router.",
)  # fmt: skip

LOADED, ATTACHED = "loaded", "attached"


def check(host: Host, known: Known) -> Iterator[Finding]:
    if host.expectations > 0:
        said = (
            "The kernel's SIP helper is attached to flows of this router: it expects others that "
            "they announced."
        )
        proof = f"{host.expectations} expectations of sip in /proc/net/nf_conntrack_expect"
        key = ATTACHED
    elif host.loaded and not known.was_said(RULE.id, ATTACHED):
        said = (
            "The kernel's SIP helper (nf_conntrack_sip) is loaded; whether it is attached to a "
            "flow is not known from that."
        )
        proof, key = "/sys/module/nf_conntrack_sip is there, as a module", LOADED
    else:
        return
    yield RULE.finding(
        "router", "none", said, [Evidence("unknown", host.at / 1e9, proof, "", b"")], key
    )
