# SPDX-License-Identifier: Apache-2.0
"""The largest messages there are, and lists longer than the result: what is lost is said."""

from __future__ import annotations

import pytest
from algwatch.base.native import layout
from algwatch.base.native.layout import ADDR, SIP, VIA
from algwatch.base.native.scan import scan_message

START = b"OPTIONS sip:a@b SIP/2.0\r\n"
REST = b"f: <sip:a@b>;tag=1\r\nt: <sip:c@d>\r\ni: x\r\nCSeq: 1 OPTIONS\r\n\r\n"
CLIPPED = layout.ANOMALY_NAMES.index("clipped")


def anomalies(scanned: memoryview) -> set[str]:
    bits = scanned[SIP.ANOMALIES] | scanned[SIP.ANOMALIES + 1] << 16
    return {name for bit, name in enumerate(layout.ANOMALY_NAMES) if bits >> bit & 1}


def test_a_message_of_65535_bytes_is_read_to_its_last_byte() -> None:
    message = START + b"Via: SIP/2.0/UDP h;branch=z9hG4bKx\r\n" + REST
    message += b"x" * (65535 - len(message))
    code, scanned = scan_message(message)
    assert code == 65535
    assert scanned[SIP.BODY] + scanned[SIP.BODY + 1] == 65535
    assert anomalies(scanned) == set()


def test_a_header_field_may_fill_the_65535_bytes() -> None:
    room = 65535 - len(START) - len(b"Subject: \r\nv: SIP/2.0/UDP h\r\n") - len(REST)
    message = START + b"Subject: " + b"s" * room + b"\r\nv: SIP/2.0/UDP h\r\n" + REST
    code, scanned = scan_message(message)
    assert (code, len(message), scanned[SIP.HEADER_END]) == (65535, 65535, 65535)
    assert scanned[SIP.VIAS] == 1
    assert anomalies(scanned) == set()


def test_one_byte_more_is_too_long() -> None:
    message = START + REST
    assert scan_message(message + b"x" * (65536 - len(message)))[0] == layout.TOO_LONG


@pytest.mark.parametrize("comma", [False, True])
def test_of_thousands_of_vias_the_first_sixteen_are_kept(comma: bool) -> None:
    values = [b"SIP/2.0/UDP h%04d:%d;branch=z9hG4bK%d" % (i, i + 1, i) for i in range(1200)]
    lines = b"Via: " + b", ".join(values) if comma else b"\r\n".join(b"v: " + v for v in values)
    message = START + lines + b"\r\n" + REST
    code, scanned = scan_message(message)
    assert code == len(message)
    assert scanned[SIP.VIAS] == 16
    ports = [scanned[SIP.VIA + i * VIA.SIZE + VIA.PORT] for i in range(16)]
    assert ports == list(range(1, 17))
    assert anomalies(scanned) == {"clipped"}
    assert scanned[SIP.ANOMALY_AT + CLIPPED] == message.index(values[16])


def test_thousands_of_other_header_fields_hide_nothing() -> None:
    message = START + b"X-%04d: y\r\n" % 7 * 5000 + b"Contact: <sip:u@h:5070>\r\n" + REST
    code, scanned = scan_message(message)
    assert code == len(message)
    assert scanned[SIP.CONTACTS] == 1
    assert scanned[SIP.CONTACT + ADDR.PORT] == 5070
    assert anomalies(scanned) == {"missing_via"}
