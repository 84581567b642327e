# SPDX-License-Identifier: Apache-2.0
"""SUBSCRIBE, NOTIFY, REFER and what they name; the session timer of a 2xx."""

from __future__ import annotations

import pytest
from algwatch.base.native.layout import ENDS, ROW, ROW_TIMER
from algwatch.base.packet import UNKNOWN
from algwatch.base.sighting import BITS, Sighting
from algwatch.compare.replaces import replaced
from algwatch.sip.session_timer import session_timer
from algwatch.sip.timers import SECOND

HEAD = (
    b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\n"
    b"From: <sip:a@x>;tag=1\r\nTo: <sip:b@x>;tag=2\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n"
)


def copy(payload: bytes) -> Sighting:
    row = list(ROW.unpack(bytes(ROW.size)))
    row[BITS] = ROW_TIMER
    return Sighting(tuple(row), UNKNOWN, payload, bytes(ENDS.size))


@pytest.mark.parametrize(
    ("line", "seconds", "refresher"),
    [
        (b"Session-Expires: 1800;refresher=uac", 1800, b"uac"),
        (b"session-expires :  90 ; Refresher = UAS", 90, b"uas"),
        (b"x: 600", 600, b""),
        (b"X:600;refresher=uas", 600, b"uas"),
        (b"SESSION-EXPIRES: 600", 600, b""),
    ],
)
def test_a_session_timer_is_read_in_every_form(line: bytes, seconds: int, refresher: bytes) -> None:
    timer = session_timer(copy(HEAD + line + b"\r\n\r\n"), True)
    assert timer is not None
    assert (timer.interval // SECOND, timer.refresher) == (seconds, refresher)


@pytest.mark.parametrize(
    "line",
    [
        b"Session-Expires: 0", b"Session-Expires: -5", b"Session-Expires:", b"Session-Expires: 1e9",
        b"Session-Expires: " + b"9" * 5000, b"Session-Expires: \xb2\xb3", b"Min-SE: 90",
        b"Subject: session-expires soon", b"X-Session-Expires: 5",
    ],
)  # fmt: skip
def test_what_is_no_session_timer_is_none(line: bytes) -> None:
    assert session_timer(copy(HEAD + line + b"\r\n\r\n"), True) is None


def test_a_session_ends_a_third_or_32_s_before_its_interval() -> None:
    for seconds, ends in ((90, 60), (1800, 1768)):
        timer = session_timer(copy(HEAD + b"Session-Expires: %d\r\n\r\n" % seconds), True)
        assert timer is not None and timer.bye_at == ends * SECOND
        assert seconds * SECOND // 2 < timer.overdue_at < timer.bye_at


REFER = b"REFER sip:b@x SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\n"


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (b"Replaces: a@b;to-tag=1;from-tag=2", (b"a@b", {b"1", b"2"})),
        (b"Replaces: a@b ; from-tag=2;early-only", (b"a@b", {b"2"})),
        (b"Replaces: a@b;to-tag=0;from-tag=0", (b"a@b", set())),
        (b"Refer-To: <sip:c@x?Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2>", (b"a@b", {b"1", b"2"})),
        (b"r: <sip:c@x?Require=replaces&Replaces=a%40b>", (b"a@b", set())),
        (b"Refer-To: <sip:c@x?Replaces=%>", (b"%", set())),
        (b"Refer-To: <sip:c@x?Replaces=%zz%-1%>", (b"%zz%-1%", set())),
        (b"Refer-To: <sip:c@x>", None),
        (b"Refer-To: <sip:replaces@x>", None),
        (b"Replaces: ;to-tag=1", None),
        (b"Refer-To: <sip:c@x?Replaces>", None),
    ],
)
def test_a_replaced_dialog_is_read_whatever_stands_there(
    line: bytes, name: tuple[bytes, set[bytes]] | None
) -> None:
    found = replaced(REFER + line + b"\r\n\r\n")
    assert (None if found is None else (found[0], set(found[1]))) == name
