# SPDX-License-Identifier: Apache-2.0
"""Where a request inside a dialog has to go: the remote target and the route set (RFC 3261
sections 12.1 and 12.2.1.1)."""

from __future__ import annotations

from algwatch.sip.message import Address, Message, to_text

LOOSE = b"lr"


def endpoint(host: str, port: int, user: bytes = b"") -> tuple[str, int, bytes]:
    """To compare; a missing port counts as 5060."""
    return host.lower().strip("[]"), port or 5060, user


def _is_loose(route: Address) -> bool:
    return any(p.split(b"=")[0].strip() == LOOSE for p in route.uri_params.lower().split(b";"))


def remote_target(answer: Message) -> Address | None:
    """The Contact of a 2xx."""
    return answer.contacts[0] if answer.contacts else None


def wrong_uri(ack: Message, answer: Message) -> str:
    """The Contact that an ACK should have had as its Request-URI, as text; "" when it has it, when
    the 2xx has none, or where a strict router comes first (section 12.2.1.1)."""
    target = remote_target(answer)
    if target is None or target.is_star:
        return ""
    routes = answer.record_routes
    if routes and not _is_loose(routes[-1]):
        return ""
    has = endpoint(ack.request_host, ack.request_port, ack.request_user)
    return "" if has == endpoint(target.host, target.port, target.user) else to_text(target.uri)


def wrong_route(ack: Message, answer: Message) -> str:
    """The route set that an ACK of the caller should have had, as text; "" when it has it: the
    Record-Route of the 2xx in reverse order."""
    wanted = [endpoint(r.host, r.port) for r in reversed(answer.record_routes)]
    if not wanted or not _is_loose(answer.record_routes[-1]):
        return ""
    has = [endpoint(r.host, r.port) for r in ack.routes]
    if has == wanted:
        return ""
    return ", ".join(to_text(r.uri) for r in reversed(answer.record_routes))
