# SPDX-License-Identifier: Apache-2.0
"""Legal messages dropped by the Linux SIP helper (net/netfilter/nf_conntrack_sip.c process_sdp(),
set_expected_rtp_rtcp(), process_register_request(); nf_nat_sip.c mangle_content_len(),
nf_nat_sdp_session())."""

from __future__ import annotations

from algwatch.base import address, quote
from algwatch.sip.message import Message

LOWEST_PORT = 1024  # the helper opens none below


def dropped_for(message: Message) -> tuple[str, str]:
    """The helper's reason to drop a message: a word, and a clause. Both are empty without a known
    reason."""
    if message.method == "REGISTER" and not message.status:
        if any(contact.expires.startswith('"') for contact in message.contacts):
            return "expires", "its Contact has a quoted expires"
        return "", ""
    sdp = message.sdp
    if not sdp.present:
        return "", ""
    if not message.content_length:
        return "no-length", "it has SDP and no Content-Length"
    for name, host in (("o=", sdp.origin_address), *(("c=", host) for host in sdp.connections)):
        if host and not address.is_literal(host):
            return name, f"its {name} line has the host name {quote.host(host)}"
    for media in sdp.media:
        if 0 < media.port < LOWEST_PORT:
            return "port", f"its media port is {media.port}"
    return "", ""
