# SPDX-License-Identifier: Apache-2.0
"""News: the things to judge after a batch or a moment."""

from __future__ import annotations

from algwatch.compare.calls import Moment
from algwatch.compare.connects import Connect
from algwatch.compare.crossing import Crossing
from algwatch.compare.exchange import Exchange
from algwatch.compare.line import Line
from algwatch.compare.path import Path
from algwatch.compare.registered import Registered
from algwatch.compare.subscribed import Subscribed


class News:
    """Things to judge, in this order. crossings: for rules; exchanges: failed requests; moments: of
    calls with news or at their end; registered: registrations with a new outcome; paths: pairs of
    hosts with a recovered retransmission; connects: TCP connections asked for in vain; lines:
    phones silent for too long; subscribed: subscriptions with news."""

    __slots__ = (
        "connects", "crossings", "exchanges", "lines", "moments", "paths", "registered",
        "subscribed",
    )  # fmt: skip

    def __init__(self, crossings: list[Crossing]) -> None:
        self.crossings = crossings
        self.connects: list[Connect] = []
        self.exchanges: list[Exchange] = []
        self.lines: list[Line] = []
        self.moments: list[Moment] = []
        self.registered: list[Registered] = []
        self.paths: list[Path] = []
        self.subscribed: list[Subscribed] = []
