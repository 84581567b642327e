# SPDX-License-Identifier: Apache-2.0
"""IP fragments that somebody forges among those of true messages, on one side of the router, with
the IP ID of the true ones: they make no advice about the ALG, no blame and no all-clear."""

from __future__ import annotations

from functools import cache

import pytest
from algwatch.advise.advice import Advice
from algwatch.base.native import layout
from algwatch.base.packet import LAN, WAN, Batch, Tap
from algwatch.capture.reassembly import Reassembler
from algwatch.diagnose.finding import Finding
from algwatch.pipeline import Pipeline
from algwatch.report.render.verdict import FINE, HURTS, Verdict
from cases import CASES
from craft import House, Packet, batch, fragmented, frame
from forger import directed, ends_of, left_by_router, payload_of

HOUSES = "dlg001-stopped-inbound", "dlg005-route-not-reversed", "alg007-near-miss-counted-right"
MTU = 200
LATE = -100_000, 5_000  # ns behind the true first fragment
WHICH = {"first": slice(0, 1), "last": slice(-1, None), "all-but-last": slice(0, -1)}
CONTACT = b"Contact: <sip:", b"Contact: <sip:x@192.0.2.9>, <sip:"
VIA = b"SIP/2.0/UDP ", b"SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKx, SIP/2.0/UDP "


def judged(house: House, forged: list[Packet], side: int,
           live: bool) -> tuple[str, set[tuple[str, str]], bool]:  # fmt: skip
    """The state of the verdict, the rules that blame somebody for certain and the place, and
    whether anything about the ALG is advised."""
    pipeline = Pipeline([Tap("lan", LAN), Tap("wan", WAN)], strict=True)
    whole = [Reassembler(tap, (5060,), layout.REPLAY_KEY) for tap in (LAN, WAN)]
    true = [fragmented(packets, MTU) for packets in house.sorted()]
    parts = [(at, tap, data, False) for tap in (LAN, WAN) for at, data in true[tap]]
    parts += [(at, side, data, True) for at, data in forged]
    verdict, reports = Verdict(), []
    for at, tap, data, is_forged in sorted(parts, key=lambda part: part[:2]):
        made = batch([(at, data)], tap)
        if live:
            made = directed(made, not is_forged and left_by_router(house, tap, data))
        rows = memoryview(bytearray(made.rows))
        made = Batch(made.buffer, rows, made.ends, made.count, tap, made.watermark)
        reports += pipeline.feed(whole[tap].feed(made))
    reports += pipeline.finish()
    for report in reports:
        verdict.feed(report)
    verdict.settle(pipeline.counts())
    last = {r.key: r for r in reports if isinstance(r, Finding)}.values()
    blamed = {(f.rule, f.where) for f in last if f.hurts and f.certain}
    alg = any(isinstance(r, Advice) and "alg" in r.action and r.state != "none" for r in reports)
    return verdict.state, blamed, alg


@cache
def truth(name: str, live: bool) -> tuple[str, set[tuple[str, str]], bool]:
    return judged(CASES[name].make(), [], LAN, live)


@pytest.mark.parametrize("live", [False, True], ids=["files", "live"])
@pytest.mark.parametrize("side", [LAN, WAN], ids=["lan", "wan"])
@pytest.mark.parametrize("change", [CONTACT, VIA], ids=["contact", "via"])
@pytest.mark.parametrize("name", HOUSES)
def test_forged_fragments_gain_nothing(
    name: str, change: tuple[bytes, bytes], side: int, live: bool
) -> None:
    state, blamed, alg = truth(name, live)
    for begin in (b"INVITE", b"SIP/2.0 200"):
        house = CASES[name].make()
        at, data = next(p for p in house.sorted()[side] if payload_of(p).startswith(begin))
        ident = int.from_bytes(data[18:20])
        made = frame(payload_of((at, data)).replace(*change), *ends_of(data), data[22], ident)
        for late in LATE:
            for which, some in WHICH.items():
                forged = [(when + late, one) for when, one in fragmented([(at, made)], MTU)[some]]
                now = judged(house, forged, side, live)
                assert now[1] <= blamed and now[2] <= alg, (begin, late, which)
                assert not (state == HURTS and now[0] == FINE), (begin, late, which)
