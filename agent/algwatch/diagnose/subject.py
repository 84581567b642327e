# SPDX-License-Identifier: Apache-2.0
"""Subjects of rules. Each text gives the type of the thing passed to check(thing, known), and the
moment it is shown."""

from __future__ import annotations

CROSSING = "crossing"
"""compare.crossing.Crossing: the fate of one message at this router. Shown for the first message of
its kind on its flow pair, and for one that differs, is malformed or stays unpaired. With one side
only: the first of its kind on its flow, as an unpaired crossing."""

TRANSACTION = "transaction"
"""compare.exchange.Exchange: a request other than INVITE, ACK and REGISTER, once it timed out or
was refused, or was not sent anew although due; OPTIONS answered after others had not been; and any
but INVITE and ACK repeated again and again after its final response."""

CALL = "call"
"""compare.call.Call: a call that ended, has an overdue ACK, or (live) will drop. Every call that is
not plain; a plain one if it is the first of its line to complete."""

REGISTRATION = "registration"
"""compare.registered.Registered: a registration at each change of its outcome."""

SUBSCRIPTION = "subscription"
"""compare.subscribed.Subscribed: a SUBSCRIBE or REFER whose NOTIFY failed, is overdue, or reported
a failure; at the end all. Also a compare.call.Call whose INVITE has Replaces and was refused with
481: the other half of a transfer."""

MEDIA = "media"
"""compare.media.Media: the RTP of an answered call, at the end of the call or of the capture. Only
with counted RTP: in files, and live by connection tracking."""

LINE = "line"
"""compare.line.Line: a phone and its provider, after a call of it is over or came too late for its
mapping, or after too long a silence of its mapping."""

PATH = "path"
"""compare.loss.Path: two hosts, after a repeated message between them went through."""

CONNECT = "connect"
"""compare.connects.Connect: a TCP connection to a SIP port, asked for in vain: refused, or without
an answer for 64*T1 or until the end, and the host that asked has found no other way."""

HOST = "host"
"""base.host.Host: the router's facts about itself. Live only, once a minute."""

CAPTURE = "capture"
"""None: ask `known` about the capture. Live once a second, and at the end."""

SUBJECTS = (
    CROSSING,
    TRANSACTION,
    CALL,
    REGISTRATION,
    SUBSCRIPTION,
    MEDIA,
    LINE,
    PATH,
    CONNECT,
    HOST,
    CAPTURE,
)

Event = tuple[str, object]
"""A subject and the thing itself."""
