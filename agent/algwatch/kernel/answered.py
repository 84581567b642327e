# SPDX-License-Identifier: Apache-2.0
"""Mark an unanswered entry of the connection tracking as answered.

A helper reads TCP only after an answer of the other end (sip_help_tcp() in
net/netfilter/nf_conntrack_sip.c). ctnetlink can set the marks for a seen answer and an established
connection, but cannot take them back (nf_ct_change_status_common()).
"""

from __future__ import annotations

import errno
import struct

from algwatch.kernel.flows import Flow
from algwatch.kernel.netlink import Netlink, NetlinkError, attribute, attributes, be32, nested, u8

_GET, _NEW = 1 << 8 | 1, 1 << 8
_STATUS, _PROTOCOL_INFO, _TCP_INFO = 3, 4, 1
_STATE, _FLAGS_ORIGINAL, _FLAGS_REPLY = 1, 4, 5
_SEEN_REPLY, _ESTABLISHED = 0x2, 3
_LIBERAL = b"\x08\x08"  # value and mask: no window check of sequence numbers


def mark_answered(nl: Netlink, flow: Flow) -> bool:
    """flow: a TCP entry. nl: of NETFILTER. False: the entry is gone. Raises NetlinkError."""
    head = struct.pack("=BBH", flow.family, 0, 0)
    key = flow.key(with_id=False)
    state = nested(
        _PROTOCOL_INFO,
        nested(_TCP_INFO, u8(_STATE, _ESTABLISHED), attribute(_FLAGS_ORIGINAL, _LIBERAL),
               attribute(_FLAGS_REPLY, _LIBERAL)),
    )  # fmt: skip
    try:
        found = nl.ask(_GET, head + key)
        status = int.from_bytes(attributes(found[0][4:]).get(_STATUS, b""), "big") if found else 0
        nl.ask(_NEW, head + key + be32(_STATUS, status | _SEEN_REPLY) + state)
    except NetlinkError as problem:
        if problem.errno == errno.ENOENT:
            return False
        raise
    return True
