# SPDX-License-Identifier: Apache-2.0
"""Causes of harm, a short closed list. Actions follow from causes (advise/actions.py), never from
the id of a rule."""

from __future__ import annotations

from algwatch.base import address

NONE = ""  # nothing is wrong
UNKNOWN = "unknown"  # seen, and not explained
CAPTURE = "capture"  # the capture itself cannot be trusted

ALG = "alg"  # the router's ALG wrote, sent or dropped against its NAT mapping
ALG_NEEDED = "alg-needed"  # only the router's ALG carries this line
ROUTER = "router"  # the router stopped or misdelivered a message, not provably by its ALG
STALE_NAT = "stale-nat"  # a flow leaves with an address no longer on the WAN
NAT_TIMEOUT = "nat-timeout"  # the NAT mapping was gone before the next refresh

NAT_PORT = "nat-port"  # the NAT gives another port than the provider was told
OUTER_NAT = "outer-nat"  # another NAT, beyond this router, is in the path
OUTER_ALG = "outer-alg"  # something beyond this router rewrites SIP
# A private address was shown, and neither end handled the NAT. Both could have, and the advice is
# for both. The place is the phone, which wrote it, where a request never came that the dialog needs
# from its start (ACK, PRACK, NOTIFY). It is the provider where only its BYE is missing (DLG008): it
# took INVITE, ACK and BYE of the call from another address, and saw where the phone is.
NAT_UNHANDLED = "nat-unhandled"
PRIVATE_NAME = "private-name"  # a Contact names a host that nobody but the phone can look up
MEDIA_NAT = "media-nat"  # SDP names an unreachable address for media
NO_RPORT = "no-rport"  # a Via without rport from behind a NAT that changes ports
PHONE = "phone"  # the phone broke the protocol
PROVIDER = "provider"  # the provider's side broke the protocol
PROVIDER_CONTACT = "provider-contact"  # the provider handled the NAT once, and not here
RECORD_ROUTE = "record-route"  # a proxy left itself out of the route set

SIZE = "size"  # only large messages get lost
LOSS = "loss"  # packets get lost on the way
REFUSED = "refused"  # somebody said no: credentials, policy

CAUSES = (
    NONE, UNKNOWN, CAPTURE, ALG, ALG_NEEDED, ROUTER, STALE_NAT, NAT_TIMEOUT, NAT_PORT,
    OUTER_NAT, OUTER_ALG, NAT_UNHANDLED, PRIVATE_NAME, MEDIA_NAT, NO_RPORT, PHONE, PROVIDER,
    PROVIDER_CONTACT, RECORD_ROUTE, SIZE, LOSS, REFUSED,
)  # fmt: skip

# A provider that finds the phone past its Contact refutes these.
UNREACHABLE = (NAT_UNHANDLED, PRIVATE_NAME)

_BY_PLACE = {"phone": PHONE, "provider": PROVIDER, "router": ALG}


def of_contact(host: str) -> str:
    """The cause of an unreachable host in a phone's Contact, left as the phone wrote it."""
    return PRIVATE_NAME if address.is_private_name(host) else NAT_UNHANDLED


def of_place(where: str) -> str:
    """The cause of a malformed message, by the place (`Finding.where`) that made it so."""
    return _BY_PLACE.get(where, UNKNOWN)
