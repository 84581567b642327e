# SPDX-License-Identifier: Apache-2.0
"""Scenario: a play, and its truth, declared before any verdict is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lab.draw import Draw
from lab.loop import Loop
from lab.network import Network
from lab.truth import Must, Truth

Facts = dict[str, Any]
Say = Callable[[str], None]
Play = Callable[[Loop, Network, Say], Facts]

HURT = "observed certain"
# Findings that any capture may have without harm: how it was taken, which NAT there is.
QUIET = "CAP001 CAP003 CAP005 CAP007 NAT001 NAT003 NAT004 NAT006 REG005"
# Findings about every message that the kernel's helper rewrites.
REWRITTEN = "ALG001 ALG002 ALG003 ALG006 ALG010 ALG014 ALG017"
FIX_IT = "enable-rport-stun-outbound provider-fix-contact"
NOT_FIXED = [Must("DLG002", "phone provider", HURT), Must("DLG001", "provider network", HURT)]
SUSPECTED = "disable-sip-alg:suspected"


class Scenario:
    """number, title: as in scenarios.md. helper: state of the ALG at the start. slow: something in
    it dies, which takes its 32 s. short: part of the short form. tune: changes the draw before the
    network is built. words: options of `algwatch run`. crowd: phones of another provider may
    be in the house (crowd.py). group: of NFLOG, recorded in the place of br-lan. network: options
    of Network.
    """

    def __init__(
        self,
        number: str,
        title: str,
        helper: bool,
        slow: bool,
        play: Play,
        truth: Truth,
        short: bool = False,
        tune: Callable[[Draw], None] | None = None,
        words: Sequence[str] = (),
        crowd: bool = True,
        group: int = 0,
        **network: Any,
    ) -> None:
        self.number = number
        self.title = title
        self.helper = helper
        self.slow = slow
        self.play = play
        self.truth = truth
        self.short = short
        self.tune = tune
        self.words = words
        self.crowd = crowd
        self.group = group
        self.network = network
