# SPDX-License-Identifier: Apache-2.0
"""A header field on one side of the router only, and the refusal for want of it."""

from __future__ import annotations

from algwatch.base.packet import LAN, WAN
from algwatch.base.sighting import Sighting, are_copies
from algwatch.compare.call import Call
from algwatch.compare.exchange import Exchange
from algwatch.sip.message import Message, via_count

_ANY: tuple[str, ...] = ()
_OUT_OF_DIALOG = ("INVITE", "SUBSCRIBE", "REFER")
# Header field of a request, the methods that need it (none named: all of them), and the status
# codes for its absence. RFC 3261 sections 8.1.1, 20.15, 22.4; RFC 3262 section 7.2; RFC 3515
# section 2.4.2; RFC 3903 section 6; RFC 6665 sections 4.1.3, 8.2.1, 8.3.2.
_WANTED = (
    ("Event", ("SUBSCRIBE", "NOTIFY", "PUBLISH"), (400, 489)),
    ("Subscription-State", ("NOTIFY",), (400,)),
    ("Refer-To", ("REFER",), (400,)),
    ("RAck", ("PRACK",), (400, 481)),
    ("SIP-If-Match", ("PUBLISH",), (400,)),
    ("Contact", _OUT_OF_DIALOG, (400,)),
    ("Content-Type", _ANY, (400, 415)),
    ("Max-Forwards", _ANY, (400,)),
    ("Authorization", ("SUBSCRIBE", "REFER", "PUBLISH", "MESSAGE"), (403,)),
    ("Proxy-Authorization", ("SUBSCRIBE", "REFER", "PUBLISH", "MESSAGE"), (403,)),
)
EXTENSION_REQUIRED = 421
# Refusals with the acceptable value, and its header field (RFC 3261 section 20.23, RFC 4028 section
# 5).
_LEAST = {423: "Min-Expires", 422: "Min-SE"}
_OFFERS = ("Supported", "Require", "Proxy-Require")


class TakenOut:
    """before, after: the copy that entered the router and the one that left it. name: of the header
    field; option: its missing option tag, "" if all of it is missing. refusal: the response, status
    its code. in_response: the field was in the refusal itself. by_proxy: the router adds a Via of
    its own."""

    __slots__ = ("after", "before", "by_proxy", "in_response", "name", "option", "refusal",
                 "status")  # fmt: skip

    def __init__(self, before: Sighting, after: Sighting, name: str, refusal: Sighting,
                 status: int, option: str = "") -> None:  # fmt: skip
        self.before = before
        self.after = after
        self.name = name
        self.option = option
        self.refusal = refusal
        self.status = status
        self.in_response = refusal is before
        self.by_proxy = via_count(before.payload) != via_count(after.payload)


def of_exchange(exchange: Exchange) -> TakenOut | None:
    """For a refused request."""
    left = exchange.left
    if left is None:
        return None
    entered = exchange.entered
    return found(entered.request, left.request, left.response, entered.response)


def of_call(call: Call) -> TakenOut | None:
    """For a refused INVITE, or a re-INVITE or UPDATE whose refusal ended the call."""
    cut = of_refresh(call)
    if cut is not None:
        return cut
    if call.inbound is None:
        return None
    near = call.sides[WAN if call.inbound else LAN]
    far = call.sides[LAN if call.inbound else WAN]
    if near is None or far is None or not far.rejected:
        return None
    return found(near.request, far.request, far.response, near.response)


def of_refresh(call: Call) -> TakenOut | None:
    """For a refused re-INVITE or UPDATE whose sender hung up at once."""
    lan, wan = call.dialog(LAN), call.dialog(WAN)
    if lan is None or wan is None or lan.refused is None or wan.refused is None:
        return None
    if not (lan.cut_short and wan.cut_short):
        return None
    one, two = (lan, wan) if lan.refused[0].at <= wan.refused[0].at else (wan, lan)
    assert one.refused is not None and two.refused is not None
    return found(one.refused[0], two.refused[0], two.refused[1], one.refused[1])


def is_unrefused(call: Call) -> bool:
    """No INVITE of it was refused, and no request that changes its session ended it."""
    for s in call.sides:
        if s is not None and (s.rejected or (s.current is not None and s.current.cut_short)):
            return False
    return True


def found(entered: Sighting | None, left: Sighting | None, refusal: Sighting | None,
           told: Sighting | None) -> TakenOut | None:  # fmt: skip
    """entered, left: the copies of the request; refusal, told: of its response, as it came and as
    it reached the sender of the request."""
    if entered is None or left is None or refusal is None or not are_copies(entered, left):
        return None
    answer = Message(refusal.payload)
    status = answer.status
    least = _LEAST.get(status, "")
    if least and told is not None and are_copies(refusal, told):
        if answer.header(least) and not Message(told.payload).header(least):
            return TakenOut(refusal, told, least, refusal, status)
        return None
    if entered.payload == left.payload:
        return None
    one, two = Message(entered.payload), Message(left.payload)
    if status == EXTENSION_REQUIRED:
        asked = _tags(answer, ("Require",))
        for name in _OFFERS:
            gone = asked & _tags(one, (name,)) - _tags(two, _OFFERS)
            if gone:
                return TakenOut(entered, left, name, refusal, status, min(gone))
        return None
    for name, methods, statuses in _WANTED:
        if status not in statuses or (methods and one.method not in methods):
            continue
        if name == "Content-Type" and not two.body:
            continue  # a message without a body does not need it
        if name == "Proxy-Authorization" and via_count(entered.payload) != via_count(left.payload):
            continue  # a proxy takes out its own (RFC 3261 section 22.3)
        if one.header(name) and not two.header(name):
            return TakenOut(entered, left, name, refusal, status)
    return None


def _tags(message: Message, names: tuple[str, ...]) -> set[str]:
    """The option tags of these header fields, in lower case."""
    values = b",".join(value for name in names for value in message.header(name))
    return {tag.strip().lower().decode("latin-1") for tag in values.split(b",") if tag.strip()}
