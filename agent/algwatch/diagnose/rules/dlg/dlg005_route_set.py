# SPDX-License-Identifier: Apache-2.0
"""DLG005: the route set of a call leads nowhere, or is not followed.

What it sees
    A 2xx without ACK whose Record-Route makes the next proxy an address unreachable for the caller:
    private or link-local, or of an IP version not used by the call, from a provider or from a proxy
    in the LAN. Or an ACK that left the router while the 2xx keeps coming: its Route is not the
    Record-Route of the 2xx in reverse order, or it treats a loose router as a strict one, or a
    strict one as a loose one. Or a BYE to such an address, never answered.

Why it breaks calls
    ACK, BYE and re-INVITE pass the recorded proxies. Nothing reaches an unreachable address. A
    proxy that is left out, or finds itself in the Request-URI, may not know the callee. The callee
    ends the call after 32 s.

What else looks the same
    A phone sends such an ACK to its outbound proxy, and the proxy knows the way: the call lives, no
    finding. A proxy inside the network of the caller. A wrong Request-URI (DLG006). A message with
    more proxies than this program reads.

Recommendation
    The proxy has to record an address reachable for its neighbours (kamailio: record_route_preset,
    or advertise on the listening socket). If a phone does not follow the route set, report it to
    its maker, with the 2xx and the ACK.

References
    RFC 3261 sections 12.1.1, 12.1.2, 12.2.1.1, 16.6 step 4, 16.12, 19.1.1; RFC 5658 section 4.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base import address
from algwatch.base.packet import LAN, WAN
from algwatch.base.quote import somebody
from algwatch.compare.ack import went_to_the_end
from algwatch.compare.call import Call
from algwatch.compare.signs import REPEATED, TROUBLED
from algwatch.diagnose import cause, route_set
from algwatch.diagnose import lost_ack as lost
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence, times
from algwatch.diagnose.subject import CALL

RULE = Rule(
    "DLG005", "route-set", "error", CALL,
    ("RFC 3261 12.1.2", "RFC 3261 12.2.1.1", "RFC 3261 16.12"),
    "The route set of a call leads to an address that cannot be reached, or is not followed.",
    when=REPEATED | TROUBLED,
)  # fmt: skip

BOTH_SIDES = "Capture on both sides of the router: it may have changed the Record-Route."


def check(call: Call, known: Known) -> Iterator[Finding]:
    how = lost.lost_ack(call, known)
    if how is None:
        yield from _bye(call, known)
        return
    yield from _unroutable(call, how, known)
    yield from route_set.misaddressed_ack(
        RULE, call, how, known, True, "The ACK did not follow the route set of the call",
        "the Record-Route of the 2xx in reverse order", "Record-Route and Contact of the 2xx",
    )  # fmt: skip


def _unroutable(call: Call, how: lost.LostAck, known: Known) -> Iterator[Finding]:
    reading = route_set.unroutable_route(call, how)
    # The copy read by the caller or its proxy.
    near = how.dialog if how.how in (*lost.ALONE, lost.NEVER_ON_WAN) else call.dialog(LAN)
    if how.how == lost.NEVER_ON_WAN:
        near = call.dialog(WAN)
    if reading is None or near is None or near.answer is None:
        return
    if how.dropped(known.now):
        harm = "observed"
    else:
        harm = "certain" if went_to_the_end(how.dialog) else "latent"
    proof = [evidence(near.answer, f"2xx sent {times(how.repeats + 1)}",
                      f"a Record-Route for {near.answer.ends.dst}")]  # fmt: skip
    if near.ack is not None:
        proof.append(evidence(near.ack, f"the ACK went to {near.ack.ends.dst}", "delivered"))
    far = call.dialog(WAN if near is call.dialog(LAN) else LAN)
    if reading.cause == cause.ALG and far is not None and far.answer is not None:
        proof.append(evidence(far.answer, "the 2xx on the other side of the router", "the same"))
    yield RULE.finding(
        reading.where, harm,
        f"The ACK to the 2xx of {somebody(call.to)} cannot arrive: {reading.what}.",
        proof, call.call_id, cause=reading.cause, certain=reading.cause == cause.ALG,
        call_id=call.call_id, line=known.line_name(call),
        next_step=BOTH_SIDES if reading.where == "unknown" else "",
    )  # fmt: skip


def _bye(call: Call, known: Known) -> Iterator[Finding]:
    """The BYE of the phone, if it went to an unreachable proxy named by its caller."""
    d, pair = call.dialog(LAN), call.flow_pair
    if d is None or d.bye is None or not d.bye_unanswered or pair is None or known.lossy(call):
        return
    if d.bye_by_caller == call.inbound or known.capture.is_late(d.bye_at):
        return
    (host, by), ends = route_set.unroutable_request(d.bye), d.bye.ends
    if by != "Route" or address.is_unroutable(pair.far):
        return
    # Its INVITE is already released.
    kept = not call.unexplained and "Record-Route" not in call.headers
    yield RULE.finding(
        "provider" if kept else "unknown", "observed",
        f"The BYE of {ends.src} had to go to {host}, a proxy of the route set that cannot be "
        f"reached from there, while the INVITE went between it and {pair.far}: the other end stays "
        "in the call.",
        [evidence(d.bye, f"BYE to {host}, never answered", "a Route that can be reached")],
        f"{call.call_id}/BYE", cause=cause.PROVIDER if kept else cause.UNKNOWN,
        call_id=call.call_id, line=known.line_name(call),
    )  # fmt: skip
