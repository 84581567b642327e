# SPDX-License-Identifier: Apache-2.0
"""ACKs lost by the remote target or the route set of their dialog (RFC 3261 sections 12.1 and
12.2.1.1), and the place of the fault."""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base import address
from algwatch.base.packet import LAN, WAN
from algwatch.base.quote import host as shown_host
from algwatch.base.quote import quoted
from algwatch.base.sighting import TO_TAG, Sighting, are_copies
from algwatch.compare.call import Call
from algwatch.compare.differences import rewrites
from algwatch.compare.line import REACHED_AT_PROXY, RECORDS, Line
from algwatch.diagnose import cause
from algwatch.diagnose import lost_ack as lost
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.misrouted import answer_elsewhere
from algwatch.diagnose.reading import Reading
from algwatch.diagnose.rule import Rule, evidence
from algwatch.sip.dialog import Dialog
from algwatch.sip.message import Address, parsed, to_text
from algwatch.sip.target import (
    AS_STRICT,
    Misaddressed,
    contact_of_proxy,
    is_whole,
    remote_target,
)

UNROUTED = (
    "Look whether the messages that began the call have a Record-Route: if so, the phone must put "
    "it into its later requests as Route, and does not."
)

DIALLED = (
    "Look at the 2xx that answered the call: the phone has to send its BYE to the Contact in it, "
    "and through its Record-Route, and not to the number that was dialled."
)


class Wrong(Reading):
    """An ACK whose address contradicts its 2xx. ack, answer: those of the end at fault. before: the
    ACK as the router got it, if the router changed it. by_route: its Request-URI is right, or only
    in the wrong place."""

    __slots__ = ("ack", "answer", "before", "by_route")

    def __init__(self, where: str, why: str, what: str, d: Dialog, wrong: Misaddressed,
                 before: Sighting | None = None) -> None:  # fmt: skip
        super().__init__(where, why, what)
        assert d.ack is not None and d.answer is not None
        self.ack, self.answer, self.before = d.ack, d.answer, before
        self.by_route = bool(wrong.treats) or not wrong.uri


def misaddressed(call: Call, how: lost.LostAck) -> Wrong | None:
    """The ACK, if its address contradicts its 2xx, and its path shows the end at fault."""
    if how.how == lost.BEYOND:
        return _from_phone(call)
    if how.how == lost.IGNORED:
        return _to_phone(call)
    return None


def misaddressed_ack(
    rule: Rule, call: Call, how: lost.LostAck, known: Known, by_route: bool, said: str,
    expected: str, proof: str,
) -> Iterator[Finding]:  # fmt: skip
    """The finding of a rule for an ACK that contradicts its 2xx, if it has this Wrong.by_route.
    said: begins the summary. expected: of the ACK. proof: names what the 2xx says."""
    wrong = misaddressed(call, how)
    if wrong is None or wrong.by_route != by_route:
        return
    yield rule.finding(
        wrong.where, "observed" if how.dropped(known.now) else "latent",
        f"{said}: {wrong.what}; so nobody took it.",
        [evidence(wrong.ack, "the ACK", expected), evidence(wrong.answer, proof),
         *([evidence(wrong.before, "the ACK of the phone")] if wrong.before else ())],
        call.call_id, cause=wrong.cause, certain=wrong.where == "router",
        call_id=call.call_id, line=known.line_name(call),
    )  # fmt: skip


def _from_phone(call: Call) -> Wrong | None:
    """For an ACK that left the router while the 2xx still comes."""
    lan, wan = call.dialog(LAN), call.dialog(WAN)
    wrong = _wrong(lan)
    if wrong and lan is not None and lan.ack is not None:
        said = _in_words(wrong, lan.ack)
        return Wrong("phone", cause.PHONE, f"the ACK left the router, but {said}", lan, wrong)
    wrong = _wrong(wan)
    # The ACK itself must differ: a 2xx changed on its way to the phone is another fault.
    if not wrong or lan is None or lan.ack is None or wan is None or wan.ack is None:
        return None
    if not are_copies(lan.ack, wan.ack):
        return None
    if _parts(lan.ack) == _parts(wan.ack):
        if not wrong.route or lan.answer is None or not rewrote(call, lan.answer, "Record-Route"):
            return None
        said = f"{_in_words(wrong, wan.ack)}: the router had changed the Record-Route of the 2xx"
        return Wrong("router", cause.ALG, f"the ACK left the router, but {said}", wan, wrong)
    said = _in_words(wrong, wan.ack)
    what = f"the router sent the ACK on, but {said}; the phone had it right"
    return Wrong("router", cause.ALG, what, wan, wrong, lan.ack)


