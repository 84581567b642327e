# SPDX-License-Identifier: Apache-2.0
"""TXN002: the refusal of an INVITE is repeated, because no ACK to it arrives.

What it sees
    A final response of 300 or more to an INVITE comes three times or more, without an ACK to it or
    long after one, or with an ACK of another branch than the INVITE. The two taps tell how far the
    refusal came, and how far the ACK.

Why it breaks calls
    It breaks none: the call is refused either way, and the refusing end goes on sending for 32 s
    (Timer H). On a busy PBX this is load. If the refusal itself never came to the caller, its user
    waits for an answer given long ago.

What else looks the same
    One or two repetitions: the ACK crossed them, or was lost once. The 401 or 407 before the INVITE
    with credentials is such a refusal, too. An ACK was not captured (CAP002).

Recommendation
    Find the place of the stop: in this router, or beyond it. A phone without an ACK has a fault.

References
    RFC 3261 sections 17.1.1.3, 17.2.1 (Timers G and H).
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base.packet import LAN, WAN
from algwatch.base.quote import somebody
from algwatch.base.sighting import CSEQ, TXN
from algwatch.compare.call import Call
from algwatch.compare.misdelivered import goes_to_contact
from algwatch.compare.signs import TROUBLED
from algwatch.diagnose import cause, misrouted, unheard
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.reading import Reading
from algwatch.diagnose.rule import Rule, evidence, times
from algwatch.diagnose.subject import CALL
from algwatch.sip.dialog import DialogSet
from algwatch.sip.message import Message
from algwatch.sip.status_codes import CHALLENGES
from algwatch.sip.timers import SECOND, T2, TIMER_H
from algwatch.sip.transaction import Transaction

RULE = Rule(
    "TXN002", "refusal-unacknowledged", "warning", CALL, ("RFC 3261 17.1.1.3", "RFC 3261 17.2.1"),
    "The refusal of an INVITE was repeated, because no ACK to it arrived.", when=TROUBLED,
)  # fmt: skip

SLOW = 3 * SECOND // 2  # no path takes longer: a repetition until then may have crossed the ACK


def check(call: Call, known: Known) -> Iterator[Finding]:
    s = next((s for s in call.seen if _is_unheard(s)), None)
    if s is None or s.unheard is None or call.unsolicited:
        return
    if not call.two_sided and s.side == WAN:
        return  # scanners acknowledge nothing, and look the same on this side alone
    if not known.capture.finished and known.now - s.unheard_at <= T2:
        return  # it may come once more
    t, refusal = s.unheard
    if not known.lossy(call):
        reading, stopped = _reading(call, s, t)
    elif s.unheard_at - t.final_at >= TIMER_H - T2 - SECOND:
        # It was repeated to the end: no ACK came, captured or not.
        reading, stopped = Reading("unknown", cause.UNKNOWN, "no ACK arrived"), False
    else:
        return
    yield RULE.finding(
        reading.where, "observed" if stopped else "latent",
        f"The {t.status} to the INVITE to {somebody(call.to)} was sent {times(t.finals)}: "
        f"{reading.what}.",
        [evidence(refusal, f"sent {times(t.finals)}", "an ACK after the first one")],
        call.call_id, cause=reading.cause, call_id=call.call_id, line=known.line_name(call),
    )  # fmt: skip


def _is_unheard(s: DialogSet) -> bool:
    if s.unheard is None:
        return False
    acked_at = s.unheard[0].acked_at
    return not acked_at or s.unheard_at - acked_at > SLOW


def _reading(call: Call, s: DialogSet, t: Transaction) -> tuple[Reading, bool]:
    """The place of the ACK's stop, or (True) of the refusal's own."""
    what = "the ACK did not end it" if t.acked_at else "no ACK to it was seen"
    unknown = Reading("unknown", cause.UNKNOWN, what), False
    if not call.two_sided or call.inbound is None:
        return unknown
    inward = call.inbound == (t.from_tag == s.caller_tag)
    if (not_taken := unheard.answer_not_taken(call)) is not None:
        return not_taken, True
    if not inward and (given := misrouted.answer_given_to_another(call)) is not None:
        return given[0], True
    near, far = call.sides[WAN if inward else LAN], call.sides[LAN if inward else WAN]
    if near is None or far is None or far.unheard is None:
        return unknown
    asked = _same(near, s, t)
    if asked is None:
        return unknown
    kind = f"{t.status // 100}xx INVITE"
    if not asked.finals:
        if kind not in call.unpaired:
            return unknown
        where = "LAN side of this router and did not leave to the WAN" if inward else (
            "WAN side of this router and did not leave to the LAN"
        )  # fmt: skip
        stopped = Reading("router", cause.ROUTER, f"it came to the {where}")
        return (None if inward else misrouted.answer_misrouted(call)) or stopped, True
    if kind in call.misdelivered and not goes_to_contact(call, call.misdelivered[kind]):
        return Reading(
            "router", cause.ROUTER, "the router sent it to a port that the phone did not send from"
        ), True
    if not inward and _reuses_branch(near):
        return Reading("phone", cause.PHONE, (
            "the INVITE with credentials has the branch of the one before (RFC 3261 section "
            "8.1.1.7), so it is taken for that one and gets its answer again"
        )), True  # fmt: skip
    if near.misbranched:
        what = "the branch or the sent-by of its ACK is not that of the INVITE (RFC 3261 section " \
               "17.1.1.3)"  # fmt: skip
        if inward:
            return Reading("provider", cause.PROVIDER, what), False
        return Reading("phone", cause.PHONE, what), False
    if not asked.acked_at:
        if inward:
            return Reading("network", cause.UNKNOWN, "it left the router, and no ACK came"), False
        return Reading("phone", cause.PHONE, "it came to the phone, which sent no ACK"), False
    answered = far.unheard[0]
    if not answered.acked_at:
        if "ACK" not in call.unpaired:
            return unknown
        way = "came to the router and did not leave to the LAN" if inward else (
            "left the phone and never left the router"
        )  # fmt: skip
        return Reading("router", cause.ROUTER, f"the ACK {way}"), False
    if inward:
        return Reading("phone", cause.UNKNOWN, "the ACK was delivered, and it still comes"), False
    return Reading("network", cause.UNKNOWN, "the ACK left the router, and it still comes"), False


def _reuses_branch(near: DialogSet) -> bool:
    """The latest INVITE is another one than the refusal answers, in the same transaction."""
    asked, reply = near.request, near.response
    if asked is None or reply is None or asked.row[CSEQ] == reply.row[CSEQ]:
        return False
    return asked.row[TXN] == reply.row[TXN] and Message(reply.payload).status in CHALLENGES


def _same(near: DialogSet, s: DialogSet, t: Transaction) -> Transaction | None:
    """The transaction of this INVITE on its sender's side."""
    by_caller = t.from_tag == s.caller_tag
    unheard = near.unheard[0] if near.unheard is not None else None
    for one in (unheard, near.invite, *near.branches.values()):
        if one is None or one.cseq != t.cseq:
            continue
        if (one.from_tag == near.caller_tag) == by_caller:
            return one
    return None
