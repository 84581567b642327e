# SPDX-License-Identifier: Apache-2.0
"""Netlink messages, as bytes and against the kernel that runs this test."""

from __future__ import annotations

import errno
import socket
import struct

import pytest
from algwatch.kernel import links, netlink
from algwatch.kernel.netlink import Netlink, NetlinkError


def test_attributes_are_padded_and_read_back_in_order() -> None:
    packed = netlink.text(3, "br-lan") + netlink.u32(10, 7) + netlink.be32(1, 5)
    assert len(packed) % 4 == 0
    assert list(netlink.each_attribute(packed)) == [
        (3, b"br-lan\0"), (10, struct.pack("=I", 7)), (1, b"\0\0\0\5"),
    ]  # fmt: skip


def test_a_nested_attribute_is_found_without_its_flag() -> None:
    packed = netlink.nested(18, netlink.text(1, "veth"))
    assert netlink.name(netlink.attributes(netlink.attributes(packed)[18])[1]) == "veth"


@pytest.mark.parametrize("cut", [*range(1, 12), 13, 15])
def test_a_cut_attribute_ends_the_list_and_raises_nothing(cut: int) -> None:
    packed = netlink.u32(1, 1) + netlink.u32(2, 2)
    assert len(list(netlink.each_attribute(packed[:cut]))) == cut // 8


@pytest.mark.parametrize("bad", [b"", b"\3\0\1\0", b"\0\0\0\0" * 4, b"\xff" * 16])
def test_lengths_that_lie_give_nothing_and_end(bad: bytes) -> None:
    assert list(netlink.each_attribute(bad)) == []
    assert list(netlink.each_message(bad)) == []


def test_an_attribute_that_is_too_long_for_its_length_field_is_refused() -> None:
    with pytest.raises(ValueError, match="65531"):
        netlink.attribute(1, bytes(65532))


def test_a_refusal_carries_errno_and_the_words_of_the_kernel() -> None:
    request = netlink.message(16, 5, 1, bytes(16))
    words = netlink.text(1, "Attribute failed policy validation")
    body = struct.pack("=i", -errno.ERANGE) + request + words
    error = netlink.refusal(0x200, body)
    assert error is not None
    assert error.errno == errno.ERANGE
    assert "Attribute failed policy validation" in str(error)
    assert netlink.refusal(0, struct.pack("=i", 0) + request) is None
    cut = netlink.refusal(0x200, b"\1")
    assert cut is not None
    assert cut.errno == errno.EBADMSG


def test_the_kernel_lists_the_loopback_interface() -> None:
    with Netlink(netlink.ROUTE) as nl:
        lo = next(link for link in links.links(nl) if link.name == "lo")
        found = links.link(nl, "lo")
        assert found is not None
        assert found.index == lo.index == socket.if_nametoindex("lo")
        assert links.link(nl, "no-such-device") is None


def test_the_kernel_refuses_with_its_errno() -> None:
    with Netlink(netlink.ROUTE) as nl, pytest.raises(NetlinkError) as refused:
        nl.ask(16, struct.pack("=BxHiII", 0, 0, 999999, 1, 1))  # RTM_NEWLINK of no interface
    assert refused.value.errno in (errno.ENODEV, errno.EPERM)
