# SPDX-License-Identifier: Apache-2.0
"""Room for messages in doubt, which the calls share, and what a message follows."""

from __future__ import annotations

import pytest
from algwatch.base.native.layout import CANCEL, INVITE, ROW_DIRECTED
from algwatch.base.packet import LAN
from algwatch.base.sighting import BITS, CALL, CSEQ, FLOW, LENGTH, METHOD, STATUS, TXN, Sighting
from algwatch.base.table import Table
from algwatch.sip.doubt import WAYS, Doubt
from algwatch.sip.transaction import Transaction

BYE = INVITE + 1
ENDS = bytes(range(48))


def a_row(call: int, **fields: int) -> tuple[int, ...]:
    row = [0] * 17
    row[CALL], row[FLOW], row[METHOD], row[BITS] = call, 5, INVITE, ROW_DIRECTED
    for name, value in fields.items():
        row[{"txn": TXN, "cseq": CSEQ, "status": STATUS, "method": METHOD, "length": LENGTH,
             "flow": FLOW}[name]] = value  # fmt: skip
    return tuple(row)


def a_copy(call: int, size: int) -> Sighting:
    return Sighting(a_row(call), LAN, bytes(size), ENDS)


def a_doubt(room: int) -> Doubt:
    return Doubt(Table(8), Table(8), [], room)


def a_request(doubt: Doubt, call: int, **fields: int) -> Transaction:
    row = a_row(call, **fields)
    made = Transaction.__new__(Transaction)
    made.flow, made.ends, made.bits = row[FLOW], ENDS, row[BITS]
    made.method, made.cseq, made.way_back = row[METHOD], row[CSEQ], (0, 0, 0)
    doubt._table[row[TXN] ^ call] = made
    return made


def test_the_last_byte_of_the_room_is_room() -> None:
    doubt = a_doubt(10)
    doubt.hold(a_copy(1, 9))
    assert doubt.left == 1 and doubt.has_room(1)
    doubt.hold(a_copy(1, 1))
    assert doubt.left == 0 and not doubt.has_room(1)


def test_a_full_room_is_room_for_all_calls_but_the_largest() -> None:
    doubt = a_doubt(10)
    doubt.hold(a_copy(1, 8))
    doubt.hold(a_copy(2, 2))
    assert doubt.has_room(2) and doubt.has_room(3) and not doubt.has_room(1)


def test_calls_of_one_size_take_no_room_from_each_other() -> None:
    doubt = a_doubt(10)
    doubt.hold(a_copy(1, 5))
    doubt.hold(a_copy(2, 5))
    assert not doubt.has_room(1) and not doubt.has_room(2)


def test_a_call_that_gave_its_room_up_gets_none_again() -> None:
    doubt = a_doubt(10)
    doubt.hold(a_copy(1, 8))
    doubt.hold(a_copy(2, 4))
    doubt.hold(a_copy(3, 6))
    assert doubt.spilled == {1} and doubt.left == 0
    assert not doubt.has_room(1) and doubt.has_room(2) and not doubt.has_room(3)


def test_a_released_message_gives_its_room_back_once() -> None:
    doubt = a_doubt(10)
    spilled = a_copy(1, 8)
    doubt.hold(spilled)
    doubt.hold(a_copy(2, 4))
    doubt.hold(a_copy(3, 6))
    doubt.release(spilled, last=True)
    assert doubt.left == 0 and 1 not in doubt.calls


def test_without_a_call_or_without_room_nothing_is_left_out() -> None:
    doubt = a_doubt(1)
    for call, left_out in ((0, False), (1, True)):
        asked = a_request(doubt, call)
        assert doubt.asks(a_row(call, status=200, flow=6), bytes(48), asked) is left_out
    doubt.hold(a_copy(1, 1))
    assert not doubt.asks(a_row(1, status=200, flow=6), bytes(48), asked)


@pytest.mark.parametrize(("fields", "follows"), [
    ({}, False),
    ({"cseq": 2}, True),
    ({"method": BYE}, True),
    ({"txn": 4}, True),
])  # fmt: skip
def test_a_request_follows_the_invite_of_its_call_unless_it_repeats_a_request(
    fields: dict[str, int], follows: bool
) -> None:
    doubt = a_doubt(1)
    doubt.invites[1] = a_request(doubt, 1, txn=3, cseq=1)
    asked = doubt.asked(a_row(1, **{"txn": 3, "cseq": 1, **fields}))
    assert asked is (doubt.invites[1] if follows else None)


