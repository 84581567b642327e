# SPDX-License-Identifier: Apache-2.0
"""The destination of a request inside a dialog: the remote target and the route set (RFC 3261
sections 12.1 and 12.2.1.1)."""

from __future__ import annotations

from algwatch.base import address
from algwatch.base.sighting import Sighting
from algwatch.sip.message import Address, Message, parsed, reach, to_text

LOOSE = b"lr"
GRUU = b"gr"  # RFC 5627
# A request with the right parts in the wrong places treats its first proxy as one of these.
AS_STRICT, AS_LOOSE = "strict", "loose"

Endpoint = tuple[str, int, bytes]


def endpoint(host: str, port: int, user: bytes = b"") -> Endpoint:
    """To compare; a missing port counts as 5060."""
    return host.lower().strip("[]"), port or 5060, user


def same_endpoint(one: Address, other: Address) -> bool:
    """True if requests to both go to the same host and port; other parts of the URIs may differ."""
    return endpoint(one.host, one.port) == endpoint(other.host, other.port)


def _has(uri: Address, name: bytes) -> bool:
    return any(p.split(b"=")[0].strip() == name for p in uri.uri_params.lower().split(b";"))


def is_whole(message: Message) -> bool:
    """False with more header field values than the scan holds: its route set is then not known."""
    return not message.is_clipped


def remote_target(answer: Message) -> Address | None:
    """The Contact of a 2xx."""
    contacts = answer.contacts
    return contacts[0] if contacts and not contacts[0].is_star else None


class Misaddressed:
    """The faults of a caller's request by the 2xx of its dialog, "" if right: uri: the right
    Request-URI; route: the right Route; treats: a word above if it has both in the wrong places.
    All text from the wire."""

    __slots__ = ("route", "treats", "uri")

    def __init__(self, request: Message, answer: Message) -> None:
        self.uri = self.route = self.treats = ""
        target = remote_target(answer)
        if target is None or not is_whole(answer) or not is_whole(request):
            return
        hops = list(reversed(answer.record_routes))
        loose = not hops or _has(hops[0], LOOSE)
        first, rest = (target, hops) if loose else (hops[0], [*hops[1:], target])
        has = endpoint(request.request_host, request.request_port, request.request_user)
        if has != endpoint(first.host, first.port, first.user):
            self.uri = to_text(first.uri)
        # A user part in a Record-Route is the proxy's own business.
        routes = [endpoint(route.host, route.port) for route in request.routes]
        if hops and routes != [endpoint(one.host, one.port) for one in rest]:
            self.route = ", ".join(to_text(one.uri) for one in rest)
        if not (hops and self.uri and self.route):
            return
        if loose:
            whole = [endpoint(one.host, one.port) for one in (*hops[1:], target)]
            if has[:2] == endpoint(hops[0].host, hops[0].port)[:2] and routes == whole:
                self.treats = AS_STRICT
        else:
            whole = [endpoint(one.host, one.port) for one in hops]
            if has == endpoint(target.host, target.port, target.user) and routes == whole:
                self.treats = AS_LOOSE

    def __bool__(self) -> bool:
        return bool(self.uri or self.route)


def follows(ack: Sighting, answer: Sighting) -> bool:
    """True if an ACK goes where its 2xx says, or if it is not the one of the end that got this
    2xx."""
    one, two = ack.payload, answer.payload
    # Most repeat the URIs as they are.
    uri = b"<" + one[4 : one.find(b" ", 4)] + b">"
    if any(uri in contact for contact in _values(two, b"Contact: ")) and (
        _values(one, b"Route: ") == _values(two, b"Record-Route: ")[::-1]
    ):
        return True
    if ack.packed_ends[:16] != answer.packed_ends[16:32]:
        return True
    request, response = parsed(one), parsed(two)
    wrong = Misaddressed(request, response)
    if wrong.route and len(request.vias) == 1:
        return False  # no proxy has taken its own Route out yet
    contact = remote_target(response)
    if not wrong.uri or contact is None:
        return True
    # A provider that handles the NAT writes the address of the packets.
    return address.is_unroutable(contact.host) and request.request_user == contact.user


def _values(message: bytes, name: bytes) -> list[bytes]:
    if name not in message:
        return []
    return [line[len(name) :] for line in message.split(b"\r\n") if line.startswith(name)]


def contact_of_proxy(answer: Message, src: str, sport: int) -> str:
    """The Contact of a 2xx that came from src:sport through proxies, as text, if it is the address
    of one of them: the remote target is then a hop on the way to itself. Else "". A GRUU is
    resolved by its proxy, and a name may be, too."""
    target, routes = remote_target(answer), answer.record_routes
    if target is None or not routes or not is_whole(answer):
        return ""
    if not address.is_literal(target.host.strip("[]")) or _has(target, GRUU):
        return ""
    here = endpoint(target.host, target.port)
    if here == endpoint(src, sport) or any(here == endpoint(r.host, r.port) for r in routes):
        return to_text(target.uri)
    return ""


def moved(before: tuple[Sighting | None, Sighting | None], by_caller: bool, request: Sighting,
          answer: Sighting) -> tuple[Sighting | None, Sighting | None]:  # fmt: skip
    """Dialog.moved after a target refresh (RFC 3261 section 12.2.1.2): before it, and the request,
    by the caller or not, and its 2xx. A message without a Contact changes no target."""
    ends = list(before)
    for message, of_caller in ((request, by_caller), (answer, not by_caller)):
        host = reach(message.payload)[2]
        if host is not None:
            private = address.is_unroutable(host) and not address.is_unroutable(message.ends.src)
            ends[of_caller] = message if private else None
    return ends[0], ends[1]
