# SPDX-License-Identifier: Apache-2.0
"""TXN004: an end that had answered OPTIONS stopped answering, or answers again.

What it sees
    OPTIONS on a flow, repeated to learn whether the other end is there (Asterisk's "qualify",
    Kamailio's keep-alive). They were answered; then a repeated one got no response until Timer F,
    or two without repeats got none, or two in a row were answered after more than 8 s (a suspended
    phone answers all of them at once). The finding gives their interval, the response time, and the
    length of the outage.

Why it breaks calls
    A PBX sends no calls to an unreachable phone. If OPTIONS from the provider no longer reach the
    phone, its NAT mapping is gone.

What else looks the same
    A peer with a 404 or 405: it is there. A peer that never answered: TXN003. A scanner: five
    answers in a minute or more show that the asking host watches a phone here. A phone was switched
    off. OPTIONS were not captured (CAP002).

Recommendation
    Find the place of their stop. In this router: a shorter keep-alive interval, or a phone with its
    own. At the phone: power, Wi-Fi. Beyond: the provider or the access line.

References
    RFC 3261 sections 11, 17.1.2.2 (Timer F).
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base import quote
from algwatch.compare.exchange import Exchange
from algwatch.diagnose import cause
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence, times
from algwatch.diagnose.rules.txn.txn003_request_failed import request_reading
from algwatch.diagnose.subject import TRANSACTION
from algwatch.sip.message import Message, to_text
from algwatch.sip.qualify import Asked
from algwatch.sip.timers import SECOND

RULE = Rule(
    "TXN004", "peer-unreachable", "warning", TRANSACTION, ("RFC 3261 11", "RFC 3261 17.1.2.2"),
    "An end that had answered OPTIONS does not answer any more, or does so again.",
)  # fmt: skip


def check(exchange: Exchange, known: Known) -> Iterator[Finding]:
    asked, request, t = exchange.asked, exchange.request, exchange.entered
    if asked is None or request is None or not asked.answered or not asked.outages:
        return
    lost_at = known.capture.lost_by(request)
    if lost_at and lost_at >= asked.down_at:
        return  # the responses may not have been captured
    end = f"{quote.somebody(to_text(Message(request.payload).to.uri))} ({_host(exchange)})"
    key = f"{request.source.hex()}/{request.destination.hex()}/{asked.down_at}"
    name = exchange.line.name if exchange.line else ""
    before = f"every {_seconds(asked.interval)}, in {_took(asked)}"
    if t.key == asked.back and t.response is not None:
        yield RULE.finding(
            "unknown", "none",
            f"{end} answers OPTIONS again, {_seconds(t.final_at - asked.down_at)} after the first "
            f"one without a response. They come {before}.",
            [evidence(request, f"sent {times(t.requests)}"), evidence(t.response, "the response")],
            f"{key}/back", call_id=exchange.call_id, line=name, severity="info",
        )  # fmt: skip
    elif t.key == asked.late and t.response is not None:
        where, what = _late(exchange)
        yield RULE.finding(
            where, "latent",
            f"{end} did not answer OPTIONS in time: this one got its response after "
            f"{_seconds(t.final_at - t.at)}{what}. {asked.answered} were answered in time "
            f"({before}).",
            [evidence(request, f"sent {times(t.requests)}", "a response within seconds"),
             evidence(t.response, f"the response, {_seconds(t.final_at - t.at)} later")],
            key, cause=cause.UNKNOWN, call_id=exchange.call_id, line=name,
        )  # fmt: skip
    elif asked.down and not exchange.status:
        reading = request_reading(exchange, known, doubted=False)
        if reading.cause == cause.CAPTURE:
            return
        yield RULE.finding(
            reading.where, "latent",
            f"{end} does not answer OPTIONS any more: {reading.what}. {asked.answered} were "
            f"answered before ({before}), and {_missed(asked.missed)} since; this one was sent "
            f"{times(t.requests)}.",
            [evidence(request, f"sent {times(t.requests)}", "a final response")],
            key, cause=reading.cause, call_id=exchange.call_id, line=name or reading.line,
        )  # fmt: skip


def _host(exchange: Exchange) -> str:
    """The end asked, as the farther side knows it."""
    request = exchange.left.request if exchange.left is not None else None
    request = request or exchange.request
    return request.ends.receiver if request is not None else ""


def _late(exchange: Exchange) -> tuple[str, str]:
    """The place of a late response's delay, and the same in words."""
    t, left = exchange.entered, exchange.left
    if left is None or not left.final_at or 2 * (left.final_at - left.at) < t.final_at - t.at:
        return "unknown", ""
    if exchange.outbound:
        return "network", ", and that time passed beyond this router"
    return "phone", ", and that time passed behind this router"


def _missed(count: int) -> str:
    return "one was not" if count == 1 else f"{count} were not"


def _seconds(ns: int) -> str:
    return f"{ns / SECOND:.0f} s"


def _took(asked: Asked) -> str:
    """Round-trip times."""
    low, mean, high = (ns // 1_000_000 for ns in
                       (asked.quickest, asked.total // asked.answered, asked.slowest))  # fmt: skip
    return f"{mean} ms" if low == high else f"{mean} ms ({low} to {high})"
