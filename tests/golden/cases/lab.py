# SPDX-License-Identifier: Apache-2.0
"""Golden cases of verdicts that were wrong on recorded runs of the lab."""

from __future__ import annotations

from craft import House, Outgoing, register, sdp

from cases.case import DLG, case
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
