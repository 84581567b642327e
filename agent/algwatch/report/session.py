# SPDX-License-Identifier: Apache-2.0
"""The session: what the broker remembers of this router, and whether it has forgotten too much.

A broker that has lost the session (MQTT 5 section 3.2.2.1.1, Session Present) may have lost the
reports that it had acknowledged, so they are sent again. One that keeps no session, or not for as
long as the connection was away (section 3.2.2.3.2, Session Expiry Interval), says nothing by that:
it gets each report once more and no oftener. So does one that knows the session after a connection
that ended without a word: it may have died, and have on disk what it had half an hour before.
Whatever a broker says, and however often it drops the connection, reports are sent again once in
ten minutes at most.
"""

from __future__ import annotations

ASKED = 86400  # seconds that the broker is asked to remember this router
FOREVER = 0xFFFFFFFF
EVERY = 600.0  # seconds between two times


class Session:
    """now: monotonic seconds."""

    __slots__ = ("_again", "_died", "_ended", "_expiry", "_once")

    def __init__(self) -> None:
        self._expiry = 0  # seconds, of the last connection
        self._ended: float | None = None
        self._again = float("-inf")  # when reports were last sent again
        self._once: bool | None = None
        self._died = False  # perhaps, at the end of the last connection

    def began(self, present: bool, expiry: int | None, now: float) -> None:
        """present: the broker knows it. expiry: seconds that it keeps it, where it says so."""
        if not present:
            kept = self._ended is not None and (
                self._expiry == FOREVER or now - self._ended < self._expiry
            )
            self._once = not kept and self._once is not False
        elif self._died and self._once is None:
            self._once = True
        self._expiry = ASKED if expiry is None else expiry

    def ended(self, now: float, goodbye: bool) -> None:
        """goodbye: the broker said that it ends it."""
        self._ended = now
        self._died = not goodbye

    def due(self, now: float) -> bool:
        """Whether reports are to be sent again now."""
        return self._once is not None and now - self._again >= EVERY

    @property
    def once(self) -> bool:
        """Those not that were sent again before."""
        return bool(self._once)

    def again(self, now: float, count: int, whole: bool) -> None:
        """So many were. whole: there was room for all."""
        if count:
            self._again = now
        self._once = None if whole else True
