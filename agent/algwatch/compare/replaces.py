# SPDX-License-Identifier: Apache-2.0
"""The dialog named by a Replaces header field, or by the Refer-To of a REFER (RFC 3891), and the
router's change of its name."""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter

from algwatch.base.sighting import CALL, FROM_TAG, TO_TAG
from algwatch.compare.call import Call
from algwatch.compare.crossing import Crossing
from algwatch.sip.message import Message

LONGEST = 2048  # bytes read of a header field
MOST_CALLS = 512  # the latest ones, searched for a name
MOST_READ = 64  # rewritten messages: a short name such as "a" is in all of them

_NAMES = itemgetter(CALL, FROM_TAG, TO_TAG)

Name = tuple[bytes, frozenset[bytes]]  # Call-ID, and the known tags


def replaced(payload: bytes) -> Name | None:
    """The dialog named by a message: in its own Replaces, or in the URI of its Refer-To."""
    if b"eplaces" not in payload:
        return None
    message = Message(payload)
    for value in message.header("Replaces"):
        return _name(value[:LONGEST])
    for value in message.header("Refer-To"):
        _, mark, rest = value[:LONGEST].partition(b"?")
        for header in rest.split(b">")[0].split(b"&") if mark else ():
            key, _, escaped = header.partition(b"=")
            if key.strip().lower() == b"replaces":
                return _name(_unescaped(escaped))
    return None


def _name(value: bytes) -> Name | None:
    call_id, *params = value.split(b";")
    tags = []
    for param in params:
        key, _, tag = param.partition(b"=")
        if key.strip().lower() in (b"to-tag", b"from-tag") and tag.strip() != b"0":
            tags.append(tag.strip())
    return (call_id.strip(), frozenset(tags)) if call_id.strip() else None


def _unescaped(text: bytes) -> bytes:
    """%3D and the like as bytes; other text stays (RFC 3986 section 2.1)."""
    head, *parts = text.split(b"%")
    made = [head]
    for part in parts:
        try:
            made.append(bytes((int(part[:2], 16),)) + part[2:])
        except ValueError:
            made.append(b"%" + part)
    return b"".join(made)


def _of(payload: bytes) -> Name:
    message = Message(payload)
    tags = (message.from_.tag, message.to.tag)
    return message.call_id, frozenset(tag for tag in tags if tag)


def _fits(wanted: Name, has: Name) -> bool:
    """True if the message may be of the dialog: a message without a To tag knows one tag only."""
    return wanted[0] == has[0] and (has[1] <= wanted[1] or not wanted[1])


def renamed(wanted: Name, calls: Iterable[Call], inside: bool) -> Crossing | None:
    """A message with another name for the wanted dialog on the searched side (inside: the LAN): the
    name there does not fit, the other side's does."""
    read = 0
    for call in calls:
        found = None
        for crossing in call.changed.values():
            if crossing.lan is None or crossing.wan is None:
                continue
            if _NAMES(crossing.lan.row) == _NAMES(crossing.wan.row):
                continue  # as of most, and known without reading
            # A sender of many calls and many names must not have all of them read.
            if wanted[0] not in crossing.lan.payload and wanted[0] not in crossing.wan.payload:
                continue
            read += 1
            if read > MOST_READ:
                return None
            lan, wan = _of(crossing.lan.payload), _of(crossing.wan.payload)
            here, there = (lan, wan) if inside else (wan, lan)
            if _fits(wanted, here):
                found = None
                break
            if _fits(wanted, there):
                found = crossing
        if found is not None:
            return found
    return None
