# SPDX-License-Identifier: Apache-2.0
"""CAP008: the clocks of the two captures differ.

What it sees
    The same messages on both sides of the router, all more than 250 ms apart by their time stamps,
    and all by the same difference, or by an evenly growing one.

Why it breaks calls
    It does not. Copies are paired by content and time, so clocks more than 250 ms apart would pair
    none. The difference is measured and removed: the WAN side is moved to the clock of the LAN side
    before anything is judged.

What else looks the same
    A clock was set during the capture, or a full line makes the router hold messages back for more
    than 125 ms. There is no single difference then, and nothing is compared.

Recommendation
    Capture both sides on the router itself, with its one clock. If the difference could not be
    removed, give both captures as files, with --lan and --wan.

References
    docs/pipeline.md, "Can the captures be trusted".
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.compare.clock_offset import Offset
from algwatch.compare.quality import Quality
from algwatch.diagnose.finding import Evidence, Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.recapture import ONE_CLOCK
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import CAPTURE
from algwatch.sip.timers import SECOND, WINDOW

RULE = Rule(
    "CAP008", "clocks-differ", "warning", CAPTURE, (),
    "The clocks of the two captures differ; the difference is taken out where it can be.",
)  # fmt: skip


def check(_: None, known: Known) -> Iterator[Finding]:
    quality = known.capture.quality
    if quality is None:
        return
    if quality.unsteady:
        text = (
            f"{_several(quality.pairs)} on both sides, and their times agree on no difference "
            "of the two clocks: one was set meanwhile, or messages waited in the router for long, "
            "or they are too few. So the sides "
            f"are not compared{'' if quality.late else ', and the LAN side alone is judged'}."
        )
        yield _finding(text, "one difference for all messages", quality, False)
        return
    offset = quality.offset
    if offset is None or offset.furthest < WINDOW or quality.same:
        return
    ahead = "LAN" if offset.ns > 0 else "WAN"
    text = (
        f"The clock of the {ahead} capture is {_time(offset.ns)} ahead of the other one"
        f"{_drift(offset)}, measured from {_several(offset.pairs)} (half of them within "
        f"{max(1, -(-offset.spread // 1_000_000))} ms): "
    )
    if quality.late:
        text += (
            "what cannot be read twice cannot be corrected, so the sides are not compared. Save "
            "both captures to files and give these."
        )
    else:
        text += "the WAN side is put on the LAN clock, so the sides can be compared."
    yield _finding(text, "within 250 ms of the other copy", quality, not quality.late)


def _finding(text: str, expected: str, quality: Quality, mended: bool) -> Finding:
    lan, wan = quality.lan, quality.wan
    if lan is None or wan is None:
        at = quality.offset.middle / 1e9 if quality.offset is not None else 0.0
        proof = [Evidence("wan", at, f"{_several(quality.pairs)} on both sides", expected, b"")]
    else:
        proof = [
            evidence(lan, f"a message on the LAN side at {_clock(lan.at)}", expected),
            evidence(wan, f"the same message on the WAN side at {_clock(wan.at)}", expected),
        ]
    return RULE.finding(
        "unknown", "none", text, proof, "capture", severity="info" if mended else "",
        next_step="" if mended else ONE_CLOCK,
    )  # fmt: skip


def _several(messages: int) -> str:
    return f"{messages} message{'' if messages == 1 else 's'}"


def _clock(at: float) -> str:
    return f"{at:.3f} s since 1970"


def _time(ns: int) -> str:
    """0.300 s, 3600.0 s (1 h), 86400.0 s (24 h)."""
    seconds = abs(ns) / SECOND
    hours = round(seconds / 3600)
    whole = f" ({hours} h: a time zone)" if hours and abs(seconds - 3600 * hours) < 60 else ""
    return f"{seconds:.3f} s{whole}"


def _drift(offset: Offset) -> str:
    if not offset.drift:
        return ""
    gains = "gains" if (offset.drift > 0) == (offset.ns > 0) else "loses"
    return f" and {gains} {abs(offset.drift) * 1e6:.0f} ppm"
