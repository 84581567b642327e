"""Fingerprint: whose ALG a set of rewrites looks like (reference, section 2)."""

from __future__ import annotations

from algwatch.compare.rewrite import Rewrite

LINUX = "Linux nf_nat_sip"
UNKNOWN = "unknown"
PROXY = "proxy"
JUNIPER = "Juniper-type"


def fingerprint(changes: list[Rewrite]) -> str:
    """LINUX only when the mapping rule and the form of nf_nat_sip explain every byte."""
    if not changes:
        return ""
    fields = {(r.header, r.field) for r in changes}
    if ("Via", "count") in fields or ("Via", "branch") in fields:
        return PROXY
    if any(r.header in ("Call-ID", "Record-Route", "Route") for r in changes):
        return JUNIPER
    if all(r.linux for r in changes):
        return LINUX
    return UNKNOWN


def not_linux(changes: list[Rewrite]) -> list[Rewrite]:
    """The changes that nf_nat_sip would not have made, or not in this form."""
    return [r for r in changes if not r.linux]


def reason(changes: list[Rewrite]) -> str:
    """Why it is not the Linux helper, one clause; "" when it may be."""
    for r in not_linux(changes):
        if r.explained or r.expected:
            return (
                f"{r.header} {r.field} became {r.after or 'nothing'} where nf_nat_sip would write "
                f"{r.expected or 'nothing else'}"
            )
        return f"nf_nat_sip never changes {r.header} {r.field}"
    return ""
