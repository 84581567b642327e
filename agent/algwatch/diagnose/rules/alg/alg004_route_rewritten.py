# SPDX-License-Identifier: Apache-2.0
"""ALG004: the router rewrote Record-Route, Route or Path.

What it sees
    A Record-Route, Route or Path differs between the two copies. The Linux helper never touches
    them; Juniper's and AT&T's ALGs do.

Why it breaks calls
    Record-Route becomes the Route of the ACK, the BYE and all later requests of the call. An entry
    changed and not restored sends them to a wrong address. Path is the route of calls to a
    registered phone.

What else looks the same
    A proxy on the router adds its own Record-Route, and a Via, too (ALG009). A private, unchanged
    Record-Route of a PBX in the LAN: DLG005.

Recommendation
    None by itself. After a lost ACK or BYE, see ALG012 and DLG001.

References
    RFC 3261 sections 12.1, 16.6, 20.30, 20.34; RFC 3327.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.compare.crossing import Crossing
from algwatch.diagnose.alg import changed
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule
from algwatch.diagnose.subject import CROSSING

RULE = Rule(
    "ALG004", "route-rewritten", "info", CROSSING,
    ("RFC 3261 12.1", "RFC 3261 20.30", "RFC 3327"),
    "The router rewrote Record-Route, Route or Path.", two_sided=True,
)  # fmt: skip

_ROUTES = frozenset(("Record-Route", "Route", "Path", "Service-Route"))


def check(crossing: Crossing, known: Known) -> Iterator[Finding]:
    yield from changed(RULE, lambda r: r.header in _ROUTES, crossing, known)
