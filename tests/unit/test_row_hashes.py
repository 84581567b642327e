# SPDX-License-Identifier: Apache-2.0
"""Rows and the keyed hashes that select among them: transaction, call, pair, flow."""

from __future__ import annotations

import pytest
from algwatch.base.native import layout
from algwatch.base.native.rows import Counts, Scanner
from algwatch.base.native.scan import hash_bytes
from rows import Row, meta_of, request, scan
from test_frame import MESSAGE, four, udp

RAW = 12


def row_of(message: bytes) -> Row:
    (row,) = scan(RAW, four(udp(message)))
    return row


def test_a_response_and_the_ack_to_it_belong_to_the_transaction_of_the_invite() -> None:
    invite = row_of(request())
    assert row_of(request(start="SIP/2.0 486 Busy Here")).txn == invite.txn
    assert row_of(request("ACK")).txn == invite.txn
    assert row_of(request("CANCEL")).txn != invite.txn


def test_sent_by_counts_without_case_and_with_its_default_port() -> None:
    named = row_of(request(host="Phone.Example.com")).txn
    assert row_of(request(host="phone.example.com:5060")).txn == named
    assert row_of(request(host="phone.example.com:5062")).txn != named
    assert row_of(request(host="other.example.com")).txn != named


def test_branches_tell_transactions_apart() -> None:
    assert row_of(request()).txn != row_of(request(branch=";branch=z9hG4bK2")).txn


@pytest.mark.parametrize("branch", ["", ";branch=1", ";branch=z9hG4bK", ";branch=Z9HG4BK"])
def test_without_the_cookie_call_id_tag_and_cseq_tell_them_apart(branch: str) -> None:
    old = row_of(request(branch=branch))
    assert not old.bits & layout.ROW_COOKIE
    assert (
        row_of(request(branch=branch + ";received=1.2.3.4", start="SIP/2.0 200 OK")).txn == old.txn
    )
    assert row_of(request(branch=branch, cseq=2)).txn != old.txn
    assert row_of(request(branch=branch, tag="b")).txn != old.txn


def test_the_cookie_and_one_character_are_a_branch() -> None:
    one = row_of(request(branch=";branch=z9hG4bK1"))
    assert one.bits & layout.ROW_COOKIE
    assert row_of(request(branch=";branch=z9hG4bK1", cseq=2)).txn == one.txn


def test_the_copies_of_a_rewritten_message_pair() -> None:
    lan = row_of(request())
    wan = row_of(request(host="203.0.113.5:40001", contact="203.0.113.5:40001"))
    assert wan.pair == lan.pair
    assert wan.txn != lan.txn


def test_different_messages_of_a_dialog_do_not_pair() -> None:
    messages = [
        request(), request("ACK"), request("CANCEL"), request(cseq=2), request(tag="b"),
        request(branch=";branch=z9hG4bK2"), request(start="SIP/2.0 180 Ringing"),
        request(start="SIP/2.0 200 OK"), request("X"), request("Y"),
    ]  # fmt: skip
    assert len({row_of(message).pair for message in messages}) == len(messages)


def test_absent_tags_are_0_and_the_call_is_the_call_id() -> None:
    row = row_of(request())
    assert row.to_tag == 0
    assert row.from_tag != 0
    assert row.call == hash_bytes(layout.REPLAY_KEY, b"call")
    assert row_of(MESSAGE).from_tag == 0


def test_a_flow_has_a_direction() -> None:
    packet = bytearray(four(udp()))
    packet[12:20] = packet[16:20] + packet[12:16]
    packet[20:24] = packet[22:24] + packet[20:22]
    there, back = scan(RAW, four(udp()), bytes(packet))
    assert there.flow != back.flow


def test_another_key_gives_other_hashes() -> None:
    frame = four(udp(request()))
    scanner = Scanner(RAW, 0, b"another 16 bytes", (), Counts())
    (batch,) = scanner.scan(frame, meta_of((frame,)), 0)
    other = Row(*layout.ROW.unpack(batch.rows), *layout.ENDS.unpack(batch.ends))
    ours = row_of(request())
    for name in ("txn", "call", "pair", "flow", "from_tag"):
        assert getattr(other, name) != getattr(ours, name)


def test_a_row_says_what_its_message_is() -> None:
    sdp = b"v=0\r\no=- 1 1 IN IP4 192.168.1.10\r\n"
    text = request(start="SIP/2.0 200 OK", cseq=70000).replace(b"<sip:c@d>", b"<sip:c@d>;tag=9")
    text = text.replace(b"Content-Length: 0", b"c: application/SDP\r\nl: %d" % len(sdp)) + sdp
    row = row_of(text)
    assert (row.status, row.method, row.cseq) == (200, layout.INVITE, 70000)
    assert (row.at, row.tap, row.ttl, row.ip_id) == (10_000_000_000, 3, 63, 77)
    expected = layout.ROW_SDP | layout.ROW_CONTACT | layout.ROW_COOKIE | layout.ROW_TAGGED
    assert row.bits == expected


@pytest.mark.parametrize(
    ("field", "limit"),
    [("Via: SIP/2.0/UDP h", 16), ("Contact: <sip:h>", 8), ("Route: <sip:h>", 12),
     ("Record-Route: <sip:h>", 12), ("Path: <sip:h>", 4)],
)  # fmt: skip
def test_more_values_than_fit_are_clipped_and_never_lost_silently(field: str, limit: int) -> None:
    def text(count: int) -> bytes:
        return request().replace(b"\r\n\r\n", f"\r\n{field}".encode() * count + b"\r\n\r\n")

    there = 1 if field[:3] in ("Via", "Con") else 0
    assert not row_of(text(limit - there)).bits & layout.ROW_CLIPPED
    assert row_of(text(limit - there + 1)).bits & layout.ROW_CLIPPED
