# SPDX-License-Identifier: Apache-2.0
"""Instructions for each action, for people: the place in the settings, and the person to ask. Only
the text of `analyze` has them, so the daemon never loads this."""

from __future__ import annotations

from algwatch.advise import actions

_ACCOUNT = "in the settings of the phone's SIP account"
_REPORT = "send this report to the provider"

HOW = {
    actions.KEEP: "change nothing, and note why it is on, so that nobody turns it off later.",
    actions.ENABLE_RPORT: (
        f'{_ACCOUNT}, often under "NAT" or "NAT traversal"; the provider knows the name of its '
        "STUN server. Then register and call again."
    ),
    actions.STATIC_NAT: (
        "on the router, forward the UDP port that the phone or PBX announces to it, and let its "
        "own packets leave from that same port (a source NAT rule). Or let the phone register "
        "with another port of its own, which no other phone here uses."
    ),
    actions.FIX_CONTACT: (
        f"{_REPORT}: it has to send the requests of a call to where the packets of the phone come "
        "from, not to the private address in its Contact."
    ),
    actions.ADD_RECORD_ROUTE: f"{_REPORT}: its proxy has to stay in the way of the call.",
    actions.SHORTER_REFRESH: (
        f'{_ACCOUNT}: a keep-alive of 30 s, or a registration interval ("expires") of 60 s.'
    ),
    actions.LOOK_FOR_LOSS: (
        "ping the provider from the router, and the phone from the router, some minutes each: "
        "where packets are missing is the part to mend (Wi-Fi, cable, line)."
    ),
    actions.MOVE_PORT: f"{_ACCOUNT}, as the provider allows.",
    actions.CLEAR_NAT: (
        "on the router, when no call is up: conntrack -D -s ADDRESS, with the address of "
        "the phone; or restart the router."
    ),
    actions.SMALLER: (
        f"{_ACCOUNT}: fewer codecs, or TCP in place of UDP where the provider takes it."
    ),
    actions.PHONE_FIX: (
        "look for newer firmware of the phone first; then send this report to its maker."
    ),
    actions.PROVIDER_FIX: f"{_REPORT}.",
    actions.OUTER_ROUTER: (
        "it is the modem or router between this one and the provider, or a NAT of the provider "
        "itself. Where the modem can be set to bridge mode or its SIP ALG turned off, try that; "
        "else ask the provider for a public address."
    ),
}
"""By action; turning the ALG off has lines to type instead."""
