# SPDX-License-Identifier: Apache-2.0
"""The golden captures, a family a file: one function a behaviour.

The verdict of each (`must`, `must_not`, `advice`, `state`) is written by hand from what the
RFCs demand of the messages. The program's output is recorded beside it (expected.json), and
never the other way round: a case whose verdict does not hold cannot be accepted.
"""

from __future__ import annotations

from cases import (
    alg,
    cancel,
    cap,
    dlg,
    drops,
    elsewhere,
    endings,
    forked,
    lab,
    loss,
    msg,
    nat,
    pairing,
    qualify,
    quality,
    refresh,
    reg,
    registrations,
    reports,
    response,
    retargeted,
    rewrite,
    route,
    sdp,
    served,
    streams,
    taken_out,
    txn,
    uncaptured,
    unread,
    variants,
    variants_field,
    variants_reported,
)
from cases.case import CASES, Case

__all__ = [
    "CASES",
    "Case",
    "alg",
    "cancel",
    "cap",
    "dlg",
    "drops",
    "elsewhere",
    "endings",
    "forked",
    "lab",
    "loss",
    "msg",
    "nat",
    "pairing",
    "qualify",
    "quality",
    "refresh",
    "reg",
    "registrations",
    "reports",
    "response",
    "retargeted",
    "rewrite",
    "route",
    "sdp",
    "served",
    "streams",
    "taken_out",
    "txn",
    "uncaptured",
    "unread",
    "variants",
    "variants_field",
    "variants_reported",
]
