# SPDX-License-Identifier: Apache-2.0
"""Subjects: what a rule can be about. Each names the thing that check(thing, known) is given, and
when it is shown."""

from __future__ import annotations

CROSSING = "crossing"
"""compare.crossing.Crossing: what became of one message at this router. Shown for the first
message of its kind on its flow pair, and for one that differs, is malformed or stays unpaired. With
one side only: the first of its kind on its flow, as an unpaired crossing."""

TRANSACTION = "transaction"
"""compare.exchange.Exchange: a request other than INVITE, ACK and REGISTER that timed out or was
refused, once it did; OPTIONS that were answered after others had not been; and of any but INVITE,
ACK, BYE and CANCEL one that comes again and again after its final response."""

CALL = "call"
"""compare.call.Call: a call that ended, whose ACK is overdue, or (live) will drop. Every call that
is not plain; a plain one when it is the first of its line to complete."""

REGISTRATION = "registration"
"""compare.registered.Registered: a registration whenever its outcome changes."""

SUBSCRIPTION = "subscription"
"""compare.subscribed.Subscribed: a SUBSCRIBE or REFER whose NOTIFY failed, or is overdue, or told a
failure; at the end all. Also a compare.call.Call whose INVITE has Replaces and was refused with
481: the other half of a transfer."""

MEDIA = "media"
"""compare.media.Media: the RTP of a call that was answered, once the call is over, or the capture.
Only where RTP was counted: in files, and live by connection tracking."""

LINE = "line"
"""compare.line.Line: a phone and its provider, when a call of it is over or came too late for its
mapping, or when nothing has used its mapping for too long."""

PATH = "path"
"""compare.loss.Path: two hosts, when something that they said had to be sent again and went through
then."""

HOST = "host"
"""base.host.Host: what the router says of itself. Live only, once a minute."""

CAPTURE = "capture"
"""None: what the capture is worth is asked of `known`. Live once a second, and at the end."""

SUBJECTS = (
    CROSSING,
    TRANSACTION,
    CALL,
    REGISTRATION,
    SUBSCRIPTION,
    MEDIA,
    LINE,
    PATH,
    HOST,
    CAPTURE,
)

Event = tuple[str, object]
"""A subject and the thing itself."""
