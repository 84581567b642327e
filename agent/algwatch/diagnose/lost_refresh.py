# SPDX-License-Identifier: Apache-2.0
"""The loss of a session refresh (RFC 4028), read from both taps. A place needs proof by captured
messages."""

from __future__ import annotations

from algwatch.base.packet import LAN, WAN
from algwatch.base.sighting import are_copies
from algwatch.compare.call import Call
from algwatch.diagnose import cause, misrouted, out_of_order, retargeted
from algwatch.diagnose.known import Known
from algwatch.diagnose.reading import Reading
from algwatch.sip.dialog import Dialog
from algwatch.sip.session_timer import UAC, SessionTimer, session_timer
from algwatch.sip.status_codes import CHALLENGES, GONE
from algwatch.sip.timers import SECOND, WINDOW

CREDENTIALS = (
    "Check the user name and the password at the end that refreshes, and whether it answers the "
    "challenge of a request inside a call."
)
_UNKNOWN_METHOD = (405, 501)  # UPDATE is an extension (RFC 3311); a re-INVITE would do


def timed(call: Call) -> Dialog | None:
    """The dialog with a running or expired session timer, on the side with the longest wait for a
    refresh, and with that refresh if it was refused; None without one."""
    dialogs = [s.current for s in call.seen if s.current is not None]
    some = [d for d in dialogs if d.timer is not None]
    return min([d for d in some if d.timed_out] or some, key=_since, default=None)


def _since(d: Dialog) -> tuple[bool, int]:
    timer = d.timer
    return (timer.refused > 0 and timer.tried is None, timer.at) if timer else (False, 0)


def lost_refresh(call: Call, known: Known) -> Reading:
    """The place of an overdue refresh's loss."""
    one = timed(call)
    assert one is not None and one.timer is not None
    timer = one.timer
    if not call.two_sided or len(call.seen) < 2 or call.inbound is None or not call.paired:
        return _unplaced(timer)
    lan, wan = _timer(call, LAN), _timer(call, WAN)
    if lan is None or wan is None:
        return _taken_out(call, timer) or _unplaced(timer)
    if known.lossy(call) or known.capture.is_late(timer.overdue_at):
        return Reading("unknown", cause.UNKNOWN, (
            "not all of the call was captured and kept, so it is not known what became of it"
        ))  # fmt: skip
    if (lan.interval, lan.refresher) != (wan.interval, wan.refresher):
        if abs(lan.at - wan.at) > WINDOW:
            return _answer_lost(call, lan, wan)
        if not are_copies(lan.answer, wan.answer):
            return _unplaced(timer)
        return Reading("router", cause.ALG, (
            f"the router changed Session-Expires, {_said(lan)} in the LAN and {_said(wan)} on the "
            "WAN, so the two ends do not agree"
        ))  # fmt: skip
    if abs(lan.at - wan.at) > WINDOW:
        return _answer_lost(call, lan, wan)
    tried = lan.tried_at or wan.tried_at
    by_caller = timer.refreshed_by_caller
    if tried:
        by_caller = lan.tried_by_caller if lan.tried_at else wan.tried_by_caller
    if by_caller is None:
        return _unplaced(timer)
    inside = by_caller != call.inbound
    near, far = (lan, wan) if inside else (wan, lan)
    if not tried:
        early = _too_early(one, timer, call.inbound)
        return early or (inside and retargeted.to_lan(call)) or _never_sent(inside)
    if not near.tried_at:
        return _unplaced(timer)
    if not far.tried_at:
        return _stopped(call, near, inside, known)
    if near.refused or far.refused:
        if near.tried is None or far.tried is None:
            # Not captured on both sides: the router may have changed it.
            return _unplaced(near if near.refused else far)
        who = "provider" if inside else "phone"
        if call.unexplained or len(call.keys) > 1:
            who = "unknown"  # the router changed the dialog's names for the other end
        status = near.refused or far.refused
        own = "phone" if inside else "provider"
        if status in CHALLENGES:
            return Reading(own, cause.REFUSED, (
                f"the refresh was asked for credentials ({status}), and none with them was sent"
            ), step=CREDENTIALS)  # fmt: skip
        if status in GONE and (astray := _retargeted(call, lan, wan, inside)) is not None:
            return Reading(astray.where, astray.cause, (
                f"the refresh was refused with {status}: {astray.what}"
            ))  # fmt: skip
        late = out_of_order.out_of_order(call, near.tried)
        if status in out_of_order.REFUSALS and late is not None:
            return Reading(late.where, late.cause, f"the refresh was refused with {status}: "
                           f"{late.what}")  # fmt: skip
        if status in _UNKNOWN_METHOD:
            who = "unknown"  # perhaps not offered by the other end (Allow, RFC 3261 section 20.5)
        return Reading(who, cause.REFUSED, f"the refresh was refused with {status}")
    if inside:
        return misrouted.wrong_source(wan.tried, known) or Reading("network", cause.UNKNOWN, (
            "the phone's refresh left the router, and nobody answered it"
        ))  # fmt: skip
    return Reading("phone", cause.UNKNOWN, (
        "the far end's refresh was delivered, and the phone did not answer it"
    ))  # fmt: skip


