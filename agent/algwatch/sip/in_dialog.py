# SPDX-License-Identifier: Apache-2.0
"""Requests that change a dialog, early or not, except INVITE: UPDATE (RFC 3311) and PRACK (RFC
3262)."""

from __future__ import annotations

from algwatch.base.native.layout import PRACK
from algwatch.base.packet import Batch
from algwatch.base.sighting import AT, STATUS
from algwatch.sip.dialog import DialogSet
from algwatch.sip.reliable import acknowledged
from algwatch.sip.target import moved
from algwatch.sip.transaction import FINAL, REQUEST, REQUEST_AGAIN, Event


def in_dialog(s: DialogSet | None, event: Event, batch: Batch) -> None:
    """s: the dialog set of the request's Call-ID, None if not known. An UPDATE of an early dialog
    is answered before any 2xx to the INVITE. The Contact of this 2xx is then the remote target."""
    code, t, row, i = event
    if t.method == PRACK:
        if s is not None and code in (REQUEST, REQUEST_AGAIN):
            s.pracked_at = row[AT]
            if code == REQUEST:
                s.prack = t
                s.pracked = acknowledged(batch.sighting(s.side, row, i))
        return
    if code == REQUEST:
        if s is not None:
            t.request = batch.sighting(s.side, row, i)
        return
    d = s.of(row) if s is not None else None
    if s is None or d is None or code != FINAL or t.request is None:
        return
    if 200 <= row[STATUS] < 300:
        answer = batch.sighting(s.side, row, i)
        d.moved = moved(d.moved, t.from_tag == s.caller_tag, t.request, answer)
