# SPDX-License-Identifier: Apache-2.0
"""ALG003: the router rewrote the Request-URI, or a host in From, To, Refer-To or P-*.

What it sees
    One of these differs between the two copies: the Request-URI, the URI in From or To (without its
    tag), Refer-To, Referred-By, Reply-To, Remote-Party-ID, or any header field with a name in "P-".

Why it breaks calls
    A phone behind an ALG needs its Request-URI restored on the way in. A Request-URI with another
    user or port is refused. From and To are names only, but some providers look up the caller by
    the host in From or P-Asserted-Identity and refuse an unknown host. A Refer-To that keeps, or
    gets, an address of the other side breaks the transfer.

What else looks the same
    A proxy on the router changes the Request-URI as it should and adds a Via. A provider rewrites
    them beyond the router: both copies are alike there.

Recommendation
    None by itself: a consistent rewrite is benign (ALG014).

References
    RFC 3261 sections 8.1.1.1 to 8.1.1.3; RFC 3325; RFC 3515; net/netfilter/nf_nat_sip.c map_addr().
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
    "ALG003", "target-rewritten", "info", CROSSING,
    ("RFC 3261 8.1.1.1", "RFC 3261 8.1.1.2", "RFC 3325", "RFC 3515"),
    "The router rewrote the Request-URI, or a host in From, To, Refer-To or P-*.", two_sided=True,
)  # fmt: skip

_NAMES = frozenset(("refer-to", "referred-by", "reply-to", "remote-party-id"))


def check(crossing: Crossing, known: Known) -> Iterator[Finding]:
    yield from changed(RULE, _is_target, crossing, known)


def _is_target(r: Rewrite) -> bool:
    if r.header in ("Request-URI", "From", "To"):
        return r.field != "tag"
    name = r.header.lower()
    return name in _NAMES or name.startswith("p-")