def _to_phone(call: Call) -> Wrong | None:
    """For an ACK delivered to a phone that still repeats its 2xx. A provider that handles the NAT
    may put the address of the packets in place of an unroutable Contact. Then only the user part
    tells."""
    wan = call.dialog(WAN)
    wrong = _wrong(wan)
    if not wrong or not wrong.uri or wan is None or wan.ack is None or wan.answer is None:
        return None
    ack, answer = parsed(wan.ack.payload), parsed(wan.answer.payload)
    contact = answer.contacts[0]
    if address.is_unroutable(contact.host) and ack.request_user == contact.user:
        return None
    said = _in_words(wrong, wan.ack)
    return Wrong("provider", cause.PROVIDER, f"the ACK was delivered, but {said}", wan, wrong)


def _wrong(d: Dialog | None) -> Misaddressed | None:
    if d is None or d.ack is None or d.answer is None:
        return None
    if d.ack.source[:16] != d.answer.destination[:16]:
        return None  # not the 2xx its sender got: a call between two phones passes twice
    return Misaddressed(parsed(d.ack.payload), parsed(d.answer.payload))


def _parts(ack: Sighting) -> tuple[bytes, list[bytes]]:
    message = parsed(ack.payload)
    return message.request_uri, [route.uri for route in message.routes]


def _in_words(wrong: Misaddressed, ack: Sighting) -> str:
    """Its fault, a clause."""
    message = parsed(ack.payload)
    if wrong.treats:
        other = "loose" if wrong.treats == AS_STRICT else "strict"
        return (
            f"it treats a {other} router of the Record-Route as a {wrong.treats} one: its "
            f"Request-URI should be {quoted(wrong.uri)} and its Route {quoted(wrong.route)}"
        )
    said = []
    if wrong.uri:
        has = quoted(to_text(message.request_uri))
        said.append(f"its Request-URI is {has} and the Contact of the 2xx is {quoted(wrong.uri)}")
    if wrong.route:
        has = "another" if message.routes else "missing"
        said.append(f"its Route is {has} and should be {quoted(wrong.route)}")
    return " and ".join(said)


def contact_at_proxy(call: Call, how: lost.LostAck, known: Known) -> Reading | None:
    """For a rightly addressed ACK while the 2xx still comes: the Contact of this 2xx is the address
    of a proxy on its path, so no ACK can reach the callee behind it."""
    if how.how not in (lost.BEYOND, lost.ONE_SIDED_IGNORED) or misaddressed(call, how) is not None:
        return None
    if unroutable_route(call, how) is not None:
        return None  # it did not even get there
    found = proxy_contact(call, how)
    line = known.line(call)
    if not found or (line is not None and line.count(REACHED_AT_PROXY)):
        return None  # or such calls live, so something behind this address takes the ACK
    return Reading(
        "provider" if how.how == lost.BEYOND else "unknown", cause.PROVIDER_CONTACT,
        f"the Contact of the 2xx is {quoted(found)}, a proxy that it came through: the ACK ends "
        "there, and the 2xx still comes",
    )  # fmt: skip


def proxy_contact(call: Call, how: lost.LostAck) -> str:
    """See contact_of_proxy(); for a 2xx from beyond this router and an ACK addressed by it."""
    d = (call.sides[WAN] or how.side).current
    if d is None or d.ack is None or d.answer is None:
        return ""
    ends, wrong = d.answer.ends, _wrong(d)
    if wrong is None or wrong or address.is_unroutable(ends.src):
        return ""
    if d.ack.ends.dst not in (ends.src, parsed(d.ack.payload).request_host):
        return ""  # it went another way
    return contact_of_proxy(parsed(d.answer.payload), ends.src, ends.sport)


