# SPDX-License-Identifier: Apache-2.0
"""A transaction that fails is never beside an all-clear, and its refusal never the ALG's."""

from __future__ import annotations

import pytest
from algwatch.advise.actions import DISABLE, KEEP
from algwatch.diagnose import cause
from algwatch.diagnose.refused import LACKS
from algwatch.report.render.verdict import FINE
from algwatch.sip.status_codes import NO_FAULT
from refusals import FAR, HELD, INSIDE, OUTSIDE, STOPPED, Row, judged, rows

OTHER_SESSION = (486, 487, 488, 603, 606)


def is_ordinary(row: Row) -> bool:
    """A transaction that ends well, or is declined: by a person, for a number of nobody, or for
    another session (RFC 3261 section 14.1: the one before goes on; after a 491 it is asked for once
    more). Any answer to OPTIONS is a good one, and 481 to a NOTIFY without a subscription is right
    (RFC 6665 section 4.1.3), as is what a phone without a lamp for it answers."""
    method, fate = row.method.removeprefix("in "), row.fate
    if isinstance(fate, str):
        return False
    if fate == 200 or method == "OPTIONS":
        return True
    if method in ("MESSAGE", "REFER", "INVITE"):
        return fate in NO_FAULT or (method == "INVITE" and row.by == FAR and fate == 302)
    if method in ("UPDATE", "re-INVITE"):
        return fate in OTHER_SESSION
    return method == "NOTIFY" and (fate == 481 or (row.method == method and fate in LACKS))


@pytest.mark.parametrize("method", [*OUTSIDE, *INSIDE])
def test_every_failed_transaction_has_a_finding_or_cannot_be_told(method: str) -> None:
    wrong = []
    for row in rows(method):
        said = judged(row)
        if (said.state == FINE) != is_ordinary(row):
            wrong.append(f"{row}: {said.state}, {said.why}")
        if said.failures or (said.state != FINE and not (said.why and said.next)):
            wrong.append(f"{row}: {said.failures}, no reason or no next step")
        if any(one.action in (DISABLE, KEEP) for one in said.advice):
            wrong.append(f"{row}: an advice about the ALG, which changes nothing here")
        stopped = row.fate in (STOPPED, HELD) and row.files == "both" and not row.tcp
        if any(one.where == "router" for one in said.findings) != stopped:
            wrong.append(f"{row}: told in the wrong place")
        if any(one.cause == cause.ALG for one in said.findings):
            wrong.append(f"{row}: the ALG is blamed")
    assert not wrong
