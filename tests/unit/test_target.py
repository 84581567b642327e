# SPDX-License-Identifier: Apache-2.0
"""Where requests inside a dialog go, and what changes that (RFC 3261 sections 12 and 14, RFC 3262,
RFC 3311), as one side sees it."""

from __future__ import annotations

import pytest
from algwatch.base.packet import WAN
from algwatch.sip.dialog import DialogSet
from algwatch.sip.dialogs import Dialogs
from algwatch.sip.message import Message
from algwatch.sip.target import AS_LOOSE, AS_STRICT, Misaddressed, contact_of_proxy
from algwatch.sip.transactions import Transactions
from craft import House, Outgoing, Packet, answer, batch, request

CONTACT = "sip:300@203.0.113.90"
NEAR, FAR = "<sip:203.0.113.5;lr>", "<sip:203.0.113.6:5060;lr>"


def ok(routes: str, contact: str = f"<{CONTACT}>") -> Message:
    more = [f"Record-Route: {routes}"] if routes else []
    asked = request("INVITE", "sip:300@example.net", via="192.0.2.1", branch="z9hG4bK1",
                    call_id="a", cseq=1, more=more)  # fmt: skip
    return Message(answer(200, asked, to_tag="t", contact=contact))


def ack(uri: str, *routes: str) -> Message:
    return Message(request("ACK", uri, via="192.0.2.1", branch="z9hG4bK2", call_id="a", cseq=1,
                           more=[f"Route: {route}" for route in routes]))  # fmt: skip


def said(sent: Message, final: Message) -> tuple[bool, bool, str]:
    wrong = Misaddressed(sent, final)
    return bool(wrong.uri), bool(wrong.route), wrong.treats


RIGHT = (False, False, "")


@pytest.mark.parametrize(
    ("final", "sent", "wrong"),
    [
        (ok(f"{FAR}, {NEAR}"), ack(CONTACT, NEAR, FAR), RIGHT),
        (ok(f"{FAR}, {NEAR}"), ack(CONTACT, f"{NEAR}, {FAR}"), RIGHT),
        (ok(f"{FAR}, {NEAR}"), ack(f"{CONTACT}:5060", "<sip:203.0.113.5:5060;lr>", FAR), RIGHT),
        (ok(""), ack(CONTACT), RIGHT),
        (ok(""), ack(CONTACT, "<sip:outbound.example.net;lr>"), RIGHT),
        (ok(NEAR, contact=""), ack("sip:anything@example.net"), RIGHT),
        (ok(f"{FAR}, {NEAR}"), ack(CONTACT), (False, True, "")),
        (ok(f"{FAR}, {NEAR}"), ack(CONTACT, FAR, NEAR), (False, True, "")),
        (ok(NEAR), ack("sip:300@example.net", NEAR), (True, False, "")),
        (ok(f"{FAR}, {NEAR}"), ack("sip:203.0.113.5;lr", FAR, f"<{CONTACT}>"),
         (True, True, AS_STRICT)),
        (ok("<sip:203.0.113.5>"), ack("sip:203.0.113.5", f"<{CONTACT}>"), RIGHT),
        (ok("<sip:203.0.113.5>"), ack(CONTACT, "<sip:203.0.113.5>"), (True, True, AS_LOOSE)),
    ],
)  # fmt: skip
def test_an_ack_goes_where_the_2xx_says(
    final: Message, sent: Message, wrong: tuple[bool, bool, str]
) -> None:
    assert said(sent, final) == wrong


def test_nothing_is_said_of_more_proxies_than_are_read() -> None:
    many = ", ".join(f"<sip:10.0.{i}.1;lr>" for i in range(200))
    assert said(ack("sip:elsewhere@example.net"), ok(many)) == RIGHT
    assert not contact_of_proxy(ok(many, "<sip:300@10.0.1.1>"), "203.0.113.5", 5060)


@pytest.mark.parametrize(
    ("final", "proxy"),
    [
        (ok(f"{FAR}, {NEAR}", "<sip:300@203.0.113.6:5060>"), True),
        (ok(f"{FAR}, {NEAR}", "<sip:300@203.0.113.6>"), True),
        (ok("<sip:edge.example.net;lr>", "<sip:300@203.0.113.5>"), True),
        (ok("", "<sip:300@203.0.113.5>"), False),
        (ok(NEAR, "<sip:300@203.0.113.5:5080>"), False),
        (ok(NEAR, "<sip:300@203.0.113.5;gr=1>"), False),
        (ok("<sip:edge.example.net;lr>", "<sip:300@edge.example.net>"), False),
        (ok(NEAR), False),
        (ok(NEAR, "*"), False),
    ],
)
def test_the_contact_of_a_proxy_is_known_from_its_record_route(final: Message, proxy: bool) -> None:
    assert bool(contact_of_proxy(final, "203.0.113.5", 5060)) is proxy


