# SPDX-License-Identifier: Apache-2.0
"""Report: the base of every output of a pipeline."""

from __future__ import annotations

from collections.abc import Callable

from algwatch.base.typed import Any

KINDS = ("finding", "advice", "call", "registration")


class Report:
    """kind: a word of KINDS. It names the receiver's method (see by_kind), so a new kind of report
    needs no chain of type tests anywhere."""

    __slots__ = ()
    kind = ""

    def shift(self, seconds: float) -> None:
        """Move every time in it: the wall clock was set after the packets were stamped."""


def by_kind(taker: object) -> dict[str, Callable[[Any], None]]:
    """The methods _on_finding, _on_advice ... of a receiver of reports, by kind."""
    return {kind: getattr(taker, f"_on_{kind}") for kind in KINDS}
