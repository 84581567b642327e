# SPDX-License-Identifier: Apache-2.0
"""Astray: messages that the router let pass under the Call-ID of its other side."""

from __future__ import annotations

from algwatch.compare.call import Call
from algwatch.sip.dialog import DialogSet


def is_astray(call: Call, s: DialogSet) -> bool:
    """True if these messages came to their side under the other side's Call-ID: they are not this
    side's view of the call."""
    if (own := call.sides[s.side]) is None or own.call == s.call:
        return False
    if s not in call.astray and len(call.astray) < 2:
        call.astray = (*call.astray, s)
    return True


def part(one: Call, two: Call, lan: int, wan: int) -> bool:
    """Join two calls that share a side, if one of them has there only messages left under the other
    side's Call-ID. lan, wan: the call's Call-ID hash on each side. False if both saw the beginning
    there: they are two calls."""
    every = [s for call in (one, two) for s in (*call.sides, *call.astray) if s is not None]
    astray = [s for s in every if s.call != (lan, wan, s.call)[s.side]]
    rest = [s for s in every if s not in astray]
    if len({s.side for s in rest}) < len(rest) or not all(s.partial for s in astray):
        return False
    for s in rest:
        one.sides[s.side] = two.sides[s.side] = s
    one.astray = tuple(astray)
    two.astray = ()
    return one.absorb(two)
