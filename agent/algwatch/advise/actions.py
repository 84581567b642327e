# SPDX-License-Identifier: Apache-2.0
"""Actions: possible remedies, and the causes they answer."""

from __future__ import annotations

from algwatch.advise.advice import Advice
from algwatch.diagnose import cause

DISABLE = "disable-sip-alg"
KEEP = "keep-sip-alg"
ENABLE_RPORT = "enable-rport-stun-outbound"
STATIC_NAT = "static-nat-for-pbx"
FIX_CONTACT = "provider-fix-contact"
ADD_RECORD_ROUTE = "provider-add-record-route"
SHORTER_REFRESH = "shorter-refresh-on-phone"
LOOK_FOR_LOSS = "look-for-loss"
MOVE_PORT = "move-sip-port-or-tls"
CLEAR_NAT = "clear-nat-state"
SMALLER = "smaller-messages-or-tcp"
PHONE_FIX = "phone-fix"
PROVIDER_FIX = "provider-fix"
OUTER_ROUTER = "outer-router"

ACTIONS = {
    DISABLE: "Turn the router's SIP ALG off",
    KEEP: "Keep the router's SIP ALG on",
    ENABLE_RPORT: "Turn on rport, STUN or outbound on the phone",
    STATIC_NAT: "Give the PBX a static port mapping",
    FIX_CONTACT: "Ask the provider to fix the Contact of phones behind a NAT",
    ADD_RECORD_ROUTE: "Ask the provider to add Record-Route",
    SHORTER_REFRESH: "Set a shorter refresh or a keep-alive on the phone",
    LOOK_FOR_LOSS: "Look for packet loss on the line",
    MOVE_PORT: "Move SIP to another port, or to TLS",
    CLEAR_NAT: "Clear the NAT state of this phone on the router",
    SMALLER: "Make the messages smaller, or use TCP",
    PHONE_FIX: "Report the fault to the maker of the phone",
    PROVIDER_FIX: "Report the fault to the provider",
    OUTER_ROUTER: "Look at the router in front of this one",
}
"""Every action, and its sentence for people."""

STUN_OR_OUTBOUND = "Turn on STUN or outbound on the phone"  # ENABLE_RPORT with rport already on

# By cause, its actions with their confidence. "disable" and "keep" depend on more than their cause
# (advise/disable.py), and ask there.
BY_CAUSE: dict[str, tuple[tuple[str, float], ...]] = {
    cause.ALG: ((DISABLE, 0.0),),
    cause.ALG_NEEDED: ((KEEP, 0.8),),
    cause.STALE_NAT: ((CLEAR_NAT, 0.8),),
    cause.NAT_TIMEOUT: ((SHORTER_REFRESH, 0.8),),
    cause.NAT_PORT: ((STATIC_NAT, 0.8),),
    cause.OUTER_NAT: ((OUTER_ROUTER, 0.7),),
    cause.OUTER_ALG: ((OUTER_ROUTER, 0.7),),
    cause.NAT_UNHANDLED: ((ENABLE_RPORT, 0.8), (FIX_CONTACT, 0.6)),
    cause.PRIVATE_NAME: ((PHONE_FIX, 0.8),),
    cause.MEDIA_NAT: ((ENABLE_RPORT, 0.7),),
    cause.NO_RPORT: ((ENABLE_RPORT, 0.9),),
    cause.PROVIDER_CONTACT: ((FIX_CONTACT, 0.9),),
    cause.RECORD_ROUTE: ((ADD_RECORD_ROUTE, 0.9),),
    cause.SIZE: ((SMALLER, 0.8),),
    cause.LOSS: ((LOOK_FOR_LOSS, 0.6),),
    cause.PHONE: ((PHONE_FIX, 0.8),),
    cause.PROVIDER: ((PROVIDER_FIX, 0.8),),
}

# Causes without an action, and why.
NO_ACTION = {
    cause.NONE: "nothing is wrong",
    cause.UNKNOWN: "what is not explained cannot be mended; the verdict names the next step",
    cause.CAPTURE: "the finding names how to capture better",
    cause.ROUTER: "the router stopped a message and nothing shows why; the finding says where",
    cause.REFUSED: "the status code of the refusal says what is wanted",
}


def in_words(advice: Advice) -> str:
    """The advice as a sentence, without its full stop."""
    return advice.title or ACTIONS.get(advice.action, advice.action)
