# SPDX-License-Identifier: Apache-2.0
"""`marshal.dumps` that writes equal things once: marshal itself knows the same object only, and two
functions with the same variables have tuples of their own (CPython, Python/marshal.c)."""

from __future__ import annotations

import marshal
import struct
from collections import Counter
from typing import Any

REFERS = 0x80  # flag of a thing that a later 'r' names by number
PLAIN = b"NTF.S"  # nothing follows
FIXED = {b"i": 4, b"g": 8, b"y": 16}
LONG, SHORT = b"suatA", b"zZ"  # bytes, with their number in four bytes or in one
MANY, FEW = b"(<>[", b")"  # things, likewise
# A code object, 3.11 to 3.14: numbers and things in turns.
CODE = (5, 8, 1, 2)
ALONE = b"NTF.Sc"  # never named by number

Node = tuple[bytes, bytes, tuple[int, ...]]  # type, bytes of its own, number of each thing inside


class _Reader:
    """nodes: each once; the number of a thing is its place. Equal things have one number, of
    whatever dump."""

    def __init__(self) -> None:
        self._known: dict[Node, int] = {}
        self.nodes: list[Node] = []

    def number(self, dump: bytes) -> int:
        self._data, self._at = dump, 0
        self._named: list[int] = []
        return self._read()

    def _take(self, size: int) -> bytes:
        self._at += size
        return self._data[self._at - size : self._at]

    def _read(self) -> int:
        first = self._take(1)[0]
        kind = bytes((first & ~REFERS,))
        if kind == b"r":
            return self._named[int.from_bytes(self._take(4), "little")]
        place = len(self._named)
        if first & REFERS:
            self._named.append(-1)
        number = self._number(self._node(kind))
        if first & REFERS:
            self._named[place] = number
        return number

    def _number(self, node: Node) -> int:
        number = self._known.setdefault(node, len(self.nodes))
        if number == len(self.nodes):
            self.nodes.append(node)
        return number

    def _node(self, kind: bytes) -> Node:
        if kind in PLAIN:
            return kind, b"", ()
        if kind in FIXED:
            return kind, self._take(FIXED[kind]), ()
        if kind == b"l":
            count = self._take(4)
            return kind, count + self._take(2 * abs(struct.unpack("<i", count)[0])), ()
        if kind in LONG or kind in SHORT:
            count = self._take(4 if kind in LONG else 1)
            return kind, count + self._take(int.from_bytes(count, "little")), ()
        if kind in MANY or kind in FEW:
            count = self._take(4 if kind in MANY else 1)
            inside = range(int.from_bytes(count, "little"))
            return kind, count, tuple(self._read() for _ in inside)
        if kind == b":":
            return kind, b"", tuple(self._read() for _ in range(3))
        if kind != b"c":
            raise ValueError(f"this Python writes {kind!r}")
        numbers, things, more, last = CODE
        own = self._take(4 * numbers)
        inside_code = [self._read() for _ in range(things)]
        own += self._take(4 * more)
        inside_code += [self._read() for _ in range(last)]
        return kind, own, tuple(inside_code)


def dumps(thing: Any) -> bytes:
    """What marshal.loads makes an equal thing of."""
    plain = marshal.dumps(thing)
    reader = _Reader()
    root = reader.number(plain)
    made = _written(reader.nodes, root)
    loaded = (reader.number(marshal.dumps(marshal.loads(one))) for one in (made, plain))
    if len(set(loaded)) != 1:
        raise ValueError("this Python reads something else")
    return made


def _written(nodes: list[Node], root: int) -> bytes:
    used: Counter[int] = Counter()
    for _, _, inside in nodes:
        used.update(inside)
    made = bytearray()
    named: dict[int, int] = {}

    def write(number: int) -> None:
        kind, own, inside = nodes[number]
        if number in named:
            made.extend(b"r" + struct.pack("<I", named[number]))
            return
        if used[number] > 1 and kind not in ALONE:
            named[number] = len(named)
            made.append(kind[0] | REFERS)
        else:
            made.extend(kind)
        if kind != b"c":
            made.extend(own)
            for one in inside:
                write(one)
            return
        numbers, things, _, _ = CODE
        made.extend(own[: 4 * numbers])
        for one in inside[:things]:
            write(one)
        made.extend(own[4 * numbers :])
        for one in inside[things:]:
            write(one)

    write(root)
    return bytes(made)
