# SPDX-License-Identifier: Apache-2.0
"""Dialog sets and dialogs as one side sees them (RFC 3261 sections 12 to 15)."""

from __future__ import annotations

from algwatch.base.packet import LAN
from algwatch.sip.dialog import BY_BRANCH, BY_TAG, DialogSet
from algwatch.sip.dialogs import Dialogs
from algwatch.sip.transactions import Transactions
from craft import (
    LADDER_INVITE,
    START,
    House,
    Incoming,
    Outgoing,
    Packet,
    answer,
    batch,
    frame,
    request,
)


def read(packets: list[Packet], limit: int = 100) -> tuple[Dialogs, list[DialogSet]]:
    transactions, dialogs = Transactions(limit), Dialogs(LAN, limit)
    for at, data in packets:
        made = batch([(at, data)])
        dialogs.feed(transactions.feed(made, False, []), made, [])
        dialogs.feed(transactions.advance(at), made, [])
    return dialogs, list(dialogs.table.values())


def one(packets: list[Packet]) -> DialogSet:
    _, (dialog,) = read(packets)
    return dialog


def seconds(at: int) -> float:
    return round(at / 1e9 - START, 3)


def test_a_whole_call_is_one_dialog_with_its_moments() -> None:
    house = House()
    call = Outgoing(house, "one")
    call.invite(1)
    call.respond(1.1, 180)
    call.ok(2)
    call.ack(2.1)
    call.far_bye(9)
    dialog = one(house.sorted()[0])
    assert not dialog.partial
    assert seconds(dialog.answered_at) == 2.0
    assert seconds(dialog.acked_at) == 2.1
    assert seconds(dialog.bye_at) == 9.0
    assert dialog.ended_at > dialog.bye_at
    assert dialog.current is not None
    assert not dialog.current.bye_by_caller


def test_the_caller_keeps_its_name_when_the_callee_sends() -> None:
    house = House()
    call = Incoming(house, "one")
    call.invite(1)
    call.ok(2)
    call.ack(2.1)
    call.bye(9)
    dialog = one(house.sorted()[0])
    assert dialog.current is not None
    assert dialog.current.bye_by_caller


def test_the_ack_to_a_non_2xx_acknowledges_no_call() -> None:
    house = House()
    call = Outgoing(house, "one")
    call.invite(1)
    call.respond(1.1, 486)
    call.nak(1.2)
    dialog = one(house.sorted()[0])
    assert dialog.rejected == 486
    assert not dialog.acked_at


def test_an_authenticated_second_invite_is_the_one_that_counts() -> None:
    """407, ACK, INVITE with the next CSeq number: one call, no retransmission."""
    house = House()
    call = Outgoing(house, "one")
    call.invite(1)
    call.respond(1.1, 407)
    call.nak(1.2)
    again = call.invited.replace(b"CSeq: 1 ", b"CSeq: 2 ").replace(b"bKinvite", b"bKinvite2")
    seen = house.out(1.3, again)
    house.into(2, answer(200, seen, to_tag="t", contact=call.far_contact))
    dialog = one(house.sorted()[0])
    assert not dialog.rejected
    assert seconds(dialog.answered_at) == 2.0
    assert dialog.invite_retransmissions == 0
    assert not dialog.acked_at


def test_a_re_invite_waits_for_an_ack_of_its_own() -> None:
    house = House()
    call = Outgoing(house, "one")
    call.invite(1)
    call.ok(2)
    call.ack(2.1)
    again = call._request("INVITE", 2, call.far_contact.strip("<>"), f";tag={call._tag}",
                          call.contact, branch="again")  # fmt: skip
    seen = house.out(5, again)
    house.into(5.1, answer(200, seen, contact=call.far_contact))
    dialog = one(house.sorted()[0])
    assert dialog.current is not None
    assert dialog.current.confirmed
    assert seconds(dialog.answered_at) == 5.1
    assert not dialog.acked_at
    assert not dialog.partial


def test_the_late_ack_of_an_earlier_invite_does_not_acknowledge_the_next() -> None:
    house = House()
    call = Outgoing(house, "one")
    call.invite(1)
    call.ok(2)
    again = call._request("INVITE", 2, call.far_contact.strip("<>"), f";tag={call._tag}",
                          call.contact, branch="again")  # fmt: skip
    seen = house.out(5, again)
    house.into(5.1, answer(200, seen, contact=call.far_contact))
    call.ack(5.2)  # CSeq 1
    assert not one(house.sorted()[0]).acked_at


def test_a_cancelled_call_says_so() -> None:
    house = House()
    call = Outgoing(house, "one")
    call.invite(1)
    call.respond(1.1, 180)
    call.cancel(4)
    call.respond(4.1, 487)
    call.nak(4.2)
    dialog = one(house.sorted()[0])
    assert dialog.cancelled_at
    assert dialog.rejected == 487


def test_a_forked_2xx_is_another_dialog_and_no_repetition() -> None:
    """Two 2xx with different To tags (section 13.2.2.4): each has an ACK of its own."""
    house = House()
    call = Outgoing(house, "one")
    call.invite(1)
    call.ok(2)
    other = answer(200, call.seen, to_tag="another", contact="<sip:301@203.0.113.6:5060>")
    house.into(2.1, other)
    call.ack(2.15)
    dialog = one(house.sorted()[0])
    assert seconds(dialog.answered_at) == 2.0
    assert dialog.acked_at
    assert [bool(d.acked_at) for d in dialog.dialogs] == [True, False]
    assert dialog.final_retransmissions == 0


