# SPDX-License-Identifier: Apache-2.0
"""An unsolicited call: scanners ring phones with an open port on the WAN side (ghost calls)."""

from __future__ import annotations

from algwatch.base import address
from algwatch.base.packet import WAN
from algwatch.compare.call import Call
from algwatch.diagnose.known import Known
from algwatch.sip.message import Message


def called_by_stranger(call: Call, known: Known) -> bool:
    """True if the call came from a host without an accepted REGISTER of its phone, its To names an
    IP address and no domain (anybody can try one), and the phone has registered elsewhere."""
    line, s, pair = known.line(call), call.sides[WAN], call.flow_pair
    if not call.inbound or line is None or line.is_own or s is None or pair is None:
        return False
    if s.request is None or not address.is_literal(Message(s.request.payload).to.host):
        return False
    own = pair.line[:16], pair.line[16:]
    return any(
        one.binding is not None
        and one.binding.near.asked.packed_ends[:16] == own[0]
        and one.binding.near.asked.packed_ends[16:32] != own[1]
        for one in known.registered()
    )
