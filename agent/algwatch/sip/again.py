# SPDX-License-Identifier: Apache-2.0
"""Again: the retransmissions of one request, as one tap sees them (RFC 3261 section 17.1)."""

from __future__ import annotations


class Again:
    """Made for a transaction when its request, or a final response to an INVITE, is repeated, or
    when a copy of either stops in this router.

    early: repetitions of the request before any answer passed; early_at: ns, the latest of them.
    late: repetitions after an answer had passed; gap: ns from this answer to the first of them.
    last_at: ns, the latest repetition. stopped: copies of the request or its response that did not
    cross this router, while others did.
    """

    __slots__ = ("early", "early_at", "gap", "last_at", "late", "stopped")

    def __init__(self) -> None:
        self.early = self.late = self.stopped = 0
        self.early_at = self.gap = self.last_at = 0

    @property
    def all_stopped(self) -> bool:
        """No repetition of the request crossed this router: anybody beside its sender may have sent
        them."""
        return self.stopped >= self.early + self.late

    def request(self, at: int, answered_at: int) -> None:
        """The request was repeated. answered_at: ns, its first answer; 0 = none yet."""
        self.last_at = at
        if answered_at:
            self.gap = self.gap or at - answered_at
            self.late += 1
        else:
            self.early_at = at
            self.early += 1
