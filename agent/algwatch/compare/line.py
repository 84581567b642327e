# SPDX-License-Identifier: Apache-2.0
"""Line: observations about one phone and one provider.

Only seen messages count. An observation has a word, a count, the first sighting and the latest
time. An advice can therefore show bytes for and against it, as findings do.
"""

from __future__ import annotations

from algwatch.base.sighting import (
    AT,
    Sighting,
)
from algwatch.base.table import Table
from algwatch.compare.fact import Fact

# The words of observations.
RPORT_ASKED = "rport-asked"  # the phone's Via has rport
RPORT_MISSING = "rport-missing"  # a request of the phone has no rport
NO_WAY_BACK = "no-way-back"  # such a request, and the NAT changes the source port
RPORT_ANSWERED = "rport-answered"  # the provider filled rport in (RFC 3581)
RPORT_SPOILED = "rport-spoiled"  # the router changed received or rport of a phone that asks
PRIVATE_CONTACT = "private-contact"  # the phone writes an unroutable Contact
KEEPALIVE = "keep-alive"  # the phone or the provider keeps the mapping open
NAT_HANDLED = "nat-handled"  # a request came to the packets' source address, past a private Contact
URI_REPLACED = "uri-replaced"  # and its Request-URI names this source, not the Contact
FOLLOWS_PHONE = "follows-phone"  # the provider sent to the written address, not to the source
WORKS_UNTOUCHED = "works-untouched"  # an incoming call with a private Contact lived unrewritten
DROPS_UNTOUCHED = "drops-untouched"  # such a call dropped
WORKS_REWRITTEN = "works-rewritten"  # a call lived with something rewritten
REACHED_REWRITTEN = "reached-rewritten"  # such an incoming call: its ACK came to the new Contact
REWRITTEN = "rewritten"  # the router rewrote a message of this line
REACHED_AT_PROXY = "reached-at-proxy"  # an outgoing call lived, its Contact a proxy's own
URI_REFUSED = "uri-refused"  # the phone refused a request for the router's address
LATCHES = "latches"  # RTP came to the packets' source address, past another address in SDP
SPOILED = "spoiled"  # TCP bytes left the router, then came again with other content
OVERLAPS = "overlaps"  # the same in the bytes of the phone
DIES_HERE = "dies-here"  # something of it failed in this router, and no rule shows why
RECORDS = "records"  # a proxy of the provider was in the Record-Route of an answered call
WITHOUT_ROUTE = "without-route"  # a call of the phone without Route was answered
ACCEPTED = "accepted"  # the provider accepted a REGISTER or an INVITE of the phone

# Each of these needs a reply of the far end.
_ANSWERS = (RPORT_ANSWERED, NAT_HANDLED, WORKS_UNTOUCHED, WORKS_REWRITTEN, DROPS_UNTOUCHED)


_BETWEEN = " and "  # between the two ends in the name of a line


def name_of(phone: str, remote: str) -> str:
    """Name of the line between these hosts (texts)."""
    return phone + _BETWEEN + remote


def ends_of(name: str) -> tuple[str, str]:
    """(phone, remote) of a line's name; empty texts for any other text."""
    phone, between, remote = name.partition(_BETWEEN)
    return (phone, remote) if between else ("", "")


class Observation:
    """count; first: the Sighting that showed it, None if only counted; last_at: ns."""

    __slots__ = ("count", "first", "last_at")

    def __init__(self, first: Sighting | None, at: int) -> None:
        self.count = 1
        self.first = first
        self.last_at = at


