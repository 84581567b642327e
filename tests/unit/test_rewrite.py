# SPDX-License-Identifier: Apache-2.0
"""Typed differences between two copies, and which of them the mapping explains."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from algwatch.compare.crossing import Crossing
from algwatch.compare.differences import rewrites
from algwatch.compare.fingerprint import (
    BROADCOM,
    JUNIPER,
    LINUX,
    PROXY,
    UNKNOWN,
    fingerprint,
    looks_like,
    reason,
)
from algwatch.compare.rewrite import EXPECTATION, MAPPING, NORMALISED, Rewrite
from craft import House, Outgoing, analyzed, linux_out, register, sized, untouched

PUBLIC = 40123


def crossed(alter: Callable[[bytes], bytes], contact: str = "", call_id: str = "one") -> Crossing:
    """An INVITE that the phone sends and the router alters so."""
    house = House(wan_port=PUBLIC)
    house.out_alg = alter
    Outgoing(house, call_id, contact=contact).invite(1)
    house.out_alg = untouched
    Outgoing(house, "later").invite(3)  # the window of fallback keys is over
    seen: list[Crossing] = []
    analyzed(*house.sorted(), watch=seen.append)
    crossing, *_ = sorted(seen, key=lambda c: c.entered.at)
    if not crossing.both:
        pytest.fail("the copies were not paired")
    return crossing


def changed(alter: Callable[[bytes], bytes], contact: str = "") -> list[Rewrite]:
    return rewrites(crossed(alter, contact))


def replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def alter(message: bytes) -> bytes:
        assert old in message
        return sized(message.replace(old, new))

    return alter


def whole(message: bytes) -> bytes:
    return linux_out("192.168.1.10", 5060, "198.51.100.2", PUBLIC)(message)


def fields(changes: list[Rewrite]) -> list[tuple[str, str, str]]:
    return [(r.header, r.field, r.explained) for r in changes]


def test_an_untouched_message_has_no_rewrite() -> None:
    assert changed(untouched) == []


def test_the_linux_helpers_writing_is_explained_to_the_byte() -> None:
    changes = changed(whole)
    assert fields(changes) == [
        ("Via", "address", MAPPING),
        ("Contact", "address", MAPPING),
        ("SDP", "address", MAPPING),
        ("SDP", "origin", NORMALISED),
    ]
    assert changes[1].before == "192.168.1.10:5060"
    assert changes[1].after == f"198.51.100.2:{PUBLIC}"
    assert fingerprint(crossed(whole)) == LINUX
    assert reason(crossed(whole)) == ""


def test_a_longer_body_explains_its_content_length() -> None:
    changes = changed(replaced(b"c=IN IP4 192.168.1.10", b"c=IN IP4 198.51.100.222"))
    by = {(r.header, r.field): r.explained for r in changes}
    assert by[("SDP", "address")] == ""
    assert by[("Content-Length", "value")] == NORMALISED


def test_a_content_length_that_does_not_fit_the_body_is_not_explained() -> None:
    crossing = crossed(lambda m: whole(m).replace(b"Content-Length: ", b"Content-Length: 1"))
    assert ("Content-Length", "value", "") in fields(rewrites(crossing))
    assert fingerprint(crossing) == UNKNOWN


@pytest.mark.parametrize(("old", "new", "header", "field"), [
    (b"Contact: <sip:100@192.168.1.10:5060>", b"Contact: <sip:100@198.51.100.2:5060>",
     "Contact", "address"),
    (b"Contact: <sip:100@192.168.1.10:5060>", b"Contact: <sip:100@198.51.100.99:40123>",
     "Contact", "address"),
    (b"Contact: <sip:100@192.168.1.10:5060>", b"Contact: <sip:100@192.168.1.10:5062>",
     "Contact", "port"),
    (b"Contact: <sip:100@", b"Contact: <sip:999@", "Contact", "user"),
    (b"5060>\r\nContent-Type", b"5060;alg=1>\r\nContent-Type", "Contact", "parameters"),
    (b";branch=z9hG4bK", b";branch=z9hG4bKx", "Via", "branch"),
    (b"SIP/2.0/UDP 192", b"SIP/2.0/TCP 192", "Via", "transport"),
    (b";rport;", b";", "Via", "rport"),
    (b"Max-Forwards: 70", b"Max-Forwards: 69", "Max-Forwards", "value"),
    (b"Max-Forwards: 70", b"Max-Forwards: 70\r\nX-Router: 1", "Header", "names"),
])  # fmt: skip
def test_what_the_mapping_does_not_say_is_not_explained(
    old: bytes, new: bytes, header: str, field: str
) -> None:
    # All else is as the Linux helper would write it, so that this alone is why it is not one.
    crossing = crossed(lambda message: whole(replaced(old, new)(message)))
    assert (header, field, "") in fields(rewrites(crossing))
    assert fingerprint(crossing) != LINUX
    assert reason(crossing)


def test_a_media_port_is_explained_only_with_the_address_that_was_opened_for_it() -> None:
    crossing = crossed(replaced(b"m=audio 16384", b"m=audio 20002"))
    assert fields(rewrites(crossing)) == [("SDP", "port", "")]
    assert fingerprint(crossing) == UNKNOWN


@pytest.mark.parametrize("left", [b"Via: SIP/2.0/UDP ", b"Contact: <sip:100@"])
def test_what_the_linux_helper_would_not_have_left_tells_it_apart(left: bytes) -> None:
    private, public = b"192.168.1.10:5060", b"198.51.100.2:%d" % PUBLIC
    crossing = crossed(lambda m: whole(m).replace(left + public, left + private))
    assert all(r.explained and r.linux for r in rewrites(crossing))
    assert fingerprint(crossing) == UNKNOWN
    assert (
        reason(crossing)
        == f"nf_nat_sip would not have left {private.decode()} in "
        + (left.decode().partition(":")[0])
    )


def test_the_reason_names_what_linux_would_have_written() -> None:
    crossing = crossed(
        lambda m: whole(m).replace(b"100@198.51.100.2:%d" % PUBLIC, b"100@198.51.100.2")
    )
    assert reason(crossing) == (
        f"Contact address became 198.51.100.2 where nf_nat_sip would write 198.51.100.2:{PUBLIC}"
    )


def test_a_wrong_contact_port_says_what_the_mapping_would_have_made() -> None:
    (change,) = changed(replaced(b"Contact: <sip:100@192.168.1.10:", b"Contact: <sip:100@1.1.1.1:"))
    assert change.expected == f"198.51.100.2:{PUBLIC}"


def test_a_port_written_out_is_form_and_no_other_address() -> None:
    (change,) = changed(replaced(b"@192.168.1.10>", b"@192.168.1.10:5060>"),
                        contact="<sip:100@192.168.1.10>")  # fmt: skip
    assert change.explained == NORMALISED


def test_registers_contact_may_keep_a_port_of_its_own() -> None:
    """Opened as an expectation; an INVITE's may not."""
    house = House(wan_port=PUBLIC)
    house.out_alg = replaced(b"<sip:100@192.168.1.10:5060>", b"<sip:100@198.51.100.2:5060>")
    register(house, 0)
    seen: list[Crossing] = []
    analyzed(*house.sorted(), watch=seen.append)
    (change,) = rewrites(seen[0])
    assert change.explained == EXPECTATION


