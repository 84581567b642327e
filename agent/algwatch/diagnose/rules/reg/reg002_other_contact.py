# SPDX-License-Identifier: Apache-2.0
"""REG002: the registrar's 200 does not list the Contact registered by the phone.

What it sees
    The 200 to a REGISTER lists bindings, and none of them is the phone's: neither its user, host
    and port, nor its instance. Both taps name the author: the router, if the 200 on the WAN side
    lists the Contact of the REGISTER there; else the registrar. Or the 200 lists no binding at all,
    or grants the phone 0 s. Or the router took the Contact out of the REGISTER: the REGISTER then
    only asks for the present bindings.

Why it breaks calls
    A phone finds its granted time by its own Contact. Without it the phone takes itself for
    unregistered. It registers again at once, or shows itself as offline. A registrar with an empty
    list has no binding, and no call comes to the phone; some registrars forget to list it.

What else looks the same
    A registrar lists bindings of other phones as well, or adds parameters. A registrar answers with
    the public address it saw: most phones ignore this, so it counts as harmless until the phone
    registers again and again. The 200 to a removed binding. A grant of nothing, put right by a
    later REGISTER, is taken back.

Recommendation
    Changed by the router: see the advice on its ALG. By the registrar: send it the two Contacts.

References
    RFC 3261 sections 10.2.4, 10.3, 19.1.4; RFC 5626 section 4.2.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base import quote
from algwatch.base.address import joined
from algwatch.compare.binding import Binding, Terms
from algwatch.compare.registered import INSISTS, Registered
from algwatch.diagnose import cause
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import REGISTRATION
from algwatch.sip.message import Address

RULE = Rule(
    "REG002", "other-contact", "info", REGISTRATION,
    ("RFC 3261 10.2.4", "RFC 3261 10.3", "RFC 3261 19.1.4"),
    "The registrar's 200 does not list the Contact that the phone registered.",
)  # fmt: skip

LONG = 60  # seconds; with a longer time, a phone does not register at once for want of it


def check(registered: Registered, known: Known) -> Iterator[Finding]:
    agreed = registered.binding
    if registered.said != "accepted" or agreed is None:
        return
    near, far = agreed.near, agreed.far
    if agreed.is_query and not near.removed:
        yield _asked_only(registered, agreed, known)
        return
    if near.removed:
        return
    if near.found:
        if near.seconds == 0 and near.wanted != 0:
            yield _granted_nothing(registered, agreed, known)
        else:
            yield from _bound_since(registered, agreed, known)
        return
    if not near.contacts and (far is None or not far.contacts):
        yield _unlisted(registered, agreed, known)
        return
    where, why, who = _blamed(agreed, known.two_sided)
    times = registered.near.hasty
    insists = times >= INSISTS and not 0 <= near.seconds < LONG
    harm = "observed" if insists else "latent" if where == "router" else "none"
    wrote, got = _shown(near.own), _shown(near.contacts)
    so = f", and it registered again at once, {times} times in a row" if insists else ""
    proof = [evidence(near.asked, f"Contact {wrote}", "the same in the 200"),
             evidence(near.granted, f"Contact {got}", f"Contact {wrote}")]  # fmt: skip
    if far is not None and far is not near:
        proof += [evidence(far.asked, f"Contact {_shown(far.own)}", f"Contact {wrote}"),
                  evidence(far.granted, f"Contact {_shown(far.contacts)}", "")]  # fmt: skip
    yield RULE.finding(
        where, harm,
        f"{quote.somebody(registered.aor)} registered {wrote} and the 200 lists {got}: {who}{so}.",
        proof, f"{registered.aor}/{where}", cause=why if harm != "none" else cause.NONE,
        call_id=registered.call_id, line=known.line_name(registered),
    )  # fmt: skip


def _asked_only(registered: Registered, agreed: Binding, known: Known) -> Finding:
    """The router took the Contact out of the REGISTER."""
    near, far = agreed.near, agreed.far
    assert far is not None
    so = "no binding was made, and no call comes to the phone"
    if near.found:
        so = "the binding that there is was not renewed"
    return RULE.finding(
        "router", "latent" if near.found else "observed",
        f"The router took the Contact {_shown(near.own)} out of the REGISTER of "
        f"{quote.somebody(registered.aor)}, so it only asked which bindings there are: {so}.",
        [evidence(near.asked, f"entered the router with Contact {_shown(near.own)}", "unchanged"),
         evidence(far.asked, "left it without Contact", "unchanged"),
         evidence(far.granted, f"lists {_shown(far.contacts)}", f"Contact {_shown(near.own)}")],
        f"{registered.aor}/query", cause=cause.ALG, call_id=registered.call_id,
        certain=not near.found, line=known.line_name(registered),
    )  # fmt: skip


def _granted_nothing(registered: Registered, agreed: Binding, known: Known) -> Finding:
    """The 200 lists the phone's Contact with no time at all, as after a removal."""
    near, far = agreed.near, agreed.far
    where, why, who = "unknown", cause.UNKNOWN, "one side does not show who made it so"
    if far is not None and far.seconds == 0 and near.wanted == far.wanted:
        where, why, who = "provider", cause.PROVIDER, "the registrar answered so"
    elif far is not None:
        where, why, who = "router", cause.ALG, "the router changed the times"
    return RULE.finding(
        where, "observed",
        f"{quote.somebody(registered.aor)} registered {_shown(near.own)} and the 200 grants 0 s: "
        f"the phone is not registered, although the REGISTER was accepted; {who}.",
        [evidence(near.asked, f"Contact {_shown(near.own)}", "the same in the 200"),
         evidence(near.granted, "0 s", "the time that was asked for")],
        _key(registered, agreed, "nothing"), cause=why, call_id=registered.call_id,
        line=known.line_name(registered), predicts=True,
    )  # fmt: skip


