# SPDX-License-Identifier: Apache-2.0
"""Everything that a pipeline keeps, filled with messages of 60 kB: a program that tells what that
takes. `python filling.py KIND BYTES` prints a JSON object; test_memory_budget.py runs it."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Iterator
from random import Random

from algwatch.base.budget import Budget
from algwatch.base.packet import LAN, WAN, Tap
from algwatch.base.sighting import Sighting
from algwatch.pipeline import Pipeline
from craft import NS, START, House, batch
from floods import INTRUDER, SCANNER, Shot, ask, back, inward, knock, name_of, reply, through

SIZE = 60_000
BODY = b"x" * SIZE


def large(message: bytes, where: str = "body") -> bytes:
    """A message made 60 kB long: in its body, or in a header field."""
    head, _, _ = message.partition(b"\r\n\r\n")
    if where == "body":
        head = head.replace(b"\r\nContent-Length: 0", b"\r\nContent-Length: %d" % SIZE)
        return head + b"\r\n\r\n" + BODY
    field = b"\r\n%s: " % where.encode()
    assert field in head
    filled = head.replace(field, field + BODY + (b" " if where == "Subject" else b""), 1)
    return filled + b"\r\n\r\n"


def incoming_calls(rng: Random, house: House, n: int) -> Iterator[Shot]:
    """Answered and never acknowledged, each with several final responses and a BYE."""
    name, source = name_of(rng), f"185.1.{n // 250}.{n % 250 + 1}"
    yield from inward(large(ask("INVITE", source, house.wan_ip, name)), source, house, rng)
    for tag in ("one", "two", "three"):
        answer = large(reply(200, source, name, tag=tag))
        yield from through(answer, house.phone, house.port, source, house, rng)
    yield from inward(large(ask("BYE", source, house.wan_ip, name)), source, house, rng)


def calls_of_a_lan_host(rng: Random, house: House, n: int) -> Iterator[Shot]:
    name = name_of(rng)
    yield from through(large(ask("INVITE", INTRUDER, SCANNER, name)), INTRUDER, 6000, SCANNER,
                       house, rng)  # fmt: skip
    for status in (180, 200):
        yield from back(large(reply(status, INTRUDER, name)), SCANNER, INTRUDER, 6000, house, rng)


def rewritten_calls(rng: Random, house: House, n: int) -> Iterator[Shot]:
    """With a body that the router changes, on its way in and out."""
    name, source = name_of(rng), f"185.1.{n // 250}.{n % 250 + 1}"
    asked = large(ask("INVITE", source, house.wan_ip, name))
    wan, lan = inward(asked, source, house, rng)
    yield wan
    yield lan[0], lan[1].replace(b"xxxxxxxx", b"yyyyyyyy")
    one, two = through(large(reply(200, source, name)), house.phone, house.port, source, house, rng)
    yield one
    yield two[0], two[1].replace(b"xxxxxxxx", b"yyyyyyyy")


def registrations(rng: Random, house: House, n: int) -> Iterator[Shot]:
    name, phone = name_of(rng), f"192.168.1.{n % 200 + 20}"
    yield from through(large(ask("REGISTER", phone, house.provider, name)), phone, 6000,
                       house.provider, house, rng)  # fmt: skip
    status = (200, 401, 403)[n % 3]
    yield from back(large(reply(status, phone, name, "REGISTER")), house.provider, phone, 6000,
                    house, rng)  # fmt: skip


def requests(rng: Random, house: House, n: int) -> Iterator[Shot]:
    """Requests of other methods, half of them refused."""
    name, phone = name_of(rng), f"192.168.1.{n % 200 + 20}"
    method = ("MESSAGE", "OPTIONS", "SUBSCRIBE", "PUBLISH")[n % 4]
    yield from through(large(ask(method, phone, house.provider, name)), phone, 6000,
                       house.provider, house, rng)  # fmt: skip
    if n % 2:
        yield from back(large(reply(500, phone, name, method)), house.provider, phone, 6000, house,
                        rng)  # fmt: skip


def lines(rng: Random, house: House, n: int) -> Iterator[Shot]:
    name, far = name_of(rng), f"185.{rng.randrange(256)}.{rng.randrange(256)}.9"
    yield from through(large(ask("REGISTER", INTRUDER, far, name)), INTRUDER, 6000, far, house,
                       rng)  # fmt: skip
    yield from back(large(ask("OPTIONS", far, house.wan_ip, name_of(rng))), far, INTRUDER, 6000,
                    house, rng)  # fmt: skip


def waiting(rng: Random, house: House, n: int) -> Iterator[Shot]:
    """On one side only: they wait for their other copy."""
    for method in ("INVITE", "ACK", "MESSAGE"):
        payload = large(ask(method, house.provider, house.wan_ip, name_of(rng)))
        yield knock(payload, house.provider, house, rng)


def long_fields(rng: Random, house: House, n: int) -> Iterator[Shot]:
    """60 kB of Call-ID, From or To, in calls that end badly."""
    name, source = name_of(rng), f"185.1.{n // 250}.{n % 250 + 1}"
    field = ("Call-ID", "From", "To")[n % 3]
    asked = ask("INVITE", source, house.wan_ip, name)
    answer = reply(200, source, name)
    if field == "Call-ID":
        long = [m.replace(f"Call-ID: {name}".encode(), b"Call-ID: " + name.encode() + BODY)
                for m in (asked, answer)]  # fmt: skip
    else:
        long = [m.replace(f"{field}: <sip:".encode(), f"{field}: <sip:".encode() + BODY)
                for m in (asked, answer)]  # fmt: skip
    yield from inward(long[0], source, house, rng)
    yield from through(long[1], house.phone, house.port, source, house, rng)


def refused_calls(rng: Random, house: House, n: int) -> Iterator[Shot]:
    """The refusal comes four times, as to a caller that does not hear it."""
    name = name_of(rng)
    yield from through(ask("INVITE", INTRUDER, SCANNER, name), INTRUDER, 6000, SCANNER, house, rng)
    refusal = large(reply(486, INTRUDER, name))
    for _ in range(4):
        yield from back(refusal, SCANNER, INTRUDER, 6000, house, rng)


def cancelled_calls(rng: Random, house: House, n: int) -> Iterator[Shot]:
    name = name_of(rng)
    for method in ("INVITE", "CANCEL"):
        yield from through(large(ask(method, INTRUDER, SCANNER, name)), INTRUDER, 6000, SCANNER,
                           house, rng)  # fmt: skip
    for status, method in ((481, "CANCEL"), (180, "INVITE")):
        answer = large(reply(status, INTRUDER, name, method))
        yield from back(answer, SCANNER, INTRUDER, 6000, house, rng)


def dialogs(rng: Random, house: House, n: int) -> Iterator[Shot]:
    """Calls with session timers that are answered, refreshed, and moved to a private address."""
    name, timer = name_of(rng), b"\r\nSession-Expires: 90;refresher=uac\r\nContact"
    for method, cseq in (("INVITE", 1), ("ACK", 1), ("UPDATE", 2), ("INVITE", 3)):
        asked = ask(method, INTRUDER, SCANNER, name, f"{name}{method}{cseq}")
        asked = asked.replace(b"CSeq: 1", b"CSeq: %d" % cseq)
        if method != "INVITE" or cseq > 1:
            asked = asked.replace(f"<sip:1@{SCANNER}>".encode(), b"<sip:1@x>;tag=x", 1)
        yield from through(large(asked), INTRUDER, 6000, SCANNER, house, rng)
        answer = reply(200, INTRUDER, name, method, branch=f"{name}{method}{cseq}")
        answer = answer.replace(b"CSeq: 1", b"CSeq: %d" % cseq).replace(b"\r\nContact", timer)
        if method != "ACK":
            yield from back(large(answer), SCANNER, INTRUDER, 6000, house, rng)


def subscriptions(rng: Random, house: House, n: int) -> Iterator[Shot]:
    """Accepted, and their NOTIFY is refused."""
    name = name_of(rng)
    asked = ask(("SUBSCRIBE", "REFER")[n % 2], INTRUDER, SCANNER, name)
    yield from through(large(asked), INTRUDER, 6000, SCANNER, house, rng)
    accepted = reply(202, INTRUDER, name, ("SUBSCRIBE", "REFER")[n % 2])
    yield from back(large(accepted), SCANNER, INTRUDER, 6000, house, rng)
    told = ask("NOTIFY", SCANNER, house.wan_ip, name, f"{name}n")
    yield from back(large(told), SCANNER, INTRUDER, 6000, house, rng)
    refused = reply(481, SCANNER, name, "NOTIFY", branch=f"{name}n")
    yield from through(large(refused), INTRUDER, 6000, SCANNER, house, rng)


KINDS = {kind.__name__: kind for kind in (
    incoming_calls, calls_of_a_lan_host, rewritten_calls, registrations, requests, lines, waiting,
    long_fields, refused_calls, cancelled_calls, dialogs, subscriptions,
)}  # fmt: skip


def resident() -> int:
    """kB."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4


