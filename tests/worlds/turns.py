# SPDX-License-Identifier: Apache-2.0
"""Turns that a world may take: each is one thing that homes and providers also do. A turn is drawn
for a world that has its phones and no ALG yet."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from worlds.algs import ALGS, PROVIDER, linux
from worlds.router import OUTER, Nat

if TYPE_CHECKING:
    from worlds.world import World

SECOND = "203.0.113.6"
NEW_WAN = "198.51.100.77"


def upstream(world: World, rng: random.Random) -> None:
    """Another router in front, with an ALG of its own or without."""
    world.router.address = "100.64.0.2"
    for phone in world.phones:
        nat = phone.nat
        nat.outside = world.router.address, nat.outside[1]
        outer = Nat(nat.outside, (OUTER, rng.choice([nat.outside[1], rng.randrange(20000, 60000)])))
        world.router.outer[nat.outside] = outer
        one = rng.random()
        if one < 0.4:
            linux(outer)
        elif one < 0.8:
            rng.choice(ALGS)(outer, rng)


def two_hosts(world: World, rng: random.Random) -> None:
    """Calls come from another host or port than the registration went to. Where the router lets in
    only answers, they are as any scanner's."""
    world.caller = world.second((SECOND, 5060) if rng.random() < 0.6 else (PROVIDER, 5070))
    world.router.cone = True


def ports_move(world: World, rng: random.Random) -> None:
    """A mapping that expires comes back with another port."""
    world.expires, world.router.lasts = True, rng.choice([20.0, 40.0])
    world.router.moves = random.Random(rng.random())


def new_address(world: World, rng: random.Random) -> None:
    """The WAN address changes. Phones register again some time later, or flows keep the old one."""
    at, later, stale = rng.uniform(5, 60), rng.uniform(1, 40), rng.random() < 0.3
    world.clock.after(at, lambda: world.router.renumber(NEW_WAN, stale))
    for phone in world.phones:
        world.clock.after(at + later, lambda phone=phone: phone.register(5))  # type: ignore[misc]
    world.expires = True


def impatient(world: World, rng: random.Random) -> None:
    """An end that asks once, or gives up early."""
    ends = [world.provider, *world.phones]
    for end in rng.choice([ends[:1], ends[1:], ends]):
        end.once, end.patience = rng.random() < 0.6, rng.choice([5.0, 32.0])


def refreshes(world: World, rng: random.Random) -> None:
    """Other requests than INVITE inside calls."""
    world.refresh = rng.choice(["UPDATE", "OPTIONS", "INFO"])


def early(world: World, rng: random.Random) -> None:
    """100 at once and early media."""
    for end in (world.provider, *world.phones):
        end.trying, end.rings_with = rng.random() < 0.7, rng.choice([180, 183])


def redirects(world: World, rng: random.Random) -> None:
    """The provider sends callers to another of its hosts."""
    world.caller = world.second((SECOND, 5060))
    world.provider.sends_to = SECOND, 5060
    world.router.cone = True


def trunk(world: World, rng: random.Random) -> None:
    """A PBX that never registers, behind a port forward."""
    for phone in world.phones:
        phone.trunk = phone.registered = True
        world.router.forward(phone.nat)
        if rng.random() < 0.6:
            phone.shows = phone.nat.outside
        world.provider.bound[f"<sip:{phone.name}@"] = phone.nat.outside, phone.nat.outside


def moves_in(world: World, rng: random.Random) -> None:
    """DHCP gives a phone another address between its calls."""
    phone = world.phones[0]
    world.clock.after(rng.uniform(80, 83), lambda: phone.move(("192.168.1.30", phone.here[1])))


TURNS: list[Callable[[World, random.Random], None]] = [
    upstream, two_hosts, ports_move, new_address, impatient, refreshes, early, redirects, trunk,
    moves_in,
]  # fmt: skip
