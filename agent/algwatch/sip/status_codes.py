# SPDX-License-Identifier: Apache-2.0
"""Status codes that decide how a refusal is understood (RFC 3261 section 21)."""

from __future__ import annotations

CHALLENGES = (401, 407)
# After these the sender of a request is to send it anew: with credentials, to another server or in
# another way (sections 8.1.3.4, 8.1.3.5, 22.2; RFC 3263 section 4.3; RFC 3903 section 4.2).
ANEW = (300, 301, 302, 305, 380, *CHALLENGES, 412, 413, 415, 416, 420, 422, 423, 491, 494, 500, 503,
        504)  # fmt: skip
NO_DIALOG = 481  # to a request in a dialog already over, or never there (section 12.2.2)
# Refusals of a request in a dialog by an end without this dialog.
GONE = (404, 408, 410, NO_DIALOG)
# To a NOTIFY: its notifier drops the subscription. A loop is for requests without a To tag
# (section 8.2.2.2), so such a refusal is of a phone that did not know it, too.
UNKNOWN_TO_SUBSCRIBER = (NO_DIALOG, 482)
# Somebody is busy or declines the call (433: all callers without a name, RFC 5079), or the number
# does not exist.
NO_FAULT = (404, 410, 433, 480, 484, 485, 486, 487, 600, 603, 604, 607)
