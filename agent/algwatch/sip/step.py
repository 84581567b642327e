# SPDX-License-Identifier: Apache-2.0
"""Steps: what happens to a call on one side, for later stages."""

from __future__ import annotations

from algwatch.base.sighting import Row
from algwatch.sip.dialog import DialogSet

# A step: (dialog set, code, row).
STARTED = 0
ANSWERED = 1  # first 2xx of the current INVITE
REPEATED = 2  # the 2xx was repeated
CONFIRMED = 3  # first ACK to this 2xx
ENDED = 4  # BYE answered, the INVITE got a non-2xx final response, or a request in it 481
UNANSWERED = 5  # Timer B of an INVITE, Timer F of a BYE
BYE_SENT = 6
CHALLENGED = 7  # the INVITE was challenged
REFRESHED = 8  # an UPDATE in it was answered with 2xx

Step = tuple[DialogSet, int, Row]
