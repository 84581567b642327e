# SPDX-License-Identifier: Apache-2.0
"""DLG007: a timer ended the call.

What it sees
    The BYE of a call comes at the time of a timer. First: 32 s (64*T1) after an answer whose 2xx
    got no ACK, or 4 to 11 s after it from less patient phones; DLG001 beside it tells the place of
    the loss. One 2xx is enough (TCP, B2BUA) if the BYE comes at 32 s. Second: a session timer
    without a refreshing re-INVITE or UPDATE. Its BYE comes at Session-Expires less 32 s or a third,
    or at Session-Expires, or 32 s after an unanswered refresh, or at once after a refused one, by
    its sender (408, 481: by either end), or after half of the interval with a timeout as its
    Reason. Live, an overdue refresh is reported with the seconds left, and taken back if it comes
    late.

Why it breaks calls
    The users still talk. A session timer of 1800 s, the usual one, drops each long call after 15 or
    30 minutes. Shorter calls live, so nobody sees a pattern.

What else looks the same
    A user hangs up after 10 s, 32 s or 15 minutes: with an ACK, and a refreshed session or no
    timer, this call is like any other. A Reason with a timeout but no session timer: media may have
    stopped. A refused refresh is repeated in another way (UPDATE with 501, then a re-INVITE). A
    refresh may come later than half of the interval (RFC 4028 section 7.2).

Recommendation
    For a lost ACK see the finding beside this one. For a session timer: on the phone without
    refreshes, turn session timers off or let the other end refresh. If the router stops the
    refresh, look at the finding about this re-INVITE or UPDATE (TXN001, TXN003).

References
    RFC 3261 section 13.3.1.4; RFC 4028 sections 7.2, 10; RFC 3326.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base.quote import quoted, somebody
from algwatch.compare.call import Call
from algwatch.compare.signs import REPEATED, TROUBLED
from algwatch.diagnose import cause
from algwatch.diagnose import lost_ack as lost
from algwatch.diagnose.finding import Evidence, Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.lost_refresh import lost_refresh, timed
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.rules.dlg.dlg001_ack_lost import callee, reading_of
from algwatch.diagnose.subject import CALL
from algwatch.sip.dialog import Dialog
from algwatch.sip.session_timer import SessionTimer
from algwatch.sip.timers import ACK_WAIT, SECOND

RULE = Rule(
    "DLG007", "timer-drop", "warning", CALL,
    ("RFC 3261 13.3.1.4", "RFC 4028 7.2", "RFC 4028 10", "RFC 3326"),
    "A timer ended the call: no ACK came, or nobody refreshed its session.",
    when=REPEATED | TROUBLED,
)  # fmt: skip

SLACK = 2 * SECOND
SOON, LATE = 4 * SECOND, 11 * SECOND  # phones that wait 5 to 10 s for an ACK


def check(call: Call, known: Known) -> Iterator[Finding]:
    how = lost.lost_ack(call, known)
    if how is not None:
        yield from _unacknowledged(call, how, known)
    if call.timed_out:
        if timed(call) is None:
            return  # a message after the BYE removed the timer
        yield _expired(call, known)
    elif call.is_overdue(known.now):
        yield from _overdue(call, known)
    elif not call.overdue or _ended(call):
        yield from _came_late(call, known)


def _unacknowledged(call: Call, how: lost.LostAck, known: Known) -> Iterator[Finding]:
    d, s = how.dialog, how.side
    if not d.bye_at or d.bye is None or d.answer is None or not how.dropped(known.now):
        return
    lasted = d.bye_at - d.answered_at
    after = lost.elapsed(d, d.bye_at)
    if abs(lasted - ACK_WAIT) <= SLACK:
        so = "64*T1, the time that a callee waits for an ACK"
    elif SOON <= lasted <= LATE and s.gave_up(d):
        so = "sooner than 64*T1 (32 s), as phones do that wait 5 to 10 s for an ACK"
    else:
        return
    reading = reading_of(call, known)
    yield RULE.finding(
        reading.where, "observed",
        f"The call that {callee(call, s.by_caller(d))} answered was ended {after} after the "
        f"answer: {so}.",
        [evidence(d.bye, f"BYE {after} after the answer", "a call that goes on"),
         evidence(d.answer, "the 2xx that no ACK reached", "ACK within T1")],
        f"{call.call_id}/ack", cause=reading.cause, call_id=call.call_id,
        line=known.line_name(call), symptom=True,
    )  # fmt: skip


def _expired(call: Call, known: Known) -> Finding:
    d, timer = _timed(call)
    reading = lost_refresh(call, known)
    lasted = (d.bye_at - timer.at) / 1e9
    interval = timer.interval // SECOND
    said = f", with the reason {quoted(d.bye_reason)}" if d.bye_reason else ""
    proof = [_agreed(timer)]
    if timer.tried is not None:
        proof.append(evidence(timer.tried, "the refresh", "a 2xx to it"))
    if d.bye is not None:
        proof.insert(0, evidence(d.bye, f"BYE {lasted:.0f} s after the session began or was "
                                 "refreshed", "a call that goes on"))  # fmt: skip
    return RULE.finding(
        reading.where, "observed",
        f"The call to {somebody(call.to)} was dropped by its session timer (Session-Expires "
        f"{interval}) {lasted:.0f} s after the session began or was refreshed{said}: "
        f"{reading.what}.",
        proof, _key(call), cause=reading.cause, call_id=call.call_id, line=known.line_name(call),
        next_step=reading.step,
    )  # fmt: skip


def _overdue(call: Call, known: Known) -> Iterator[Finding]:
    _, timer = _timed(call)
    left = (timer.bye_at - known.now) // SECOND
    if left <= 0:
        return  # its fate is not known
    reading = lost_refresh(call, known)
    since = (known.now - timer.at) / 1e9
    yield RULE.finding(
        reading.where, "latent",
        f"The session of the call to {somebody(call.to)} has not been refreshed for {since:.0f} s "
        f"(Session-Expires {timer.interval // SECOND}): {reading.what}; without a refresh the call "
        f"is ended in {left} s.",
        [_agreed(timer)], _key(call), cause=reading.cause, call_id=call.call_id,
        line=known.line_name(call), predicts=True,
    )  # fmt: skip


def _came_late(call: Call, known: Known) -> Iterator[Finding]:
    """Take back a prediction."""
    if not known.was_said(RULE.id, _key(call)):
        return
    d = timed(call)
    timer = d.timer if d is not None else None
    if _ended(call):
        what = "was ended before its session timer ended it"
    else:
        what = "was refreshed late, before its session timer ended it"
    if timer is not None:
        proof = [_agreed(timer)]
    else:
        seen = next((s.current.answer for s in call.seen if s.current and s.current.answer), None)
        proof = [evidence(seen, "answered without Session-Expires")] if seen is not None else []
    if proof:
        yield RULE.finding(
            "unknown", "none", f"The call to {somebody(call.to)} {what}.", proof, _key(call),
            cause=cause.NONE, call_id=call.call_id, line=known.line_name(call), severity="info",
        )  # fmt: skip


def _ended(call: Call) -> bool:
    return any(s.bye_at for s in call.seen)


def _timed(call: Call) -> tuple[Dialog, SessionTimer]:
    d = timed(call)
    assert d is not None and d.timer is not None
    return d, d.timer


def _agreed(timer: SessionTimer) -> Evidence:
    return evidence(timer.answer, f"Session-Expires {timer.interval // SECOND}",
                    "a refresh after half of it")  # fmt: skip


def _key(call: Call) -> str:
    return f"{call.call_id}/session"
