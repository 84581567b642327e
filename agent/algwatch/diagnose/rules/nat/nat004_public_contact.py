# SPDX-License-Identifier: Apache-2.0
"""NAT004: a phone announces a public address itself.

What it sees
    A phone behind this router's NAT wrote a public address into its Contact itself: it learned the
    address by STUN (also seen from its SIP port), or it is configured. The address and port are
    compared with the message's own mapping. They agree, and nothing is to be done; or they do not.

Why it breaks calls
    In-dialog requests and calls go to the Contact. With another port, or with an earlier address of
    the line, they find nobody, unless the provider sends to the source of packets. A symmetric NAT
    makes one mapping a destination, so the result of STUN is wrong for the flow to the provider.

What else looks the same
    An ALG writes the public address (ALG001): there the phone wrote its private one. Two NATs in a
    row: STUN names the outermost address, not the WAN address of this router. A phone without NAT
    has a public address itself. A Contact with a host name. A registrar in the LAN lists the
    bindings of its phones in the Contact of its 2xx.

Recommendation
    Agrees: none; keep STUN and the ALG apart, since an ALG that replaces public addresses breaks
    it. Does not agree: rport and outbound instead of STUN, or a static port mapping and a correct
    configured address for a PBX.

References
    RFC 3261 section 8.1.1.8; RFC 8489; RFC 5626; RFC 4787 REQ-1.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base import address
from algwatch.base.address import joined
from algwatch.base.native.layout import REGISTER
from algwatch.base.sighting import METHOD, STATUS
from algwatch.compare.crossing import Crossing
from algwatch.diagnose import alg, cause
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import CROSSING
from algwatch.sip.message import Address, Message, reach

RULE = Rule(
    "NAT004", "public-contact", "info", CROSSING,
    ("RFC 3261 8.1.1.8", "RFC 8489", "RFC 5626"),
    "A phone announces a public address itself, which agrees with the NAT or does not.",
    two_sided=True,
)  # fmt: skip


def check(crossing: Crossing, known: Known) -> Iterator[Finding]:
    pair, lan, wan = crossing.flow_pair, crossing.lan, crossing.wan
    if not crossing.outbound or pair is None or not pair.translated or lan is None or wan is None:
        return
    host = reach(lan.payload)[2]  # of the first Contact, as most are private
    if host is None or address.ipv4(host) < 0 or address.is_unroutable(host):
        return
    if lan.row[STATUS] and lan.row[METHOD] == REGISTER:
        return  # a registrar in the LAN lists the bindings of phones
    shown, sent = _public(Message(wan.payload)), wan.ends
    wrote = _public(Message(lan.payload))
    if shown is None or wrote is None or shown.uri != wrote.uri or sent.version != 4:
        return
    if address.is_unroutable(sent.dst) or not address.is_unroutable(lan.ends.src):
        return
    stun = known.uses_stun(pair.inside[:16])
    port = shown.port or 5060
    what = f"{pair.phone} announces {joined(shown.host, port)} in its Contact"
    what += ", and it uses STUN" if stun else ""
    mapped = sent.sender
    if shown.host != sent.src:
        if address.is_unroutable(sent.src) or stun:
            return  # the address of a NAT beyond, invisible to this router (NAT003)
        harm, so = "latent", f"but leaves with {mapped}, another address"
    elif port != sent.sport:
        harm, so = "latent", f"but the NAT has given it port {sent.sport} towards {sent.dst}"
    else:
        harm, so = "none", "as the NAT of this router has it"
    yield RULE.finding(
        "phone", harm, f"{what}, {so}.",
        [
            evidence(lan, f"Contact: {joined(shown.host, port)}, written by the phone", ""),
            evidence(wan, f"left with {mapped}", "the same as the Contact"),
        ],
        f"{alg.between(crossing)}/{harm}",
        cause=cause.NONE if harm == "none" else cause.NAT_PORT, call_id=alg.call_id(crossing),
        line=alg.between(crossing),
    )  # fmt: skip


def _public(message: Message) -> Address | None:
    """The first Contact of a request or 2xx, if it is a public IPv4 address."""
    if message.status >= 300 or not message.contacts:
        return None
    one = message.contacts[0]
    public = address.ipv4(one.host) >= 0 and not address.is_unroutable(one.host)
    return one if public and not one.is_star else None
