# SPDX-License-Identifier: Apache-2.0
"""What ALGs do to messages. One is drawn for each flow of the router."""

from __future__ import annotations

import random
from collections.abc import Callable

from craft import linux_in, linux_out, sized

from worlds.router import Nat, Rewriter
from worlds.text import Text

PROVIDER = "203.0.113.5"
ELSEWHERE = "10.9.9.9"


def lines(names: tuple[str, ...], old: str, new: str, kinds: tuple[str, ...] = ()) -> Rewriter:
    """New for old in lines that begin so; kinds: only in these methods."""

    def rewrite(raw: bytes) -> bytes:
        text = Text(raw)
        if kinds and text.method not in kinds:
            return raw
        head, _, body = raw.decode().partition("\r\n\r\n")
        every = [line.replace(old, new) if line.startswith(names) else line
                 for line in head.split("\r\n")]  # fmt: skip
        return sized(("\r\n".join(every) + "\r\n\r\n" + body).encode())

    return rewrite


def swallows(method: str, status: int) -> Rewriter:
    """Drops requests of that method, or its responses of that status."""

    def rewrite(raw: bytes) -> bytes | None:
        text = Text(raw)
        return None if (text.method, text.status) == (method, status) else raw

    return rewrite


def linux(nat: Nat) -> None:
    nat.outs = linux_out(*nat.phone, *nat.outside)
    undo = linux_in(*nat.phone, *nat.outside)

    def ins(raw: bytes) -> bytes:
        """The forced destination port (nf_conntrack_sip.c process_sip_request())."""
        text = Text(raw)
        if not text.status and text.sent_by[0] == PROVIDER and text.sent_by[1] not in (5060, 5070):
            nat.forced = text.sent_by[1]
        return undo(raw)

    nat.ins = ins


def of_contact(nat: Nat, rng: random.Random) -> None:
    """Contact alone, by the mapping or not, put back or not."""
    inside = f"{nat.phone[0]}:{nat.phone[1]}"
    wan = nat.outside[0]
    outside = rng.choice([f"{wan}:{nat.outside[1]}", f"{wan}:{nat.phone[1]}", f"{wan}:5060",
                          "192.168.1.1:5060"])  # fmt: skip
    nat.outs = lines(("Contact",), inside, outside, rng.choice([(), ("INVITE",), ("REGISTER",)]))
    if rng.random() < 0.6:
        nat.ins = lines(("INVITE", "ACK", "BYE", "Contact"), outside, inside)


def of_via(nat: Nat, rng: random.Random) -> None:
    inside, outside = f"{nat.phone[0]}:{nat.phone[1]}", f"{nat.outside[0]}:{nat.outside[1]}"
    if rng.random() < 0.3:
        outside = f"{nat.outside[0]}:{nat.phone[1]}"
    nat.outs = lines(("Via",), inside, outside)
    if rng.random() < 0.6:
        nat.ins = lines(("Via",), outside, inside)
    elif rng.random() < 0.3:
        nat.outs, nat.ins = bytes, lines(("Via",), inside, outside)


def of_rport(nat: Nat, rng: random.Random) -> None:
    nat.outs = lines(("Via",), ";rport;", ";")


def of_name(nat: Nat, rng: random.Random) -> None:
    names = rng.choice([("Call-ID",), ("From", "To"), ("Via",)])
    wan = nat.outside[0]
    old, new = {"Call-ID": (f"@{nat.phone[0]}", f"@{wan}"), "From": ("tag=one", "tag=two"),
                "Via": ("branch=z9hG4bK-one", "branch=z9hG4bK-nat")}[names[0]]  # fmt: skip
    nat.outs = lines(names, old, new)
    if rng.random() < 0.5:
        nat.ins = lines(names, new, old)


def of_far_contact(nat: Nat, rng: random.Random) -> None:
    """The Contact of the far end, on its way to the phone."""
    nat.ins = lines(("Contact",), f"{PROVIDER}:5060", rng.choice([f"{ELSEWHERE}:5060",
                    f"{PROVIDER}:5090", "192.168.1.1:5060"]), ("INVITE",))  # fmt: skip


def of_sdp(nat: Nat, rng: random.Random) -> None:
    def outs(raw: bytes) -> bytes:
        head, end, body = raw.partition(b"\r\n\r\n")
        return sized(head + end + body.replace(nat.phone[0].encode(), nat.outside[0].encode()))

    nat.outs = outs


def of_drops(nat: Nat, rng: random.Random) -> None:
    what = rng.choice([("ACK", 0), ("INVITE", 200), ("BYE", 0), ("INVITE", 0), ("REGISTER", 200)])
    if rng.random() < 0.5:
        nat.outs = swallows(*what)
    else:
        nat.ins = swallows(*what)


def of_parameter(nat: Nat, rng: random.Random) -> None:
    inside = f"{nat.phone[0]}:{nat.phone[1]}"
    nat.outs = lines(("Contact",), f"{inside}>", f"{inside};transport=udp>")


ALGS: list[Callable[[Nat, random.Random], None]] = [
    of_contact, of_via, of_rport, of_name, of_far_contact, of_sdp, of_drops, of_parameter,
]  # fmt: skip