@pytest.mark.parametrize(("old", "new", "whose"), [
    (b";branch=z9hG4bK", b";branch=z9hG4bKx", UNKNOWN),
    (b"Max-Forwards: 70\r\n", b"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKp\r\nMax-Forwards: 69\r\n",
     PROXY),
    (b"Max-Forwards: 70\r\n", b"Record-Route: <sip:198.51.100.2;lr>\r\nMax-Forwards: 70\r\n",
     UNKNOWN),
    (b"Call-ID: one@192.168.1.10", b"Call-ID: one@198.51.100.2", JUNIPER),
    (b"Call-ID: one@192.168.1.10", b"Call-ID: two@198.51.100.2", UNKNOWN),
    (b"Max-Forwards: 70", b"max-forwards:  70", UNKNOWN),
])  # fmt: skip
def test_other_boxes_are_told_from_the_linux_helper(old: bytes, new: bytes, whose: str) -> None:
    crossing = crossed(lambda m: whole(replaced(old, new)(m)), call_id="one@192.168.1.10")
    assert fingerprint(crossing) == whose


def test_a_replaced_port_of_a_public_contact_is_of_the_broadcom_type() -> None:
    stun = b"sip:100@198.51.100.2:5070"
    crossing = crossed(
        lambda m: whole(m).replace(stun, b"sip:100@198.51.100.2:%d" % PUBLIC), f"<{stun.decode()}>"
    )
    assert looks_like(crossing).name == BROADCOM
    assert "198.51.100.2:5070 in Contact" in looks_like(crossing).why


def test_each_byte_of_a_body_of_several_parts_is_accounted_for() -> None:
    def parts(message: bytes) -> bytes:
        head, _, body = message.partition(b"\r\n\r\n")
        head = head.replace(b"application/sdp", b"multipart/mixed;boundary=x")
        return sized(head + b"\r\n\r\n--x\r\n\r\n" + body + b"--x\r\nISUP\r\n--x--\r\n")

    def alg(message: bytes) -> bytes:
        return message.replace(b"IP4 192.168.1.10", b"IP4 198.51.100.2").replace(b"ISUP", b"XSUP")

    house = House(wan_port=PUBLIC)
    house.out_alg = alg
    call = Outgoing(house, "one")
    call.invite(1, wan=False, lan=False)
    call.invited = parts(call.invited)
    call.invite(1)
    seen: list[Crossing] = []
    analyzed(*house.sorted(), watch=seen.append)
    changes = rewrites(seen[0])
    assert fields(changes) == [
        ("SDP", "address", MAPPING), ("SDP", "origin", NORMALISED), ("Body", "line", ""),
    ]  # fmt: skip
    assert (changes[2].before, changes[2].after) == ("ISUP", "XSUP")


@pytest.mark.parametrize(("old", "new", "field"), [
    (b"t=0 0", b"t=0 9", ("Body", "line")),
    (b"Content-Length: ", b"Content-Length:   ", ("Content-Length", "form")),
    (b"From: <sip:100@example.net>", b"From: <sip:100@example.net> ", ("From", "form")),
])  # fmt: skip
def test_bytes_that_no_rule_explains_are_named(
    old: bytes, new: bytes, field: tuple[str, str]
) -> None:
    changes = changed(lambda message: whole(message).replace(old, new))
    assert [(r.header, r.field) for r in changes if not r.explained] == [field]


def test_nothing_changed_is_nobodys_alg() -> None:
    assert fingerprint(crossed(untouched)) == ""
    assert reason(crossed(untouched)) == ""
