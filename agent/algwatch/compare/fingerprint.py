# SPDX-License-Identifier: Apache-2.0
"""Fingerprint: whose ALG the rewrites of a crossing look like (reference, section 2)."""

from __future__ import annotations

from algwatch.base.sighting import STATUS
from algwatch.compare.crossing import Crossing
from algwatch.compare.differences import joined, rewrites
from algwatch.sip.message import Message

LINUX = "Linux nf_nat_sip"
UNKNOWN = "unknown"
PROXY = "proxy"
JUNIPER = "Juniper-type"

# Fields that nf_nat_sip writes (reference, section 1.3).
_WRITES = frozenset(("Request-URI", "Via", "Contact", "From", "To", "SDP", "Content-Length"))


def fingerprint(crossing: Crossing) -> str:
    """LINUX only when the mapping rule and the form of nf_nat_sip explain every byte that was
    changed, and every one that it would have changed was; "" when nothing was changed."""
    changes = rewrites(crossing)
    if not changes:
        return ""
    if is_proxy(crossing):
        return PROXY
    if any(r.header in ("Call-ID", "Record-Route", "Route") for r in changes):
        return JUNIPER
    return UNKNOWN if reason(crossing) else LINUX


def is_proxy(crossing: Crossing) -> bool:
    """A hop that adds a Via of its own to requests and takes it off the responses (RFC 3261
    sections 16.6, 16.7): no ALG does."""
    for r in rewrites(crossing):
        if r.header == "Via" and r.field == "count":
            more = int(r.after) - int(r.before)
            return more == (-1 if crossing.entered.row[STATUS] else 1)
    return False


def reason(crossing: Crossing) -> str:
    """Why it is not the Linux helper, one clause; "" when it may be, or nobody."""
    changes = rewrites(crossing)
    for r in changes:
        if r.linux:
            continue
        if (r.explained or r.expected) and r.header in _WRITES:
            return (
                f"{r.name} became {r.became or 'nothing'} where nf_nat_sip would write "
                f"{r.wanted or 'nothing else'}"
            )
        return f"nf_nat_sip never changes {r.name}"
    return _omitted(crossing) if changes else ""


def _omitted(crossing: Crossing) -> str:
    """Values that map_addr() would have rewritten, and that were left: exactly the packet's own
    address and port in the topmost Via (UDP) and in any Contact."""
    came, went = crossing.entered.ends, crossing.left.ends
    if crossing.outbound:
        own, mapped = (came.src, came.sport), (went.src, went.sport)
    else:
        own, mapped = (came.dst, came.dport), (went.dst, went.dport)
    if own == mapped:
        return ""
    left = Message(crossing.left.payload)
    via = left.vias[:1] if crossing.outbound == (not left.status) else []
    for header, places in (
        ("Via", [(v.host, v.port or 5060) for v in via if v.transport.upper() == "UDP"]),
        ("Contact", [(c.host, c.port or 5060) for c in left.contacts]),
    ):
        if own in places:
            return f"nf_nat_sip would not have left {joined(*own)} in {header}"
    return ""