def _retargeted(call: Call, lan: SessionTimer, wan: SessionTimer, inside: bool) -> Reading | None:
    """The router had changed where the refresh goes, or its Request-URI."""
    if inside:
        return retargeted.by_contact(call, wan.tried)
    return retargeted.by_request_uri(call, lan.tried, wan.tried)


def _taken_out(call: Call, timer: SessionTimer) -> Reading | None:
    """The refresher does not know of its duty: the router took Session-Expires out of the 2xx.
    timer: of the other side."""
    for crossing in call.changed.values():
        left = crossing.left
        if timer.answer is not crossing.entered or session_timer(left, timer.by_caller) is not None:
            continue
        if timer.tried_at or timer.refresher != UAC:
            return None  # the receiver of this 2xx knew it, or is not the refresher
        who = "the far end" if crossing.outbound else "the phone"
        return Reading("router", cause.ALG, (
            f"{who} was to refresh it, and the router had taken Session-Expires out of the 2xx "
            "that says so"
        ))  # fmt: skip
    return None


def _timer(call: Call, side: int) -> SessionTimer | None:
    d = call.dialog(side)
    return d.timer if d is not None else None


def _said(timer: SessionTimer) -> str:
    who = f";refresher={timer.refresher.decode()}" if timer.refresher else ""
    return f"{timer.interval // SECOND}{who}"


def _too_early(d: Dialog, timer: SessionTimer, inbound: bool) -> Reading | None:
    """The end that waits for the refresh hung up when none was due yet, as after one that it
    accepted and did not count."""
    if not d.bye_at or d.bye_at >= timer.overdue_at:
        return None
    if d.bye_by_caller == timer.refreshed_by_caller:
        return None
    where = "provider" if d.bye_by_caller == inbound else "phone"
    who = "the far end" if where == "provider" else "the phone"
    left = (timer.bye_at - d.bye_at) // SECOND
    return Reading(where, cause.of_place(where), (
        f"{who} hung up {left} s before its time (RFC 4028 section 10), and the other end still "
        "had time to refresh it"
    ))  # fmt: skip


def _never_sent(inside: bool) -> Reading:
    if inside:
        return Reading("phone", cause.PHONE, (
            "the phone had agreed to refresh it and sent neither re-INVITE nor UPDATE"
        ))  # fmt: skip
    return Reading("network", cause.UNKNOWN, (
        "the far end had agreed to refresh it, and neither re-INVITE nor UPDATE came to this "
        "router's WAN side"
    ))  # fmt: skip


def _stopped(call: Call, near: SessionTimer, inside: bool, known: Known) -> Reading:
    """The refresh was seen on the side it came from, and not on the other."""
    if "INVITE" not in call.unpaired and "UPDATE" not in call.unpaired:
        return _unplaced(near)
    if near.refused:
        return _unplaced(near)  # it was answered, so the other side's capture lacks it
    if inside:
        kept = misrouted.over_tcp(near.tried) if near.tried is not None else None
        return kept or Reading("router", cause.ROUTER, "the phone's refresh never left the router")
    what = "the far end's refresh came to this router and was given to no phone"
    return misrouted.given_to_no_phone(near.tried, known, what)


def _answer_lost(call: Call, lan: SessionTimer, wan: SessionTimer) -> Reading:
    """One side saw the refresh answered, and the other did not."""
    if not ({"2xx INVITE", "2xx UPDATE"} & call.unpaired.keys()):
        return _unplaced(lan)
    late = wan if wan.at > lan.at else lan
    on, to = ("WAN", "LAN") if late is wan else ("LAN", "WAN")
    if (late is wan) != (late.by_caller != call.inbound):
        # It left the router, so it had come, and only the capture of the other side lost it.
        return _unplaced(late)
    kept = misrouted.over_tcp(late.answer) if late.answer is not None else None
    return kept or Reading("router", cause.ROUTER, (
        f"the 2xx to its refresh came to the {on} side of this router and never left to the {to}"
    ))  # fmt: skip


def _unplaced(timer: SessionTimer) -> Reading:
    if timer.refused:
        what = f"its refresh was refused with {timer.refused}"
    elif timer.tried_at:
        what = "its refresh was not answered"
    else:
        what = "neither re-INVITE nor UPDATE refreshed it"
    return Reading("unknown", cause.UNKNOWN, what)
