# SPDX-License-Identifier: Apache-2.0
"""The router's own agent at its LAN address (number 30): the copy before the ALG is on no wire.

The kernel's helper rewrites what the router itself sends where a rule in the output hook attaches
it, and masquerading translates it: between the agent's socket and the wan. br-lan and lo never
carry it. What comes in is rewritten on its way to the socket, so the wan shows it unchanged.
"""

from __future__ import annotations

from lab.draw import Draw
from lab.loop import Loop
from lab.network import Network
from lab.provider import Provider
from lab.truth import Must, Truth

from .moves import call_dies, calls_live, facts_of
from .router import OwnAgent
from .scenario import FIX_IT, HURT, QUIET, REWRITTEN, Facts, Say, Scenario

GROUP = 5  # of NFLOG
OUTPUT = """
add chain inet fw4 own {{ type filter hook output priority filter; }}
add rule inet fw4 own ip saddr {host} udp dport 5060 {log} ct helper set "sip"
"""
# Only one tap sees what it says, so nothing shows whether its ACKs crossed to it.
HALF = {"incoming": "completed seen|unknown", "outgoing": "completed seen|unknown"}


def lives(loop: Loop, net: Network, say: Say) -> Facts:
    """30: it registers and has calls both ways with a provider that handles NAT."""
    provider = Provider(loop, net)
    own = OwnAgent(loop, net, net.draw.router_ip)
    own.register()
    return facts_of(own, provider, calls_live(loop, own, provider, say))


def dies(loop: Loop, net: Network, say: Say) -> Facts:
    """30: the ACK follows the private Contact, which no ALG has made public."""
    provider = Provider(loop, net, fixes_contact=False)
    own = OwnAgent(loop, net, net.draw.router_ip)
    own.register()
    call = call_dies(loop, own, provider, say)
    return facts_of(own, provider, [call], phones=[net.draw.router_ip, ""])


def _helped(draw: Draw) -> str:
    return OUTPUT.format(host=draw.router_ip, log="")


def _logged(draw: Draw) -> str:
    return OUTPUT.format(host=draw.router_ip, log=f"log group {GROUP} queue-threshold 1")


SCENARIOS = [
    Scenario(
        "30-on", "the router's own agent at its LAN address, helper in the output path", True,
        False, lives, Truth([], f"{QUIET} ALG009 ALG017", state="fine cannot-tell", ends=HALF),
        nft=_helped,
    ),
    Scenario(
        "30-off", "the same agent, no helper", False, False, lives,
        Truth([], f"{QUIET} ALG009", state="fine cannot-tell", ends=HALF),
    ),
    Scenario(
        "30-nflog", "the same agent, and the copy of the output hook as the LAN side", True, False,
        lives,
        Truth(
            [], f"{QUIET} {REWRITTEN} ALG009", state="fine cannot-tell", ends=HALF,
            filed=[Must("ALG001", "router", "none")],
        ), nft=_logged, group=GROUP, crowd=False,
    ),
    Scenario(
        "30-dies", "the same agent, and the provider leaves its Contact alone", False, True, dies,
        Truth(
            [Must("DLG002", "phone provider", HURT)], f"{QUIET} ALG009", "DLG001 DLG007",
            any_of=FIX_IT, dropped="incoming",
        ),
    ),
]  # fmt: skip