def unroutable_route(call: Call, how: lost.LostAck) -> Reading | None:
    """For an ACK that did not come, or went there: the next proxy of its route set has an address
    unreachable from here."""
    d, far = how.dialog, call.dialog(WAN)
    if how.how == lost.ONE_SIDED:
        return recorded_beyond(call, d, None) or _recorded_inside(call, d, None)
    if how.how == lost.ONE_SIDED_IGNORED:
        went = d.ack.ends.dst if d.ack is not None else ""
        return recorded_beyond(call, d, None) if went and went == next_hop(d) else None
    if how.how == lost.NEVER_ON_WAN and far is not None:
        return _recorded_inside(call, far, call.dialog(LAN))
    near = call.dialog(LAN)
    if how.how not in (lost.NOT_SENT, lost.STOPPED_OUTBOUND, lost.BEYOND) or near is None:
        return None
    if answer_elsewhere(near) is not None:
        return None  # its caller never got the 2xx
    if how.how != lost.NOT_SENT:
        # The ACK was sent: to this proxy, or to a reachable one.
        sent = near.ack.ends.dst if near.ack is not None else ""
        if sent != next_hop(near):
            return None
    return recorded_beyond(call, near, far)


def recorded_beyond(call: Call, near: Dialog, far: Dialog | None) -> Reading | None:
    """A proxy beyond this router. near, far: the dialog at the caller, and the one on the other
    side if captured."""
    host = next_hop(near)
    if near.answer is None or not host:
        return None
    ends = near.answer.ends
    # A 2xx from the Internet to a private address, or with IPv6 through a router without NAT: the
    # caller is inside, its proxies are not.
    behind = far is not None and ":" in ends.dst and address.is_ipv6(host)
    if address.is_unroutable(ends.src) or not (address.is_unroutable(ends.dst) or behind):
        return None
    what = f"its Record-Route sends the ACK to {shown_host(host)}, which {ends.dst} cannot reach"
    if far is None or far.answer is None:
        return Reading("unknown", cause.UNKNOWN, what)
    if next_hop(far) != host:
        return _of_router(call, near.answer, "Record-Route", what)
    return Reading("provider", cause.PROVIDER, what)


def _recorded_inside(call: Call, wan: Dialog, lan: Dialog | None) -> Reading | None:
    """A proxy in the LAN, as the far side of the WAN sees it. lan: None if this side was not
    captured."""
    host = next_hop(wan)
    if wan.answer is None or not host:
        return None
    ends = wan.answer.ends
    # In one private network, or before the NAT, such a Record-Route is right.
    if address.is_unroutable(ends.dst) or address.is_unroutable(ends.src):
        return None
    what = f"its Record-Route sends the ACK to {shown_host(host)}, which {ends.dst} cannot reach"
    if lan is None or lan.answer is None:
        return Reading("unknown", cause.UNKNOWN, what)
    if next_hop(lan) != host:
        return _of_router(call, lan.answer, "Record-Route", what)
    return Reading("phone", cause.PHONE, what)


def unroutable_contact(call: Call, how: lost.LostAck) -> Reading | None:
    """For an ACK of the phone that did not come: the 2xx from the Internet has no Record-Route, and
    a Contact unreachable for the phone."""
    near, far = call.dialog(LAN), call.dialog(WAN)
    if how.how not in (lost.NOT_SENT, lost.STOPPED_OUTBOUND, lost.BEYOND):
        return None
    if near is None or near.answer is None or far is None or far.answer is None:
        return None
    if answer_elsewhere(near) is not None:
        return None
    host, ends = _contact_host(near.answer), near.answer.ends
    if not host or address.is_unroutable(ends.src):
        return None
    if ends.version == 4 and not address.is_unroutable(ends.dst):
        return None
    if near.ack is not None and near.ack.ends.dst != host:
        return None
    what = f"its Contact sends the ACK to {shown_host(host)}, which {ends.dst} cannot reach"
    if _contact_host(far.answer) != host:
        if address.is_private_name(host):
            return Reading("unknown", cause.UNKNOWN, what)  # no ALG writes a name
        return _of_router(call, near.answer, "Contact", what)
    return Reading("provider", cause.PROVIDER_CONTACT, what)


def _contact_host(answer: Sighting) -> str:
    """The unroutable Contact host as first target of a request of the caller; else ""."""
    message = parsed(answer.payload)
    target = remote_target(message)
    if target is None or message.record_routes or not address.is_unreachable(target.host):
        return ""
    return target.host


def _of_router(call: Call, copy: Sighting, header: str, what: str) -> Reading:
    if rewrote(call, copy, header):
        return Reading("router", cause.ALG, f"{what}, and the router had changed it")
    return Reading("unknown", cause.UNKNOWN, what)