def fill(kinds: list[str], memory: int, count: int) -> dict[str, int]:
    """count moments of each kind, 20 a second. Memory in kB above that of an idle pipeline."""
    house, rng = House(), Random(60)
    pipeline = Pipeline([Tap("lan", LAN), Tap("wan", WAN)], live=True, strict=True, memory=memory)
    budget = pipeline._comparison.budget
    at = START * NS
    before = most = 0
    held = 0
    for n in range(count):
        for kind in kinds:
            at += NS // 20
            shots = list(KINDS[kind](rng, house, n))
            for number, (tap, data) in enumerate(shots):
                pipeline.feed(batch([(at + number * 100_000, data)], tap))
                held = max(held, budget.held)
            if at // NS != (at - NS // 20) // NS:
                pipeline.advance(LAN, at)
                pipeline.advance(WAN, at)
        if n == 1:
            before = resident()  # with all code in use, and a moment's messages
        most = max(most, resident())
    return {
        "held": held, "grown": most - before, "evicted": budget.evicted,
        "uncounted": uncounted(budget),
    }  # fmt: skip


def uncounted(budget: Budget) -> int:
    """Bytes of messages that something keeps and that the budget does not know of."""
    budget.look()
    counted: set[int] = set()
    for keeper, held, _ in budget._keepers:
        for _, value in keeper.items():
            for one in held(value):
                counted.add(id(one.payload if isinstance(one, Sighting) else one))
    kept = [one.payload for one in gc.get_objects() if isinstance(one, Sighting)]
    return sum({id(one): len(one) for one in kept if id(one) not in counted}.values())


if __name__ == "__main__":
    gc.disable()  # as the daemon does
    wanted = list(KINDS) if sys.argv[1] == "all" else [sys.argv[1]]
    print(json.dumps(fill(wanted, int(sys.argv[2]), int(sys.argv[3]))))
