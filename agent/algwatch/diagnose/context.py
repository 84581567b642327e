"""Context: what rules may ask besides the thing that they are shown."""

from __future__ import annotations

from algwatch.base.sighting import Sighting
from algwatch.base.table import Table
from algwatch.compare.call import Call
from algwatch.compare.peer import Peers
from algwatch.sip.timers import WINDOW

TYPE_CHECKING = False
if TYPE_CHECKING:
    from algwatch.compare.quality import Quality

SAID = 4096  # things that were said and are remembered


class Context:
    """two_sided: copies of both sides are compared. now: ns of packet time that every tap has
    passed. finished: the capture is over. sip: messages a side (LAN, WAN, UNKNOWN); first: the
    first message of each; duplicates, duplicate: packets captured twice, and one of them.
    said: keys of what was said already. partial, undecided: calls whose beginning or end the
    capture does not hold, with examples. quality: of two captures that were surveyed, else None.
    lost: packets a side that were not captured; lost_at: ns, until when the latest of them came,
    or an interface was gone. forgets: calls had to go for want of room.
    """

    __slots__ = ("duplicate", "duplicates", "finished", "first", "forgets", "lost", "lost_at",
                 "now", "partial", "partial_example", "peers", "quality", "said", "sip", "started",
                 "two_sided", "undecided", "undecided_example")  # fmt: skip

    def __init__(self, two_sided: bool, peers: Peers) -> None:
        self.two_sided = two_sided
        self.peers = peers
        self.said: Table[str, int] = Table(SAID)
        self.now = 0
        self.started = 0
        self.finished = False
        self.sip = [0, 0, 0]
        self.first: list[Sighting | None] = [None, None, None]
        self.duplicates = 0
        self.duplicate: Sighting | None = None
        self.quality: Quality | None = None
        self.lost = [0, 0, 0]
        self.lost_at = 0
        self.forgets = False
        self.partial = self.undecided = 0
        self.partial_example: Sighting | None = None
        self.undecided_example: Sighting | None = None

    def was_said(self, rule: str, key: str) -> bool:
        """Whether rule (id) has said something under key: for what is said once, whatever comes."""
        return f"{rule}/{key}" in self.said

    def lossy(self, call: Call) -> bool:
        """Whether something of it may have come and not be known: then what was not seen is not
        missing."""
        # One that goes on after it had to go: each side goes on at another message.
        if self.forgets and any(d.partial for d in call.seen):
            return True
        if not self.lost_at:
            return False
        # Of one whose beginning nobody saw that may be what was lost.
        return call.started_at - WINDOW <= self.lost_at or all(d.partial for d in call.seen)
