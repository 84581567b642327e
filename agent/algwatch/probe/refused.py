# SPDX-License-Identifier: Apache-2.0
"""Refused: no probe is possible here, and nothing was sent or changed."""

from __future__ import annotations


class Refused(Exception):
    """The text is one line: the reason, and the next step. usage: other options would help."""

    def __init__(self, why: str, usage: bool = False) -> None:
        super().__init__(why)
        self.usage = usage
