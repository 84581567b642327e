# SPDX-License-Identifier: Apache-2.0
"""Scenarios with endpoints that nobody here has written: baresip registers at kamailio, and sipp
calls and is called through it.
"""

from __future__ import annotations

import signal
from typing import Any

from lab.draw import Draw
from lab.loop import Loop
from lab.network import Network
from lab.real.endpoints import Real
from lab.truth import Must, Truth

from .calls import ADD_ROUTE, BYPASSED
from .scenario import FIX_IT, HURT, NOT_FIXED, QUIET, REWRITTEN, Facts, Play, Say, Scenario

STARTED = 0.7  # seconds until baresip takes commands


def _facts(real: Real, calls: dict[str, str], **more: Any) -> Facts:
    """What the provider's network card carried. calls: Call-ID -> name."""
    draw = real.draw
    rows: list[dict[str, Any]] = [
        {
            "name": name,
            "call_id": call_id,
            "incoming": name == "incoming",
            "outcome": "dropped" if name in more.get("dropped", ()) else "completed",
            "acked": bool(real.saw("ACK", call_id=call_id)),
            "sent_finals": len(real.saw("INVITE", 200, call_id)),
            "acks": [],
        }
        for call_id, name in calls.items()
    ]
    known = [*calls, *real.call_ids("REGISTER"), *real.call_ids("OPTIONS")]
    return {
        "seed": draw.seed,
        "addresses": sorted(draw.addresses()),
        "phone": [draw.phone_ip, draw.phone_port],
        "contact_port": draw.phone_port,
        "provider": [draw.provider_ip, 5060],
        "caller": [draw.caller_ip, draw.caller_port],
        "wan_ip": draw.wan_ip,
        "people": [draw.user, draw.peer],
        "call_ids": known,
        "calls": rows,
        "dead_call_ids": [r["call_id"] for r in rows if r["outcome"] != "completed"],
        "must_name": {},
    } | more


def _registered(real: Real, **habits: Any) -> None:
    real.kamailio(**habits)
    real.baresip()
    real.until("REGISTER", 200)


def _called(real: Real) -> str:
    """sipp calls, and the call completes."""
    real.caller()
    call_id = real.until("INVITE").get("Call-ID")
    real.until("BYE", 200, 15, call_id)
    return call_id


def _calls(real: Real) -> str:
    """baresip calls sipp and hangs up."""
    real.callee()
    before = set(real.call_ids("INVITE"))
    real.tell("dial", f"sip:{real.draw.peer}@{real.draw.provider_ip}")
    real.loop.until(lambda: len(real.call_ids("INVITE")) > len(before), 5, "the INVITE of baresip")
    (call_id,) = set(real.call_ids("INVITE")) - before
    real.until("ACK", call_id=call_id)
    real.loop.sleep(real.draw.talk)
    real.tell("hangup")
    real.until("BYE", 200, 10, call_id)
    return call_id


def both_ways(loop: Loop, net: Network, say: Say) -> Facts:
    """1, 2 and 16: kamailio fixes the Contact of endpoints and of nobody else."""
    with Real(loop, net) as real:
        _registered(real)
        incoming = _called(real)
        outgoing = _calls(real)
        loop.sleep(1.0)
        return _facts(real, {incoming: "incoming", outgoing: "outgoing"})


def _dying(name: str, **habits: Any) -> Play:
    def play(loop: Loop, net: Network, say: Say) -> Facts:
        """4 and 14: a second baresip calls, and its ACK does not come to the phone."""
        with Real(loop, net) as real:
            _registered(real, **habits)
            real.baresip(calls=True)
            loop.sleep(STARTED)
            user = f"sip:{net.draw.user}@{net.draw.provider_ip}"
            real.tell("dial", user, caller=True)
            call_id = real.until("INVITE").get("Call-ID")
            real.until("INVITE", 200, 10, call_id)
            loop.sleep(36.0)
            return _facts(
                real, {call_id: "incoming"}, dropped=("incoming",),
                must_name={name: [real.draw.phone_ip if name == "DLG002" else real.draw.caller_ip]},
            )  # fmt: skip

    return play


def fixed_for_everybody(loop: Loop, net: Network, say: Say) -> Facts:
    """15: the first of two proxies calls fix_nated_contact() for every reply, also for those of
    the second one.
    """
    second = net.draw.far_ips[0]
    with Real(loop, net) as real:
        real.kamailio(host=second, fix="nobody")
        _registered(real, fix="every", to=f"{second}:5060")
        real.callee()
        real.tell("dial", f"sip:{real.draw.peer}@{real.draw.provider_ip}")
        call_id = real.until("INVITE").get("Call-ID")
        real.until("ACK", call_id=call_id)
        loop.sleep(36.0)
        return _facts(real, {call_id: "outgoing"}, dropped=("outgoing",))


