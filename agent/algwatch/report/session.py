# SPDX-License-Identifier: Apache-2.0
"""The session: the broker's memory of this router, and whether reports have to be sent again.

A broker that has lost the session (MQTT 5 section 3.2.2.1.1, Session Present) may have lost
acknowledged reports, so they are sent again. A broker that keeps no session, or not for as long as
the connection was away (section 3.2.2.3.2, Session Expiry Interval), proves nothing: it gets each
report once more and no oftener. The same holds for a known session after a connection that ended
without a word: the broker may have died, and have on disk only its state of half an hour before.
With any broker and any number of lost connections, reports are sent again once in ten minutes at
most.
"""

from __future__ import annotations

ASKED = 86400  # seconds; the broker is asked to remember this router so long
FOREVER = 0xFFFFFFFF
EVERY = 600.0  # seconds between two repetitions


class Session:
    """now: monotonic seconds."""

    __slots__ = ("_again", "_died", "_ended", "_expiry", "_once")

    def __init__(self) -> None:
        self._expiry = 0  # seconds, of the last connection
        self._ended: float | None = None
        self._again = float("-inf")  # time of the latest repetition
        self._once: bool | None = None
        self._died = False  # perhaps, at the end of the last connection

    def began(self, present: bool, expiry: int | None, now: float) -> None:
        """present: the broker knows the session. expiry: seconds it keeps it, None if not said."""
        if not present:
            kept = self._ended is not None and (
                self._expiry == FOREVER or now - self._ended < self._expiry
            )
            self._once = not kept and self._once is not False
        elif self._died and self._once is None:
            self._once = True
        self._expiry = ASKED if expiry is None else expiry

    def ended(self, now: float, goodbye: bool) -> None:
        """goodbye: the broker announced the end."""
        self._ended = now
        self._died = not goodbye

    def due(self, now: float) -> bool:
        """True if reports are to be sent again now."""
        return self._once is not None and now - self._again >= EVERY

    @property
    def once(self) -> bool:
        """Leave out reports already sent again once."""
        return bool(self._once)

    def again(self, now: float, count: int, whole: bool) -> None:
        """So many reports were sent again. whole: there was room for all."""
        if count:
            self._again = now
        self._once = None if whole else True