def read(packets: list[Packet]) -> DialogSet:
    transactions, dialogs = Transactions(100), Dialogs(WAN, 100)
    for at, data in packets:
        made = batch([(at, data)])
        dialogs.feed(transactions.feed(made, False, []), made, [])
    (found,) = dialogs.table.values()
    return found


def _updated(*contacts: str, status: int = 200) -> DialogSet:
    """UPDATEs of a phone that is the caller, as the WAN side sees them."""
    house = House()
    call = Outgoing(house, "u", contact=f"<sip:100@{house.public}>")
    call.invite(1)
    call.ok(2)
    call.ack(2.1)
    for n, contact in enumerate(contacts):
        asked = call._request(
            "UPDATE", 2 + n, CONTACT, f";tag={call._tag}", contact, branch=f"u{n}"
        )
        seen = house.out(10 + n, asked)
        house.into(10.1 + n, answer(status, seen, contact=call.far_contact))
    return read(house.sorted()[1])


@pytest.mark.parametrize(
    ("contacts", "status", "private"),
    [
        (["<sip:100@192.168.1.10>"], 200, True),
        (["<sip:100@198.51.100.2>"], 200, False),
        (["<sip:100@192.168.1.10>"], 491, False),
        (["<sip:100@192.168.1.10>", "<sip:100@198.51.100.2>"], 200, False),
        (["<sip:100@192.168.1.10>", ""], 200, True),
    ],
)
def test_an_update_that_was_accepted_changes_the_remote_target(
    contacts: list[str], status: int, private: bool
) -> None:
    d = _updated(*contacts, status=status).current
    assert d is not None
    callee, caller = d.moved
    assert callee is None and (caller is not None) is private


def test_an_update_before_any_answer_changes_no_dialog() -> None:
    house = House()
    call = Outgoing(house, "early")
    call.invite(1)
    call.respond(1.2, 183)
    seen = house.out(2, call._request("UPDATE", 2, CONTACT, f";tag={call._tag}", call.contact))
    house.into(2.1, answer(200, seen, contact=call.far_contact))
    s = read(house.sorted()[1])
    assert not s.dialogs and not s.spoken


def _progress(seconds: list[float], prack: float = 0, rseqs: str = "") -> DialogSet:
    house = House()
    call = Outgoing(house, "r")
    call.invite(1)
    for i, after in enumerate(seconds):
        number = rseqs[i] if rseqs else "1"
        made = answer(183, call.seen, to_tag=call._tag, more=[f"RSEQ : {number}"])
        house.into(1.1 + after, made)
    if prack:
        house.out(prack, call._request("PRACK", 2, CONTACT, f";tag={call._tag}"))
    return read(house.sorted()[1])


LADDER = [0, 0.5, 1.5, 3.5, 7.5, 15.5]


def test_a_reliable_response_that_comes_again_for_long_lacks_its_prack() -> None:
    assert _progress(LADDER).unpracked is not None
    assert _progress(LADDER[:4]).unpracked is None
    assert _progress(LADDER, prack=20).unpracked is None
    assert _progress(LADDER, rseqs="123456").unpracked is None


def test_the_ack_of_each_of_two_re_invites_that_cross_is_one() -> None:
    house = House()
    call = Outgoing(house, "glare")
    call.invite(1)
    call.ok(2)
    call.ack(2.1)
    tag = f";tag={call._tag}"
    mine = house.out(10, call._request("INVITE", 2, CONTACT, tag, call.contact, branch="again"))
    theirs = house.into(10.01, call.from_far("INVITE", 7))
    house.into(10.2, answer(200, mine, contact=call.far_contact))
    house.out(10.21, call._request("ACK", 2, CONTACT, tag, branch="ack2"))
    house.out(10.3, answer(200, theirs, contact=call.contact))
    house.into(10.33, call.from_far("ACK", 7))
    d = read(house.sorted()[1]).current
    assert d is not None and d.invite is not None
    assert d.invite.cseq == 7 and d.acked_at and d.stray_ack is None
    assert d.pending is None and d.crossed is None
