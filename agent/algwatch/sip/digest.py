# SPDX-License-Identifier: Apache-2.0
"""Digest: challenges and credentials of a message (RFC 3261 section 22.4, RFC 8760)."""

from __future__ import annotations

import re

from algwatch.sip.message import Message, to_text

CHALLENGE = ("WWW-Authenticate", "Proxy-Authenticate")
CREDENTIALS = ("Authorization", "Proxy-Authorization")

# The inputs of the response, and the response: after a change it never fits again. opaque has to
# come back unchanged (RFC 2617 section 3.2.1).
SIGNED = ("username", "realm", "nonce", "uri", "response", "algorithm", "qop", "cnonce", "nc")
COMPARED = (*SIGNED, "opaque")
MOST = 8  # challenges of one message read

_PARAMETER = re.compile(rb'([A-Za-z-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s,]+)')

Parameters = dict[str, str]


def parameters(message: Message, headers: tuple[str, ...]) -> list[Parameters]:
    """The parameters of each such header field, names in lower case, values without quotes."""
    values = [value for header in headers for value in message.header(header)][:MOST]
    return [
        {to_text(name).lower(): to_text(value).strip('"') for name, value in found}
        for found in map(_PARAMETER.findall, values)
    ]


def has_credentials(message: Message) -> bool:
    """Those with an empty nonce were made before any challenge, and answer none."""
    if not any(message.header(name) for name in CREDENTIALS):
        return False
    return any(one.get("nonce") != "" for one in parameters(message, CREDENTIALS))


def is_stale(message: Message) -> bool:
    """A challenge for an old nonce: it proves nothing about the password."""
    if any(one.get("stale", "").lower() == "true" for one in parameters(message, CHALLENGE)):
        return True
    # Some registrars say it in the reason phrase alone ("nonce has changed").
    reason = message.start_line.lower()
    return "nonce" in reason or "stale" in reason


def taken_out(before: Message, after: Message) -> list[str]:
    """Names of the header fields of a challenge or of credentials missing in the second copy."""
    names = (*CHALLENGE, *CREDENTIALS)
    return [name for name in names if before.header(name) and not after.header(name)]


def changed(before: Message, after: Message) -> list[tuple[str, str, str]]:
    """Parameters with another value in a copy: name, and both values ("" for none)."""
    found = []
    for headers in (CHALLENGE, CREDENTIALS):
        ones, twos = parameters(before, headers), parameters(after, headers)
        for one, two in zip(ones, twos, strict=False):
            found += [
                (name, one.get(name, ""), two.get(name, ""))
                for name in COMPARED if one.get(name, "") != two.get(name, "")
            ]  # fmt: skip
    return found
