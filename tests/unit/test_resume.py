# SPDX-License-Identifier: Apache-2.0
"""An INVITE whose transaction had to go for want of room, while its call stayed: no verdict may
depend on it, whichever side forgot it and whenever."""

from __future__ import annotations

from collections.abc import Callable

import algwatch.pipeline
import pytest
from algwatch.advise.advice import Advice
from algwatch.base.packet import LAN, WAN
from algwatch.base.report import Report
from algwatch.compare.limits import Limits
from algwatch.compare.summary import CallSummary
from algwatch.diagnose.finding import Finding
from algwatch.sip.dialogs import MOST_BRANCHES
from craft import (
    LADDER_2XX,
    LADDER_INVITE,
    NS,
    START,
    House,
    Incoming,
    Outgoing,
    analyzed,
    answer,
    far_gives_up,
    outgoing_call,
    register,
    request,
)
from test_dialog import one, read, seconds

ROOM = 12  # transactions a side
BOTH = pytest.mark.parametrize("side", [LAN, WAN], ids=["lan", "wan"])


def crowd(house: House, side: int, at: float, count: int = ROOM) -> None:
    """So many OPTIONS, of the phone or of its provider, that only one tap sees."""
    for n in range(count):
        to, via = ("192.168.1.1", house.phone) if side == LAN else (house.public, house.provider)
        ping = request("OPTIONS", f"sip:{to}", via=f"{via}:5060", branch=f"z9hG4bKping{n}",
                       call_id=f"ping{n}", cseq=1)  # fmt: skip
        if side == LAN:
            house.out(at + n / 1e5, ping, wan=False)
        else:
            house.into(at + n / 1e5, ping, lan=False)


def told(
    house: House, monkeypatch: pytest.MonkeyPatch, transactions: int = ROOM
) -> tuple[list[Report], int]:
    """The reports, and how many transactions had to go."""
    monkeypatch.setattr(algwatch.pipeline, "LAPTOP", Limits(transactions, 256, 256, 128))
    pipeline, reports = analyzed(*house.sorted(), size=1)
    return reports, pipeline.counts().get("evicted", {}).get("transactions", 0)


def words(reports: list[Report]) -> list[tuple[object, ...]]:
    """Their texts, but for the copies that are shown as evidence."""
    said: list[tuple[object, ...]] = []
    for r in reports:
        if isinstance(r, Finding) and not r.call_id.startswith("ping"):
            said.append((r.rule, r.where, r.harm, r.summary))
        elif isinstance(r, CallSummary):
            said.append((r.call_id, r.outcome, r.ack, r.invite_retransmissions,
                         r.final_retransmissions, r.start, r.end))  # fmt: skip
        elif isinstance(r, Advice):
            said.append((r.action, r.state))
    return said


# ---- calls ----


def house() -> House:
    made = House()
    register(made, 0)
    return made


def inbound(ack: bool = False, rings: bool = False) -> House:
    """Its ACK reaches the WAN side, or not even that."""
    made = house()
    call = Incoming(made, "call")
    call.invite(2)
    if rings:
        call.ringing(2.5)
    call.ok(4)
    call.dropped(4)
    for after in (0, *LADDER_2XX) if ack else ():
        call.ack(4.05 + after, lan=False)
    return made


def outbound(sent: bool = False, answered: bool = True) -> House:
    """The phone sends an ACK, which the router swallows, or none; or it never got the 2xx."""
    made = house()
    far_gives_up(made, 2, "call", acks=sent, answered=answered)
    return made


def completed() -> House:
    made = house()
    outgoing_call(made, 2, "call")
    return made


def forked() -> House:
    made = house()
    call, leg = Incoming(made, "call"), Incoming(made, "call")
    call.invite(2)
    leg.invited = call.invited.replace(b"bKi-", b"bKj-")
    leg.invite(2.05)
    leg.ok(4)
    leg.dropped(4)
    return made


def invited_again(phone: bool) -> House:
    """A re-INVITE whose 2xx is not acknowledged: of the phone, or of the far side."""
    made = house()
    call = Outgoing(made, "call")
    call.invite(2)
    call.ok(4)
    call.ack(4.02)
    near, far = "<sip:100@example.net>;tag=p-call", "<sip:300@example.net>;tag=f-call"
    host = made.phone if phone else made.provider
    uri = call.far_contact.strip("<>") if phone else f"sip:100@{made.public}"
    caller, callee = (near, far) if phone else (far, near)
    again = request("INVITE", uri, via=f"{host}:5060", branch="z9hG4bKagain", call_id="call",
                    cseq=2, caller=caller, callee=callee)  # fmt: skip
    ok = answer(200, (made.out if phone else made.into)(10, again), contact=call.far_contact)
    for after in (0, *LADDER_2XX):
        (made.into if phone else made.out)(11 + after, ok)
    (call.far_bye if phone else call.bye)(43)
    return made


def refused() -> House:
    made = house()
    call = Outgoing(made, "call")
    call.invite(2)
    for at in (4, 4.5):
        call.respond(at, 486)
    call.nak(4.55)
    return made


def cancelled() -> House:
    made = house()
    call = Outgoing(made, "call")
    call.invite(2)
    call.respond(2.3, 180)
    call.cancel(6)
    call.respond(6.1, 487)
    call.nak(6.2)
    return made


def challenged() -> House:
    """Refused with 407 and invited anew; the 2xx then is not acknowledged."""
    made = house()
    call = Incoming(made, "call")
    call.invite(2)
    made.out(2.5, answer(407, call.delivered, to_tag="t"))
    made.into(2.7, call.invited.replace(b"INVITE ", b"ACK ").replace(b" INVITE", b" ACK"))
    call.invited = call.invited.replace(b"CSeq: 1", b"CSeq: 2").replace(b"bKi-", b"bKj-")
    call.invite(3)
    call.ok(4)
    call.dropped(4)
    return made


