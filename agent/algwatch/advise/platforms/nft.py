# SPDX-License-Identifier: Apache-2.0
"""The live ruleset as printed by `nft -j list ruleset`: its rules that set the SIP helper."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from algwatch.advise.platforms.plan import HelperRule

SIP = "sip"
_HARMLESS = ("match", "counter", "comment", "ct helper")


class Helpers(NamedTuple):
    """rules: those that set the SIP helper and do nothing else. unclear: sentences about rules that
    set it by a map, or do something else, too. kinds: of all helpers set by rules, by chain
    (family, table, chain). objects: types of the helper objects; they set nothing. foreign: rules
    made by iptables, opaque to nft."""

    rules: list[HelperRule]
    unclear: list[str]
    kinds: dict[tuple[str, str, str], set[str]]
    objects: set[str]
    foreign: bool


class NotJson(ValueError):
    """The text is not from nft -j; a sentence for people."""


def helpers(text: str) -> Helpers:
    """NotJson."""
    try:
        rows = json.loads(text)["nftables"]
        return _helpers([row for row in rows if isinstance(row, dict)])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise NotJson("nft -j list ruleset printed something that is no ruleset in JSON") from None


def _helpers(rows: list[dict[str, Any]]) -> Helpers:
    types = {}
    maps = {}
    for row in rows:
        if "ct helper" in row:
            one = row["ct helper"]
            types[one["family"], one["table"], one["name"]] = str(one["type"])
        if "map" in row:
            one = row["map"]
            maps[one["family"], one["table"], one["name"]] = one
    foreign = any(_of_iptables(row.get("rule")) for row in rows)
    found = Helpers([], [], {}, set(types.values()), foreign)
    for row in rows:
        rule = row.get("rule")
        if not isinstance(rule, dict):
            continue
        place = rule["family"], rule["table"], rule["chain"]
        for statement in rule.get("expr", ()):
            if "ct helper" not in statement:
                continue
            names = _names(statement["ct helper"], maps, place[:2])
            kinds = {types.get((*place[:2], name), name) for name in names}
            found.kinds.setdefault(place, set()).update(kinds)
            if SIP not in kinds:
                continue
            where = f"{' '.join(place[:2])}, chain {place[2]}"
            if kinds != {SIP} or not isinstance(statement["ct helper"], str):
                found.unclear.append(f"a rule of table {where} sets the helper by a map")
            elif any(key not in _HARMLESS for part in rule["expr"] for key in part):
                found.unclear.append(f"a rule of table {where} sets the helper and does more")
            else:
                text = json.dumps(rule["expr"], separators=(",", ":"))
                found.rules.append(HelperRule(*place, int(rule["handle"]), text))
    return found


def _of_iptables(rule: Any) -> bool:
    """A target that may be CT: older nft does not name it."""
    parts = rule.get("expr", ()) if isinstance(rule, dict) else ()
    targets = [part["xt"] for part in parts if "xt" in part]
    return any(not isinstance(one, dict) or one.get("name") == "CT" for one in targets)


def _names(value: Any, maps: dict[tuple[str, str, str], Any], table: tuple[str, ...]) -> set[str]:
    """Names of the objects that a `ct helper set` may choose."""
    if isinstance(value, str):
        return {value}
    data = value["map"]["data"]
    if isinstance(data, str):  # a named map, @name
        data = {"set": maps[table[0], table[1], data.lstrip("@")].get("elem", [])}
    return {str(pair[1]) for pair in data["set"]}
