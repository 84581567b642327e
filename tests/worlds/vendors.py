# SPDX-License-Identifier: Apache-2.0
"""ALGs of other vendors: each changes one thing, or writes it in another way."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from worlds.algs import lines, of_sdp
from worlds.router import Nat, Rewriter

LAN_ADDRESS, OTHER_WAN = "192.168.1.1", "10.64.0.7"


def _places(nat: Nat) -> tuple[str, str]:
    return f"{nat.phone[0]}:{nat.phone[1]}", f"{nat.outside[0]}:{nat.outside[1]}"


def then(*rewriters: Rewriter) -> Rewriter:
    """One after the other."""

    def rewrite(raw: bytes) -> bytes | None:
        for one in rewriters:
            changed = one(raw)
            if changed is None:
                return None
            raw = changed
        return raw

    return rewrite


def head_only(change: Callable[[list[str]], list[str]]) -> Rewriter:
    """Header lines, after the start line, as change gives them back."""

    def rewrite(raw: bytes) -> bytes:
        head, end, body = raw.partition(b"\r\n\r\n")
        start, *rest = head.decode().split("\r\n")
        return "\r\n".join([start, *change(rest)]).encode() + end + body

    return rewrite


def contact_alone(nat: Nat, rng: random.Random) -> None:
    inside, outside = _places(nat)
    nat.outs = lines(("Contact",), inside, outside)
    nat.ins = lines(("INVITE", "ACK", "BYE", "UPDATE", "OPTIONS", "NOTIFY"), outside, inside)


def via_alone(nat: Nat, rng: random.Random) -> None:
    inside, outside = _places(nat)
    nat.outs = lines(("Via",), inside, outside)
    nat.ins = lines(("Via",), outside, inside)


def both(nat: Nat, rng: random.Random) -> None:
    inside, outside = _places(nat)
    nat.outs = lines(("Via", "Contact"), inside, outside)
    nat.ins = lines(("Via", "INVITE", "ACK", "BYE", "UPDATE", "OPTIONS", "NOTIFY"), outside, inside)


def sdp_alone(nat: Nat, rng: random.Random) -> None:
    of_sdp(nat, rng)


def wrong_length(nat: Nat, rng: random.Random) -> None:
    """SDP without its Content-Length; longer or shorter is by the addresses."""
    old, new = nat.phone[0].encode(), nat.outside[0].encode()

    def outs(raw: bytes) -> bytes:
        head, end, body = raw.partition(b"\r\n\r\n")
        return head + end + body.replace(old, new)

    def shorter(raw: bytes) -> bytes:
        head, end, body = raw.partition(b"\r\n\r\n")
        return head + end + body.replace(b"s=-\r\n", b"")

    nat.outs = outs if rng.random() < 0.5 else shorter
    if rng.random() < 0.3:
        nat.ins = shorter


def _ordered(every: list[str]) -> list[str]:
    return sorted(every, key=lambda line: line.split(":")[0])


def _folded(every: list[str]) -> list[str]:
    return [line.replace(";", "\r\n ;", 1) if line.startswith(("Via", "From", "To")) else line
            for line in every]  # fmt: skip


SHORT = {"Via": "v", "From": "f", "To": "t", "Call-ID": "i", "Contact": "m", "Content-Length": "l"}


def _compact(every: list[str]) -> list[str]:
    return [re.sub(r"^[\w-]+(?=:)", lambda name: SHORT.get(name[0], name[0]), line)
            for line in every]  # fmt: skip


def other_form(nat: Nat, rng: random.Random) -> None:
    """The same in another form, with or without a mapping of addresses."""
    if rng.random() < 0.5:
        both(nat, rng)
    form = head_only(rng.choice([_ordered, _folded, _compact]))
    nat.outs, nat.ins = rng.choice([
        (then(nat.outs, form), then(nat.ins, form)), (then(nat.outs, form), nat.ins),
        (nat.outs, then(nat.ins, form)),
    ])  # fmt: skip


def bare_contact(nat: Nat, rng: random.Random) -> None:
    """Contact without its parameters."""
    if rng.random() < 0.5:
        contact_alone(nat, rng)
    bare = head_only(lambda every: [
        re.sub(r"(<sip:[^;>]+)[^>]*>.*", r"\1>", line) if line.startswith("Contact") else line
        for line in every])  # fmt: skip
    nat.outs = then(nat.outs, bare)


def other_port(nat: Nat, rng: random.Random) -> None:
    """The right address with a port of its own, in Contact and, perhaps, Via."""
    inside, _ = _places(nat)
    names = rng.choice([("Contact",), ("Via",), ("Via", "Contact")])
    nat.outs = lines(names, inside, f"{nat.outside[0]}:{rng.choice([5060, 65060])}")


def other_address(nat: Nat, rng: random.Random) -> None:
    """The address of another interface of the router."""
    inside, _ = _places(nat)
    names = rng.choice([("Contact",), ("Via",), ("Via", "Contact")])
    wrong = f"{rng.choice([LAN_ADDRESS, OTHER_WAN])}:{nat.outside[1]}"
    nat.outs = lines(names, inside, wrong)
    if rng.random() < 0.5:
        nat.ins = lines(("Via", "INVITE", "ACK", "BYE"), wrong, inside)


def one_way(nat: Nat, rng: random.Random) -> None:
    """Out is changed and in is not, or in other names."""
    both(nat, rng)
    if rng.random() < 0.5:
        nat.ins = bytes
    else:
        inside, outside = _places(nat)
        nat.ins = lines(("Via",), outside, inside)


VENDORS: list[Callable[[Nat, random.Random], None]] = [
    contact_alone, via_alone, both, sdp_alone, wrong_length, other_form, bare_contact, other_port,
    other_address, one_way,
]  # fmt: skip
