# SPDX-License-Identifier: Apache-2.0
"""Fingerprint: the kind of ALG behind the rewrites of a crossing.

Only a documented habit of one kind of router names it. Everything else is UNKNOWN, with a reason
against the Linux helper.
"""

from __future__ import annotations

from algwatch.base import address
from algwatch.base.address import joined
from algwatch.base.sighting import STATUS
from algwatch.compare.crossing import Crossing
from algwatch.compare.differences import rewrites
from algwatch.compare.rewrite import Rewrite
from algwatch.sip.message import Message

LINUX = "Linux nf_nat_sip"
UNKNOWN = "unknown"
PROXY = "proxy"
JUNIPER = "Juniper-type"
BROADCOM = "Broadcom-type"

# Fields written by nf_nat_sip.
_WRITES = frozenset(("Request-URI", "Via", "Contact", "From", "To", "SDP", "Content-Length"))
# Fields translated by Juniper's ALG and by QuickSec, according to their documentation.
_JUNIPER = _WRITES | {"Call-ID", "Route", "Record-Route", "Body"}
_NAMES_IT = frozenset(("Call-ID", "Route", "Record-Route"))
# Fields written by Broadcom's fork: one Via, one Contact, the SDP of the phone.
_BROADCOM = frozenset(("Via", "Contact", "SDP", "Content-Length"))


class Print:
    """name: a word above, "" without a change. why: the sign in the message, one clause; empty for
    LINUX."""

    __slots__ = ("name", "why")

    def __init__(self, name: str, why: str = "") -> None:
        self.name = name
        self.why = why


def fingerprint(crossing: Crossing) -> str:
    """The name alone."""
    return looks_like(crossing).name


def looks_like(crossing: Crossing) -> Print:
    """LINUX only if the mapping and the form of nf_nat_sip explain every changed byte, and none was
    left that nf_nat_sip would have changed."""
    changes = rewrites(crossing)
    if not changes:
        return Print("")
    if is_proxy(crossing):
        return Print(PROXY, "it has a Via of its own")
    not_linux = reason(crossing)
    if not not_linux:
        return Print(LINUX)
    if (why := _broadcom(crossing, changes)) and {r.header for r in changes} <= _BROADCOM:
        return Print(BROADCOM, why)
    named = next((r for r in changes if r.header in _NAMES_IT and r.field in ("address", "value")
                  and (r.explained or r.expected)), None)  # fmt: skip
    if named is not None and {r.header for r in changes} <= _JUNIPER:
        return Print(JUNIPER, f"it translates {named.header}")
    return Print(UNKNOWN, not_linux)


def is_proxy(crossing: Crossing) -> bool:
    """A hop that adds its own Via to requests and removes it from responses (RFC 3261 sections
    16.6, 16.7): no ALG does."""
    for r in rewrites(crossing):
        if r.header == "Via" and r.field == "count":
            more = int(r.after) - int(r.before)
            return more == (-1 if crossing.entered.row[STATUS] else 1)
    return False


def reason(crossing: Crossing) -> str:
    """A reason against the Linux helper, one clause; "" without one."""
    changes = rewrites(crossing)
    wrong = [r for r in changes if not r.linux]
    for r in wrong:
        if r.header not in _WRITES and r.header != "Body":
            return f"nf_nat_sip never changes {r.name}"
    for r in wrong:
        if r.explained or r.expected:
            if r.expected == r.after:
                return f"nf_nat_sip would have left {r.name} {r.was}"
            return (
                f"{r.name} became {r.became or 'nothing'} where nf_nat_sip would write "
                f"{r.wanted or 'nothing else'}"
            )
        return f"nf_nat_sip makes no such change of {r.name}"
    return _omitted(crossing) if changes else ""


def _own(crossing: Crossing) -> tuple[tuple[str, int], tuple[str, int]]:
    """The phone's address and port before and after translation, in the order of travel."""
    came, went = crossing.entered.ends, crossing.left.ends
    if crossing.outbound:
        return (came.src, came.sport), (went.src, went.sport)
    return (came.dst, came.dport), (went.dst, went.dport)


def _omitted(crossing: Crossing) -> str:
    """A value left unchanged against map_addr(): the packet's own address and port in the topmost
    Via (UDP), any Contact, From or To."""
    own, mapped = _own(crossing)
    if own == mapped:
        return ""
    left = Message(crossing.left.payload)
    via = left.vias[:1] if crossing.outbound == (not left.status) else []
    for header, places in (
        ("Via", [(v.host, v.port or 5060) for v in via if v.transport.upper() == "UDP"]),
        ("Contact", [(c.host, c.port or 5060) for c in left.contacts]),
        ("From", [(left.from_.host, left.from_.port or 5060)]),
        ("To", [(left.to.host, left.to.port or 5060)]),
    ):
        if own in places:
            return f"nf_nat_sip would not have left {joined(*own)} in {header}"
    return ""


def _broadcom(crossing: Crossing, changes: list[Rewrite]) -> str:
    """Habits of Broadcom's fork alone: From and To keep the phone's own address, or the port of a
    public address written by the phone (STUN) is replaced."""
    own, mapped = _own(crossing)
    if not crossing.outbound or own == mapped or address.is_unroutable(mapped[0]):
        return ""
    for r in changes:
        stun = mapped[0] in (r.before, r.before.rpartition(":")[0])
        if stun and r.header in ("Via", "Contact") and r.field == "port":
            return f"it replaces the port of the public address {r.was} in {r.header}"
    left = Message(crossing.left.payload)
    done = any(r.header in ("Via", "Contact") and r.explained for r in changes)
    for header, one in (("From", left.from_), ("To", left.to)):
        if done and (one.host, one.port or 5060) == own:
            return f"it leaves the phone's address in {header}"
    return ""
