"""What the ALG rules share: who the crossing was between, and how a change is told."""

from __future__ import annotations

from algwatch.base import address
from algwatch.compare import fingerprint as prints
from algwatch.compare.crossing import Crossing
from algwatch.compare.rewrite import Rewrite, rewrites
from algwatch.diagnose.context import Context
from algwatch.diagnose.finding import Evidence, Finding
from algwatch.diagnose.rule import Rule, evidence
from algwatch.sip.message import Message, to_text


def between(crossing: Crossing) -> str:
    """Phone and far side, as a key and for people."""
    if crossing.flow_pair is not None:
        return f"{crossing.flow_pair.phone}/{crossing.flow_pair.far}"
    version = crossing.entered.ends.version
    phone = address.text(crossing.phone, version)
    return f"{phone}/{address.text(crossing.remote, version)}"


def told(changes: list[Rewrite]) -> str:
    """Contact 192.168.1.10:5060 became 198.51.100.2:5060, ..."""
    return ", ".join(
        f"{r.header} {r.field} {r.before or 'absent'} became {r.after or 'absent'}" for r in changes
    )


def both_copies(crossing: Crossing, changes: list[Rewrite]) -> list[Evidence]:
    """The copy that entered and the copy that left, with what changed between them."""
    before = ", ".join(f"{r.header} {r.field}: {r.before}" for r in changes)
    after = ", ".join(f"{r.header} {r.field}: {r.after}" for r in changes)
    wanted = ", ".join(f"{r.header} {r.field}: {r.expected}" for r in changes if r.expected)
    return [
        evidence(crossing.entered, f"entered the router with {before}", "unchanged"),
        evidence(crossing.left, f"left it with {after}", f"unchanged, or by the mapping {wanted}"
                 if wanted else "unchanged"),
    ]  # fmt: skip


def changed(rule: Rule, headers: tuple[str, ...], crossing: Crossing,
            context: Context) -> Finding | None:  # fmt: skip
    """The finding of a rule that is about some header fields being rewritten at all."""
    every = rewrites(crossing)
    mine = [r for r in every if r.header in headers]
    # :5060 written out is cosmetic: alone it is no finding.
    if not any(r.explained != "normalised" or r.field == "origin" for r in mine):
        return None
    explained = all(r.explained for r in mine)
    who = prints.fingerprint(crossing)
    way = "on its way out" if crossing.outbound else "on its way in"
    by = "as its own NAT mapping says" if explained else "and its NAT mapping does not explain it"
    why = prints.reason(crossing) if who != prints.LINUX else ""
    return rule.finding(
        "router", "none" if explained else "latent", call_id(crossing),
        f"The router changed a message {way}: {told(mine)}, {by}."
        + (f" Not the Linux helper: {why}." if why else ""),
        both_copies(crossing, mine),
        f"{between(crossing)}/{'explained' if explained else 'unexplained'}", who,
    )  # fmt: skip


def call_id(crossing: Crossing) -> str:
    return to_text(Message(crossing.entered.payload).call_id)
