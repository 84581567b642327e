# SPDX-License-Identifier: Apache-2.0
"""Neighbour: a LAN host beside the phone sent what the phone seems to owe, and the router stopped
it. It may be the phone itself under another address, or anybody."""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base.native.layout import ACK, INVITE, METHOD_NAMES, PRACK, UPDATE
from algwatch.base.sighting import CALL, METHOD
from algwatch.compare.exchange import Exchange
from algwatch.compare.joined import Joined
from algwatch.diagnose import cause
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known

Kind = tuple[int, int, bool]  # as in Known.neighbour()
OWED = ((ACK, False), (INVITE, True), (PRACK, False), (UPDATE, False), (INVITE, False),
        (UPDATE, True))  # fmt: skip


def share(finding: Finding, thing: object, known: Known) -> None:
    """Take the blame off a phone if a neighbour's message was stopped that may be its own."""
    if finding.where != "phone" or finding.cause not in (cause.PHONE, cause.UNKNOWN):
        return
    for kind in _owed(thing):
        host = known.neighbour(*kind)
        if not host:
            continue
        _, method, response = kind
        name = METHOD_NAMES[method]
        what = f"a response to the {name}" if response else f"{_an(name)} {name}"
        finding.where, finding.cause, finding.certain = "unknown", cause.UNKNOWN, False
        finding.summary = (
            f"{finding.summary.removesuffix('.')}; but {host} here sent {what}, which did not "
            "leave: the phone by another address, or another host."
        )
        finding.next_step = (
            "Look which host here has that address (ip neigh on the router): if it is the phone, "
            "look why the router lets nothing of it out (nft list ruleset); else look at the log "
            "of the phone."
        )
        return


def _owed(thing: object) -> Iterator[Kind]:
    if isinstance(thing, Exchange):
        if thing.request is not None:
            yield thing.request.row[CALL], thing.request.row[METHOD], True
    elif isinstance(thing, Joined):
        for key in thing.keys:
            for method, response in OWED:
                yield key, method, response


def _an(name: str) -> str:
    return "an" if name[0] in "AEIOU" else "a"
