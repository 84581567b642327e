# SPDX-License-Identifier: Apache-2.0
"""Reading: the place and the cause that a rule reads from both taps."""

from __future__ import annotations


class Reading:
    """where, cause, line: as in Finding, line "" if the finding knows it; what: the event, a
    clause; step: the next step if it is a special one."""

    __slots__ = ("cause", "line", "step", "what", "where")

    def __init__(self, where: str, cause: str, what: str, line: str = "", step: str = "") -> None:
        self.where = where
        self.cause = cause
        self.what = what
        self.line = line
        self.step = step
