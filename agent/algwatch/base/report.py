"""Report: the base of everything that a pipeline says."""

from __future__ import annotations


class Report:
    """kind: "finding", "advice", "call" or "registration". Who takes reports looks his method up
    by it, so that a new kind of report needs no chain of type tests anywhere."""

    __slots__ = ()
    kind = ""

    def shift(self, seconds: float) -> None:
        """Move every time in it: the wall clock was set after the packets were stamped."""