def unanswered(leaves: bool) -> House:
    made = house()
    call = Outgoing(made, "call")
    for after in (0, *LADDER_INVITE):
        call.invite(2 + after, wan=leaves)
    register(made, 75, n=2)  # its Timer B is due with that of the crowd's
    return made


def answer_stopped() -> House:
    """The phone goes on with its INVITE, and for 1.5 s the far side with its 2xx."""
    made = house()
    call = Outgoing(made, "call")
    for after in (0, *LADDER_INVITE):
        call.invite(2 + after)
    for after in (0, *LADDER_2XX[:2]):
        call.ok(3.2 + after, lan=False)
    return made


def branch_changed() -> House:
    """The router writes another branch into the 2xx, so that the phone drops it."""
    made = house()
    call = Outgoing(made, "call")
    call.invite(2)
    for after in (0, *LADDER_2XX):
        call.ok(4 + after, alg=lambda m: m.replace(b"bKinvite", b"bKwrong1"))
    call.far_bye(36)
    return made


CALLS: dict[str, tuple[Callable[[], House], set[tuple[str, str]]]] = {
    "inbound, no ACK": (inbound, {("DLG001", "network"), ("DLG002", "phone")}),
    "inbound, it rings": (
        lambda: inbound(rings=True), {("DLG001", "network"), ("DLG002", "phone")}
    ),
    "inbound, ACK swallowed": (lambda: inbound(ack=True), {("DLG001", "router")}),
    "outbound, no ACK": (outbound, {("DLG001", "phone")}),
    "outbound, ACK swallowed": (lambda: outbound(sent=True), {("DLG001", "router")}),
    "outbound, 2xx swallowed": (lambda: outbound(answered=False), {("DLG001", "router")}),
    "completed": (completed, set()),
    "forked": (forked, {("DLG001", "network"), ("DLG002", "phone")}),
    "re-INVITE of the phone": (lambda: invited_again(True), {("DLG001", "phone")}),
    "re-INVITE of the far side": (
        lambda: invited_again(False), {("DLG001", "network"), ("NAT004", "phone")}
    ),
    "refused": (refused, set()),
    "cancelled": (cancelled, set()),
    "challenged": (challenged, {("DLG001", "network"), ("DLG002", "phone")}),
    "unanswered beyond": (lambda: unanswered(True), {("TXN001", "network")}),
    "unanswered, never left": (lambda: unanswered(False), {("TXN001", "router")}),
    "2xx swallowed, INVITE repeated": (answer_stopped, {("DLG001", "router")}),
    "branch changed": (
        branch_changed, {("DLG001", "router"), ("DLG009", "router"), ("ALG005", "router")}
    ),
}  # fmt: skip


@BOTH
@pytest.mark.parametrize("name", CALLS)
def test_a_transaction_that_had_to_go_changes_no_verdict(
    monkeypatch: pytest.MonkeyPatch, name: str, side: int
) -> None:
    make, truth = CALLS[name]
    times = [(at - START * NS) / NS for at, _ in make().sorted()[side]]
    for at in (at for at in times if 2 <= at < 12):
        made = make()
        crowd(made, side, at + 0.0101)
        wanted, gone = told(made, monkeypatch, 1000)
        assert gone == 0
        assert {(r.rule, r.where) for r in wanted
                if isinstance(r, Finding) and not r.rule.startswith(("CAP", "DLG007"))
                and not r.call_id.startswith("ping")} == truth  # fmt: skip
        found, gone = told(made, monkeypatch)
        assert gone > 0
        assert words(found) == words(wanted), at


# ---- what goes on, and what does not ----


def test_it_goes_on_from_where_it_was() -> None:
    made = House()
    call = Outgoing(made, "call")
    call.invite(1)
    call.respond(1.1, 180)
    call.invite(1.5)
    crowd(made, LAN, 2)
    call.invite(2.5)
    call.ok(3)
    crowd(made, LAN, 3.1)
    call.ok(3.5)
    dialogs, _ = read(made.sorted()[0], ROOM)
    (d,) = dialogs.table.values()
    assert d.invite is not None and d.current is not None
    assert (d.invite.requests, d.invite.finals, d.waiting) == (3, 2, 0)
    assert (d.invite_retransmissions, d.final_retransmissions) == (2, 1)
    assert [seconds(at) for at in (d.invite.at, d.invite.provisional_at)] == [1.0, 1.1]
    assert [seconds(at) for at in (d.answered_at, d.current.answer_last)] == [3.0, 3.5]


def test_what_was_over_does_not_go_on() -> None:
    """A 2xx after Timer B is nobody's, in a table that has room for everything."""
    made = House()
    call = Outgoing(made, "call")
    call.invite(1)
    register(made, 33.5)
    call.ok(34)
    d = one(made.sorted()[0])
    assert (d.timed_out, d.answered_at) == (True, 0)


def test_one_call_with_many_branches_has_bounds() -> None:
    made = House()
    call = Incoming(made, "call")
    call.invite(1)
    first = call.invited
    for n in range(3 * MOST_BRANCHES):
        call.invited = first.replace(b"bKi-", b"bK%d-" % n)
        call.invite(1 + n / 100)
    d = one(made.sorted()[0])
    assert (len(d.branches), d.waiting) == (MOST_BRANCHES, 3 * MOST_BRANCHES + 1)
