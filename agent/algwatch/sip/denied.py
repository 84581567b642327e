# SPDX-License-Identifier: Apache-2.0
"""Denied: a wish for another session inside a call that is refused, or granted in words only (RFC
3261 section 14, RFC 3264 section 8.4)."""

from __future__ import annotations

from algwatch.base.sighting import FROM_TAG, STATUS, TO_TAG, Sighting
from algwatch.sip.message import Message
from algwatch.sip.status_codes import ANEW

GLARE = 491
# A person declined, or its sender took it back.
_SAYS_NOTHING = (486, 487, 600, 603)
# The other end has no such media, and the session goes on as it was (section 14.1). A hold needs
# none.
_OTHER_MEDIA = (415, 488, 606)
_WAYS = (b"sendrecv", b"sendonly", b"recvonly", b"inactive")
SENDRECV = b"sendrecv"
INACTIVE = b"inactive"
_HOLDS = (b"sendonly", INACTIVE)
NOBODY: frozenset[int] = frozenset()


class Denied:
    """asked, reply: the latest request and its response; count: such requests in a row of one
    sender; hold: it asked for hold. With a 2xx and no hold, it took the call off hold in vain."""

    __slots__ = ("asked", "count", "hold", "reply")

    def __init__(self, asked: Sighting, reply: Sighting, count: int, hold: bool) -> None:
        self.asked = asked
        self.reply = reply
        self.count = count
        self.hold = hold


def denied(before: Denied | None, asked: Sighting, reply: Sighting,
           crossed: bool, holders: frozenset[int] = NOBODY) -> Denied | None:  # fmt: skip
    """After the final response to a re-INVITE or UPDATE. crossed: the other end waits for the
    response to one of its own (section 14.2). holders: see Dialog."""
    status = reply.row[STATUS]
    if status < 300:
        hold = is_unheld(asked, reply)
        resumes = asked.row[FROM_TAG] in holders and asked.row[TO_TAG] not in holders
        if not hold and not (resumes and is_unresumed(asked, reply)):
            return None
    else:
        if (status == GLARE and crossed) or met_another(reply):
            return before
        way, old = _audio(asked)
        hold = way in _HOLDS or old
        if status in _SAYS_NOTHING or (status in _OTHER_MEDIA and not hold):
            return before if before is None or before.reply.row[STATUS] not in ANEW else None
    again = before is not None and before.asked.row[FROM_TAG] == asked.row[FROM_TAG]
    return Denied(asked, reply, before.count + 1 if before is not None and again else 1, hold)


def met_another(reply: Sighting) -> bool:
    """A 500 that asks to try again: its request crossed another one, as with 491 (RFC 3261 section
    14.2)."""
    return reply.row[STATUS] == 500 and bool(Message(reply.payload).header("Retry-After"))


def is_unheld(asked: Sighting, reply: Sighting) -> bool:
    """The offer is a hold, and the answer goes on in both directions (RFC 3264 section 6.1)."""
    offered, old = _audio(asked)
    return offered in _HOLDS and not old and _audio(reply)[0] == SENDRECV


def is_unresumed(asked: Sighting, reply: Sighting) -> bool:
    """The offer is in both directions, and after the answer its sender sends no RTP: the address
    is 0.0.0.0 (RFC 3264 section 8.4), or the stream inactive."""
    offered, old = _audio(asked)
    if offered != SENDRECV or old:
        return False
    answered, held = _audio(reply)
    return held or answered == INACTIVE


def holding(holders: frozenset[int], asked: Sighting) -> frozenset[int]:
    """The ends with the call on hold after an accepted offer, by their tag; holders: before."""
    way, old = _audio(asked)
    sender = asked.row[FROM_TAG]
    if old or way in _HOLDS:
        return holders | {sender}
    return holders - {sender} if way and sender in holders else holders


def _audio(copy: Sighting) -> tuple[bytes, bool]:
    """Direction of the first stream, b"" without one, and a hold as in RFC 2543 (c=0.0.0.0)."""
    way, found, session, old = b"", False, SENDRECV, False
    for line in Message(copy.payload).body.splitlines()[:64]:
        if line.startswith(b"m="):
            if found:
                break
            found, way = True, session
            if line.split(b" ")[1:2] == [b"0"]:
                return b"", False
        elif line.startswith(b"c=IN IP4 0.0.0.0"):
            old = True
        elif line.startswith(b"a=") and line[2:].strip() in _WAYS:
            way = line[2:].strip()
            if not found:
                session = way
    return (way, old) if found else (b"", False)
