# SPDX-License-Identifier: Apache-2.0
"""NAT006: a program on the router itself has a SIP port.

What it sees
    A UDP socket, or a listening TCP socket, has one of the configured SIP ports on an address of
    the router other than the loopback (/proc/net/udp, tcp). The finding names its program if this
    process may know it: phone ports (FXS), Asterisk, siproxd.

Why it breaks calls
    It does not by itself. Calls of such a program are not forwarded, so an ALG for forwarded
    packets does not see them. But a phone behind the router gets another port from the NAT if the
    program uses the same provider. A call to this port outside every mapping is the program's: if
    it answers in the place of a phone, the phone does not ring.

What else looks the same
    A program has the port for the LAN only: a firewall rule keeps the WAN from it. A port forwarded
    to a phone (DNAT) leads to the phone although a program has it, too.

Recommendation
    None while no call is hurt. If calls of a phone arrive at the program, give the program another
    port, or the phone another provider port.

References
    RFC 3261 sections 18.1.1, 19.1.2; proc(5), net/udp and net/tcp.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base.host import Host
from algwatch.base.owner import Owner
from algwatch.diagnose.finding import Evidence, Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule
from algwatch.diagnose.subject import HOST

RULE = Rule(
    "NAT006", "own-port", "info", HOST, ("RFC 3261 18.1.1", "RFC 3261 19.1.2"),
    "A program on the router itself has a SIP port.",
)  # fmt: skip


def check(host: Host, known: Known) -> Iterator[Finding]:
    together: dict[tuple[str, int], list[Owner]] = {}
    for owner in host.owners:
        together.setdefault((owner.host, owner.port), []).append(owner)
    for (address, port), owners in together.items():
        first = next((owner for owner in owners if owner.program), owners[0])
        where = address or "every address, that of the WAN among them"
        if first.device:
            where += f" ({first.device})"
        protos = " and ".join(sorted({owner.proto for owner in owners}, reverse=True))
        said = (
            f"On this router {first.program or 'a program'} has {protos} port {port} of {where}: "
            "what comes there outside of every NAT mapping is for it and for no phone, and its own "
            "calls are not forwarded, so that an ALG for forwarded packets does not see them."
        )
        proof = "; ".join(str(owner) for owner in owners) + " (/proc/net)"
        yield RULE.finding(
            "router", "none", said, [Evidence("unknown", host.at / 1e9, proof, "", b"")],
            f"{address}:{port}",
        )  # fmt: skip
