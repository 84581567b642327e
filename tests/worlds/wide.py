# SPDX-License-Identifier: Apache-2.0
"""Dimensions of wider worlds. A world has one of them, in place of a turn and a kind."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from worlds.algs import PROVIDER, linux
from worlds.lan_proxy import Inner, LanProxy
from worlds.router import PATHS, WAN, Nat
from worlds.text import Place, Text
from worlds.turns import SECOND
from worlds.vendors import VENDORS

if TYPE_CHECKING:
    from worlds.ends import Phone
    from worlds.talk import Plan
    from worlds.world import World

INTERVAL = 90  # s, the shortest session timer (RFC 4028 section 5)


def behind_proxy(world: World, rng: random.Random) -> None:
    """A proxy or a PBX in the LAN."""
    here = "192.168.1.2", 5060
    nat = Nat(here, (WAN, 5060 if rng.random() < 0.6 else rng.randrange(20000, 60000)))
    world.router.add(nat)
    world.router.shows_switch = rng.random() < 0.3
    proxy = LanProxy(world.clock, world.router, here, world.phones, rng)
    if proxy.records:
        world.provider.record = ""
    for phone in world.phones:
        phone.nat, phone.wire = nat, _through(proxy, phone)
        phone.shows = phone.says = phone.here
        phone.proxy, phone.rport = True, True


def _through(proxy: LanProxy, phone: Phone) -> Callable[[bytes, Place], None]:
    return lambda raw, to: proxy.from_phone(phone, raw, to)


def shared_flow(world: World, rng: random.Random) -> None:
    """Two accounts on one port, or a second router in the LAN."""
    if rng.random() < 0.5:
        first = world.phones[0]
        for phone in world.phones[1:]:
            world.router.hosts[phone.here[0]].remove(phone.heard)
            world.router.listen(first.here[0], phone.heard)
            phone.here, phone.nat, phone.shows, phone.says = (
                first.here, first.nat, first.shows, first.says)  # fmt: skip
            first.beside, phone.beside = phone, first
        return
    for number, phone in enumerate(world.phones):
        here = "192.168.1.50", rng.choice([phone.here[1], 30000]) + number * 2
        inside = f"192.168.2.{10 + number}", phone.here[1]
        world.router.hosts[phone.here[0]].remove(phone.heard)
        phone.nat = Nat(here, (WAN, phone.nat.outside[1]))
        world.router.add(phone.nat)
        phone.here = inside
        phone.shows = phone.says = inside
        own = Nat(inside, here)
        if rng.random() < 0.3:
            linux(own)
        phone.wire = Inner(world.clock, world.router, phone, here, (own.outs, own.ins)).send


def early_offers(world: World, rng: random.Random) -> None:
    """UPDATE before the answer, taken or refused; offers and answers while it rings reliably."""

    def shape(plan: Plan) -> None:
        plan.reliable, plan.early = True, rng.random() < 0.7
        plan.early_near, plan.offers = rng.random() < 0.5, rng.random() < 0.5
        plan.refuses = rng.choice([0, 0, 488, 491, 500, 504])
        plan.method, plan.again = "UPDATE", plan.again if rng.random() < 0.5 else 0

    world.shape = shape


def refused(world: World, rng: random.Random) -> None:
    """Changes of a call, refreshes and registrations that are refused on purpose."""
    world.longer = 80
    if rng.random() < 0.3:
        world.provider.least = 3600
        for phone in world.phones:
            phone.obeys = rng.random() < 0.6

    def shape(plan: Plan) -> None:
        plan.method = rng.choice(["INVITE", "UPDATE"])
        plan.refuses = rng.choice([405, 488, 491, 422])
        # 491 without a request of its own is a fault if it comes twice: it says that it will end.
        plan.retries = plan.refuses == 491 or (plan.refuses == 422 and rng.random() < 0.6)
        plan.stubborn = rng.random() < 0.3
        if rng.random() < 0.5:
            plan.timer, plan.timer_near, plan.again = INTERVAL, rng.random() < 0.5, 0
            plan.after += world.longer
        else:
            # A user who hangs up just after a refusal looks like a phone that gives up.
            plan.again, plan.again_near = rng.uniform(1, plan.after - 2), rng.random() < 0.5

    world.shape = shape


KINDS = [("INVITE", 0), ("INVITE", 1), ("INVITE", 2), ("INVITE", 4), ("ACK", 0), ("BYE", 0),
         ("BYE", 2), ("REGISTER", 0), ("REGISTER", 2), ("CANCEL", 0), ("CANCEL", 2), ("PRACK", 0),
         ("PRACK", 2), ("UPDATE", 0), ("UPDATE", 2), ("NOTIFY", 0), ("NOTIFY", 2),
         ("SUBSCRIBE", 0), ("SUBSCRIBE", 2), ("REFER", 0), ("REFER", 2)]  # fmt: skip


def one_lost(world: World, rng: random.Random) -> None:
    """Messages of one kind get lost in one place, once, or a few times each."""
    way, kind = rng.choice(PATHS), rng.choice(KINDS)
    world.loses, world.leaks = True, way == "inside"
    # In the router a lasting loss is what an ALG does: there, what is sent again goes through.
    times = rng.choice([1, 1, 2, 4] + ([20] if way != "inside" else []))
    world.deaf = way in ("lan in", "lan out") and times == 20
    gone: dict[bytes, int] = {}

    def drops(where: str, raw: bytes) -> bool:
        if where != way or not raw.strip():
            return False
        text = Text(raw)
        if (text.method, text.status // 100) != kind:
            return False
        gone[raw] = gone.get(raw, 0) + 1
        return gone[raw] <= times

    world.router.drops = drops
    world.watches = kind[0] in ("NOTIFY", "SUBSCRIBE")

    def shape(plan: Plan) -> None:
        plan.reliable = kind[0] == "PRACK"
        if kind[0] == "CANCEL":
            plan.busy, plan.gives_up, plan.again = False, True, 0
        if kind[0] in ("UPDATE", "REFER"):
            plan.method, plan.again = kind[0], rng.uniform(1, plan.after)
            plan.again_near = rng.random() < 0.5

    world.shape = shape


def failover(world: World, rng: random.Random) -> None:
    """The provider's server dies, in a call mostly, and another takes over."""
    provider, at = world.provider, rng.uniform(8, 120)
    provider.record, provider.behind, provider.says = "", provider.here, provider.here
    knows, told, later = rng.random() < 0.7, rng.random() < 0.7, rng.uniform(0.5, 20)
    world.router.cone = rng.random() < 0.6
    other = world.second((SECOND, 5060))

    def die() -> None:
        if knows:  # the same dialogs, from another place
            provider.here = provider.says = provider.behind = SECOND, 5060
            world.router.hosts[SECOND] = world.router.hosts.pop(PROVIDER)
        else:
            provider.down = True
            other.talks = {}
            world.caller = other

    def turn_to(phone: Phone) -> Callable[[], None]:
        def turn() -> None:
            phone.provider = SECOND, 5060
            for talk in phone.talks.values():
                talk.to = SECOND, 5060
            phone.register(7)

        return turn

    world.clock.after(at, die)
    # Something comes later, so that the capture goes on past Timer F of the last request.
    first = world.phones[0]
    world.clock.after(490, lambda: first.send(b"\r\n\r\n", first.provider))
    for phone in world.phones:
        if told:
            world.clock.after(at + later, turn_to(phone))


