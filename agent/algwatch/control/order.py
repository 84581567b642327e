# SPDX-License-Identifier: Apache-2.0
"""Order: a command on the wire, signed with the router's key from its enrolment.

The payload is a map of `schema`, `body` and `mac`; `body` is the msgpack map of the order, as
bytes. The mac is over these bytes unchanged: no canonical form is needed, and no field of an order
is read before its mac is verified (docs/wire.md).
"""

from __future__ import annotations

import msgpack

from algwatch.base import address
from algwatch.control.mac import SIZE, equal, mac
from algwatch.report.wire import SCHEMA, SchemaError, decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MOST = 3072  # bytes of a payload: with its topic and properties it fits into one packet of 4096
LEAST_KEY = 16  # bytes
LONGEST = 900.0  # seconds of an order's validity
AHEAD = 60.0  # seconds of tolerance for an operator's clock ahead of the router's
ID = 32  # hex digits
MOST_WATCH = 86400  # seconds

PING, PROBE, APPLY, ROLLBACK, EVIDENCE, LEVEL = (
    "ping", "probe", "apply", "rollback", "evidence", "level",
)  # fmt: skip
COMMANDS = (PING, PROBE, APPLY, ROLLBACK, EVIDENCE, LEVEL)
BY_ROOT = (PROBE, APPLY, ROLLBACK)  # the daemon does the others
LEVELS = ("all", "harm", "state")  # of reports

_LABEL = b"algwatch/1/command\n"  # ties the mac to this use of the key
_HEX = frozenset("0123456789abcdef")


class Refused(Exception):
    """The order is not obeyed; the text is the reason, a clause."""


class Order:
    """command: a word of COMMANDS. id: 32 hex digits, unique to the order. cpe: the router. at,
    expires: seconds since 1970. only: address of a phone, "" for all (apply). watch: seconds, None
    for as long as it takes (apply). key, call_id: of a finding, one of them (evidence). level: a
    word of LEVELS."""

    __slots__ = ("at", "call_id", "command", "cpe", "expires", "id", "key", "level", "only",
                 "watch")  # fmt: skip

    def __init__(self, command: str, id: str, cpe: str, at: float, expires: float, only: str = "",
                 watch: int | None = None, key: str = "", call_id: str = "",
                 level: str = "") -> None:  # fmt: skip
        self.command, self.id, self.cpe, self.at, self.expires = command, id, cpe, at, expires
        self.only, self.watch, self.key, self.call_id = only, watch, key, call_id
        self.level = level

    def body(self) -> bytes:
        """The fields with a value, as msgpack."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        packed: bytes = msgpack.packb({k: v for k, v in fields.items() if v not in ("", None)})
        return packed


def sign(order: Order, key: bytes) -> bytes:
    """The payload."""
    body = order.body()
    packed: bytes = msgpack.packb({"schema": SCHEMA, "body": body, "mac": mac(key, _LABEL + body)})
    return packed


def opened(payload: bytes, key: bytes) -> bytes:
    """The body of a payload signed with this key. Refused."""
    if len(payload) > MOST:
        raise Refused(f"longer than {MOST} bytes")
    try:
        outer = decode(payload)
    except SchemaError:
        raise Refused("it is no command of this schema") from None
    body, signed = outer.get("body"), outer.get("mac")
    if not isinstance(body, bytes) or not isinstance(signed, bytes) or len(signed) != SIZE:
        raise Refused("it is not signed")
    if not equal(signed, mac(key, _LABEL + body)):
        raise Refused("it is not signed with this router's key")
    return body


def read(body: bytes) -> Order:
    """The order of a verified body. Refused: it is no order, or one of a newer version."""
    try:
        fields = msgpack.unpackb(body, max_ext_len=0)
    except Exception:  # msgpack raises a dozen kinds
        raise Refused("its body is not msgpack") from None
    if not isinstance(fields, dict):
        raise Refused("its body is no map")
    unknown = [name for name in fields if name not in Order.__slots__]
    if unknown:
        # Unlike in a report: an order obeyed in part is another order.
        raise Refused(f"{str(unknown[0])[:40]} is not known here")
    order = Order(_text(fields, "command"), _text(fields, "id"), _text(fields, "cpe"),
                  _time(fields, "at"), _time(fields, "expires"))  # fmt: skip
    order.only, order.level = _text(fields, "only", ""), _text(fields, "level", "")
    order.key, order.call_id = _text(fields, "key", ""), _text(fields, "call_id", "")
    watch = fields.get("watch")
    if watch is not None and (type(watch) is not int or not 0 <= watch <= MOST_WATCH):
        raise Refused(f"watch is no number of seconds from 0 to {MOST_WATCH}")
    order.watch = watch
    if len(order.id) != ID or not _HEX.issuperset(order.id):
        raise Refused(f"its id has not {ID} hex digits")
    return order


def check(order: Order) -> None:
    """Refused: the command is unknown, or its arguments do not fit."""
    if order.command not in COMMANDS:
        raise Refused(f"{order.command[:40]} is no command here")
    allowed = {APPLY: ("only", "watch"), EVIDENCE: ("key", "call_id"), LEVEL: ("level",)}
    for name in ("only", "watch", "key", "call_id", "level"):
        if getattr(order, name) not in ("", None) and name not in allowed.get(order.command, ()):
            raise Refused(f"{order.command} takes no {name}")
    # `only` becomes a word of a command line.
    if order.only and ("%" in order.only or not address.is_literal(order.only)):
        raise Refused("only is no IP address")
    if order.command == EVIDENCE and bool(order.key) == bool(order.call_id):
        raise Refused("evidence needs the key of a finding or its call_id")
    if order.command == LEVEL and order.level not in LEVELS:
        raise Refused(f"level is none of {', '.join(LEVELS)}")


def in_time(order: Order, cpe: str, now: float, made: float) -> None:
    """Refused: it is for another router or another time. now: seconds since 1970 by the router's
    clock; made: the build time of this program, the earliest plausible clock."""
    if order.cpe != cpe:
        raise Refused("it is for another router")
    if now < made:
        raise Refused("the clock of this router is not set, so nobody can tell whether it is old")
    if not order.at < order.expires <= order.at + LONGEST:
        raise Refused(f"it is good for longer than {LONGEST:.0f} s, or for no time at all")
    if order.at > now + AHEAD:
        ahead = order.at - now
        raise Refused(f"it was made {ahead:.0f} s after this router's time: set the clocks")
    if order.expires <= now:
        raise Refused(f"it expired {now - order.expires:.0f} s ago by this router's clock")


def _text(fields: dict[str, Any], name: str, otherwise: str | None = None) -> str:
    value = fields.get(name, otherwise)
    if not isinstance(value, str) or len(value) > 256 or not value.isprintable():
        raise Refused(f"its {name} is no text")
    return value


def _time(fields: dict[str, Any], name: str) -> float:
    value: Any = fields.get(name)
    if type(value) not in (int, float) or not 0 < value < 1e11:  # not NaN either
        raise Refused(f"its {name} is no time")
    return float(value)
