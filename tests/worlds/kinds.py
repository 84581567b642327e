# SPDX-License-Identifier: Apache-2.0
"""Kinds of calls. One is drawn for a world with its phones and its turn; each draws for itself, so
another one changes no other draw."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from worlds.talk import Plan

if TYPE_CHECKING:
    from worlds.world import World

INTERVAL = 90  # s, the shortest session timer (RFC 4028 section 5)


def timed(world: World, rng: random.Random) -> None:
    """Session timers: refreshed by either end, with either method, or forgotten."""
    world.longer = 80

    def shape(plan: Plan) -> None:
        if rng.random() < 0.2:
            return
        plan.timer, plan.timer_near, plan.again = INTERVAL, rng.random() < 0.5, 0
        plan.method, plan.forgets = rng.choice(["INVITE", "UPDATE"]), rng.random() < 0.1
        plan.after += world.longer

    world.shape = shape


def forked(world: World, rng: random.Random) -> None:
    """Two callees ring, and both may answer."""

    def shape(plan: Plan) -> None:
        plan.forks = rng.random() < 0.8
        plan.late = rng.random() < 0.4 and not plan.gives_up

    world.shape = shape


def reliable(world: World, rng: random.Random) -> None:
    """Ringing with PRACK."""

    def shape(plan: Plan) -> None:
        plan.reliable = rng.random() < 0.8

    world.shape = shape


def transfers(world: World, rng: random.Random) -> None:
    """REFER inside calls, and the NOTIFY that it asks for."""

    def shape(plan: Plan) -> None:
        plan.method, plan.again = "REFER", rng.uniform(1, plan.after)
        plan.again_near = rng.random() < 0.7

    world.shape = shape


def mailbox(world: World, rng: random.Random) -> None:
    """A subscription beside the calls."""
    world.watches = True


def in_house(world: World, rng: random.Random) -> None:
    """Calls from one phone to the other, through the provider, or past it inside the call."""
    world.router.hairpins = rng.random() < 0.5

    def shape(plan: Plan) -> None:
        plan.house = len(world.phones) > 1 and rng.random() < 0.8

    world.shape = shape


def six(world: World, rng: random.Random) -> None:
    """IPv6 without NAT: the router filters alone."""
    if not world.turn or world.turn in PLAIN:
        world.six = world.provider.reaches_all = True
        for phone in world.phones:
            if phone.shows[0] != phone.here[0]:
                phone.shows = phone.says = phone.here
            world.router.bare(phone.nat)


def tcp(world: World, rng: random.Random) -> None:
    """One connection of each phone: nothing is sent twice, and nothing gets lost."""
    if not world.turn or world.turn in PLAIN:
        world.tcp, world.expires, world.loses = True, False, False
        world.router.lasts, world.router.loss = 1e9, None
        for end in (world.provider, *world.phones):
            end.once = True


# Turns that leave alone which packets the NAT lets in.
PLAIN = ("impatient", "refreshes", "early")

KINDS: list[Callable[[World, random.Random], None]] = [
    timed, forked, reliable, transfers, mailbox, in_house, six, tcp,
]  # fmt: skip
