# SPDX-License-Identifier: Apache-2.0
"""Habits: what else chance decides about a run, without making its scenario another one."""

from __future__ import annotations

import copy
import random

from .draw import Draw
from .forms import Forms

DISPLAYS = ["", "", "Jana", "Jonas Kranz", '"Kranz, Jonas"', '"Jörg \\"Jogi\\" Lübbe"']
AGENTS = ["Gigaset N510 IP PRO/42.258", "FPBX-16.0.40(18.9.0)", "Yealink SIP-T46S 66.86.0.15"]
METHODS = "INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY, REFER, INFO, MESSAGE, SUBSCRIBE"


def widen(draw: Draw) -> None:
    """Draws forms of both ends, more names, extra fields, times, the way to the provider, and how
    many phones of another provider are in the house. From a chance of its own: the rest of the
    draw stays what it was.
    """
    chance = random.Random(f"habits of {draw.seed}")
    draw.forms, draw.provider_forms = Forms.drawn(chance), Forms.drawn(chance)
    draw.display, draw.provider_display = chance.choice(DISPLAYS), chance.choice(DISPLAYS)
    if chance.random() < 0.4:
        draw.user = _number(chance)
    if chance.random() < 0.3:
        draw.peer = f"{chance.choice(['info', 'office', 'kim'])}-{_number(chance)}"
    draw.bare = chance.random() < 0.2
    draw.extra = _extra(chance)
    draw.delay = chance.choice([0.0, 0.0, chance.uniform(0.002, 0.06)])
    draw.ring = chance.choice([chance.uniform(0.05, 0.6), chance.uniform(0.6, 2.5)])
    draw.talk = chance.choice([chance.uniform(0.4, 1.5), chance.uniform(1.5, 4.0)])
    draw.crowd = chance.choice([0, 0, 1, 1, 2, 3])


def plain_sizes(draw: Draw) -> None:
    """For a scenario in which the size of messages decides."""
    draw.extra = []
    draw.forms = copy.copy(draw.forms)
    draw.forms.fold = False


def _number(chance: random.Random) -> str:
    return "".join(chance.choices("123456789", k=chance.choice([7, 9, 11])))


def _extra(chance: random.Random) -> list[tuple[str, str]]:
    fields = [
        ("User-Agent", chance.choice(AGENTS)), ("Allow", METHODS),
        ("Supported", "replaces, outbound, path"), ("Accept", "application/sdp"),
        ("Accept-Language", "de, en;q=0.7"), ("X-Line", f"{chance.randint(1, 9)}; of=9"),
    ]  # fmt: skip
    return chance.sample(fields, chance.choice([0, 1, 3, 6]))
