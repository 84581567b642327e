# SPDX-License-Identifier: Apache-2.0
"""REG001: a registration was never answered, or never accepted.

What it sees
    A REGISTER without any response until Timer F, or with a response the phone never accepts, so it
    keeps sending. A refused one, or a challenged one without another after it; or one challenged
    again and again in spite of its credentials. One refused with 403 or 404 names the router if it
    had written another address of record into its To. The two taps tell how far it came, and
    whether a response came to the router and was lost there. A phone without another REGISTER after
    one and a half times its granted time, while other phones go on; or one that registers again
    only after its granted time was over, twice in a row: possible harm, and no all-clear.

Why it breaks calls
    An unregistered phone does not ring, and many providers refuse its calls.

What else looks the same
    The challenge (401, 407) of each registration: the phone answers it a moment later. A
    registration at the end of a capture, still undecided. A REGISTER over UDP without a repeat: its
    response was not captured, or the phone is gone. A nonce too old (stale=true), or a time too
    brief (423): the next round ends them. Credentials changed by the router: REG004. A phone
    removed its own binding, or registers anew with another Call-ID: a REGISTER in vain does no harm
    if another one of the phone is accepted soon after. A stranger outside guesses passwords.

Recommendation
    Refused: see the status (403: account or password). Challenged again in spite of credentials:
    user name or password. Unanswered: the finding names the place. Without rport behind a NAT that
    changes ports: turn rport on.

References
    RFC 3261 sections 10.2, 17.1.2.2, 22.2; RFC 3581.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base import address
from algwatch.base.quote import somebody
from algwatch.base.sighting import CSEQ
from algwatch.compare.registered import LAPSES, Registered
from algwatch.diagnose import cause, other_aor, renamed, taken_out
from algwatch.diagnose.credentials import damage
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.reading import Reading
from algwatch.diagnose.refused import PASSWORD, answerer
from algwatch.diagnose.rule import Rule, evidence, times
from algwatch.diagnose.rules.reg.reg003_other_expires import TOO_BRIEF, too_brief
from algwatch.diagnose.rules.txn.txn003_request_failed import request_reading, severity
from algwatch.diagnose.subject import REGISTRATION
from algwatch.sip import digest
from algwatch.sip.helper_drops import dropped_for
from algwatch.sip.message import Message
from algwatch.sip.status_codes import ANEW
from algwatch.sip.timers import SECOND
from algwatch.sip.transaction import Transaction

RULE = Rule(
    "REG001", "registration-failed", "error", REGISTRATION,
    ("RFC 3261 10.2", "RFC 3261 17.1.2.2", "RFC 3261 22.2"),
    "A REGISTER was never answered, or never accepted.",
)  # fmt: skip

PROMPT = 10 * SECOND  # a nonce is good for longer
HELPER = (
    "Look whether a SIP helper is at work on this router (algwatch doctor, lsmod | grep sip), or "
    "let the phone write its expires without quotes."
)
ONE_SERVER = (
    "Let the phone keep to one server of its provider (its address as outbound proxy), or ask the "
    "provider whether its servers know the nonces of one another."
)


def check(registered: Registered, known: Known) -> Iterator[Finding]:
    outcome, exchange = registered.said, registered.exchange
    if registered.stopped:
        yield from _stopped(registered, known)
    if registered.lapses == LAPSES and outcome == "accepted":
        yield from _lapsed(registered, known)
    if outcome == "accepted" or exchange is None or exchange.request is None:
        return
    t, step = exchange.entered, ""
    doubted = outcome == "unanswered" and registered.doubted
    if outcome == "unanswered" and (exchange.settled or known.unseen(exchange)):
        return
    if outcome == "unanswered":
        reading = renamed.response_unmatched(registered) or request_reading(
            exchange, known, registered.doubted
        )
        what = f"was sent {times(t.requests)} and got no response in 32 s: {reading.what}"
        if reading.cause == cause.UNKNOWN and exchange.outbound and exchange.left is None:
            drops = dropped_for(Message(exchange.request.payload))[1]
            if drops:
                what += f"; {drops}: the SIP helper of Linux would drop it for that"
                step = HELPER
        if t.finals and reading.cause != cause.UNKNOWN:
            return  # TXN006, ALG011
        if registered.anew:
            what = f"was sent {times(t.requests)} and got no response: {reading.what}; "
            what += "the phone gave it up, and another REGISTER was accepted soon after"
        if t.finals:
            what = f"was sent {times(t.requests)} in 32 s although a response came: {reading.what}"
    elif damage(registered) is not None or too_brief(registered) is not None:
        return  # REG004, REG003
    elif outcome == "refused" and taken_out.of_exchange(exchange) is not None:
        return  # ALG018
    elif outcome == "challenged":
        if registered.anew:
            return  # with credentials and another Call-ID
        bare = not digest.has_credentials(Message(exchange.request.payload))
        if bare and known.was_told(RULE.id, f"{registered.call_id}/unanswered"):
            return  # a phone that accepts no challenge sends no credentials
        where, why, what = _challenged(registered, t, known.two_sided)
        if why == cause.PHONE and not registered.paired:
            where, why = "unknown", cause.UNKNOWN  # anyone may have sent it
        reading = Reading(where, why, "")
        step = PASSWORD if why == cause.REFUSED else ONE_SERVER if registered.near.roams else ""
    else:
        # A 423 and the like ask for another REGISTER, so the one who gave up may have the fault.
        where = "unknown" if t.status in ANEW and t.status < 500 else answerer(exchange)
        reading = Reading(where, cause.REFUSED, "")
        what = f"was refused with {t.status}"
        if (named := other_aor.reading(registered, known)) is not None:
            reading, what = named, f"{what}, {named.what}"
        else:
            step = f"Ask the provider why it refuses with {t.status}."
        if registered.anew:
            what += "; another REGISTER of the phone was accepted soon after"
        if t.status == TOO_BRIEF:
            step = "Set a longer registration time at the phone, as the 423 asks for (Min-Expires)."
    proof = [evidence(exchange.request, f"sent {times(t.requests)}", "200")]
    response = exchange.stopped_response or t.response
    if response is not None:
        proof.append(evidence(response, "the response", "200 to the phone"))
    line = exchange.line.name if exchange.line is not None else ""
    step = step or reading.step
    yield RULE.finding(
        reading.where, _harm(reading, doubted or registered.anew),
        f"The REGISTER of {somebody(registered.aor)} {what}.", proof,
        f"{registered.call_id}/{outcome}", cause=reading.cause, call_id=registered.call_id,
        line=line, next_step=step, severity=severity(reading),
        symptom=doubted,
    )  # fmt: skip


def _harm(reading: Reading, doubted: bool) -> str:
    if reading.cause == cause.CAPTURE:
        return "none"
    return "latent" if doubted else "observed"


def _stopped(registered: Registered, known: Known) -> Iterator[Finding]:
    agreed = registered.binding
    if agreed is None or known.capture.lost_by(agreed.near.asked) >= agreed.at:
        return
    granted, since = (agreed.until - agreed.at) // SECOND, (known.now - agreed.at) // SECOND
    yield RULE.finding(
        "phone" if known.two_sided else "unknown", "latent",
        f"{somebody(registered.aor)} was registered for {granted} s and did not register again for "
        f"{since} s while others did: it is switched off, or something keeps it from registering.",
        [evidence(agreed.near.granted, f"grants {granted} s; no REGISTER for {since} s",
                  f"another REGISTER within {granted} s")],
        f"{registered.aor}/stopped", cause=cause.UNKNOWN, call_id=registered.call_id,
        line=known.line_name(registered),
        next_step="See whether that phone is on, and capture at its own port.",
    )  # fmt: skip


def _lapsed(registered: Registered, known: Known) -> Iterator[Finding]:
    """The phone registers later than the granted time allows, again and again."""
    agreed = registered.binding
    if agreed is None or known.capture.lost_by(agreed.near.asked) or known.capture.gaps:
        return  # a REGISTER between the two may not have been captured
    if (agreed.far or agreed.near) is not agreed.near:
        return  # REG003, if the router changed the time
    granted, wanted = (agreed.until - agreed.at) // SECOND, agreed.near.wanted
    yield RULE.finding(
        "phone" if known.two_sided else "unknown", "latent",
        f"{somebody(registered.aor)} was registered for {granted} s and registered again only "
        "after that time was over, twice in a row: between the two no call reaches it.",
        [evidence(agreed.near.granted, f"grants {granted} s",
                  f"another REGISTER within {granted} s"),
         evidence(agreed.near.asked, f"asks for {wanted} s" if wanted >= 0 else "no time", "")],
        f"{registered.aor}/lapsed", cause=cause.UNKNOWN, call_id=registered.call_id,
        line=known.line_name(registered), symptom=True,
        next_step=f"Set the registration time of the phone to {granted} s, as the provider grants "
        "no more, or look what keeps it from registering in time.",
    )  # fmt: skip


def _challenged(registered: Registered, t: Transaction, two_sided: bool) -> tuple[str, str, str]:
    """where, cause, and the fate of a REGISTER that was challenged and never accepted."""
    rounds, status = registered.near.rounds, t.status
    so = f"was challenged with {status}, and nothing came after it"
    if t.request is None or t.response is None:
        return "unknown", cause.REFUSED, so
    if rounds < 2 and not two_sided and not address.is_unroutable(t.request.ends.src):
        # Beyond the NAT: the phone's next REGISTER may have been lost before.
        return "unknown", cause.UNKNOWN, f"{so} on this side of the router"
    if rounds < 2:
        return "unknown", cause.REFUSED, so
    again = f"was challenged with {status} {times(rounds)} in a row"
    if t.response.row[CSEQ] != t.request.row[CSEQ]:
        return "phone" if two_sided else "unknown", cause.PHONE, (
            f"{again}: it has the branch of the REGISTER before (RFC 3261 section 8.1.1.7), so the "
            "registrar took it for that one and repeated its answer"
        )  # fmt: skip
    if not digest.has_credentials(Message(t.request.payload)):
        where = "phone" if two_sided else "unknown"
        return where, cause.REFUSED, f"{again}, and the phone sent no credentials"
    if digest.is_stale(Message(t.response.payload)):
        so = "its nonce was too old each time"
        if registered.near.roams:
            so += ": the phone changed its server, and one may not know the nonce of another"
        return "unknown", cause.UNKNOWN, f"{again}, and {so}"
    if registered.near.accepted_at or registered.near.waited > PROMPT:
        so = "the password is another one than before, or its nonce is too old each time"
        if not registered.near.accepted_at:
            so = "the password is wrong, or the phone takes so long that its nonce is too old"
        return "unknown", cause.UNKNOWN, f"{again}, with the credentials that it had sent: {so}"
    if two_sided and t.forwarded is not None:
        so = ": user name or password are wrong, as the router left the credentials alone"
    else:
        so = ": user name or password are wrong, or a router has changed them on the way"
    return "unknown", cause.REFUSED, f"{again}, with the credentials that it had sent{so}"
