# SPDX-License-Identifier: Apache-2.0
"""Transactions of RFC 3261 section 17, seen by a passive observer and driven by packet time."""

from __future__ import annotations

import pytest
from algwatch.base.packet import Batch
from algwatch.sip.timers import SECOND, TIMER_B
from algwatch.sip.transaction import (
    ACKED,
    FINAL,
    FINAL_AGAIN,
    ORPHAN,
    PROVISIONAL,
    REQUEST,
    REQUEST_AGAIN,
    TIMED_OUT,
    Event,
)
from algwatch.sip.transactions import Transactions
from craft import START, House, Outgoing, answer, batch, frame, request


def codes(events: list[Event]) -> list[int]:
    return [code for code, _, _, _ in events]


def feed(transactions: Transactions, made: Batch) -> list[Event]:
    return transactions.feed(made, True, [])


def of_lan(house: House) -> Batch:
    return batch(house.sorted()[0])


def ns(at: float) -> int:
    return round((START + at) * 1e9)


def test_an_invite_and_its_answers_are_one_transaction_and_the_ack_to_2xx_another() -> None:
    house = House()
    call = Outgoing(house, "one")
    call.invite(1)
    call.respond(1.1, 180)
    call.ok(2)
    call.ack(2.1)
    transactions = Transactions(100)
    assert codes(feed(transactions, of_lan(house))) == [REQUEST, PROVISIONAL, FINAL, REQUEST]
    assert len(transactions.table) == 2


def test_the_ack_to_a_non_2xx_belongs_to_the_invite() -> None:
    house = House()
    call = Outgoing(house, "one")
    call.invite(1)
    call.respond(1.1, 486)
    call.nak(1.2)
    transactions = Transactions(100)
    assert codes(feed(transactions, of_lan(house))) == [REQUEST, FINAL, ACKED]
    assert len(transactions.table) == 1


def test_a_cancel_is_a_transaction_of_its_own_with_the_invites_branch() -> None:
    house = House()
    call = Outgoing(house, "one")
    call.invite(1)
    call.cancel(2)
    call.respond(2.1, 487)
    call.nak(2.2)
    transactions = Transactions(100)
    events = feed(transactions, of_lan(house))
    assert codes(events) == [REQUEST, REQUEST, FINAL, FINAL, ACKED]
    assert events[3][1].status == 487


def test_retransmissions_are_counted_by_kind() -> None:
    house = House()
    call = Outgoing(house, "one")
    for after in (0, 0.5, 1.5):
        call.invite(1 + after)
    for after in (0, 0.5, 1.5):
        call.ok(4 + after)
    transactions = Transactions(100)
    events = feed(transactions, of_lan(house))
    assert codes(events) == [
        REQUEST, REQUEST_AGAIN, REQUEST_AGAIN, FINAL, FINAL_AGAIN, FINAL_AGAIN,
    ]  # fmt: skip
    invite = events[0][1]
    assert (invite.requests, invite.finals) == (3, 3)


def test_the_same_packet_twice_is_a_duplicate_and_no_retransmission() -> None:
    house = House()
    Outgoing(house, "one").invite(1)
    at, data = house.lan[0]
    transactions = Transactions(100)
    events = feed(transactions, batch([(at, data), (at + 30_000, data), (at + 60_000, data)]))
    assert codes(events) == [REQUEST]
    assert transactions.duplicates == 2
    assert transactions.duplicate is not None


def test_the_same_message_with_another_ip_id_or_ttl_is_no_duplicate() -> None:
    message = request("BYE", "sip:a@b", via="192.0.2.1:5060", branch="z9hG4bKa", call_id="a",
                      cseq=2)  # fmt: skip
    packets = [
        (ns(1 + i / 1000), frame(message, "192.0.2.1", 5060, "192.0.2.2", 5060, ttl, ident))
        for i, (ttl, ident) in enumerate([(64, 1), (64, 2), (63, 2)])
    ]
    transactions = Transactions(100)
    feed(transactions, batch(packets))
    assert transactions.duplicates == 0


def test_without_an_ip_id_only_what_comes_at_once_is_a_duplicate() -> None:
    message = request("BYE", "sip:a@b", via="192.0.2.1:5060", branch="z9hG4bKa", call_id="a",
                      cseq=2)  # fmt: skip
    data = frame(message, "192.0.2.1", 5060, "192.0.2.2", 5060, 64, 0)
    transactions = Transactions(100)
    sent = feed(transactions, batch([(ns(1), data), (ns(1.00002), data), (ns(1.1), data)]))
    assert transactions.duplicates == 1
    assert sent[0][1].requests == 2


def test_two_calls_with_one_branch_are_two_transactions() -> None:
    one, two = (
        request("INVITE", "sip:a@b", via="192.0.2.1:5060", branch="z9hG4bKsame", call_id=c, cseq=1)
        for c in ("a", "b")
    )
    packets = [(ns(1 + i / 1e4), frame(m, "192.0.2.1", 5060, "192.0.2.2", 5060, 64, 0))
               for i, m in enumerate((one, two))]  # fmt: skip
    transactions = Transactions(100)
    assert codes(feed(transactions, batch(packets))) == [REQUEST, REQUEST]
    assert transactions.duplicates == 0


