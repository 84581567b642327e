# SPDX-License-Identifier: Apache-2.0
"""Echo: a response repeats Via, From, To, Call-ID and CSeq of its request (RFC 3261 section 8.2.6).
A difference between the two WAN copies was made beyond this router."""

from __future__ import annotations

from algwatch.base import address
from algwatch.base.address import joined
from algwatch.sip.message import Address, Message, Via, to_text

IDENTITY = ("Via", "From tag", "Call-ID")  # the phone discards a response without these


class Echo:
    """header: "Via", "From", "To", "From tag" or "Call-ID"; sent, returned: text as written
    there."""

    __slots__ = ("header", "returned", "sent")

    def __init__(self, header: str, sent: str, returned: str) -> None:
        self.header = header
        self.sent = sent
        self.returned = returned


def echoes(request: bytes, response: bytes, own: frozenset[str]) -> list[Echo]:
    """Values of a request changed in its response, beyond the changes a server may make.

    own: addresses (text) of the phone and of this router. A server adds received, rport and a To
    tag, and writes or omits port 5060. Some servers write other texts in From and To, but none
    replaces an address of ours by another one. An absent header field, or one without a readable
    address, was spoilt (MSG001), not translated.
    """
    asked, got = Message(request), Message(response)
    found: list[Echo] = []
    for via, other in zip(asked.vias, got.vias, strict=False):
        if not (via.host and other.host):
            continue
        if via.sent_by != other.sent_by or via.branch != other.branch:
            found.append(Echo("Via", _via(via), _via(other)))
    for header, one, two in (("From", asked.from_, got.from_), ("To", asked.to, got.to)):
        if one.host in own and _host(one) != _host(two) and address.is_literal(_host(two)):
            found.append(Echo(header, to_text(one.uri), to_text(two.uri)))
    if asked.from_.uri and got.from_.uri and asked.from_.tag != got.from_.tag:
        found.append(Echo("From tag", to_text(asked.from_.tag), to_text(got.from_.tag)))
    sent, returned = asked.call_id, got.call_id
    if sent and returned and sent != returned:
        found.append(Echo("Call-ID", to_text(sent), to_text(returned)))
    return found


def _host(one: Address) -> str:
    return one.host.strip("[]").lower()


def _via(via: Via) -> str:
    return f"{joined(via.host, via.port)};branch={to_text(via.branch)}"