def pinged(loop: Loop, net: Network, say: Say) -> Facts:
    """21: kamailio's nathelper sends OPTIONS; the phone's process is stopped, and goes on later."""
    with Real(loop, net) as real:
        _registered(real, ping=4)
        real.until("OPTIONS", 200, 15)
        loop.sleep(5.0)
        real.phone.send_signal(signal.SIGSTOP)
        try:
            loop.sleep(36.0)
        finally:
            real.phone.send_signal(signal.SIGCONT)
        loop.sleep(9.0)
        return _facts(real, {})


def through_pbx(loop: Loop, net: Network, say: Say) -> Facts:
    """28: baresip on the router is a B2BUA; a phone calls through it, and is hung up."""
    with Real(loop, net) as real:
        real.tap(net.router, "br-lan", real.inside)
        real.kamailio()
        real.pbx()
        real.until("REGISTER", 200)
        real.baresip(pbx=True)
        loop.sleep(STARTED)
        there = _calls(real)
        loop.sleep(1.0)
        (here,) = {p.sip.get("Call-ID") for p in real.inside if p.sip and p.sip.method == "INVITE"}
        facts = _facts(real, {there: "trunk"}, phones=[net.draw.phone_ip, net.draw.wan_ip])
        row = facts["calls"][0] | {"name": "outgoing", "call_id": here}
        known = {"calls": [*facts["calls"], row], "call_ids": [*facts["call_ids"], here]}
        return facts | known | {"people": [*facts["people"], net.draw.other_user, "pbx"]}


def _at_address(draw: Draw) -> None:
    draw.domain = draw.provider_ip


MEDIA = "SDP001 SDP003"

SCENARIOS = [
    Scenario(
        "1-real", "baresip, kamailio and sipp, helper off", False, False, both_ways,
        Truth([], QUIET), tune=_at_address,
    ),
    Scenario(
        "2-real", "baresip, kamailio and sipp, helper on", True, False, both_ways,
        Truth([Must("ALG014", "router", "none")], f"{QUIET} {REWRITTEN}"), tune=_at_address,
    ),
    *(
        Scenario(
            f"28-real-{word}", f"baresip on the router as a B2BUA, helper {word}", helper, False,
            through_pbx,
            Truth(
                [Must("ALG009", "router", "none")], f"{QUIET} CAP002 CAP010",
                state="fine cannot-tell",
                ends=dict.fromkeys(("outgoing", "trunk"), "completed seen|unknown"),
            ), tune=_at_address, words=("--own-phones", "on"),
        )
        for word, helper in (("on", True), ("off", False))
    ),
    Scenario(
        "4-real", "kamailio leaves the Contact of replies alone", False, True,
        _dying("DLG002", fix="nobody"),
        # Two phones, and nobody who finds their media: that is one-way as well.
        Truth(NOT_FIXED, QUIET, f"DLG007 {MEDIA}", any_of=FIX_IT, dropped="incoming"),
        tune=_at_address,
    ),
    *(
        Scenario(
            f"14-real-{word}", f"kamailio without Record-Route, helper {word}", helper, True,
            _dying("DLG004", record=False),
            Truth(
                BYPASSED, f"{QUIET} {REWRITTEN}" if helper else QUIET, f"DLG007 {MEDIA}",
                advice=ADD_ROUTE, dropped="incoming", may_advise=FIX_IT,
            ), tune=_at_address,
        )
        for word, helper in (("on", True), ("off", False))
    ),
    Scenario(
        "15-real", "kamailio fixes the Contact of every reply", False, True, fixed_for_everybody,
        Truth(
            [Must("DLG003", "provider", HURT)], QUIET, "DLG001 DLG006 DLG007 TXN003 DLG008",
            advice={"provider-fix-contact": "recommended suspected"},
            ends={"outgoing": "dropped missing|seen"}, state="hurts",
        ), tune=_at_address,
    ),
    Scenario(
        "16-real", "kamailio fixes the Contact of endpoints only", False, False, both_ways,
        Truth([], QUIET), tune=_at_address,
    ),
    Scenario(
        "21-real", "kamailio pings a phone that dies and returns", False, True, pinged,
        Truth(
            [Must("TXN004", "phone")], f"{QUIET} TXN003 TXN004", "TXN004 TXN005",
            state="fine hurts",
        ), tune=_at_address,
    ),
]  # fmt: skip
