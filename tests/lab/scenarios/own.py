# SPDX-License-Identifier: Apache-2.0
"""The router's own agent at its LAN address (number 30): the copy before the ALG is on no wire. And
a PBX on the router (number 28): each of its calls is two, which are no copies of one another.

The kernel's helper rewrites what the router itself sends where a rule in the output hook attaches
it, and masquerading translates it: between the agent's socket and the wan. br-lan and lo never
carry it. What comes in is rewritten on its way to the socket, so the wan shows it unchanged.
"""

from __future__ import annotations

from lab.b2bua import Trunk, b2bua
from lab.draw import Draw
from lab.loop import Loop
from lab.network import Network
from lab.phone import Phone
from lab.provider import Provider
from lab.truth import Must, Truth

from .moves import call_dies, calls_live, facts_of
from .router import OwnAgent
from .scenario import FIX_IT, HURT, QUIET, REWRITTEN, Facts, Play, Say, Scenario

GROUP = 5  # of NFLOG
OUTPUT = """
add chain inet fw4 own {{ type filter hook output priority filter; }}
add rule inet fw4 own ip saddr {host} udp dport 5060 {log} ct helper set "sip"
"""
# As kernel/nflog.py sets it up for the agent, for the recording: what leaves before NAT and helper,
# and what comes in behind NAT and filters, unless a helper changes it later.
LOGGED = """
add chain inet fw4 own {{ type filter hook output priority mangle; }}
add rule inet fw4 own oifname "wan" udp dport 5060 {log} {helper}
add chain inet fw4 own_in {{ type filter hook input priority 250; }}
add rule inet fw4 own_in iifname "wan" ct status ! 0x2001 udp sport 5060 {log}
"""
TAPPED = ("--own-phones", "on")
BUSY = "CAP002"  # the log has no time stamps: an overloaded machine reads it too late to be sure
# Only one tap sees what it says, so nothing shows whether its ACKs crossed to it.
PBX = dict.fromkeys(("incoming", "outgoing", "trunk"), "completed seen|unknown")
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


def hears_no_ack(loop: Loop, net: Network, say: Say) -> Facts:
    """30: the agent itself takes no ACK, although every one comes to it."""
    provider = Provider(loop, net)
    own = OwnAgent(loop, net, net.draw.router_ip)
    own.deaf = lambda message: message.method == "ACK"
    own.register()
    call = call_dies(loop, own, provider, say)
    return facts_of(own, provider, [call], phones=[net.draw.router_ip, ""])


def hears_nothing(loop: Loop, net: Network, say: Say) -> Facts:
    """30: the agent itself takes no answer to its REGISTER, although every one comes to it."""
    provider = Provider(loop, net)
    own = OwnAgent(loop, net, net.draw.router_ip)
    own.deaf = lambda message: True
    own.register(wait=0)
    loop.sleep(34)
    return facts_of(own, provider, [], dead_call_ids=[own._register_id])


def pbx(at_lan: bool) -> Play:
    def play(loop: Loop, net: Network, say: Say) -> Facts:
        """28: a phone of the PBX is called, and calls. at_lan: from the router's LAN address."""
        provider = Provider(loop, net)
        trunk, phone = b2bua(loop, net, net.draw.router_ip if at_lan else "")
        phone.keep_alive(1.5)
        theirs = provider.call(trunk.draw.user)
        loop.until(lambda: theirs.acked or theirs.answered, 10, "the incoming call")
        loop.sleep(net.draw.talk)
        provider.hang_up(theirs)
        loop.until(lambda: all(c.over for pair in trunk.pairs for c in pair), 5, "its end")
        outgoing = phone.call(net.draw.peer)
        loop.until(lambda: outgoing.answered, 10, "the outgoing call")
        loop.sleep(net.draw.talk)
        phone.hang_up(outgoing)
        loop.until(lambda: all(c.over for pair in trunk.pairs for c in pair), 5, "its end")
        loop.sleep(1.0)
        return _of_both(trunk, phone, provider)

    return play


def _of_both(trunk: Trunk, phone: Phone, provider: Provider) -> Facts:
    """Of the calls in the LAN (incoming, outgoing) and those with the provider (trunk)."""
    here = facts_of(phone, trunk.inside, list(phone.calls.values()))
    there = facts_of(trunk, provider, list(trunk.calls.values()))
    for row in there["calls"]:
        row["name"] = "trunk"
    both: list[str] = ["addresses", "people", "call_ids", "calls", "dead_call_ids"]
    return here | {key: here[key] + there[key] for key in both} | {
        "phones": [here["phone"][0], there["phone"][0]], "provider": there["provider"],
    }  # fmt: skip