@pytest.mark.parametrize("branch", ["1", "z9hG4bK"])
def test_rfc_2543_branches_without_the_cookie_still_tell_calls_and_cseqs_apart(branch: str) -> None:
    """Section 17.2.3: old user agents send no branch, or the same one for everything. RFC 4475
    section 3.2.1: or the cookie alone."""
    packets = []
    for i, (call_id, cseq) in enumerate((("a", 1), ("a", 2), ("b", 1))):
        message = request("OPTIONS", "sip:a@b", via="192.0.2.1:5060", branch=branch,
                          call_id=call_id, cseq=cseq)  # fmt: skip
        packets.append((ns(1 + i), frame(message, "192.0.2.1", 5060, "192.0.2.2", 5060, 64, i + 1)))
    transactions = Transactions(100)
    assert codes(feed(transactions, batch(packets))) == [REQUEST, REQUEST, REQUEST]
    cut = f";branch={branch}".encode()
    bare = [(at, data.replace(cut, b" " * len(cut))) for at, data in packets]
    again = Transactions(100)
    assert codes(feed(again, batch(bare))) == [REQUEST, REQUEST, REQUEST]


def test_timer_b_ends_an_invite_that_nobody_answered_by_packet_time() -> None:
    house = House()
    Outgoing(house, "one").invite(1)
    transactions = Transactions(100)
    feed(transactions, of_lan(house))
    start = ns(1)
    early = [e for s in range(32) for e in transactions.advance(start + s * SECOND)]
    assert not early
    late = transactions.advance(start + TIMER_B) + transactions.advance(start + TIMER_B + SECOND)
    assert codes(late) == [TIMED_OUT]
    assert not transactions.advance(start + 3 * TIMER_B)
    assert not transactions.table


def test_a_provisional_response_stops_timer_b_and_the_call_may_ring_for_long() -> None:
    house = House()
    call = Outgoing(house, "one")
    call.invite(1)
    call.respond(1.1, 180)
    transactions = Transactions(100)
    feed(transactions, of_lan(house))
    for minute in range(1, 11):
        assert not transactions.advance(ns(60 * minute))
    call.ok(601)
    assert codes(feed(transactions, batch(house.lan[-1:]))) == [FINAL]


def test_timer_f_ends_a_request_that_is_no_invite() -> None:
    message = request("BYE", "sip:a@b", via="192.0.2.1:5060", branch="z9hG4bKa", call_id="a",
                      cseq=2)  # fmt: skip
    transactions = Transactions(100)
    feed(transactions, batch([(ns(1), frame(message, "192.0.2.1", 5060, "192.0.2.2", 5060))]))
    events = [e for s in range(1, 80) for e in transactions.advance(ns(1) + s * SECOND)]
    assert codes(events) == [TIMED_OUT]


def test_an_ack_is_never_waited_for_an_answer() -> None:
    house = House()
    Outgoing(house, "one").ack(1)
    transactions = Transactions(100)
    feed(transactions, of_lan(house))
    assert not [e for s in range(1, 80) for e in transactions.advance(ns(1) + s * SECOND)]
    assert not transactions.table


def test_the_2xx_ladder_of_64_t1_stays_one_transaction() -> None:
    """0.5, 1, 2, 4, 4 ... s: no gap is long enough to forget it (section 13.3.1.4)."""
    house = House()
    call = Outgoing(house, "one")
    call.invite(1)
    times = [2, 2.5, 3.5, 5.5, 9.5, 13.5, 17.5, 21.5, 25.5, 29.5, 33.5]
    for at in times:
        call.ok(at)
    transactions = Transactions(100)
    events: list[Event] = []
    for at, data in house.sorted()[0]:
        events += feed(transactions, batch([(at, data)]))
        events += transactions.advance(at)
    assert codes(events) == [REQUEST, FINAL] + [FINAL_AGAIN] * (len(times) - 1)


def test_a_response_without_its_request_is_an_orphan() -> None:
    house = House()
    call = Outgoing(house, "one")
    call.invite(1)
    call.ok(2)
    transactions = Transactions(100)
    assert codes(feed(transactions, batch(house.sorted()[0][1:]))) == [ORPHAN]


def test_a_clock_that_goes_backwards_loses_nothing_and_times_nothing_out() -> None:
    house = House()
    call = Outgoing(house, "one")
    call.invite(100)
    call.respond(50, 180)
    call.ok(10)
    transactions = Transactions(100)
    events = feed(transactions, batch(house.lan))
    assert codes(events) == [REQUEST, PROVISIONAL, FINAL]
    assert not transactions.advance(ns(99))
    assert not transactions.advance(ns(1))


def test_a_full_table_lets_the_oldest_go_and_counts_it() -> None:
    transactions = Transactions(50)
    for i in range(1000):
        message = request("OPTIONS", "sip:a@b", via="192.0.2.1:5060", branch=f"z9hG4bK{i}",
                          call_id=f"c{i}", cseq=1)  # fmt: skip
        data = frame(message, "192.0.2.1", 5060, "192.0.2.2", 5060, 64, i + 1)
        feed(transactions, batch([(ns(1 + i / 100), data)]))
    assert len(transactions.table) == 50
    assert transactions.table.evicted == 950
    for second in range(200):
        transactions.advance(ns(second))
    assert not transactions.table
    assert not transactions._young
    assert not transactions._waiting


def test_answered_transactions_are_forgotten_and_nothing_grows() -> None:
    transactions = Transactions(10_000)
    most = 0
    for i in range(400):
        asked = request("OPTIONS", "sip:a@b", via="192.0.2.1:5060", branch=f"z9hG4bK{i}",
                        call_id=f"c{i}", cseq=1)  # fmt: skip
        packets = [
            (ns(i), frame(asked, "192.0.2.1", 5060, "192.0.2.2", 5060, 64, 1)),
            (ns(i + 0.1), frame(answer(200, asked), "192.0.2.2", 5060, "192.0.2.1", 5060, 64, 2)),
        ]
        feed(transactions, batch(packets))
        transactions.advance(ns(i + 0.1))
        most = max(most, len(transactions.table), len(transactions._young))
    assert most < 60
