# SPDX-License-Identifier: Apache-2.0
"""TXN005: packets get lost, and messages go through only after retransmission.

What it sees
    Requests and 2xx responses between two hosts went through only after a retransmission: three
    exchanges or more in ten minutes, and one of twenty. The two taps show where the first copies
    were lost: between phone and router, in the router, or beyond it.

Why it breaks calls
    Each retransmission delays a call by 0.5 s, then 1 s, 2 s and 4 s. With one lost packet of five,
    audio is unintelligible, and now and then all copies of an ACK or a BYE are lost.

What else looks the same
    A ladder of retransmissions without a success: a message that is always stopped, misdelivered or
    ignored (DLG001, TXN001, TXN002), not loss. A slow end needs them each time. An end was away for
    a while (TXN004): all waiting exchanges of one time count once. Messages were not captured
    (CAP002).

Recommendation
    Beyond the router: look at errors of the access line (DSL, cable) and for a full uplink. Between
    phone and router: Wi-Fi, cables, switch. With one side only, the place is not known.

References
    RFC 3261 sections 17.1.1.2 (Timer A), 17.1.2.2 (Timer E), 13.3.1.4.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base.packet import LAN, SIDE_NAMES, UNKNOWN, WAN
from algwatch.compare.loss import PLACES, ROUTER
from algwatch.compare.path import Lost, Path
from algwatch.diagnose import cause
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import PATH
from algwatch.sip.timers import SECOND

RULE = Rule(
    "TXN005", "packets-lost-on-the-way", "warning", PATH,
    ("RFC 3261 17.1.1.2", "RFC 3261 17.1.2.2", "RFC 3261 13.3.1.4"),
    "Packets get lost: messages go through only when they are sent again.",
)  # fmt: skip

LEAST = 3  # exchanges
RARE = 20  # one of so many is no finding
OFTEN = 5  # one of so many hurts
ENOUGH, WAIT = 10, 300 * SECOND  # so many, or so long, until a live report
WORDS = {WAN: "beyond this router", LAN: "between the phone and this router",
         ROUTER: "in this router", UNKNOWN: "where one side alone does not show it"}  # fmt: skip
WHERE = {WAN: "network", LAN: "phone", ROUTER: "router", UNKNOWN: "unknown"}


def check(path: Path, known: Known) -> Iterator[Finding]:
    lost, all_ = path.lost(), path.exchanges
    if len(lost) < LEAST or len(lost) * RARE < all_:
        return
    if len(lost) < ENOUGH and path.until - path.since < WAIT and not known.capture.finished:
        return
    shown = sorted((one for one in lost if one.example is not None), key=lambda one: -one.sent)
    if not shown:
        return
    places = {place: sum(one.packets for one in lost if one.place == place) for place in PLACES}
    words = WORDS
    if not known.two_sided:
        places = {UNKNOWN: sum(places.values())}
    elif known.capture.gaps:  # the copy that shows where may be in one
        places = {**places, UNKNOWN: places[UNKNOWN] + places[ROUTER], ROUTER: 0}
        words = {**WORDS, UNKNOWN: "where the gaps of the capture hide it"}
    most = max(places, key=places.__getitem__)
    packets = sum(places.values())
    # A place needs two thirds of the losses.
    where = WHERE[most] if 3 * places[most] >= 2 * packets else "unknown"
    parts = ", ".join(f"{count} {words[place]}{_rate(lost, place, all_)}"
                      for place, count in places.items() if count)  # fmt: skip
    yield RULE.finding(
        where, "observed" if len(lost) * OFTEN >= all_ else "latent",
        f"Packets between {path.near} and {path.far} get lost: {len(lost)} of {all_} exchanges "
        f"went through only with retransmissions ({_repeats(path)}). At least {packets} were lost: "
        f"{parts}.",
        [evidence(one.example, one.what, "one copy is enough") for one in shown[:3]
         if one.example is not None],
        f"{path.near}/{path.far}", cause=cause.ROUTER if where == "router" else cause.LOSS,
        line=path.line.name if path.line is not None else "",
    )  # fmt: skip


def _rate(lost: list[Lost], place: int, all_: int) -> str:
    """An estimate of the packets lost there. An exchange is two packets, and each loss took another
    try. So of all + n tries n failed, and a packet arrives with the root of the rest."""
    failed = sum(one.packets for one in lost if one.place == place)
    share = 1 - (all_ / (all_ + failed)) ** 0.5
    return f" (about {100 * share:.0f} % of the packets there)" if place in (LAN, WAN) else ""


def _repeats(path: Path) -> str:
    minutes = max(path.until - path.since, SECOND) / (60 * SECOND)
    sides = [f"{count} on the {SIDE_NAMES[side].upper()} side" if side != UNKNOWN else f"{count}"
             for side, count in enumerate(path.repeats) if count]  # fmt: skip
    rate = max(path.repeats) / minutes
    return f"{' and '.join(sides)}, {rate:.0f} a minute" if minutes >= 1 else " and ".join(sides)
