# SPDX-License-Identifier: Apache-2.0
"""Forms: how one endpoint writes its header fields, within RFC 3261 section 7.3.1."""

from __future__ import annotations

import random
import re

Fields = list[tuple[str, str]]
COMPACT = {
    "Via": "v", "From": "f", "To": "t", "Contact": "m", "Call-ID": "i", "Content-Length": "l",
    "Content-Type": "c", "Supported": "k", "Event": "o", "Refer-To": "r", "Session-Expires": "x",
}  # fmt: skip
_ODD = ["Call-ID", "CSeq", "RSeq", "RAck", "WWW-Authenticate", "MIME-Version"]
_PROPER = {short: name for name, short in COMPACT.items()} | {n.lower(): n for n in _ODD}
# Several values may share one field.
LISTS = ("Via", "Route", "Record-Route")
COLONS = (": ", ": ", ":", " : ", ":  ", ":\t")
_COMMA = re.compile(r',\s*(?=(?:[^"<]|"[^"]*"|<[^>]*>)*$)')
_SEMICOLON = re.compile(r';(?=(?:[^"<]|"[^"]*"|<[^>]*>)*$)')


def proper(name: str) -> str:
    """The usual spelling of a name in any case or in its compact form."""
    low = name.strip().lower()
    return _PROPER.get(low) or "-".join(word.capitalize() for word in low.split("-"))


def values(name: str, text: str) -> list[str]:
    """The values of a field: those of LISTS may be several."""
    return _COMMA.split(text) if name in LISTS else [text]


class Forms:
    """The usual forms. compact: names that it writes short. case: of names. colon: with the white
    space around it. fold: continues Via, From and To in a second line. joined: writes several
    values of LISTS in one field. order: seed of the order of fields, 0 for the usual one.
    """

    def __init__(self, order: int = 0) -> None:
        self.order = order
        self.compact: set[str] = set()
        self.case = "usual"
        self.colon = ": "
        self.fold = False
        self.joined = False

    @classmethod
    def drawn(cls, chance: random.Random) -> Forms:
        forms = cls(chance.choice([0, chance.randint(1, 10**6)]))
        names = sorted(COMPACT)
        forms.compact = set(chance.choice([[], [], names, chance.sample(names, len(names) // 2)]))
        forms.case = chance.choice(["usual", "usual", "usual", "upper", "lower"])
        forms.colon = chance.choice(COLONS)
        forms.fold = chance.random() < 0.25
        forms.joined = chance.random() < 0.25
        return forms

    def head(self, start: str, fields: Fields) -> bytes:
        """Start line and fields, with the empty line. Via stays in front, and fields of one name
        keep their order, which alone means something.
        """
        if self.joined:
            fields = _joined(fields)
        if self.order:
            names = sorted({n for n, _ in fields if n != "Via"})
            random.Random(self.order).shuffle(names)
            fields = sorted(fields, key=lambda f: ["Via", *names].index(f[0]))
        lines = [f"{self._name(n)}{self.colon}{self._value(n, v)}" for n, v in fields]
        return "\r\n".join([start, *lines, "", ""]).encode()

    def _name(self, name: str) -> str:
        name = COMPACT[name] if name in self.compact else name
        return {"upper": name.upper(), "lower": name.lower()}.get(self.case, name)

    def _value(self, name: str, value: str) -> str:
        if self.fold and name in ("Via", "From", "To"):
            return _SEMICOLON.sub("\r\n ;", value, count=1)
        return value


PLAIN = Forms()


def _joined(fields: Fields) -> Fields:
    joined: dict[str, list[str]] = {n: [] for n in LISTS}
    kept: Fields = []
    for name, value in fields:
        if name in LISTS:
            joined[name].append(value)
            if len(joined[name]) > 1:
                continue
        kept.append((name, value))
    return [(n, ", ".join(joined[n]) if n in LISTS else v) for n, v in kept]