def test_a_response_with_another_via_follows_the_invite_of_its_call() -> None:
    doubt = a_doubt(1)
    invite = doubt.invites[1] = a_request(doubt, 1, txn=3)
    begun = a_request(doubt, 1, txn=4, flow=0)
    own = a_request(doubt, 1, txn=5)
    assert doubt.asked(a_row(1, txn=9, status=200)) is invite
    assert doubt.asked(a_row(1, txn=4, status=200)) is invite
    assert doubt.asked(a_row(1, txn=5, status=200)) is own
    assert doubt.asked(a_row(1, txn=4, status=200, method=BYE)) is begun


BACK = ENDS[16:32] + ENDS[:16] + ENDS[32:40] + ENDS[42:44] + ENDS[40:42] + ENDS[44:]
STRANGE = bytes(48)


@pytest.mark.parametrize(("fields", "ends", "doubtful"), [
    ({"status": 200}, BACK, False),
    ({"status": 200}, ENDS, True),
    ({"status": 200, "flow": 5, "method": BYE}, STRANGE, True),
    ({"method": BYE}, BACK, False),
    ({"method": BYE}, ENDS, False),
    ({"method": BYE}, STRANGE, True),
    ({"method": CANCEL}, ENDS, False),
    ({"method": CANCEL}, BACK, True),
    ({"method": CANCEL, "status": 200}, BACK, False),
])  # fmt: skip
def test_a_message_goes_the_way_of_its_invite_or_back(
    fields: dict[str, int], ends: bytes, doubtful: bool
) -> None:
    """Both directions are unknown here: the addresses decide."""
    doubt = a_doubt(9)
    invite = a_request(doubt, 1)
    invite.bits = 0
    assert doubt.asks(a_row(1, **{"flow": 6, **fields}), ends, invite) is doubtful


def test_the_way_back_is_learned_from_the_one_that_leads_there() -> None:
    doubt = a_doubt(9)
    invite = a_request(doubt, 1)
    invite.bits = 0
    row = a_row(1, flow=6, status=200)
    assert doubt.asks(row, STRANGE, invite)
    assert doubt.back == {} and not doubt.asks(row, BACK, invite)
    assert doubt.back == {invite.flow: invite.way_back}
    assert not doubt.asks(row, STRANGE, invite)  # the same way as before


def test_a_request_on_the_way_back_teaches_nothing_of_the_responses() -> None:
    doubt = a_doubt(9)
    invite = a_request(doubt, 1)
    invite.bits = 0
    assert not doubt.asks(a_row(1, flow=6, method=BYE), BACK, invite)
    assert invite.way_back == (0, 0, 0)


def test_the_ways_back_are_bounded() -> None:
    doubt = a_doubt(9)
    invite = a_request(doubt, 1)
    invite.bits = 0
    for flow in range(1, WAYS + 2):
        invite.flow = flow
        doubt.asks(a_row(1, flow=6, status=200), BACK, invite)
        assert len(doubt.back) <= WAYS
    assert list(doubt.back) == [WAYS + 1]


def test_a_transaction_that_a_response_began_is_doubted_by_the_invite_of_its_call_alone() -> None:
    doubt = a_doubt(9)
    begun = a_request(doubt, 1, txn=4, flow=0)
    row = a_row(1, flow=6, status=200)
    assert not doubt.asks(row, STRANGE, begun)
    doubt.invites[1] = a_request(doubt, 1, txn=3)
    assert doubt.asks(row, STRANGE, begun)
    assert not doubt.asks(a_row(1, flow=6, status=200, method=BYE), STRANGE, begun)


def test_the_answer_to_a_request_of_the_callee_goes_back_to_the_callee() -> None:
    doubt = a_doubt(9)
    doubt.invites[1] = a_request(doubt, 1, txn=3)
    own = a_request(doubt, 1, txn=4, flow=6)
    own.ends, own.bits, doubt.invites[1].bits = BACK, 0, 0
    assert not doubt.asks(a_row(1, txn=4, status=200), ENDS, own)
    assert doubt.asks(a_row(1, txn=4, status=200, flow=6), BACK, own)