def _bound_since(registered: Registered, agreed: Binding, known: Known) -> Iterator[Finding]:
    """A later REGISTER was granted in full: take the finding on the earlier one back."""
    for what, before in (("nothing", "granted 0 s"), ("unlisted", "listed no binding")):
        key = _key(registered, agreed, what)
        if not known.was_told(RULE.id, key):
            continue
        finding = RULE.finding(
            "unknown", "none",
            f"The 200 to a REGISTER of {quote.somebody(registered.aor)} {before}, and that to a "
            "later one lists its Contact: the phone is registered.",
            [evidence(agreed.near.granted, f"Contact {_shown(agreed.near.own)}", "")], key,
            cause=cause.NONE, call_id=registered.call_id, severity="info",
            line=known.line_name(registered),
        )  # fmt: skip
        finding.takes_back = True
        yield finding


def _unlisted(registered: Registered, agreed: Binding, known: Known) -> Finding:
    """The registrar lists no binding, although the phone asked for one."""
    near = agreed.near
    where, why, _ = _blamed(agreed, known.two_sided)
    insists = registered.near.hasty >= INSISTS
    so = ", and it registered again at once" if insists else ""
    return RULE.finding(
        where, "observed" if insists else "latent",
        f"{quote.somebody(registered.aor)} registered {_shown(near.own)} and the 200 lists no "
        f"binding at all: the phone may not be registered, although the REGISTER was accepted{so}.",
        [evidence(near.asked, f"Contact {_shown(near.own)}", "the same in the 200"),
         evidence(near.granted, "no Contact", f"Contact {_shown(near.own)}")],
        _key(registered, agreed, "unlisted"), cause=why, call_id=registered.call_id,
        line=known.line_name(registered), symptom=True, predicts=True,
        next_step="Call the phone: if it does not ring, ask the provider why its 200 to REGISTER "
        "lists no Contact (RFC 3261 section 10.3).",
    )  # fmt: skip


def _key(registered: Registered, agreed: Binding, what: str) -> str:
    """A key for one phone: others may have the same account."""
    return f"{registered.aor}/{agreed.near.asked.ends.src}/{what}"


def _blamed(agreed: Binding, two_sided: bool) -> tuple[str, str, str]:
    """where, cause, and the author."""
    near, far = agreed.near, agreed.far
    if far is None:
        return "unknown", cause.UNKNOWN, "one side does not show who made it so"
    if far is near or not far.found:
        return "provider", cause.PROVIDER, "the registrar answered so"
    changed = _places(near) != _places(far)
    how = "the router changed it on the way out and not back" if changed else (
        "the router changed the 200")  # fmt: skip
    return "router", cause.ALG, how


def _places(terms: Terms) -> list[tuple[str, int]]:
    return [(c.host, c.port) for c in terms.own]


def _shown(contacts: list[Address]) -> str:
    if not contacts:
        return "none"
    said = ", ".join(quote.value(joined(c.host, c.port)) for c in contacts[:4])
    return said if len(contacts) <= 4 else f"{said} and {len(contacts) - 4} more"
