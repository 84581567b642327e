# SPDX-License-Identifier: Apache-2.0
"""Reasons: the words of a broker, and of a failure, as a person may read them."""

from __future__ import annotations

from algwatch.base.quote import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LONGEST_REASON = 80  # characters of the broker's own text


def own_words(properties: Any) -> str:
    """The broker's reason string (MQTT 5, section 3.2.2.3.9), safely quoted."""
    reason = getattr(properties, "ReasonString", "")
    if not isinstance(reason, str) or not reason:
        return ""
    return ", " + quoted(reason, LONGEST_REASON)


def plain(problem: Exception) -> str:
    """A failure of the network or of TLS in words for a person."""
    verify = getattr(problem, "verify_message", "")
    if verify:
        return f"the broker's certificate is not trusted ({verify})"
    return str(getattr(problem, "strerror", None) or problem) or type(problem).__name__
