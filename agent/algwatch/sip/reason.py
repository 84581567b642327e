# SPDX-License-Identifier: Apache-2.0
"""The Reason of a BYE (RFC 3326): a call that a timer ended did not end well."""

from __future__ import annotations

from algwatch.sip.message import Message, to_text

LONGEST = 120  # characters that are kept


def timeout_reason(payload: bytes) -> str:
    """The value of the Reason header field, bounded, where it names a timeout: a session that was
    not refreshed (RFC 4028 section 10), media that stopped. "" for every other message."""
    if b"eason" not in payload:
        return ""
    for value in Message(payload).header("Reason"):
        folded = value.lower().replace(b" ", b"")
        if b"cause=408" in folded or b"timeout" in folded or b"timedout" in folded:
            return to_text(value)[:LONGEST]
    return ""