def vendors(world: World, rng: random.Random) -> None:
    """ALGs of other vendors, and phones that know of their NAT in one way or not at all."""
    world.vendors = VENDORS
    for phone in world.phones:
        how = rng.choice(["stun", "rport", "outbound", "none", "none"])
        phone.shows = phone.says = phone.nat.outside if how == "stun" else phone.here
        phone.rport = how in ("rport", "outbound") or (how == "stun" and rng.random() < 0.7)
        if how == "outbound":
            phone.marks = ";ob"
            _keeps_alive(world, phone, 30, "CRLF", rng)


def keepalives(world: World, rng: random.Random) -> None:
    """Mappings that expire between calls, and keep-alives that prevent it, or are too slow."""
    world.expires, world.longer = True, rng.choice([0, 100, 200])
    world.router.lasts = rng.choice([30.0, 60.0, 180.0])
    world.helps = rng.choice([0.0, 3600.0])
    for phone in world.phones:
        every = world.router.lasts * rng.choice([0.5, 0.8, 1.3, 2.5])
        how = rng.choice(["CRLF", "OPTIONS", "qualify", "none"])
        if how != "none":
            _keeps_alive(world, phone, every, how, rng)


def _keeps_alive(world: World, phone: Phone, every: float, how: str, rng: random.Random) -> None:
    """how: CRLF or OPTIONS of the phone, or qualify: OPTIONS of its provider."""
    number = 100

    def keep() -> None:
        nonlocal number
        number += 1
        if how == "CRLF":
            phone.send(b"\r\n\r\n", phone.provider)
        elif how == "OPTIONS":
            asked = phone.made("OPTIONS", f"ping-{phone.name}", ("o", ""), phone.provider, number)
            phone.ask(asked, phone.provider, lambda text: None, lambda: None)
        else:
            _qualify(world, phone, number)
        world.clock.after(every, keep)

    world.clock.after(rng.uniform(2, 4), keep)


def _qualify(world: World, phone: Phone, number: int) -> None:
    provider = world.provider
    bound = next((b for name, b in provider.bound.items() if phone.name in name), None)
    if bound is not None:
        uri, to = bound
        asked = provider.made("OPTIONS", f"qualify-{phone.name}", ("q", ""), uri, number,
                              far=phone.name)  # fmt: skip
        provider.ask(asked, to, lambda text: None, lambda: None)


def cut(world: World, rng: random.Random) -> None:
    """Calls as they are, in captures that are cut in further ways (judge.py)."""
    shaped = rng.random()

    def shape(plan: Plan) -> None:
        plan.reliable = shaped < 0.2
        if 0.2 <= shaped < 0.5:
            plan.method, plan.again = rng.choice(["UPDATE", "INVITE"]), rng.uniform(1, plan.after)

    world.shape = shape


def any_of_them(world: World, rng: random.Random) -> None:
    world.wide = rng.choice([name for name in DIMENSIONS if name != "wide"])
    DIMENSIONS[world.wide](world, rng)


DIMENSIONS: dict[str, Callable[[World, random.Random], None]] = {
    "wide": any_of_them, "proxy": behind_proxy, "shared": shared_flow, "early": early_offers,
    "refused": refused, "lost": one_lost, "failover": failover, "cut": cut, "vendors": vendors,
    "keepalive": keepalives,
}  # fmt: skip