class Line:
    """phone, remote: host texts. seen: observations by word. private_contact: the phone's latest
    Contact is unroutable; shown: the message with it as it left the router. expires: seconds
    granted by the registrar, 0 = not seen. linux: its first rewrite looks like the kernel's helper.

    silence, silent_since: ns, the longest time without a packet on the mapping of the registered
    phone, and its start (compare/silence.py); granted: the 2xx to its REGISTER; silence_limit: ns,
    the lifetime of its mapping without the helper; silence_helped: the helper kept it;
    silence_told: it was reported. too_late: the latest INVITE to it after its mapping expired, and
    the silence before (ns).

    answered: the far end has replied. told: the fleet's knowledge of it. passed: reasons for the
    helper to drop a message (sip/helper_drops.py), seen in a rewritten INVITE or REGISTER that was
    not dropped. messages: REGISTER and INVITE, with responses. in_fragments: methods of the phone's
    requests sent in IP fragments; fragments_answered: the far end has answered one; grew: bytes
    added to a request by the router. offer: the phone's latest rewritten INVITE, as it entered the
    router. fresh: a line with a first observation enters itself here.
    """

    __slots__ = ("_fresh", "_rewritten", "answered", "expires", "fragments_answered", "granted",
                 "grew", "in_fragments", "linux", "messages", "offer", "passed", "phone",
                 "private_contact", "remote", "seen", "shown", "silence", "silence_helped",
                 "silence_limit", "silence_told", "silent_since", "told", "too_late")  # fmt: skip

    def __init__(self, phone: str, remote: str, fresh: dict[str, Line] | None = None) -> None:
        self.phone = phone
        self.remote = remote
        self._fresh = fresh
        self.seen: dict[str, Observation] = {}
        self.answered = self.private_contact = self._rewritten = False
        self.shown: Sighting | None = None
        self.granted: Sighting | None = None
        self.too_late: tuple[Sighting, int] | None = None
        self.linux = self.silence_helped = self.silence_told = False
        self.messages = self.expires = self.silence = self.silence_limit = self.silent_since = 0
        self.grew = 0
        self.in_fragments: frozenset[int] = frozenset()
        self.fragments_answered = False
        self.offer: Sighting | None = None
        self.passed: frozenset[str] = frozenset()
        self.told: Fact | None = None

    @property
    def name(self) -> str:
        return name_of(self.phone, self.remote)

    def observe(self, word: str, sighting: Sighting | None, at: int = 0) -> None:
        """at: ns, where there is no sighting."""
        at = sighting.row[AT] if sighting is not None else at
        known = self.seen.get(word)
        if known is None:
            self.seen[word] = Observation(sighting, at)
            if word in _ANSWERS:
                self.answered = True
            self.note()
        else:
            known.count += 1
            known.last_at = at

    @property
    def is_own(self) -> bool:
        """True if the provider accepted a request of the phone. Without this, calls of the line may
        be anyone's."""
        asked = self.count(RPORT_ASKED) or self.count(RPORT_MISSING)
        return bool(asked and self.count(ACCEPTED))

    @property
    def finds_phone(self) -> bool:
        """Its far end was seen to find the phone in spite of a private Contact."""
        return bool(self.count(WORKS_UNTOUCHED) or self.count(NAT_HANDLED))

    def sightings(self) -> list[Sighting | None]:
        """Messages kept as examples."""
        late = self.too_late[0] if self.too_late is not None else None
        return [self.shown, self.granted, late, self.offer, *(o.first for o in self.seen.values())]

    def shed(self) -> None:
        """Release these messages. The observations stay."""
        self.shown = self.granted = self.too_late = self.offer = None
        for one in self.seen.values():
            one.first = None

    @property
    def helped(self) -> bool:
        """The kernel's helper is on its flow and rewrote the latest message."""
        return self.linux and self._rewritten

    def note(self) -> None:
        """The line has a new kind of observation."""
        if self._fresh is not None:
            self._fresh[self.name] = self

    def count(self, word: str) -> int:
        known = self.seen.get(word)
        return known.count if known is not None else 0


class Shown:
    """The messages kept by lines, as a keeper of a Budget: they are evicted, the lines stay."""

    def __init__(self, table: Table[bytes, Line]) -> None:
        self.weigh = table.weigh
        self.items = table.items
        self.get = table.get

    def tidy(self) -> None:
        """Released messages have no other reference."""

    def evict(self, key: bytes, strange: bool = False) -> None:
        line = self.get(key)
        if line is not None:
            line.shed()
