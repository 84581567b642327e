# SPDX-License-Identifier: Apache-2.0
"""Wanted: the parts of a report asked for."""

from __future__ import annotations


class Wanted:
    """all: every kept call, and harmless findings. brief: the verdict alone. raw: the messages
    themselves below each call. calls: Call-IDs; None: any. rules: only calls and findings of these
    rules; empty: all."""

    __slots__ = ("all", "brief", "calls", "raw", "rules")

    def __init__(self, all_: bool = False, brief: bool = False, raw: bool = False,
                 calls: frozenset[str] | None = None,
                 rules: frozenset[str] = frozenset()) -> None:  # fmt: skip
        self.all = all_
        self.brief = brief
        self.raw = raw
        self.calls = calls
        self.rules = rules

    def rule(self, rule: str) -> bool:
        return not self.rules or rule in self.rules
