# SPDX-License-Identifier: Apache-2.0
"""ALG005: the router rewrote the Call-ID, a tag, the branch or CSeq.

What it sees
    The Call-ID, the tag in From or To, the branch of a Via or the number in CSeq differs between
    the two copies of one message. The change is explained if only the phone's address in the
    Call-ID became the router's.

Why it breaks calls
    Both ends know a call by these names. A router that changes them must restore each in every
    message of the other direction, for the whole call. DLG009 reports a failure. A digest or a
    Replaces with the old name no longer fits.

What else looks the same
    A proxy on the router adds a Via and a branch of its own and changes no other name. A B2BUA has
    a call of its own on each side: its messages are not copies (ALG009).

Recommendation
    None by itself: see DLG009 if a name was not restored.

References
    RFC 3261 sections 8.1.1.4, 8.1.1.5, 8.1.1.7, 19.3.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.compare.crossing import Crossing
from algwatch.compare.rewrite import Rewrite
from algwatch.diagnose.alg import changed
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule
from algwatch.diagnose.subject import CROSSING

RULE = Rule(
    "ALG005", "names-rewritten", "info", CROSSING,
    ("RFC 3261 8.1.1.4", "RFC 3261 8.1.1.7", "RFC 3261 19.3"),
    "The router rewrote the Call-ID, a tag, the branch or CSeq.", two_sided=True,
)  # fmt: skip


def check(crossing: Crossing, known: Known) -> Iterator[Finding]:
    yield from changed(RULE, is_name, crossing, known)


def is_name(r: Rewrite) -> bool:
    return r.header in ("Call-ID", "CSeq") or r.field in ("tag", "branch")