def rewrote(call: Call, copy: Sighting, header: str) -> bool:
    """True if a pair proves that the router changed the address in this header field. copy: either
    copy of the message. The first copies of the two sides may be of two messages, so they prove
    nothing."""
    for crossing in call.changed.values():
        if copy.payload in (crossing.entered.payload, crossing.left.payload):
            return any(change.header == header and change.field in ("address", "count")
                       for change in rewrites(crossing))  # fmt: skip
    return False


def next_hop(d: Dialog) -> str:
    """The next host of the ACK from the place of this capture (RFC 3261 section 16.12), if it is
    unroutable, or of an IP version not used by this call (a proxy between the two has to record
    itself twice, RFC 5658 section 4); else ""."""
    ahead = proxies_ahead(d)
    if not ahead or d.answer is None:
        return ""
    host = ahead[-1].host
    other = address.ipv4(host) >= 0 if d.answer.ends.version == 6 else address.is_ipv6(host)
    return host if other or address.is_unroutable(host) else ""


def proxies_ahead(d: Dialog) -> list[Address]:
    """The recorded proxies between the place of this capture and the callee, the nearest last;
    empty if not known. The INVITE already names the proxies it had passed."""
    if d.answer is None:
        return []
    answer = parsed(d.answer.payload)
    before = parsed(d.request.payload).record_routes if d.request is not None else []
    routes = answer.record_routes
    ahead = routes[: max(0, len(routes) - len(before))]
    # After a rewrite on the way, nothing tells the ones ahead.
    same = [route.uri for route in before] == [route.uri for route in routes[len(ahead) :]]
    return ahead if same and is_whole(answer) else []


def unroutable_request(request: Sighting | None) -> tuple[str, str]:
    """The destination host of a request inside a dialog, by its Route or without one by its
    Request-URI, if unreachable from the Internet, and the name of this header field. Else two empty
    texts."""
    if request is None or not address.is_unroutable(request.ends.dst):
        return "", ""
    host, by = _first_target(request)
    return (host, by) if host == request.ends.dst else ("", "")


def hidden_target(request: Sighting | None) -> tuple[str, str]:
    """The same for a request that was sent to a reachable host all the same, as to an outbound
    proxy."""
    if request is None or address.is_unroutable(request.ends.dst):
        return "", ""
    host, by = _first_target(request)
    return (host, by) if address.is_unroutable(host) else ("", "")


def unrouted(request: Sighting | None, line: Line | None) -> str:
    """A clause for a request inside a dialog without a Route, although proxies of this provider
    record themselves; "" for others, and for one that went to the host in its Request-URI, if that
    is the provider of the line. It is not known whether they recorded themselves in this call."""
    if request is None or line is None or not line.count(RECORDS) or not request.row[TO_TAG]:
        return ""
    message = parsed(request.payload)
    if message.routes or message.request_host == request.ends.dst == line.remote:
        return ""
    return (
        "the request may have left out a proxy that knows the call: it has no Route, and calls of "
        f"{line.remote} have a Record-Route"
    )


def dialled(request: Sighting | None) -> str:
    """A clause for a request inside a dialog that its sender wrote as its first INVITE: to the URI
    in To, without a Route; "" for others. It is not known whether that is the Contact as well."""
    if request is None or not request.row[TO_TAG]:
        return ""
    message = parsed(request.payload)
    if message.routes or message.request_uri != message.to.uri:
        return ""
    if message.request_host == request.ends.dst:
        return ""  # the called end itself
    uri = quoted(to_text(message.request_uri))
    return (
        f"its Request-URI is the one that was called, {uri}, and it has no Route, while inside a "
        "call both come from the 2xx (RFC 3261 section 12.2.1.1)"
    )


def _first_target(request: Sighting) -> tuple[str, str]:
    """The first host that a request inside a dialog names, and its header field."""
    if not request.row[TO_TAG]:
        return "", ""
    message = parsed(request.payload)
    routes = message.routes
    return (routes[0].host, "Route") if routes else (message.request_host, "Request-URI")


def own_refresh(call: Call) -> Sighting | None:
    """The WAN copy of the target refresh that made a reachable Contact of the phone unroutable;
    None without one."""
    d = call.dialog(WAN)
    if d is None or call.inbound is None:
        return None
    callee, caller = d.moved
    own = callee if call.inbound else caller
    before, pair = call.wan_contact, call.flow_pair
    if own is None or pair is None or own.ends.src != pair.wan_host:
        return None  # anybody can send one with the phone's names
    return own if before and not address.is_unroutable(before) else None