def _tapped(draw: Draw) -> str:
    return LOGGED.format(log=f"log group {GROUP} queue-threshold 1", helper="")


def _tapped_and_helped(draw: Draw) -> str:
    return LOGGED.format(log=f"log group {GROUP} queue-threshold 1", helper='ct helper set "sip"')


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
    Scenario(
        "30-tap-off", "the same agent, its own messages logged, no helper", False, False, lives,
        # Both copies of every message, in and out: nothing is one-sided, and nothing was changed.
        Truth([], f"{QUIET} {BUSY}"), nft=_tapped, group=GROUP, words=TAPPED, crowd=False,
    ),
    Scenario(
        "30-tap-on", "the same agent, its own messages logged, helper in the output path", True,
        False, lives,
        # The helper changes what comes in behind the last hook, so that is on the wan alone.
        Truth(
            [Must("ALG001", "router", "none")], f"{QUIET} {REWRITTEN} ALG009 {BUSY}",
            state="fine cannot-tell", ends=HALF,
        ), nft=_tapped_and_helped, group=GROUP, words=TAPPED, crowd=False,
    ),
    Scenario(
        "30-tap-dies", "the same agent, its own messages logged, and the Contact is left alone",
        False, True, dies,
        Truth(
            [Must("DLG002", "phone provider", HURT), Must("DLG001", "provider network", HURT)],
            f"{QUIET} {BUSY}", "DLG007", any_of=FIX_IT, dropped="incoming",
        ), nft=_tapped, group=GROUP, words=TAPPED, crowd=False,
    ),
    *(
        Scenario(
            f"30-tap-deaf-{word}", f"the agent takes no ACK, its messages logged, helper {word}",
            helper, True, hears_no_ack,
            # It is the phone's own fault, or not known where: never the router's.
            Truth(
                [Must("DLG001", "unknown phone", HURT)], f"{QUIET} {REWRITTEN} ALG009 {BUSY}",
                "DLG007", may_advise=FIX_IT, state="hurts",
                # Without a helper the log shows that the ACK came.
                ends={"incoming": "dropped seen|missing"},
            ), nft=nft, group=GROUP, words=TAPPED, crowd=False,
        )
        for word, helper, nft in (("on", True, _tapped_and_helped), ("off", False, _tapped))
    ),
    *(
        Scenario(
            f"30-tap-mute-{word}", f"the agent hears nothing, its messages logged, helper {word}",
            helper, True, hears_nothing,
            Truth(
                [], f"{QUIET} {REWRITTEN} ALG009 {BUSY}", "TXN003 TXN005",
                # The recording ends before it is sure that a REGISTER was not answered.
                state="hurts cannot-tell", live=[Must("REG001", "unknown phone", HURT)],
                filed=[] if helper else [Must("REG001", "unknown phone", HURT)],
            ), nft=nft, group=GROUP, words=TAPPED, crowd=False,
        )
        for word, helper, nft in (("on", True, _tapped_and_helped), ("off", False, _tapped))
    ),
    Scenario(
        "28-pbx-on", "a PBX on the router, at the WAN address, helper on", True, False, pbx(False),
        Truth(
            [Must("ALG009", "router", "none")], f"{QUIET} ALG017 CAP010",
            state="fine cannot-tell", ends=PBX,
        ),
    ),
    Scenario(
        "28-pbx-off", "a PBX on the router, at the WAN address, helper off", False, False,
        pbx(False),
        Truth(
            [Must("ALG009", "router", "none")], f"{QUIET} CAP010", state="fine cannot-tell",
            ends=PBX,
        ),
    ),
    Scenario(
        "28-pbx-tap", "a PBX on the router, its own messages logged, helper on", True, False,
        pbx(False),
        Truth(
            [Must("ALG009", "router", "none")], f"{QUIET} ALG017 CAP010 {BUSY}",
            state="fine cannot-tell", ends=PBX,
        ), words=TAPPED,
    ),
    Scenario(
        "28-pbx-lan", "a PBX on the router, at the LAN address, helper in the output path, too",
        True, False, pbx(True),
        # Its own messages are rewritten by the kernel's helper, its phone's are not copies of them.
        Truth(
            [Must("ALG009", "router", "none")], f"{QUIET} {REWRITTEN} CAP010 {BUSY}",
            state="fine cannot-tell", ends=PBX,
        ), words=TAPPED, nft=_helped,
    ),
]  # fmt: skip
