# SPDX-License-Identifier: Apache-2.0
"""What becomes of a call, and what one end knows of it."""

from __future__ import annotations

from worlds.text import Place, Text


class Plan:
    """What becomes of a call where nothing fails. near: the phone hangs up (or the provider);
    after: s from the answer to the BYE. busy: the callee declines; gives_up: the caller cancels
    while it rings. again: s from the answer to a re-INVITE, 0 = none; again_near: of the phone;
    method: in place of INVITE. timer: s of the session timer (RFC 4028), 0 = none; timer_near: the
    phone refreshes; forgets: the refresher does not. forks: another callee rings too; late: and
    answers after the first. reliable: it rings reliably (RFC 3262). house: it is for another phone
    of the house; near is its caller then. early: an UPDATE before the answer, early_near: of the
    phone; offers: the ringing answers, and its PRACK offers anew (RFC 3262 section 5). refuses:
    status of requests to change the call, 0 = none; retries: they are asked once more, and taken;
    stubborn: who is refused hangs up."""

    busy = gives_up = again_near = timer_near = forgets = forks = late = reliable = False
    house = early = early_near = offers = retries = stubborn = False
    again = timer = 0.0
    refuses = 0
    method = "INVITE"

    def __init__(self, near: bool, after: float) -> None:
        self.near, self.after = near, after


class Talk:
    """One call at one end. uri: the remote target; to: where requests of the dialog go; route: the
    route set, one hop at most. lives: the 2xx, or its ACK, came; ended: by a BYE that was answered,
    or before it began, as its plan says; fault: what went wrong instead. waits: this end rings;
    proven: its ringing was acknowledged (PRACK). forks: the further dialogs of a forked INVITE, by
    tag of the callee; spare: it is one. far: user part of the other end; leaves: it hangs up. near:
    see Plan. refreshed: when the session was agreed last, s; source: where its INVITE came from."""

    def __init__(self, call_id: str, tag: str) -> None:
        self.call_id, self.tag = call_id, tag
        self.far_tag = self.route = self.far = ""
        self.uri = self.to = self.source = ("", 0)
        self.cseq = 1
        self.lives = self.ended = self.waits = self.proven = self.spare = self.leaves = False
        self.near = True
        self.refreshed = 0.0
        self.forks: dict[str, Talk] = {}
        self.rung: set[str] = set()  # tags of the callees whose ringing was acknowledged
        self.fault = ""
        self.refused = 0  # requests, on purpose
        self.asked = 0  # CSeq of the last INVITE that came
        self.answer = b""  # to that
        self.invite: Text | None = None  # the first that came
        self.acked: set[int] = set()  # CSeqs of INVITEs whose final response was acknowledged
        self.acks: dict[int, bytes] = {}  # those sent

    @property
    def more(self) -> tuple[str, ...]:
        """Header lines of each request in the dialog."""
        return (f"Route: {self.route}",) if self.route else ()

    def fork(self, tag: str, far_tag: str) -> Talk:
        """A further dialog of the same INVITE."""
        other = Talk(self.call_id, tag)
        other.far_tag, other.spare, other.far, other.near = far_tag, True, self.far, self.near
        other.asked, other.invite = self.asked, self.invite
        other.uri, other.to, other.route, other.cseq = self.uri, self.to, self.route, 100
        return other

    @property
    def faults(self) -> str:
        """Its own, or what went wrong with a further dialog: users notice nothing of it."""
        return self.fault or ("fork" if any(t.fault for t in self.forks.values()) else "")

    def aim(self, uri: Place, to: Place) -> None:
        """The remote target, from a Contact (RFC 3261 section 12.2)."""
        self.uri, self.to = uri, to
