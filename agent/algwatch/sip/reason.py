# SPDX-License-Identifier: Apache-2.0
"""The Reason of a BYE (RFC 3326): a call ended by a timer or a failure did not end well."""

from __future__ import annotations

import re

from algwatch.sip.message import Message, to_text

LONGEST = 120  # characters kept

_CAUSE = re.compile(r"\s*(sip|q\.850)\s*;.*?\bcause\s*=\s*(\d{1,3})(?!\d)", re.I | re.S)
# Absent, busy, cancelled, declined: perhaps by a person (RFC 3261 section 21).
_OF_PEOPLE = (480, 486, 487, 600, 603)
# No circuit or resource, not available or not implemented, a message or the protocol in error
# (ITU-T Q.850 table 1). Lower ones are about people and numbers, and 127 says nothing.
_FAILURES = range(34, 112)


def failure(payload: bytes) -> str:
    """The value of the Reason header field of a BYE, bounded, if nobody hung up: a session not
    refreshed (RFC 4028 section 10), stopped media, a refusal (SIP) or a failure of the network
    (Q.850). "" for every other message."""
    if payload.find(b"eason") < 0:  # `in` costs four times as much
        return ""
    for value in Message(payload).header("Reason"):
        text = to_text(value)[:LONGEST]
        if names_timeout(text) or _is_failure(text):
            return text
    return ""


def taken_elsewhere(payload: bytes) -> bool:
    """True of the CANCEL of a call that another phone has taken (RFC 3326 section 2)."""
    if payload.find(b"eason") < 0:
        return False
    found = [_CAUSE.match(to_text(value)[:LONGEST]) for value in Message(payload).header("Reason")]
    return any(one is not None and one[1].lower() == "sip" and one[2] == "200" for one in found)


def names_timeout(reason: str) -> bool:
    """True for a timer's among the results of failure()."""
    folded = reason.lower().replace(" ", "")
    return "cause=408" in folded or "timeout" in folded or "timedout" in folded


def _is_failure(reason: str) -> bool:
    found = _CAUSE.match(reason)
    if found is None:
        return False
    cause = int(found[2])
    if found[1].lower() == "sip":
        return cause >= 400 and cause not in _OF_PEOPLE
    return cause in _FAILURES
