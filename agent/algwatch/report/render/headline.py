# SPDX-License-Identifier: Apache-2.0
"""The first words of a verdict, the same in every output. `algwatch status` on a router loads this,
so it imports nothing."""

from __future__ import annotations

STATES = {"fine": "Nothing hurts", "hurts": "Something hurts",
          "cannot-tell": "Cannot tell whether something hurts"}  # fmt: skip
STYLES = {"fine": "bold green", "hurts": "bold red", "cannot-tell": "bold yellow"}
DOUBTFUL = "Nothing was seen to hurt; what may do harm is worth another look"


def headline(state: str, doubtful: bool) -> str:
    """Without a full stop; "" for an unknown state. state, doubtful: of a Verdict."""
    if state == "fine" and doubtful:
        return DOUBTFUL
    return STATES.get(state, "")


def style(state: str, doubtful: bool) -> str:
    return "bold" if doubtful else STYLES.get(state, "bold")
