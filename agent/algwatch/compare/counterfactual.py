# SPDX-License-Identifier: Apache-2.0
"""Would the calls of a line work without the router's ALG?

Harm and cause are one question, the remedy is another. Only observations decide. An answered rport
shows the way of responses, and nothing about ACK and BYE (RFC 3581).
"""

from __future__ import annotations

from collections.abc import Iterable

from algwatch.compare.fact import TOLD
from algwatch.compare.line import (
    DROPS_UNTOUCHED,
    FOLLOWS_PHONE,
    NAT_HANDLED,
    NO_WAY_BACK,
    PRIVATE_CONTACT,
    REWRITTEN,
    RPORT_ASKED,
    RPORT_MISSING,
    URI_REFUSED,
    URI_REPLACED,
    WORKS_UNTOUCHED,
    Line,
)

YES, NO, UNKNOWN = "yes", "no", "unknown"


class Counterfactual:
    """answer: YES, NO or UNKNOWN. for_, against: observations behind it, as (line, word)."""

    __slots__ = ("against", "answer", "for_")

    def __init__(self, answer: str, for_: list[tuple[Line, str]],
                 against: list[tuple[Line, str]]) -> None:  # fmt: skip
        self.answer = answer
        self.for_ = for_
        self.against = against


def without_alg(line: Line, beside: Iterable[Line]) -> Counterfactual:
    """beside: the other phones here with the same provider. An observation of the line overrides
    one of another phone. If observations of one rank contradict each other, the answer is
    unknown."""
    others = list(beside)
    alike = _alike(line, others)
    speak = [line, *alike]
    if line.count(NO_WAY_BACK):
        # Without rport, responses go to the port in Via, and the NAT maps another port (RFC 3261
        # section 18.2.2). Inbound requests do not show this. Only a phone of the same kind does,
        # after responses without a rewrite.
        speak = [o for o in alike if o.count(NO_WAY_BACK) and not o.count(REWRITTEN)]
    if line.count(URI_REFUSED):
        # This phone also refuses a request to its packets' source address. Such a provider goes on
        # writing this address without the ALG.
        speak = [other for other in speak if not other.count(URI_REPLACED)]
    for_ = [(o, w) for o in speak for w in (WORKS_UNTOUCHED, NAT_HANDLED) if o.count(w)]
    against = [(o, w) for o in (line, *others) for w in (DROPS_UNTOUCHED, FOLLOWS_PHONE)
               if o.count(w)]  # fmt: skip
    if line.told is not None and not for_ and not against and _fits(line):
        for_ = [(line, TOLD)]
    works, fails = bool(for_), bool(against)
    if works and fails:
        works, fails = (any(o is line for o, _ in seen) for seen in (for_, against))
    answer = UNKNOWN if works == fails else YES if works else NO
    return Counterfactual(answer, for_, against)


def _alike(line: Line, others: Iterable[Line]) -> list[Line]:
    """Anyone in the LAN may take a call from a sender with the provider's address. Only a phone
    accepted by the provider speaks for others."""
    alike = [other for other in others if other.is_own]
    if line.count(RPORT_MISSING):
        # A phone that asks for rport gets its responses without the ALG; this one may not. Dropped
        # calls of the other phone count all the same.
        return [other for other in alike if other.count(RPORT_MISSING)]
    return alike


def finds_phone(line: Line, beside: Iterable[Line]) -> bool:
    """The far end was seen to find this phone in spite of a private Contact, or another one like
    it. beside: as in without_alg()."""
    return line.finds_phone or any(other.finds_phone for other in _alike(line, beside))


def _fits(line: Line) -> bool:
    """What the fleet proved was proved of phones like this one: that ask for rport, and take
    requests that name the router's address. Whatever was seen here goes before it."""
    asks = line.count(RPORT_ASKED) and not line.count(RPORT_MISSING)
    return bool(asks) and not line.count(URI_REFUSED)


def needs_alg(line: Line, beside: Iterable[Line]) -> bool:
    """Only the rewriting carries this phone through the NAT: it writes private addresses and does
    not ask for rport, and its provider was never seen to handle this."""
    private = line.count(PRIVATE_CONTACT) and line.count(RPORT_MISSING)
    return bool(private) and without_alg(line, beside).answer != YES
