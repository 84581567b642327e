# SPDX-License-Identifier: Apache-2.0
"""BYEs refused with 481: with the tags of a call and another Call-ID, one is the BYE of its other
end, which some device gave another name."""

from __future__ import annotations

from algwatch.base.native.layout import BYE
from algwatch.base.sighting import FROM_TAG, TO_TAG, Sighting
from algwatch.base.table import Table
from algwatch.compare.exchange import Exchange
from algwatch.sip.message import Message
from algwatch.sip.status_codes import NO_DIALOG

KEPT = 32
LONGEST = 128  # bytes of a name

Name = tuple[bytes, bytes, bytes]  # From tag, To tag, Call-ID


class StrayByes:
    """Remembers the names of the latest refused BYEs: calls of which only the BYE came are soon
    forgotten."""

    def __init__(self) -> None:
        self._names: Table[tuple[int, int], Name] = Table(KEPT)

    def feed(self, exchanges: list[Exchange]) -> None:
        for one in exchanges:
            request = one.request
            if one.entered.method != BYE or one.status != NO_DIALOG or request is None:
                continue
            name = _name(request)
            if all(name) and max(map(len, name)) <= LONGEST:
                self._names.add((request.row[FROM_TAG], request.row[TO_TAG]), name)

    def of_other_end(self, bye: Sighting) -> bytes:
        """bye: the BYE of one end. The Call-ID of the other end's, if it is another one; else b""
        (RFC 3261 section 12.2.2)."""
        found = self._names.get((bye.row[TO_TAG], bye.row[FROM_TAG]))
        if found is None:
            return b""
        from_tag, to_tag, call_id = _name(bye)
        # Rows have hashes of the tags only.
        same = found[:2] == (to_tag, from_tag)
        return found[2] if same and found[2] != call_id else b""


def _name(bye: Sighting) -> Name:
    message = Message(bye.payload)
    return bytes(message.from_.tag), bytes(message.to.tag), bytes(message.call_id)
