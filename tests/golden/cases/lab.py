# SPDX-License-Identifier: Apache-2.0
"""Golden cases of verdicts that were wrong on recorded runs of the lab."""

from __future__ import annotations

from collections.abc import Sequence

from craft import House, Outgoing, answer, outgoing_call, register, request, sdp

from cases.case import ALG, DLG, case
from cases.qualify import ONCE, REPEATED
from cases.rewrite import _parts

# ---- fingerprint of the helper's Content-Length ----


@case("alg007-near-miss-not-the-helper", [("ALG006", "router", "none")],
      ["ALG007", "DLG009", *DLG])  # fmt: skip
def _() -> House:
    """A router that translates the address in a body of two parts and counts all of it. Nothing is
    damaged, and it is not the kernel's helper, which would have counted from "v=" on."""
    house = House("linux", phone="10.0.0.9")
    register(house, 0)
    call = Outgoing(house, "right@phone")
    call.invite(1, lan=False, wan=False)
    call.invited = _parts(call.invited)
    call.invite(1)
    call.respond(1.05, 100)
    call.respond(1.2, 200, sdp(house.provider, 20000))
    call.ack(1.22)
    call.bye(9)
    return house


# ---- an end that is away for a while ----

ASKED = 4.0  # seconds between two OPTIONS


def _asked(house: House, until: float, away: tuple[float, float],
           ladder: Sequence[float] = REPEATED) -> None:  # fmt: skip
    """The provider asks the phone every ASKED seconds. The phone says nothing while it is away:
    what is asked then is repeated as the ladder says, or waits in a queue and is answered later."""
    leave, come = away
    for n in range(int(until / ASKED)):
        at = 5 + ASKED * n
        made = request("OPTIONS", f"sip:100@{house.public}", via=f"{house.provider}:5060",
                       branch=f"z9hG4bKq{n}", call_id=f"q{n}@provider", cseq=1)  # fmt: skip
        for after in ladder:
            seen = house.into(at + after, made)
            if not leave < at + after < come:
                house.out(at + after + 0.01, answer(200, seen))
                break
        else:
            if ladder is ONCE:
                house.out(come + n / 1000, answer(200, seen))


@case("txn005-near-miss-phone-is-away",
      [("TXN004", "phone", "latent"), ("TXN004", "unknown", "none")],
      ["TXN005", "TXN003", *DLG, *ALG])  # fmt: skip
def _() -> House:
    """A phone is asked every 4 s, and says nothing for 36 s. Each OPTIONS of that time is repeated
    until it answers again: that is one silence, and no packet after another that gets lost."""
    house = House()
    register(house, 0)
    _asked(house, 72, (16, 52))
    outgoing_call(house, 80, "later@phone")
    return house


@case("txn004-answers-late", [("TXN004", "phone", "latent"), ("TXN004", "unknown", "none")],
      ["TXN005", "TXN003", *DLG, *ALG])  # fmt: skip
def _() -> House:
    """A phone is suspended for 36 s, and answers all OPTIONS that were waiting for it then, the
    first of them after Timer F."""
    house = House()
    register(house, 0)
    _asked(house, 60, (16, 52), ONCE)
    outgoing_call(house, 80, "later@phone")
    return house


@case("txn004-near-miss-one-late", must_not=["TXN004", "TXN005", "TXN003", *DLG, *ALG])
def _() -> House:
    """One OPTIONS is answered after 9 s, and the next one at once: no outage."""
    house = House()
    register(house, 0)
    _asked(house, 60, (16.5, 20), ONCE)
    made = request("OPTIONS", f"sip:100@{house.public}", via=f"{house.provider}:5060",
                   branch="z9hG4bKslow", call_id="slow@provider", cseq=1)  # fmt: skip
    house.out(79, answer(200, house.into(70, made)))
    outgoing_call(house, 90, "later@phone")
    return house
