# SPDX-License-Identifier: Apache-2.0
"""Shared parts of the ALG rules: the ends of a crossing, and the wording of a change."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from algwatch.base import address
from algwatch.base.packet import LAN
from algwatch.compare import fingerprint as prints
from algwatch.compare.call import Call
from algwatch.compare.crossing import Crossing
from algwatch.compare.differences import rewrites
from algwatch.compare.joined import label
from algwatch.compare.misdelivered import goes_to_contact
from algwatch.compare.rewrite import MAPPING, Rewrite
from algwatch.diagnose import cause
from algwatch.diagnose.finding import Evidence, Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence
from algwatch.sip.message import Message, parties

MOST = 8  # changes of one message named in a sentence


def between(crossing: Crossing) -> str:
    """Phone and far side, as `Line.name` and as a key."""
    if crossing.flow_pair is not None:
        return f"{crossing.flow_pair.phone} and {crossing.flow_pair.far}"
    version = crossing.entered.ends.version
    phone = address.text(crossing.phone, version)
    return f"{phone} and {address.text(crossing.remote, version)}"


def told(changes: list[Rewrite]) -> str:
    """Contact 192.168.1.10:5060 became 198.51.100.2:5060, ..."""
    said = [f"{r.name} {r.was or 'absent'} became {r.became or 'absent'}" for r in changes[:MOST]]
    if len(changes) > MOST:
        said.append(f"and {len(changes) - MOST} more")
    return ", ".join(said)


def both_copies(crossing: Crossing, changes: list[Rewrite]) -> list[Evidence]:
    """The copy that entered and the copy that left, with the changes between them."""
    shown = changes[:MOST]
    before = ", ".join(f"{r.name}: {r.was}" for r in shown)
    after = ", ".join(f"{r.name}: {r.became}" for r in shown)
    wanted = ", ".join(f"{r.name}: {r.wanted}" for r in shown if r.expected)
    return [
        evidence(crossing.entered, f"entered the router with {before}", "unchanged"),
        evidence(crossing.left, f"left it with {after}{_rest(crossing, shown)}",
                 f"unchanged, or by the mapping {wanted}" if wanted else "unchanged"),
    ]  # fmt: skip


def _rest(crossing: Crossing, shown: list[Rewrite]) -> str:
    """Other changes of the message outside the Linux helper's rules, a clause."""
    rest = [r for r in rewrites(crossing) if not r.linux and r not in shown]
    return f"; and, not as the Linux helper does: {told(rest)}" if rest else ""


def changed(rule: Rule, chosen: Callable[[Rewrite], bool], crossing: Crossing,
            known: Known) -> Iterator[Finding]:  # fmt: skip
    """The finding of a rule about rewritten fields as such, once for a line. Changes by a proxy are
    no ALG's doing (ALG009)."""
    if not crossing.rewritten:
        return
    mine = [r for r in rewrites(crossing) if chosen(r)]
    # :5060 written out is cosmetic: no finding by itself.
    if not any(r.explained != "normalised" or r.field == "origin" for r in mine):
        return
    explained = all(r.explained for r in mine)
    key = f"{between(crossing)}/{'explained' if explained else 'unexplained'}"
    if known.was_said(rule.id, key) or prints.is_proxy(crossing):
        return
    who = prints.looks_like(crossing)
    way = "on its way out" if crossing.outbound else "on its way in"
    by = "as its own NAT mapping says" if explained else "and its NAT mapping does not explain it"
    yield rule.finding(
        "router", "none" if explained else "latent",
        f"The router changed a message {way}: {told(mine)}, {by}."
        + whose(who),
        both_copies(crossing, mine), key,
        cause=cause.NONE if explained else cause.ALG, call_id=call_id(crossing),
        line=between(crossing), fingerprint=who.name,
    )  # fmt: skip


def whose(who: prints.Print) -> str:
    """A sentence about the likely kind of ALG, with a space before it; "" for the Linux helper."""
    if not who.why:
        return ""
    if who.name == prints.UNKNOWN:
        return f" Not the Linux helper: {who.why}."
    return f" It looks like a {who.name} ALG: {who.why}."


def contradiction(crossing: Crossing) -> tuple[list[Rewrite], list[str]]:
    """For an outbound message: fields rewritten to the public address, and headers that kept the
    phone's own address. Both or neither of them is empty."""
    if not crossing.outbound or not crossing.rewritten or prints.is_proxy(crossing):
        return [], []
    assert crossing.lan is not None and crossing.wan is not None
    done = [r for r in rewrites(crossing) if r.header in ("Via", "Contact", "SDP")
            and r.explained == MAPPING and r.field == "address"]  # fmt: skip
    if not done:
        return [], []
    phone = crossing.lan.ends.src
    left = Message(crossing.wan.payload)
    behind = []
    if not left.status and left.vias and left.vias[0].host == phone:
        behind.append("Via")
    if any(c.host == phone for c in left.contacts):
        behind.append("Contact")
    if phone in left.sdp.connections:
        behind.append("SDP")
    return (done, behind) if behind else ([], [])


def consistent(call: Call) -> Crossing | None:
    """A rewritten message of a call with every rewrite according to the mapping; else None."""
    if not call.changed or call.misdelivered or call.unexplained or call.unrestored:
        return None
    if call.names is not None:
        return None  # Call-ID and tags are no part of the NAT mapping
    return next(iter(call.changed.values()))


def is_served(call: Call) -> bool:
    """All of it came to the port in the phone's own Contact, and the phone was there."""
    if not all(goes_to_contact(call, crossing) for crossing in call.misdelivered.values()):
        return False
    s = call.sides[LAN]
    t = s.invite if s is not None else None
    if s is None or t is None:
        return False
    return bool(t.provisional_at or t.finals) if call.inbound else bool(s.acked_at or t.acked_at)


def call_id(crossing: Crossing) -> str:
    return parties(crossing.entered.payload)[0]


def kind(crossing: Crossing) -> str:
    """A message in words: "INVITE", "2xx INVITE" ..."""
    return label(crossing)


def of_header(crossing: Crossing, header: str) -> list[Rewrite]:
    """The changes of one header field; all changes if it has none."""
    every = rewrites(crossing)
    return [r for r in every if r.header == header] or every