def answered() -> tuple[House, Outgoing]:
    house = House()
    call = Outgoing(house, "one")
    call.invite(1)
    call.ok(2)
    return house, call


def acked(house: House, ack: bytes) -> DialogSet:
    house.out(2.1, ack)
    return one(house.sorted()[0])


def test_an_ack_with_the_branch_of_its_invite_is_an_ack_and_odd() -> None:
    house, call = answered()
    ack = call._request("ACK", 1, "sip:300@203.0.113.5", f";tag={call._tag}", branch="invite")
    dialog = acked(house, ack)
    assert dialog.current is not None
    assert (seconds(dialog.acked_at), dialog.current.odd) == (2.1, BY_BRANCH)


def test_an_ack_whose_to_tag_was_changed_on_the_way_is_an_ack_and_odd() -> None:
    house, call = answered()
    dialog = acked(house, call._request("ACK", 1, "sip:300@203.0.113.5", ";tag=of-the-sbc"))
    assert dialog.current is not None
    assert (seconds(dialog.acked_at), dialog.current.odd) == (2.1, BY_TAG)


def test_an_ack_with_the_cseq_number_of_no_invite_acknowledges_nothing_and_is_kept() -> None:
    house, call = answered()
    dialog = acked(house, call._request("ACK", 7, "sip:300@203.0.113.5", f";tag={call._tag}"))
    assert dialog.current is not None
    assert not dialog.acked_at
    assert dialog.current.stray_ack is not None


def test_an_invite_that_comes_again_behind_its_2xx_is_counted_apart() -> None:
    house, call = answered()
    call.invite(2.5)
    call.invite(3.5)
    dialog = one(house.sorted()[0])
    assert (dialog.invite_retransmissions, dialog.late_invites) == (2, 2)


def test_a_challenge_and_the_invite_with_credentials_are_one_attempt_that_can_time_out() -> None:
    house = House()
    call = Outgoing(house, "one")
    call.invite(1)
    call.respond(1.1, 407)
    call.nak(1.2)
    again = call.invited.replace(b"CSeq: 1 ", b"CSeq: 2 ").replace(b"bKinvite", b"bKinvite2")
    for after in (0, *LADDER_INVITE):
        house.out(1.3 + after, again)
    Outgoing(house, "later").invite(40)
    _, (dialog, _) = read(house.sorted()[0])
    assert (dialog.challenged, dialog.rejected, dialog.timed_out) == (1, 0, True)


def test_what_begins_with_a_bye_is_partial() -> None:
    house = House()
    call = Outgoing(house, "one")
    call.bye(1)
    dialog = one(house.sorted()[0])
    assert dialog.partial
    assert dialog.ended_at


def test_a_2xx_without_its_invite_is_answered_and_partial() -> None:
    house = House()
    call = Outgoing(house, "one")
    call.invite(1)
    call.ok(2)
    dialog = one(house.sorted()[0][1:])
    assert dialog.partial
    assert seconds(dialog.answered_at) == 2.0


def test_a_capture_that_begins_while_it_rings_still_sees_the_answer() -> None:
    house = House()
    call = Outgoing(house, "one")
    call.invite(1)
    call.respond(1.1, 180)
    call.ok(2)
    call.ack(2.1)
    dialog = one(house.sorted()[0][1:])
    assert dialog.partial
    assert seconds(dialog.answered_at) == 2.0
    assert seconds(dialog.acked_at) == 2.1
    assert dialog.final_retransmissions == 0


def test_the_first_and_the_latest_ack_are_kept() -> None:
    house = House()
    call = Outgoing(house, "one")
    call.invite(1)
    for at in (2, 2.5, 3.5):
        call.ok(at)
        call.ack(at + 0.05)
    dialog = one(house.sorted()[0])
    assert seconds(dialog.acked_at) == 2.05
    assert dialog.current is not None
    assert seconds(dialog.current.acked_last) == 3.55
    assert dialog.final_retransmissions == 2


def test_other_requests_of_a_phone_make_no_dialog() -> None:
    packets = []
    for i, method in enumerate(("REGISTER", "OPTIONS", "SUBSCRIBE", "MESSAGE", "NOTIFY")):
        message = request(method, "sip:a@b", via="192.0.2.1:5060", branch=f"z9hG4bK{i}",
                          call_id=f"c{i}", cseq=1)  # fmt: skip
        data = frame(message, "192.0.2.1", 5060, "192.0.2.2", 5060)
        packets.append(((START + i) * 10**9, data))
    assert read(packets)[1] == []


def test_a_bye_alone_opens_a_dialog_unless_calls_had_to_go() -> None:
    # It could say nothing about a forgotten call, and would evict one that is followed.
    house = House()
    for i in range(41):
        Outgoing(house, f"c{i}").invite(1 + i / 100)
    call = Outgoing(house, "began earlier")
    call.invite(0)
    call.ok(0.1)
    call.bye(3)
    packets = house.sorted()[0][2:]
    dialogs, kept = read(packets, limit=50)
    assert (dialogs.table.evicted, len(kept), kept[-1].partial) == (0, 42, True)
    dialogs, kept = read(packets, limit=40)
    assert (dialogs.table.evicted, len(kept), kept[-1].partial) == (1, 40, False)


def test_a_full_table_lets_the_oldest_dialog_go_and_counts_it() -> None:
    house = House()
    for i in range(300):
        Outgoing(house, f"c{i}").invite(1 + i / 100)
    dialogs, kept = read(house.sorted()[0], limit=40)
    assert len(kept) == 40
    assert dialogs.table.evicted == 260
