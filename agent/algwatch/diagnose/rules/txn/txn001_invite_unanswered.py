# SPDX-License-Identifier: Apache-2.0
"""TXN001: an INVITE got no response at all until Timer B.

What it sees
    An INVITE, its retransmissions at T1, 2*T1, 4*T1 and so on, and no response for 64*T1 = 32 s; of
    a re-INVITE, until the BYE, if that took longer than three retransmissions. A re-INVITE over
    TCP, which repeats none, without a response for that time.

Why it breaks calls
    The caller hears nothing and gives up. The two taps show the place: if the INVITE is on the LAN
    and not on the WAN side, this router lost it; on both, nobody beyond answered.

What else looks the same
    Internet scanners try WAN port 5060: they have no mapping, the router drops them, and nothing is
    wrong. (A provider called by a phone is no scanner.) An INVITE without a retransmission is not
    judged, or over TCP not for sure: the capture may have lost the response. If the capture lost
    packets (CAP002), only an INVITE repeated to the end is judged, and no place is named. Ringing
    that came to another phone: TXN006. A phone with another LAN address since: nobody is at the old
    one. A re-INVITE from another address or port than the call: no place is named. A
    caller that goes on to the next server of its provider, and is answered there: a hint at most.

Recommendation
    Router: find the reason (size, RTP port collision, helper). Far side: look for loss or a filter
    between the router and the provider, or for an absent phone.

References
    RFC 3261 section 17.1.1.2.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base import address
from algwatch.base.packet import LAN, WAN
from algwatch.base.quote import somebody
from algwatch.base.sighting import TO_TAG, Sighting
from algwatch.compare.call import Call
from algwatch.compare.signs import TROUBLED
from algwatch.diagnose import (
    cause,
    malformed,
    misrouted,
    moved,
    not_let_in,
    out_of_order,
    renamed,
    unheard,
)
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.oversized import is_fragmented
from algwatch.diagnose.reading import Reading
from algwatch.diagnose.recapture import GAPS, SILENT
from algwatch.diagnose.rule import Rule, evidence, times
from algwatch.diagnose.subject import CALL
from algwatch.sip.dialog import DialogSet
from algwatch.sip.transaction import UDP, Transaction

RULE = Rule(
    "TXN001", "invite-unanswered", "error", CALL, ("RFC 3261 17.1.1.2",),
    "An INVITE got no response at all until Timer B.", symptom=True, when=TROUBLED,
)  # fmt: skip

SHORTER = (
    "Make the INVITE shorter (fewer codecs) or use TCP: if it is answered then, fragments are lost "
    "beyond this router."
)

ONCE = "TCP brings each message once, so nobody answered it, or the response was not captured"

Which = tuple[int, bool]  # CSeq number, and whether it is the caller's: each end counts its own


def check(call: Call, known: Known) -> Iterator[Finding]:
    silent = [(s, *last) for s in call.seen
              if (s.silent or _is_cut_short(s)) and (last := _last(s)) is not None]  # fmt: skip
    if not silent or call.unsolicited:
        gone = _served_elsewhere(call) if not silent else None
        hint = _hint(call, known, *gone) if gone is not None else None
        if hint is not None:
            yield hint
        return
    s, t, copy = silent[0]
    which = _which(s, t)
    heard = [other for other in call.seen if _has_response(other, which)]
    if any(other.side == s.side or not call.two_sided for other in heard):
        return
    lossy = known.lossy(call)
    if lossy and not any(t.waited_out for _, t, _ in silent):
        return  # the response may not have been captured
    reading = _reading(call, known, which, copy, bool(heard), lossy)
    if reading is None:
        return
    unsure = all(t.requests == 1 for _, t, _ in silent)
    if unsure:
        reading = Reading("unknown", cause.UNKNOWN, ONCE, step=GAPS)
    sent = max(t.requests for _, t, _ in silent)
    yield RULE.finding(
        reading.where, "latent" if unsure else "observed",
        f"{_name(s, t)} to {somebody(call.to)} was sent {times(sent)} and got no response "
        f"{_until(s, t)}: {reading.what}.",
        [evidence(copy, f"sent {t.requests} times", "any response") for _, t, copy in silent],
        call.call_id, cause=reading.cause, call_id=call.call_id, line=known.line_name(call),
        next_step=reading.step, predicts=not copy.row[TO_TAG],  # another one may be answered
        # No other rule tells of a provider that responds from where no phone has sent anything.
        symptom=reading.cause != cause.NAT_TIMEOUT
        and not (heard and reading.cause == cause.PROVIDER),
    )  # fmt: skip


def _served_elsewhere(call: Call) -> tuple[Transaction, Sighting] | None:
    """The INVITE given up before another one that was answered."""
    for s in call.seen:
        if s.given_up is not None and (s.spoken or s.rejected):
            return s.given_up
    return None


def _hint(call: Call, known: Known, t: Transaction, copy: Sighting) -> Finding | None:
    stopped = call.unpaired.get("INVITE")
    if stopped is not None and (known.lossy(call) or not stopped.outbound):
        return None  # the server may not have been silent
    where, harm, why = "unknown", "latent", cause.UNKNOWN
    so = f"; another one was answered, so look at {copy.ends.dst} (RFC 3263 section 4.3)"
    if stopped is not None:
        where, harm, why, so = "router", "observed", cause.ROUTER, ": it never left the router"
    return RULE.finding(
        where, harm,
        f"The INVITE to {somebody(call.to)} was sent {times(t.requests)} and got no response "
        f"in 32 s{so}.",
        [evidence(copy, f"sent {t.requests} times", "any response")],
        call.call_id, cause=why, call_id=call.call_id, line=known.line_name(call),
        symptom=stopped is not None,
    )  # fmt: skip


def _until(s: DialogSet, t: Transaction) -> str:
    if s.cancelled_at > t.at and s.invite is t:
        return f"until it was cancelled {(s.cancelled_at - t.at) / 1e9:.1f} s later"
    if s.bye_at > t.at and not s.silent:
        return f"until the BYE {(s.bye_at - t.at) / 1e9:.1f} s later"
    return "in 32 s"


def _is_cut_short(s: DialogSet) -> bool:
    """A BYE ended the call while a re-INVITE was repeated in vain."""
    d = s.current
    return d is not None and d.asks_in_vain and d.pending is not None and d.bye_at > d.pending[0].at


def _name(s: DialogSet, t: Transaction) -> str:
    d = s.current
    if d is not None and d.pending is not None and t is d.pending[0]:
        return "A re-INVITE in the call"
    return "The INVITE with credentials" if s.challenged else "The INVITE"


def _reading(call: Call, known: Known, which: Which, copy: Sighting, heard: bool,
             lossy: bool) -> Reading | None:  # fmt: skip
    lan, wan = (_sent(call.sides[side], which) for side in (LAN, WAN))
    if not call.two_sided:
        private = address.is_unroutable(copy.ends.src)
        if copy.side == WAN and not (private or _is_inside(call, copy)):
            return None  # may be a scanner, as far as this side shows
        return Reading("unknown", cause.UNKNOWN, "nobody answered it")
    if not (lan or wan) or known.capture.apart:
        return Reading("unknown", cause.UNKNOWN, "nobody answered it")
    unpaired = call.unpaired.get("INVITE")
    if lossy:
        return Reading(
            "unknown", cause.UNKNOWN,
            "not all of the call was captured and kept, so it is not known how far it came",
        )  # fmt: skip
    if not lan:
        if unpaired is None:
            return None  # its absence is not proved
        if known.left_here(copy):
            what = (
                "it left this router, and nobody answered; the capture of the LAN does not have it"
            )
            return Reading("unknown", cause.UNKNOWN, what, step=SILENT[LAN])
        what = "it reached this router and was given to no phone"
        if (gone := moved.given_to_nobody(copy, known)) is not None:
            return gone
        if _is_inside(call, copy):
            return misrouted.given_to_no_phone(copy, known, what)
        return not_let_in.reading(call, known) or Reading("router", cause.ROUTER, what)
    if not wan:
        if unpaired is None:
            return None
        # Without a line to this host, it may well have left through an unwatched WAN.
        if known.lines_at(copy.ends.dst):
            return Reading("router", cause.ROUTER, "it never left the router")
        return Reading("unknown", cause.UNKNOWN, "nobody answered it")
    inward = call.inbound is not None and call.inbound == which[1]
    if (not_taken := unheard.answer_not_taken(call)) is not None:
        return not_taken
    if heard and inward:
        what = "responses came to the LAN side of this router and did not leave to the WAN"
        return Reading("router", cause.ROUTER, what)
    if heard:
        misplaced = misrouted.answer_misrouted(call) or renamed.response_unmatched(call)
        return misplaced or Reading(
            "router", cause.ROUTER,
            "responses came to the WAN side of this router and did not leave to the LAN",
        )  # fmt: skip
    copies = [last[1] for side in (LAN, WAN) if (last := _unanswered(call, side)) is not None]
    if len(copies) == 2:
        entered, left = reversed(copies) if inward else copies
        if (spoiled := malformed.unreadable(entered, left)) is not None:
            return spoiled
    if call.inbound is None:
        what = "it was seen on both sides of the router, and nobody answered"
        return Reading("unknown", cause.UNKNOWN, what)
    forced = misrouted.unheard_invite(call)
    if forced is not None and forced.lan is not None:
        went = forced.lan.ends
        return Reading(
            "router", cause.ALG,
            f"it was delivered to {went.receiver}, and the phone is not at that port",
        )  # fmt: skip
    if inward:
        astray = misrouted.request_astray(entered, left, known) if len(copies) == 2 else None
        return (
            astray
            or moved.delivered(copies[0], known)
            or unheard.past_uri(copies[0])
            or Reading("phone", cause.UNKNOWN, "it was delivered, and the phone did not answer")
        )
    last, sent = _unanswered(call, WAN), _unanswered(call, LAN)
    if sent is not None and sent[1].row[TO_TAG]:
        late = out_of_order.out_of_order(call, sent[1])
        if late is not None and late.where == "phone":
            return Reading(late.where, late.cause, f"it left the router, but {late.what}")
    if last is not None and _may_be_too_long(call, known, last[1]):
        return Reading(
            "network", cause.UNKNOWN, "it left the router in IP fragments, and nobody answered",
            step=SHORTER,
        )  # fmt: skip
    elsewhere = moved.sends_from_elsewhere(call, sent[1] if sent is not None else None)
    wrong = misrouted.wrong_source(last[1] if last is not None else None, known)
    return (
        elsewhere
        or wrong
        or Reading("network", cause.UNKNOWN, "it left the router, and nobody answered")
    )


def _may_be_too_long(call: Call, known: Known, left: Sighting) -> bool:
    """It left in fragments, and the far end has answered none in fragments so far."""
    line = known.line(call)
    return is_fragmented(left) and line is not None and not line.fragments_answered


def _is_inside(call: Call, copy: Sighting) -> bool:
    """A re-INVITE of an answered and acknowledged call."""
    d = call.dialog(copy.side)
    return d is not None and d.confirmed and d.pending is not None and d.pending[1] is copy


def _unanswered(call: Call, side: int) -> tuple[Transaction, Sighting] | None:
    s = call.sides[side]
    return s.unanswered() if s is not None else None


def _last(s: DialogSet) -> tuple[Transaction, Sighting] | None:
    """The INVITE repeated in vain, or a re-INVITE over TCP, which repeats none. If the first INVITE
    came once, the outcome of the call tells enough."""
    last = s.unanswered()
    if last is None or last[0].requests > 1:
        return last
    d = s.current
    once = d is not None and d.silent and d.waits_for(last[0]) and last[1].ends.proto != UDP
    return last if once else None


def _which(s: DialogSet, t: Transaction) -> Which:
    return t.cseq, t.from_tag == s.caller_tag


def _sent(s: DialogSet | None, which: Which) -> bool:
    """True if this side saw the INVITE."""
    if s is None:
        return False
    last = s.unanswered()
    seen = [last[0]] if last is not None else []
    if s.current is not None and s.current.invite is not None:
        seen.append(s.current.invite)
    return any(_which(s, t) == which for t in (*seen, s.invite) if t is not None)


def _has_response(s: DialogSet, which: Which) -> bool:
    """True if this side saw a response to it."""
    last = s.unanswered()
    if last is not None and _which(s, last[0]) == which:
        t = last[0]
        if t.provisional_at or t.final_at:
            return True
    d = s.current
    return (
        d is not None
        and bool(d.answered_at)
        and d.invite is not None
        and (_which(s, d.invite) == which)
    )


def since_opened(said: Finding, phone: str) -> Finding:
    """As REG006 takes it back."""
    first, _, _ = said.summary.partition(": it came to ")
    return RULE.finding(
        "unknown", said.harm, f"{first}: {not_let_in.opened_since(phone)}.", said.evidence,
        said.key.partition("/")[2], cause=cause.UNKNOWN, call_id=said.call_id,
    )  # fmt: skip
