# SPDX-License-Identifier: Apache-2.0
"""Refused: the probe cannot be made here, and nothing was sent or changed."""

from __future__ import annotations


class Refused(Exception):
    """The text is one line: why, and what to do next. usage: other options would help."""

    def __init__(self, why: str, usage: bool = False) -> None:
        super().__init__(why)
        self.usage = usage
