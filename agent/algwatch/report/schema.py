# SPDX-License-Identifier: Apache-2.0
"""The schema of the wire format: every field, its type, and its first revision.

docs/wire.md gives the meaning and the unit of each field; tests compare both with each other and
with real payloads. The daemon does not import this; a receiver may, to check a payload.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

Field = tuple[str, str, int]  # name, type, first revision

STR, INT, FLOAT, BOOL, BIN, MAP, STRS, MAPS = (
    "str", "int", "float", "bool", "bin", "map", "array of str", "array of map",
)  # fmt: skip

FIELDS: dict[str, tuple[Field, ...]] = {
    "envelope": (
        ("schema", INT, 1), ("revision", INT, 2), ("id", STR, 1), ("boot", STR, 1),
        ("seq", INT, 1), ("at", FLOAT, 1), ("cpe", STR, 1), ("version", STR, 1),
        ("dropped", INT, 1),
    ),
    "state": (
        ("online", BOOL, 1), ("reason", STR, 1), ("mqtt", STR, 1), ("taps", MAP, 1),
        ("model", STR, 2), ("board", STR, 2), ("firmware", STR, 2), ("kernel", STR, 2),
        ("machine", STR, 2), ("helper", STR, 2), ("offload", STR, 2), ("tags", MAP, 2),
    ),
    "finding": (
        ("rule", STR, 1), ("slug", STR, 1), ("severity", STR, 1), ("where", STR, 1),
        ("harm", STR, 1), ("cause", STR, 1), ("certain", BOOL, 1), ("symptom", BOOL, 1),
        ("line", STR, 1), ("phone", STR, 2), ("provider", STR, 2), ("call_id", STR, 1),
        ("side", STR, 1), ("at", FLOAT, 1), ("summary", STR, 1), ("fingerprint", STR, 1),
        ("key", STR, 1), ("series", STR, 3), ("times", INT, 3), ("first", FLOAT, 3),
        ("last", FLOAT, 3), ("evidence", MAPS, 1), ("cut", BOOL, 1),
    ),
    "evidence": (
        ("side", STR, 1), ("at", FLOAT, 1), ("observed", STR, 1), ("expected", STR, 1),
        ("bytes", BIN, 1),
    ),
    "advice": (
        ("action", STR, 1), ("state", STR, 1), ("confidence", FLOAT, 1), ("for", STRS, 1),
        ("against", STRS, 1), ("commands", STRS, 1), ("subject", STR, 1),
    ),
    "health": (
        ("uptime", FLOAT, 1), ("rss", INT, 1), ("clock_steps", INT, 1), ("taps", MAP, 1),
        ("frames", MAP, 1), ("capture", MAP, 1), ("crossings", MAP, 1), ("evicted", MAP, 1),
        ("rule_failures", MAP, 1), ("untold", MAP, 1), ("providers", MAP, 2), ("mqtt", MAP, 1),
        ("cut", BOOL, 2),
    ),
    "reply": (
        ("id", STR, 3), ("command", STR, 3), ("state", STR, 3), ("reason", STR, 3),
        ("status", INT, 3), ("lines", STRS, 3), ("change", INT, 3), ("result", STR, 3),
        ("conclusion", STR, 3), ("uptime", FLOAT, 3), ("level", STR, 3), ("pcap", BIN, 3),
        ("packets", INT, 3), ("cut", BOOL, 3),
    ),
}  # fmt: skip
"""By part of a payload; `envelope` is in every one, and the others hold one map or some."""

BESIDE: dict[str, tuple[Field, ...]] = {"advice": (("none_yet", BOOL, 1), ("cut", BOOL, 1))}
"""What stands beside the rows of a part, in the payload itself."""

_TYPES: dict[str, type | tuple[type, ...]] = {
    STR: str, INT: int, FLOAT: (int, float), BOOL: bool, BIN: bytes, MAP: dict, STRS: list,
    MAPS: list,
}  # fmt: skip


def problems(body: dict[str, Any]) -> list[str]:
    """Sentences about fields of a decoded payload with a wrong type; [] for a correct payload of
    any revision, since fields may be absent and unknown ones are ignored."""
    found = _wrong("envelope", body)
    if "online" in body:
        return found + _wrong("state", body)
    for part in ("finding", "health", "reply"):
        if part in body:
            found += _part(part, body[part])
    looks = body["finding"].get("evidence") if isinstance(body.get("finding"), dict) else None
    for look in looks if isinstance(looks, list) else ():
        found += _part("evidence", look)
    if "advice" in body:
        rows = body["advice"]
        if not isinstance(rows, list):
            return [*found, "advice is not an array"]
        for row in rows:
            found += _part("advice", row)
    return found


def _part(part: str, value: object) -> list[str]:
    return _wrong(part, value) if isinstance(value, dict) else [f"{part} is not a map"]


def _wrong(part: str, body: dict[str, Any]) -> list[str]:
    found = []
    for name, kind, _ in (*FIELDS[part], *BESIDE.get(part, ())):
        if name not in body:
            continue
        value: Any = body[name]
        fits = isinstance(value, _TYPES[kind]) and (kind == BOOL or not isinstance(value, bool))
        if not fits:
            found.append(f"{part}: {name} is {type(value).__name__}, not {kind}")
        elif kind == STRS and any(not isinstance(item, str) for item in value):
            found.append(f"{part}: {name} holds something that is no text")
    return found
