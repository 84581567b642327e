# SPDX-License-Identifier: Apache-2.0
"""DLG014: a re-INVITE or UPDATE was refused, and its sender ended the call or asked in vain.

What it sees
    A re-INVITE or UPDATE inside a call is refused, and its sender's BYE follows within half a
    second. No person hangs up so soon after an invisible message. Or it asks for hold and the 2xx
    says sendrecv: the other end is not on hold. Or it is refused with 491, although the other end
    has no request of its own on the way, or a hold is refused, or it is refused for
    another reason than its media, and none is accepted until the call ends. Or it takes the call
    off hold, and the 2xx has the address 0.0.0.0 or says inactive, although the other end has no
    hold of its own: nothing later brings the audio back.

Why it breaks calls
    A refused re-INVITE leaves the call as it was (RFC 3261 section 14.1), but many ends give the
    call up: after a PBX asked for direct media, a fax for T.38, a user for hold. After a 408 or 481
    each end has to, and a session that is never refreshed ends (RFC 4028 section 10). Without hold
    the other end hears no music, and goes on sending. If the hold stays, the end that wanted it off
    must not send RTP: the other user hears nothing.

What else looks the same
    The call goes on after a refusal of other media (415, 488, 606), or the same is asked in another
    way (a re-INVITE after an UPDATE with 405). An UPDATE before the answer: TXN003. Two re-INVITEs
    cross (491, or 500 with Retry-After) and the call goes on, a challenge (401, 407) that is
    answered, a refusal by a person (486, 603) or a request taken back (487). A BYE of the other
    end. A session timer: DLG007. A dialog unknown to the other end: DLG008. A CSeq number that did
    not rise: the refusal is right, and its sender at fault. A header field taken out by the router:
    ALG018. A codec or media line changed by the router: the finding says so, and only a trial
    without its ALG shows whether that was the reason. A hold as in RFC 2543 (c=0.0.0.0) needs no
    direction in its answer. The user at the other end may have put the call on hold as well,
    without a request.

Recommendation
    The status gives the reason (488: codecs or fax; 405, 501: turn the feature off). Turn off
    direct media, T.38 or session timers at the requesting end. 491: the other end waits for a
    response to a request of its own, which may have been lost on the way. A hold answered with
    sendrecv is a fault of whoever answers.

References
    RFC 3261 sections 12.2.1.2, 14.1, 14.2; RFC 3264 sections 6.1, 8.4; RFC 3311 section 5.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from algwatch.base import quote
from algwatch.base.packet import LAN, WAN
from algwatch.base.sighting import AT, FROM_TAG, STATUS, Sighting, are_copies
from algwatch.compare.call import Call
from algwatch.diagnose import cause, taken_out
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.out_of_order import REFUSALS, out_of_order
from algwatch.diagnose.reading import Reading
from algwatch.diagnose.rule import Rule, evidence, times
from algwatch.diagnose.subject import CALL
from algwatch.sip.denied import GLARE, is_unheld, is_unresumed
from algwatch.sip.message import Message, to_text
from algwatch.sip.status_codes import ANEW, GONE
from algwatch.sip.timers import SECOND, T4

RULE = Rule(
    "DLG014", "refresh-refused", "warning", CALL, ("RFC 3261 14.1", "RFC 3261 12.2.1.2"),
    "A re-INVITE or UPDATE was refused: its sender ended the call at once, or asks in vain.",
    symptom=True,
)  # fmt: skip

DEAD = 5 * SECOND  # of silence that people notice
NOT_RESUMED = ("Ask whether the other end had the call on hold, too. If not, its device or PBX "
               "does not take a call off hold.")  # fmt: skip
OFTEN = 2  # refusals in a row: a sender tries again some seconds later (RFC 3261 section 14.1)


def check(call: Call, known: Known) -> Iterator[Finding]:
    for s in call.sides:
        d = s.current if s is not None else None
        if d is not None and (d.cut_short or d.denied is not None):
            break
    else:
        return  # most calls
    if call.timed_out or taken_out.of_refresh(call) is not None:
        return  # DLG007, ALG018
    for s in call.seen:
        d = s.current
        if d is None or not d.cut_short or d.refused is None or d.bye_status in GONE:
            continue
        asked, reply = d.refused
        if reply.row[STATUS] < 300:
            of = _unheld if is_unheld(asked, reply) else _unresumed
            yield of(call, known, asked, reply, True)
            return
        status, late = reply.row[STATUS], _out_of_order(call, asked, reply)
        changed = "" if late else _changed_media(call)
        so = f": {late.what}" if late else ""
        step = (
            f"Ask whoever refused it what {status} stands for there, and turn off what was asked "
            "for (direct media, T.38, hold) at the end that asks."
        )
        if changed:
            so = f": the router had changed {changed} in it"
            step = (
                "Try the same once with the SIP ALG of the router off, on one phone: only then it "
                "is known whether the change is the reason."
            )
        yield RULE.finding(
            late.where if late else "unknown", "observed",
            f"{_named(call, asked)} was refused with {status}, and its sender ended the call at "
            f"once{so}.",
            [evidence(asked, "asked to change the session", "200"),
             evidence(reply, f"refused with {status}, and then BYE", "200")],
            call.call_id, cause=late.cause if late else cause.REFUSED, call_id=call.call_id,
            line=known.line_name(call), symptom=late is None,
            next_step="" if late else step,
        )  # fmt: skip
        return
    yield from _never_granted(call, known)


def _out_of_order(call: Call, asked: Sighting, reply: Sighting) -> Reading | None:
    return out_of_order(call, asked) if reply.row[STATUS] in REFUSALS else None


def _changed_media(call: Call) -> str:
    """A line of the refused offer that left the router otherwise than it came, quoted; "" if they
    are the same but for addresses and ports, which a NAT may change."""
    lan, wan = call.dialog(LAN), call.dialog(WAN)
    if lan is None or wan is None or lan.refused is None or wan.refused is None:
        return ""
    came, left = sorted((lan.refused[0], wan.refused[0]), key=lambda copy: copy.at)
    if came.payload == left.payload or not are_copies(came, left):
        return ""
    kept = list(_media(left).values())
    gone = next((line for line, media in _media(came).items() if media not in kept), b"")
    return quote.quoted(to_text(gone)) if gone else ""


def _media(copy: Sighting) -> dict[bytes, list[bytes]]:
    """The lines that say which media and codecs, each with its words but a port."""
    found = {}
    for line in Message(copy.payload).body.splitlines():
        if line.startswith((b"m=", b"a=rtpmap:", b"a=fmtp:")):
            words = line.split()
            found[line] = words[:1] + words[2:] if line.startswith(b"m=") else words
    return found


def _named(call: Call, asked: Sighting) -> str:
    method = Message(asked.payload).method
    what = "A re-INVITE" if method == "INVITE" else f"The {quote.method(method)}"
    return f"{what} in the call to {quote.somebody(call.to)}"


def _never_granted(call: Call, known: Known) -> Iterator[Finding]:
    """Each side with the call shows the same: a request that one of them lost may have crossed."""
    every = [s.current.denied for s in call.seen if s.current is not None]
    over = known.capture.finished or any(s.bye_at for s in call.seen)
    if not over or known.lossy(call):
        return
    one = min((d for d in every if d is not None), key=lambda d: d.count, default=None)
    if one is None:
        return
    status = one.reply.row[STATUS]
    ended = min((s.bye_at for s in call.seen if s.bye_at), default=known.now)
    if status in GONE and (call.disowned is not None or _is_gone(call)):
        return  # DLG008
    if status < 300:
        of = _unheld if one.hold else _unresumed
        yield of(call, known, one.asked, one.reply, False)
        return
    waits = status == GLARE or not one.hold  # after 491 for up to 4 s (RFC 3261 section 14.1)
    late = status in (*ANEW, *GONE) and waits and ended - one.reply.row[AT] < T4
    if None in every or late:
        return  # it may have been sent anew after that
    often = f", {times(one.count)}" if one.count > 1 else ""
    wanted = "asked for hold, and " if one.hold else ""
    so, why, step = "", cause.REFUSED, f"Ask whoever refused it what {status} stands for there"
    where = _answerer(call, one.asked, "network")
    wrong = next(filter(None, (_out_of_order(call, d.asked, d.reply) for d in every if d)), None)
    if status == GLARE:
        so = ", as if another request was on its way, and none was seen"
        step += ", and for which request of its own it waits"
    elif wrong is not None:
        where, why, so = wrong.where, wrong.cause, f": {wrong.what}"
    yield RULE.finding(
        where, "observed" if one.count >= OFTEN else "latent",
        f"{_named(call, one.asked)} {wanted}was refused with {status}{often}{so}. None was "
        "accepted until the call ended.",
        [evidence(one.asked, "asked to change the session", "200"),
         evidence(one.reply, f"refused with {status}{often}", "200")],
        call.call_id, cause=why, call_id=call.call_id, line=known.line_name(call),
        symptom=wrong is None or one.count < OFTEN, next_step="" if wrong else f"{step}.",
    )  # fmt: skip


def _is_gone(call: Call) -> bool:
    return any(s.current is not None and s.current.bye_status in GONE for s in call.seen)


def _unheld(call: Call, known: Known, asked: Sighting, reply: Sighting,
            cut_short: bool) -> Finding:  # fmt: skip
    where = _answerer(call, asked, "provider")
    why, so = cause.of_place(where), "the answer is sendrecv, so the other end is not on hold"
    if _router_changed(call, asked, reply, is_unheld):
        where, why = "router", cause.ALG
        so += " (the router had changed one of them)"
    if cut_short:
        so += ", and its sender ended the call at once"
    return RULE.finding(
        where, "observed" if cut_short else "latent",
        f"{_named(call, asked)} asked for hold, and {so}.",
        [evidence(asked, "asks for hold", ""),
         evidence(reply, "sendrecv", "recvonly or inactive (RFC 3264 section 6.1)")],
        call.call_id, cause=why, call_id=call.call_id, line=known.line_name(call), symptom=False,
    )  # fmt: skip


def _unresumed(call: Call, known: Known, asked: Sighting, reply: Sighting,
               cut_short: bool) -> Finding:  # fmt: skip
    where, why, step = "unknown", cause.UNKNOWN, NOT_RESUMED
    so = "the answer keeps it on hold: no RTP may go to the end that answered"
    if _router_changed(call, asked, reply, is_unresumed):
        where, why, step = "router", cause.ALG, ""
        so += " (the router had changed one of them)"
    ended = min((s.bye_at for s in call.seen if s.bye_at), default=0)
    went_on = ended - reply.row[AT] if ended else 0
    if cut_short:
        so += ", and it ended the call at once"
    elif went_on:
        so += f"; the call ended {went_on / SECOND:.0f} s later"
    return RULE.finding(
        where, "observed" if cut_short or went_on >= DEAD else "latent",
        f"{_named(call, asked)} took it off hold, and {so}.",
        [evidence(asked, "takes the call off hold", ""),
         evidence(reply, "address 0.0.0.0, or inactive", "the address of the other end")],
        call.call_id, cause=why, call_id=call.call_id, line=known.line_name(call), symptom=False,
        next_step=step,
    )  # fmt: skip


def _router_changed(call: Call, asked: Sighting, reply: Sighting,
                    is_so: Callable[[Sighting, Sighting], bool]) -> bool:  # fmt: skip
    """True if the router changed one of the two, and it is not so (is_so) without the change."""
    as_written = {asked: asked, reply: reply}
    for crossing in call.changed.values():
        for one, other in ((crossing.lan, crossing.wan), (crossing.wan, crossing.lan)):
            if one is not None and other is not None and one in as_written:
                as_written[one] = other
    return not is_so(as_written[asked], as_written[reply])


def _answerer(call: Call, asked: Sighting, beyond: str) -> str:
    """The place of the end that answered. beyond: for one behind the WAN."""
    s = call.sides[asked.side]
    if not call.two_sided or call.inbound is None or s is None:
        return "unknown"
    by_phone = (asked.row[FROM_TAG] == s.caller_tag) != call.inbound
    return beyond if by_phone else "phone"
