# SPDX-License-Identifier: Apache-2.0
"""What may happen to a capture without anything else happening on the wire: variants of a pair of
captures, and what a verdict on a variant may say beside the verdict on the whole."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from craft import Packet, checksum, is_ethernet, packets_of, pcap
from test_golden import analyze

HERE = Path(__file__).resolve().parent
SHARED = HERE.parents[2] / "shared" / "captures"

Pair = tuple[list[Packet], list[Packet]]
Said = dict[str, Any]

# A refusal that somebody decided, or a number that does not exist.
NO_FAULT = (404, 410, 480, 484, 485, 486, 487, 600, 603, 604, 607)
HURTS = ("observed", "certain")
MS = 1_000_000  # ns


def all_pairs() -> dict[str, Pair]:
    """The two sides of every golden capture, lab recording, and public capture that has two."""
    found = {f.parent: (f, f.with_name("wan.pcap")) for f in sorted(HERE.rglob("lan.pcap"))}
    pairs = {str(folder.relative_to(HERE)): pair for folder, pair in found.items()}
    for lan in sorted(SHARED.glob("*.lan.pcap")):
        pairs[f"shared/{lan.name[:-9]}"] = lan, lan.with_name(lan.name.replace(".lan.", ".wan."))
    return {
        name: (packets_of(lan.read_bytes()), packets_of(wan.read_bytes()))
        for name, (lan, wan) in pairs.items()
        if is_ethernet(lan.read_bytes())
    }


# ---- variants ----


def cut(packets: Iterable[Packet], size: int = 96) -> list[Packet]:
    """What a capture with this snap length holds; the file tells the full length."""
    return [(at, data[:size]) for at, data in packets]


def without_idents(packets: Iterable[Packet]) -> list[Packet]:
    """IPv4 IDs of 0, checksums right where they were filled in."""
    return [(at, _zeroed(data)) for at, data in packets]


def _zeroed(data: bytes) -> bytes:
    if data[12:14] != b"\x08\x00" or len(data) < 34 or data[20:22] not in (b"\0\0", b"\x40\0"):
        return data  # not IPv4, or a fragment, which its ID puts together
    head = data[14:18] + b"\0\0" + data[20:24] + b"\0\0" + data[26:34]
    filled = checksum(head).to_bytes(2, "big") if data[24:26] != b"\0\0" else b"\0\0"
    return data[:14] + head[:10] + filled + head[12:] + data[34:]


def doubled(packets: Iterable[Packet]) -> list[Packet]:
    """Every frame captured twice, as on a bridge and its port."""
    return [(at + after, data) for at, data in packets for after in (0, 20_000)]


def late(packets: Iterable[Packet], seconds: float) -> list[Packet]:
    by = round(seconds * 1e6) * 1000
    return [(at + by, data) for at, data in packets]


def reordered(packets: Sequence[Packet], chance: random.Random) -> list[Packet]:
    """The frames in another order in the file, each at most 100 ms from its place by time."""
    keyed = [(at + chance.randrange(100) * MS, n) for n, (at, _) in enumerate(packets)]
    return [packets[n] for _, n in sorted(keyed)]


def _reordered(lan: list[Packet], wan: list[Packet]) -> Pair:
    chance = random.Random(len(lan))
    return reordered(lan, chance), reordered(wan, chance)


VARIANTS: dict[str, Callable[[list[Packet], list[Packet]], Pair]] = {
    "LAN alone": lambda lan, wan: (lan, []),
    "WAN alone": lambda lan, wan: ([], wan),
    "cut at 96 bytes": lambda lan, wan: (cut(lan), cut(wan)),
    "no IP IDs": lambda lan, wan: (without_idents(lan), without_idents(wan)),
    "every frame twice": lambda lan, wan: (doubled(lan), doubled(wan)),
    "WAN 3 s late": lambda lan, wan: (lan, late(wan, 3)),
    "LAN 3 s late": lambda lan, wan: (late(lan, 3), wan),
    "reordered": _reordered,
}


ONE_SIDED = ("LAN alone", "WAN alone")


def without_one(lan: list[Packet], wan: list[Packet]) -> Iterator[tuple[str, Pair]]:
    """The pair without one message: without both copies of it, or without either."""
    copies: dict[tuple[bytes, ...], list[int]] = {}
    for n, (_, data) in enumerate(wan):
        copies.setdefault(_identity(data), []).append(n)
    for i, (at, data) in enumerate(lan):
        twins = copies.get(_identity(data), []) if b"SIP/2.0" in data else []
        for j in [j for j in twins if abs(wan[j][0] - at) < 200 * MS][:1]:
            rest, other = lan[:i] + lan[i + 1 :], wan[:j] + wan[j + 1 :]
            for what, pair in (
                ("both", (rest, other)),
                ("LAN", (rest, wan)),
                ("WAN", (lan, other)),
            ):
                if all(pair):
                    yield f"without {what} {i}, {j}", pair


def _identity(data: bytes) -> tuple[bytes, ...]:
    """First word of the message and its CSeq."""
    found = re.search(rb"(?mi)^cseq[ \t]*:(.*?)\r$", data)
    return data[42:50], found[1] if found else b""


# ---- verdicts ----


def judged(pair: Pair, folder: Path, full: Pair | None = None) -> Said:
    """`analyze --json` of a pair, or of one side where the other is empty. full: the packets at
    their length on the wire, where the capture cut them."""
    arguments = []
    for side, packets, whole in zip(("lan", "wan"), pair, full or pair, strict=True):
        if packets:
            path = folder / f"{side}.pcap"
            path.write_bytes(_cut_file(packets, whole) if full else pcap(packets))
            arguments += [f"--{side}", str(path)]
    _, text, _ = analyze(*arguments)
    said: Said = json.loads(text)
    return said


def _cut_file(packets: Sequence[Packet], whole: Sequence[Packet]) -> bytes:
    made, offset = bytearray(pcap(packets)), 24
    for (_, data), (_, full) in zip(packets, whole, strict=True):
        made[offset + 12 : offset + 16] = len(full).to_bytes(4, "little")
        offset += 16 + len(data)
    return bytes(made)


def hurting(said: Said) -> set[tuple[str, str]]:
    """Rule and place of each finding that did harm."""
    return {(f["rule"], f["where"]) for f in said["findings"] if f["harm"] in HURTS}


def advised(said: Said) -> set[tuple[str, str]]:
    """Actions in force, with their state."""
    return {(a["action"], a["state"]) for a in said["advice"] if a["state"] != "none"}


def is_dead(one: dict[str, Any]) -> bool:
    """A call that ended otherwise than by its users, or a registration that failed; or nobody knows
    how it ended."""
    outcome = one["outcome"]
    if "aor" in one:
        return outcome != "accepted"
    if outcome == "rejected":
        return one["status"] >= 400 and one["status"] not in NO_FAULT
    return outcome in ("dropped", "unanswered", "unknown")
